"""A call as the session's actions tell it to the log, and the log lines of it."""

from collections.abc import Mapping

from lexbridge.bridge.call_story import CallStory
from lexbridge.call.actions import Action, BeginDialog, Note, OpenUtterance, SendKeys, UpdateCall
from lexbridge.lex.model import DialogState
from tests.support.caller import Caller
from tests.support.fixtures import Logged
from tests.support.settings import make_settings

PHRASES = make_settings().line.phrases
FULFILLED = DialogState.FULFILLED
GOODBYE = {"intent": "GoodbyeIntent", "dialog_state": FULFILLED}
QUIET = b"\xff" * 160


class Told(Caller):
    """A caller whose call is told to a CallStory, as the bridge does it."""

    def __init__(self, phrase_audio: Mapping[str, bytes] | None = None, **variables: str) -> None:
        self.story = CallStory(is_two_way=variables.get("REPLY_MODE") == "stream")
        super().__init__(phrase_audio, **variables)
        self.dials()

    def _carry_out(self, action: Action) -> None:
        super()._carry_out(action)
        if isinstance(action, Note):
            self.story.log.write(action.level, action.event, action.fields)
            self.story.line_logged(action, self.now_s)
        elif isinstance(action, UpdateCall):
            self.story.update_made(action.number, self.now_s, asks_for_keys=action.asks_for_keys)
        elif isinstance(action, BeginDialog):
            self.story.welcome_asked(action.turn, self.now_s)
        elif isinstance(action, OpenUtterance | SendKeys):
            self.story.turn_asked(action.turn, self.now_s)

    @property
    def now_s(self) -> float:
        """Media time in seconds."""
        return self.session.heard_ms / 1000

    def gets_the_update(self, number: int | None = None) -> None:
        """Let Twilio take the update `number`, or the newest one."""
        self.story.update_taken(number or self.session._call.updates, self.now_s)

    def does_not_get_the_update(self, ago: int = 0) -> None:
        """Let Twilio refuse the newest update, or the one `ago` before it."""
        self.story.update_failed(self.session._call.updates - ago)
        super().does_not_get_the_update(ago)

    def ends(self, why: str | None = None) -> None:
        """End the stream. `why`: the reason that lexbridge knows, if it does."""
        self.story.stream_ended(self.now_s, why)


def streaming(phrase_audio: Mapping[str, bytes] | None = None, **variables: str) -> Told:
    """Return a caller of a call in stream mode."""
    return Told(phrase_audio, REPLY_MODE="stream", **variables)


def told(logged: Logged, event: str) -> list[dict[str, object]]:
    """Return the fields of each line of `event`."""
    about = ("event", "level", "timestamp")
    return [
        {name: value for name, value in line.items() if name not in about}
        for line in logged()
        if line["event"] == event
    ]


def latencies(logged: Logged) -> list[dict[str, object]]:
    """Return the fields of each line that tells a turn's latency."""
    return told(logged, "turn-latency")


def a_turn(number: int = 1, **changes: object) -> dict[str, object]:
    """Return the line of a turn that Lex answered 500 ms after its end, and that was not heard."""
    usual = {"outcome": "answered", "end_ms": 700, "queue_ms": 0, "lex_ms": 500, "update_ms": None, "reply_ms": None}
    usual["filler"] = False
    return {"turn": number, **usual, **changes}


def asks(caller: Told, lex_ms: int = 500) -> Told:
    """Let the caller say something, and Lex think for `lex_ms`."""
    caller.says_something()
    caller.is_silent(lex_ms)
    return caller
