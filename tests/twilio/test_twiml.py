"""TwiML documents: well-formed, short enough, and with no verb but those of the templates."""

import re
from dataclasses import replace
from xml.dom.minidom import parseString

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.call.documents import SPEAKING_MS_PER_CHARACTER, Opening, Reprompts
from lexbridge.call.dtmf import KeyRules
from lexbridge.call.transfers import Handoff
from lexbridge.config.parsers import spoken as spoken_setting
from lexbridge.config.transfer_targets import NumberTarget
from lexbridge.lex.model import Message, MessageFormat
from lexbridge.twilio.rendering import MAX_DOCUMENT_CHARACTERS
from lexbridge.twilio.say import MAX_SAY_CHARACTERS
from lexbridge.twilio.twiml import TwimlDocuments
from tests.support.property_tests import examples
from tests.support.twilio_messages import STREAM_SID
from tests.support.twiml import outline, text_of, verbs_of
from tests.support.twiml_documents import DOCUMENTS, SAYS_ELEMENTS, elements_below, reply, ssml

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


def test_a_hand_over_opens_the_next_stream_before_it_speaks():
    """A document that hands a call over stops the stream, and opens the next one before it speaks."""
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


def test_a_two_way_stream_is_connected_after_the_greeting():
    """A two-way stream is connected after the greeting, until it ends."""
    documents = TwimlDocuments("https://voice.example.com", "wss://voice.example.com/", hold_s=40, is_two_way=True)
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


@pytest.mark.parametrize(("overrides", "ending"), [("rc=3&rp=all&ct=2000", "#rc=3&amp;rp=all&amp;ct=2000"), ("", "")])
def test_addresses_end_in_the_connection_overrides(overrides: str, ending: str) -> None:
    documents = TwimlDocuments("https://voice.example.com", "wss://voice.example.com/", 40, overrides=overrides)
    twiml = documents.answer("Hello", Opening("stream-1", ())).twiml
    addresses = re.findall(r"https://voice\.example\.com/[a-z/-]+(?:\?[^#<\"]*)?([^<\"]*)", twiml)
    assert addresses
    assert {*addresses} == {ending}


def test_words_may_precede_a_two_way_stream_in_another_voice():
    document = DOCUMENTS.connect([Message("a"), Message("b")], Opening("lexbridge-0-x", []), voice="Polly.Vicki")
    assert outline(document.twiml) == ["a", "b", "Connect", "Redirect"]
    assert [verb.getAttribute("voice") for verb in verbs_of(document.twiml)][:2] == ["Polly.Vicki"] * 2
    assert document.spoken_ms == 2 * SPEAKING_MS_PER_CHARACTER


def test_a_lost_two_way_streams_address_tells_when_it_opened():
    documents = TwimlDocuments("https://voice.example.com", "wss://voice.example.com/", 60, is_two_way=True)
    *_, redirect = verbs_of(documents.answer("Hello.", Opening("lexbridge-0", []), 3, opens_ms=1795846066211).twiml)
    assert text_of(redirect) == (
        "https://voice.example.com/twiml/resume?lost=3&of=lexbridge-0&opens=1795846066211#rc=2&rp=all"
    )


def gathers_of(document):
    return parseString(document.twiml).getElementsByTagName("Gather")  # noqa: S318 - a document of the code under test


def gather_of(document):
    (gather,) = gathers_of(document)
    return gather


def test_keys_are_gathered_while_a_document_speaks_and_waits():
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


def test_an_end_key_that_gather_refuses_is_the_usual_one():
    gather = gather_of(DOCUMENTS.reply([], STREAM_SID, keys=KeyRules(end_character="A")))
    assert gather.getAttribute("finishOnKey") == "#"


def test_keys_are_for_the_stream_that_takes_over():
    assert "of=next#" in gather_of(reply([], Opening("next", []))).getAttribute("action")
    assert "of=first#" in gather_of(DOCUMENTS.answer("Hello.", Opening("first", []))).getAttribute("action")


