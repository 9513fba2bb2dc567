"""Far ends: what happens at an address that the simulated Twilio calls, and who takes callers out of its queues."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from lexbridge.audio.pcm import FRAME_MS
from lexbridge.offline.twilio.line import Party, Phone
from lexbridge.offline.twilio.telephone_audio import SILENT_FRAME

KEY_AFTER_MS = 500
"""Silence after which a called person presses the next key, because people listen to the end."""

Does = Literal["answers", "busy", "no-answer", "failed", "canceled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FarEnd:
    """Behaviour of an address that is called. Seconds are of the line.

    does: whether somebody answers, or Twilio's DialCallStatus. rings_s: until then; in a queue: until somebody takes
    the caller. talks_s: from the connection until the person hangs up; None: never, or when the party does. presses:
    keys that the person presses, each half a second after words of a whisper. party: makes the party at this end, if it
    is to speak, to listen or to be a machine.

    In a queue `no-answer` means that nobody comes, `busy` that the queue is full, `failed` a fault of Twilio's. In a
    conference everything but `answers` means that nobody else joins.
    """

    does: Does = "answers"
    rings_s: float = 1.0
    talks_s: float | None = 5.0
    presses: str = ""
    party: Callable[[], Party] | None = None


class FarEnds:
    """The far ends by their address. `usual`: that of every address for which none was set.

    Addresses: +12065550111, sip:ann@example.com (without headers), client:ann, queue:NAME, workflow:SID,
    conference:NAME.
    """

    def __init__(self, usual: FarEnd) -> None:
        self.usual = usual
        self._by_address: dict[str, deque[FarEnd]] = {}

    def set(self, address: str, *far_ends: FarEnd) -> None:
        """Let the next calls to `address` meet these far ends in turn, and all calls after them the last of them."""
        self._by_address[address] = deque(far_ends)

    def next(self, address: str, usual: FarEnd | None = None) -> FarEnd:
        """Return the far end that a call to `address` meets. `usual`: the one if none was set for it."""
        left = self._by_address.get(address)
        if not left:
            return usual or self.usual
        return left.popleft() if len(left) > 1 else left[0]


class CalledPerson(Party):
    """A person who says nothing, hears what is said, and presses `keys`, each after a silence that follows words."""

    def __init__(self, keys: str = "") -> None:
        self.heard: list[str] = []
        """Words that the person heard from Twilio."""
        self._keys = deque(keys)
        self._phone: Phone | None = None
        self._is_spoken_to = False
        self._quiet_ms = 0

    def dials(self, phone: Phone) -> None:
        self._phone = phone

    def bot_began(self, text: str) -> None:
        self.heard.append(text)
        self._is_spoken_to = True

    def bot_finished(self, text: str) -> None:  # noqa: ARG002
        self._is_spoken_to = False
        self._quiet_ms = 0

    def next_frame(self) -> bytes:
        # Words come first: a key that is pressed while Twilio still fetches the whisper is lost.
        is_quiet = bool(self.heard) and not self._is_spoken_to
        self._quiet_ms = self._quiet_ms + FRAME_MS if is_quiet else 0
        if self._keys and self._quiet_ms >= KEY_AFTER_MS and self._phone is not None:
            self._quiet_ms = 0
            self._phone.press(self._keys.popleft())
        return SILENT_FRAME
