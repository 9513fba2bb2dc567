"""Four lines in one process of `server.py`, forty calls at once: each bot gets its own calls, and none harms another's.

The peers know nothing of lexbridge but the protocols.
"""

import json
import random
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

import pytest

from lexbridge.offline.commands.bridge_process import BridgeProcess
from tests.support.log_lines import whole_lines
from tests.support.peers.lex import LexPeer
from tests.support.peers.twilio import Account, Call, RestPeer, decoded, post
from tests.support.rehearsal import wait_until

pytestmark = pytest.mark.e2e

OWN = Account("AC" + "1" * 32, "0123456789abcdef0123456789abcdef")
SUB = Account("AC" + "2" * 32, "fedcba9876543210fedcba9876543210")


@dataclass(frozen=True)
class LineOfTest:
    """A line: its number, its account, its reply mode, and its bot as Lex is asked for it. `voice`: the bot's level."""

    name: str
    number: str
    account: Account
    mode: str
    bot: tuple[str, ...]
    region: str
    voice: int


LINES = [
    LineOfTest("flowers", "+12065550111", OWN, "call-update", ("OrderFlowers", "prod"), "us-west-2", 2000),
    LineOfTest("blumen", "+12065550112", SUB, "stream", ("BLUMENBOT1", "TSTALIASID", "de_DE"), "eu-central-1", 4000),
    LineOfTest("clinic", "+12065550113", SUB, "call-update", ("CLINICBOT1", "TSTALIASID", "en_US"), "us-west-2", 8000),
    LineOfTest("hotline", "+12065550114", OWN, "stream", ("Hotline", "live"), "eu-central-1", 16000),
]
BY_NAME = {one.name: one for one in LINES}
CALLS_EACH = 10


def _written(one: LineOfTest, url: str) -> str:
    """Return a line and its bot as they stand in LINES_FILE."""
    named = f'name = "{one.bot[0]}"\nalias = "{one.bot[1]}"'
    if len(one.bot) == 3:
        named = f'id = "{one.bot[0]}"\nalias = "{one.bot[1]}"\nlocale = "{one.bot[2]}"'
    account = "" if one.account is OWN else f'account_sid = "{SUB.sid}"\nauth_token = "{SUB.token}"'
    return f"""
[bots.{one.name}]
{named}
region = "{one.region}"
endpoint = "{url}"

[[lines]]
name = "{one.name}"
match = {{ to = "{one.number}" }}
bot = "{one.name}"
reply_mode = "{one.mode}"
greeting = "Hi."
{account}
"""


class Lines:
    """A running service with the four lines, and its peers."""

    def __init__(self, base: str, lexes: dict[str, LexPeer], rest: RestPeer, log: Path) -> None:
        self.base, self.lexes, self.rest, self._log = base, lexes, rest, log

    def calls(self, each: int = CALLS_EACH) -> list[tuple[LineOfTest, Call]]:
        """Return calls to each line."""
        return [(one, Call(self.base, one.account, one.number)) for one in LINES for _ in range(each)]

    def log_lines(self, call: Call) -> list[dict[str, object]]:
        """Return the lines of the log about a call."""
        told = [json.loads(line) for line in whole_lines(self._log.read_text(encoding="utf-8"))]
        return [one for one in told if one.get("call_sid") == call.call_sid]

    def is_answered(self, one: LineOfTest, call: Call) -> bool:
        """Return whether the caller has heard the answer of the line's own bot to their own words."""
        if one.mode == "stream":
            return len(call.played) > 4000
        words = f"{one.name} answers {call.call_sid[-8:]}"
        return any(words in twiml for twiml in self.rest.updates.get(call.call_sid, []))


