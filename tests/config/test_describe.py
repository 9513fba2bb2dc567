"""The settings as people read them: `--help`, and `.env.example`. The README's table: test_docs.py."""

import io
import re

import pytest
from dotenv import dotenv_values

from lexbridge.config.describe import describe_settings, example_env_file, settings_tables
from lexbridge.config.env_file import read_env_file
from lexbridge.config.setting import Group
from lexbridge.config.settings import SETTINGS


@pytest.mark.parametrize("columns", [60, 78, 118, 200])
def test_help_has_each_setting_under_its_group(columns):
    """The help has each setting under its group, and no line is too long."""
    lines = describe_settings(columns).splitlines()
    assert max(map(len, lines)) <= columns
    assert [line[:-1] for line in lines if re.fullmatch("[A-Z].*:", line)] == [group.value for group in Group]
    named = [match[1] for line in lines if (match := re.match(r"  ([A-Z]\w+)\b", line))]
    assert named == [one.name for one in SETTINGS]


def test_help_tells_defaults_and_what_is_required():
    text = " ".join(describe_settings(100).split())
    assert "AWS_REGION AWS region of the bot, such as `us-west-2` (required)" in text
    assert "HANGOVER_MS Milliseconds of silence that end an utterance (default: 700)" in text


def test_help_is_as_wide_as_the_terminal(monkeypatch):
    for columns, most in (("90", 88), ("20", 60)):
        monkeypatch.setenv("COLUMNS", columns)
        assert max(map(len, describe_settings().splitlines())) in range(most - 15, most + 1)


def test_the_example_has_every_setting_with_its_default():
    text = example_env_file()
    assert dotenv_values(stream=io.StringIO(text)) == {}
    taken_in = re.sub(r"(?m)^#(?=[A-Z])", "", text)
    assert dotenv_values(stream=io.StringIO(taken_in)) == {one.name: one.default or "" for one in SETTINGS}


def test_the_example_begins_with_what_is_required():
    names = re.findall(r"(?m)^#([A-Z]\w+)=", example_env_file())
    assert set(names[:5]) == {"AWS_REGION", "LEX_BOT_ID", "LEX_BOT_ALIAS_ID", "TWILIO_AUTH_TOKEN", "URL"}


def test_the_example_can_be_an_env_file(tmp_path):
    (tmp_path / ".env").write_text(example_env_file(), encoding="utf-8")
    assert read_env_file(tmp_path / ".env") == frozenset()


def test_the_tables_have_a_row_for_each_setting():
    rows = [line for line in settings_tables().splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == [one.name for one in SETTINGS]
    assert "| `LEX_LOCALE_ID` | `en_US` | Locale of a Lex V2 bot" in settings_tables()
    assert "| `URL` | required | Public base URL" in settings_tables()
    assert "| `MAX_CALL_S` | unset | Seconds that a call may last" in settings_tables()
