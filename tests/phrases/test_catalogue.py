"""The catalogue of phrases is complete: every locale of Lex V2 has all of them."""

import json
from dataclasses import asdict, fields
from typing import get_args

import pytest

from lexbridge.phrases.catalogue import CATALOGUE, greeting_for, language_tag, parse_words, phrases_for
from lexbridge.phrases.model import PhraseName, Phrases
from tests.support.settings import make_settings

# https://docs.aws.amazon.com/lexv2/latest/dg/how-languages.html, and the tag that <Say> gets for each.
LEX_LOCALES = {
    "ar_AE": "arb",
    "ca_ES": "ca-ES",
    "de_AT": "de-AT",
    "de_DE": "de-DE",
    "en_AU": "en-AU",
    "en_GB": "en-GB",
    "en_IN": "en-IN",
    "en_US": "en-US",
    "en_ZA": "en-ZA",
    "es_419": "es-MX",
    "es_ES": "es-ES",
    "es_US": "es-US",
    "fi_FI": "fi-FI",
    "fr_CA": "fr-CA",
    "fr_FR": "fr-FR",
    "hi_IN": "hi-IN",
    "it_IT": "it-IT",
    "ja_JP": "ja-JP",
    "ko_KR": "ko-KR",
    "nl_NL": "nl-NL",
    "no_NO": "nb-NO",
    "pl_PL": "pl-PL",
    "pt_BR": "pt-BR",
    "pt_PT": "pt-PT",
    "sv_SE": "sv-SE",
    "zh_CN": "zh-CN",
    "zh_HK": "zh-HK",
}
ENGLISH = Phrases(
    goodbye="Goodbye.",
    not_heard="Sorry, I did not hear anything.",
    say_it_again="Sorry, I did not get that. Please say it again.",
    not_available="Sorry, this service is not available.",
    one_moment="One moment please.",
    busy="Sorry, all lines are busy. Please call again later.",
    call_limit="We have to end this call now.",
    done="Okay.",
    transfer_failed="Sorry, nobody can take your call right now. How else can I help you?",
)


@pytest.mark.parametrize("row", CATALOGUE)
def test_every_phrase_is_there_ends_like_a_sentence_and_is_short(row):
    language = CATALOGUE[row]
    for phrase in (language.greeting, *asdict(language.phrases).values()):
        assert 0 < len(phrase) <= 200
        assert phrase == " ".join(phrase.split())
        assert phrase[-1] in ".?。？।؟", phrase  # noqa: RUF001


@pytest.mark.parametrize("row", CATALOGUE)
def test_no_two_phrases_of_a_language_are_the_same(row):
    assert len(set(asdict(CATALOGUE[row].phrases).values())) == len(fields(Phrases))


@pytest.mark.parametrize("locale_id", LEX_LOCALES)
def test_every_locale_of_lex_has_phrases_of_its_language(locale_id):
    assert make_settings(LEX_LOCALE_ID=locale_id).line.bot.locale_id == locale_id
    is_english = locale_id.startswith("en_")
    assert (phrases_for(locale_id) == ENGLISH) == is_english
    assert (greeting_for(locale_id) == greeting_for("en_US")) == is_english


@pytest.mark.parametrize(("locale_id", "tag"), LEX_LOCALES.items())
def test_say_gets_the_tag_that_twilio_knows(locale_id, tag):
    assert language_tag(locale_id) == tag


def test_english_is_what_it_always_was():
    assert phrases_for("en_US") == ENGLISH
    assert greeting_for("en_US") == "You will be interacting with Lex bot in 3, 2, 1. Go."


def test_a_locale_has_its_own_phrases_or_its_languages():
    assert phrases_for("pt_PT").say_it_again == "Desculpe, não percebi. Por favor, repita."
    assert phrases_for("pt_BR") == phrases_for("pt_AO") == CATALOGUE["pt"].phrases
    assert phrases_for("es_419") == phrases_for("es_US") != phrases_for("es_ES")
    assert greeting_for("zh_HK") != greeting_for("zh_CN")


def test_a_language_without_phrases_is_spoken_to_in_english():
    assert phrases_for("tlh_KX") == ENGLISH
    assert greeting_for("tlh_KX") == greeting_for("en_US")
    assert language_tag("tlh_KX") == "tlh-KX"


def test_every_phrase_can_be_asked_for_by_its_name():
    names = get_args(PhraseName)
    assert names == tuple(field.name for field in fields(Phrases))
    assert [ENGLISH.named(name) for name in names] == list(asdict(ENGLISH).values())


@pytest.mark.parametrize("change", [{"done": None}, {"hello": "Hei."}, {"greeting": None}])
def test_a_language_has_all_phrases_and_no_others(change):
    words = {"greeting": "Hallo.", **asdict(ENGLISH), **change}
    text = "".join(f"{name} = {json.dumps(phrase)}\n" for name, phrase in words.items() if phrase)
    with pytest.raises(TypeError, match=next(iter(change))):
        parse_words(f"[xx]\n{text}")