@contextmanager
def four_lines(folder: Path, **environment: str) -> Iterator[Lines]:
    """Run the service with four lines and one worker, and its peers."""
    with ExitStack() as stack:
        lexes = {one.name: stack.enter_context(LexPeer(f"{one.name} answers", one.voice).running()) for one in LINES}
        rest = stack.enter_context(RestPeer([OWN, SUB]).running())
        table = folder / "lines.toml"
        table.write_text("".join(_written(one, lexes[one.name].url) for one in LINES), encoding="utf-8")
        settings = {
            "AWS_REGION": "us-west-2",
            "ACCESS_KEY_ID": "AKIAEXAMPLE",
            "SECRET_ACCESS_KEY": "secret",
            "TWILIO_AUTH_TOKEN": OWN.token,
            "TWILIO_API_URL": rest.url,
            "LINES_FILE": str(table),
            "NO_INPUT_S": "60",
            **environment,
        }
        service = stack.enter_context(BridgeProcess(settings, folder / "server.log"))
        yield Lines(service.url, lexes, rest, folder / "server.log")


def hold(calls: list[tuple[LineOfTest, Call]]) -> None:
    """Let all callers call at once, and speak. They stay on the line."""

    failed: list[BaseException] = []

    def caller(call: Call) -> None:
        try:
            call.answer()
            call.open()
            call.speak()
        except BaseException as error:
            failed.append(error)

    callers = [threading.Thread(target=caller, args=(call,)) for _, call in calls]
    for one in callers:
        one.start()
    for one in callers:
        one.join()
    assert failed == []


def level_of(mulaw: bytes) -> int:
    """Return the loudest sample of some audio."""
    samples = decoded(mulaw)
    return max(abs(int.from_bytes(samples[at : at + 2], "little", signed=True)) for at in range(0, len(samples), 2))


def test_forty_calls_reach_their_own_bots_only(tmp_path: Path) -> None:
    with four_lines(tmp_path) as lines:
        calls = lines.calls()
        hold(calls)
        wait_until(lambda: all(lines.is_answered(one, call) for one, call in calls))
        for _, call in calls:
            call.hang_up()
        for one in LINES:
            _check_bot(one, lines.lexes[one.name], [call for of, call in calls if of is one])
        for one, call in calls:
            if one.mode == "stream":
                assert level_of(call.played) == pytest.approx(one.voice, rel=0.2)  # a filter overshoots
            told = lines.log_lines(call)
            assert {line.get("line") for line in told} == {one.name}
            assert {"call-answered", "stream-started", "turn-answered"} <= {line["event"] for line in told}
        assert lines.rest.refused == []


def _check_bot(one: LineOfTest, lex: LexPeer, own: list[Call]) -> None:
    """Check that a bot heard all callers of its line, each verbatim and in a session of their own, and nobody else."""
    assert lex.odd == []
    assert {each.bot for each in lex.heard} == {one.bot}
    sessions = {each.session: each for each in lex.heard}
    assert len(sessions) == len(lex.heard) == len(own)
    for call in own:
        (heard,) = [each for each in lex.heard if decoded(call.speech) in each.audio]
        assert call.call_sid in heard.session


@pytest.mark.parametrize(("mood", "sick"), [("down", "flowers"), ("throttled", "blumen"), ("slow", "clinic")])
def test_a_sick_bot_changes_nothing_for_the_others(mood: str, sick: str, tmp_path: Path) -> None:
    with four_lines(tmp_path, LEX_TIMEOUT_S="20") as lines:
        lines.lexes[sick].mood = mood
        calls = lines.calls()
        hold(calls)
        well = [(one, call) for one, call in calls if one.name != sick]
        wait_until(lambda: all(lines.is_answered(one, call) for one, call in well))
        wait_until(lambda: len(lines.lexes[sick].heard) >= CALLS_EACH)
        for _, call in calls:
            call.hang_up()
        for one in LINES:
            if one.name != sick:
                _check_bot(one, lines.lexes[one.name], [call for of, call in calls if of is one])
        for one, call in calls:
            faults = [line for line in lines.log_lines(call) if line["level"] != "info"]
            assert all(line.get("line") == one.name for line in faults)
            assert one.name == sick or faults == []


