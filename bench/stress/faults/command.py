"""The sweep of faults: whatever Lex or Twilio's REST API does, what does the caller hear, and when?

Each case is a call of its own through a bridge of its own, over real sockets, with the real boto3 and twilio clients,
at the telephone's own pace, for deadlines are in real seconds. The caller says something while the fault is waiting for
it, listens, and says something more. A case passes if

- the turn is answered or apologised for, or the call ended in words, within 6 s of the end of what the caller said;
- neither party is silent for more than 3 s in between;
- the next turn is answered, within the same limits;
- and nothing of the call is left when it is over.

Heard is what sounds: words of Twilio's voice, or audio over the stream that is known again as Lex's or lexbridge's own.
The sweep is made in each reply mode; in stream mode with lexbridge's own phrases spoken by Lex (PutSession), refused
(403) and answered without audio. There REST is not needed for an answer, and so a fault of REST comes with an answer
whose audio cannot be played: Twilio has to say it.

Where nobody can speak (in call-update mode REST is how the bridge speaks: without it there is no voice) the case says
what is expected instead. After the sweep there are as many greenlets and descriptors as before. Exit status 1 when a
limit is missed. What endless answers cost in memory, and others in time, is measured by
`python -m bench odd_answers`.

    python -m bench faults                          # the whole sweep, some minutes for each of four worlds
    python -m bench faults --reply-mode call-update # one of them
    python -m bench faults hang 503                 # the cases with these words in their names
"""

import gc
import itertools
import logging
import math
import os
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import gevent
import numpy as np

from bench.harness.arguments import make_parser
from bench.harness.report import table
from bench.stress.faults.heard import PlainVoice, now

ROOT = Path(__file__).parents[2]

from lexbridge import logs
from lexbridge.errors import LexRejected, LexUnavailable
from lexbridge.lex.runtime import Deadlines
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
from lexbridge.offline.twilio.rest_api import RestFault
from lexbridge.phrases import phrases_for
from lexbridge.twilio.rest import ATTEMPT_DEADLINES_S
from tests.support.rig import Rig, running

VOICE_WITHIN_S = 6.0
SILENCE_AT_MOST_S = 3.0
PATIENCE_S = 16.0
"""How long the caller waits for an answer before saying something else. The limits are far stricter: this is for
knowing by how much they are missed."""

QUIET_S = 0.5
"""A bot that is silent for as long has said all it has to say, and hung up if it is going to."""

HANGS_UP_WITHIN_S = 2.0
"""After the words that end a call."""

AT_ONCE = 24
LOOK_EVERY_S = 0.1
OWN_PHRASES = 6
"""What lexbridge has Lex speak for it."""

GREETING = "Hello."
PHRASES = phrases_for("en_US")
NOT_AVAILABLE = PHRASES.named(LexRejected.apology)
PHRASES = ("I would like to order flowers", "roses")
ASKED_FOR_KINDS = "What type of flowers"

Outcome = Literal["answer", "apology", "goodbye", "nothing"]
ANSWER: frozenset[Outcome] = frozenset({"answer"})
WORDS: frozenset[Outcome] = frozenset({"answer", "apology"})
GOODBYE: frozenset[Outcome] = frozenset({"goodbye"})
PERHAPS: frozenset[Outcome] = frozenset({"nothing", "answer"})


ReplyMode = Literal["call-update", "stream"]
PutSession = Literal["spoken", "refused", "empty"]


@dataclass(frozen=True, slots=True)
class World:
    """In which mode the bridge replies, and what becomes of its own phrases at Lex, where it asks for them."""

    reply_mode: ReplyMode = "call-update"
    put_session: PutSession = "spoken"

    def __str__(self) -> str:
        return self.reply_mode if self.reply_mode == "call-update" else f"stream, PutSession {self.put_session}"


CALL_UPDATE = World()
WORLDS = (CALL_UPDATE, World("stream"), World("stream", "refused"), World("stream", "empty"))


