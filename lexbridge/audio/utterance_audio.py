"""Audio of one utterance: one buffer, which grows while the caller speaks, and which every request to Lex reads."""

from collections.abc import Callable

from lexbridge.audio.pcm import decode_mulaw

PCM_BYTES_PER_SAMPLE = 2


class UtteranceAudio:
    """The audio of one utterance, which only ever grows, at its end.

    The turn of the caller owns it and appends to it. Requests to Lex read it as PCM, each from its beginning, so that a
    second request can send all of it again. A joined turn has an UtteranceAudio of its own: what a reader has seen of
    one stays as it was.

    It is kept as mu-law, because that takes half the memory of PCM. What is read is decoded, and so is a copy: a view
    of the buffer would keep it from growing.
    """

    __slots__ = ("_mulaw", "append")

    def __init__(self, *pieces: bytes) -> None:
        """`pieces`: mu-law, in order."""
        self._mulaw = bytearray().join(pieces)
        self.append: Callable[[bytes], object] = self._mulaw.extend  # fifty times a second, so without a step between
        """Add what the caller has said since, as mu-law."""

    def __len__(self) -> int:
        """Return the number of samples so far, each of which is a byte of mu-law."""
        return len(self._mulaw)

    def mulaw(self, from_sample: int = 0) -> bytes:
        """Return the audio from the sample `from_sample` on, as mu-law."""
        return bytes(self._mulaw[from_sample:])

    def pcm(self, start: int = 0, size: int | None = None) -> bytes:
        """Return at most `size` bytes of the PCM from byte `start` on, or all of it for None. b"": it ends there."""
        end = len(self) * PCM_BYTES_PER_SAMPLE if size is None else start + size
        first = start // PCM_BYTES_PER_SAMPLE
        after_last = -(-end // PCM_BYTES_PER_SAMPLE)  # rounded up: a byte may be half a sample
        skipped = start - first * PCM_BYTES_PER_SAMPLE
        return decode_mulaw(self._mulaw[first:after_last])[skipped : skipped + end - start]
