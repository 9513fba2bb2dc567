"""The table of environment variables holds what the documents and `config` rely on. Its rules: test_config.py."""

from dataclasses import fields

import pytest

from lexbridge.config.variables import BOTO3_VARIABLES, PHRASE_VARIABLES, SETTINGS, Setting
from lexbridge.phrases import Phrases

NAMES = [setting.name for setting in SETTINGS]


def test_no_variable_stands_there_twice():
    names = [*NAMES, *(name for name, _ in BOTO3_VARIABLES)]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("setting", SETTINGS, ids=NAMES)
def test_each_row_can_be_a_row_of_the_readme(setting: Setting):
    assert setting.help
    assert "|" not in setting.help
    assert "\n" not in setting.help


@pytest.mark.parametrize("setting", [one for one in SETTINGS if one.default is not None], ids=lambda one: one.name)
def test_each_default_passes_its_own_rule(setting: Setting):
    setting.parse(setting.default)


@pytest.mark.parametrize("setting", [one for one in SETTINGS if one.required], ids=lambda one: one.name)
def test_each_required_variable_can_tell_its_rule(setting: Setting):
    assert setting.rule.startswith("must be ")


def test_each_phrase_has_one_variable():
    assert [name for name, _ in PHRASE_VARIABLES.values()] == [field.name for field in fields(Phrases)]
    assert set(PHRASE_VARIABLES) <= set(NAMES)


def test_each_phrases_help_quotes_the_english_one():
    (goodbye,) = (one.help for one in SETTINGS if one.name == "GOODBYE_TEXT")
    assert goodbye.endswith("Unset: in the bot's language; in English `Goodbye.`")