@dataclass(frozen=True, slots=True)
class Case:
    """One fault, `times` in a row, and what may come of it.

    `silence_limited` False: in that time nobody can speak. `quiet`: for Twilio the call is over: no second try, and no
    next turn. `talks_on`: in stream mode the bot does not fall silent: no next turn either. `why`: the expectation,
    where it is not the contract's rule.
    """

    name: str
    expected: frozenset[Outcome]
    times: int = 1
    lex: LexFault | None = None
    rest: RestFault | None = None
    silence_limited: bool = True
    quiet: bool = False
    talks_on: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """What came of one thing that the caller said; seconds of the line from the end of it.

    `voice_s`: until anybody spoke; `settled_s`: until the answer, the apology or the goodbye began; None for never.
    """

    outcome: Outcome
    voice_s: float | None
    settled_s: float | None
    silence_s: float
    text: str = ""


@dataclass(slots=True)
class Result:
    """A case's call."""

    case: Case
    first: Turn | None = None
    second: Turn | None = None
    hits: int = 0
    problems: list[str] = field(default_factory=list)


# The cases


def cases(world: World = CALL_UPDATE) -> list[Case]:
    """All of them: each fault once and twice in a row, so that the retry fails as well."""
    found = [*_lex_cases(), *_rest_cases()]
    return found if world.reply_mode == "call-update" else [_in_stream_mode(case, world) for case in found]


def _in_stream_mode(case: Case, world: World) -> Case:
    if case.rest is not None:
        # Twilio is needed for what Lex has no voice for.
        case = replace(case, lex=LexFault(kind="mistyped"))
    if case.lex is not None and case.lex.kind == "stalled":
        case = replace(case, silence_limited=False, why="Lex has answered, and its voice is awaited")
    if world.put_session != "spoken" and case.silence_limited:
        case = replace(case, silence_limited=False, why=case.why or 'no "One moment" without a voice of its own')
    return case


def _lex_cases() -> list[Case]:
    passing, refusals = (409, 424, 429, 500, 502, 503, 504), (400, 403, 404)
    faults: list[tuple[str, LexFault, frozenset[Outcome], frozenset[Outcome]]] = []
    places: tuple[Literal["start", "middle", "end"], ...] = ("start", "middle", "end")
    for status, when in itertools.product((*passing, *refusals), places):
        once, twice = (ANSWER, WORDS) if status in passing else (ANSWER | GOODBYE, GOODBYE)
        faults.append((f"{status} at the {when}", LexFault(status=status, when=when), once, twice))
    for when in places:
        faults.append((f"reset at the {when}", LexFault(kind="reset", when=when), ANSWER, WORDS))
        faults.append((f"hang from the {when}", LexFault(kind="hang", when=when), WORDS, WORDS))
    faults += [
        ("upload unread from the start", LexFault(kind="unread", when="start"), WORDS, WORDS),
        ("upload unread from the middle", LexFault(kind="unread", when="middle"), WORDS, WORDS),
        ("answer drips", LexFault(kind="drip"), WORDS, WORDS),
        ("answer truncated", LexFault(kind="truncated"), WORDS, WORDS),
        ("answer empty", LexFault(kind="empty"), WORDS, WORDS),
        ("answer not Lex's", LexFault(kind="foreign"), WORDS, WORDS),
        ("answer after 4 s", LexFault(kind="slow", after_s=4.0), WORDS, WORDS),
        ("redirect", LexFault(kind="redirect"), ANSWER, WORDS),
        ("307", LexFault(status=307), ANSWER, WORDS),
        ("500 without end", LexFault(kind="error endless"), ANSWER, WORDS),
        ("403 without end", LexFault(kind="error endless", status=403), ANSWER, WORDS),
        ("500 that is no object", LexFault(kind="error odd"), ANSWER, WORDS),
        ("100 Continue without end", LexFault(kind="infos"), ANSWER, WORDS),
        ("answer without end", LexFault(kind="endless"), ANSWER, ANSWER),
        ("answer compressed", LexFault(kind="compressed"), ANSWER, ANSWER),
        ("answer a compressed bomb", LexFault(kind="bomb"), ANSWER, ANSWER),
        ("answer without a voice", LexFault(kind="voiceless"), ANSWER, ANSWER),
        ("answer with a state that is a bomb", LexFault(kind="state bomb"), WORDS, WORDS),
        ("answer with a state that is no JSON", LexFault(kind="state odd"), WORDS, WORDS),
        ("audio mistyped", LexFault(kind="mistyped"), ANSWER, ANSWER),
        ("audio broken off", LexFault(kind="broken"), ANSWER, ANSWER),
        ("audio stalled", LexFault(kind="stalled", after_bytes=0), WORDS, WORDS),
    ]
    return [
        Case(
            f"Lex {name}, {_COUNT[times]}",
            once if times == 1 else twice,
            times,
            lex=fault,
            talks_on=fault.kind == "endless",
        )
        for name, fault, once, twice in faults
        for times in (1, 2)
    ]


