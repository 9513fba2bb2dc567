"""The table of lines of a rehearsal: what is left out of it, whose bots there are, and which numbers can be dialled."""

from pathlib import Path

import pytest

from lexbridge.config.lines_file import read_lines
from lexbridge.config.reading import read_settings
from lexbridge.offline.commands.rehearsed_lines import read_rehearsed_lines
from lexbridge.offline.lex.bot_files import example_bots, shipped_bots
from tests.support.example_lines import ENVIRONMENT, example_text
from tests.support.line_tables import call_of, chosen

BOTS = [*example_bots(), *shipped_bots()]
NOON_S = 1796155200.0
"""Tuesday, 1 December 2026, 12:00 in Seattle."""
NUMBERS = {
    "shop": {"+12065550101": "orders", "+12065550102": "support"},
    "clinic": {"+12065550121": "desk", "+493023125042": "berlin"},
    "hotline": {"+12065550141": "hotline", "+34900123456": "spanish", "+493023125043": "german"},
}


@pytest.mark.parametrize("name", NUMBERS)
def test_an_example_can_be_rehearsed(name: str, tmp_path: Path) -> None:
    """Its lines serve the same calls, as those of one account, and without a way to AWS."""
    place = tmp_path / "lines.toml"
    place.write_text(example_text(name), encoding="utf-8")
    lines = read_rehearsed_lines(place, BOTS)
    assert lines.numbers == NUMBERS[name]
    table = read_lines(lines.text(), ENVIRONMENT, read_settings(ENVIRONMENT))
    for number, line in NUMBERS[name].items():
        assert chosen(table, call_of(number, at_s=NOON_S)) == line
    for line in table.lines.values():
        assert (line.account_sid, line.settings.bot_role_arn, line.settings.bot_endpoint_url) == ("", None, None)
    offered = lines.offered("http://127.0.0.1:8081", place)
    assert {(one.number, one.name) for one in offered} == {(n, f"{n} ({line})") for n, line in NUMBERS[name].items()}
    for one in offered:
        settings = read_settings(dict(one.settings) | {"TWILIO_AUTH_TOKEN": "t" * 32, "URL": ENVIRONMENT["URL"]})
        assert settings.default_line is None


BOT = '[bots.one]\nid = "C0FFEEBOT1"\nalias = "LIVEALIASX"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            BOT.replace("C0FFEEBOT1", "ABCDEFGHIJ"),
            r"no bot for one \(ABCDEFGHIJ\). It has .*OrderCoffee",
        ),
        ("[[lines]]\n", "each line of a rehearsed table needs a bot"),
        (BOT + '[[lines]]\nbot = "one"\nmatch.to = "sip:a@b.example"\n', "no line has a match.to with a whole number"),
        ("[[lines]", "(?s)toml: 1 problem with the settings:.*is no TOML.* on one line$"),
        ("bots = 3\n", "is no table of lines"),
    ],
)
def test_a_table_that_cannot_be_rehearsed_is_told(text: str, message: str, tmp_path: Path) -> None:
    place = tmp_path / "lines.toml"
    place.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_rehearsed_lines(place, BOTS)


def test_a_table_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        read_rehearsed_lines(tmp_path / "none.toml", BOTS)
