"""Bots read from Lex's own exports: the JSON file of V1, and the zip (or its folder) of V2."""

import json
import re
import zipfile
from pathlib import Path
from typing import Any

from lexbridge.offline.lex.bots import (
    CARD,
    V2_MESSAGE_KINDS,
    Bot,
    BotFileError,
    Card,
    Intent,
    Message,
    Prompt,
    Slot,
    SlotType,
    SlotValue,
)

HERE = Path(__file__).parents[1] / "bots"

ORDER_FLOWERS = HERE / "order_flowers.json"

ORDER_COFFEE = HERE / "order_coffee"

CHECK_BOOKING = HERE / "check_booking"

OF_EXAMPLES = tuple(HERE / name for name in ("shop_support", "clinic_desk", "praxis", "help_line", "language_router"))
"""The bots of docs/examples-of-lines.md, beside those above."""

_DIGITS = re.compile(r"\^?(?:\[0-9\]|\\d)\{(\d{1,2})(?:,(\d{1,2}))?\}\$?")


def load_bot(path: str | Path) -> Bot:
    """The bot in `path`, in the first of its locales. See `load_locales`."""
    return load_locales(path)[0]


def load_locales(path: str | Path) -> list[Bot]:
    """Return the bot in `path` in each of its locales, the first by name first. Raises BotFileError.

    It is a V1 export (.json), a V2 export (.zip) or its unzipped folder. A V1 export comes out of the console as a zip
    with the one JSON file in it: that is read too.
    """
    path = Path(path)
    try:
        files = _read_files(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise BotFileError(f"{path}: cannot be read: {error}") from error
    try:
        documents = {name: json.loads(text) for name, text in files.items()}
    except ValueError as error:
        raise BotFileError(f"{path}: not JSON: {error}") from error
    try:
        return _locales_of_documents(documents)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise BotFileError(f"{path}: not in the shape of a Lex export: {type(error).__name__}: {error}") from error
    except BotFileError as error:
        raise BotFileError(f"{path}: {error}") from error


def shipped_bots() -> list[Bot]:
    """The bots that come with this project, without those of the examples of lines."""
    return [load_bot(ORDER_FLOWERS), load_bot(ORDER_COFFEE), load_bot(CHECK_BOOKING)]


def example_bots() -> list[Bot]:
    """Return the bots of the examples of lines, each in each of its locales."""
    return [bot for file in OF_EXAMPLES for bot in load_locales(file)]


def _read_files(path: Path) -> dict[str, str]:
    """Each JSON file's text, by its path inside the export."""
    if path.is_dir():
        found = sorted(path.rglob("*.json"))
        return {file.relative_to(path).as_posix(): file.read_text(encoding="utf-8-sig") for file in found}
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as export:
            names = [name for name in export.namelist() if name.endswith(".json")]
            return {name: export.read(name).decode("utf-8-sig") for name in names}
    return {path.name: path.read_text(encoding="utf-8-sig")}


def _locales_of_documents(documents: dict[str, Any]) -> list[Bot]:
    for name, document in documents.items():
        if name.rpartition("/")[2] == "Bot.json":
            bots = _v2_locales(name.removesuffix("Bot.json"), documents)
            break
        if "resource" in document and "intents" in document["resource"]:
            bots = [_v1_bot(document["resource"])]
            break
    else:
        raise BotFileError("no bot in it: neither a V1 export's resource with intents, nor a V2 export's Bot.json")
    for bot in bots:
        _check(bot)
    return bots


def _check(bot: Bot) -> None:
    """Check a bot for faults that would otherwise only show in the middle of a conversation. Raises BotFileError."""
    for intent in bot.intents:
        for slot in intent.slots:
            if not slot.type.upper().startswith("AMAZON.") and slot.type not in bot.slot_types:
                raise BotFileError(f"slot {slot.name} of intent {intent.name} has the unknown type {slot.type}")
            if slot.required and not slot.prompt.messages:
                raise BotFileError(f"slot {slot.name} of intent {intent.name} is required and has no prompt")


def _v1_bot(resource: dict[str, Any]) -> Bot:
    types = [_v1_slot_type(raw) for raw in resource.get("slotTypes") or ()]
    return Bot(
        name=resource["name"],
        intents=tuple(_v1_intent(raw) for raw in resource["intents"]),
        slot_types={slot_type.name: slot_type for slot_type in types},
        clarification=_v1_prompt(resource.get("clarificationPrompt")),
        abort=_v1_messages(resource.get("abortStatement")),
        session_ttl_s=int(resource.get("idleSessionTTLInSeconds") or 300),
        version=resource.get("version") or "$LATEST",
        locale_id=(resource.get("locale") or "en-US").replace("-", "_"),
    )


def _v1_slot_type(raw: dict[str, Any]) -> SlotType:
    values = tuple(
        SlotValue(entry["value"], tuple(entry.get("synonyms") or ())) for entry in raw.get("enumerationValues") or ()
    )
    return SlotType(raw["name"], values, resolves=raw.get("valueSelectionStrategy") == "TOP_RESOLUTION")


def _v1_intent(raw: dict[str, Any]) -> Intent:
    slots = sorted(raw.get("slots") or (), key=lambda slot: slot.get("priority") or 0)
    closing = _v1_messages(raw.get("conclusionStatement"))
    follow_up = raw.get("followUpPrompt") or {}
    # An intent handed back to the client stays ReadyForFulfillment; the console's own "response" for such an intent
    # is a conclusion statement, and Lex then answers Fulfilled.
    hook = (raw.get("fulfillmentActivity") or {}).get("type") == "CodeHook"
    return Intent(
        name=raw["name"],
        utterances=tuple(raw.get("sampleUtterances") or ()),
        slots=tuple(_v1_slot(slot) for slot in slots),
        confirmation=_v1_prompt(raw.get("confirmationPrompt")),
        declined=_v1_messages(raw.get("rejectionStatement")),
        closing=closing,
        fulfils=hook or bool(closing),
        follow_up=_v1_prompt(follow_up.get("prompt")),
        follow_up_declined=_v1_messages(follow_up.get("rejectionStatement")),
        parent=raw.get("parentIntentSignature"),
    )


def _v1_slot(raw: dict[str, Any]) -> Slot:
    return Slot(
        name=raw["name"],
        type=raw["slotType"],
        required=raw.get("slotConstraint") == "Required",
        prompt=_v1_prompt(raw.get("valueElicitationPrompt")) or Prompt((), 1),
        utterances=tuple(raw.get("sampleUtterances") or ()),
    )


def _v1_prompt(raw: dict[str, Any] | None) -> Prompt | None:
    return Prompt(_v1_messages(raw), int(raw.get("maxAttempts") or 1)) if raw else None


def _v1_messages(raw: dict[str, Any] | None) -> tuple[Message, ...]:
    messages = (raw or {}).get("messages") or ()
    return tuple(
        Message(m["content"], m.get("contentType") or "PlainText", m.get("groupNumber") or 1) for m in messages
    )


def _v2_locales(root: str, documents: dict[str, Any]) -> list[Bot]:
    """Return each locale of the bot whose folder in the export is `root` ("" or ends in a slash)."""
    locales = sorted(name for name in documents if name.startswith(root) and name.endswith("/BotLocale.json"))
    if not locales:
        raise BotFileError("the bot has no locale")
    return [_v2_bot(documents[f"{root}Bot.json"], name, documents) for name in locales]


def _v2_bot(bot: dict[str, Any], locale_file: str, documents: dict[str, Any]) -> Bot:
    """Return the locale of a bot that `locale_file` is about."""
    locale = documents[locale_file]
    home = locale_file.removesuffix("BotLocale.json")
    inside = {name.removeprefix(home): documents[name] for name in sorted(documents) if name.startswith(home)}
    types = [_v2_slot_type(raw) for name, raw in inside.items() if name.endswith("/SlotType.json")]
    intents = [
        _v2_intent(raw, {n: d for n, d in inside.items() if n.startswith(name.removesuffix("Intent.json") + "Slots/")})
        for name, raw in inside.items()
        if name.endswith("/Intent.json")
    ]
    return Bot(
        name=bot["name"],
        intents=tuple(intents),
        slot_types={slot_type.name: slot_type for slot_type in types},
        session_ttl_s=int(bot.get("idleSessionTTLInSeconds") or 300),
        version=bot.get("version") or "DRAFT",
        locale_id=locale["identifier"],
        identifier=bot.get("identifier"),
    )


def _v2_slot_type(raw: dict[str, Any]) -> SlotType:
    values = tuple(
        SlotValue(entry["sampleValue"]["value"], tuple(s["value"] for s in entry.get("synonyms") or ()))
        for entry in raw.get("slotTypeValues") or ()
    )
    selection = raw.get("valueSelectionSetting") or {}
    resolves = str(selection.get("resolutionStrategy")).upper().replace("_", "") == "TOPRESOLUTION"
    pattern = (selection.get("regexFilter") or {}).get("pattern")
    return SlotType(raw["name"], values, resolves, _digits(pattern) if pattern and not values else None)


def _digits(pattern: str) -> tuple[int, int]:
    """Return the least and largest number of digits that `pattern` matches. Raises BotFileError if it matches more."""
    found = _DIGITS.fullmatch(pattern)
    if found is None:
        raise BotFileError(f"the regular expression {pattern!r} is none of digits alone, such as [0-9]{{6}}")
    fewest, most = found.groups()
    return int(fewest), int(most or fewest)


def _v2_intent(raw: dict[str, Any], slot_documents: dict[str, Any]) -> Intent:
    slots = {slot["name"]: _v2_slot(slot) for slot in slot_documents.values()}
    priorities = {entry["slotName"]: entry["priority"] for entry in raw.get("slotPriorities") or ()}
    confirmation = _if_active(raw.get("intentConfirmationSetting"))
    closing = _v2_messages((_if_active(raw.get("intentClosingSetting")) or {}).get("closingResponse"))
    hook = raw.get("fulfillmentCodeHook") or {}
    fulfilled = _v2_messages((hook.get("postFulfillmentStatusSpecification") or {}).get("successResponse"))
    return Intent(
        name=raw["name"],
        utterances=tuple(entry["utterance"] for entry in raw.get("sampleUtterances") or ()),
        slots=tuple(sorted(slots.values(), key=lambda slot: priorities.get(slot.name, len(slots)))),
        confirmation=_v2_prompt((confirmation or {}).get("promptSpecification")),
        declined=_v2_messages((confirmation or {}).get("declinationResponse")),
        closing=fulfilled + closing,
        fulfils=bool(hook.get("enabled") or fulfilled or closing),
        parent=raw.get("parentIntentSignature"),
        when_begun=_v2_attributes(raw.get("initialResponseSetting"), "nextStep"),
        when_closed=_v2_attributes(_if_active(raw.get("intentClosingSetting")), "nextStep"),
    )


def _v2_attributes(setting: dict[str, Any] | None, step: str) -> dict[str, str]:
    """The session attributes that a setting's next step sets."""
    return dict(((setting or {}).get(step) or {}).get("sessionAttributes") or {})


def _v2_slot(raw: dict[str, Any]) -> Slot:
    setting = raw["valueElicitationSetting"]
    return Slot(
        name=raw["name"],
        type=raw["slotTypeName"],
        required=setting.get("slotConstraint") == "Required",
        prompt=_v2_prompt(setting.get("promptSpecification")) or Prompt((), 1),
        utterances=tuple(entry["utterance"] for entry in setting.get("sampleUtterances") or ()),
        when_filled=_v2_attributes(setting.get("slotCaptureSetting"), "captureNextStep"),
    )


def _if_active(setting: dict[str, Any] | None) -> dict[str, Any] | None:
    return setting if setting and setting.get("isActive") is not False else None


def _v2_prompt(raw: dict[str, Any] | None) -> Prompt | None:
    """V2 counts retries after the first time, V1 counts every time."""
    return Prompt(_v2_messages(raw), int(raw.get("maxRetries") or 0) + 1) if raw else None


def _v2_messages(raw: dict[str, Any] | None) -> tuple[Message, ...]:
    messages = []
    for group, entry in enumerate((raw or {}).get("messageGroupsList") or (), start=1):
        for message in (entry["message"], *(entry.get("variations") or ())):
            for key, kind in V2_MESSAGE_KINDS.items():
                if message.get(key):
                    messages.append(Message(message[key]["value"], kind, group))
            if message.get("imageResponseCard"):
                messages.append(Message("", CARD, group, _card(message["imageResponseCard"])))
    return tuple(messages)


def _card(raw: dict[str, Any]) -> Card:
    buttons = tuple((button["text"], button["value"]) for button in raw.get("buttons") or ())
    return Card(raw["title"], raw.get("subtitle") or "", raw.get("imageUrl") or "", buttons)
