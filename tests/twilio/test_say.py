"""The inside of `<Say>`: escaped text that fits, and SSML rebuilt from what `<Say>` takes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape

from lexbridge.call.documents import SPEAKING_MS_PER_CHARACTER, SPEAKING_MS_PER_SYLLABLE, Opening, speaking_ms
from lexbridge.lex.model import Message
from lexbridge.twilio.rendering import MAX_DOCUMENT_CHARACTERS
from lexbridge.twilio.say import MAX_SAY_CHARACTERS, MAX_SSML_CHARACTERS, clean, cut_at_sentence, ssml_for_say
from lexbridge.twilio.twiml import TwimlDocuments
from tests.support.property_tests import examples
from tests.support.twilio_messages import STREAM_SID
from tests.support.twiml import outline, text_of, verbs_of
from tests.support.twiml_documents import DOCUMENTS, elements_below, reply, spoken, ssml

# -- text


def test_text_is_said_as_it_is_whatever_it_looks_like():
    text = "Is 3 < 4 & </Say><Dial>+1900</Dial><Say> ]]> &amp; <!-- {{ url }} {% raw %}"
    assert spoken(reply([Message(text)])) == [text]


@pytest.mark.parametrize("character", ["\x00", "\x08", "\x1b", "\x7f\x00", "\ufffe", "\uffff", "\ud800"])
def test_what_xml_cannot_hold_is_left_out(character):
    (said,) = spoken(reply([Message(f"a{character}b")]))
    assert said in ("ab", "a\x7fb")


def test_white_space_is_one_space():
    assert clean(" a\t\r\n b\u2028c\x85 ") == "a b c"


@pytest.mark.parametrize(
    ("text", "most", "kept"),
    [
        ("One. Two. Three.", 100, "One. Two. Three."),
        ("One. Two. Three.", 16, "One. Two. Three."),
        ("One. Two. Three.", 15, "One. Two."),
        ("One. Two. Three.", 9, "One. Two."),
        ("One. Two. Three.", 8, "One."),
        ('He said "no." Then left.', 15, "He said"),
        ('He said "no." Then left.', 21, 'He said "no."'),
        ("It costs 3.50 or more.", 16, "It costs 3.50 or"),
        ("One two three", 7, "One two"),
        ("One two three", 6, "One"),
        ("Unbelievable", 5, "Unbel"),
        ("& & & &", 10, "&"),
        ("<<<<", 9, "<<"),
        ("Anything", 0, ""),
        ("Anything", -7, ""),
        ("", 0, ""),
    ],
)
def test_text_is_cut_at_a_sentence_a_word_or_where_it_fits(text, most, kept):
    assert cut_at_sentence(text, most) == kept


@examples(100)
@given(st.text("ab&<\"'. !\n", max_size=80), st.integers(-5, 90))
def test_what_is_kept_is_the_start_and_fits(text, most):
    kept = cut_at_sentence(text, most)
    assert text.startswith(kept)
    assert len(escape(kept)) <= max(0, most)


@pytest.mark.parametrize(
    "message",
    [
        Message("This is a sentence. " * 300),
        Message("& < > \" ' " * 500),
        Message("a" * 9000),
        ssml("<speak>" + "This is <emphasis>a</emphasis> sentence. " * 220 + "</speak>"),
        ssml("<speak>" + "This is a sentence. " * 400 + "</speak>"),
    ],
)
def test_what_is_too_long_is_cut_and_counted(message):
    document = reply([Message("First things first."), message])
    assert 3000 < len(document.twiml) <= MAX_DOCUMENT_CHARACTERS
    first, *rest = spoken(document)
    assert first == "First things first."
    assert all(0 < len(text) <= MAX_SAY_CHARACTERS for text in rest)
    assert document.characters_cut > 0


def test_a_cut_leaves_whole_sentences():
    document = reply([Message("This is a sentence. " * 300)])
    said = " ".join(spoken(document))
    assert re.fullmatch(r"(This is a sentence\. )*This is a sentence\.", said)
    assert document.characters_cut + document.spoken_ms // SPEAKING_MS_PER_CHARACTER == 300 * 20 - 2


def test_of_several_messages_the_last_are_left_out_first():
    document = reply([Message(f"{number}" + "a" * 1500) for number in range(5)])
    assert [text[0] for text in spoken(document)] == ["0", "1", "2"]


def test_one_say_is_no_longer_than_a_voice_takes():
    document = reply([Message("This is a sentence. " * 170)])
    first, second = spoken(document)
    assert len(first) <= MAX_SAY_CHARACTERS
    assert (first + " " + second) == ("This is a sentence. " * 170).strip()
    assert document.characters_cut == 0


def test_ssml_with_elements_too_long_is_read_as_text():
    words = "Your code is A B C D E F G. Thanks."
    marked = "".join(f'<say-as interpret-as="characters">{character}</say-as>' for character in words * 3)
    document = reply([ssml(f"<speak>{marked}</speak>")])
    assert len(document.twiml) <= MAX_DOCUMENT_CHARACTERS
    assert "".join(spoken(document)) == words * 3


def test_a_huge_text_takes_no_longer_than_a_long_one():
    """Count the characters that are looked at, instead of reading a clock."""
    looked_at = 0

    class Text(str):
        def __getitem__(self, key):
            nonlocal looked_at
            part = Text(super().__getitem__(key))
            looked_at += len(part)
            return part

    kept = cut_at_sentence(Text("This is a sentence & more. " * 100_000), MAX_SAY_CHARACTERS)
    assert MAX_SAY_CHARACTERS - 100 < len(escape(kept)) <= MAX_SAY_CHARACTERS
    assert looked_at < 50 * MAX_SAY_CHARACTERS


def test_a_document_whose_frame_is_too_long_says_nothing():
    document = DOCUMENTS.answer("Hello.", Opening("lexbridge-0", [("name", "x" * 450)] * 10))
    assert outline(document.twiml) == ["Start", "Pause", "Redirect"]
    assert document.characters_cut == 6


# -- SSML


@pytest.mark.parametrize(
    ("given_ssml", "inside"),
    [
        ("<speak>Hello.</speak>", "Hello."),
        ("<speak>Fish &amp; chips &lt;</speak>", "Fish &amp; chips &lt;"),
        ('<speak>Wait<break time="1s"/>now</speak>', 'Wait<break time="1s" />now'),
        (
            '<speak><prosody rate="slow" onload="x">A</prosody> <p>B</p><s>C</s></speak>',
            '<prosody rate="slow">A</prosody> <p>B</p><s>C</s>',
        ),
        (
            '<speak><say-as interpret-as="date" format="mdy">1/2</say-as><sub alias="AWS">a</sub></speak>',
            '<say-as interpret-as="date" format="mdy">1/2</say-as><sub alias="AWS">a</sub>',
        ),
        (
            '<speak><phoneme alphabet="ipa" ph="x">a</phoneme><w role="amazon:VB">read</w></speak>',
            '<phoneme alphabet="ipa" ph="x">a</phoneme><w role="amazon:VB">read</w>',
        ),
        ('<speak><lang xml:lang="fr-FR">Oui</lang></speak>', '<lang xml:lang="fr-FR">Oui</lang>'),
        (
            '<speak>a<amazon:effect name="whispered">b<emphasis>c</emphasis>d</amazon:effect>e</speak>',
            "ab<emphasis>c</emphasis>de",
        ),
        ('<speak><mark name="x"/>a<audio src="https://x/y.mp3">b</audio>c</speak>', "abc"),
        ("<speak>a<x>b<y>c</y>d<p>e</p>f</x>g</speak>", "abcd<p>e</p>fg"),
        ("<speak>a<p>b</p>c<x>d</x>e</speak>", "a<p>b</p>cde"),
        ("<speak>  a \n <p> b </p>\t</speak>", "a <p> b </p>"),
        ("No element at all", "No element at all"),
        ("<speak>Not & well-formed</speak>", "Not &amp; well-formed"),
        ("<speak>Not <b>closed</speak>", "Not closed"),
        ("</ssml><ssml>", ""),
        ("<unknown:x>a</unknown:x>", "a"),
        ("a\x00\ud800b", "ab"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><speak>&a;</speak>', "&lt;!DOCTYPE x [ ]&gt; &amp;a;"),
        ("<speak><!-- a --><p>b</p></speak>", "b"),
        ("<speak><![CDATA[</Say><Dial>]]></speak>", "&lt;![CDATA[ ]]&gt;"),
        ("<speak>Is 3 < 4 and 5 > 4?</speak>", "Is 3 &lt; 4 and 5 &gt; 4?"),
        ("<speak><?php x?>a</speak>", "a"),
        ("</Say><Dial>+1900</Dial><Say>", "+1900"),
        ("<speak><Dial>+1900</Dial><Say>a</Say></speak>", "+1900a"),
        ('<speak><p xmlns="urn:x">a</p></speak>', "a"),
    ],
)
def test_ssml_is_rebuilt_from_what_say_takes(given_ssml, inside):
    assert str(ssml_for_say(given_ssml)) == inside


def test_the_namespace_of_ssml_itself_changes_nothing():
    given_ssml = '<speak xmlns="http://www.w3.org/2001/10/synthesis">Wait<break time="1s"/>now</speak>'
    assert str(ssml_for_say(given_ssml)) == 'Wait<break time="1s" />now'


def test_ssml_that_is_far_too_long_is_read_as_text():
    text = "<speak>" + "<p>a</p>" * (MAX_SSML_CHARACTERS // 8) + "</speak>"
    assert str(ssml_for_say(text)) == " ".join("a" * (MAX_SSML_CHARACTERS // 8))


@pytest.mark.parametrize("element", ["s", "x"])
@pytest.mark.parametrize("depth", [100, 500, 900, 1400])
def test_ssml_nested_too_deep_is_read_as_text(element, depth):
    text = f"<{element}>" * depth + "hello" + f"</{element}>" * depth
    assert spoken(reply([ssml(text)])) == ["hello"]


def test_the_elements_of_ssml_reach_say():
    say, *_ = verbs_of(reply([ssml('<speak>Wait<break time="1s"/>now</speak>')]).twiml)
    assert [element.toxml() for element in elements_below(say)] == ['<break time="1s"/>']
    assert text_of(say) == "Waitnow"


def test_a_break_alone_is_said():
    say, *_ = verbs_of(reply([ssml('<speak><break time="1s"/></speak>')]).twiml)
    assert say.tagName == "Say"


@pytest.mark.parametrize("voice", ["man", "woman", "alice"])
def test_a_voice_without_ssml_reads_its_text_word_by_word(voice):
    documents = TwimlDocuments("https://x", "wss://x/", 40, voice)
    document = documents.reply(
        [ssml('<speak><p>Hello.</p><p>Fish &amp; chips<break time="1s"/>now.</p></speak>')], STREAM_SID
    )
    assert spoken(document) == ["Hello. Fish & chips now."]


def test_a_streams_name_is_clean_in_element_and_address():
    opening = Opening("x\ud800y", [])
    for document in (DOCUMENTS.answer("", opening), DOCUMENTS.reply([], STREAM_SID, opening)):
        assert 'name="xy"' in document.twiml
        assert "after=xy" in document.twiml


def test_syllabic_scripts_take_longer_for_each_character():
    assert speaking_ms("Hello.") == 6 * SPEAKING_MS_PER_CHARACTER
    assert speaking_ms("こんにちは。") == 6 * SPEAKING_MS_PER_SYLLABLE


@pytest.mark.parametrize(
    ("text", "kept"),
    [("请稍等。谢谢您的来电", "请稍等。"), ("क्षमा करें। फिर से कहें", "क्षमा करें।"), ("ما اسمك؟ من فضلك", "ما اسمك؟")],
)
def test_a_text_is_cut_at_the_sentences_of_other_scripts_too(text, kept):
    assert cut_at_sentence(text, len(text) - 1) == kept