def _rest_cases() -> list[Case]:
    faults = {
        "429/20429": RestFault(status=429, code=20429),
        "500": RestFault(status=500, code=20500),
        "502": RestFault(status=502, code=20502),
        "503": RestFault(status=503, code=20503),
        "reset": RestFault(kind="reset"),
        "closed without an answer": RestFault(kind="close"),
        "slow, 1 s": RestFault(kind="slow", slow_s=1.0),
        "hang": RestFault(kind="hang"),
        "drip": RestFault(kind="drip"),
        "redirect": RestFault(kind="redirect"),
        "200 without end": RestFault(kind="endless", status=200),
        "500 without end": RestFault(kind="endless"),
        "compressed bomb": RestFault(kind="bomb", status=200),
        "200 with a page": RestFault(kind="odd", status=200, body=b"<html>It works!</html>"),
        "200 with nothing": RestFault(kind="odd", status=200),
        "200 with null": RestFault(kind="odd", status=200, body=b"null"),
        "200 with a list": RestFault(kind="odd", status=200, body=b"[]"),
        "200 in UTF-16": RestFault(kind="odd", status=200, body='{"sid": "CA"}'.encode("utf-16")),
        "400 with a page": RestFault(kind="odd", status=400, body=b"<html>Bad</html>"),
        "400 with null": RestFault(kind="odd", status=400, body=b"null"),
    }
    found = []
    for name, fault in faults.items():
        takes_time = fault.kind in ("hang", "drip")
        found.append(Case(f"REST {name}, once", ANSWER, 1, rest=fault))
        why = "REST takes the time: no voice in it" if takes_time else ""
        found.append(Case(f"REST {name}, twice", ANSWER, 2, rest=fault, silence_limited=not takes_time, why=why))
    why = "no voice while REST is down; the next turn is answered"
    found += [
        Case(f"REST {name}, 3 times", PERHAPS, 3, rest=faults[name], silence_limited=False, why=why)
        for name in ("503", "reset", "hang", "drip")
    ]
    wrong_token = RestFault(status=401, code=20003, message="Authenticate")
    for times in (1, 2):
        name = f"REST 401/20003, {_COUNT[times]}"
        found.append(Case(name, PERHAPS, times, rest=wrong_token, silence_limited=False, why=why))
    why = "for Twilio the call is over: no second try"
    over = {
        "404/20404": RestFault(status=404, code=20404),
        "400/21220": RestFault(status=400, code=21220),
        '404/"20404"': RestFault(kind="odd", status=404, body=b'{"code": "20404"}'),
    }
    for what, fault in over.items():
        for times in (1, 2):
            name = f"REST {what}, {_COUNT[times]}"
            found.append(Case(name, PERHAPS, times, rest=fault, silence_limited=False, quiet=True, why=why))
    return found


_COUNT = {1: "once", 2: "twice"}


# What is said, and what Lex hears


