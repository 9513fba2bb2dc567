"""Documents that give a call to a person, or send it on: each kind of target, and what goes along."""

import json
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.call.transfers import Handoff
from lexbridge.config.transfer_targets import parse_target
from lexbridge.lex.model import Message
from lexbridge.twilio.passed_on import MAX_PASSED_ON_CHARACTERS
from lexbridge.twilio.rendering import MAX_DOCUMENT_CHARACTERS
from lexbridge.twilio.transfer_values import sealed_after, sealed_whisper
from lexbridge.twilio.twiml import TwimlDocuments
from tests.support.twilio_messages import STREAM_SID
from tests.support.twiml import outline, verbs_of

URL = "https://voice.example.com"
DOCUMENTS = TwimlDocuments(URL, "wss://voice.example.com/", hold_s=40, secret="a-token-of-ours")
WITHOUT_SECRET = TwimlDocuments(URL, "wss://voice.example.com/", hold_s=40)
ACTION = f"{URL}/twiml/transferred#rc=2&rp=all"
WORKFLOW = "WW" + "0123456789abcdef" * 2


def handoff(target, **others):
    return Handoff(parse_target(target), None, "Goodbye.", **others)


def element_of(document):
    """The verb that transfers the call, as text, and its children."""
    (verb,) = (verb for verb in ElementTree.fromstring(document.twiml) if verb.tag in ("Dial", "Enqueue"))
    return verb


@pytest.mark.parametrize(
    ("target", "caller_id", "expected"),
    [
        (
            "+12065550100",
            "+12065550199",
            '<Dial callerId="+12065550199" action="{action}" method="POST"><Number>+12065550100</Number></Dial>',
        ),
        (
            "+12065550100;ext=12",
            None,
            '<Dial action="{action}" method="POST"><Number sendDigits="wwww12">+12065550100</Number></Dial>',
        ),
        (
            "+12065550100;ext=w1w2#",
            None,
            '<Dial action="{action}" method="POST"><Number sendDigits="w1w2#">+12065550100</Number></Dial>',
        ),
        (
            "sip:sales@example.com;transport=tls",
            "+12065550199",
            '<Dial callerId="+12065550199" action="{action}" method="POST">'
            "<Sip>sip:sales@example.com;transport=tls</Sip></Dial>",
        ),
        (
            "client:alice",
            None,
            '<Dial action="{action}" method="POST"><Client><Identity>alice</Identity></Client></Dial>',
        ),
        (
            "conference:Sales (EU)",
            None,
            '<Dial action="{action}" method="POST"><Conference>Sales (EU)</Conference></Dial>',
        ),
        ("queue:Zweigstelle Köln", None, '<Enqueue action="{action}" method="POST">Zweigstelle Köln</Enqueue>'),
        (
            f"workflow:{WORKFLOW}",
            None,
            f'<Enqueue workflowSid="{WORKFLOW}" action="{{action}}" method="POST"><Task>{{{{}}}}</Task></Enqueue>',
        ),
    ],
)
def test_each_kind_of_target_is_dialled_as_twilio_wants_it(target, caller_id, expected):
    document = DOCUMENTS.transfer([Message("One moment.")], handoff(target, caller_id=caller_id))
    action = ACTION.replace("&", "&amp;")
    assert ElementTree.tostring(element_of(document), encoding="unicode").strip() == expected.format(action=action)


def test_a_transfer_stops_the_stream_and_has_words_to_the_end():
    """The words behind the verb are for the case that no service tells how the call goes on."""
    number = parse_target("+12065550100")
    document = DOCUMENTS.transfer([Message("One moment.")], Handoff(number, STREAM_SID, "Goodbye."), "Polly.Vicki")
    assert outline(document.twiml) == ["Stop", "One moment.", "Dial", "Goodbye.", "Hangup"]
    says = [verb for verb in verbs_of(document.twiml) if verb.tagName == "Say"]
    assert [say.getAttribute("voice") for say in says] == ["Polly.Vicki"] * 2
    assert outline(DOCUMENTS.transfer([], handoff("+12065550100")).twiml) == ["Dial", "Goodbye.", "Hangup"]


ATTRIBUTES = {"customer": 'Zoë & "Co" <x>', "lexbridge:call-sid": "CA1\r\nVia: evil"}


def test_a_sip_address_gets_attributes_as_sound_headers():
    dial = element_of(DOCUMENTS.transfer([], handoff("sip:sales@example.com", attributes=ATTRIBUTES)))
    assert dial[0].text == (
        "sip:sales@example.com?X-customer=Zo%C3%AB%20%26%20%22Co%22%20%3Cx%3E&X-lexbridge-call-sid=CA1%20Via%3A%20evil"
    )


def test_a_client_gets_attributes_as_parameters():
    dial = element_of(DOCUMENTS.transfer([], handoff("client:alice", attributes=ATTRIBUTES)))
    assert [one.attrib for one in dial[0].iter("Parameter")] == [
        {"name": "customer", "value": 'Zoë & "Co" <x>'},
        {"name": "lexbridge:call-sid", "value": "CA1 Via: evil"},
    ]


def test_a_workflow_gets_attributes_as_those_of_its_task():
    enqueue = element_of(DOCUMENTS.transfer([], handoff(f"workflow:{WORKFLOW}", attributes=ATTRIBUTES)))
    assert json.loads(enqueue[0].text) == {"customer": 'Zoë & "Co" <x>', "lexbridge:call-sid": "CA1 Via: evil"}


