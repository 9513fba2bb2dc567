"""Messages of much media, or that skip much time, heard in slices: the actions are the same as without slices."""

from dataclasses import dataclass
from itertools import chain, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.audio.pcm import FRAME_MS, MULAW_BYTES_PER_MS, MULAW_SILENCE
from lexbridge.audio.vad import AmplitudeDetector, Detector
from lexbridge.call import actions, events
from lexbridge.call.hearing import JUMP_MS, SLICE_MS
from lexbridge.call.session import CallSession
from lexbridge.call.states import CallState
from lexbridge.errors import LexUnavailable, MediaStreamError, SessionNotRestored
from lexbridge.lex.model import DialogState, Message, Reply
from lexbridge.twilio.twiml import TwimlDocuments
from tests.support.property_tests import examples
from tests.support.settings import make_settings
from tests.support.slow_model import LoudnessDetector, judge
from tests.support.sounds import tone
from tests.support.twilio_messages import ACCOUNT_SID, CALL_SID, STREAM_SID

MINUTE_MS = 60_000
STARTED = events.Started(STREAM_SID, CALL_SID, ACCOUNT_SID, {})


def a_session(detector: Detector | None = None, **variables: str) -> CallSession:
    """A session whose stream has begun."""
    set_up = make_settings(**{"VOICE_THRESHOLD": "300", **variables})
    documents = TwimlDocuments(
        set_up.service.url, set_up.service.stream_url, hold_s=60, is_two_way=set_up.line.reply_mode == "stream"
    )
    session = CallSession(
        set_up.line.call_rules, documents, detector or AmplitudeDetector(set_up.line.voice_threshold), {}
    )
    session.receive(STARTED)
    return session


def hears_on(session):
    """Yield the session's actions now, and after each further slice that it hears, until it has heard all."""
    goes_on = True
    while goes_on:
        done = session.actions()
        goes_on = actions.HearMore() in done
        yield [action for action in done if not isinstance(action, actions.HearMore)]
        if goes_on:
            session.receive(events.MoreToHear())


def inbound(timestamp_ms, mulaw):
    return events.Media(timestamp_ms, True, mulaw)


def silence(ms):
    return MULAW_SILENCE * (ms * MULAW_BYTES_PER_MS)


@pytest.mark.parametrize(
    ("silent_ms", "timestamp_ms", "mulaw"),
    [(MINUTE_MS, 20, b""), (0, 20, tone(6000)), (0, 6020, silence(6000)), (40_000, 20, silence(6000))],
)
def test_no_way_in_hears_more_than_a_slice(silent_ms, timestamp_ms, mulaw):
    session = a_session()
    session.receive(inbound(0, silence(20)))
    heard_ms = [20]
    session.receive(events.SilencePassed(silent_ms))
    heard_ms.append(session.heard_ms)
    heard_ms.extend(session.heard_ms for _ in hears_on(session))
    session.receive(inbound(timestamp_ms, mulaw))
    comes_ms = silent_ms + timestamp_ms + len(mulaw) // MULAW_BYTES_PER_MS
    assert session.media_ms == comes_ms
    heard_ms.append(session.heard_ms)
    for _ in hears_on(session):
        heard_ms.append(session.heard_ms)
        assert session.media_ms == comes_ms
    assert heard_ms[-1] == comes_ms
    assert max(after - before for before, after in pairwise(heard_ms)) == SLICE_MS


def test_a_message_of_one_slice_leaves_nothing_behind():
    session = a_session()
    session.receive(inbound(0, tone(SLICE_MS)))
    assert actions.HearMore() not in session.actions()
    session.receive(events.MoreToHear())
    assert not session.actions()
    assert session.heard_ms == SLICE_MS


def test_each_slice_has_its_own_actions():
    session = a_session()
    session.receive(inbound(0, tone(500)))
    session.actions()
    session.receive(inbound(4000, silence(20)))
    slices = [[action for action in each if isinstance(action, actions.CloseUtterance)] for each in hears_on(session)]
    assert slices == [[], [actions.CloseUtterance(1)], [], [], [], [], [], []]


