"""The position of a dialog: what GetSession returns, and checkpoints that restore it."""

import json

import pytest

from lexbridge.errors import LexUnreadable
from lexbridge.lex import v1, v2
from lexbridge.lex.model import DialogState
from lexbridge.lex.v2 import pack
from tests.support.lex_answers import ATTRIBUTES, DECODERS, GOOD, V1_ACTION, V2_MESSAGES, V2_STATE, flowers, response_of


def test_a_session_tells_what_the_bot_said_last():
    pending = flowers("ElicitSlot", slot="PickupDate", transcript=None)
    assert v1.reply_from_session({"dialogAction": V1_ACTION, "sessionAttributes": ATTRIBUTES}) == pending
    assert v2.reply_from_session({"sessionState": V2_STATE, "messages": V2_MESSAGES}) == pending


@pytest.mark.parametrize(
    ("action", "state"),
    [
        ({"type": "Close", "fulfillmentState": "Fulfilled"}, DialogState.FULFILLED),
        ({"type": "Close", "fulfillmentState": "Failed"}, DialogState.FAILED),
        ({"type": "ConfirmIntent"}, DialogState.CONFIRM_INTENT),
        ({"type": "ElicitIntent"}, DialogState.ELICIT_INTENT),
        ({"type": "Delegate"}, DialogState.ELICIT_INTENT),
        ({}, DialogState.ELICIT_INTENT),
    ],
)
def test_a_v1_session_tells_where_the_dialog_stands(action, state):
    assert v1.reply_from_session({"dialogAction": action}).dialog_state is state


def test_a_v2_session_that_is_closed_is_as_its_intent():
    state = {"dialogAction": {"type": "Close"}, "intent": {"name": "GoodbyeIntent", "state": "Fulfilled"}}
    assert v2.reply_from_session({"sessionState": state}).is_fulfilled


@pytest.mark.parametrize(
    ("decode", "response", "odd_part"),
    [
        (v1.reply_from_session, {"dialogAction": {"type": "Close"}}, "dialogAction.fulfillmentState"),
        (
            v1.reply_from_session,
            {"dialogAction": {"type": "Close", "fulfillmentState": "Sideways"}},
            "dialogAction.fulfillmentState",
        ),
        (v1.reply_from_session, {"dialogAction": {**V1_ACTION, "message": 7}}, "dialogAction.message"),
        (
            v2.reply_from_session,
            {"sessionState": V2_STATE, "messages": [{"content": 7, "contentType": "PlainText"}]},
            "messages[0].content",
        ),
    ],
)
def test_the_sound_parts_of_an_odd_session_are_used(decode, response, odd_part):
    reply = decode(response)
    assert reply.odd_parts == (odd_part,)
    assert reply.checkpoint is None


@pytest.mark.parametrize(
    ("decode", "response"),
    [
        (v1.reply_from_session, {"dialogAction": "Close"}),
        (v1.reply_from_session, {"dialogAction": {"type": ["Close"]}}),
        (v2.reply_from_session, {"sessionState": [], "messages": {}}),
    ],
)
def test_an_unusable_session_is_unreadable(decode, response):
    with pytest.raises(LexUnreadable):
        decode(response)


V1_OPEN = {"FlowerType": "roses", "PickupDate": None}
V2_OPEN = {"FlowerType": {"shape": "Scalar", "value": {"interpretedValue": "roses"}}, "PickupDate": None}
CONTEXTS = [{"name": "ordering", "timeToLive": {"turnsToLive": 1, "timeToLiveInSeconds": 90}, "parameters": {}}]


def test_a_v1_checkpoint_restores_the_dialog():
    """The checkpoint of a V1 answer is a PutSession that takes the dialog back to that answer."""
    reply = v1.reply_from_post_content(
        {
            "dialogState": "ElicitSlot",
            "intentName": "OrderFlowers",
            "slots": V1_OPEN,
            "slotToElicit": "PickupDate",
            "sessionAttributes": {"shop": "7"},
            "activeContexts": CONTEXTS,
            "message": "Which day?",
            "messageFormat": "PlainText",
        }
    )
    assert reply.checkpoint == {
        "dialogAction": {
            "type": "ElicitSlot",
            "intentName": "OrderFlowers",
            "slots": {"FlowerType": "roses"},
            "slotToElicit": "PickupDate",
            "message": "Which day?",
            "messageFormat": "PlainText",
        },
        "sessionAttributes": {"shop": "7"},
        "activeContexts": CONTEXTS,
    }