@pytest.mark.parametrize("target", ["sip:sales@example.com", "client:alice", f"workflow:{WORKFLOW}"])
def test_attributes_without_room_are_left_out(target):
    attributes = {"first": "1", "long": "&" * MAX_PASSED_ON_CHARACTERS, "last": "2"}
    twiml = DOCUMENTS.transfer([], handoff(target, attributes=attributes)).twiml
    assert "first" in twiml
    assert "last" in twiml
    assert "long" not in twiml


def query_of(address):
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


@pytest.mark.parametrize("target", ["+12065550100", "sip:sales@example.com", "client:alice"])
def test_a_whisper_has_an_address_that_holds_its_words_sealed(target):
    words = "Zoë wants roses & more."
    document = DOCUMENTS.transfer([], handoff(target, whisper=words), "Polly.Vicki", {"began": 1, "turns": 2})
    whisper = element_of(document)[0].attrib
    assert whisper["method"] == "POST"
    assert whisper["url"].startswith(f"{URL}/twiml/whisper?")
    query = query_of(whisper["url"])
    assert (query["began"], query["turns"], query["voice"]) == ("1", "2", "Polly.Vicki")
    assert "roses" not in document.twiml
    assert sealed_whisper(["another", "a-token-of-ours"], "", query["words"]) == words
    assert sealed_after(["a-token-of-ours"], "", query["words"]) is None  # sealed for another purpose


def test_without_a_secret_an_address_holds_nothing_of_the_call():
    twiml = WITHOUT_SECRET.transfer([], handoff("+12065550100", whisper="Roses.", after="intent=Order")).twiml
    assert "whisper" not in twiml
    assert "after=" not in twiml


def test_the_end_of_a_transfer_knows_what_after_url_gets():
    document = DOCUMENTS.transfer([], handoff("queue:Sales", after="outcome=transferred&slot_Size=big"), None, {"a": 1})
    query = query_of(element_of(document).attrib["action"])
    assert query["a"] == "1"
    assert sealed_after(["a-token-of-ours"], "", query["after"]) == "outcome=transferred&slot_Size=big"


def test_the_line_of_the_call_is_in_each_address():
    documents = TwimlDocuments(URL, "wss://voice.example.com/", 40, route="sales", secret="s")
    dial = element_of(documents.transfer([], handoff("+12065550100", whisper="Roses.")))
    assert query_of(dial.attrib["action"])["line"] == query_of(dial[0].attrib["url"])["line"] == "sales"


def test_a_whisper_is_said_and_nothing_else():
    assert outline(DOCUMENTS.whisper("Roses & <more>.", "Polly.Vicki").twiml) == ["Roses & <more>."]
    assert outline(DOCUMENTS.whisper("").twiml) == []
    assert outline(DOCUMENTS.gone().twiml) == []


def test_a_call_that_goes_on_is_redirected_after_the_words():
    url = "https://flows.example.com/?FlowEvent=return&outcome=done#rc=1"
    document = DOCUMENTS.go_on_at(url, [Message("Thanks.")], STREAM_SID, "Polly.Vicki", "Too long.")
    assert outline(document.twiml) == ["Stop", "Thanks.", "Too long.", "Redirect"]
    *_, redirect = verbs_of(document.twiml)
    assert (redirect.getAttribute("method"), redirect.firstChild.data) == ("POST", url)
    assert outline(DOCUMENTS.go_on_at(url, []).twiml) == ["Redirect"]


def test_words_are_cut_and_not_what_goes_along():
    everything = handoff(
        "sip:" + "u" * 100 + "@example.com",
        attributes={str(number): "&" * 20 for number in range(60)},
        whisper="ü" * 200,
        after="a" * 600,
    )
    document = DOCUMENTS.transfer([Message("word " * 900)], everything)
    assert len(document.twiml) <= MAX_DOCUMENT_CHARACTERS
    assert document.characters_cut
    assert "twiml/whisper" in document.twiml
    assert "after=" in document.twiml


@pytest.mark.parametrize(
    ("goodbye", "has_after", "has_attributes", "has_whisper"),
    [(800, True, True, True), (2000, False, True, True), (2900, False, False, True), (3800, False, False, False)],
)
def test_what_has_no_room_is_left_out_by_its_worth(goodbye, has_after, has_attributes, has_whisper):
    whole = Handoff(
        parse_target("sip:sales@example.com"),
        None,
        "a" * goodbye,
        attributes={str(number): "b" * 60 for number in range(9)},
        whisper="c" * 200,
        after="d" * 600,
    )
    twiml = DOCUMENTS.transfer([], whole).twiml
    assert len(twiml) <= MAX_DOCUMENT_CHARACTERS
    found = "after=" in twiml, "X-0" in twiml, "twiml/whisper" in twiml
    assert found == (has_after, has_attributes, has_whisper)


@given(st.dictionaries(st.text(max_size=30), st.text(max_size=300), max_size=12), st.text(max_size=300))
def test_whatever_a_bot_passes_on_the_document_is_ours(attributes, words):
    for target in ("sip:sales@example.com", "client:alice", f"workflow:{WORKFLOW}"):
        document = DOCUMENTS.transfer([Message(words)], handoff(target, attributes=attributes, whisper=words[:200]))
        assert len(document.twiml) <= MAX_DOCUMENT_CHARACTERS
        verb = element_of(document)
        tags = {element.tag for element in verb.iter()}
        assert tags <= {"Dial", "Enqueue", "Sip", "Client", "Identity", "Parameter", "Task"}
        if verb[0].tag == "Sip":
            headers = (verb[0].text or "").partition("?")[2]
            assert len(headers) < 1024
            assert all(header.startswith("X-") and header.count("=") == 1 for header in headers.split("&") if header)
            assert headers.isascii()
            assert headers.isprintable()
