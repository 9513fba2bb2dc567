"""What the simulated Twilio refuses of `<Dial>`, `<Enqueue>` and their nouns, by Twilio's own codes. Pure."""

import pytest

from lexbridge.offline.twilio.addresses import e164, read_sip
from lexbridge.offline.twilio.twiml_document import parse_twiml
from lexbridge.offline.twilio.verbs import (
    Conference,
    Dial,
    Document,
    Enqueue,
    Leave,
    Progress,
    QueueTarget,
    Target,
    TwimlError,
)

BASE = "https://voice.example.com/twiml"
NUMBER = "+12065550123"
PERSON = Target("number", NUMBER)
WORKFLOW = "WW" + "0" * 32


def read(inside: str, base_url: str | None = BASE) -> Document:
    return parse_twiml(f"<Response>{inside}</Response>", base_url)


@pytest.mark.parametrize(
    ("inside", "verb"),
    [
        (f"<Dial>{NUMBER}</Dial>", Dial((PERSON,))),
        ("<Dial>(206) 555-0123</Dial>", Dial((PERSON,))),
        (f"<Dial><Number>{NUMBER}</Number></Dial>", Dial((PERSON,))),
        (
            f"<Dial callerId='+12065550199' action='/d' timeout='9' answerOnBridge='true' hangupOnStar='true' "
            f"record='record-from-answer-dual'>{NUMBER}</Dial>",
            Dial(
                (PERSON,),
                action="https://voice.example.com/d",
                timeout_s=9,
                caller_id="+12065550199",
                answer_on_bridge=True,
                hangup_on_star=True,
            ),
        ),
        (
            f"<Dial><Number sendDigits='ww12#' url='/w' method='GET'>{NUMBER}</Number><Client>ann</Client></Dial>",
            Dial(
                (
                    Target("number", NUMBER, "ww12#", "https://voice.example.com/w", "GET"),
                    Target("client", "client:ann"),
                )
            ),
        ),
        (
            "<Dial><Sip statusCallback='/s' statusCallbackEvent='ringing answered'>sip:a@b.example?X-A=1%202"
            "</Sip></Dial>",
            Dial(
                (
                    Target(
                        "sip",
                        "sip:a@b.example",
                        headers=(("X-A", "1 2"),),
                        progress=Progress("https://voice.example.com/s", events=("ringing", "answered")),
                    ),
                )
            ),
        ),
        (
            "<Dial><Client><Identity>ann</Identity><Parameter name='a' value='1'/></Client></Dial>",
            Dial((Target("client", "client:ann", parameters=(("a", "1"),)),)),
        ),
        (
            "<Dial><Queue url='/w'>support</Queue></Dial>",
            Dial(queue=QueueTarget("support", "https://voice.example.com/w")),
        ),
        ("<Dial><Conference>room</Conference></Dial>", Dial(conference=Conference("room"))),
        (
            "<Dial><Conference muted='true' beep='onExit' startConferenceOnEnter='false' endConferenceOnExit='true' "
            "waitUrl='' participantLabel='bot' statusCallback='/s' statusCallbackEvent='join leave'>room"
            "</Conference></Dial>",
            Dial(
                conference=Conference(
                    "room",
                    True,
                    "onExit",
                    False,
                    True,
                    "",
                    "bot",
                    Progress("https://voice.example.com/s", events=("join", "leave")),
                )
            ),
        ),
        ("<Enqueue>support</Enqueue>", Enqueue("support")),
        (
            f"<Enqueue workflowSid='{WORKFLOW}' action='/a' waitUrl='/w' waitUrlMethod='GET'>"
            '<Task priority=\'3\'>{"intent": "a"}</Task></Enqueue>',
            Enqueue(
                "",
                WORKFLOW,
                '{"intent": "a"}',
                3,
                None,
                "https://voice.example.com/a",
                "POST",
                "https://voice.example.com/w",
                "GET",
            ),
        ),
        (f"<Enqueue workflowSid='{WORKFLOW}'/>", Enqueue("", WORKFLOW)),
        ("<Leave/>", Leave()),
    ],
)
def test_each_verb_with_its_nouns(inside: str, verb: object) -> None:
    document = read(inside)
    assert document.verbs == (verb,)
    assert document.warnings == ()


