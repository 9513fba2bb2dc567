"""Cases of the sweep of faults: each fault of Lex or of Twilio's REST API, and what the caller may hear of it."""

import itertools
from dataclasses import dataclass, replace
from typing import Literal

from lexbridge.offline.lex.faults import LexFault
from lexbridge.offline.twilio.rest_api import RestFault

Outcome = Literal["answer", "apology", "goodbye", "nothing"]
"""Outcome of a turn: Lex's answer, an apology, an apology that ends the call, or silence."""
ANSWER: frozenset[Outcome] = frozenset({"answer"})
WORDS: frozenset[Outcome] = frozenset({"answer", "apology"})
GOODBYE: frozenset[Outcome] = frozenset({"goodbye"})
PERHAPS: frozenset[Outcome] = frozenset({"nothing", "answer"})

ReplyMode = Literal["call-update", "stream"]
PutSession = Literal["spoken", "refused", "empty"]


@dataclass(frozen=True, slots=True)
class Setup:
    """Reply mode of the service, and what Lex does when lexbridge has it speak lexbridge's own phrases (PutSession)."""

    reply_mode: ReplyMode = "call-update"
    put_session: PutSession = "spoken"

    def __str__(self) -> str:
        return self.reply_mode if self.reply_mode == "call-update" else f"stream, PutSession {self.put_session}"


CALL_UPDATE = Setup()
SETUPS = (CALL_UPDATE, Setup("stream"), Setup("stream", "refused"), Setup("stream", "empty"))


@dataclass(frozen=True, slots=True)
class Case:
    """One fault, `times` in a row, and the outcomes that are allowed."""

    name: str
    expected: frozenset[Outcome]
    times: int = 1
    lex: LexFault | None = None
    rest: RestFault | None = None
    silence_limited: bool = True
    """Whether the silence has a limit: not if the service has no means to speak during the fault."""
    call_is_over: bool = False
    """Whether the fault tells that the call has ended: then no second attempt is allowed, and no next turn is made."""
    talks_on: bool = False
    """Whether in stream mode the bot does not fall silent: then no next turn is made."""
    why: str = ""
    """Reason of the expectation, where the general rule does not apply."""


def cases(setup: Setup = CALL_UPDATE) -> list[Case]:
    """Return all cases of a setup. Each fault comes once, and twice in a row, so that the retry fails too."""
    found = [*_lex_cases(), *_rest_cases()]
    return found if setup.reply_mode == "call-update" else [_in_stream_mode(case, setup) for case in found]


def _in_stream_mode(case: Case, setup: Setup) -> Case:
    if case.rest is not None:
        # Stream mode needs REST only for an answer that Lex has no voice for.
        case = replace(case, lex=LexFault(kind="mistyped"))
    if case.lex is not None and case.lex.kind == "stalled":
        case = replace(case, silence_limited=False, why="Lex has answered, and its voice is awaited")
    if setup.put_session != "spoken" and case.silence_limited:
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
            found.append(Case(name, PERHAPS, times, rest=fault, silence_limited=False, call_is_over=True, why=why))
    return found


_COUNT = {1: "once", 2: "twice"}
