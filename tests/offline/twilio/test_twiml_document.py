"""The TwiML the simulated Twilio reads: verbs, and each of Twilio's complaints by its code."""

import pytest

from lexbridge.offline.twilio.twiml_document import parse_twiml, stream_url_problem
from lexbridge.offline.twilio.verbs import (
    ConnectStream,
    Dial,
    Document,
    Gather,
    Hangup,
    Pause,
    Play,
    Redirect,
    Reject,
    Say,
    StartStream,
    StopStream,
    Stream,
    Target,
    TwimlError,
)

BASE = "https://voice.example.com/twiml"


def read(inside: str, base_url: str | None = BASE) -> Document:
    return parse_twiml(f"<Response>{inside}</Response>", base_url)


def test_a_whole_document_becomes_its_verbs_in_order() -> None:
    document = parse_twiml(
        """<?xml version="1.0" encoding="UTF-8"?>
        <Response>
          <Start>
            <Stream url="wss://voice.example.com/media" name="s" statusCallback="https://voice.example.com/status">
              <Parameter name="token" value="abc"/><Parameter name="resumed" value="0"/>
            </Stream>
          </Start>
          <Say voice="Polly.Joanna" language="en-US">Hello &amp; <emphasis>welcome</emphasis>
            to you.</Say>
          <Pause length="60"/>
          <Redirect method="POST">/twiml/resume</Redirect>
        </Response>""",
        BASE,
    )
    stream = Stream(
        "wss://voice.example.com/media",
        name="s",
        status_callback="https://voice.example.com/status",
        parameters=(("token", "abc"), ("resumed", "0")),
    )
    assert document.verbs == (
        StartStream(stream),
        Say("Hello & welcome to you.", "Polly.Joanna", "en-US"),
        Pause(60),
        Redirect("https://voice.example.com/twiml/resume"),
    )
    assert document.warnings == ()


@pytest.mark.parametrize(
    ("inside", "verb"),
    [
        ("<Say loop='3'>Hi</Say>", Say("Hi", loop=3)),
        ("<Say loop='0'>Hi</Say>", Say("Hi", loop=1000)),
        ("<Play>https://a.example/b.wav</Play>", Play("https://a.example/b.wav")),
        ("<Play>hold.wav</Play>", Play("https://voice.example.com/hold.wav")),
        ("<Play digits='1w2#'/>", Play("", digits="1w2#")),
        ("<Pause/>", Pause(1)),
        ("<Redirect method='GET'>https://a.example/</Redirect>", Redirect("https://a.example/", "GET")),
        ("<Hangup/>", Hangup()),
        ("<Reject reason='busy'/>", Reject("busy")),
        ("<Stop><Stream name='s'/></Stop>", StopStream("s")),
        ("<Connect><Stream url='wss://a.example/m'/></Connect>", ConnectStream(Stream("wss://a.example/m"))),
        (
            "<Connect action='/on' method='GET'><Stream url='/m'/></Connect>",
            ConnectStream(Stream("wss://voice.example.com/m"), "https://voice.example.com/on", "GET"),
        ),
        (
            "<Dial timeout='10' timeLimit='60'>+12065550100</Dial>",
            Dial((Target("number", "+12065550100"),), timeout_s=10, time_limit_s=60),
        ),
        ("<Dial><Number>+12065550100</Number></Dial>", Dial((Target("number", "+12065550100"),))),
        (
            "<Gather action='/keys' numDigits='4' timeout='9' finishOnKey='*'><Say>Your pin?</Say><Pause/></Gather>",
            Gather(
                "https://voice.example.com/keys",
                num_digits=4,
                timeout_s=9,
                finish_on_key="*",
                prompts=(Say("Your pin?"), Pause(1)),
            ),
        ),
    ],
)
def test_each_verb_with_its_attributes(inside: str, verb: object) -> None:
    document = read(inside)
    assert document.verbs == (verb,)
    assert document.warnings == ()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", 12100),
        ("<Response><Say>Hi</Response>", 12100),
        ("<Response><Say>\x07</Say></Response>", 12100),
        ("<Response><Say>&nbsp;</Say></Response>", 12100),
        ("<Response><Say>\ud800</Say></Response>", 12100),
        ('<!DOCTYPE r [<!ENTITY a "b">]><Response><Say>&a;</Say></Response>', 12100),
        ("<Respond/>", 12102),
        ("<html/>", 12102),
        ("<Response>" + " " * 65536 + "</Response>", 11750),
        ("<Response><Redirect>ftp://a.example/</Redirect></Response>", 11100),
        ("<Response><Play>https://a b/</Play></Response>", 11100),
        ("<Response><Record/></Response>", 13750),
        ("<Response><Start><Siprec/></Start></Response>", 14300),
        ("<Response><Start><Stream url='wss://a/' statusCallback='/s'/></Start></Response>", 11100),
        ("<Response><Start><Stream url='wss://a/' track='all'/></Start></Response>", 31941),
        ("<Response><Connect><Stream url='wss://a/' track='both_tracks'/></Connect></Response>", 31941),
    ],
)
def test_what_ends_the_call_with_an_application_error(text: str, code: int) -> None:
    with pytest.raises(TwimlError) as raised:
        parse_twiml(text, BASE)
    assert raised.value.code == code
    assert str(raised.value).startswith(f"{code} ")


