"""Sessions at the local Lex: how long they live, how they are read, put and deleted."""

from typing import Any

import gevent
import pytest

from tests.support.local_lex import FRAME, V1_ADDRESS, V2_ADDRESS, LexClients, Upload, pack, unpack, until


def test_sessions_are_apart_by_generation_alias_and_id(clients: LexClients) -> None:
    clients.post_content("order flowers")
    assert clients.post_content("roses")["slotToElicit"] == "PickupDate"
    assert clients.post_content("tomorrow", botAlias="other")["dialogState"] == "ElicitIntent"
    assert clients.post_content("tomorrow", userId="other-2")["dialogState"] == "ElicitIntent"
    assert clients.post_content("tomorrow")["slotToElicit"] == "PickupTime"


def test_a_session_ends_with_its_time_to_live(clients: LexClients) -> None:
    clients.post_content("order flowers")
    clients.now_s = 599
    assert clients.post_content("roses")["slotToElicit"] == "PickupDate"
    clients.now_s = 1198
    assert clients.post_content("tomorrow")["slotToElicit"] == "PickupTime"
    clients.now_s = 1799
    assert clients.post_content("noon")["dialogState"] == "ElicitIntent"
    clients.now_s = 9999
    with pytest.raises(clients.v1.exceptions.NotFoundException):
        clients.v1.get_session(**V1_ADDRESS)


def test_attributes_are_kept_replaced_and_erased(clients: LexClients) -> None:
    assert clients.post_content("help", sessionAttributes={"a": "1"})["sessionAttributes"] == {"a": "1"}
    assert clients.post_content("help")["sessionAttributes"] == {"a": "1"}
    assert clients.post_content("help", sessionAttributes={"b": "2"})["sessionAttributes"] == {"b": "2"}
    assert clients.post_content("help", sessionAttributes={})["sessionAttributes"] == {}
    v2 = clients.recognize(
        "help", sessionState=pack({"sessionAttributes": {"c": "3"}}), requestAttributes=pack({"d": "4"})
    )
    assert v2["sessionState"]["sessionAttributes"] == {"c": "3"}
    assert v2["requestAttributes"] == {"d": "4"}
    assert clients.recognize("help")["sessionState"]["sessionAttributes"] == {"c": "3"}


def test_get_session_of_v1(clients: LexClients) -> None:
    with pytest.raises(clients.v1.exceptions.NotFoundException):
        clients.v1.get_session(**V1_ADDRESS)
    clients.post_content("help")
    clients.post_content("order flowers", sessionAttributes={"a": "1"})
    session = clients.v1.get_session(**V1_ADDRESS)
    assert session["dialogAction"] == {
        "type": "ElicitSlot",
        "intentName": "OrderFlowers",
        "slots": {"FlowerType": None, "PickupDate": None, "PickupTime": None},
        "slotToElicit": "FlowerType",
        "message": "What type of flowers would you like to order?",
        "messageFormat": "PlainText",
    }
    assert [one["intentName"] for one in session["recentIntentSummaryView"]] == ["OrderFlowers", "HelpIntent"]
    assert session["recentIntentSummaryView"][1]["fulfillmentState"] == "Fulfilled"
    assert session["sessionAttributes"] == {"a": "1"}


def test_get_session_of_v2(clients: LexClients) -> None:
    with pytest.raises(clients.v2.exceptions.ResourceNotFoundException):
        clients.v2.get_session(**V2_ADDRESS)
    clients.recognize("order coffee")
    session = clients.v2.get_session(**V2_ADDRESS)
    assert session["sessionId"] == "caller"
    assert session["sessionState"]["dialogAction"] == {"type": "ElicitSlot", "slotToElicit": "CoffeeKind"}
    assert session["messages"][0]["content"].startswith("What would you like")
    assert session["interpretations"][0]["intent"]["name"] == "OrderCoffee"


