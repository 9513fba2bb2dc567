"""Targets of a transfer: their forms, and what TRANSFER_NUMBERS allows of them."""

import pytest

from lexbridge.config.transfer_targets import (
    ClientTarget,
    ConferenceTarget,
    NumberTarget,
    QueueTarget,
    SipTarget,
    WorkflowTarget,
    parse_target,
    transfer_targets,
)

WORKFLOW = "WW" + "0123456789abcdef" * 2


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("+12065550100", NumberTarget("+12065550100")),
        ("+12065550100;ext=12", NumberTarget("+12065550100", "12")),
        ("+12065550100;ext=ww1w2#", NumberTarget("+12065550100", "ww1w2#")),
        ("sip:sales@example.com", SipTarget("sales", "example.com")),
        ("sip:+12065550100@PBX.example.com:5061;transport=tls;region=ie1", None),
        ("client:alice_40example", ClientTarget("alice_40example")),
        ("client:" + "a" * 256, ClientTarget("a" * 256)),
        ("queue:Support (EU)", QueueTarget("Support (EU)")),
        ("queue:" + "ü" * 64, QueueTarget("ü" * 64)),
        (f"workflow:{WORKFLOW}", WorkflowTarget(WORKFLOW)),
        ("conference:Sales", ConferenceTarget("Sales")),
    ],
)
def test_each_form_names_a_target(text, target):
    found = parse_target(text)
    assert found == (target or SipTarget("+12065550100", "pbx.example.com:5061;transport=tls;region=ie1"))
    assert transfer_targets(text).find(text) == found  # and allows itself


@pytest.mark.parametrize(
    "text",
    [
        *("", "911", "+123", "+12065550100;ext=", "+12065550100;ext=w", "+12065550100;ext=12;x=1", "+12065550100;12"),
        *("+12065550100;ext=" + "1" * 29, "+12065550100\n", "tel:+12065550100", "+12065550100;ext=1,2"),
        *("sip:example.com", "sip:@example.com", "sip:a@", "sip:a@b?X-Evil=1", "sip:a@b;maddr=evil", "sip:a b@c"),
        *("sip:a@example.com\r\nVia:x", "sip:a@-b", "sip:a@b..c", "sip:a@b:0", "sip:a%0d@b", "sips:a@b", "sip:a@@b"),
        "sip:a@" + "b" * 254,
        "sip:" + "a" * 129 + "@b",
        "sip:" + "a" * 120 + "@" + "b." * 80 + "c",
        *("client:", "client:a b", "client:" + "a" * 257, "client:<x>", "client:a;b"),
        *("queue:", "queue: a", "queue:a\nb", "queue:" + "a" * 65, "queue:</Enqueue>", "queue:a&b"),
        *("workflow:WW1", "workflow:" + "W" * 34, f"workflow:{WORKFLOW}0"),
        *("conference:", "conference:" + "a" * 129, "conference:<a>"),
        *("fax:+12065550100", "javascript:alert(1)", "Queue:Support"),
    ],
)
def test_what_has_no_form_names_no_target(text):
    assert parse_target(text) is None


ALLOWED = (
    f"+12065550100, +12065550101;ext=12, +12065550102;ext=*, sip:sales@example.com, sip:*@pbx.example.com:5061,"
    f"client:alice, queue:Support, workflow:{WORKFLOW}, conference:Sales"
)


@pytest.mark.parametrize(
    ("text", "is_allowed"),
    [
        ("+12065550100", True),
        ("+12065550100;ext=12", False),
        ("+12065550101", False),
        ("+12065550101;ext=12", True),
        ("+12065550101;ext=13", False),
        ("+12065550102", True),
        ("+12065550102;ext=77", True),
        ("+12065550102;ext=*", False),
        ("+12065550103", False),
        ("sip:sales@example.com", True),
        ("sip:sales@EXAMPLE.com", True),
        ("sip:Sales@example.com", False),
        ("sip:sales@example.com;transport=tls", False),
        ("sip:anyone@pbx.example.com:5061", True),
        ("sip:anyone@pbx.example.com", False),
        ("sip:anyone@evil.pbx.example.com:5061", False),
        ("sip:*@pbx.example.com:5061", False),
        ("client:alice", True),
        ("client:bob", False),
        ("queue:Support", True),
        ("queue:support", False),
        (f"workflow:{WORKFLOW}", True),
        ("workflow:WW" + "0" * 32, False),
        ("conference:Sales", True),
        ("conference:Board", False),
        (None, False),
    ],
)
def test_only_what_is_listed_may_be_dialled(text, is_allowed):
    assert (transfer_targets(ALLOWED).find(text) is not None) is is_allowed


def test_every_client_may_be_allowed():
    targets = transfer_targets("client:*")
    assert targets.find("client:bob") == ClientTarget("bob")
    assert targets.find("client:*") is None
    assert targets.find("queue:bob") is None


@pytest.mark.parametrize(
    "value",
    ["911", "*", "queue:*", "+*", "+12065550100;ext=**", "sip:*@*", "sip:*", "sip:*@b c", "conference:*", "x;ext=*"],
)
def test_a_list_takes_nothing_but_targets(value):
    targets = None
    with pytest.raises(ValueError, match=r"^must be targets with commas between them"):
        targets = transfer_targets(value)
    assert targets is None


def test_no_target_shows_when_it_is_printed():
    assert "2065550100" not in repr(parse_target("+12065550100;ext=12"))
    assert "example" not in repr(parse_target("sip:a@example.com"))