TEN = f"<Number>{NUMBER}</Number>" * 10


@pytest.mark.parametrize(
    ("inside", "code", "left"),
    [
        (f"<Dial><Conference>room</Conference><Number>{NUMBER}</Number></Dial>", 13000, 0),
        (f"<Dial><Number>{NUMBER}</Number><Conference>room</Conference></Dial>", 13000, 1),
        (f"<Dial><Number>{NUMBER}</Number><Sip>sip:a@b.example</Sip></Dial>", 13215, 1),
        ("<Dial><Queue>a</Queue><Client>b</Client></Dial>", 13215, 0),
        ("<Dial><Say>Hi</Say></Dial>", 13215, 0),
        (f"<Dial>{NUMBER}<Client>ann</Client></Dial>", 12200, 1),
        (f"<Dial>{TEN}<Number>{NUMBER}</Number></Dial>", 13215, 10),
        ("<Dial><Sip>sip:a@b.example</Sip><Sip>sip:c@b.example</Sip></Dial>", 13250, 1),
        ("<Dial><Conference>a</Conference><Conference>b</Conference></Dial>", 13215, 0),
        (f"<Dial method='PUT'>{NUMBER}</Dial>", 13210, 1),
        (f"<Dial timeout='601'>{NUMBER}</Dial>", 13212, 1),
        (f"<Dial hangupOnStar='yes'>{NUMBER}</Dial>", 13213, 1),
        (f"<Dial callerId=''>{NUMBER}</Dial>", 13214, 1),
        (f"<Dial timeLimit='14401'>{NUMBER}</Dial>", 13216, 1),
        (f"<Dial record='loud'>{NUMBER}</Dial>", 13217, 1),
        (f"<Dial sequential='1'>{NUMBER}</Dial>", 13218, 1),
        (f"<Dial answerOnBridge='TRUE'>{NUMBER}</Dial>", 13219, 1),
        (f"<Dial><Number method='PUT'>{NUMBER}</Number></Dial>", 13221, 1),
        (f"<Dial><Number sendDigits='12a'>{NUMBER}</Number></Dial>", 13222, 1),
        ("<Dial/>", 13223, 1),
        ("<Dial>5</Dial>", 13223, 1),
        ("<Dial>0044 20 7946 0000</Dial>", 13224, 1),
        (f"<Dial><Number statusCallbackEvent='begun'>{NUMBER}</Number></Dial>", 12200, 1),
        ("<Dial><Conference muted='no'>a</Conference></Dial>", 13230, 0),
        ("<Dial><Conference startConferenceOnEnter='no'>a</Conference></Dial>", 13232, 0),
        ("<Dial><Conference waitUrl='ftp://a/'>a</Conference></Dial>", 13233, 0),
        ("<Dial><Conference waitMethod='PUT'>a</Conference></Dial>", 13234, 0),
        ("<Dial><Conference beep='loud'>a</Conference></Dial>", 13235, 0),
        ("<Dial><Conference/></Dial>", 13237, 0),
        (f"<Dial><Conference>{'a' * 129}</Conference></Dial>", 13237, 0),
        ("<Dial><Sip method='PUT'>sip:a@b.example</Sip></Dial>", 13241, 1),
        ("<Dial><Sip>sip:b.example</Sip></Dial>", 13243, 1),
        ("<Dial><Sip>sip:a@b.example?Subject=1</Sip></Dial>", 13252, 1),
        ("<Dial><Client/></Dial>", 12200, 1),
        (f"<Gather><Dial>{NUMBER}</Dial></Gather>", 13320, 0),
        ("<Gather><Enqueue>a</Enqueue></Gather>", 13320, 0),
        ("<Enqueue>a<Task>{}</Task></Enqueue>", 12200, 0),
        (f"<Enqueue workflowSid='{WORKFLOW}'><Task priority='high'>{{}}</Task></Enqueue>", 12200, 0),
        (f"<dial>{NUMBER}</dial>", 12200, 0),
    ],
)
def test_what_twilio_warns_about_and_goes_on(inside: str, code: int, left: int) -> None:
    """What is left of a Dial are the people that it calls."""
    document = read(inside)
    assert [warning.code for warning in document.warnings] == [code]
    dialled = [verb for verb in document.verbs if isinstance(verb, Dial)]
    assert sum(len(verb.targets) for verb in dialled) == left