class Tones:
    """A voice that says each phrase as a tone of its own, 1.2 s long, and the recogniser that knows them again.

    So Lex hears what is said to it, however often it is said, and whichever request it comes in.
    """

    rate_hz = 8000

    def speak(self, text: str) -> bytes:
        """16-bit PCM at 8 kHz."""
        per_sample = 2 * math.pi * self._hz(PHRASES.index(text)) / self.rate_hz
        count = round(1.2 * self.rate_hz)
        return b"".join(struct.pack("<h", round(8000 * math.sin(per_sample * number))) for number in range(count))

    def recognise(self, pcm: bytes, grammar: str) -> str:  # noqa: ARG002
        """See Recogniser."""
        spectrum = np.abs(np.fft.rfft(np.frombuffer(pcm, "<i2").astype(float)))
        if len(spectrum) < 100 or spectrum.max() < 1e5:
            return ""
        loudest_hz = spectrum.argmax() * self.rate_hz / (2 * len(spectrum))
        return min(PHRASES, key=lambda phrase: abs(self._hz(PHRASES.index(phrase)) - loudest_hz))

    @staticmethod
    def _hz(number: int) -> int:
        return 500 + 400 * number


# One call


class Conversation:
    """The call of one case. `rig`: its bridge, whose Lex speaks with `voice`; `patience_s`: of the clock, half of it
    where nothing may come."""

    def __init__(
        self, case: Case, rig: Rig, voice: PlainVoice, patience_s: float = PATIENCE_S, world: World = CALL_UPDATE
    ) -> None:
        self._world = world
        self._voice = voice
        self._case = case
        self._rig = rig
        self._patience_s = patience_s / 2 if "nothing" in case.expected else patience_s
        self._caller = SimulatedCaller(Tones())
        self._call: PhoneCall | None = None

    def run(self) -> Result:
        """The whole call. What goes wrong is in the result."""
        result = Result(self._case)
        try:
            self._talk(result)
        except Exception as error:
            result.problems.append(f"{type(error).__name__}: {error}"[:300])
        finally:
            self._rig.lex.faults.clear()
            self._rig.twilio.rest_faults.clear()
            self._ends(result)
        return result

    def _talk(self, result: Result) -> None:
        case = self._case
        self._deny_own_voice()
        call = self._call = self._rig.place_call(self._caller)
        call.wait_for(StreamOpened, self._patience_s)
        call.wait_for(BotFinished, self._patience_s)
        self._await_own_voice()
        gevent.sleep(0.5 * call.pace)
        self._arm(call)
        result.first = self._turn(call, PHRASES[0])
        result.hits = self._hits()
        self._rig.lex.faults.clear()
        self._rig.twilio.rest_faults.clear()
        judge(result, result.first, case.expected)
        if case.quiet:
            result.problems += self._tries_again(call)
        elif call.over is None and not (case.talks_on and self._world.reply_mode == "stream"):
            phrase = PHRASES[ASKED_FOR_KINDS in result.first.text]
            result.second = self._turn(call, phrase)
            judge(result, result.second, ANSWER)

    def _deny_own_voice(self) -> None:
        """What becomes of lexbridge's own phrases, before it asks for them."""
        if self._world.put_session == "refused":
            self._rig.lex.faults.append(LexFault(operation="PutSession", status=403, times=None))
        if self._world.put_session == "empty":
            self._rig.lex.faults.append(LexFault(operation="PutSession", kind="voiceless", times=None))

    def _await_own_voice(self) -> None:
        if self._world.reply_mode == "stream":
            awaited = 1 if self._world.put_session == "refused" else OWN_PHRASES
            _wait_until(lambda: self._own_requests() >= awaited, 20, "the bridge to ask for its sentences")

    def _own_requests(self) -> int:
        """Answered requests for lexbridge's own phrases."""
        puts = [request for request in self._rig.lex.requests if request.operation == "PutSession"]
        return sum(request.answered is not None or request.status is not None for request in puts)

    def _arm(self, call: PhoneCall) -> None:
        case = self._case
        if case.lex is not None:
            # One that comes with a fault of REST's is there for that to be seen.
            times = 1 if case.rest is not None else case.times
            self._rig.lex.faults.append(replace(case.lex, times=times, session=call.sid))
        if case.rest is not None:
            self._rig.twilio.rest_faults.extend([replace(case.rest, call_sid=call.sid)] * case.times)

    def _hits(self) -> int:
        if self._case.rest is None:
            turns = [request for request in self._rig.lex.requests if request.operation != "PutSession"]
            return sum(request.fault is not None for request in turns)
        return self._case.times - len(self._rig.twilio.rest_faults)

    def _turn(self, call: PhoneCall, phrase: str) -> Turn:
        """Says `phrase` and listens until there is an answer, or no hope of one."""
        before, began = len(waits(call)), now(call)
        self._caller.say(phrase)
        _wait_until(lambda: len(waits(call)) > before, 10, "the caller to speak")
        _wait_until(lambda: not self._caller.is_speaking or call.over is not None, 10, "the caller to fall silent")
        by_s = time.monotonic() + self._patience_s
        while time.monotonic() < by_s and call.over is None and not _settled(self._voice.heard(call, began)):
            gevent.sleep(LOOK_EVERY_S)
        if _settled(self._voice.heard(call, began)) and not (
            self._case.talks_on and self._world.reply_mode == "stream"
        ):
            _wait_until(lambda: call.over is not None or _is_quiet(call), 30, "the bot to fall silent")
        if (said := _settled(self._voice.heard(call, began))) and said[1].startswith(NOT_AVAILABLE):
            with suppress(TimeoutError):  # Twilio has to be told, once the words have been heard
                call.wait(HANGS_UP_WITHIN_S)
        wait = waits(call)[-1]
        voices = self._voice.heard(call, began)
        settled = _settled(voices)
        until_s = settled[0] if settled else call.line_s(time.monotonic())
        return Turn(
            outcome=_outcome(settled[1] if settled else "", is_over=call.over is not None),
            voice_s=max(0.0, voices[0][0] - wait.ended_s) if voices else None,
            settled_s=max(0.0, settled[0] - wait.ended_s) if settled else None,
            silence_s=longest_silence_s(call, wait.ended_s, until_s),
            text=settled[1] if settled else "",
        )

    @staticmethod
    def _tries_again(call: PhoneCall) -> list[str]:
        """Whether anything was tried on a call of which Twilio had said that it was over.

        The call in fact goes on here, so a bridge that closes its stream is told of that loss and may well resume the
        call: whatever is after the close counts no more.
        """
        refused, *after = itertools.dropwhile(lambda event: not isinstance(event, UpdateRefused), call.events)
        tried = itertools.takewhile(lambda event: not isinstance(event, StreamClosed), after)
        again = any(isinstance(event, UpdateReceived | UpdateRefused) for event in tried)
        return [f"updates a call that is over: {refused}"] if again else []

    def _ends(self, result: Result) -> None:
        """The caller hangs up, if the bot did not; nothing of the call may be left."""
        if self._call is not None:
            self._call.hang_up()
            try:
                self._call.wait(10)
                _wait_until(lambda: self._rig.calls.live_calls == 0, 10, "the bridge to let the call go")
            except TimeoutError as error:
                result.problems.append(str(error)[:200])
        judge_end(result)


