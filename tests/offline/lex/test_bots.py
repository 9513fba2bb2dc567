"""Bots read from Lex's exports, V1 and V2."""

import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lexbridge.offline.lex.bot_files import (
    CHECK_BOOKING,
    ORDER_COFFEE,
    ORDER_FLOWERS,
    example_bots,
    load_bot,
    shipped_bots,
)
from lexbridge.offline.lex.bots import CARD, Bot, BotFileError, Card
from lexbridge.offline.lex.words import words_of


def test_the_flower_bot_is_a_v1_export() -> None:
    bot = load_bot(ORDER_FLOWERS)
    order = bot.intent("OrderFlowers")
    assert (bot.name, bot.locale_id, bot.session_ttl_s) == ("OrderFlowers", "en_US", 600)
    assert order is not None
    assert [(slot.name, slot.type) for slot in order.slots] == [
        ("FlowerType", "FlowerTypes"),
        ("PickupDate", "AMAZON.DATE"),
        ("PickupTime", "AMAZON.TIME"),
    ]
    assert order.confirmation is not None
    assert order.confirmation.attempts == 3
    assert order.declined
    assert order.closing
    assert [value.value for value in bot.slot_types["FlowerTypes"].values] == ["roses", "lilies", "tulips"]
    assert bot.clarification is not None
    assert bot.abort
    assert bot.fallback is None


def test_the_coffee_bot_is_a_v2_export() -> None:
    bot = load_bot(ORDER_COFFEE)
    order = bot.intent("OrderCoffee")
    assert (bot.name, bot.v2_id, bot.locale_id) == ("OrderCoffee", "C0FFEEBOT1", "en_US")
    assert order is not None
    assert [slot.name for slot in order.slots] == ["CoffeeKind", "CupSize", "Count"]
    assert order.slots[0].prompt.attempts == 3  # two retries
    assert order.confirmation is not None
    assert bot.fallback is not None
    assert bot.fallback.name == "FallbackIntent"


def test_the_booking_bot_asks_for_keys_shows_a_card_and_hangs_up() -> None:
    bot = load_bot(CHECK_BOOKING)
    check, welcome = bot.intent("CheckBooking"), bot.intent("WelcomeIntent")
    assert check is not None
    assert welcome is not None
    assert len(welcome.closing[0].text) > 150  # long enough to be interrupted
    number, extra = check.slots
    assert bot.slot_types[number.type].digits == (6, 6)
    assert check.when_begun["x-amz-lex:dtmf:max-length:CheckBooking:BookingNumber"] == "6"
    assert check.when_closed == {"lexbridge:action": "hangup"}
    prompt, card = extra.prompt.messages
    assert (prompt.kind, card.kind, card.text) == ("PlainText", CARD, "")
    assert card.card == Card(
        "Booking {BookingNumber}",
        "Double room, two nights",
        buttons=(("Breakfast", "breakfast"), ("Parking", "parking"), ("Nothing more", "nothing more")),
    )


def changed(folder: Path, pattern: str, change: Callable[[dict[str, Any]], Any]) -> Path:
    """A copy of the booking bot with one of its files changed."""
    shutil.copytree(CHECK_BOOKING, folder / "bot")
    file = next((folder / "bot").rglob(pattern))
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))
    return folder / "bot"


@pytest.mark.parametrize(("pattern", "digits"), [(r"\d{4,8}", (4, 8)), ("^[0-9]{9}$", (9, 9))])
def test_how_many_digits_a_regular_expression_takes(tmp_path: Path, pattern: str, digits: tuple[int, int]) -> None:
    path = changed(
        tmp_path,
        "BookingNumbers/SlotType.json",
        lambda slot_type: slot_type["valueSelectionSetting"].update(regexFilter={"pattern": pattern}),
    )
    assert load_bot(path).slot_types["BookingNumbers"].digits == digits


def test_a_regular_expression_of_more_than_digits_is_not_read(tmp_path: Path) -> None:
    path = changed(
        tmp_path,
        "BookingNumbers/SlotType.json",
        lambda slot_type: slot_type["valueSelectionSetting"].update(regexFilter={"pattern": "[A-Z]{2}[0-9]{4}"}),
    )
    with pytest.raises(BotFileError, match="none of digits alone"):
        load_bot(path)


def test_a_filled_slot_may_set_session_attributes(tmp_path: Path) -> None:
    step = {"captureNextStep": {"sessionAttributes": {"lexbridge:no-input-s": "20"}}}
    path = changed(
        tmp_path,
        "BookingNumber/Slot.json",
        lambda slot: slot["valueElicitationSetting"].update(slotCaptureSetting=step),
    )
    check = load_bot(path).intent("CheckBooking")
    assert check is not None
    assert check.slots[0].when_filled == {"lexbridge:no-input-s": "20"}


@pytest.mark.parametrize("bot", shipped_bots(), ids=lambda bot: bot.name)
def test_the_shipped_bots_are_whole(bot: Bot) -> None:
    names = [intent.name for intent in bot.intents]
    assert {"GoodbyeIntent", "HelpIntent", "StopIntent"} <= set(names)
    assert len(bot.v2_id) == 10
    assert bot.v2_id.isalnum()
    for intent in bot.intents:
        said = [words_of(utterance) for utterance in intent.utterances if "{" not in utterance]
        assert len(said) == len(set(said))
        for utterance in intent.utterances:
            named = set(re.findall(r"\{(\w+)\}", utterance))
            assert named <= {slot.name for slot in intent.slots}, intent.name