NOT_HEARD = Message("Sorry?")
REPROMPTS = Reprompts(NOT_HEARD, [Message("Which <number>?")], 10, 2)


def verbs_in(document):
    """Return the verbs in each Gather."""
    verbs = [
        [node for node in gather.childNodes if node.nodeType == node.ELEMENT_NODE] for gather in gathers_of(document)
    ]
    return [[verb.getAttribute("length") or text_of(verb) for verb in gathered] for gathered in verbs]


def reprompting(messages=(), reprompts=REPROMPTS, opening=None, voice=None):
    return DOCUMENTS.reply(messages, STREAM_SID, opening, voice, KeyRules(end_timeout_ms=3000), reprompts)


def test_a_document_with_keys_asks_a_silent_caller_again():
    """A document that asks for keys asks a silent caller again by itself."""
    document = reprompting([Message("Which number?")])
    again = ["Sorry?", "Which <number>?"]
    # Each Gather waits for another 3 s. If one ends without a key, as by "#" alone, the next one follows.
    assert verbs_in(document) == [["Which number?", "7"], [*again, "7"], [*again, "7"]]
    assert {gather.getAttribute("timeout") for gather in gathers_of(document)} == {"3"}
    assert f"of={STREAM_SID}&asks=1#" in gathers_of(document)[-1].getAttribute("action")
    each_ms = len("Sorry?Which <number>?") * SPEAKING_MS_PER_CHARACTER
    assert document.reprompts_ms == (each_ms, each_ms, 0)
    *_, redirect = verbs_of(document.twiml)
    assert text_of(redirect) == f"https://voice.example.com/twiml/resume?silent=1&after={STREAM_SID}#rc=2&rp=all"


def test_without_reprompts_the_first_silence_is_the_last():
    document = reprompting(reprompts=replace(REPROMPTS, times=0, after_s=3), voice="Polly.Vicki")
    assert verbs_in(document) == [[]]  # the Gather itself waits
    assert document.reprompts_ms == (0,)
    assert f"silent=1&after={STREAM_SID}&voice=Polly.Vicki#" in text_of(list(verbs_of(document.twiml))[-1])


def test_reprompts_too_long_for_any_document_are_left_out():
    """A document without a message leaves reprompts out, too, if they are too long for any document."""
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
    expected = {"lexbridge:spoken-ms": document.spoken_ms, "lexbridge:reprompts-ms": "1470 1470 0"}
    assert parameters == {name: str(value) for name, value in expected.items()}


def test_reprompts_without_room_lack_the_prompt_or_are_left_out():
    long = [Message("word " * 300)]
    short = reprompting(long, replace(REPROMPTS, prompt=long))
    assert [[verb[:4] for verb in verbs] for verbs in verbs_in(short)] == [["word", "7"], ["Sorr", "7"], ["Sorr", "7"]]
    assert short.characters_cut == 0
    longer = [Message("word " * 720)]
    none = reprompting(longer, replace(REPROMPTS, prompt=longer, times=20))
    assert none == DOCUMENTS.reply(longer, STREAM_SID, keys=KeyRules(end_timeout_ms=3000))
    assert none.reprompts_ms == ()


def test_a_document_holds_the_call_as_long_as_the_bot_waits():
    """A document holds the call for longer if the bot waits longer for the caller."""
    hold = DOCUMENTS.reply([], STREAM_SID, longer_s=80)
    assert verbs_in(hold) == [["120"]]


