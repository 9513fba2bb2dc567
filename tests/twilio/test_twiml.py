"""Every document that Twilio gets: well-formed, short enough, and with no verb but ours."""

import re
from dataclasses import replace
from xml.dom.minidom import parseString

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape

from lexbridge.call.documents import (
    SPEAKING_MS_PER_CHARACTER,
    SPEAKING_MS_PER_SYLLABLE,
    Opening,
    Reprompts,
    speaking_ms,
)
from lexbridge.call.dtmf import KeyRules
from lexbridge.config.parsers import spoken as spoken_setting
from lexbridge.lex.model import Message, MessageFormat
from lexbridge.twilio.twiml import (
    MAX_DOCUMENT_CHARACTERS,
    MAX_SAY_CHARACTERS,
    MAX_SSML_CHARACTERS,
    Documents,
    clean,
    cut_at_sentence,
    ssml_for_say,
    stream_name,
    streams_lost,
)
from tests.support.property_tests import examples
from tests.support.story import STREAM_SID, outline, text_of, verbs_of

DOCUMENTS = Documents("https://voice.example.com", "wss://voice.example.com/", hold_s=40)
SAYS_ELEMENTS = {"break", "emphasis", "lang", "p", "phoneme", "prosody", "s", "say-as", "sub", "w"}


def ssml(text):
    return Message(text, MessageFormat.SSML)


def reply(messages, opening=None):
    return DOCUMENTS.reply(messages, STREAM_SID, opening)


def spoken(document):
    return [text_of(verb) for verb in verbs_of(document.twiml) if verb.tagName == "Say"]


def elements_below(element):
    for child in element.childNodes:
        if child.nodeType == child.ELEMENT_NODE:
            yield child
            yield from elements_below(child)


# -- the documents


def test_an_answer_opens_the_stream_greets_and_holds_the_call():
    document = DOCUMENTS.answer(
        "Hello & welcome.", Opening("lexbridge-0", [("lexbridge:direction", "inbound"), ('a"<', "'&\x00>")])
    )
    start, say, pause, redirect = verbs_of(document.twiml)
    (stream,) = start.getElementsByTagName("Stream")
    assert dict(stream.attributes.items()) == {
        "name": "lexbridge-0",
        "url": "wss://voice.example.com/",
        "statusCallback": "https://voice.example.com/stream-status#rc=2&rp=all",
    }
    assert [dict(parameter.attributes.items()) for parameter in stream.getElementsByTagName("Parameter")] == [
        {"name": "lexbridge:direction", "value": "inbound"},
        {"name": 'a"<', "value": "'&>"},
    ]
    assert text_of(say) == "Hello & welcome."
    assert (pause.tagName, pause.getAttribute("length")) == ("Pause", "40")
    assert redirect.getAttribute("method") == "POST"
    assert text_of(redirect) == "https://voice.example.com/twiml/resume?lost=1&after=lexbridge-0#rc=2&rp=all"
    assert document.spoken_ms == len("Hello & welcome.") * SPEAKING_MS_PER_CHARACTER


def test_an_answer_without_a_greeting_says_nothing():
    assert outline(DOCUMENTS.answer("", Opening("lexbridge-0", [])).twiml) == ["Start", "Pause", "Redirect"]


def test_a_reply_that_hands_the_call_over_stops_the_stream_and_opens_the_next_before_it_speaks():
    document = reply([Message("Which day?")], Opening("lexbridge-0-9abcdef", [("lexbridge:token", "<&>")]))
    stop, start, say, pause, redirect = verbs_of(document.twiml)
    (stopped,), (started,) = stop.getElementsByTagName("Stream"), start.getElementsByTagName("Stream")
    assert (stop.tagName, stopped.getAttribute("name")) == ("Stop", STREAM_SID)
    assert (start.tagName, started.getAttribute("name")) == ("Start", "lexbridge-0-9abcdef")
    assert [dict(parameter.attributes.items()) for parameter in started.getElementsByTagName("Parameter")] == [
        {"name": "lexbridge:token", "value": "<&>"},
        {"name": "lexbridge:spoken-ms", "value": str(document.spoken_ms)},
    ]
    assert text_of(say) == "Which day?"
    assert pause.tagName == "Pause"
    assert "after=lexbridge-0-9abcdef" in text_of(redirect)


