"""The entries of the settings have what the documents and `config.reading` rely on. Rules: test_settings.py."""

import subprocess
import sys
from dataclasses import fields
from typing import Literal, get_args, get_origin, get_type_hints

import pytest

from lexbridge.config.call_rules import PHRASE_SETTINGS
from lexbridge.config.line_settings import LineSettings
from lexbridge.config.service_settings import ServiceSettings
from lexbridge.config.setting import Setting, simple_fields_of
from lexbridge.config.settings import SETTINGS
from lexbridge.config.twilio_account import TwilioAccount
from lexbridge.phrases.model import Phrases
from tests.support.packages import ROOT

PARTS = (ServiceSettings, LineSettings, TwilioAccount)
NAMES = [setting.name for setting in SETTINGS]

TYPOS = """
from lexbridge.config.call_rules import CallRules
from lexbridge.config.parsers import one_of
from lexbridge.config.setting import Group, setting

def is_streaming(rules: CallRules) -> bool:
    return rules.reply_mode == "steam"

def bot_begins(rules: CallRules) -> bool:
    return rules.welcome == "bot"

limit: int = setting("LIMIT", one_of("low", "high"), Group.CALL, "Any", default="low")
"""


def test_mypy_sees_typos_in_values_and_rules_of_other_types(tmp_path):
    (tmp_path / "typos.py").write_text(TYPOS)
    # A process of its own, because mypy raises the recursion limit, which other tests reach.
    command = [sys.executable, "-m", "mypy", str(tmp_path / "typos.py"), "--cache-dir", str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = [line.partition("typos.py:")[2].partition(":")[0] for line in ended.stdout.splitlines()[:-1]]
    assert (lines, ended.stderr) == (["7", "12"], ""), ended.stdout


def test_no_setting_stands_there_twice():
    assert sorted(set(NAMES)) == sorted(NAMES)


def test_each_field_is_called_like_its_variable():
    pairs = [one for part in PARTS for one in simple_fields_of(part)]
    assert len(pairs) > 60
    assert [name for name, setting in pairs if name != setting.name.lower()] == []


def test_a_field_with_choices_has_the_words_of_its_rule():
    hints = [hint for part in PARTS for hint in get_type_hints(part).items()]
    words = {name: get_args(hint) for name, hint in hints if get_origin(hint) is Literal}
    assert len(words) == 4
    for name, setting in (one for part in PARTS for one in simple_fields_of(part)):
        if name in words:
            assert setting.rule == f"must be one of {', '.join(words[name])}"


@pytest.mark.parametrize("setting", SETTINGS, ids=NAMES)
def test_each_help_can_be_a_cell_of_a_table(setting: Setting):
    assert setting.help
    assert not set("|\n") & set(setting.help)
    assert setting.help[0] == "`" or setting.help[0].isupper()
    assert not setting.help.endswith(".")


@pytest.mark.parametrize("setting", [one for one in SETTINGS if one.default is not None], ids=lambda one: one.name)
def test_each_default_passes_its_own_rule(setting: Setting):
    setting.parse(setting.default)


@pytest.mark.parametrize("setting", [one for one in SETTINGS if one.required], ids=lambda one: one.name)
def test_each_required_setting_can_tell_its_rule(setting: Setting):
    assert setting.rule.startswith("must be ")


def test_each_phrase_has_one_setting():
    assert list(PHRASE_SETTINGS) == [field.name for field in fields(Phrases)]
    assert {one.name for one in PHRASE_SETTINGS.values()} <= set(NAMES)


def test_each_phrases_help_quotes_the_english_one():
    assert PHRASE_SETTINGS["goodbye"].help.endswith("Unset: in the bot's language; in English `Goodbye.`")