def test_every_address_tells_how_far_the_call_has_come():
    two_way = TwimlDocuments("https://voice.example.com", "wss://voice.example.com/", 60, is_two_way=True)
    opening, query = Opening("next", []), {"began": 1795846066, "turns": 3}
    documents = [
        DOCUMENTS.answer("Hello.", opening, query=query),
        DOCUMENTS.reply([], STREAM_SID, opening, query=query),
        DOCUMENTS.reply([], STREAM_SID, reprompts=replace(REPROMPTS, times=0), query=query),
        DOCUMENTS.recover(1, STREAM_SID, query),
        two_way.answer("Hello.", opening, query=query),
    ]
    counts = [document.twiml.count("began=1795846066&amp;turns=3#") for document in documents]
    assert counts == [3, 3, 2, 1, 2]
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
    """Take a name with half of a surrogate pair, which JSON can hold and a URL cannot."""
    (redirect,) = verbs_of(DOCUMENTS.recover(3, "MZ\udbc6").twiml)
    assert text_of(redirect) == "https://voice.example.com/twiml/resume?lost=3&of=MZ%3F#rc=2&rp=all"
    assert "/twiml/keys?of=MZ%3F#" in DOCUMENTS.reply([], "MZ\udbc6").twiml


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


@pytest.mark.parametrize("is_two_way", [False, True])
@pytest.mark.parametrize("text", ["word " * 399 + "word", "&" * 400, "漢" * 2000], ids=["words", "escaped", "wide"])
def test_every_text_of_the_settings_has_room_in_every_document(text, is_two_way):
    """Every text of the settings fits into every document, however long the addresses are."""
    assert spoken_setting(text) == text
    host = ("long-label." * 25)[:250]
    documents = TwimlDocuments(f"https://{host}", f"wss://{host}/", 100, is_two_way=is_two_way)
    facts = [("lexbridge:called-number", "+123456789012345"), ("lexbridge:caller-number", "+123456789012345")]
    opening = Opening("lexbridge-0-12345678-12345678", [*facts, ("lexbridge:token", "t" * 120)])
    for document in (
        documents.answer(text, opening, opens_ms=1_700_000_000_000),
        documents.reply([Message(text)], STREAM_SID, opening),
        documents.goodbye([Message(text)]),
        documents.transfer([], Handoff(NumberTarget("+123456789012345"), STREAM_SID, text, "+123456789012345")),
    ):
        assert document.characters_cut == 0
        assert len(document.twiml) <= 4000


def test_a_long_prompt_is_held_for_longer():
    """A document holds the call for longer after a long prompt, because its end is an estimate."""
    document = reply([Message("word " * 400)])
    (pause,) = [verb for verb in verbs_of(document.twiml) if verb.tagName == "Pause"]
    assert int(pause.getAttribute("length")) == 40 + document.spoken_ms // 2000


def test_every_say_has_the_voice_and_the_language():
    documents = TwimlDocuments("https://x", "wss://x/", 40, voice='Polly."Joanna', language="en-US")
    for document in (
        documents.reply([Message("a"), Message("b")], STREAM_SID),
        documents.transfer([Message("a")], Handoff(NumberTarget("+12065550100"), "MZ", "b")),
    ):
        says = [verb for verb in verbs_of(document.twiml) if verb.tagName == "Say"]
        assert [dict(say.attributes.items()) for say in says] == [{"voice": 'Polly."Joanna', "language": "en-US"}] * 2


def test_without_a_voice_a_say_has_no_attributes():
    say, *_ = verbs_of(reply([Message("a")]).twiml)
    assert not say.attributes


# -- any text of a bot

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
def test_whatever_a_bot_says_the_document_is_ours(messages, kind):
    """Any text of a bot gives a document that is well-formed, short enough, and has our verbs alone."""
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
            DOCUMENTS.transfer(messages, Handoff(NumberTarget("+12065550100"), STREAM_SID, "Bye.")),
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


@pytest.mark.parametrize("reason", ["busy", "rejected"])
def test_a_call_is_rejected_for_a_reason(reason: str) -> None:
    assert f'<Reject reason="{reason}"/>' in DOCUMENTS.reject(reason).twiml
    assert [verb.tagName for verb in verbs_of(DOCUMENTS.reject(reason).twiml)] == ["Reject"]