def test_on_a_two_way_stream_the_caller_is_connected_after_the_greeting_until_the_stream_ends():
    documents = Documents("https://voice.example.com", "wss://voice.example.com/", hold_s=40, is_two_way=True)
    document = documents.answer("Hello.", Opening("lexbridge-0", [("shop", "<&>")]), lost=3)
    say, connect, redirect = verbs_of(document.twiml)
    (stream,) = connect.getElementsByTagName("Stream")
    assert text_of(say) == "Hello."
    assert connect.tagName == "Connect"
    assert dict(stream.attributes.items()) == {
        "name": "lexbridge-0",
        "url": "wss://voice.example.com/",
        "statusCallback": "https://voice.example.com/stream-status#rc=2&rp=all",
    }
    assert [dict(parameter.attributes.items()) for parameter in stream.getElementsByTagName("Parameter")] == [
        {"name": "shop", "value": "<&>"}
    ]
    assert text_of(redirect) == "https://voice.example.com/twiml/resume?lost=3&of=lexbridge-0#rc=2&rp=all"


def test_words_can_come_before_the_next_two_way_stream_in_a_voice_of_their_own():
    document = DOCUMENTS.connect([Message("a"), Message("b")], Opening("lexbridge-0-x", []), voice="Polly.Vicki")
    assert outline(document.twiml) == ["a", "b", "Connect", "Redirect"]
    assert [verb.getAttribute("voice") for verb in verbs_of(document.twiml)][:2] == ["Polly.Vicki"] * 2
    assert document.spoken_ms == 2 * SPEAKING_MS_PER_CHARACTER


def test_who_learns_that_a_two_way_stream_is_lost_is_told_when_it_opened():
    documents = Documents("https://voice.example.com", "wss://voice.example.com/", 60, is_two_way=True)
    *_, redirect = verbs_of(documents.answer("Hello.", Opening("lexbridge-0", []), 3, opens_ms=1795846066211).twiml)
    assert text_of(redirect) == (
        "https://voice.example.com/twiml/resume?lost=3&of=lexbridge-0&opens=1795846066211#rc=2&rp=all"
    )


def gathers_of(document):
    return parseString(document.twiml).getElementsByTagName("Gather")  # noqa: S318 - it is ours


def gather_of(document):
    (gather,) = gathers_of(document)
    return gather


def test_keys_are_gathered_while_a_document_speaks_and_holds_the_call():
    document = reply([Message("Which day?")])
    gather = gather_of(document)
    assert [node.tagName for node in gather.childNodes if node.nodeType == node.ELEMENT_NODE] == ["Say", "Pause"]
    assert dict(gather.attributes.items()) == {
        "input": "dtmf",
        "action": f"https://voice.example.com/twiml/keys?of={STREAM_SID}#rc=2&rp=all",
        "method": "POST",
        "finishOnKey": "#",
        "timeout": "2",
    }


def test_keys_are_gathered_by_the_rules_of_the_bot():
    gather = gather_of(DOCUMENTS.reply([], STREAM_SID, keys=KeyRules("*", "#", 4100, 6)))
    assert [gather.getAttribute(name) for name in ("finishOnKey", "timeout", "numDigits")] == ["*", "5", "6"]


def test_a_key_that_gather_does_not_take_as_the_last_is_the_usual_one():
    gather = gather_of(DOCUMENTS.reply([], STREAM_SID, keys=KeyRules(end_character="A")))
    assert gather.getAttribute("finishOnKey") == "#"


def test_keys_are_for_the_stream_that_takes_over():
    assert "of=next#" in gather_of(reply([], Opening("next", []))).getAttribute("action")
    assert "of=first#" in gather_of(DOCUMENTS.answer("Hello.", Opening("first", []))).getAttribute("action")


