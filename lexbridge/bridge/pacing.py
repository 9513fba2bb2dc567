"""The pacing of one call: it hears its media slice by slice, and what comes behind much media is kept.

HearMore    the socket is not read, reads are kept  -->  other calls had their turn   -->  MoreToHear
JudgeVoice  the session keeps messages, some        -->  the model has answered       -->  VoiceJudged
start       the socket is not read, reads are kept  -->  the stream has been checked
"""

from collections.abc import Callable
from functools import partial

from lexbridge.bridge.media_turns import MediaTurns
from lexbridge.bridge.model_batches import ModelBatches
from lexbridge.bridge.web_socket import WebSocket
from lexbridge.call.actions import HearMore, JudgeVoice
from lexbridge.call.events import MoreToHear, VoiceJudged
from lexbridge.net.receiver import Message

WAITING_MESSAGES = 100
"""The most messages that a session keeps while a model is asked, before its socket is not read any more."""


class Pacing:
    """The pacing of one call: what it waits for, and the reads that are kept meanwhile. It refers to no call."""

    __slots__ = ("_awaits_turn", "_batches", "_turns", "_waiting", "_websocket", "is_judged", "kept")

    def __init__(self, websocket: WebSocket, turns: MediaTurns, batches: ModelBatches) -> None:
        """`turns`, `batches`: those of all calls."""
        self._websocket = websocket
        self._turns = turns
        self._batches = batches
        self._awaits_turn = False  # whether other calls are to have their turn before this one hears on
        self._waiting = 0  # messages that the session keeps while the model is asked
        self.is_judged = False
        """Whether the detector's model is being asked about what the call hears next."""
        self.kept: list[list[Message]] | None = None
        """The reads that are kept, in order, or None if what is read goes to the session."""

    @property
    def is_free(self) -> bool:
        """Whether nothing is in the way of the next event."""
        return self.kept is None and not self.is_judged

    @property
    def awaits_answer(self) -> bool:
        """Whether the session waits for a turn or for the model."""
        return self._awaits_turn or self.is_judged

    def take_kept(self) -> list[list[Message]]:
        """Return the reads that were kept, and keep no more."""
        kept, self.kept = self.kept or [], None
        return kept

    def wait_for(self, asked: HearMore | JudgeVoice, hear: Callable[[MoreToHear | VoiceJudged], object]) -> None:
        """Ask for what the session waits for, and hand it to `hear` when it has come."""
        if isinstance(asked, JudgeVoice):
            self.is_judged = True
            self._batches.ask(asked.window, partial(self._model_answered, hear))
            return
        self._awaits_turn = True
        if self.kept is None:
            self._keep()
        self._turns.add(partial(self._turn_came, hear))

    def session_keeps(self, count: int) -> None:
        """Note that the session has got `count` more messages while the model is asked."""
        self._waiting += count
        if self._waiting > WAITING_MESSAGES and self.kept is None:
            self._keep()

    def session_is_on(self) -> None:
        """Note that the session keeps no messages any more."""
        self._waiting = 0

    def _keep(self) -> None:
        """Keep what comes for later, and read no more until `take_kept`."""
        self.kept = []
        self._websocket.pause_reading()

    def _turn_came(self, hear: Callable[[MoreToHear], object]) -> None:
        """Have the next slice heard, after other calls had their turn."""
        self._awaits_turn = False
        hear(MoreToHear())

    def _model_answered(self, hear: Callable[[VoiceJudged], object], probability: float | None) -> None:
        """Hand on the model's answer, or None if the model failed."""
        self.is_judged = False
        hear(VoiceJudged(probability))
