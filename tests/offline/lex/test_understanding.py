"""Words to meaning. The bot's own phrases, and the spoken forms of dates, times and numbers."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.offline.lex.bot_files import ORDER_COFFEE, ORDER_FLOWERS, load_bot
from lexbridge.offline.lex.spoken_dates import date_of
from lexbridge.offline.lex.spoken_numbers import number_of
from lexbridge.offline.lex.spoken_times import time_of
from lexbridge.offline.lex.understanding import answer_of, understand
from lexbridge.offline.lex.words import words_of
from lexbridge.offline.lex.yes_no import yes_or_no

SUNDAY = date(2026, 11, 22)
FLOWERS, COFFEE = load_bot(ORDER_FLOWERS), load_bot(ORDER_COFFEE)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I'd like 2 lilies, please!", "i would like 2 lilies please"),
        ("At 5 p.m.", "at 5 p m"),
        ("5pm", "5 p m"),
        ("half past ten A.M. on Dec 5th", "half past ten a m on dec 5"),
        ("I am in", "i am in"),
        ("What\N{RIGHT SINGLE QUOTATION MARK}s 1,250?", "what is 1250"),
        ("2026-12-05 at 10:30", "2026-12-05 at 10:30"),
        ("?!", ""),
    ],
)
def test_words(text: str, words: str) -> None:
    assert " ".join(words_of(text)) == words


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("zero", 0),
        ("seven", 7),
        ("nineteen", 19),
        ("twenty five", 25),
        ("twenty-five", 25),
        ("twenty 5", 25),
        ("a hundred", 100),
        ("one hundred and six", 106),
        ("three hundred twenty", 320),
        ("two thousand and twelve", 2012),
        ("12", 12),
        ("1,250", 1250),
        ("five five oh one", 5501),
        ("a dozen", 12),
        ("a couple", 2),
        ("", None),
        ("roses", None),
        ("twenty ten", None),
        ("twenty zero", None),
        ("hundred", None),
        ("ten roses", None),
    ],
)
def test_numbers(text: str, number: int | None) -> None:
    assert number_of(words_of(text)) == number


@given(st.integers(min_value=0, max_value=99))
def test_every_spoken_number_below_a_hundred_is_understood(number: int) -> None:
    ones = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    names = [*ones.split(), "seventeen", "eighteen", "nineteen"]
    tens = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
    said = names[number] if number < 20 else f"{tens[number // 10]} {names[number % 10] if number % 10 else ''}"
    assert number_of(words_of(said)) == number


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("today", "2026-11-22"),
        ("tomorrow", "2026-11-23"),
        ("the day after tomorrow", "2026-11-24"),
        ("friday", "2026-11-27"),
        ("on friday", "2026-11-27"),
        ("this wednesday", "2026-11-25"),
        ("sunday", "2026-11-29"),
        ("next tuesday", "2026-11-24"),
        ("december fifth", "2026-12-05"),
        ("december the twenty first", "2026-12-21"),
        ("the thirtieth of december", "2026-12-30"),
        ("the fifth of december", "2026-12-05"),
        ("december 5th", "2026-12-05"),
        ("5 december", "2026-12-05"),
        ("january second", "2027-01-02"),
        ("november twenty second", "2026-11-22"),
        ("november twenty first", "2027-11-21"),
        ("february twenty ninth", "2028-02-29"),
        ("the third", "2026-12-03"),
        ("the twenty fifth", "2026-11-25"),
        ("in three days", "2026-11-25"),
        ("in a week", "2026-11-29"),
        ("in two weeks", "2026-12-06"),
        ("a week from today", "2026-11-29"),
        ("12/24", "2026-12-24"),
        ("2026-12-05", "2026-12-05"),
        ("2026-13-05", None),
        ("february thirtieth", None),
        ("13/1", None),
        ("in no days", None),
        ("in many days", None),
        ("the", None),
        ("fifth december sixth", None),
        ("five", None),
        ("roses", None),
        ("", None),
    ],
)
def test_dates(text: str, day: str | None) -> None:
    assert date_of(words_of(text), SUNDAY) == day


def test_next_friday_is_the_one_of_the_week_after_this() -> None:
    wednesday = date(2026, 11, 25)
    assert date_of(words_of("friday"), wednesday) == "2026-11-27"
    assert date_of(words_of("next friday"), wednesday) == "2026-12-04"


@given(
    st.dates(min_value=date(2000, 1, 1), max_value=date(2090, 1, 1)), st.sampled_from(["friday", "the fifth", "may 1"])
)
def test_a_date_is_never_in_the_past(today: date, text: str) -> None:
    assert str(date_of(words_of(text), today)) >= today.isoformat()


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("five p m", "17:00"),
        ("5 PM", "17:00"),
        ("at five p.m.", "17:00"),
        ("five thirty p m", "17:30"),
        ("ten oh five a m", "10:05"),
        ("ten", "10:00"),
        ("five", "17:00"),
        ("twelve", "12:00"),
        ("twelve a m", "00:00"),
        ("twelve thirty p m", "12:30"),
        ("ten o'clock", "10:00"),
        ("10:30", "10:30"),
        ("10:30 pm", "22:30"),
        ("half past ten", "10:30"),
        ("half past twelve", "12:30"),
        ("a quarter past three", "15:15"),
        ("quarter to ten", "09:45"),
        ("quarter to one", "12:45"),
        ("ten minutes to nine", "08:50"),
        ("twenty past nine in the morning", "09:20"),
        ("seven in the evening", "19:00"),
        ("eleven at night", "23:00"),
        ("noon", "12:00"),
        ("at midnight", "00:00"),
        ("seventeen thirty", "17:30"),
        ("17:30", "17:30"),
        ("25:00", None),
        ("ten seventy", None),
        ("ten five", None),
        ("half past noon", None),
        ("half past thirty", None),
        ("some past ten", None),
        ("fifty", None),
        ("10:30 10:30", None),
        ("roses", None),
        ("", None),
    ],
)
def test_times(text: str, time: str | None) -> None:
    assert time_of(words_of(text)) == time


@pytest.mark.parametrize("text", ["yes", "Yes, please.", "okay", "yeah", "That's right.", "sure thanks", "well yes"])
def test_a_yes(text: str) -> None:
    assert yes_or_no(text) is True


@pytest.mark.parametrize("text", ["no", "No, thank you.", "nope", "um no", "no please", "not really"])
def test_a_no(text: str) -> None:
    assert yes_or_no(text) is False


@pytest.mark.parametrize("text", ["", "roses", "maybe", "perhaps"])
def test_neither_yes_nor_no(text: str) -> None:
    assert yes_or_no(text) is None


@pytest.mark.parametrize(
    "text", ["red roses", "Some red roses, please.", "I'd like roses", "make it a rose", "um roses"]
)
def test_a_value_among_the_usual_words_fills_its_slot(text: str) -> None:
    slot = FLOWERS.intents[0].slots[0]
    filling = answer_of(slot, text, FLOWERS, SUNDAY)
    assert filling is not None
    assert filling.value == "roses"


@pytest.mark.parametrize("text", ["", "daisies", "roses and tulips", "please", "tomorrow"])
def test_a_slot_takes_nothing_but_its_values(text: str) -> None:
    assert answer_of(FLOWERS.intents[0].slots[0], text, FLOWERS, SUNDAY) is None


def test_a_slots_own_sample_utterance_fills_it() -> None:
    count = next(slot for intent in COFFEE.intents for slot in intent.slots if slot.name == "Count")
    filling = answer_of(count, "three cups please", COFFEE, SUNDAY)
    assert filling is not None
    assert (filling.value, filling.original) == ("3", "three")


@pytest.mark.parametrize(
    ("text", "intent", "values"),
    [
        ("I would like to order some flowers", "OrderFlowers", {}),
        ("i want to buy flowers please", "OrderFlowers", {}),
        (
            "I'd like to order some tulips for tomorrow",
            "OrderFlowers",
            {"FlowerType": "tulips", "PickupDate": "2026-11-23"},
        ),
        (
            "I would like to order some red roses for friday at half past ten",
            "OrderFlowers",
            {"FlowerType": "roses", "PickupDate": "2026-11-27", "PickupTime": "10:30"},
        ),
        (
            "could you get me lilies for december fifth",
            "OrderFlowers",
            {"FlowerType": "lilies", "PickupDate": "2026-12-05"},
        ),
        ("goodbye", "GoodbyeIntent", {}),
        ("ok thank you, goodbye!", "GoodbyeIntent", {}),
        ("help", "HelpIntent", {}),
        ("Stop!", "StopIntent", {}),
    ],
)
def test_an_utterance_of_an_intent(text: str, intent: str, values: dict[str, str]) -> None:
    understood = understand(text, FLOWERS.intents, FLOWERS, SUNDAY)
    assert understood is not None
    assert understood.intent.name == intent
    assert {name: filling.value for name, filling in understood.fillings.items()} == values


@pytest.mark.parametrize("text", ["", "what a nice day", "please", "i would like", "order", "twelve"])
def test_an_utterance_of_no_intent(text: str) -> None:
    understood = understand(text, FLOWERS.intents, FLOWERS, SUNDAY)
    assert understood is None or understood.intent.name == "OrderFlowers"
    if text in ("", "what a nice day", "please", "i would like"):
        assert understood is None


def test_a_phrase_of_the_bot_is_understood_with_certainty() -> None:
    exact = understand("I want to buy flowers", FLOWERS.intents, FLOWERS, SUNDAY)
    near = understand("flowers is what I want to buy today maybe", FLOWERS.intents, FLOWERS, SUNDAY)
    assert exact is not None
    assert exact.confidence == 1.0
    assert near is None or near.confidence < 1.0


@given(st.text(max_size=60))
def test_any_text_is_understood_or_not_but_never_an_error(text: str) -> None:
    understand(text, FLOWERS.intents, FLOWERS, SUNDAY)
    yes_or_no(text)
    for slot in FLOWERS.intents[0].slots:
        answer_of(slot, text, FLOWERS, SUNDAY)
