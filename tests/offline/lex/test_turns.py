"""Turns at the local Lex, in text and in speech, over both generations."""

import base64
import json
from dataclasses import replace

import gevent
import pytest

from lexbridge.offline.lex.bot_files import CHECK_BOOKING, load_bot
from tests.support.local_lex import (
    FLOWERS,
    FRAME,
    SECOND,
    V1_ADDRESS,
    V2_ADDRESS,
    Upload,
    World,
    a_world,
    unpack,
    until,
)

# --- turns ---


def test_a_whole_order_over_v1_in_text(world: World) -> None:
    first = world.post_content("I would like to order some flowers")
    assert first["dialogState"] == "ElicitSlot"
    assert first["slotToElicit"] == "FlowerType"
    assert first["intentName"] == "OrderFlowers"
    assert first["slots"] == {"FlowerType": None, "PickupDate": None, "PickupTime": None}
    assert first["message"] == "What type of flowers would you like to order?"
    assert base64.b64decode(first["encodedMessage"]).decode() == first["message"]
    assert first["messageFormat"] == "PlainText"
    assert first["inputTranscript"] == "I would like to order some flowers"
    assert base64.b64decode(first["encodedInputTranscript"]).decode() == first["inputTranscript"]
    assert first["contentType"] == "text/plain;charset=utf-8"
    assert first["nluIntentConfidence"] == {"score": 1.0}
    assert first["botVersion"] == "1"
    assert first["audioStream"] == b""
    for line in ("roses", "tomorrow", "five p m"):
        last = world.post_content(line)
    assert last["dialogState"] == "ConfirmIntent"
    assert "slotToElicit" not in last
    assert last["slots"] == {"FlowerType": "roses", "PickupDate": "2026-11-23", "PickupTime": "17:00"}
    assert last["sessionId"] == first["sessionId"]
    assert world.post_content("yes")["dialogState"] == "Fulfilled"
    goodbye = world.post_content("goodbye")
    assert (goodbye["intentName"], goodbye["dialogState"]) == ("GoodbyeIntent", "Fulfilled")


def test_a_whole_order_over_v2_in_text(world: World) -> None:
    first = world.recognize("I would like to order some coffee")
    assert first["inputMode"] == "Text"
    assert first["messages"] == [
        {"content": "What would you like: espresso, cappuccino, or black coffee?", "contentType": "PlainText"}
    ]
    state = first["sessionState"]
    assert state["dialogAction"] == {"type": "ElicitSlot", "slotToElicit": "CoffeeKind"}
    assert state["intent"] == {
        "name": "OrderCoffee",
        "slots": {"CoffeeKind": None, "CupSize": None, "Count": None},
        "state": "InProgress",
        "confirmationState": "None",
    }
    assert first["interpretations"][0]["nluConfidence"] == {"score": 1.0}
    assert first["interpretations"][1]["intent"]["name"] == "FallbackIntent"
    assert first["inputTranscript"] == "I would like to order some coffee"
    assert first["sessionId"] == "caller"
    for line in ("cappuccinos", "large", "two cups"):
        last = world.recognize(line)
    assert last["sessionState"]["dialogAction"] == {"type": "ConfirmIntent"}
    assert last["sessionState"]["intent"]["slots"]["CoffeeKind"] == {
        "shape": "Scalar",
        "value": {"originalValue": "cappuccinos", "interpretedValue": "cappuccino", "resolvedValues": ["cappuccino"]},
    }
    closed = world.recognize("yes")["sessionState"]
    assert closed["dialogAction"] == {"type": "Close"}
    assert (closed["intent"]["state"], closed["intent"]["confirmationState"]) == ("Fulfilled", "Confirmed")
    assert world.recognize("goodbye")["sessionState"]["intent"]["name"] == "GoodbyeIntent"


def test_every_bot_answers_both_generations(world: World) -> None:
    assert world.post_content("order coffee", botName="OrderCoffee")["slotToElicit"] == "CoffeeKind"
    flowers = world.recognize("order flowers", botId=FLOWERS.v2_id)
    assert flowers["sessionState"]["dialogAction"]["slotToElicit"] == "FlowerType"
    nothing = world.recognize("the weather", botId=FLOWERS.v2_id)
    assert nothing["sessionState"]["dialogAction"] == {"type": "ElicitSlot", "slotToElicit": "FlowerType"}
    nothing = world.recognize("the weather", botId=FLOWERS.v2_id, sessionId="another")
    assert nothing["sessionState"]["dialogAction"] == {"type": "ElicitIntent"}
    assert nothing["interpretations"] == []