NOT_HEARD = Message("Sorry?")
REPROMPTS = Reprompts(NOT_HEARD, [Message("Which <number>?")], 10, 2)


def verbs_in(document):
    """Of each Gather."""
    verbs = [
        [node for node in gather.childNodes if node.nodeType == node.ELEMENT_NODE] for gather in gathers_of(document)
    ]
    return [[verb.getAttribute("length") or text_of(verb) for verb in gathered] for gathered in verbs]


def reprompting(messages=(), reprompts=REPROMPTS, opening=None, voice=None):
    return DOCUMENTS.reply(messages, STREAM_SID, opening, voice, KeyRules(end_timeout_ms=3000), reprompts)


def test_a_document_that_asks_for_keys_asks_a_silent_caller_again_by_itself():
    document = reprompting([Message("Which number?")])
    again = ["Sorry?", "Which <number>?"]
    # Each Gather waits for another 3 s. What ends one without a key, such as a lone "#", is followed by the next.
    assert verbs_in(document) == [["Which number?", "7"], [*again, "7"], [*again, "7"]]
    assert {gather.getAttribute("timeout") for gather in gathers_of(document)} == {"3"}
    assert f"of={STREAM_SID}&asks=1#" in gathers_of(document)[-1].getAttribute("action")
    each_ms = len("Sorry?Which <number>?") * SPEAKING_MS_PER_CHARACTER
    assert document.reprompts_ms == (each_ms, each_ms, 0)
    *_, redirect = verbs_of(document.twiml)
    assert text_of(redirect) == f"https://voice.example.com/twiml/resume?silent=1&after={STREAM_SID}#rc=2&rp=all"


def test_who_may_not_be_asked_again_is_left_after_the_first_silence():
    document = reprompting(reprompts=replace(REPROMPTS, times=0, after_s=3), voice="Polly.Vicki")
    assert verbs_in(document) == [[]]  # the Gather itself waits
    assert document.reprompts_ms == (0,)
    assert f"silent=1&after={STREAM_SID}&voice=Polly.Vicki#" in text_of(list(verbs_of(document.twiml))[-1])


def test_reprompts_that_no_document_has_room_for_are_left_out_even_without_a_message():
    prompt = (Message("Please key in the number of your account. " * 20),)
    document = reprompting(reprompts=replace(REPROMPTS, prompt=prompt, times=5))
    assert len(document.twiml) <= MAX_DOCUMENT_CHARACTERS
    assert len(document.reprompts_ms) == 6
    assert "account" not in document.twiml
    document = reprompting(reprompts=replace(REPROMPTS, times=20))
    assert len(document.twiml) <= MAX_DOCUMENT_CHARACTERS
    assert document.reprompts_ms == ()


def test_the_stream_that_takes_over_is_told_of_the_reprompts():
    document = reprompting([Message("One.")], opening=Opening("next", []))
    _, start, *_ = verbs_of(document.twiml)
    parameters = {
        node.getAttribute("name"): node.getAttribute("value") for node in start.getElementsByTagName("Parameter")
    }
    told = {"lexbridge:spoken-ms": document.spoken_ms, "lexbridge:reprompts-ms": "1470 1470 0"}
    assert parameters == {name: str(value) for name, value in told.items()}


def test_reprompts_that_find_no_room_are_without_the_prompt_or_left_out():
    long = [Message("word " * 300)]
    short = reprompting(long, replace(REPROMPTS, prompt=long))
    assert [[verb[:4] for verb in verbs] for verbs in verbs_in(short)] == [["word", "7"], ["Sorr", "7"], ["Sorr", "7"]]
    assert short.characters_cut == 0
    longer = [Message("word " * 720)]
    none = reprompting(longer, replace(REPROMPTS, prompt=longer, times=20))
    assert none == DOCUMENTS.reply(longer, STREAM_SID, keys=KeyRules(end_timeout_ms=3000))
    assert none.reprompts_ms == ()


def test_a_document_holds_the_call_for_longer_where_the_bot_bears_more_silence():
    hold = DOCUMENTS.reply([], STREAM_SID, longer_s=80)
    assert verbs_in(hold) == [["120"]]


