"""Hours of the week: how they are written, and which moments they include."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from lexbridge.config.opening_hours import RULE, OpeningHours, complement, parse_timezone, parse_week

VIENNA = "Europe/Vienna"


def includes(text: str, at: str, timezone: str = VIENNA) -> bool:
    """Return whether the hours include a local time such as `2026-03-02 09:00`."""
    moment = datetime.fromisoformat(at).replace(tzinfo=ZoneInfo(timezone))
    return OpeningHours(timezone, parse_week([text])).include(moment.timestamp())


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        # 2026-03-02 is a Monday
        ("mon-fri 09:00-17:00", ["2026-03-02 09:00", "2026-03-06 16:59"], ["2026-03-02 08:59", "2026-03-02 17:00"]),
        ("mon-fri 09:00-17:00", ["2026-03-04 12:00"], ["2026-03-07 12:00", "2026-03-08 12:00"]),
        ("mon,wed-thu", ["2026-03-02 00:00", "2026-03-05 23:59"], ["2026-03-03 12:00", "2026-03-06 00:00"]),
        ("Sat-Mon  10:00-11:00", ["2026-03-07 10:00", "2026-03-08 10:00", "2026-03-02 10:59"], ["2026-03-03 10:00"]),
        ("22:00-06:00", ["2026-03-02 22:00", "2026-03-03 05:59", "2026-03-02 03:00"], ["2026-03-02 06:00"]),
        ("sun 22:00-06:00", ["2026-03-08 23:00", "2026-03-02 05:59"], ["2026-03-08 05:00", "2026-03-02 22:00"]),
        ("mon 08:00-12:00,13:00-24:00", ["2026-03-02 11:59", "2026-03-02 23:59"], ["2026-03-02 12:30"]),
        ("mon 00:00-00:00", ["2026-03-02 00:00", "2026-03-02 23:59"], ["2026-03-03 00:00"]),
    ],
)
def test_hours_include_what_they_say(text: str, inside: list[str], outside: list[str]) -> None:
    assert [includes(text, at) for at in inside] == [True] * len(inside)
    assert [includes(text, at) for at in outside] == [False] * len(outside)


def test_hours_follow_the_clocks_of_their_zone() -> None:
    """Clocks in Vienna are an hour ahead of UTC in winter, and two in summer."""
    nine = OpeningHours(VIENNA, parse_week(["09:00-10:00"]))
    winter, summer = (datetime(2026, month, 2, 8, 30, tzinfo=ZoneInfo("UTC")).timestamp() for month in (3, 7))
    assert (nine.include(winter), nine.include(summer)) == (True, False)


def test_a_complement_has_all_other_minutes() -> None:
    open_, closed = parse_week(["mon-fri 09:00-17:00"]), complement(parse_week(["mon-fri 09:00-17:00"]))
    assert open_ & closed == 0
    assert (open_ | closed).bit_count() == 7 * 24 * 60
    assert open_.bit_count() == 5 * 8 * 60


def test_hours_cover_others_of_their_zone() -> None:
    day, noon, all_ = (OpeningHours(VIENNA, parse_week([text])) for text in ("09:00-17:00", "12:00-13:00", "mon-sun"))
    assert (day.cover(noon), noon.cover(day), day.cover(day)) == (True, False, True)
    elsewhere = OpeningHours("UTC", noon.minutes)
    assert (day.cover(elsewhere), all_.cover(elsewhere)) == (False, True)


@pytest.mark.parametrize(
    "text", ["", "9-5", "mon 9:00-17:00", "mon-fry", "mon 09:00", "mon 09:60-10:00", "mon 09:00-24:01", "mon mon", "x"]
)
def test_other_texts_are_refused_with_the_rule(text: str) -> None:
    with pytest.raises(ValueError, match="must be days and times") as error:
        parse_week([text])
    assert str(error.value) == RULE


def test_time_zones_have_the_names_of_the_iana_database() -> None:
    assert parse_timezone(VIENNA) == VIENNA
    for text in ("Vienna", "", "Europe", "../etc/passwd", "a\0b", "x" * 5000):
        with pytest.raises(ValueError, match="must be a time zone such as Europe/Vienna"):
            parse_timezone(text)