def test_post_text_and_recognize_text(world: World) -> None:
    answer = world.v1.post_text(**V1_ADDRESS, inputText="order flowers", sessionAttributes={"a": "1"})
    assert answer["slotToElicit"] == "FlowerType"
    assert answer["sessionAttributes"] == {"a": "1"}
    assert answer["message"].startswith("What type")
    answer = world.v2.recognize_text(**V2_ADDRESS, text="order coffee", requestAttributes={"b": "2"})
    assert answer["sessionState"]["dialogAction"]["slotToElicit"] == "CoffeeKind"
    assert answer["requestAttributes"] == {"b": "2"}


def test_text_is_not_only_english() -> None:
    intents = (replace(FLOWERS.intents[3], closing=(replace(FLOWERS.intents[3].closing[0], text="Très bien…"),)),)
    with a_world(bots=[replace(FLOWERS, intents=intents)]) as world:
        answer = world.post_content("help")
        assert base64.b64decode(answer["encodedMessage"]).decode() == "Très bien…"
        assert "message" not in answer


def test_several_messages_are_one_composite_in_v1() -> None:
    closing = (FLOWERS.intents[3].closing[0], replace(FLOWERS.intents[3].closing[0], text="And more.", group=2))
    with a_world(bots=[replace(FLOWERS, intents=(replace(FLOWERS.intents[3], closing=closing),))]) as world:
        answer = world.post_content("help")
        assert answer["messageFormat"] == "Composite"
        messages = json.loads(base64.b64decode(answer["encodedMessage"]))["messages"]
        assert [(message["type"], message["group"]) for message in messages] == [("PlainText", 0), ("PlainText", 1)]
        assert len(world.recognize("help", botId=FLOWERS.v2_id)["messages"]) == 2


BOOKING = load_bot(CHECK_BOOKING)


def test_a_booking_is_checked_with_digits_sent_as_text() -> None:
    with a_world(bots=[BOOKING]) as world:
        address = {"botId": BOOKING.v2_id}
        first = world.recognize("I would like to check my booking", **address)
        state = first["sessionState"]
        assert state["dialogAction"] == {"type": "ElicitSlot", "slotToElicit": "BookingNumber"}
        assert state["sessionAttributes"]["x-amz-lex:dtmf:max-length:CheckBooking:BookingNumber"] == "6"
        again = world.recognize("42815", **address)["sessionState"]
        assert again["dialogAction"] == state["dialogAction"]  # a digit is missing
        second = world.recognize("428153", **address, responseContentType="audio/pcm")
        assert second["sessionState"]["intent"]["slots"]["BookingNumber"]["value"]["interpretedValue"] == "428153"
        prompt, card = second["messages"]
        assert prompt["content"].startswith("Booking 428153 is a double room")
        assert len(second["audioStream"]) == 2 * 16 * 60 * len(prompt["content"])  # a card is not spoken
        assert card == {
            "contentType": "ImageResponseCard",
            "imageResponseCard": {
                "title": "Booking 428153",
                "subtitle": "Double room, two nights",
                "buttons": [
                    {"text": "Breakfast", "value": "breakfast"},
                    {"text": "Parking", "value": "parking"},
                    {"text": "Nothing more", "value": "nothing more"},
                ],
            },
        }
        last = world.recognize("breakfast please", **address)["sessionState"]
        assert last["dialogAction"] == {"type": "Close"}
        assert last["sessionAttributes"]["lexbridge:action"] == "hangup"


def test_a_booking_number_may_be_said_after_the_bots_welcome() -> None:
    with a_world(bots=[BOOKING]) as world:
        address = {**V2_ADDRESS, "botId": BOOKING.v2_id}
        begin = {"dialogAction": {"type": "Delegate"}, "intent": {"name": "WelcomeIntent"}}
        welcome = world.v2.put_session(**address, sessionState=begin)
        assert unpack(welcome["messages"])[0]["content"].startswith("Welcome to the Harbour Hotel.")
        world.recognize("check my booking", **address)
        said = world.recognize("four two eight one five three", **address)["sessionState"]
        assert said["intent"]["slots"]["BookingNumber"]["value"]["interpretedValue"] == "428153"
        begin["intent"] = {"name": "CheckBooking"}
        begun = unpack(world.v2.put_session(**address, sessionState=begin)["sessionState"])
        assert begun["dialogAction"] == {"type": "ElicitSlot", "slotToElicit": "BookingNumber"}
        assert begun["sessionAttributes"]["x-amz-lex:dtmf:max-length:CheckBooking:BookingNumber"] == "6"


