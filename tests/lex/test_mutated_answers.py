"""Arbitrary answers of Lex, and recorded ones with broken parts: each becomes a reply or a LexUnreadable."""

import base64
import gzip
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.errors import LexUnreadable
from lexbridge.lex import v1, v2
from lexbridge.lex.v2 import pack
from tests.support.lex_answers import DECODERS, GOOD, ODD, response_of
from tests.support.property_tests import examples

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["Close", "PlainText", "Fulfilled"]),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=8), values, max_size=3),
    max_leaves=5,
)


SOME_STATE = st.fixed_dictionaries(
    {},
    optional={
        "dialogAction": JSON_VALUES | st.fixed_dictionaries({"type": JSON_VALUES, "slotToElicit": JSON_VALUES}),
        "intent": JSON_VALUES | st.fixed_dictionaries({"name": JSON_VALUES, "state": JSON_VALUES}),
        "sessionAttributes": JSON_VALUES,
    },
)


SOME_MESSAGES = JSON_VALUES | st.lists(
    st.fixed_dictionaries({}, optional={"content": JSON_VALUES, "contentType": JSON_VALUES})
    | st.fixed_dictionaries(
        {
            "contentType": st.just("ImageResponseCard"),
            "imageResponseCard": JSON_VALUES
            | st.fixed_dictionaries({}, optional=dict.fromkeys(("title", "subtitle", "buttons"), JSON_VALUES)),
        }
    ),
    max_size=3,
)


def check(reply):
    """Assert that all members of a reply have the right type."""
    assert all(isinstance(text, str | None) for text in (reply.intent, reply.slot_to_elicit, reply.transcript))
    assert all(isinstance(message.text, str) and message.text.strip() for message in reply.messages)
    assert all(isinstance(text, str) for attribute in reply.session_attributes.items() for text in attribute)
    assert reply.checkpoint is None or json.loads(json.dumps(reply.checkpoint)) == reply.checkpoint
    assert reply.checkpoint is None or not {*reply.odd_parts} - {"inputTranscript"}


@examples(100)
@given(SOME_STATE, SOME_MESSAGES, JSON_VALUES)
def test_whatever_v2_answers_it_is_a_reply_or_unreadable(state, messages, transcript):
    response = {"sessionState": pack(state), "messages": pack(messages), "inputTranscript": pack(transcript)}
    try:
        reply = v2.reply_from_recognize_utterance(response)
    except LexUnreadable:
        assert not state
        return
    check(reply)


@examples(50)
@given(JSON_VALUES, st.sampled_from(["Composite", "PlainText", "SSML", "CustomPayload", "New", 7, None]))
def test_whatever_message_v1_answers_it_is_a_reply(message, message_format):
    for text in (json.dumps(message), json.dumps({"messages": message}), json.dumps({"messages": [message]}), message):
        check(
            v1.reply_from_post_content({"dialogState": "ElicitSlot", "message": text, "messageFormat": message_format})
        )


# What a mutation puts in the place of a part. DROP removes the part.
DROP = object()


JUNK = st.sampled_from(
    [DROP, None, "", "%", "Elicit-something new", 7, -1.5, True, [], ["x"], {}, {"x": 1}, [[]], "\ud800", "[" * 2000]
)


PACKED = ("sessionState", "messages", "inputTranscript", "interpretations")  # fmt: skip


def places_in(value, path=()):
    """Yield the path of each member in a JSON value."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield (*path, key)
        yield from places_in(member, (*path, key))


def mutated(value, path, junk):
    """Return `value` with `junk` at `path`, or `value` itself if that path does not exist any more."""
    if not path:
        return junk
    key, *rest = path
    is_there = (isinstance(value, dict) and key in value) or (
        isinstance(value, list) and isinstance(key, int) and key < len(value)
    )
    if not is_there:
        return value
    copy = value.copy()
    if junk is DROP and not rest:
        del copy[key]
    else:
        copy[key] = mutated(value[key], rest, junk)
    return copy


def unpacked(response):
    """Return a response with its packed fields as JSON."""
    return {
        name: json.loads(gzip.decompress(base64.b64decode(value))) if name in PACKED and value else value
        for name, value in response.items()
    }


def packed_again(answer, broken):
    """Return the response that `unpacked` unpacked. `broken`: the name of a field that becomes invalid base64."""
    response = {name: pack(value) if name in PACKED and value else value for name, value in answer.items()}
    return {name: f"%{value}" if name == broken else value for name, value in response.items()}


@examples(600)
@given(st.sampled_from([*GOOD, *ODD]), st.data())
def test_a_mutated_recorded_answer_is_used_as_far_as_possible(name, data):
    """Fields are dropped, types changed, values unknown, headers broken: only an empty rest is unreadable."""
    is_v2 = name.startswith("v2")
    response = response_of(name)
    answer = unpacked(response) if is_v2 and name in GOOD else response
    for _ in range(data.draw(st.integers(1, 3))):
        answer = mutated(answer, data.draw(st.sampled_from(sorted(places_in(answer), key=str))), data.draw(JUNK))
        if not answer:
            return
    broken = data.draw(st.sampled_from([None, *PACKED[:3], "encodedMessage"]))
    if is_v2 and name in GOOD:
        response = packed_again(answer, broken)
    else:
        response = {key: f"%{value}" if key == broken else value for key, value in answer.items()}
    try:
        reply = DECODERS[name[:2]](response)
    except LexUnreadable:
        is_state_lost = broken == "sessionState" or not isinstance(answer.get("sessionState"), dict)
        assert not words_of(answer, broken)
        assert name.startswith("v1") or name in ODD or is_state_lost or not answer["sessionState"]
        return
    check(reply)
    assert set(words_of(answer, broken)) <= {message.text for message in reply.messages}


def words_of(answer, broken):
    """Return the plain texts of a V2 answer, read in the simplest way."""
    messages = answer.get("messages")
    if broken == "messages" or not isinstance(messages, list):
        return []
    return [
        message["content"]
        for message in messages
        if isinstance(message, dict)
        and message.get("contentType") == "PlainText"
        and isinstance(message.get("content"), str)
        and message["content"].strip()
    ]


@pytest.mark.parametrize("name", GOOD)
def test_a_part_that_is_broken_costs_no_other_part(name):
    whole, response = GOOD[name], response_of(name)
    for field in ("messages", "inputTranscript", "encodedInputTranscript", "interpretations", "slots", "botVersion"):
        for junk in ("%", 7, ["x"], None):
            reply = DECODERS[name[:2]]({**response, field: junk})
            assert replace(reply, messages=(), transcript=None) == replace(whole, messages=(), transcript=None)
            assert field == "messages" or reply.messages == whole.messages
