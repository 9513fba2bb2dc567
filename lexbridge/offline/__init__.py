"""The other house: everything lexbridge needs from outside, run on this machine with no account and no network.

    bots.py             a bot's definition; reads the exports of Lex V1 and Lex V2
    understanding.py    words to meaning: slot values, dates, times, numbers, yes and no, sample utterances
    dialogue.py         one turn of a conversation: (bot, session, text) to what the bot says next
    grammar.py          the phrases the dialogue can expect now, as a grammar for the recogniser
    recognition.py      audio to words
    voice.py            words to audio
    side_process.py     a process of its own for either of the two, so that neither stops the event loop
    lex_wire.py         Lex's own request and response shapes, both generations
    local_lex.py        the HTTP server: the dialogue behind Lex's wire
    lex_command.py      python -m lexbridge.offline lex
    talk.py             python -m lexbridge.offline talk

bots.py, understanding.py, dialogue.py, grammar.py and lex_wire.py are pure: no socket, no clock, no process.
"""
