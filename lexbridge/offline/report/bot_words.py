"""The bot's words that the caller heard in a simulated call, without the greeting and lexbridge's own phrases.

Pure: the functions read the events of a call. In a call in which only lexbridge spoke, the bot did not answer.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from xml.etree import ElementTree

from lexbridge.config.call_rules import PHRASE_SETTINGS
from lexbridge.offline.twilio import events as happened
from lexbridge.offline.twilio.events import Event
from lexbridge.phrases.catalogue import CATALOGUE


def own_phrases(environment: Mapping[str, str], languages: Iterable[str] = CATALOGUE) -> dict[str, str]:
    """Return each phrase that lexbridge says itself in these languages, with its name in Phrases.

    environment: the variables of the bridge, which may set other words.
    """
    catalogues = [CATALOGUE[language].phrases for language in languages]
    found: dict[str, str] = {getattr(phrases, name): name for phrases in catalogues for name in PHRASE_SETTINGS}
    for name, setting in PHRASE_SETTINGS.items():
        if words := environment.get(setting.name, "").strip():
            found[words] = name
    return found


def greetings(events: Iterable[Event], webhook_url: str) -> set[str]:
    """Return the texts of the first document. They are the bridge's own, because no bot has been asked by then."""
    said: set[str] = set()
    for event in events:
        if isinstance(event, happened.WebhookAnswered) and event.purpose == "document" and event.url == webhook_url:
            with suppress(ElementTree.ParseError):
                document = ElementTree.fromstring(event.body)  # noqa: S314 - expat refuses entities that blow up
                said |= {_plain("".join(say.itertext())) for say in document.iter("Say")}
    return said


def replies(events: Sequence[Event], webhook_url: str, own: Iterable[str]) -> list[str]:
    """The bot's words that Twilio spoke, in order. What came as audio has no words here."""
    greeting = greetings(events, webhook_url)
    texts = [_plain(event.text) for event in events if isinstance(event, happened.BotBegan) and event.text]
    return [text for text in texts if text not in greeting and _without(text, own)]


def said_of_ours(events: Iterable[Event], own: Mapping[str, str]) -> set[str]:
    """The names of lexbridge's own phrases that Twilio spoke."""
    texts = [_plain(event.text) for event in events if isinstance(event, happened.BotBegan) and event.text]
    return {name for sentence, name in own.items() if any(sentence in text for text in texts)}


def audio_spans(events: Iterable[Event]) -> list[tuple[float, float]]:
    """Return the spans in which the caller heard the bot over the media stream, in monotonic seconds."""
    spans: list[tuple[float, float]] = []
    began_s: float | None = None
    for event in events:
        if isinstance(event, happened.BotBegan):
            began_s = None if event.text else event.at_s
        elif isinstance(event, happened.BotFinished | happened.CallEnded) and began_s is not None:
            spans.append((began_s, event.at_s))
            began_s = None
    return spans


def says(text: str, expected: str) -> bool:
    """Whether `expected` is part of what was said, whatever the case of the letters and the spaces between words."""
    return _plain(expected).casefold() in _plain(text).casefold()


def _plain(text: str) -> str:
    return " ".join(text.split())


def _without(text: str, own: Iterable[str]) -> bool:
    """Return whether anything is left of `text` without lexbridge's own phrases."""
    for sentence in sorted(own, key=len, reverse=True):
        text = text.replace(sentence, " ")
    return re.search(r"\w", text) is not None