def judge(result: Result, turn: Turn, expected: frozenset[Outcome]) -> None:
    """Adds to the problems what is wrong with one of the result's turns."""
    is_next = turn is result.second
    what = "next turn: " if is_next else ""
    if turn.outcome not in expected:
        result.problems.append(f"{what}{turn.outcome} instead of {' or '.join(sorted(expected))}")
    if turn.settled_s is not None and turn.settled_s > VOICE_WITHIN_S and "nothing" not in expected:
        result.problems.append(f"{what}settled after {turn.settled_s:.1f} s")
    if turn.silence_s > SILENCE_AT_MOST_S and (is_next or result.case.silence_limited):
        result.problems.append(f"{what}{turn.silence_s:.1f} s of silence")


def judge_end(result: Result) -> None:
    """A case passes only if its fault came about."""
    if not result.hits and not result.problems and (result.case.lex or result.case.rest):
        result.problems.append("the fault did not come about")


def _is_quiet(call: PhoneCall) -> bool:
    """Whether the bot has been silent for a moment: what it said was the whole."""
    voices = [event for event in call.events if isinstance(event, BotBegan | BotFinished)]
    is_silent = isinstance(voices[-1], BotFinished)
    return is_silent and call.now_s() - voices[-1].at_s > QUIET_S * call.pace


