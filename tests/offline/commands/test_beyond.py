"""Options of the commands about what a simulated call reaches beyond the bridge."""

import argparse
from pathlib import Path

import pytest

from lexbridge.offline.commands.beyond import add_far_arguments, application, far_end, far_story, phone_number, set_up
from lexbridge.offline.twilio.applications import Application
from lexbridge.offline.twilio.far_ends import FarEnd
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from tests.support.stand_in_bridge import DEADLINE_S, PUBLIC, a_caller

WORKFLOW = "WW" + "0" * 32


@pytest.mark.parametrize(
    ("text", "address", "found"),
    [
        ("+12065550111=busy", "+12065550111", FarEnd(does="busy")),
        ("206-555-0111=no-answer", "+12065550111", FarEnd(does="no-answer")),
        (
            "sip:ann@example.com;transport=tls=answers,rings=2.5,talks=30,presses=1#",
            "sip:ann@example.com;transport=tls",
            FarEnd(rings_s=2.5, talks_s=30, presses="1#"),
        ),
        ("queue:the support=answers,rings=20", "queue:the support", FarEnd(rings_s=20)),
    ],
)
def test_a_far_end_is_an_address_and_what_happens_there(text: str, address: str, found: FarEnd) -> None:
    assert far_end(text) == (address, found)


@pytest.mark.parametrize(
    ("parse", "text", "told"),
    [
        (far_end, "+12065550111", "no ADDRESS=WHAT"),
        (far_end, "+12065550111=sleeps", "answers, busy, no-answer, failed, canceled"),
        (far_end, "=busy", "no ADDRESS=WHAT"),
        (far_end, "queue=busy", "'queue' is no address: that is a number, or begins with one of sip:, "),
        (far_end, "+12065550111=busy,sings=1", "sings is none of rings, talks, presses"),
        (far_end, "+12065550111=busy,rings", "no NAME=value"),
        (far_end, "+12065550111=busy,rings=soon", "no number of seconds"),
        (application, "https://flex.example.com", "no URL=FILE"),
        (application, "flex=/tmp/no.xml", "no address"),
        (application, "https://flex.example.com=/no/such.xml", "cannot be read"),
        (application, "https://flex.example.com=http://", "no address"),
        (phone_number, "anonymous", "no phone number"),
    ],
)
def test_options_that_cannot_work_are_refused(parse: object, text: str, told: str) -> None:
    assert callable(parse)
    with pytest.raises(argparse.ArgumentTypeError, match=told):
        parse(text)


def test_the_options_set_up_the_simulated_twilio(tmp_path: Path) -> None:
    bin_file = tmp_path / "flow.xml"
    bin_file.write_text(
        "<Response><Dial callerId='+12065550177'><Number sendDigits='12'>+12065550111</Number></Dial>"
        "<Dial><Client><Identity>ann</Identity><Parameter name='intent' value='OrderFlowers'/></Client></Dial>"
        f'<Enqueue workflowSid=\'{WORKFLOW}\'><Task>{{"intent": "OrderFlowers"}}</Task></Enqueue></Response>'
    )
    parser = argparse.ArgumentParser()
    add_far_arguments(parser)
    arguments = [
        *("--far-end", "+12065550111=busy", "--far-end", "+12065550111=answers,talks=2"),
        *("--application", f"{PUBLIC}={bin_file}", "--application", "https://b.example=http://127.0.0.1:9"),
        *("--caller-id", "(206) 555-0177"),
    ]
    with SimulatedTwilio(pace=0.05) as twilio:
        set_up(parser.parse_args(arguments), twilio)
        assert isinstance(twilio.applications[PUBLIC], Application)
        assert twilio.applications["https://b.example"] == "http://127.0.0.1:9"
        calls = [twilio.place_call(f"{PUBLIC}/twiml", a_caller()) for _ in range(2)]
        for call in calls:
            call.wait(DEADLINE_S)
        stories = [far_story(call, twilio) for call in calls]
        assert [call.complaints for call in calls] == [[], []]
    busy = next(story for story in stories if "busy" in story[0])
    answered = next(story for story in stories if story is not busy)
    assert busy[0] == "+12065550111: busy, 0 s; it was shown +12065550177"
    assert answered[0].startswith("+12065550111: completed, ")
    assert "    keys: 12" in answered
    assert "    intent: OrderFlowers" in answered
    assert answered[-1].startswith(f"task of {WORKFLOW}: intent=OrderFlowers, call_sid=CA")
