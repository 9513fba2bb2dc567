"""The settings that a call needs."""

from dataclasses import fields

from lexbridge.config.call_rules import CallRules
from tests.support.packages import imported_names, python_files
from tests.support.settings import make_settings


def test_a_call_gets_its_own_settings_and_no_others() -> None:
    found = make_settings(HANGOVER_MS="900")
    rules = found.line.call_rules
    assert type(rules) is CallRules
    assert rules.hangover_ms == 900
    for one in fields(CallRules):
        assert getattr(rules, one.name) == getattr(found.line, one.name)
    assert "twilio_auth_token" not in repr(rules)


def test_a_call_knows_of_the_settings_only_its_own() -> None:
    names = {name for path in python_files("call") for name in imported_names(path)}
    modules = {name.split(".")[2] for name in names if name.startswith("lexbridge.config.")}
    assert modules == {"call_rules", "parsers", "route", "transfer_targets"}


def test_each_setting_of_a_call_is_used_by_it() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in python_files("call"))
    assert [one.name for one in fields(CallRules) if f"rules.{one.name}" not in source] == []
