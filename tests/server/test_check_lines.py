"""The commands `server.py --check` and `--which` with a table of lines."""

import os
from pathlib import Path

import pytest

from lexbridge import __main__ as command_line
from tests.support.boto import without_credentials

ENVIRONMENT = {
    "AWS_REGION": "us-west-2",
    "ACCESS_KEY_ID": "AKIAEXAMPLE",
    "SECRET_ACCESS_KEY": "secret",
    "TWILIO_AUTH_TOKEN": "0123456789abcdef0123456789abcdef",
    "URL": "https://voice.example.com",
}
LINES = """
[bots.flowers]
id = "ABCDEFGHIJ"
alias = "LIVEALIASX"
[[lines]]
name = "shop"
bot = "flowers"
match = { to = "+12065550111", sip_header.X-Dept = "4", parameter.plan = "gold", query.bot = "sales" }
[[lines]]
name = "night"
bot = "flowers"
match = { direction = "outbound", not_hours = "09:00-17:00", timezone = "Europe/Vienna" }
"""


class Running:
    """The command line in a directory of its own, with exactly the environment it is given."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.file = folder / "lines.toml"
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def __call__(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        """Run it with LINES_FILE. Return the exit status, standard output and standard error."""
        with self._monkeypatch.context() as patch:
            for name in os.environ.keys() - {"PATH", "HOME"}:
                patch.delenv(name)
            without_credentials(patch)
            for name, value in {**ENVIRONMENT, "LINES_FILE": str(self.file), **environment}.items():
                patch.setenv(name, value)
            patch.chdir(self.file.parent)
            status = command_line.main(arguments)
        out, err = self._capsys.readouterr()
        return status, out, err


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Running:
    running = Running(tmp_path, capsys, monkeypatch)
    running.file.write_text(LINES)
    return running


def test_a_check_prints_the_table(run: Running) -> None:
    status, out, err = run("--check")
    assert (status, err) == (0, "")
    heading, shop, *_, last = out.splitlines()
    assert heading.split() == ["line", "calls", "bot", "locale", "region", "replies", "voice", "limits"]
    assert shop.startswith("shop   to +12065550111, query.bot sales,")
    assert last == "The settings are complete and valid."


def test_problems_of_environment_and_file_are_told_together(run: Running) -> None:
    run.file.write_text(LINES + 'hangover_ms = 10\n[[lines]]\nbot = "flower"\n')
    status, out, err = run("--check", HANGOVER_MS="20", VAD="ears")
    hangover = "must be a whole number from 100 to 5000, a multiple of 20"
    assert (status, out) == (2, "")
    assert err.splitlines() == [
        "4 problems with the settings:",
        "  VAD: is 'ears'; must be one of amplitude, webrtc, adaptive, silero, hybrid",
        f"  HANGOVER_MS: is '20'; {hangover}",
        f'  LINES_FILE: [[lines]] 2 "night": hangover_ms: is 10; {hangover}',
        "  LINES_FILE: [[lines]] 3: bot: is 'flower'; must be the name of one of [bots.NAME]: flowers",
    ]


@pytest.mark.parametrize(("place", "wrong"), [("nowhere.toml", "No such file or directory"), ("s3://x", "")])
def test_a_place_without_a_file_is_a_problem(run: Running, place: str, wrong: str) -> None:
    for environment in ({}, {"VAD": "ears"}):
        status, _, err = run("--check", LINES_FILE=place, **environment)
        assert status == 2
        problem = (
            f"LINES_FILE: cannot be read ({wrong}: " if wrong else "LINES_FILE: is 's3://x'; must be s3://bucket/key"
        )
        assert err.count("LINES_FILE") == 1
        assert problem in err


def test_a_bot_of_the_table_may_be_in_doubt(run: Running) -> None:
    run.file.write_text(LINES.replace("LIVEALIASX", "TSTALIASID"))
    _, out, _ = run("--check")
    assert out.splitlines()[-2].startswith("Warning: LINES_FILE: [bots.flowers]: alias: is 'TSTALIASID'; Lex's test")


SHOP = ["--query", "bot=sales", "--sip-header", "X-Dept=4", "--parameter", "plan=gold"]
WHICH = [
    (["+1 206 555 0111", *SHOP], 0, 'The line shop answers: to +12065550111, query.bot sales, sip_header."x-dept" 4'),
    (["+12065550111", "--at", "2026-12-01T18:00+01:00", "--direction", "outbound"], 0, "The line night answers"),
    (["+12065550111", "--at", "2026-12-01T12:00+01:00", "--direction", "outbound"], 1, "No line answers"),
    (["+12065550111", "--from", "+12065550100"], 1, "No line answers"),
    (["+12065550111", *SHOP, "--account-sid", "AC" + "1" * 32], 0, "The line shop answers"),
]


@pytest.mark.parametrize(("arguments", "status", "said"), WHICH)
def test_which_line_answers_is_told(run: Running, arguments: list[str], status: int, said: str) -> None:
    told, out, err = run("--which", *arguments)
    assert (told, err) == (status, "")
    assert out.startswith(said)


def test_without_a_table_the_bot_of_the_environment_answers(run: Running) -> None:
    bot = {"LEX_BOT_ID": "ABCDEFGHIJ", "LEX_BOT_ALIAS_ID": "KLMNOPQRST"}
    status, out, _ = run("--which", "client:ann", LINES_FILE="", **bot)
    assert (status, out.splitlines()[0]) == (0, "The default line answers: the bot of the environment.")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--which", "2065550111"],
        ["--which", "+1206*"],
        ["--which", "+12065550111", "--query", "bot"],
        ["--which", "+12065550111", "--at", "tomorrow"],
        ["--which", "+12065550111", "--account-sid", "AC1"],
        ["--from", "+12065550111"],  # without a number that was called
        ["--check", "--at", "2026-12-01T12:00+01:00"],
    ],
)
def test_a_call_that_cannot_be_is_refused(run: Running, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    assert ended.value.code == 2


def test_the_table_is_printed_without_aws_credentials(run: Running) -> None:
    status, out, err = run("--check", ACCESS_KEY_ID="", SECRET_ACCESS_KEY="")
    assert status == 2
    assert out.startswith("line   ")
    assert "valid" not in out
    assert err.count("\n  ") == 1
    assert "  ACCESS_KEY_ID: is not set and boto3 finds no AWS credentials" in err
