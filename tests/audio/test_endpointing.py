"""Endpointing on drawn time lines: each character is a frame, and "v" is a voiced one."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.audio.endpointing import Endpointer, EndpointingRules, Listening
from lexbridge.audio.hangover import Expected
from lexbridge.audio.pcm import MULAW_FRAME_BYTES, MULAW_SILENCE, decode_mulaw, encode_mulaw
from lexbridge.audio.speech_events import EndReason, NoInput, SpeechContinued, SpeechEnded, SpeechStarted
from lexbridge.audio.vad import AmplitudeDetector
from tests.support.property_tests import examples
from tests.support.sounds import KEY_TONE, Timeline, sines

# Short enough to be drawn: 2 frames of onset, 3 of pre-roll, 4 of hangover, 20 at most, 30 without input.
RULES = EndpointingRules(onset_ms=40, pre_roll_ms=60, hangover_ms=80, max_utterance_ms=400, no_input_ms=600)


class Ear:
    """An endpointer behind a detector by amplitude."""

    def __init__(self, rules):
        self.endpointer = Endpointer(rules)
        self._detector = AmplitudeDetector(500)

    def push(self, mulaw, listening=None):
        return list(self.endpointer.push(mulaw, self._detector.is_voiced(decode_mulaw(mulaw)), listening))

    def __getattr__(self, name):
        return getattr(self.endpointer, name)


def endpointer(rules=RULES):
    return Ear(rules)


def events_of(drawing, rules=RULES, after_ms=None):
    """Return the events of a drawing. `after_ms`: when the wait for the caller begins, or None for no wait."""
    told = endpointer(rules)
    if after_ms is not None:
        told.await_input(after_ms)
    return [event for frame in Timeline(drawing).frames for event in told.push(frame)]


def utterances_of(drawing, rules=RULES):
    """Return each utterance: its audio, the times of its first voiced frame and of its end, and the reason of the end.

    An open utterance reaches to the end of the drawing, and its reason is None.
    """
    found = []
    for event in events_of(drawing, rules):
        match event:
            case SpeechStarted():
                found.append((event.pre_roll, event.at_ms, 20 * len(drawing), None))
            case SpeechContinued():
                audio, *rest = found[-1]
                found[-1] = (audio + event.mulaw, *rest)
            case SpeechEnded():
                found[-1] = (*found[-1][:2], event.at_ms, event.reason)
    return found


def test_silence_is_nothing():
    assert events_of("." * 100) == []


def test_a_noise_shorter_than_the_onset_is_nothing():
    assert events_of("...v...v.v...") == []


def test_an_utterance_opens_after_the_onset_with_its_pre_roll():
    line = Timeline(".....vv")
    assert events_of(".....vv") == [SpeechStarted(100, line.mulaw(40, 140))]


def test_at_the_start_of_a_stream_there_is_less_before():
    assert events_of(".vv") == [SpeechStarted(20, Timeline(".vv").mulaw())]


def test_without_pre_roll_an_utterance_starts_with_its_onset():
    rules = EndpointingRules(onset_ms=40, pre_roll_ms=0, hangover_ms=80, max_utterance_ms=400)
    assert events_of("...vv", rules) == [SpeechStarted(60, Timeline("...vv").mulaw(60, 100))]


def test_each_frame_of_an_open_utterance_is_handed_on_at_once():
    line = Timeline(".....vvv.v")
    assert events_of(".....vvv.v")[1:] == [SpeechContinued(frame) for frame in line.frames[7:]]


def test_an_utterance_ends_after_the_hangover():
    assert utterances_of("....vvv......") == [(Timeline("....vvv....").mulaw(20), 80, 220, EndReason.HANGOVER)]


def test_a_pause_shorter_than_the_hangover_ends_no_utterance():
    assert [end for _, _, end, _ in utterances_of("....vvv...v....")] == [300]


def test_one_voiced_frame_starts_the_hangover_anew():
    assert [end for _, _, end, _ in utterances_of("vv...v...v...v....")] == [360]


def test_an_utterance_ends_at_its_longest():
    ((audio, started_ms, ended_ms, reason),) = utterances_of("....." + "v" * 17 + ".")
    assert (len(audio) // 8, started_ms, ended_ms, reason) == (400, 100, 440, EndReason.MAX_LENGTH)


def test_speech_past_the_longest_utterance_opens_another():
    """A caller who speaks on after the longest utterance is heard in another one, without a hole."""
    drawing = "...." + "v" * 60
    utterances = utterances_of(drawing)
    assert [reason for *_, reason in utterances] == [EndReason.MAX_LENGTH] * 3 + [None]
    assert b"".join(audio for audio, *_ in utterances) == Timeline(drawing).mulaw(20)


def test_hangover_and_longest_at_the_same_frame_are_a_hangover():
    assert [reason for *_, reason in utterances_of("..." + "v" * 13 + "....")] == [EndReason.HANGOVER]


def test_pre_roll_never_reaches_into_the_utterance_before():
    drawing = "vv.....vv"
    first, second = utterances_of(drawing)
    assert first[0] == Timeline(drawing).mulaw(0, 120)
    assert second[0] == Timeline(drawing).mulaw(120)


def test_media_time_is_the_length_of_the_frames():
    told = endpointer()
    for frame in Timeline("." * 7).frames:
        told.push(frame)
    assert told.now_ms == 140


# -- over a prompt: 300 ms, with pauses of up to 120 ms, two thirds of it voiced

OVER_A_PROMPT = Listening(onset_ms=300, gap_ms=120)


def interrupted_ms(drawing):
    """Return when the caller of a drawing interrupts a prompt, and when they began to speak; None if they do not."""
    told = endpointer(EndpointingRules(longest_onset_ms=420))
    for frame in Timeline(drawing).frames:
        for event in told.push(frame, OVER_A_PROMPT):
            assert event.pre_roll == Timeline(drawing).mulaw(max(0, event.at_ms - 500), told.now_ms)
            return told.now_ms, event.at_ms
    return None


@pytest.mark.parametrize(
    ("drawing", "expected"),
    [
        ("...." + "v" * 20, (380, 80)),
        ("...." + "v" * 10 + "." * 40, (380, 80)),
        ("...." + "v" * 9 + "." * 40, None),
        (
            "....vvvvv......vvvvvvvvvvv",
            (400, 80),
        ),  # "what time" opens once 200 ms are voiced, and reaches back to its first frame
        ("....vvvvvvvvvv......vvvvv", (380, 80)),  # 300 ms are over in the middle of a "t"
        ("....vvvvvvvvvv.......vvvvv", (380, 80)),
        ("....vvvvvvvv" + "." * 40, None),  # one cough
        ("....vvvvvvvv.......vvvvvvvv" + "." * 40, None),  # two coughs
        ("...." + "v......" * 3 + "." * 40, None),  # clicks
    ],
)
def test_speech_over_a_prompt_is_heard_in_spite_of_pauses(drawing, expected):
    assert interrupted_ms(drawing) == expected


def test_an_utterance_opened_in_a_pause_ends_after_its_voice():
    """An utterance that opens in a pause ends the hangover after its voice."""
    told = endpointer(EndpointingRules(longest_onset_ms=420))
    ends = [
        event.at_ms
        for frame in Timeline("v" * 12 + "." * 60).frames
        for event in told.push(frame, OVER_A_PROMPT)
        if isinstance(event, SpeechEnded)
    ]
    assert ends == [12 * 20 + 700]


# -- no input


def test_a_caller_not_awaited_may_be_silent_for_ever():
    assert events_of("." * 200) == []


def test_an_awaited_caller_who_is_silent_gives_no_input():
    assert events_of("." * 29, after_ms=0) == []
    assert events_of("." * 100, after_ms=0) == [NoInput(600)]


def test_awaiting_starts_when_the_prompt_has_been_heard():
    assert events_of("." * 100, after_ms=410) == [NoInput(1020)]


def test_a_short_noise_is_no_input():
    assert events_of("." * 10 + "v" + "." * 40, after_ms=0) == [NoInput(600)]


def test_a_caller_just_beginning_to_speak_is_not_interrupted():
    events = events_of("." * 29 + "vv...", after_ms=0)
    assert [type(event) for event in events] == [SpeechStarted] + [SpeechContinued] * 3


def test_if_it_was_only_a_noise_no_input_comes_after_it():
    assert events_of("." * 29 + "v....", after_ms=0) == [NoInput(620)]


def test_speech_calls_the_waiting_off():
    events = events_of("." * 10 + "vv" + "." * 200, after_ms=0)
    assert not [event for event in events if isinstance(event, NoInput)]


def test_waiting_begins_again_with_the_next_prompt():
    told = endpointer()
    told.await_input(0)
    times = []
    for frame in Timeline("." * 100).frames:
        for event in told.push(frame):
            times.append(event.at_ms)
            told.await_input(100)
    assert times == [600, 1300, 2000]


def test_patience_may_be_another_for_one_prompt():
    told = endpointer()
    told.await_input(100, no_input_ms=200)
    assert [event for frame in Timeline("." * 40).frames for event in told.push(frame)] == [NoInput(300)]


def test_no_input_can_be_put_off_while_it_is_awaited():
    told = endpointer()
    told.extend_wait(1000)  # nothing is awaited yet
    told.await_input(0)
    told.extend_wait(40)
    assert [event for frame in Timeline("." * 40).frames for event in told.push(frame)] == [NoInput(640)]


def test_a_caller_no_longer_awaited_may_be_silent_for_ever():
    told = endpointer()
    told.await_input(0)
    told.stop_waiting()
    assert [event for frame in Timeline("." * 100).frames for event in told.push(frame)] == []


# -- while a prompt plays, under other conditions


def started_of(drawing, listening):
    """Return, for each utterance of a drawing, when it opened and when its first voiced frame was."""
    told = endpointer()
    return [
        (told.now_ms, event.at_ms)
        for frame in Timeline(drawing).frames
        for event in told.push(frame, listening)
        if isinstance(event, SpeechStarted)
    ]


def test_where_nothing_may_be_said_nothing_opens_until_it_may():
    told, line = endpointer(), Timeline("..vvvvvv")
    for frame in line.frames[:-1]:
        assert told.push(frame, Listening(onset_ms=None)) == []
    (started,) = told.push(line.frames[-1])
    assert started.at_ms == 40


def test_a_frame_that_is_no_louder_than_the_echo_is_not_voiced():
    assert started_of("..vvvv", Listening(onset_ms=40, echo_rms=8000)) == []
    assert started_of("..vvvv", Listening(onset_ms=40, echo_rms=7000)) == [(80, 40)]
    assert started_of("......", Listening(onset_ms=40, echo_rms=1)) == []


def test_an_echo_does_not_keep_an_utterance_open():
    told = endpointer()
    for frame in Timeline("vv").frames:
        told.push(frame)
    events = [event for frame in Timeline("vvvv").frames for event in told.push(frame, Listening(40, echo_rms=8000))]
    assert events[-1] == SpeechEnded(120, EndReason.HANGOVER, silent_ms=80)


def test_what_may_become_an_utterance_is_told():
    told = endpointer()
    voiced = []
    for frame in Timeline("..v.vvvv....").frames:
        told.push(frame)
        voiced.append("v" if told.is_voiced else ".")
    assert "".join(voiced) == "..v.v......."  # the second is one


# -- the tone of a key


def test_a_tone_is_no_speech_and_puts_off_no_input():
    told = endpointer()
    told.await_input(0)
    line = [MULAW_SILENCE * MULAW_FRAME_BYTES] * 20 + [KEY_TONE] * 8 + [MULAW_SILENCE * MULAW_FRAME_BYTES] * 60
    events = [event for frame in line for event in told.push(frame)]
    assert events == [NoInput(20 * 28 + RULES.no_input_ms)]


def test_a_tone_puts_nothing_off_where_nobody_is_awaited():
    told = endpointer()
    assert [event for _ in range(100) for event in told.push(KEY_TONE)] == []


def test_a_tone_that_was_taken_for_speech_is_forgotten():
    told = endpointer()
    events = []
    for number, frame in enumerate(Timeline("..vvvvvv....").frames):
        events += told.push(frame)
        if number == 5:
            told.drop()
    assert [type(event) for event in events] == [SpeechStarted, SpeechContinued, SpeechContinued]


def test_after_a_tone_nothing_opens_before_the_line_was_unvoiced():
    told = endpointer()
    told.drop()
    line = Timeline("vvvvvvvv.vv")
    events = [event for frame in line.frames for event in told.push(frame)]
    assert [(type(event), event.at_ms) for event in events] == [(SpeechStarted, 180)]


# -- properties of any audio

DRAWINGS = st.lists(
    st.tuples(st.sampled_from("v."), st.integers(1, 30)).map(lambda run: run[0] * run[1]), max_size=25
).map("".join)
MANY_RULES = st.builds(
    EndpointingRules,
    onset_ms=st.integers(1, 5).map(lambda frames: 20 * frames),
    pre_roll_ms=st.integers(0, 10).map(lambda frames: 20 * frames),
    hangover_ms=st.integers(1, 10).map(lambda frames: 20 * frames),
    max_utterance_ms=st.integers(16, 60).map(lambda frames: 20 * frames),
)


@examples(60)
@given(DRAWINGS, MANY_RULES)
def test_utterances_are_slices_of_the_input_that_never_overlap(drawing, rules):
    line, free_from_ms = Timeline(drawing), 0
    for audio, started_ms, ended_ms, reason in utterances_of(drawing, rules):
        from_ms = max(free_from_ms, started_ms - rules.pre_roll_ms)
        assert audio == line.mulaw(from_ms, ended_ms)
        assert ended_ms - from_ms <= rules.max_utterance_ms
        assert drawing[started_ms // 20 :].startswith("v" * (rules.onset_ms // 20))
        if reason is EndReason.HANGOVER:
            assert drawing[: ended_ms // 20].endswith("." * (rules.hangover_ms // 20))
        free_from_ms = ended_ms


@examples(60)
@given(DRAWINGS, MANY_RULES)
def test_no_speech_of_an_onsets_length_is_missed(drawing, rules):
    """Every run of voiced frames that is long enough lies, from its first frame, in some utterance."""
    heard = [(ended_ms - len(audio) // 8, ended_ms) for audio, _, ended_ms, _ in utterances_of(drawing, rules)]
    onset = "v" * (rules.onset_ms // 20)
    for number in range(len(drawing)):
        if drawing.startswith(onset, number):
            assert any(from_ms <= 20 * number < to_ms for from_ms, to_ms in heard)


@pytest.mark.parametrize(
    "rules",
    [EndpointingRules(), EndpointingRules(onset_ms=1000, pre_roll_ms=2000, max_utterance_ms=3020)],
    ids=["the defaults", "a beginning that is almost as long as the longest"],
)
def test_no_utterance_is_longer_than_the_longest(rules):
    drawing = "." * 150 + "v" * 1000
    lengths = [len(audio) // 8 for audio, *_ in utterances_of(drawing, rules)]
    assert len(lengths) > 1
    assert max(lengths) == rules.max_utterance_ms


@examples(60)
@given(DRAWINGS, st.sampled_from(Expected), st.integers(8, 60).map(lambda frames: 20 * frames))
def test_no_utterance_ends_before_it_was_said_to_be_able_to(drawing, expected, max_utterance_ms):
    rules = replace(LISTENING_RULES, max_utterance_ms=max_utterance_ms)
    told, least_ms = endpointer(rules), 0
    told.expect(expected)
    for frame in Timeline(drawing).frames:
        events = told.push(frame)
        if any(isinstance(event, SpeechEnded) for event in events):
            assert told.now_ms >= least_ms
            least_ms = 0
        if told.is_open:
            least_ms = max(least_ms, told.endpointer.open_until_ms)
            assert least_ms > told.now_ms
        else:
            assert told.endpointer.open_until_ms == told.now_ms


def test_the_end_is_known_once_the_caller_is_silent():
    told = endpointer(LISTENING_RULES)
    assert told.endpointer.open_until_ms == told.now_ms == 0  # none is open
    for frame in Timeline("v" * 20 + ".").frames:
        told.push(frame)
    assert told.endpointer.open_until_ms == told.now_ms + 100  # as short as it could be after one more voiced frame
    for frame in Timeline("." * 16).frames:
        told.push(frame)
    assert told.is_open
    assert told.endpointer.open_until_ms == 20 * 20 + 400


# -- the hangover by what was asked and how the caller speaks

LISTENING_RULES = EndpointingRules(
    onset_ms=40, pre_roll_ms=0, hangover_ms=200, hangover_min_ms=100, hangover_max_ms=400, max_utterance_ms=8000
)


@pytest.mark.parametrize(
    ("expected", "drawing", "silent_ms"),
    [
        (Expected.CLOSED, "vv", 100),
        (Expected.CLOSED, "v" * 51, 200),
        (Expected.DIGITS, "v" * 80, 400),
        (Expected.OPEN, "vv", 400),
        (Expected.OPEN, "v" * 75, 200),
        (Expected.OPEN, "v" * 80 + "." * 8 + "vv", 200),  # 160 ms are too short for a pause
        (Expected.CLOSED, "v" * 3 + "...." + "v" * 3, 100),
        (Expected.DIGITS, "v" * 70 + "." * 12 + "vv", 400),
    ],
)
def test_the_hangover_is_what_was_asked_and_how_they_speak(expected, drawing, silent_ms):
    told = endpointer(LISTENING_RULES)
    told.expect(expected)
    events = [event for frame in Timeline(drawing + "." * 30).frames for event in told.push(frame)]
    assert events[-1] == SpeechEnded(20 * len(drawing) + silent_ms, EndReason.HANGOVER, silent_ms)


def test_an_open_utterance_answers_what_was_asked_before_it():
    told = endpointer(LISTENING_RULES)
    frames = iter(Timeline("v" * 10 + "." * 30 + "v" * 10 + "." * 30).frames)
    started = [told.push(next(frames)) for _ in range(2)][-1]
    told.expect(Expected.DIGITS)  # before its first frame
    told.push(next(frames))
    told.expect(Expected.CLOSED)
    ended = [event for frame in frames for event in told.push(frame) if isinstance(event, SpeechEnded)]
    assert len(started) == 1
    assert [event.silent_ms for event in ended] == [400, 100]


def test_a_pause_allows_more_pauses_in_this_utterance_only():
    told = endpointer(EndpointingRules(onset_ms=40, pre_roll_ms=0, hangover_ms=300, hangover_max_ms=600))
    drawing = "v" * 80 + "." * 12 + "vv" + "." * 40 + "v" * 80 + "." * 40
    ended = [e for frame in Timeline(drawing).frames for e in told.push(frame) if isinstance(e, SpeechEnded)]
    assert [event.silent_ms for event in ended] == [520, 300]  # 240 ms * 1.3 + 200 ms, whole frames


def test_ringing_is_no_speech_and_no_sign_of_the_caller():
    told = endpointer()
    told.await_input(0)
    events = [event for _ in range(35) for event in told.push(encode_mulaw(sines(440, 480)))]
    assert events == [NoInput(600)]


def test_one_question_may_have_its_own_lengths():
    told = endpointer(EndpointingRules(onset_ms=40, hangover_ms=80, hangover_max_ms=400, max_utterance_ms=1000))
    told.expect(Expected.OPEN, hangover_ms=160, max_utterance_ms=600)
    frames = Timeline("v" * 10 + "." * 20 + "v" * 60).frames
    ends = [event for frame in frames for event in told.push(frame) if isinstance(event, SpeechEnded)]
    assert [(end.reason, end.at_ms) for end in ends[:1]] == [(EndReason.HANGOVER, 200 + 160)]
    assert ends[1].reason is EndReason.MAX_LENGTH
    told.expect(Expected.OPEN)
    (end,) = [
        event for frame in Timeline("." * 20).frames for event in told.push(frame) if isinstance(event, SpeechEnded)
    ]
    assert end.silent_ms == 160  # it answers the question before


def test_keys_put_the_reprompt_off_for_the_whole_silence():
    told = endpointer()
    told.await_input(0, 200)
    for frame in [MULAW_SILENCE * MULAW_FRAME_BYTES] * 4 + [KEY_TONE] * 2 + [MULAW_SILENCE * MULAW_FRAME_BYTES] * 9:
        assert told.push(frame) == []
    assert told.push(MULAW_SILENCE * MULAW_FRAME_BYTES) == [NoInput(320)]
