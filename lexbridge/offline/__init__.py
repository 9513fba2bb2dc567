"""The offline side: everything that lexbridge needs from outside, on this machine, without an account or a network.

The container image of the service does not contain it. `python -m lexbridge.offline` lists its commands.

    lex/        a local Lex runtime: bots from Lex's exports, understanding, speech recognition, a voice, Lex's wire
    twilio/     a simulated Twilio: calls, TwiML, telephone lines, media streams, webhooks, the REST API
    caller/     a simulated caller, who follows a script
    report/     reports on a call: timeline, picture, sound file, silences, verdict
    hearing/    what each detector hears in a recording
    commands/   the commands, each a module with `add_arguments` and `run`
    bots/       the bots that are shipped, as exports of Lex V1 and V2
    scripts/    what callers say to them, in YAML

Bots, understanding, dialogue, grammar, wire, TwiML, events, scripts and timelines are pure: no socket, no clock.
"""