def test_every_address_of_a_document_tells_how_far_the_call_has_come():
    two_way = Documents("https://voice.example.com", "wss://voice.example.com/", 60, is_two_way=True)
    opening, so_far = Opening("next", []), {"began": 1795846066, "turns": 3}
    documents = [
        DOCUMENTS.answer("Hello.", opening, so_far=so_far),
        DOCUMENTS.reply([], STREAM_SID, opening, so_far=so_far),
        DOCUMENTS.reply([], STREAM_SID, reprompts=replace(REPROMPTS, times=0), so_far=so_far),
        DOCUMENTS.recover(1, STREAM_SID, so_far),
        two_way.answer("Hello.", opening, so_far=so_far),
    ]
    told = [document.twiml.count("began=1795846066&amp;turns=3#") for document in documents]
    assert told == [3, 3, 2, 1, 2]
    assert [document.twiml.count("https://voice.example.com/") for document in documents] == [3, 3, 2, 1, 2]


def test_last_words_are_said_however_long_the_messages_are():
    document = DOCUMENTS.goodbye([Message("word " * 900)], "Polly.Vicki", "We <have> to go.")
    *_, last, hangup = verbs_of(document.twiml)
    assert (text_of(last), last.getAttribute("voice"), hangup.tagName) == ("We <have> to go.", "Polly.Vicki", "Hangup")
    assert document.characters_cut > 0
    assert len(document.twiml) <= MAX_DOCUMENT_CHARACTERS


def test_a_reply_that_runs_out_names_its_stream():
    redirect = list(verbs_of(reply([]).twiml))[-1]
    assert text_of(redirect) == f"https://voice.example.com/twiml/resume?lost=1&after={STREAM_SID}#rc=2&rp=all"


def test_a_lost_stream_sends_the_call_to_be_resumed():
    (redirect,) = verbs_of(DOCUMENTS.recover(3, STREAM_SID).twiml)
    assert text_of(redirect) == f"https://voice.example.com/twiml/resume?lost=3&of={STREAM_SID}#rc=2&rp=all"


def test_a_stream_whose_name_is_no_text_breaks_no_address():
    """JSON can hold half of a surrogate pair, and a URL cannot."""
    (redirect,) = verbs_of(DOCUMENTS.recover(3, "MZ\udbc6").twiml)
    assert text_of(redirect) == "https://voice.example.com/twiml/resume?lost=3&of=MZ%3F#rc=2&rp=all"
    assert "/twiml/keys?of=MZ%3F#" in DOCUMENTS.reply([], "MZ\udbc6").twiml


def test_the_name_of_a_stream_says_how_many_were_lost_before_it():
    assert stream_name(0) == "lexbridge-0"
    assert stream_name(2, STREAM_SID) == f"lexbridge-2-{STREAM_SID[-8:]}"
    assert [streams_lost(stream_name(lost, of)) for lost, of in ((0, ""), (0, STREAM_SID), (12, STREAM_SID))] == [
        0,
        0,
        12,
    ]
    assert [streams_lost(name) for name in ("", STREAM_SID, "lexbridge-x", "lexbridge-12345", "lexbridge-1x")] == [
        0
    ] * 5


def test_a_reply_says_its_messages_and_holds_the_call():
    document = reply([Message("Okay."), Message("Which day?")])
    assert outline(document.twiml) == ["Okay.", "Which day?", "Pause", "Redirect"]
    assert (document.spoken_ms, document.characters_cut) == (15 * SPEAKING_MS_PER_CHARACTER, 0)


@pytest.mark.parametrize("messages", [[], [Message("")], [Message(" \n")], [ssml("<speak/>")]])
def test_an_empty_reply_is_no_say(messages):
    document = reply(messages)
    assert outline(document.twiml) == ["Pause", "Redirect"]
    assert document.spoken_ms == 0


def test_a_goodbye_says_its_messages_and_hangs_up():
    assert outline(DOCUMENTS.goodbye([Message("Goodbye.")]).twiml) == ["Goodbye.", "Hangup"]