@pytest.mark.parametrize("verb", ["Dial", "Gather", "Connect"])
def test_in_a_rest_request_an_action_is_absolute(verb: str) -> None:
    inside = {"Dial": "+12065550100", "Gather": "", "Connect": "<Stream url='wss://a.example/m'/>"}[verb]
    with pytest.raises(TwimlError) as raised:
        read(f"<{verb} action='/next'>{inside}</{verb}>", base_url=None)
    assert raised.value.code == 15004
    absolute = read(f"<{verb} action='https://a.example/next'>{inside}</{verb}>", base_url=None)
    assert len(absolute.verbs) == 1


@pytest.mark.parametrize(
    ("inside", "code", "verbs_left"),
    [
        ("<say>Hi</say>", 12200, 0),
        ("<Shout>Hi</Shout>", 12200, 0),
        ("hello", 12200, 0),
        ("<Say speed='2'>Hi</Say>", 12200, 1),
        ("<Say>Hi <b>there</b></Say>", 12200, 1),
        ("<Pause>2</Pause>", 12200, 1),
        ("<Stop/>", 12200, 0),
        ("<Stop><Stream/></Stop>", 12200, 0),
        ("<Connect/>", 12200, 0),
        ("<Start><Stream url='wss://a/'><Parameter name='a'/></Stream></Start>", 12200, 1),
        ("<Start><Stream url='wss://a/' statusCallbackMethod='PUT'/></Start>", 12200, 1),
        ("<Say></Say>", 13520, 0),
        ("<Say> <break/> </Say>", 13520, 0),
        ("<Say loop='x'>Hi</Say>", 13510, 1),
        ("<Play loop='-1'>a.wav</Play>", 13410, 1),
        ("<Play digits='12x'/>", 13430, 0),
        ("<Pause length='0'/>", 13910, 1),
        ("<Pause length='1.5'/>", 13910, 1),
        ("<Redirect method='PUT'>/a</Redirect>", 13710, 1),
        ("<Reject reason='tired'/>", 13810, 1),
        ("<Dial>nobody</Dial>", 13223, 1),
        ("<Dial><Robot>x</Robot></Dial>", 13215, 1),
        ("<Dial timeout='1'>+12065550100</Dial>", 13212, 1),
        ("<Dial timeLimit='0'>+12065550100</Dial>", 13216, 1),
        ("<Dial method='PUT'>+12065550100</Dial>", 13210, 1),
        ("<Gather><Redirect>/a</Redirect></Gather>", 13320, 1),
        ("<Connect><Stream url='wss://a.example/m'/><Stream url='wss://a.example/n'/></Connect>", 12200, 1),
        ("<Gather input='smoke'/>", 13326, 1),
        ("<Gather finishOnKey='ab'/>", 13310, 1),
        ("<Gather numDigits='0'/>", 13314, 1),
        ("<Gather timeout='x'/>", 13313, 1),
        ("<Gather method='PUT'/>", 13312, 1),
    ],
)
def test_what_twilio_warns_about_and_goes_on(inside: str, code: int, verbs_left: int) -> None:
    document = read(inside)
    assert code in [warning.code for warning in document.warnings]
    assert len(document.verbs) == verbs_left
    assert all(str(warning).startswith(f"{warning.code} ") for warning in document.warnings)


@pytest.mark.parametrize(
    ("voice", "text", "speakable"),
    [
        ("", "a" * 4096, True),
        ("", "a" * 4097, False),
        ("", "é" * 750, True),
        ("", "é" * 751, False),  # 4506 characters when URL-encoded
        ("Polly.Joanna", "a" * 3000, True),
        ("Polly.Joanna", "a" * 3001, False),
        ("Google.en-US-Wavenet-A", "a" * 4500, True),
        ("Google.en-US-Wavenet-A", "a" * 5001, False),
    ],
)
def test_how_much_a_say_may_hold_depends_on_its_voice(voice: str, text: str, speakable: bool) -> None:
    document = read(f"<Say voice='{voice}'>{text}</Say>")
    assert len(document.verbs) == int(speakable)
    assert [warning.code for warning in document.warnings] == ([] if speakable else [13521])


@pytest.mark.parametrize(("length", "kept"), [(499, True), (500, False)])
def test_a_parameter_holds_under_500_characters_name_included(length: int, kept: bool) -> None:
    value = "v" * (length - len("name"))
    document = read(f"<Start><Stream url='wss://a/'><Parameter name='name' value='{value}'/></Stream></Start>")
    (start,) = document.verbs
    assert isinstance(start, StartStream)
    assert start.stream.parameters == ((("name", value),) if kept else ())
    assert len(document.warnings) == int(not kept)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("wss://voice.example.com/", None),
        ("wss://voice.example.com:8443/media", None),
        ("wss://voice.example.com/media?call=1", 31920),
        ("wss://voice.example.com/media?", 31920),
        ("ws://voice.example.com/", 31922),
        ("https://voice.example.com/", 31922),
        ("", 31923),
        ("voice.example.com", 31923),
        ("wss:///media", 31923),
        ("wss://voice.example.com:port/", 31923),
        ("wss://voice.example.com/a b", 31923),
    ],
)
def test_which_addresses_a_stream_goes_to(url: str, code: int | None) -> None:
    problem = stream_url_problem(url)
    assert (problem.code if problem else None) == code
