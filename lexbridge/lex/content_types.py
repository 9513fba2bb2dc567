"""The content types of what lexbridge sends to Lex, and of the answers that it asks for."""

SPEECH = "audio/lpcm; sample-rate=8000; sample-size-bits=16; channel-count=1; is-big-endian=false"
TEXT = "text/plain; charset=utf-8"
PCM = "audio/pcm"