def test_an_utterance_belongs_to_one_intent() -> None:
    for bot in shipped_bots():
        said = [
            words_of(utterance) for intent in bot.intents for utterance in intent.utterances if "{" not in utterance
        ]
        assert len(said) == len(set(said)), bot.name


def test_a_v2_export_may_stay_zipped(tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "OrderCoffee-DRAFT"), "zip", ORDER_COFFEE)
    assert load_bot(archive) == load_bot(ORDER_COFFEE)


def test_a_v1_export_may_stay_zipped(tmp_path: Path) -> None:
    archive = tmp_path / "OrderFlowers_1_Bot_LEX.zip"
    with zipfile.ZipFile(archive, "w") as export:
        export.write(ORDER_FLOWERS, "OrderFlowers_1_Bot_LEX.json")
    assert load_bot(archive) == load_bot(ORDER_FLOWERS)


def test_a_bot_without_an_identifier_keeps_its_v2_id() -> None:
    first, second = load_bot(ORDER_FLOWERS), load_bot(ORDER_FLOWERS)
    assert first.v2_id == second.v2_id
    assert Bot("Other", ()).v2_id != first.v2_id


def minimal(**intent: object) -> dict[str, object]:
    return {"resource": {"name": "B", "intents": [{"name": "I", **intent}]}}


def test_a_v1_export_with_only_what_it_must_have(tmp_path: Path) -> None:
    file = tmp_path / "bot.json"
    file.write_text(json.dumps(minimal()))
    bot = load_bot(file)
    assert (bot.version, bot.session_ttl_s, bot.locale_id) == ("$LATEST", 300, "en_US")
    assert not bot.intents[0].fulfils


@pytest.mark.parametrize(
    ("activity", "conclusion", "fulfils"),
    [("ReturnIntent", False, False), ("ReturnIntent", True, True), ("CodeHook", False, True)],
)
def test_who_fulfils_an_intent(tmp_path: Path, activity: str, conclusion: bool, fulfils: bool) -> None:
    statement = {"messages": [{"contentType": "PlainText", "content": "Done."}]} if conclusion else None
    file = tmp_path / "bot.json"
    file.write_text(json.dumps(minimal(fulfillmentActivity={"type": activity}, conclusionStatement=statement)))
    assert load_bot(file).intents[0].fulfils is fulfils


SLOT = {"name": "S", "slotType": "Missing", "slotConstraint": "Required"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "not JSON"),
        ('{"resource": {"name": "FlowerTypes", "enumerationValues": []}}', "no bot in it"),
        ('{"resource": {"intents": []}}', "not in the shape of a Lex export: KeyError: 'name'"),
        ('{"resource": {"name": "B", "intents": [7]}}', "not in the shape of a Lex export"),
        (json.dumps(minimal(slots=[SLOT])), "slot S of intent I has the unknown type Missing"),
        (
            json.dumps(minimal(slots=[{**SLOT, "slotType": "AMAZON.DATE"}])),
            "slot S of intent I is required and has no prompt",
        ),
    ],
)
def test_a_file_that_is_no_export_says_what_is_wrong(tmp_path: Path, content: str, problem: str) -> None:
    file = tmp_path / "bot.json"
    file.write_text(content)
    with pytest.raises(BotFileError, match=problem) as caught:
        load_bot(file)
    assert str(file) in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BotFileError, match="cannot be read"):
        load_bot(tmp_path / "none.json")
    (tmp_path / "broken.zip").write_bytes(b"PK no zip")
    with pytest.raises(BotFileError, match="cannot be read"):
        load_bot(tmp_path / "broken.zip")


def test_a_v2_export_without_a_locale(tmp_path: Path) -> None:
    (tmp_path / "Bot.json").write_text('{"name": "B"}')
    with pytest.raises(BotFileError, match="no locale"):
        load_bot(tmp_path)


def test_variations_and_kinds_of_v2_messages(tmp_path: Path) -> None:
    shutil.copytree(ORDER_COFFEE, tmp_path / "bot")
    file = next((tmp_path / "bot").rglob("HelpIntent/Intent.json"))
    intent = json.loads(file.read_text())
    groups = intent["intentClosingSetting"]["closingResponse"]["messageGroupsList"]
    groups[0]["variations"] = [{"ssmlMessage": {"value": "<speak>Help.</speak>"}}]
    groups.append({"message": {"customPayload": {"value": "{}"}}})
    file.write_text(json.dumps(intent))
    found = load_bot(tmp_path / "bot").intent("HelpIntent")
    assert found is not None
    assert [(m.kind, m.group) for m in found.closing] == [("PlainText", 1), ("SSML", 1), ("CustomPayload", 2)]


def test_a_bot_is_loaded_in_each_of_its_locales() -> None:
    names = [(bot.v2_id, bot.locale_id) for bot in example_bots() if bot.name == "HelpLine"]
    assert names == [("HE1PL1NEB0", "de_DE"), ("HE1PL1NEB0", "en_US"), ("HE1PL1NEB0", "es_ES")]
    assert len({bot.v2_id for bot in [*shipped_bots(), *example_bots()]}) == 8


def test_words_lose_their_accents() -> None:
    assert words_of("Öffnungszeiten, straße, español") == ("offnungszeiten", "strasse", "espanol")