# -- forged lines

FORGED = 1000

ODD_ROUTES = (
    *("", "/", "//", "flowers/", "/flowers", "flowers//", "flowers/blumen", "blumen/flowers", "flowers//de_DE"),
    *("flowers\n", "flowers\0", " flowers", "FLOWERS", "../flowers", "flowers%2F", "blumen/blumen/de_DE"),
    *("x" * 300, "\N{FULLWIDTH LATIN SMALL LETTER F}lowers", "flowers,blumen", "*"),
)
"""Texts in place of a line's name."""


def test_no_forged_line_reaches_another_bot(tmp_path: Path) -> None:
    """A thousand calls with tokens, parameters and addresses that were tampered with: no bot hears any of them."""
    with four_lines(tmp_path) as lines:
        rng = random.Random(18)
        for _ in range(FORGED // 2):
            _forge_address(lines, rng)
            _forge_stream(lines, rng)
        honest = lines.calls(each=1)
        hold(honest)
        wait_until(lambda: all(lines.is_answered(one, call) for one, call in honest))
        for one, call in honest:
            call.hang_up()
            _check_bot(one, lines.lexes[one.name], [call])


def _forge_address(lines: Lines, rng: random.Random) -> None:
    """Ask a webhook with another line in its address, signed by the token of the caller's own account.

    The document may name a line of that account alone, and /twiml the line of the number that was called alone.
    """
    one, other = rng.sample(LINES, 2)
    call = Call(lines.base, one.account, one.number)
    form = dict(call.form)
    if rng.random() < 0.3:
        form["AccountSid"] = other.account.sid
    path = rng.choice(["/twiml", "/twiml/resume", "/twiml/keys"])
    named = quote(rng.choice([other.name, *ODD_ROUTES]), safe="/")
    status, document = post(lines.base, f"{path}?lost=1&line={named}", form, one.account.token)
    if form["AccountSid"] != one.account.sid:
        assert status == 403
        return
    assert status == 200
    for route in parameters_of(document, "lexbridge:line"):
        name, _, bot = route.partition("/")
        assert BY_NAME[name].account is one.account
        assert not bot
        assert path != "/twiml" or name == one.name


def _forge_stream(lines: Lines, rng: random.Random) -> None:
    """Open a stream whose start was tampered with. It has to be closed before any bot is asked."""
    one, other = rng.sample(LINES, 2)
    call, others = (Call(lines.base, of.account, of.number) for of in (one, other))
    call.answer()
    others.answer()
    told = call.parameters
    token, start = told["lexbridge:token"], {}
    match rng.randrange(9):
        case 0:
            told["lexbridge:line"] = other.name
        case 1:
            told["lexbridge:line"] = rng.choice([text for text in ODD_ROUTES if text != one.name])
        case 2:
            told["lexbridge:token"] = others.parameters["lexbridge:token"]
        case 3:
            call.parameters = others.parameters
        case 4:
            at = rng.randrange(len(token))
            told["lexbridge:token"] = (
                token[:at] + rng.choice("0123456789abcdef.".replace(token[at], "")) + token[at + 1 :]
            )
        case 5:
            start = {"accountSid": OWN.sid if one.account is SUB else SUB.sid}
        case 6:
            start = {"callSid": others.call_sid}
        case 7:
            del told["lexbridge:line"]
        case _:
            told["lexbridge:line"] = f"{one.name}/{other.name}"
    call.open(**start)
    wait_until(lambda: call.close_code is not None)
    assert call.close_code in (1007, 1008, 1013)
    call.hang_up()


def parameters_of(document: str, name: str) -> list[str]:
    """Return the values of a `<Parameter>` of a document."""
    nodes = ElementTree.fromstring(document).iter("Parameter")
    return [node.attrib["value"] for node in nodes if node.attrib["name"] == name]
