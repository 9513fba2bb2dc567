"""The other house: everything lexbridge needs from outside, run on this machine with no account and no network.

    bots.py             a bot's definition; reads the exports of Lex V1 and Lex V2
    understanding.py    words to meaning: slot values, dates, times, numbers, yes and no, sample utterances
    dialogue.py         one turn of a conversation: (bot, session, text) to what the bot says next
    grammar.py          the phrases the dialogue can expect now, as a grammar for the recogniser
    recognition.py      audio to words
    voice.py            words to audio
    side_process.py     a process of its own for either of the two, so that neither stops the event loop
    lex_wire.py         Lex's own request and response shapes, both generations
    odd_answers.py      answers without end, and compressed bombs
    local_lex.py        the HTTP server: the dialogue behind Lex's wire
    arguments.py        the commands' arguments: what cannot work is refused before any work is done
    lex_command.py      python -m lexbridge.offline lex
    talk.py             python -m lexbridge.offline talk

    twiml_document.py   TwiML to verbs, with what Twilio would refuse or warn about
    twiml_execution.py  the verbs carried out, one after the other
    call_events.py      what happens in a call
    phone_line.py       the line: 20 ms in both directions on an absolute schedule
    keypad.py           the keys that a caller presses, and what a document gathers of them
    media_socket.py     Twilio's end of a media stream
    playback.py         what a bridge sends on it, on its way to the caller's ear
    webhooks.py         signed requests to the bridge, again where they fail
    phone_call.py       one live call
    rest_api.py         the REST API that updates it
    simulated_twilio.py the three together
    call_script.py      what a caller does, in YAML
    happy_path.py       the same, made from a bot
    simulated_caller.py the caller
    recording.py        a call as a stereo wav
    picture.py          a call as a picture
    silences.py         when nobody spoke in a call, and how long the caller waited
    timeline.py         a call as lines and latencies
    call_report.py      the three together
    bridge_process.py   server.py as a process of its own
    demo.py             python -m lexbridge.offline demo
    call_command.py     python -m lexbridge.offline call

bots.py, understanding.py, dialogue.py, grammar.py, lex_wire.py, twiml_document.py, call_events.py, call_script.py,
happy_path.py and timeline.py are pure: no socket, no clock, no process.
"""
