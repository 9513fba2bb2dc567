"""The table of lines is read anew while callers talk: none of them notices, and new calls go by the new table."""

import os
import signal
from pathlib import Path

import pytest

from tests.support.rehearsal import wait_until
from tests.support.reloading import WORKERS, Reloading, Talk, lines_file, reloading

pytestmark = pytest.mark.e2e

CALLS = 50
BEFORE = ({"name": "Sales", "bot": "Sales", "reply_mode": "stream"}, {"name": "Clinic", "bot": "Clinic"})
AFTER = (
    {"name": "Sales", "bot": "Hotline", "reply_mode": "stream", "greeting": "Another bot has this line."},
    {"name": "Hotline", "bot": "Hotline"},
)
BROKEN = """
[bots.Sales]
name = "Sales"
[bots.Clinic]
name = "Clinic"
alias = "prod"
[[lines]]
name = "Sales"
bot = "Salse"
greting = "Hello"
match.to = "+1206555O101"
[[lines]]
name = "Sales"
hangover_ms = 1
match.to = "+12065550103"
[[lines]]
name = "Clinic"
bot = "Clinic"
match.to = "+12065550102"
[[lines]]
name = "Hotline"
bot = "Clinic"
match.to = "+12065550102"
"""
PROBLEMS = {
    "[bots.Sales]: alias": "is not set",
    '[[lines]] 1 "Sales": greting': "is not known",
    '[[lines]] 1 "Sales": match.to': "is '(number)O101'",
    '[[lines]] 1 "Sales": bot': "is 'Salse'",
    '[[lines]] 2 "Sales": name': "is taken",
    '[[lines]] 2 "Sales": hangover_ms': "is 1",
    '[[lines]] 4 "Hotline"': 'serves the same calls as [[lines]] 3 "Clinic"',
}
MENDED = (*AFTER, {"name": "Clinic", "bot": "Sales"})
UNNOTICED = {"call-resumed", "call-left", "stream-refused", "line-unknown", "lines-broken", "worker-died", "draining"}


def assert_new_calls_go_to(served: Reloading, **bots: str) -> None:
    """Assert who answers a new call to the number of each line."""
    talks = [served.talk(line, bot) for line, bot in bots.items()]
    served.await_turns(talks)
    assert_answered_by_own_bots(served, talks)


def assert_answered_by_own_bots(served: Reloading, talks: list[Talk]) -> None:
    """Assert that each caller was heard by the bot that they expect, and by no other."""
    assert [set(served.asked(talk)) for talk in talks] == [{talk.bot} for talk in talks]
    for talk in talks:
        assert talk.heard <= {talk.bot}


def test_fifty_live_calls_notice_no_reload(tmp_path: Path) -> None:
    """Half of the calls are in each of the reply modes."""
    with reloading(tmp_path, lines_file(*BEFORE)) as served:
        early = [served.talk(name, name) for name in ("Sales", "Clinic") for _ in range(CALLS // 2)]
        served.await_turns(early)
        assert served.live_calls() == CALLS
        first = served.reload(lines_file(*AFTER))
        counted = {name: first[name] for name in ("by", "generation", "lines", "added", "changed", "removed")}
        assert counted == {"by": "signal", "generation": 2, "lines": 2, "added": 1, "changed": 1, "removed": 1}
        assert_new_calls_go_to(served, Sales="Hotline", Clinic="OrderFlowers", Hotline="Hotline")
        refused = served.reload(BROKEN, wanted="lines-refused")
        assert refused["generation"] == 2
        problems = {line["where"].removeprefix("LINES_FILE: "): line["wrong"] for line in served.lines("lines-problem")}
        assert (problems, refused["problems"]) == (PROBLEMS, len(PROBLEMS))
        assert_new_calls_go_to(served, Sales="Hotline", Clinic="OrderFlowers")
        assert served.reload(lines_file(*MENDED), by_signal=False)["by"] == "file"
        assert_new_calls_go_to(served, Clinic="Sales", Hotline="Hotline")
        served.await_turns(early)
        assert_answered_by_own_bots(served, early)
        assert [(talk.streams, talk.lost, talk.call.complaints) for talk in early] == [(1, [], [])] * CALLS
        served.hang_up()
        assert not UNNOTICED & served.counts().keys()
        wait_until(lambda: len(served.lines("call-ended")) == len(served.talks))
        ended = served.lines("stream-ended")
        assert [(line["late_messages"], line["filled_ms"], line["odd_messages"]) for line in ended] == [
            (0, 0, 0)
        ] * len(served.talks)


def test_calls_of_a_killed_worker_resume_on_their_line(tmp_path: Path) -> None:
    """The worker dies right after it has another table. Who resumes them has that table, too."""
    with reloading(tmp_path, lines_file(*BEFORE)) as served:
        early = [served.talk(name, name) for name in ("Sales", "Clinic") for _ in range(4)]
        served.await_turns(early)
        served.reload(lines_file(*BEFORE, {"name": "Hotline", "bot": "Hotline"}))
        killed = served.workers()[0]
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: len(served.lines("worker-started")) == WORKERS)
        hit = [talk for talk in early if served.worker_of(talk) == killed]
        assert hit
        wait_until(lambda: all(talk.streams == 2 for talk in hit))
        served.await_turns(early)
        assert_answered_by_own_bots(served, early)
        assert [talk.streams for talk in early if talk not in hit] == [1] * (len(early) - len(hit))
        assert {line["line"] for line in served.lines("call-resumed")} == {talk.bot for talk in hit}
        assert_new_calls_go_to(served, Hotline="Hotline", Clinic="Clinic", Sales="Sales")
        assert not {"line-unknown", "lines-broken", "stream-refused"} & served.counts().keys()
        served.hang_up()


def test_hosts_that_a_reload_brings_are_looked_up_at_once(tmp_path: Path) -> None:
    """No call is needed: each worker looks for Lex where a line of the newer table has it."""
    with reloading(tmp_path, lines_file(*BEFORE)) as served:
        served.reload(lines_file(*BEFORE, {"name": "Hotline", "bot": "Hotline", "endpoint": "https://lex.invalid"}))
        # No name server knows such a name.
        wait_until(lambda: [one["host"] for one in served.lines("name-not-resolved")] == ["lex.invalid"] * WORKERS)


def test_a_call_whose_line_is_gone_goes_on_with_another(tmp_path: Path) -> None:
    """The default line takes it, as it would take a new call to this number."""
    with reloading(tmp_path, lines_file(*BEFORE)) as served:
        talk = served.talk("Clinic", "Clinic")
        served.await_turns([talk])
        served.reload(lines_file(BEFORE[0]))
        served.await_turns([talk])
        assert_answered_by_own_bots(served, [talk])
        os.kill(served.worker_of(talk), signal.SIGKILL)
        wait_until(lambda: served.asked(talk)["OrderFlowers"] >= 2)
        assert {line["chosen"] for line in served.lines("line-unknown")} == {""}
        served.hang_up()