def _settled(said: Sequence[tuple[float, str]]) -> tuple[float, str] | None:
    """When the bot began to say something that is no filler, and what."""
    return next(((at_s, text) for at_s, text in said if text != PHRASES.one_moment), None)  # which answers nothing


def _outcome(text: str, *, is_over: bool) -> Outcome:
    if not text:
        return "nothing"
    if text.startswith(NOT_AVAILABLE) and is_over:
        return "goodbye"
    if text.startswith((PHRASES.named(LexUnavailable.apology), NOT_AVAILABLE)):
        return "apology"
    return "answer"


def _wait_until(holds: Callable[[], bool], timeout_s: float, what: str) -> None:
    by_s = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > by_s:
            raise TimeoutError(f"waited {timeout_s:g} s for {what}")
        gevent.sleep(0.02)


# All of them


def run_cases(
    chosen: Sequence[Case],
    patience_s: float = PATIENCE_S,
    lateness: "Lateness | None" = None,
    world: World = CALL_UPDATE,
    **options: Any,
) -> list[Result]:
    """The calls of the `chosen` cases, all at once. `options`: of the rig."""
    options = {"recogniser": Tones(), "GREETING": GREETING, "REPLY_MODE": world.reply_mode, **options}
    with ExitStack() as stack:
        calls = []
        for case in chosen:
            voice = PlainVoice()
            rig = stack.enter_context(running(lex_voice=voice, **options))
            calls.append(Conversation(case, rig, voice, patience_s, world))
        with lateness or nullcontext():
            greenlets = [gevent.spawn(call.run) for call in calls]
            gevent.joinall(greenlets)
        return [greenlet.get() for greenlet in greenlets]


class Lateness:
    """How late this process is at most while it is watched: what a figure may be wrong by."""

    def __init__(self) -> None:
        self.worst_s = 0.0
        self._watching: gevent.Greenlet[[], None] | None = None

    def __enter__(self) -> None:
        self._watching = gevent.spawn(self._watch)

    def __exit__(self, *_: object) -> None:
        if self._watching is not None:
            self._watching.kill()

    def _watch(self) -> None:
        while True:
            due_s = time.monotonic() + 0.02
            gevent.sleep(0.02)
            self.worst_s = max(self.worst_s, time.monotonic() - due_s)


def held() -> tuple[Counter[str], Counter[str]]:
    """What this process holds: its living greenlets and its descriptors, by what they are."""
    for _ in range(3):
        gc.collect()
        gevent.sleep(0.1)
    living = [each for each in gc.get_objects() if isinstance(each, gevent.Greenlet) and not each.dead]
    descriptors = []
    for number in os.listdir("/proc/self/fd"):  # noqa: PTH208
        try:
            descriptors.append(os.readlink(f"/proc/self/fd/{number}").partition(":")[0])  # noqa: PTH115
        except OSError:  # the one that listed them
            continue
    names = (getattr(getattr(each, "run", None), "__qualname__", "no name") for each in living)
    return Counter(f"greenlets of {name}" for name in names), Counter(f"descriptors of {name}" for name in descriptors)