def test_a_transfer_stops_the_stream_dials_and_ends_in_words():
    document = DOCUMENTS.transfer([Message("One moment.")], "+12065550100", STREAM_SID, "Goodbye.")
    assert outline(document.twiml) == ["Stop", "One moment.", "Dial", "Goodbye.", "Hangup"]
    stop, _, dial, *_ = verbs_of(document.twiml)
    assert stop.firstChild.getAttribute("name") == STREAM_SID
    assert text_of(dial) == "+12065550100"


def test_a_transfer_shows_the_caller_id_it_is_given_or_else_none():
    for caller_id, shown in (("+12065550199", "+12065550199"), (None, "")):
        document = DOCUMENTS.transfer([], "+12065550100", None, "Goodbye.", caller_id=caller_id)
        dial, *_ = verbs_of(document.twiml)
        assert dial.getAttribute("callerId") == shown


@pytest.mark.parametrize("is_two_way", [False, True])
@pytest.mark.parametrize("text", ["word " * 399 + "word", "&" * 400, "漢" * 2000], ids=["words", "escaped", "wide"])
def test_every_text_of_the_settings_has_room_in_every_document_however_long_the_addresses(text, is_two_way):
    assert spoken_setting(text) == text
    host = ("long-label." * 25)[:250]
    documents = Documents(f"https://{host}", f"wss://{host}/", 100, is_two_way=is_two_way)
    facts = [("lexbridge:called-number", "+123456789012345"), ("lexbridge:caller-number", "+123456789012345")]
    opening = Opening("lexbridge-0-12345678-12345678", [*facts, ("lexbridge:token", "t" * 120)])
    for document in (
        documents.answer(text, opening, opens_ms=1_700_000_000_000),
        documents.reply([Message(text)], STREAM_SID, opening),
        documents.goodbye([Message(text)]),
        documents.transfer([], "+123456789012345", STREAM_SID, text, caller_id="+123456789012345"),
    ):
        assert document.characters_cut == 0
        assert len(document.twiml) <= 4000


def test_a_transfer_from_a_two_way_stream_has_nothing_to_stop():
    document = DOCUMENTS.transfer([Message("One moment.")], "+12065550100", None, "Goodbye.", "Polly.Vicki")
    assert outline(document.twiml) == ["One moment.", "Dial", "Goodbye.", "Hangup"]
    says = [verb for verb in verbs_of(document.twiml) if verb.tagName == "Say"]
    assert [say.getAttribute("voice") for say in says] == ["Polly.Vicki"] * 2


def test_a_long_prompt_is_held_for_longer_as_its_end_is_an_estimate():
    document = reply([Message("word " * 400)])
    (pause,) = [verb for verb in verbs_of(document.twiml) if verb.tagName == "Pause"]
    assert int(pause.getAttribute("length")) == 40 + document.spoken_ms // 2000


def test_every_say_has_the_voice_and_the_language():
    documents = Documents("https://x", "wss://x/", 40, voice='Polly."Joanna', language="en-US")
    for document in (
        documents.reply([Message("a"), Message("b")], STREAM_SID),
        documents.transfer([Message("a")], "+1", "MZ", "b"),
    ):
        says = [verb for verb in verbs_of(document.twiml) if verb.tagName == "Say"]
        assert [dict(say.attributes.items()) for say in says] == [{"voice": 'Polly."Joanna', "language": "en-US"}] * 2


def test_without_a_voice_a_say_has_no_attributes():
    say, *_ = verbs_of(reply([Message("a")]).twiml)
    assert not say.attributes


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
def test_text_is_cut_at_a_sentence_else_at_a_word_else_where_it_fits(text, most, kept):
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


def test_ssml_whose_elements_are_too_long_is_read_as_text_rather_than_left_out():
    words = "Your code is A B C D E F G. Thanks."
    marked = "".join(f'<say-as interpret-as="characters">{character}</say-as>' for character in words * 3)
    document = reply([ssml(f"<speak>{marked}</speak>")])
    assert len(document.twiml) <= MAX_DOCUMENT_CHARACTERS
    assert "".join(spoken(document)) == words * 3