def test_v1_has_no_place_for_a_card() -> None:
    with a_world(bots=[BOOKING]) as world:
        world.post_content("check my booking", botName="CheckBooking")
        answer = world.post_content("428153", botName="CheckBooking")
        assert answer["messageFormat"] == "PlainText"
        assert answer["message"].startswith("Booking 428153")


def test_a_client_may_put_a_card(world: World) -> None:
    card = {"title": "Coffee", "imageUrl": "https://a.example/cup.png", "buttons": [{"text": "Yes", "value": "yes"}]}
    answer = world.v2.put_session(
        **V2_ADDRESS,
        sessionState={"dialogAction": {"type": "ElicitIntent"}},
        messages=[{"contentType": "ImageResponseCard", "imageResponseCard": card}],
    )
    assert unpack(answer["messages"]) == [{"contentType": "ImageResponseCard", "imageResponseCard": card}]


# --- speech ---


@pytest.mark.parametrize("generation", ["v1", "v2"])
def test_audio_is_read_while_it_is_spoken(generation: str) -> None:
    with a_world("order flowers") as world:
        upload = Upload()
        address = {} if generation == "v1" else {"botId": FLOWERS.v2_id}
        send = world.post_content if generation == "v1" else world.recognize
        answer = gevent.spawn(send, upload, **address)
        upload.send(FRAME)
        until(lambda: world.lex.requests and world.request.first_audio is not None)
        assert world.request.ended is None
        assert not answer.ready()
        for number in range(1, 50):
            upload.send(bytes([number, 0]) * 160)
        upload.end()
        got = answer.get(timeout=120)
        sent = FRAME + b"".join(bytes([number, 0]) * 160 for number in range(1, 50))
        assert world.request.audio == sent
        assert world.recogniser.heard[0][0] == sent
        assert "order flowers" in world.recogniser.heard[0][1]
        assert world.request.transcript == "order flowers"
        assert world.request.status == 200
        times = (world.request.began, world.request.first_audio, world.request.ended, world.request.answered)
        assert list(times) == sorted(times)  # type: ignore[type-var]
        if generation == "v1":
            assert (got["slotToElicit"], got["inputTranscript"]) == ("FlowerType", "order flowers")
        else:
            assert (got["inputMode"], got["inputTranscript"]) == ("Speech", "order flowers")


def test_the_recogniser_is_told_what_the_dialog_expects() -> None:
    with a_world("order flowers", "roses") as world:
        world.post_content(SECOND)
        world.post_content(SECOND)
        assert "lilies" in world.recogniser.heard[1][1]
        assert "order flowers" not in world.recogniser.heard[1][1]


def test_unrecognised_speech_is_asked_for_again(world: World) -> None:
    answer = world.post_content(SECOND)
    assert answer["dialogState"] == "ElicitIntent"
    assert "inputTranscript" not in answer
    assert answer["message"].startswith("Sorry, I did not understand")


@pytest.mark.parametrize(("accept", "rate_hz"), [("audio/pcm", 16000), ("audio/pcm; sample-rate=8000", 8000)])
def test_an_answer_in_speech(world: World, accept: str, rate_hz: int) -> None:
    expected = 2 * len("Thank you for calling. Goodbye.") * 60 * rate_hz // 1000
    v1 = world.post_content("goodbye", accept=accept)
    assert (v1["contentType"], len(v1["audioStream"])) == ("audio/pcm", pytest.approx(expected, abs=4))
    v2 = world.recognize("goodbye", botId=FLOWERS.v2_id, responseContentType=accept)
    assert (v2["contentType"], len(v2["audioStream"])) == ("audio/pcm", pytest.approx(expected, abs=4))


def test_wideband_speech_is_brought_to_8_khz() -> None:
    with a_world("help") as world:
        world.post_content(bytes(32000), contentType="audio/l16; rate=16000; channels=1")
        assert len(world.recogniser.heard[0][0]) == 16000


def test_the_connection_is_used_again(world: World) -> None:
    for _ in range(3):
        world.post_content("help", accept="audio/pcm")
    assert len({request.session_id for request in world.lex.requests}) == 1
    assert world.v1.meta.events is not None


def test_it_thinks_as_long_as_it_is_told() -> None:
    with a_world(think_s=0.2) as world:
        world.post_content("help")
        assert world.request.ended is not None
        assert world.request.answered is not None
        assert world.request.answered - world.request.ended >= 0.2