def row(result: Result) -> list[str]:
    """A line of the table."""
    case = result.case
    turns: list[str] = []
    for turn in (result.first, result.second):
        if turn is None:
            turns += ["-", "", "", ""]
        else:
            turns += [turn.outcome, _seconds(turn.voice_s), _seconds(turn.settled_s), _seconds(turn.silence_s)]
    verdict = "; ".join(result.problems) or "ok"
    hits = f"{result.hits}/{case.times}" if case.lex or case.rest else "-"
    return [case.name, hits, *turns, verdict + (f" ({case.why})" if case.why else "")]


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def main(arguments: Sequence[str]) -> int:
    """Run the measurement. Return its exit status."""
    parser = make_parser("faults", __doc__)
    parser.add_argument("words", nargs="*", help="only the cases with any of these in their names")
    modes, puts = ("call-update", "stream", "both"), ("spoken", "refused", "empty", "all")
    parser.add_argument("--reply-mode", choices=modes, default="both", help="of the bridge (default %(default)s)")
    parser.add_argument("--put-session", choices=puts, default="all",
        help="in stream mode: what becomes of the bridge's own phrases at Lex (default %(default)s)")  # fmt: skip
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="calls at the same time (default %(default)s)")
    parser.add_argument("--log", action="store_true", help="the bridge's log, on standard error")
    options = parser.parse_args(arguments)
    logs.configure("DEBUG" if options.log else "CRITICAL", "text", logging.StreamHandler())
    status = 0
    for world in WORLDS:
        if options.reply_mode not in ("both", world.reply_mode):
            continue
        if world.reply_mode == "stream" and options.put_session not in ("all", world.put_session):
            continue
        names = [case for case in cases(world) if not options.words or any(word in case.name for word in options.words)]
        print(f"{'' if world is CALL_UPDATE else chr(10)}{world}\n")
        status |= sweep(names, options.at_once, world)
    return status


def sweep(chosen: Sequence[Case], at_once: int, world: World = CALL_UPDATE) -> int:
    """Runs and prints them. Returns the exit status."""
    real: dict[str, Any] = {"pace": 1.0, "deadlines": Deadlines(), "attempt_deadlines_s": ATTEMPT_DEADLINES_S}
    real["world"] = world
    began_s = time.monotonic()
    healthy = run_cases([Case("no fault", ANSWER)], **real)
    before = held()
    lateness = Lateness()
    results = healthy
    for batch in _batches(chosen, at_once):
        results += run_cases(batch, lateness=lateness, **real)
    after = held()
    print(table([HEADING, *(row(result) for result in results)]))
    missed = [result for result in results if result.problems]
    left = [f"{count} {name}" for more in map(_more, after, before) for name, count in sorted(more.items())]
    slowest_s = max((turn.settled_s or 0 for each in results for turn in (each.first, each.second) if turn), default=0)
    silent_s = max((turn.silence_s for each in results for turn in (each.first, each.second) if turn), default=0)
    print(f"\n{len(results)} calls in {time.monotonic() - began_s:.0f} s; {len(missed)} missed a limit")
    print(f"slowest answer, apology or goodbye {slowest_s:.2f} s (limit {VOICE_WITHIN_S:g}, where one is possible)")
    print(f"longest silence {silent_s:.2f} s (limit {SILENCE_AT_MOST_S:g}, where anybody can speak)")
    print(f"left behind: {', '.join(left) or 'nothing'}")
    print(f"this process was late by {lateness.worst_s * 1000:.0f} ms at most")
    return 1 if missed or left else 0


HEADING = [
    *("fault", "hits", "heard", "voice s", "settled s", "silence s"),
    *("next turn", "voice s", "settled s", "silence s", "verdict"),
]


def _batches(chosen: Sequence[Case], size: int) -> Iterable[Sequence[Case]]:
    return (chosen[start : start + size] for start in range(0, len(chosen), size))


def _more(after: Counter[str], before: Counter[str]) -> Counter[str]:
    return after - before