def test_put_session_of_v1(clients: LexClients) -> None:
    action = {"type": "ElicitSlot", "intentName": "OrderFlowers", "slots": {"FlowerType": "lilies"}}
    answer = clients.v1.put_session(
        **V1_ADDRESS,
        dialogAction={**action, "slotToElicit": "PickupDate", "message": "Which day?", "messageFormat": "PlainText"},
        sessionAttributes={"a": "1"},
        accept="audio/pcm",
    )
    assert (answer["dialogState"], answer["slotToElicit"], answer["message"]) == (
        "ElicitSlot",
        "PickupDate",
        "Which day?",
    )
    assert len(answer["audioStream"].read()) > 0
    after = clients.post_content("tomorrow")
    assert after["slots"] == {"FlowerType": "lilies", "PickupDate": "2026-11-23", "PickupTime": None}
    assert after["sessionAttributes"] == {"a": "1"}


@pytest.mark.parametrize(
    ("action", "state", "message"),
    [
        ({"type": "ElicitIntent"}, "ElicitIntent", "Sorry, I did not understand that. What would you like to do?"),
        ({"type": "Delegate", "intentName": "OrderFlowers"}, "ElicitSlot", "What type of flowers"),
        (
            {"type": "ConfirmIntent", "intentName": "OrderFlowers", "slots": {"FlowerType": "roses"}},
            "ConfirmIntent",
            "Okay, your roses will be",
        ),
        (
            {"type": "Close", "intentName": "OrderFlowers", "fulfillmentState": "Failed", "message": "Too late."},
            "Failed",
            "Too late.",
        ),
    ],
)
def test_put_session_of_v1_puts_any_state(
    clients: LexClients, action: dict[str, Any], state: str, message: str
) -> None:
    answer = clients.v1.put_session(**V1_ADDRESS, dialogAction=action)
    assert answer["dialogState"] == state
    assert answer["message"].startswith(message)
    assert answer["contentType"] == "text/plain;charset=utf-8"


@pytest.mark.parametrize(
    "action",
    [
        {"type": "ElicitSlot", "intentName": "OrderFlowers", "slotToElicit": "Vase"},
        {"type": "ElicitSlot", "intentName": "OrderVases", "slotToElicit": "Vase"},
        {"type": "Dance", "intentName": "OrderFlowers"},
        {"type": "Close", "fulfillmentState": "ElicitSlot"},
    ],
)
def test_put_session_of_what_the_bot_has_not(clients: LexClients, action: dict[str, Any]) -> None:
    with pytest.raises(clients.v1.exceptions.BadRequestException):
        clients.v1.put_session(**V1_ADDRESS, dialogAction=action)


def test_put_session_of_v2(clients: LexClients) -> None:
    slots = {"CoffeeKind": {"value": {"interpretedValue": "espresso"}}}
    answer = clients.v2.put_session(
        **V2_ADDRESS,
        sessionState={
            "dialogAction": {"type": "ElicitSlot", "slotToElicit": "CupSize"},
            "intent": {"name": "OrderCoffee", "slots": slots},
            "sessionAttributes": {"a": "1"},
        },
        messages=[{"content": "What size?", "contentType": "PlainText"}],
        responseContentType="audio/pcm",
    )
    assert unpack(answer["messages"]) == [{"content": "What size?", "contentType": "PlainText"}]
    assert unpack(answer["sessionState"])["dialogAction"]["slotToElicit"] == "CupSize"
    assert len(answer["audioStream"].read()) > 0
    after = clients.recognize("small")["sessionState"]
    assert after["dialogAction"]["slotToElicit"] == "Count"
    assert after["intent"]["slots"]["CoffeeKind"]["value"]["interpretedValue"] == "espresso"