@pytest.mark.parametrize(
    ("inside", "code"),
    [
        (f"<Dial action='ftp://a/'>{NUMBER}</Dial>", 11100),
        (f"<Dial><Number url='http://a b/'>{NUMBER}</Number></Dial>", 11100),
        (f"<Dial><Number statusCallback='mailto:a'>{NUMBER}</Number></Dial>", 11100),
        ("<Dial><Conference endConferenceOnExit='no'>a</Conference></Dial>", 13231),
        ("<Dial><Conference participantLabel='a/b'>a</Conference></Dial>", 16023),
        ("<Dial><Queue/></Dial>", 14212),
        (f"<Dial><Queue>{'a' * 65}</Queue></Dial>", 14213),
        ("<Dial><Queue method='PUT'>a</Queue></Dial>", 14210),
        ("<Dial><Queue url='ftp://a/'>a</Queue></Dial>", 14211),
        ("<Enqueue/>", 14204),
        (f"<Enqueue>{'a' * 65}</Enqueue>", 14205),
        ("<Enqueue method='PUT'>a</Enqueue>", 14201),
        ("<Enqueue waitUrl='ftp://a/'>a</Enqueue>", 14202),
        ("<Enqueue action='ftp://a/'>a</Enqueue>", 14203),
        ("<Enqueue waitUrlMethod='PUT'>a</Enqueue>", 14206),
        ("<Enqueue workflowSid='WW1'/>", 14220),
        (f"<Enqueue workflowSid='{WORKFLOW}'><Task>intent</Task></Enqueue>", 14221),
        (f"<Enqueue workflowSid='{WORKFLOW}'><Task>[1]</Task></Enqueue>", 14221),
        ("<Refer/>", 13750),
    ],
)
def test_what_ends_the_call(inside: str, code: int) -> None:
    with pytest.raises(TwimlError) as raised:
        read(inside)
    assert raised.value.code == code


@pytest.mark.parametrize("inside", [f"<Dial action='/d'>{NUMBER}</Dial>", "<Enqueue action='/d'>a</Enqueue>"])
def test_in_a_rest_request_addresses_are_absolute(inside: str) -> None:
    with pytest.raises(TwimlError) as raised:
        read(inside, base_url=None)
    assert raised.value.code == 15004
    with pytest.raises(TwimlError) as raised:
        read(f"<Dial><Number url='/whisper'>{NUMBER}</Number></Dial>", base_url=None)
    assert raised.value.code == 11100


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("+12065550123", NUMBER),
        ("+49 (30) 901820", "+4930901820"),
        ("206-555-0123", NUMBER),
        ("1 206 555 0123", NUMBER),
        ("0123456789", None),
        ("+0123456789", None),
        ("anonymous", None),
    ],
)
def test_which_numbers_twilio_calls(text: str, number: str | None) -> None:
    assert e164(text) == number


def test_headers_of_a_sip_address() -> None:
    found = read_sip("sips:desk@pbx.example.com:5061;transport=tls?x-intent=a%26b&P-Called-Party-ID=c&X-=d&X-Empty=")
    assert found.address == "sips:desk@pbx.example.com:5061;transport=tls"
    assert found.headers == (("x-intent", "a&b"), ("P-Called-Party-ID", "c"), ("X-Empty", ""))
    assert [warning.code for warning in found.warnings] == [13252]
    assert (found.problem, read_sip("sip:a@b.example").headers) == (None, ())
