"""One call of the sweep of faults: the caller says something, the fault strikes, and the caller listens."""

import itertools
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, field, replace

import gevent

from bench.harness.lateness import Lateness
from bench.stress.faults.cases import ANSWER, CALL_UPDATE, Case, Outcome, Setup
from bench.stress.faults.service import REAL_TIME, ServiceUnderTest, Timing, running
from bench.stress.faults.verdict import Result, Turn, judge, judge_end
from bench.stress.faults.voices import PHRASES, NoiseVoice, ToneVoice, position_of
from lexbridge.errors import LexRejected, LexUnavailable
from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.lex.faults import LexFault
from lexbridge.offline.report.silences import longest_silence_s, waits
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import (
    BotBegan,
    BotFinished,
    StreamClosed,
    StreamOpened,
    UpdateReceived,
    UpdateRefused,
)
from lexbridge.phrases.catalogue import phrases_for

PATIENCE_S = 16.0
"""Longest wait of the caller for an answer, seconds.

The limits are far stricter; the table is to tell by how much they are missed.
"""

QUIET_S = 0.5
"""Silence of the bot, seconds, after which it has said all that it has to say, and hung up if it is going to."""

HANGS_UP_WITHIN_S = 2.0
"""Longest time from the words that end a call to its end, seconds."""

LOOK_EVERY_S = 0.1
OWN_PHRASES = 6
"""Number of phrases that lexbridge has Lex speak for it in stream mode."""

LEXBRIDGE_SAYS = phrases_for("en_US")
NOT_AVAILABLE = LEXBRIDGE_SAYS.named(LexRejected.apology)
ASKED_FOR_KINDS = "What type of flowers"
"""Words of the bot that the caller answers with the second phrase."""


class Conversation:
    """Call of one case, through a service of its own whose Lex speaks with `voice`.

    `patience_s`: longest wait for an answer, on the clock; half of it where no answer may come.
    """

    def __init__(
        self,
        case: Case,
        service: ServiceUnderTest,
        voice: NoiseVoice,
        patience_s: float = PATIENCE_S,
        setup: Setup = CALL_UPDATE,
    ) -> None:
        self._setup = setup
        self._voice = voice
        self._case = case
        self._service = service
        self._patience_s = patience_s / 2 if "nothing" in case.expected else patience_s
        self._caller = SimulatedCaller(ToneVoice())
        self._call: PhoneCall | None = None

    def run(self) -> Result:
        """Make the whole call. What went wrong is in the result."""
        result = Result(self._case)
        try:
            self._talk(result)
        except Exception as error:
            result.problems.append(f"{type(error).__name__}: {error}"[:300])
        finally:
            self._end_faults()
            self._end_call(result)
        return result

    def _talk(self, result: Result) -> None:
        case = self._case
        self._deny_own_voice()
        call = self._call = self._service.place_call(self._caller)
        call.wait_for(StreamOpened, self._patience_s)
        call.wait_for(BotFinished, self._patience_s)
        self._await_own_voice()
        gevent.sleep(0.5 * call.pace)
        self._arm(call)
        result.first = self._take_turn(call, PHRASES[0])
        result.hits = self._hits()
        self._end_faults()
        judge(result, result.first, case.expected)
        if case.call_is_over:
            result.problems += self._later_updates(call)
        elif call.over is None and not self._talks_on():
            phrase = PHRASES[ASKED_FOR_KINDS in result.first.text]
            result.second = self._take_turn(call, phrase)
            judge(result, result.second, ANSWER)

    def _talks_on(self) -> bool:
        return self._case.talks_on and self._setup.reply_mode == "stream"

    def _deny_own_voice(self) -> None:
        """Have Lex refuse lexbridge's own phrases, or return no audio for them, if that is the setup."""
        faults = self._service.lex.faults
        if self._setup.put_session == "refused":
            faults.append(LexFault(operation="PutSession", status=403, times=None))
        if self._setup.put_session == "empty":
            faults.append(LexFault(operation="PutSession", kind="voiceless", times=None))

    def _await_own_voice(self) -> None:
        """Wait until lexbridge has asked for its own phrases, or has given up."""
        if self._setup.reply_mode == "stream":
            awaited = 1 if self._setup.put_session == "refused" else OWN_PHRASES
            _wait_until(lambda: self._phrase_requests() >= awaited, 20, "the service to ask for its phrases")

    def _phrase_requests(self) -> int:
        puts = [request for request in self._service.lex.requests if request.operation == "PutSession"]
        return sum(request.answered is not None or request.status is not None for request in puts)

    def _arm(self, call: PhoneCall) -> None:
        case = self._case
        if case.lex is not None:
            # Beside a fault of REST, Lex fails just once: so that Twilio has to be asked to speak.
            times = 1 if case.rest is not None else case.times
            self._service.lex.faults.append(replace(case.lex, times=times, session=call.sid))
        if case.rest is not None:
            self._service.twilio.rest_faults.extend([replace(case.rest, call_sid=call.sid)] * case.times)

    def _end_faults(self) -> None:
        self._service.lex.faults.clear()
        self._service.twilio.rest_faults.clear()

    def _hits(self) -> int:
        if self._case.rest is None:
            turns = [request for request in self._service.lex.requests if request.operation != "PutSession"]
            return sum(request.fault is not None for request in turns)
        return self._case.times - len(self._service.twilio.rest_faults)

    def _take_turn(self, call: PhoneCall, phrase: str) -> Turn:
        """Say `phrase` and listen until the bot has answered, or cannot any more."""
        before, began = len(waits(call)), position_of(call)

        def settled() -> tuple[float, str] | None:
            return _first_answer(self._voice.heard(call, began))

        self._caller.say(phrase)
        _wait_until(lambda: len(waits(call)) > before, 10, "the caller to speak")
        _wait_until(lambda: not self._caller.is_speaking or call.over is not None, 10, "the caller to fall silent")
        by_s = time.monotonic() + self._patience_s
        while time.monotonic() < by_s and call.over is None and not settled():
            gevent.sleep(LOOK_EVERY_S)
        if settled() and not self._talks_on():
            _wait_until(lambda: call.over is not None or _is_quiet(call), 30, "the bot to fall silent")
        if (answer := settled()) and answer[1].startswith(NOT_AVAILABLE):
            # The service tells Twilio to end the call only after the words have been heard.
            with suppress(TimeoutError):
                call.wait(HANGS_UP_WITHIN_S)
        return self._turn(call, waits(call)[-1].ended_s, self._voice.heard(call, began))

    def _turn(self, call: PhoneCall, ended_s: float, heard: Sequence[tuple[float, str]]) -> Turn:
        """Return what came after the caller fell silent at `ended_s`, as the caller has `heard` it."""
        answer = _first_answer(heard)
        until_s = answer[0] if answer else call.line_s(time.monotonic())
        return Turn(
            outcome=_outcome(answer[1] if answer else "", is_over=call.over is not None),
            voice_s=max(0.0, heard[0][0] - ended_s) if heard else None,
            settled_s=max(0.0, answer[0] - ended_s) if answer else None,
            silence_s=longest_silence_s(call, ended_s, until_s),
            text=answer[1] if answer else "",
        )

    @staticmethod
    def _later_updates(call: PhoneCall) -> list[str]:
        """Return a problem if the service updated the call after Twilio had said that the call is over.

        In fact the call goes on here. So Twilio tells the service that the stream was closed, and the service may
        well resume the call then: updates after the close of the stream do not count.
        """
        refused, *after = itertools.dropwhile(lambda event: not isinstance(event, UpdateRefused), call.events)
        tried = itertools.takewhile(lambda event: not isinstance(event, StreamClosed), after)
        again = any(isinstance(event, UpdateReceived | UpdateRefused) for event in tried)
        return [f"updates a call that is over: {refused}"] if again else []

    def _end_call(self, result: Result) -> None:
        """Hang up, if the bot did not, and wait until the service has nothing left of the call."""
        if self._call is not None:
            self._call.hang_up()
            try:
                self._call.wait(10)
                _wait_until(lambda: self._service.calls.live_calls == 0, 10, "the service to let the call go")
            except TimeoutError as error:
                result.problems.append(str(error)[:200])
        judge_end(result)