def test_a_session_may_begin_with_an_intent(clients: LexClients) -> None:
    """Delegate with an intent gets that intent's first question: so a bridge has the bot welcome the caller."""
    v1 = clients.v1.put_session(
        **V1_ADDRESS,
        dialogAction={"type": "Delegate", "intentName": "OrderFlowers"},
        sessionAttributes={"a": "1"},
        accept="audio/pcm",
    )
    asked = "What type of flowers would you like to order?"
    assert (v1["dialogState"], v1["slotToElicit"], v1["message"]) == ("ElicitSlot", "FlowerType", asked)
    assert (v1["contentType"], v1["sessionAttributes"]) == ("audio/pcm", {"a": "1"})
    assert len(v1["audioStream"].read()) == 2 * 16 * 60 * len(asked)
    assert (clients.request.operation, clients.request.said) == ("PutSession", asked)
    assert (clients.request.intent, clients.request.dialog_state) == ("OrderFlowers", "ElicitSlot")
    assert clients.post_content("roses")["slotToElicit"] == "PickupDate"

    v2 = clients.v2.put_session(
        **V2_ADDRESS,
        sessionState={"dialogAction": {"type": "Delegate"}, "intent": {"name": "OrderCoffee"}},
        requestAttributes={"b": "2"},
        responseContentType="audio/pcm",
    )
    (message,) = unpack(v2["messages"])
    assert message["content"].startswith("What would you like")
    assert unpack(v2["sessionState"])["dialogAction"] == {"type": "ElicitSlot", "slotToElicit": "CoffeeKind"}
    assert unpack(v2["requestAttributes"]) == {"b": "2"}
    assert v2["contentType"] == "audio/pcm"
    assert len(v2["audioStream"].read()) == 2 * 16 * 60 * len(message["content"])
    assert clients.recognize("espresso")["sessionState"]["dialogAction"]["slotToElicit"] == "CupSize"


@pytest.mark.parametrize("messages", [[], [{"content": "Welcome.", "contentType": "PlainText"}]])
def test_elicit_intent_of_v2_says_only_what_the_client_gives(
    clients: LexClients, messages: list[dict[str, str]]
) -> None:
    state = {"dialogAction": {"type": "ElicitIntent"}}
    answer = clients.v2.put_session(
        **V2_ADDRESS, sessionState=state, messages=messages, responseContentType="audio/pcm"
    )
    assert unpack(answer["messages"]) == messages
    assert bool(answer["audioStream"].read()) is bool(messages)
    assert clients.recognize("order coffee")["sessionState"]["intent"]["name"] == "OrderCoffee"


def test_put_session_refuses_what_lex_refuses(clients: LexClients) -> None:
    upload = Upload()
    busy = gevent.spawn(clients.recognize, upload)
    upload.send(FRAME)
    until(lambda: clients.lex.requests and clients.request.first_audio is not None)
    begin = {"dialogAction": {"type": "Delegate"}, "intent": {"name": "OrderCoffee"}}
    with pytest.raises(clients.v2.exceptions.ConflictException):
        clients.v2.put_session(**V2_ADDRESS, sessionState=begin)
    upload.end()
    busy.get(timeout=120)
    for state in ({"dialogAction": {"type": "Delegate"}, "intent": {"name": "OrderTea"}}, {}):
        with pytest.raises(clients.v2.exceptions.ValidationException):
            clients.v2.put_session(**V2_ADDRESS, sessionState=state)
    with pytest.raises(clients.v1.exceptions.NotAcceptableException):
        clients.v1.put_session(**V1_ADDRESS, accept="audio/mpeg")
    with pytest.raises(clients.v1.exceptions.NotFoundException):
        clients.v1.put_session(botName="OrderCars", botAlias="prod", userId="caller")


def test_an_utterance_of_v2_may_bring_its_own_state(clients: LexClients) -> None:
    state = {"dialogAction": {"type": "ElicitSlot", "slotToElicit": "CupSize"}, "intent": {"name": "OrderCoffee"}}
    answer = clients.recognize("large", sessionState=pack(state))
    assert answer["sessionState"]["intent"]["slots"]["CupSize"]["value"]["interpretedValue"] == "large"


def test_delete_session(clients: LexClients) -> None:
    clients.post_content("order flowers")
    assert clients.v1.delete_session(**V1_ADDRESS)["userId"] == "caller"
    assert clients.post_content("roses", userId="caller")["dialogState"] != "Fulfilled"
    clients.recognize("order coffee")
    assert clients.v2.delete_session(**V2_ADDRESS)["sessionId"] == "caller"
    with pytest.raises(clients.v2.exceptions.ResourceNotFoundException):
        clients.v2.get_session(**V2_ADDRESS)
    with pytest.raises(clients.v2.exceptions.ResourceNotFoundException):
        clients.v2.delete_session(**V2_ADDRESS)
