"""A look at LINES_FILE: what is prepared for the workers, and what is logged about a file with problems."""

import os
from pathlib import Path

import pytest

from lexbridge.config.reading import read_settings
from lexbridge.errors import ConfigError
from lexbridge.server import served_lines
from lexbridge.server.lines_source import LinesSource
from lexbridge.server.served_lines import ServedLines
from tests.support.fixtures import Logged
from tests.support.rig import ENVIRONMENT, V1_BOT

SID, OTHER_SID = "AC" + "1" * 32, "AC" + "2" * 32
SALES = """
[bots.sales]
name = "Sales"
alias = "prod"
[[lines]]
name = "sales"
bot = "sales"
match.to = "+12065550101"
"""
CLINIC = """
[[lines]]
name = "clinic"
match.to = "+12065550102"
"""


def account(sid: str) -> str:
    """Return the settings of a Twilio account, for a line."""
    return f'account_sid = "{sid}"\nauth_token = "{sid[::-1][:32]}"\n'


class Served:
    """A table that was started with the text `first`."""

    def __init__(self, folder: Path, first: str) -> None:
        self.file = folder / "lines.toml"
        self.file.write_text(first, encoding="utf-8")
        environment = {**ENVIRONMENT, **V1_BOT, "LINES_FILE": str(self.file)}
        settings = read_settings(environment)
        self.lines = ServedLines(settings, environment, lambda: LinesSource(str(self.file), settings.service))
        self.lines.start()

    def look(self, text: str | None = None, known: str = "") -> dict[str, object]:
        """Look at the file, with another text or as it is. Return what is told of it, apart from the version."""
        if text is not None:
            self.file.write_text(text, encoding="utf-8")
            os.utime(self.file, (len(text), len(text)))  # a file that was just written is left for later
        look = self.lines.look(known)
        self.newest_version = look.version
        shown = {name: getattr(look, name) for name in look.__struct_fields__ if name != "version"}
        return {name: value for name, value in shown.items() if value not in (0, "")}

    def names(self) -> tuple[int, list[str]]:
        """Return the generation and the lines of the published table."""
        loaded = self.lines.load(lambda: None)
        return loaded.generation, sorted(loaded.table.lines)

    def departed(self) -> list[str | None]:
        """Return the accounts of calls that may still be live."""
        return [account.twilio_account_sid for account, _ in self.lines.load(lambda: None).departed]


def test_a_service_does_not_start_with_a_broken_table(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        Served(tmp_path, SALES + 'hangover = 3\nvoice_threshold = "loud"\n')
    assert [one.variable for one in raised.value.problems] == [
        'LINES_FILE: [[lines]] 1 "sales": hangover',
        'LINES_FILE: [[lines]] 1 "sales": voice_threshold',
    ]


def test_a_changed_table_is_prepared_and_compared(tmp_path: Path) -> None:
    served = Served(tmp_path, SALES)
    assert served.names() == (1, ["sales"])
    assert served.look(SALES + 'greeting = "Hi."\n' + CLINIC) == {
        "result": "reloaded",
        "lines": 2,
        "added": 1,
        "changed": 1,
    }
    assert served.names() == (1, ["sales"])
    served.lines.publish()
    assert served.names() == (2, ["clinic", "sales"])
    assert served.look(CLINIC) == {"result": "reloaded", "lines": 1, "removed": 1}
    served.lines.publish()
    assert served.names() == (3, ["clinic"])


def test_what_is_as_served_is_not_prepared(tmp_path: Path) -> None:
    served = Served(tmp_path, SALES)
    assert served.look(known=served.lines.version) == {"result": "unchanged"}
    assert served.newest_version == served.lines.version
    assert served.look("# A comment\n" + SALES, served.lines.version) == {"result": "unchanged"}
    assert served.newest_version != served.lines.version


def test_each_problem_is_logged_without_numbers(tmp_path: Path, logged: Logged) -> None:
    served = Served(tmp_path, SALES)
    broken = SALES + 'hangover = 3\n[[lines]]\nbot = "clinic"\nmatch.to = "+1206555 0102 or so"\n'
    assert served.look(broken) == {"result": "refused", "problems": 3}
    problems = {line["where"]: line["wrong"] for line in logged() if line["event"] == "lines-problem"}
    assert problems == {
        'LINES_FILE: [[lines]] 1 "sales": hangover': "is not known",
        "LINES_FILE: [[lines]] 2: bot": "is 'clinic'",
        "LINES_FILE: [[lines]] 2: match.to": "is '(number) or so'",
    }
    assert served.names() == (1, ["sales"])


def test_a_file_that_is_gone_is_unread(tmp_path: Path) -> None:
    served = Served(tmp_path, SALES)
    served.file.unlink()
    look = served.look()
    assert look["result"] == "unread"
    assert str(look["error"]).startswith("cannot be read (No such file or directory: ")


def test_an_account_that_leaves_is_known_for_its_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 1_000_000.0
    monkeypatch.setattr(served_lines.time, "time", lambda: now_s)
    both = SALES + account(SID) + CLINIC + account(OTHER_SID)
    served = Served(tmp_path, both)
    assert served.departed() == []
    served.look(CLINIC + account(OTHER_SID))
    served.lines.publish()
    assert served.departed() == [SID]
    now_s += 60
    served.look(CLINIC)
    served.lines.publish()
    assert served.departed() == [SID, OTHER_SID]
    served.look(CLINIC + account(OTHER_SID))
    served.lines.publish()
    assert served.departed() == [SID]
    now_s += served_lines.LONGEST_CALL_S
    served.look(CLINIC)
    served.lines.publish()
    assert served.departed() == [OTHER_SID]
