"""What an answer of the routing hook may hold."""

import json

import pytest

from lexbridge.web.hook_answer import (
    MAX_ANSWER_BYTES,
    CallRefusal,
    HookAnswer,
    HookAnswerRefused,
    read_hook_answer,
)


def read(answer: object) -> HookAnswer:
    return read_hook_answer(json.dumps(answer).encode())


@pytest.mark.parametrize("body", [b"", b" \n", b"{}", b'{"line": null, "attributes": null, "refuse": null}'])
def test_an_answer_may_decide_nothing(body):
    assert read_hook_answer(body) == HookAnswer()


def test_an_answer_may_name_line_attributes_and_greeting():
    found = read({"line": "sales", "attributes": {"tier": "gold", "crm:id": ""}, "greeting": "Hello Zoë."})
    assert found == HookAnswer("sales", {"tier": "gold", "crm:id": ""}, "Hello Zoë.")
    assert read({"line": ""}).line == ""


@pytest.mark.parametrize(
    ("refuse", "refusal"),
    [
        ({"say": "We are closed."}, CallRefusal("We are closed.")),
        ({"reason": "busy"}, CallRefusal(reason="busy")),
        ({"reason": "rejected"}, CallRefusal(reason="rejected")),
    ],
)
def test_an_answer_may_refuse_the_call(refuse, refusal):
    assert read({"refuse": refuse}).refusal == refusal


def test_unknown_keys_are_named_as_the_log_may_have_them():
    assert read({"lines": 1, "+12065550100": 2, "a" * 41: 3}).unknown_keys == ("lines", "?", "?")
    assert len(read({f"key{number}": 1 for number in range(50)}).unknown_keys) == 10


BAD = {
    "a list": [],
    "a text": "sales",
    "a number for a line": {"line": 5},
    "an odd line": {"line": "sales/flowers"},
    "a list of attributes": {"attributes": ["tier"]},
    "too many attributes": {"attributes": {f"name{number}": "" for number in range(21)}},
    "an attribute of ours": {"attributes": {"lexbridge:action": "transfer"}},
    "an attribute of ours in capitals": {"attributes": {"Lexbridge:token": "x"}},
    "an attribute of Lex": {"attributes": {"x-amz-lex:allow-interrupt": "false"}},
    "an odd name": {"attributes": {"tier of the customer": "gold"}},
    "no name": {"attributes": {"": "gold"}},
    "a long name": {"attributes": {"a" * 65: "gold"}},
    "a number as a value": {"attributes": {"tier": 1}},
    "a long value": {"attributes": {"tier": "a" * 401}},
    "too much altogether": {"attributes": dict.fromkeys("abc", "a" * 330) | {"d": "<<<"}},
    "an empty greeting": {"greeting": " "},
    "a greeting that cannot be said": {"greeting": "\0 \ud800"},
    "a refusal that cannot be said": {"refuse": {"say": "\x07"}},
    "a greeting that is none": {"greeting": ["Hello."]},
    "a long greeting": {"greeting": "&" * 81},
    "no refusal": {"refuse": {}},
    "a refusal that is true": {"refuse": True},
    "another reason": {"refuse": {"reason": "tired"}},
    "a list as a reason": {"refuse": {"reason": ["busy"]}},
    "no words": {"refuse": {"say": None}},
    "two refusals": {"refuse": {"say": "No.", "reason": "busy"}},
}


@pytest.mark.parametrize("answer", BAD.values(), ids=BAD)
def test_an_answer_that_breaks_a_rule_is_refused(answer):
    with pytest.raises(HookAnswerRefused) as refused:
        read(answer)
    assert refused.value.why == "bad answer"
    assert refused.value.rule


@pytest.mark.parametrize("body", [b"<html>", b"{", b"\xff", b"[" * 10_000])
def test_what_is_not_json_is_refused(body):
    with pytest.raises(HookAnswerRefused, match="not JSON"):
        read_hook_answer(body)


def test_a_long_answer_is_refused_unread():
    with pytest.raises(HookAnswerRefused, match="too long"):
        read_hook_answer(b" " * (MAX_ANSWER_BYTES + 1))


def test_a_printed_answer_shows_nothing_of_the_customer():
    shown = repr(read({"attributes": {"name": "Zoe"}, "greeting": "Hello Zoe.", "refuse": {"say": "No, Zoe."}}))
    assert "Zoe" not in shown