@dataclass(frozen=True, slots=True)
class Options:
    """Settings of the calls of a sweep."""

    setup: Setup = CALL_UPDATE
    timing: Timing = REAL_TIME
    patience_s: float = PATIENCE_S
    lateness: Lateness | None = None
    settings: dict[str, str] = field(default_factory=dict)


def run_cases(chosen: Sequence[Case], options: Options) -> list[Result]:
    """Make the calls of the `chosen` cases, all at once, and return their results."""
    with ExitStack() as stack:
        conversations = []
        for case in chosen:
            voice = NoiseVoice()
            settings = {"REPLY_MODE": options.setup.reply_mode, **options.settings}
            service = stack.enter_context(running(voice, ToneVoice(), options.timing, **settings))
            conversations.append(Conversation(case, service, voice, options.patience_s, options.setup))
        with options.lateness or nullcontext():
            greenlets = [gevent.spawn(conversation.run) for conversation in conversations]
            gevent.joinall(greenlets)
        return [greenlet.get() for greenlet in greenlets]


def _is_quiet(call: PhoneCall) -> bool:
    """Whether the bot has been silent for a moment: what it said was all."""
    voices = [event for event in call.events if isinstance(event, BotBegan | BotFinished)]
    is_silent = isinstance(voices[-1], BotFinished)
    return is_silent and call.now_s() - voices[-1].at_s > QUIET_S * call.pace


def _first_answer(heard: Sequence[tuple[float, str]]) -> tuple[float, str] | None:
    """Return time and text of the first thing heard that is no filler ("One moment please"), or None."""
    return next(((at_s, text) for at_s, text in heard if text != LEXBRIDGE_SAYS.one_moment), None)


def _outcome(text: str, *, is_over: bool) -> Outcome:
    if not text:
        return "nothing"
    if text.startswith(NOT_AVAILABLE) and is_over:
        return "goodbye"
    if text.startswith((LEXBRIDGE_SAYS.named(LexUnavailable.apology), NOT_AVAILABLE)):
        return "apology"
    return "answer"


def _wait_until(holds: Callable[[], bool], timeout_s: float, what: str) -> None:
    by_s = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > by_s:
            raise TimeoutError(f"waited {timeout_s:g} s for {what}")
        gevent.sleep(0.02)