def test_a_huge_text_takes_no_longer_than_a_long_one():
    """Told in characters looked at, as there is no clock here."""
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


def test_a_document_of_which_even_the_frame_is_too_long_says_nothing():
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
    documents = Documents("https://x", "wss://x/", 40, voice)
    document = documents.reply(
        [ssml('<speak><p>Hello.</p><p>Fish &amp; chips<break time="1s"/>now.</p></speak>')], STREAM_SID
    )
    assert spoken(document) == ["Hello. Fish & chips now."]


def test_a_streams_name_is_clean_in_its_element_and_in_the_address_that_names_it():
    opening = Opening("x\ud800y", [])
    for document in (DOCUMENTS.answer("", opening), DOCUMENTS.reply([], STREAM_SID, opening)):
        assert 'name="xy"' in document.twiml
        assert "after=xy" in document.twiml


# -- whatever a bot says

HOSTILE = st.sampled_from(
    [
        *("</Say><Dial>+1900</Dial><Say>", "<Dial>", "<speak>", "</speak>", "<p>", "</p>", "<break/>", '">', "<", "&"),
        *("<!--", "<![CDATA[", "]]>", "<?xml version='1.0'?>", "<amazon:effect>", '<prosody rate="', "{{ url }}"),
        *("&amp;", "&#0;", "&lol;", "\x00", "\ud800", "\ufffe", '{"text": "', '"}'),
        *("Hello. ", "a" * 1500, "\U0001f339" * 900),
    ]
)
TEXTS = st.lists(HOSTILE | st.text(st.characters(), max_size=20), max_size=8).map("".join)
MESSAGES = st.lists(st.builds(Message, TEXTS, st.sampled_from(MessageFormat)), max_size=5)


@examples(120)
@given(MESSAGES, st.sampled_from(["answer", "connect", "reply", "goodbye", "transfer"]))
def test_whatever_a_bot_says_the_document_is_well_formed_short_and_ours(messages, kind):
    words = messages[0].text if messages else ""
    document, verbs = {
        "answer": lambda: (
            DOCUMENTS.answer(words, Opening(words[:20], [("a", words[:300])])),
            ["Start", "Pause", "Redirect"],
        ),
        "connect": lambda: (DOCUMENTS.connect(messages, Opening(words[:20], [])), ["Connect", "Redirect"]),
        "reply": lambda: (reply(messages), ["Pause", "Redirect"]),
        "goodbye": lambda: (DOCUMENTS.goodbye(messages), ["Hangup"]),
        "transfer": lambda: (
            DOCUMENTS.transfer(messages, "+12065550100", STREAM_SID, "Bye."),
            ["Stop", "Dial", "Hangup"],
        ),
    }[kind]()
    assert len(document.twiml) <= MAX_DOCUMENT_CHARACTERS
    found = list(verbs_of(document.twiml))
    assert [verb.tagName for verb in found if verb.tagName != "Say"] == verbs
    for say in (verb for verb in found if verb.tagName == "Say"):
        assert {element.tagName for element in elements_below(say)} <= SAYS_ELEMENTS
        assert len(text_of(say)) <= MAX_SAY_CHARACTERS
        assert say.hasChildNodes()
    assert document.characters_cut >= 0


def test_scripts_that_write_syllables_take_longer_for_each_character():
    assert speaking_ms("Hello.") == 6 * SPEAKING_MS_PER_CHARACTER
    assert speaking_ms("こんにちは。") == 6 * SPEAKING_MS_PER_SYLLABLE


@pytest.mark.parametrize(
    ("text", "kept"),
    [("请稍等。谢谢您的来电", "请稍等。"), ("क्षमा करें। फिर से कहें", "क्षमा करें।"), ("ما اسمك؟ من فضلك", "ما اسمك؟")],
)
def test_a_text_is_cut_at_the_sentences_of_other_scripts_too(text, kept):
    assert cut_at_sentence(text, len(text) - 1) == kept
