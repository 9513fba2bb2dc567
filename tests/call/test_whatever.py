"""Events of a call in any order: what a CallSession never does, and what it always does in the end."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.audio.pcm import decode_mulaw
from lexbridge.call.actions import UpdateCall
from lexbridge.call.attributes import (
    ACTION_ATTRIBUTE,
    ALLOW_INTERRUPT_ATTRIBUTE,
    END_TIMEOUT_ATTRIBUTE,
    MAX_LENGTH_ATTRIBUTE,
    NO_INPUT_LIMIT_ATTRIBUTE,
    NO_INPUT_S_ATTRIBUTE,
    TRANSFER_TO_ATTRIBUTE,
    VOICE_ATTRIBUTE,
)
from lexbridge.call.events import NextStreamOpened
from lexbridge.call.output.call_update import LONGEST_KEYS_MS
from lexbridge.call.replies import MAX_FAILED_TURNS
from lexbridge.call.states import CallState
from lexbridge.call.stream_parameters import (
    FAILED_TURNS_PARAMETER,
    HANDED_OVER,
    KEYED,
    KEYS_PARAMETER,
    LOST,
    NO_INPUTS_PARAMETER,
    PROMPT_PARAMETER,
    REPROMPTS_PARAMETER,
    RESUMED_PARAMETER,
    SPOKEN_PARAMETER,
)
from lexbridge.errors import LexRejected, LexUnavailable
from lexbridge.lex.model import DialogState, Message, Reply
from tests.support.caller import NEXT_STREAM, Caller
from tests.support.property_tests import examples
from tests.support.sounds import tone
from tests.support.twilio_messages import dtmf_text
from tests.support.twiml import outline
from tests.support.watched_caller import FILLER_S, NO_INPUT_S, WatchedCaller

NUMBER = "+12065550100"
PHRASES = ("One moment please.", "Sorry, I did not hear anything.", "Sorry, this service is not available.")
PHRASE_AUDIO = {words: tone(200) for words in PHRASES} | {"Goodbye.": b""}


@dataclass(frozen=True)
class Step:
    """A step of a story."""

    does: Callable[..., object]
    values: tuple[Any, ...]

    def __call__(self, caller):
        self.does(caller, *self.values)

    def __repr__(self):
        return f"{self.does.__name__}{self.values}"


def step(does, *options):
    """Make a strategy of steps by which `does` happens in one of several ways."""
    return st.sampled_from([Step(does, values) for values in product(*options)])


def says_a_word(caller):
    caller.speaks(320)
    caller.is_silent(720)


def is_long_silent(caller):
    caller.is_silent(1600)


def presses_before_its_tone(caller, key):
    caller.sends(dtmf_text(key))


def hears_an_answer(caller, reply, ms):
    caller.is_answered(reply, speaks=True)
    caller.hears_more_of_lex(ms)


def hears_an_answer_out(caller, reply):
    hears_an_answer(caller, reply, 1600)
    caller.hears_the_last_of_lex()
    caller.is_silent(600)


def is_interrupted_by_mistake(caller, reply):
    hears_an_answer_out(caller, reply)
    says_a_word(caller)
    caller.is_answered(NO_WORDS, speaks=True)
    caller.is_silent(100)


def presses_a_key_over_the_answer(caller, key, reply):
    says_a_word(caller)
    presses_before_its_tone(caller, key)
    caller.is_answered(reply, speaks=True)
    is_long_silent(caller)
    is_long_silent(caller)


def says_too_much_in_two_pieces(caller, ms, reply):
    """Say two pieces that together fill a turn just before, or after, the caller is done."""
    caller.speaks(1000)
    caller.is_silent(720)
    caller.speaks(500)
    caller.is_answered(REPLIES[0], speaks=True)
    caller.speaks(ms)
    caller.is_silent(500)
    caller.is_answered(reply, speaks=True)
    caller.is_silent(320)


def lex_gives_up(caller, error):
    if caller.in_flight is not None:
        caller.lex_fails(error, caller.in_flight)


def gets_marks_again(caller, some):
    caller.gets_marks(caller.marks_sent[-some:])


def has_to_go(caller):
    caller.has_to_leave()


def may_go_to(caller, opening):
    caller.sends(NextStreamOpened(opening))


def marks_come_back(caller, come):
    caller.marks_come_back = come


def has_an_echo(caller, echo):
    caller.echo = echo


ASKS = (DialogState.ELICIT_SLOT, "OrderFlowers")
CLOSES = (DialogState.FAILED, "OrderFlowers")
BYE = (DialogState.FULFILLED, "GoodbyeIntent")


ATTRIBUTES = [
    *[{}] * 6,
    {ACTION_ATTRIBUTE: "hangup"},
    {ACTION_ATTRIBUTE: "transfer", TRANSFER_TO_ATTRIBUTE: NUMBER},
    {ACTION_ATTRIBUTE: "transfer", TRANSFER_TO_ATTRIBUTE: "911", VOICE_ATTRIBUTE: "Polly.Vicki"},
    {NO_INPUT_S_ATTRIBUTE: "1", NO_INPUT_LIMIT_ATTRIBUTE: "1"},
    {NO_INPUT_S_ATTRIBUTE: "for ever"},
    {ALLOW_INTERRUPT_ATTRIBUTE: "false"},
    {END_TIMEOUT_ATTRIBUTE: "300"},
    {MAX_LENGTH_ATTRIBUTE: "2"},
]


REPLIES = [
    Reply(
        state,
        tuple(map(Message, texts)),
        intent,
        session_attributes=attributes,
        transcript=transcript,
        checkpoint={"state": state.value},
    )
    for (state, intent), texts, attributes, transcript in product(
        [*[ASKS] * 6, CLOSES, BYE],
        [("Which day?",), ("Okay.", "Which day?"), (PHRASES[0],), ()],
        ATTRIBUTES,
        ["tomorrow", "tomorrow", None],
    )
]


FAREWELL = Reply(BYE[0], (Message("Thank you."),), BYE[1], transcript="bye")
NO_WORDS = Reply(DialogState.ELICIT_SLOT, (Message("Sorry?"),), transcript="")
LENGTHS = [20, 40, 100, 160, 320, 500, 900]


CALLERS_STEPS = [
    step(Caller.speaks, LENGTHS),
    step(Caller.is_silent, LENGTHS),
    step(says_a_word),
    step(says_a_word),
    step(is_long_silent),
    step(presses_before_its_tone, "15*#A"),
    step(Caller.presses, ["1", "1#", "#"]),
    step(presses_a_key_over_the_answer, "1#", [FAREWELL, REPLIES[0]]),
    step(says_too_much_in_two_pieces, [900, 1400], [NO_WORDS, REPLIES[0]]),
]


LEXS_STEPS = [
    step(WatchedCaller.is_answered, REPLIES, [False, True]),
    step(hears_an_answer, REPLIES, LENGTHS),
    step(hears_an_answer_out, REPLIES),
    step(hears_an_answer_out, REPLIES),
    step(is_interrupted_by_mistake, REPLIES),
    step(WatchedCaller.hears_more_of_lex, LENGTHS),
    step(WatchedCaller.hears_the_last_of_lex, [False, False, True]),
    step(lex_gives_up, [*[LexUnavailable("no answer")] * 4, LexRejected("no such bot")]),
    step(WatchedCaller.is_not_restored),
    step(WatchedCaller.gets_what_is_late, range(1, 7)),
    step(WatchedCaller.gets_session, [None, "", *REPLIES[:8]]),
]


TWILIOS_STEPS = [
    step(WatchedCaller.gets_an_update),
    step(WatchedCaller.misses_an_update),
    step(gets_marks_again, range(1, 10)),
    step(WatchedCaller.gets_marks, [["", "turn-1.1:7"], ["turn-1.1:x", "turn-9.1:end"]]),
    step(marks_come_back, [False, True, True]),
    step(has_an_echo, [None, (100, -20), (400, -3)]),
    step(Caller.sends, ['{"event": "new"}', '{"event": "connected", "protocol": "Call", "version": "1.0.0"}']),
    step(has_to_go),
    step(may_go_to, [None, NEXT_STREAM]),
]


STEPS = st.one_of(*CALLERS_STEPS * 2, *LEXS_STEPS * 2, *TWILIOS_STEPS)
ENDS = st.sampled_from([Caller.hangs_up, Caller.is_cut_off, Caller.is_gone])


STARTS = st.sampled_from(
    [
        *[{}] * 4,
        {"shop": "7"},
        {RESUMED_PARAMETER: LOST},
        {RESUMED_PARAMETER: KEYED, KEYS_PARAMETER: "12"},
        {RESUMED_PARAMETER: HANDED_OVER, FAILED_TURNS_PARAMETER: "2", NO_INPUTS_PARAMETER: "1", "shop": "7"},
        {RESUMED_PARAMETER: HANDED_OVER, SPOKEN_PARAMETER: "900", PROMPT_PARAMETER: "01234567"},
        {RESUMED_PARAMETER: HANDED_OVER, SPOKEN_PARAMETER: "900", REPROMPTS_PARAMETER: "900 0"},
    ]
)


VARIABLES = st.fixed_dictionaries(
    {
        "BARGE_IN": st.sampled_from(["on", "on", "off"]),
        "NO_INPUT_LIMIT": st.sampled_from(["0", "3"]),
        "MAX_UTTERANCE_MS": st.just("4000"),
        "NO_INPUT_S": st.just(str(NO_INPUT_S)),
        "FILLER_S": st.just(str(FILLER_S)),
        "GREETING": st.just("Hello."),
        "TRANSFER_NUMBERS": st.just(NUMBER),
        "VOICE_THRESHOLD": st.just("300"),
    },
    optional={
        "WELCOME": st.just("bot"),
        "JOIN": st.just("on"),
        "MAX_TURNS": st.just("3"),
        "MAX_CALL_S": st.just("10"),
    },
).map(lambda variables: variables | ({"WELCOME_INTENT": "Welcome"} if "WELCOME" in variables else {}))


def a_call(mode, variables, phrase_audio, start):
    caller = WatchedCaller(phrase_audio, **{"REPLY_MODE": mode, **variables})
    caller.dials(start)
    return caller


def ends(caller, end):
    end(caller)
    assert caller.session.state is CallState.ENDED
    assert caller.has_ended
    assert caller.in_flight is None
    assert not caller.speaking
    assert set(caller.ends) == set(range(1, caller.session.turn_count + 1))
    seen = len(caller.actions)
    for turn in range(1, caller.session.turn_count + 1):
        caller.lex_says("Late.", turn=turn, speaks=True)
        caller.lex_speaks(tone(40), turn)
        caller.lex_has_spoken(turn)
        caller.lex_loses_its_voice(turn)
        caller.lex_fails(LexUnavailable("late"), turn)
    for turn in caller.synthesized:
        caller.lex_speaks(tone(40), turn)
        caller.lex_has_spoken(turn)
        caller.lex_loses_its_voice(turn)
    caller.gets_marks(caller.marks_sent)
    caller.lex_tells_session("Which day?")
    caller.does_not_get_the_update()
    caller.presses("1#")
    caller.is_gone()
    assert caller.actions[seen:] == []


@pytest.mark.parametrize("mode", ["stream", "call-update"])
@examples(120)
@given(VARIABLES, st.sampled_from([{}, PHRASE_AUDIO]), STARTS, st.lists(STEPS, min_size=15, max_size=40), ENDS)
def test_whatever_happens_no_rule_is_broken(mode, variables, phrase_audio, start, steps, end):
    caller = a_call(mode, variables, phrase_audio, start)
    for does in steps:
        does(caller)
    ends(caller, end)


@pytest.mark.parametrize("mode", ["stream", "call-update"])
@examples(50)
@given(
    VARIABLES,
    st.sampled_from([{}, PHRASE_AUDIO]),
    STARTS,
    st.lists(STEPS, min_size=8, max_size=25),
    st.booleans(),
    ENDS,
)
def test_whatever_happened_no_caller_is_left_waiting(mode, variables, phrase_audio, start, steps, fails, end):
    """A call ends, moves or asks the caller again, once caller, Lex and Twilio are done with all they began.

    That holds also if Twilio sends no marks back, and does not carry out what was to end the call or to move it.
    """
    caller = a_call(mode, variables, phrase_audio, start)
    for does in steps:
        does(caller)
    caller.marks_come_back = not fails
    caller.settles()
    while fails and caller.updates:
        caller.misses_an_update()
    if caller.last_document is None:
        assert caller.session.state is CallState.LIVE
        silences = [note.fields for note in caller.notes if note.event == "no-input"]
        # A document that has said its goodbye may have been stopped by a key: then the caller has long to press more.
        waits_for_keys = bool(silences) and silences[-1]["by_document"]
        for _ in range((LONGEST_KEYS_MS if waits_for_keys else 0) // 500 + 20):
            caller.is_silent(500)
            caller.gets_session(None)
        assert caller.noted("no-input") > len(silences) or caller.last_document is not None
    ends(caller, end)


SHORTEST_INTERRUPTION_MS = 300
"""Least speech that interrupts a prompt, milliseconds: the default of BARGE_IN_MS."""


class NumberedCaller(WatchedCaller):
    """A caller of whom no two frames sound the same."""

    def __init__(self, phrase_audio, **variables):
        self.frames = []  # voiced, PCM
        super().__init__(phrase_audio, **variables)

    def speaks(self, ms):
        is_too_short = ms < SHORTEST_INTERRUPTION_MS and bool(self.hears_a_prompt or self.speaking)
        for _ in range(ms // 20):
            number = len(self.frames)
            # Loud in mu-law, whatever the number's digits are.
            head = bytes(0x80 + digit for digit in (number // 256, number // 16 % 16, number % 16))
            frame = head + tone(20)[len(head) :]
            # Later it goes to the next stream: speech-ignored tells of it. Over a prompt, a short sound is none.
            if self.session.state is CallState.LIVE and not is_too_short:
                self.frames.append(decode_mulaw(frame))
            self._talks(frame, 20)

    def spoken_to(self):
        """The turns whose answers were begun to be said to the caller."""
        texts = [text for action in self.actions if isinstance(action, UpdateCall) for text in outline(action.twiml)]
        begun = {int(text.removeprefix("Answer ")) for text in texts if text.startswith("Answer ")}
        return begun | {int(mark.split(".")[0].removeprefix("turn-")) for mark in self.marks_sent}

    def noted_turns(self):
        """The turns of which a log line says that they came to nothing."""
        events = ("turn-failed", "utterance-dropped", "utterance-cut-off", "reply-audio-failed")
        return {note.fields["turn"] for note in self.notes if note.event in events}

    def pushed_out(self):
        """The audio of turns that were dropped before any of it went to Lex, because too many waited."""
        dropped = [note.fields for note in self.notes if note.event == "utterance-dropped"]
        turns = {fields["turn"] for fields in dropped if fields["why"] == "too many turns wait for Lex"}
        heard = [note.fields for note in self.notes if note.event == "utterance-ended"]
        return b"".join(
            decode_mulaw(self.said[8 * fields["started_ms"] : 8 * fields["ended_ms"]])
            for fields in heard
            if fields["turn"] in turns
        )


def is_told(caller, state):
    if caller.in_flight is not None and caller.open is None:
        words = (Message(f"Answer {caller.in_flight}"),)
        caller.is_answered(Reply(state, words, "OrderFlowers", transcript="roses", checkpoint={"n": 1}), speaks=True)


def listens(caller):
    """Let the first half second of a prompt pass, in which the caller is not heard."""
    caller.is_silent(700 + 600)


def is_told_nothing(caller):
    if caller.open is None and caller.noted("turn-failed") < MAX_FAILED_TURNS - 1:
        lex_gives_up(caller, LexUnavailable("no answer"))
        listens(caller)


def is_told_twice(caller):
    caller.is_not_restored()
    listens(caller)


def hears_it_out(caller):
    caller.hears_more_of_lex(400)
    caller.hears_the_last_of_lex()
    listens(caller)


PIECES = [
    step(NumberedCaller.speaks, [100, 300, 900, 900, 2500]),
    step(Caller.is_silent, [100, 400, 700, 800]),
    step(is_told, [*[DialogState.ELICIT_SLOT] * 4, DialogState.FAILED]),
    step(hears_it_out),
    step(is_told_nothing),
    step(is_told_twice),
]


@pytest.mark.parametrize(("mode", "barge_in"), [("stream", "on"), ("call-update", "off")])
@examples(150)
@given(st.lists(st.one_of(*PIECES, *PIECES[:3] * 2), min_size=6, max_size=30))
def test_nothing_that_is_said_in_pieces_is_lost_without_a_word(mode, barge_in, steps):
    """Each frame reaches Lex in a request whose answer was spoken, or a log line tells of its turn."""
    phrase_audio = {"Sorry, I did not get that. Please say it again.": tone(200)}
    variables = {"REPLY_MODE": mode, "BARGE_IN": barge_in, "MAX_UTTERANCE_MS": "4000", "NO_INPUT_S": "60"}
    caller = NumberedCaller(phrase_audio, JOIN="on", FILLER_S="60", **variables)
    caller.dials()
    for does in steps:
        does(caller)
    caller.is_silent(800)
    while caller.in_flight is not None or caller.speaking:
        is_told(caller, DialogState.ELICIT_SLOT)
        hears_it_out(caller)
    accounted_for = caller.spoken_to() | caller.noted_turns()
    told_of = b"".join(upload.pcm for upload in caller.uploads if upload.turn in accounted_for)
    told_of += caller.pushed_out()
    assert all(frame in told_of for frame in caller.frames)