def test_the_end_of_the_call_drops_what_is_behind():
    for ends in (events.StreamLost(), events.CallNotFound()):
        session = a_session()
        session.receive(inbound(0, silence(20)))
        session.receive(events.SilencePassed(MINUTE_MS))
        session.receive(events.Stopped())
        session.actions()
        session.receive(ends)
        (ended,) = session.actions()
        assert ended.fields["how"] != "stopped"
        session.receive(events.MoreToHear())
        assert not session.actions()
        assert session.state is CallState.ENDED
        assert session.heard_ms == 20 + SLICE_MS


def test_events_wait_in_order_while_media_is_to_be_heard():
    session = a_session()
    session.receive(inbound(0, silence(20)))
    session.receive(events.SilencePassed(1000))
    session.receive(inbound(20, tone(20)))
    session.receive(STARTED)
    assert session.actions()[-1] == actions.HearMore()
    assert (session.heard_ms, session.media_ms) == (520, 1020)
    session.receive(events.MoreToHear())
    assert session.actions() == [actions.HearMore()]
    assert (session.heard_ms, session.media_ms) == (1020, 1020)
    with pytest.raises(MediaStreamError):
        session.receive(events.MoreToHear())
    assert session.heard_ms == 1040


def test_many_events_are_taken_a_few_at_a_time():
    session = a_session()
    session.receive(inbound(0, silence(20)))
    session.receive(events.SilencePassed(1000))
    for _ in range(60):
        session.receive(events.Dtmf("1"))
    session.receive(events.OddMessage("odd"))
    slices = [[action for action in each if isinstance(action, actions.Note)] for each in hears_on(session)]
    assert [len(notes) for notes in slices] == [1, 0, 0, 0, 1]


def test_the_model_is_asked_and_its_answer_heard():
    session = a_session(detector=LoudnessDetector())
    session.receive(inbound(0, silence(20) + tone(60) + silence(20)))
    session.receive(events.Mark("x"))
    for _ in range(3):
        asks = [action for action in session.actions() if isinstance(action, actions.JudgeVoice)]
        assert len(asks) == 1
        session.receive(events.MoreToHear())  # not what it waits for
        assert not session.actions()
        session.receive(events.VoiceJudged(judge(asks[0].window)))
    assert session.heard_ms == 100
    assert actions.OpenUtterance in [type(action) for action in session.actions()]
    session.receive(events.VoiceJudged(1.0))
    assert not session.actions()


@pytest.mark.parametrize("end", [events.StreamLost(), events.CallNotFound()])
def test_an_answer_of_the_model_after_the_calls_end_is_ignored(end):
    detector = LoudnessDetector()
    session = a_session(detector=detector)
    session.receive(inbound(0, silence(20) + tone(60)))
    assert isinstance(session.actions()[-1], actions.JudgeVoice)
    answers = detector.answers
    session.receive(end)
    assert actions.JudgeVoice not in map(type, session.actions())
    for late in (inbound(80, tone(60)), events.VoiceJudged(1.0), inbound(140, tone(20)), events.VoiceJudged(1.0)):
        session.receive(late)
        assert not session.actions()  # the model is asked nothing more
    assert detector.answers == answers
    assert session.heard_ms == 20


# -- sliced and whole


@dataclass(frozen=True)
class Comes:
    """Time in which no media comes, and then audio."""

    skipped_ms: int
    mulaw: bytes

    def __repr__(self) -> str:
        return f"Comes({self.skipped_ms}, {len(self.mulaw) // MULAW_BYTES_PER_MS} ms of {self.mulaw[:1]!r})"


