"""The audio of an utterance: one buffer that grows, read as PCM from any place."""

from lexbridge.audio.pcm import decode_mulaw
from lexbridge.audio.utterance_audio import UtteranceAudio

SAID = bytes(range(100, 200))


def test_it_is_read_as_pcm_while_it_grows():
    audio = UtteranceAudio(SAID[:10])
    first = audio.pcm()
    audio.append(SAID[10:])  # although what was read is still held
    assert first == decode_mulaw(SAID[:10])
    assert audio.pcm() == decode_mulaw(SAID)
    assert (len(audio), audio.pcm(200), audio.pcm(200, 8)) == (100, b"", b"")


def test_it_is_read_in_pieces_of_any_size():
    audio = UtteranceAudio(SAID)
    for size in (1, 2, 3, 7, 64, 200, 1 << 30):
        pieces = []
        while piece := audio.pcm(len(b"".join(pieces)), size):
            assert len(piece) <= size
            pieces.append(piece)
        assert b"".join(pieces) == decode_mulaw(SAID)
    assert audio.pcm(5) == decode_mulaw(SAID)[5:]


def test_two_utterances_are_joined_to_a_third():
    before, after = UtteranceAudio(b"ab"), UtteranceAudio(b"cd")
    joined = UtteranceAudio(before.mulaw(), after.mulaw())
    joined.append(b"ef")
    assert (joined.mulaw(), before.mulaw(), after.mulaw()) == (b"abcdef", b"ab", b"cd")
    assert joined.mulaw(2) == b"cdef"
