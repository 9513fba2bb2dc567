"""The page docs/lines.md: its examples are right tables, and what it prints of them is what the code says."""

from collections import Counter
from datetime import datetime

import pytest

from lexbridge.config.route import CallRoute
from tests.support.line_tables import call_of, chosen
from tests.support.lines_page import example

CLINIC = "AC0123456789abcdef0123456789abcdef"


def at(local: str) -> float:
    return datetime.fromisoformat(local).timestamp()


def test_the_shop_has_a_bot_for_the_evening_and_tries_a_new_one() -> None:
    shop = example("shop")
    day, evening = at("2026-12-01T12:00-08:00"), at("2026-12-01T18:30-08:00")
    calls = [call_of("+12065550112", at_s=day, CallSid=f"CA{number}") for number in range(1000)]
    counts = Counter(chosen(shop, call) for call in calls)
    assert counts.keys() == {"day", "day-next"}
    assert 60 < counts["day-next"] < 140
    assert chosen(shop, call_of("+12065550111", at_s=evening)) == "evening"
    assert chosen(shop, call_of("+12065550113", at_s=day)) is None


@pytest.mark.parametrize(
    ("header", "line"), [("lab", "laboratory"), ("42", "laboratory"), ("5", "reception"), ("", "reception")]
)
def test_the_clinic_looks_at_a_header_of_its_account(header: str, line: str) -> None:
    clinic = example("clinic")
    form = {"SipHeader_X-Department": header, "AccountSid": CLINIC}
    assert chosen(clinic, call_of("sip:Clinic@example.sip.twilio.com", **form)) == line
    assert chosen(clinic, call_of("sip:clinic@example.com", AccountSid="AC" + "1" * 32)) is None


@pytest.mark.parametrize(
    ("to", "line", "voice"),
    [
        ("+4930555501", "german", "Polly.Vicki"),
        ("+33155555011", "french", "Polly.Lea"),
        ("+442055501", "english", "Polly.Amy"),
    ],
)
def test_the_hotline_speaks_the_language_of_its_number(to: str, line: str, voice: str) -> None:
    hotline = example("hotline")
    assert chosen(hotline, call_of(to)) == line
    settings = hotline.settings_of(CallRoute(line))
    assert settings is not None
    assert settings.say_voice == voice
    moved = hotline.settings_of(CallRoute("english", "", settings.bot.locale_id))  # type: ignore[union-attr]
    assert moved is not None
    assert (moved.say_voice, moved.bot) == (voice, settings.bot)