TURNS = st.integers(1, 4)
REPLIES = [
    Reply(DialogState.ELICIT_SLOT, (Message("Which day?"),), "OrderFlowers", transcript="roses", checkpoint={"n": 1}),
    Reply(DialogState.ELICIT_SLOT, (Message("Sorry?"),), transcript=""),
    Reply(DialogState.FULFILLED, (Message("Thank you."),), "GoodbyeIntent", transcript="bye"),
]
FRAMES = st.integers(0, 30) | st.integers(0, 300)
AUDIO = st.builds(lambda frames, sound: sound(frames * FRAME_MS), FRAMES, st.sampled_from([tone, silence]))
GAPS_MS = st.one_of(st.just(0), st.integers(0, 60), st.integers(0, MINUTE_MS // FRAME_MS)).map(lambda n: n * FRAME_MS)
MEDIA = st.builds(Comes, GAPS_MS, AUDIO.filter(len))
OTHERS = st.one_of(
    st.builds(events.LexReplied, TURNS, st.sampled_from(REPLIES), st.booleans()),
    st.builds(events.LexSpoke, TURNS, st.just(tone(400))),
    st.builds(events.LexSpeechEnded, TURNS),
    st.builds(events.LexSpeechFailed, TURNS),
    st.builds(events.LexFailed, TURNS, st.sampled_from([LexUnavailable("no"), SessionNotRestored("no")])),
    st.sampled_from([events.SessionFetched(None), events.SessionFetchFailed(), events.LeaveRequested()]),
    st.builds(events.UpdateFailed, TURNS),
    st.sampled_from("1#").map(events.Dtmf),
    st.sampled_from(["turn-1.1:7", "turn-1.1:end"]).map(events.Mark),
)
# The first message of a stream skips nothing: its timestamp is where the stream's time begins.
BEGINS = Comes(0, silence(20))
SAYS_ROSES = [
    Comes(2000, tone(600)),
    Comes(1000, silence(20)),
    events.LexReplied(1, REPLIES[0], speaks=True),
    events.LexSpoke(1, tone(400)),
    events.LexSpeechEnded(1),
]
STORIES = st.builds(
    lambda beginning, rest: [BEGINS, *beginning, *rest],
    st.sampled_from([[], SAYS_ROSES, SAYS_ROSES]),
    st.lists(MEDIA | MEDIA | OTHERS, min_size=8, max_size=25),
)
VARIABLES = st.fixed_dictionaries(
    {
        "REPLY_MODE": st.sampled_from(["stream", "call-update"]),
        "BARGE_IN": st.sampled_from(["on", "off"]),
        "JOIN": st.sampled_from(["on", "off"]),
        "NO_INPUT_S": st.just("3"),
        "FILLER_S": st.just("2"),
        "MAX_UTTERANCE_MS": st.just("5000"),
        "GREETING": st.just("Hello."),
    }
)


def told(variables, story, tell, catches_up=True) -> list[actions.Action]:
    """Return the actions of a call in which `story` happens. `tell(heard_ms, media)` brings its media."""
    session, done, at_ms = a_session(**variables), [], 0
    for event in [*story, events.Stopped()]:
        coming = [event] if not isinstance(event, Comes) else tell(at_ms, event)
        if isinstance(event, Comes):
            at_ms += event.skipped_ms + len(event.mulaw) // MULAW_BYTES_PER_MS
        for each in coming:
            session.receive(each)
            if catches_up:
                done += chain.from_iterable(hears_on(session))
    done += chain.from_iterable(hears_on(session))
    assert session.state is CallState.ENDED
    return done


def in_one_message(at_ms, media):
    """A short hole is told by the timestamp alone. Of a long one it is known while it lasts that nothing comes."""
    nothing = [events.SilencePassed(media.skipped_ms)] if media.skipped_ms >= JUMP_MS else []
    return [*nothing, inbound(at_ms + media.skipped_ms, media.mulaw)]


def in_many_messages(at_ms, media):
    """The skipped time as silence that comes, and no message longer than a slice."""
    mulaw, bytes_each = silence(media.skipped_ms) + media.mulaw, SLICE_MS * MULAW_BYTES_PER_MS
    pieces = [(start, mulaw[start : start + bytes_each]) for start in range(0, len(mulaw), bytes_each)]
    return [inbound(at_ms + start // MULAW_BYTES_PER_MS, piece) for start, piece in pieces]


@examples(150)
@given(VARIABLES, STORIES)
def test_catching_up_late_gives_the_same_actions(variables, story):
    sliced, late = (told(variables, story, in_one_message, catches_up) for catches_up in (True, False))
    assert late == sliced


@examples(150)
@given(VARIABLES, STORIES)
def test_much_media_is_heard_as_if_it_had_come_bit_by_bit(variables, story):
    """Much media, and time without any, are heard as if they had come bit by bit."""
    *at_once, ended = told(variables, story, in_one_message)
    *bit_by_bit, ended_too = told(variables, story, in_many_messages)
    assert at_once == bit_by_bit
    skipped_ms = sum(event.skipped_ms for event in story if isinstance(event, Comes))
    assert isinstance(ended, actions.Note)
    assert isinstance(ended_too, actions.Note)
    assert {**ended.fields, "filled_ms": 0, "silent_ms": 0} == {**ended_too.fields}
    assert ended.fields["filled_ms"] + ended.fields["silent_ms"] == skipped_ms