def test_the_checkpoint_of_a_closed_v1_dialog_closes_it():
    reply = v1.reply_from_post_content({"dialogState": "Failed", "intentName": "OrderFlowers"})
    action = {"type": "Close", "fulfillmentState": "Failed", "intentName": "OrderFlowers"}
    assert reply.checkpoint == {"dialogAction": action, "sessionAttributes": {}, "activeContexts": []}


def test_the_checkpoint_of_a_v1_session_knows_the_recent_intents():
    recent = [{"intentName": "OrderFlowers", "dialogActionType": "ElicitSlot", "slots": V1_OPEN}]
    reply = v1.reply_from_session({"dialogAction": V1_ACTION, "recentIntentSummaryView": recent})
    assert reply.checkpoint["recentIntentSummaryView"] == [{**recent[0], "slots": {"FlowerType": "roses"}}]


def test_a_v2_checkpoint_restores_the_dialog():
    """The checkpoint of a V2 answer is a PutSession that takes the dialog back to that answer."""
    state = {
        "dialogAction": {"type": "ElicitSlot", "slotToElicit": "PickupDate"},
        "intent": {
            "name": "OrderFlowers",
            "slots": V2_OPEN,
            "state": "InProgress",
            "confirmationState": "None",
            "kendraResponse": {},
        },
        "activeContexts": CONTEXTS,
        "sessionAttributes": {"shop": "7"},
        "originatingRequestId": "a-request",
    }
    messages = [{"content": "Which day?", "contentType": "PlainText"}]
    response = {"sessionState": pack(state), "messages": pack(messages)}
    intent = {name: state["intent"][name] for name in ("name", "state", "confirmationState")}
    assert v2.reply_from_recognize_utterance(response).checkpoint == {
        "sessionState": {
            "dialogAction": state["dialogAction"],
            "intent": {**intent, "slots": {"FlowerType": V2_OPEN["FlowerType"]}},
            "activeContexts": CONTEXTS,
            "sessionAttributes": {"shop": "7"},
        },
        "messages": messages,
    }


def test_what_a_v2_answer_leaves_out_is_emptied_and_not_kept():
    state = {"dialogAction": {"type": "ElicitIntent"}}
    kept = {**state, "sessionAttributes": {}, "activeContexts": []}
    assert v2.reply_from_session({"sessionState": state}).checkpoint == {"sessionState": kept}


def test_an_answer_nested_too_deep_has_no_checkpoint():
    slots = {}
    for _ in range(50_000):  # deeper than any recursion limit that a test tool sets
        slots = {"subSlots": slots}
    reply = v2.reply_from_session({"sessionState": {"intent": {"name": "OrderFlowers", "slots": slots}}})
    assert (reply.intent, reply.checkpoint, reply.odd_parts) == ("OrderFlowers", None, ("slots",))


def test_answers_are_the_same_though_their_checkpoints_are_not():
    state = {"dialogAction": {"type": "ElicitIntent"}}
    first, second = ({**state, "activeContexts": [{"timeToLive": seconds}]} for seconds in (90, 89))
    assert v2.reply_from_session({"sessionState": first}) == v2.reply_from_session({"sessionState": second})


@pytest.mark.parametrize("name", GOOD)
def test_a_checkpoint_is_json_that_a_printed_reply_hides(name):
    """A checkpoint is JSON without nulls, and the repr of its reply does not contain it."""
    reply = DECODERS[name[:2]](response_of(name))
    written = json.dumps(reply.checkpoint or {})
    assert json.loads(written) == (reply.checkpoint or {})
    assert (reply.checkpoint is None) == bool(reply.odd_parts)
    assert "null" not in written
    assert "checkpoint" not in repr(reply)
