"""The quiet lane: it changes nothing, whatever comes, and it takes nearly all that a silent caller sends."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.audio.pcm import FRAME_MS, MULAW_BYTES_PER_MS, MULAW_FRAME_BYTES, MULAW_SILENCE
from lexbridge.audio.vad import AdaptiveDetector, AmplitudeDetector
from lexbridge.call import actions, events
from lexbridge.call.attributes import MAX_LENGTH_ATTRIBUTE, NO_INPUT_S_ATTRIBUTE
from lexbridge.call.session import CallSession
from lexbridge.call.states import CallState
from lexbridge.call.stream_parameters import (
    AGE_PARAMETER,
    CALLEE_FIRST_PARAMETER,
    HANDED_OVER,
    KEYED,
    KEYS_PARAMETER,
    LOST,
    MACHINE_PARAMETER,
    REPROMPTS_PARAMETER,
    RESUMED_PARAMETER,
    SPOKEN_PARAMETER,
)
from lexbridge.errors import LexUnavailable
from lexbridge.lex.model import DialogState, Message, Reply
from lexbridge.twilio.twiml import TwimlDocuments
from tests.support.caller import NEXT_STREAM
from tests.support.phrases import NOT_HEARD, ONE_MOMENT
from tests.support.property_tests import examples
from tests.support.settings import make_settings
from tests.support.slow_model import LoudnessDetector, judge
from tests.support.sounds import KEY_TONE, tone
from tests.support.twilio_messages import ACCOUNT_SID, CALL_SID, STREAM_SID

THRESHOLD = 300
SILENCE = MULAW_SILENCE * MULAW_FRAME_BYTES
SOUNDS = {
    "silence": SILENCE,
    "voice": tone(FRAME_MS),
    "a shout": tone(FRAME_MS, 30_000),
    "just under": tone(FRAME_MS, THRESHOLD - 10),
    "just over": tone(FRAME_MS, THRESHOLD + 10),
    "a key's tone": KEY_TONE,
}
PHRASE_AUDIO = {ONE_MOMENT: tone(300), NOT_HEARD: tone(400)}


class WithoutLane(CallSession):
    """A session whose lane never opens, and that asks each rule at each frame whether anything is due."""

    def _look_ahead(self) -> None:
        pass


@dataclass(frozen=True)
class Line:
    """What carrier, Lex and process know of a call: its time, and what the session asked for."""

    at_ms: int
    asked: Sequence[actions.Action]

    def newest(self, *kinds: type) -> Any:
        """Return the newest action of these kinds, or None."""
        return next((action for action in reversed(self.asked) if isinstance(action, kinds)), None)


@dataclass(frozen=True)
class Comes:
    """`count` messages of audio, each after `skipped_ms`, whose timestamps are off by `off_ms`."""

    sound: str
    count: int
    message_bytes: int = MULAW_FRAME_BYTES
    skipped_ms: int = 0
    off_ms: float | None = 0
    is_inbound: bool = True

    @property
    def message_ms(self) -> int:
        """Time of each message on the caller's track."""
        return self.message_bytes // MULAW_BYTES_PER_MS if self.is_inbound else 0

    def events(self, line: Line) -> Iterator[events.CallEvent]:
        """Yield the messages."""
        at_ms = line.at_ms
        mulaw = (SOUNDS[self.sound] * (self.message_bytes // MULAW_FRAME_BYTES + 1))[: self.message_bytes]
        for _ in range(self.count):
            at_ms += self.skipped_ms
            yield events.Media(None if self.off_ms is None else at_ms + self.off_ms, self.is_inbound, mulaw)
            at_ms += self.message_ms

    def after_ms(self, at_ms: int) -> int:
        """Return when it is over."""
        return at_ms + self.count * (self.skipped_ms + self.message_ms)


@dataclass(frozen=True)
class Happens:
    """An event that is no media. `make` gets the line, and may return None."""

    name: str
    make: Callable[[Line], events.CallEvent | None]

    def __repr__(self) -> str:
        return self.name

    def events(self, line: Line) -> Iterator[events.CallEvent]:
        """Yield the event, if it can happen now."""
        event = self.make(line)
        if event is not None:
            yield event

    def after_ms(self, at_ms: int) -> int:
        """Return when it is over: at once."""
        return at_ms


def always(event: events.CallEvent) -> Happens:
    return Happens(repr(event)[:60], lambda _: event)


def of_turn(name: str, make: Callable[[int], events.CallEvent]) -> Happens:
    """Return an event that concerns the turn that was sent last."""

    def for_turn(line: Line) -> events.CallEvent | None:
        asked = line.newest(actions.OpenUtterance, actions.SendKeys, actions.BeginDialog)
        return None if asked is None else make(asked.turn)

    return Happens(name, for_turn)


def of_mark(line: Line) -> events.CallEvent | None:
    mark = line.newest(actions.SendMark, actions.ClearAudio)
    return events.Mark(mark.name) if isinstance(mark, actions.SendMark) else None


def of_update(line: Line) -> events.CallEvent | None:
    update = line.newest(actions.UpdateCall)
    return None if update is None else events.UpdateFailed(update.number)


def asks(text: str, attributes: dict[str, str]) -> Reply:
    return Reply(
        DialogState.ELICIT_SLOT,
        (Message(text),),
        "OrderFlowers",
        transcript="roses",
        session_attributes=attributes,
        checkpoint={"n": 1},
    )


REPLIES = {
    "asks": asks("Which day?", {}),
    "asks for keys": asks("Your PIN?", {MAX_LENGTH_ATTRIBUTE: "4", NO_INPUT_S_ATTRIBUTE: "1"}),
    "asks for a number": asks("Which number?", {MAX_LENGTH_ATTRIBUTE: "4"}),
    "heard nothing": Reply(DialogState.ELICIT_SLOT, (), transcript=""),
    "is done": Reply(DialogState.FULFILLED, (Message("Thank you."),), "GoodbyeIntent", transcript="bye"),
}


def replies(name: str, speaks: bool) -> Happens:
    return of_turn(f"Lex {name}, {speaks=}", lambda turn: events.LexReplied(turn, REPLIES[name], speaks))


def quiet(frames: int) -> Comes:
    return Comes("silence", frames)


SPEAKS = of_turn("Lex speaks", lambda turn: events.LexSpoke(turn, tone(600)))
HAS_SPOKEN = of_turn("Lex has spoken", events.LexSpeechEnded)
MARKED = Happens("a mark", of_mark)
LEAVES = always(events.LeaveRequested())
NEXT = always(events.NextStreamOpened(NEXT_STREAM))
FETCHED = always(events.SessionFetched(REPLIES["asks"]))
SAYS = [Comes("voice", 20), quiet(40)]
HEARS = [SPEAKS, HAS_SPOKEN, quiet(40), MARKED]
OTHERS = [[replies(name, speaks)] for name in REPLIES for speaks in (False, True)] + [
    [SPEAKS],
    [HAS_SPOKEN],
    [MARKED],
    [NEXT],
    [LEAVES],
    [FETCHED],
    [always(events.Dtmf("1"))],
    [always(events.Dtmf("#"))],
    [of_turn("Lex breaks off", events.LexSpeechFailed)],
    [of_turn("Lex fails", lambda turn: events.LexFailed(turn, LexUnavailable("no")))],
    [Happens("the update fails", of_update)],
    [always(events.SessionFetchFailed())],
    [
        Happens(
            "session",
            lambda line: line.newest(actions.FetchSession) and events.SessionFetched(REPLIES["asks for keys"]),
        )
    ],
    *[[always(events.SilencePassed(ms))] for ms in (20, 70, 700, 3000)],
    # -- what has to come together
    SAYS,
    [*SAYS, quiet(80)],
    [*SAYS, replies("asks", True), *HEARS],
    [*SAYS, replies("asks for keys", False), quiet(30), *SAYS, quiet(60)],
    [*SAYS, replies("asks for a number", False), quiet(40), *SAYS, quiet(120)],
    [*SAYS, quiet(100)],
    [NEXT, LEAVES, quiet(70)],
    [*SAYS, replies("asks", True), *HEARS, NEXT, LEAVES, quiet(70)],
    [*SAYS, quiet(40), replies("heard nothing", False), NEXT, LEAVES, quiet(70)],
    [always(events.Dtmf("2")), quiet(120)],
    [always(events.Dtmf("#")), quiet(4), Comes("voice", 8)],
    [Comes("voice", 2), always(events.Dtmf("#")), quiet(1), Comes("voice", 8)],
    [FETCHED, quiet(60)],
    [Comes("silence", 3, is_inbound=False)],
    [Comes("silence", 2), Comes("silence", 1, skipped_ms=20), quiet(5)],
    [
        Comes("silence", 2),
        Comes("silence", 1, off_ms=-40),
        *[Comes("silence", 1, off_ms=-60 - 20 * n) for n in range(9)],
    ],
]
QUIET = st.builds(lambda frames: [quiet(frames)], st.integers(1, 20) | st.integers(50, 250))
SPOKEN = st.builds(lambda sound, frames: [Comes(sound, frames)], st.sampled_from(sorted(SOUNDS)), st.integers(1, 12))
ODD = st.builds(
    lambda *values: [Comes(*values)],
    st.sampled_from(sorted(SOUNDS)),
    st.integers(1, 4),
    st.sampled_from([160, 160, 160, 0, 1, 80, 159, 161, 320, 1600, 8160]),
    st.sampled_from([0, 0, 20, 60, 1000, 7000, -20, -60, -3000]),
    st.sampled_from([0, 0, 1.5, 19, -19, 20, -20, 30, None]),
    st.sampled_from([True, True, True, False]),
)
STORIES = st.builds(
    lambda steps: [quiet(2), *[one for step in steps for one in step]],
    st.lists(QUIET | QUIET | SPOKEN | ODD | st.sampled_from(OTHERS) | st.sampled_from(OTHERS), min_size=4, max_size=14),
)
VARIABLES = st.fixed_dictionaries(
    {
        "REPLY_MODE": st.sampled_from(["stream", "call-update"]),
        "BARGE_IN": st.sampled_from(["on", "off"]),
        "JOIN": st.sampled_from(["on", "off"]),
        "NO_INPUT_S": st.sampled_from(["1", "3", "20"]),
        "FILLER_S": st.just("1"),
        "GREETING": st.just("Hello."),
    },
    optional={
        "WELCOME_INTENT": st.just("Hi"),
        "MAX_CALL_S": st.sampled_from(["10", "11.03"]),
        "MAX_TURNS": st.just("1"),
        "PROTECT_FIRST": st.just("on"),
        "MACHINE_INTENT": st.just("Voicemail"),
    },
)
PARAMETERS: list[dict[str, str]] = [
    {},
    {},
    {AGE_PARAMETER: "9"},
    {CALLEE_FIRST_PARAMETER: "1"},
    {CALLEE_FIRST_PARAMETER: "1"},
    {CALLEE_FIRST_PARAMETER: "1", RESUMED_PARAMETER: LOST},
    {MACHINE_PARAMETER: "machine_start"},
    {MACHINE_PARAMETER: "machine_end_beep"},
    {RESUMED_PARAMETER: LOST, AGE_PARAMETER: "7"},
    {RESUMED_PARAMETER: KEYED, KEYS_PARAMETER: "12"},
    {RESUMED_PARAMETER: HANDED_OVER, SPOKEN_PARAMETER: "400", REPROMPTS_PARAMETER: "900 700"},
]
DETECTORS = {"amplitude": lambda: AmplitudeDetector(THRESHOLD), "adaptive": AdaptiveDetector, "model": LoudnessDetector}


def sessions(variables: dict[str, str], detector: str, *kinds: type[CallSession]) -> list[CallSession]:
    if "WELCOME_INTENT" in variables:
        variables = {**variables, "WELCOME": "bot"}
    settings = make_settings(**variables)
    documents = TwimlDocuments(
        settings.service.url, settings.service.stream_url, hold_s=60, is_two_way=settings.line.reply_mode == "stream"
    )
    return [kind(settings.line.call_rules, documents, DETECTORS[detector](), PHRASE_AUDIO) for kind in kinds]


def told(session: CallSession, event: events.CallEvent) -> list[actions.Action]:
    """Return all actions that follow from `event`, until everything is heard."""
    session.receive(event)
    done: list[actions.Action] = []
    while new := session.actions():
        done += [action for action in new if not isinstance(action, actions.HearMore | actions.JudgeVoice)]
        if isinstance(new[-1], actions.HearMore):
            session.receive(events.MoreToHear())
        elif isinstance(new[-1], actions.JudgeVoice):
            session.receive(events.VoiceJudged(judge(new[-1].window)))
    return done


def view(session: CallSession) -> tuple[object, ...]:
    return session.state, session.heard_ms, session.media_ms, session.turn_count


@examples(300)
@given(VARIABLES, st.sampled_from(PARAMETERS), st.sampled_from(sorted(DETECTORS)), STORIES)
def test_the_lane_changes_nothing(variables, parameters, detector, story):
    plain, laned = sessions(variables, detector, WithoutLane, CallSession)
    asked: list[actions.Action] = []
    at_ms = 0
    started = always(events.Started(STREAM_SID, CALL_SID, ACCOUNT_SID, parameters))
    for step in [started, *story, quiet(100), always(events.Stopped())]:
        for event in step.events(Line(at_ms, asked)):
            wanted = told(plain, event)
            assert told(laned, event) == wanted
            assert view(laned) == view(plain)
            asked += wanted
        at_ms = step.after_ms(at_ms)
    assert plain.state is CallState.ENDED


# -- what it takes


def a_session(detector: str = "amplitude", **variables: str) -> CallSession:
    """A session whose greeting is over."""
    (session,) = sessions({"GREETING": "Hi", "NO_INPUT_S": "60", **variables}, detector, CallSession)
    told(session, events.Started(STREAM_SID, CALL_SID, ACCOUNT_SID, {}))
    for at_ms in range(0, 2000, FRAME_MS):
        told(session, events.Media(at_ms, True, SILENCE))
    return session


@pytest.mark.parametrize("mode", ["stream", "call-update"])
@pytest.mark.parametrize("detector", sorted(DETECTORS))
def test_a_silent_callers_media_take_the_lane(monkeypatch, mode, detector):
    long_way = []
    take = CallSession._take
    monkeypatch.setattr(
        CallSession, "_take", lambda session, event, *rest: (long_way.append(event), take(session, event, *rest))
    )
    session = a_session(detector, REPLY_MODE=mode)
    assert len(long_way) <= 5
    assert session.is_quiet
    assert session.heard_ms == session.media_ms == 2000


@pytest.mark.parametrize("detector", sorted(DETECTORS))
def test_a_voice_takes_the_long_way_and_the_line_is_not_quiet(detector):
    session = a_session(detector)
    told(session, events.Media(2000, True, SOUNDS["voice"]))
    assert not session.is_quiet
    told(session, events.Media(2020, True, SILENCE))
    assert session.is_quiet


class CountingDetector(AmplitudeDetector):
    """A detector that counts the frames that it was asked about."""

    frames = 0

    def is_voiced(self, frame: bytes) -> bool:
        self.frames += 1
        return super().is_voiced(frame)


def test_a_detector_is_asked_once_for_each_frame(monkeypatch):
    detector = CountingDetector(THRESHOLD)
    monkeypatch.setitem(DETECTORS, "counting", lambda: detector)
    session = a_session("counting")
    for n, sound in enumerate(["silence", "voice", "just over", "silence", "silence", "voice", "voice", "voice"]):
        told(session, events.Media(2000 + n * FRAME_MS, True, SOUNDS[sound]))
    assert detector.frames == session.heard_ms // FRAME_MS == 108


def test_a_line_on_which_twilio_speaks_is_quiet():
    (session,) = sessions({"GREETING": "Hello there."}, "amplitude", CallSession)
    told(session, events.Started(STREAM_SID, CALL_SID, ACCOUNT_SID, {}))
    for at_ms in range(0, 400, FRAME_MS):
        told(session, events.Media(at_ms, True, SILENCE))
    assert session.is_quiet
