"""Catalogue of what lexbridge itself says to callers, such as its apologies, in each language of Lex.

The words stand in `words.toml`. The bot's locale decides on the language, and a setting can replace each phrase. What
the bot says is not here: those are messages.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lexbridge.phrases.model import Phrases


@dataclass(frozen=True, slots=True)
class Language:
    """Words of one language: the greeting, unless a setting has another one, and the phrases."""

    greeting: str
    phrases: Phrases


def parse_words(text: str) -> Mapping[str, Language]:
    """Return the languages of a text such as `words.toml`. Raise TypeError if one has phrases too few or too many."""
    return {name: _language(**words) for name, words in tomllib.loads(text).items()}


def _language(greeting: str, **phrases: str) -> Language:
    return Language(greeting, Phrases(**phrases))


# Read at import: a mistake in the file shows when the service starts, and worker processes are forked with all words.
CATALOGUE = parse_words(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))
"""Languages by name (`de`), or by locale (`es_ES`) where its words differ from the language's."""

# Locales of Lex that Twilio's <Say> knows by another tag. Twilio's list is `SayLanguage` in
# https://github.com/twilio/twilio-node/blob/main/src/twiml/VoiceResponse.ts . None of this was heard on a live call.
_TAGS: Mapping[str, str] = {
    "ar_AE": "arb",  # Modern Standard Arabic. Twilio knows ar-AE (Gulf) too, but with neural voices alone
    "es_419": "es-MX",  # no tag for all of Latin America
    "no_NO": "nb-NO",  # Bokmål; there is no tag for Norwegian as such
}


def phrases_for(locale_id: str) -> Phrases:
    """Return the phrases for a locale of Lex, such as `de_AT`, or the English ones if its language is unknown."""
    return _find(locale_id).phrases


def greeting_for(locale_id: str) -> str:
    """Return the greeting for a locale of Lex, such as `de_AT`, or the English one if its language is unknown."""
    return _find(locale_id).greeting


def language_tag(locale_id: str) -> str:
    """Return the locale as the `language` of Twilio's `<Say>`: `en-US` for `en_US`."""
    return _TAGS.get(locale_id, locale_id.replace("_", "-"))


def _find(locale_id: str) -> Language:
    language = locale_id.partition("_")[0]
    return CATALOGUE.get(locale_id) or CATALOGUE.get(language) or CATALOGUE["en"]
