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
    LexClients,
    Upload,
    lex_clients,
    unpack,
    until,
)

# --- turns ---


def test_a_whole_order_over_v1_in_text(clients: LexClients) -> None:
    first = clients.post_content("I would like to order some flowers")
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
        last = clients.post_content(line)
    assert last["dialogState"] == "ConfirmIntent"
    assert "slotToElicit" not in last
    assert last["slots"] == {"FlowerType": "roses", "PickupDate": "2026-11-23", "PickupTime": "17:00"}
    assert last["sessionId"] == first["sessionId"]
    assert clients.post_content("yes")["dialogState"] == "Fulfilled"
    goodbye = clients.post_content("goodbye")
    assert (goodbye["intentName"], goodbye["dialogState"]) == ("GoodbyeIntent", "Fulfilled")


def test_a_whole_order_over_v2_in_text(clients: LexClients) -> None:
    first = clients.recognize("I would like to order some coffee")
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
        last = clients.recognize(line)
    assert last["sessionState"]["dialogAction"] == {"type": "ConfirmIntent"}
    assert last["sessionState"]["intent"]["slots"]["CoffeeKind"] == {
        "shape": "Scalar",
        "value": {"originalValue": "cappuccinos", "interpretedValue": "cappuccino", "resolvedValues": ["cappuccino"]},
    }
    closed = clients.recognize("yes")["sessionState"]
    assert closed["dialogAction"] == {"type": "Close"}
    assert (closed["intent"]["state"], closed["intent"]["confirmationState"]) == ("Fulfilled", "Confirmed")
    assert clients.recognize("goodbye")["sessionState"]["intent"]["name"] == "GoodbyeIntent"


def test_every_bot_answers_both_generations(clients: LexClients) -> None:
    assert clients.post_content("order coffee", botName="OrderCoffee")["slotToElicit"] == "CoffeeKind"
    flowers = clients.recognize("order flowers", botId=FLOWERS.v2_id)
    assert flowers["sessionState"]["dialogAction"]["slotToElicit"] == "FlowerType"
    nothing = clients.recognize("the weather", botId=FLOWERS.v2_id)
    assert nothing["sessionState"]["dialogAction"] == {"type": "ElicitSlot", "slotToElicit": "FlowerType"}
    nothing = clients.recognize("the weather", botId=FLOWERS.v2_id, sessionId="another")
    assert nothing["sessionState"]["dialogAction"] == {"type": "ElicitIntent"}
    assert nothing["interpretations"] == []


def test_post_text_and_recognize_text(clients: LexClients) -> None:
    answer = clients.v1.post_text(**V1_ADDRESS, inputText="order flowers", sessionAttributes={"a": "1"})
    assert answer["slotToElicit"] == "FlowerType"
    assert answer["sessionAttributes"] == {"a": "1"}
    assert answer["message"].startswith("What type")
    answer = clients.v2.recognize_text(**V2_ADDRESS, text="order coffee", requestAttributes={"b": "2"})
    assert answer["sessionState"]["dialogAction"]["slotToElicit"] == "CoffeeKind"
    assert answer["requestAttributes"] == {"b": "2"}


def test_text_is_not_only_english() -> None:
    intents = (replace(FLOWERS.intents[3], closing=(replace(FLOWERS.intents[3].closing[0], text="Très bien…"),)),)
    with lex_clients(bots=[replace(FLOWERS, intents=intents)]) as clients:
        answer = clients.post_content("help")
        assert base64.b64decode(answer["encodedMessage"]).decode() == "Très bien…"
        assert "message" not in answer


def test_several_messages_are_one_composite_in_v1() -> None:
    closing = (FLOWERS.intents[3].closing[0], replace(FLOWERS.intents[3].closing[0], text="And more.", group=2))
    with lex_clients(bots=[replace(FLOWERS, intents=(replace(FLOWERS.intents[3], closing=closing),))]) as clients:
        answer = clients.post_content("help")
        assert answer["messageFormat"] == "Composite"
        messages = json.loads(base64.b64decode(answer["encodedMessage"]))["messages"]
        assert [(message["type"], message["group"]) for message in messages] == [("PlainText", 0), ("PlainText", 1)]
        assert len(clients.recognize("help", botId=FLOWERS.v2_id)["messages"]) == 2


BOOKING = load_bot(CHECK_BOOKING)


def test_a_booking_is_checked_with_digits_sent_as_text() -> None:
    with lex_clients(bots=[BOOKING]) as clients:
        address = {"botId": BOOKING.v2_id}
        first = clients.recognize("I would like to check my booking", **address)
        state = first["sessionState"]
        assert state["dialogAction"] == {"type": "ElicitSlot", "slotToElicit": "BookingNumber"}
        assert state["sessionAttributes"]["x-amz-lex:dtmf:max-length:CheckBooking:BookingNumber"] == "6"
        again = clients.recognize("42815", **address)["sessionState"]
        assert again["dialogAction"] == state["dialogAction"]  # a digit is missing
        second = clients.recognize("428153", **address, responseContentType="audio/pcm")
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
        last = clients.recognize("breakfast please", **address)["sessionState"]
        assert last["dialogAction"] == {"type": "Close"}
        assert last["sessionAttributes"]["lexbridge:action"] == "hangup"


def test_a_booking_number_may_be_said_after_the_bots_welcome() -> None:
    with lex_clients(bots=[BOOKING]) as clients:
        address = {**V2_ADDRESS, "botId": BOOKING.v2_id}
        begin = {"dialogAction": {"type": "Delegate"}, "intent": {"name": "WelcomeIntent"}}
        welcome = clients.v2.put_session(**address, sessionState=begin)
        assert unpack(welcome["messages"])[0]["content"].startswith("Welcome to the Harbour Hotel.")
        clients.recognize("check my booking", **address)
        said = clients.recognize("four two eight one five three", **address)["sessionState"]
        assert said["intent"]["slots"]["BookingNumber"]["value"]["interpretedValue"] == "428153"
        begin["intent"] = {"name": "CheckBooking"}
        begun = unpack(clients.v2.put_session(**address, sessionState=begin)["sessionState"])
        assert begun["dialogAction"] == {"type": "ElicitSlot", "slotToElicit": "BookingNumber"}
        assert begun["sessionAttributes"]["x-amz-lex:dtmf:max-length:CheckBooking:BookingNumber"] == "6"


def test_v1_has_no_place_for_a_card() -> None:
    with lex_clients(bots=[BOOKING]) as clients:
        clients.post_content("check my booking", botName="CheckBooking")
        answer = clients.post_content("428153", botName="CheckBooking")
        assert answer["messageFormat"] == "PlainText"
        assert answer["message"].startswith("Booking 428153")


def test_a_client_may_put_a_card(clients: LexClients) -> None:
    card = {"title": "Coffee", "imageUrl": "https://a.example/cup.png", "buttons": [{"text": "Yes", "value": "yes"}]}
    answer = clients.v2.put_session(
        **V2_ADDRESS,
        sessionState={"dialogAction": {"type": "ElicitIntent"}},
        messages=[{"contentType": "ImageResponseCard", "imageResponseCard": card}],
    )
    assert unpack(answer["messages"]) == [{"contentType": "ImageResponseCard", "imageResponseCard": card}]


# --- speech ---


@pytest.mark.parametrize("generation", ["v1", "v2"])
def test_audio_is_read_while_it_is_spoken(generation: str) -> None:
    with lex_clients("order flowers") as clients:
        upload = Upload()
        address = {} if generation == "v1" else {"botId": FLOWERS.v2_id}
        send = clients.post_content if generation == "v1" else clients.recognize
        answer = gevent.spawn(send, upload, **address)
        upload.send(FRAME)
        until(lambda: clients.lex.requests and clients.request.first_audio is not None)
        assert clients.request.ended is None
        assert not answer.ready()
        for number in range(1, 50):
            upload.send(bytes([number, 0]) * 160)
        upload.end()
        got = answer.get(timeout=120)
        sent = FRAME + b"".join(bytes([number, 0]) * 160 for number in range(1, 50))
        assert clients.request.audio == sent
        assert clients.recogniser.heard[0][0] == sent
        assert "order flowers" in clients.recogniser.heard[0][1]
        assert clients.request.transcript == "order flowers"
        assert clients.request.status == 200
        times = (clients.request.began, clients.request.first_audio, clients.request.ended, clients.request.answered)
        assert list(times) == sorted(times)  # type: ignore[type-var]
        if generation == "v1":
            assert (got["slotToElicit"], got["inputTranscript"]) == ("FlowerType", "order flowers")
        else:
            assert (got["inputMode"], got["inputTranscript"]) == ("Speech", "order flowers")


def test_the_recogniser_is_told_what_the_dialog_expects() -> None:
    with lex_clients("order flowers", "roses") as clients:
        clients.post_content(SECOND)
        clients.post_content(SECOND)
        assert "lilies" in clients.recogniser.heard[1][1]
        assert "order flowers" not in clients.recogniser.heard[1][1]


def test_unrecognised_speech_is_asked_for_again(clients: LexClients) -> None:
    answer = clients.post_content(SECOND)
    assert answer["dialogState"] == "ElicitIntent"
    assert "inputTranscript" not in answer
    assert answer["message"].startswith("Sorry, I did not understand")


@pytest.mark.parametrize(("accept", "rate_hz"), [("audio/pcm", 16000), ("audio/pcm; sample-rate=8000", 8000)])
def test_an_answer_in_speech(clients: LexClients, accept: str, rate_hz: int) -> None:
    expected = 2 * len("Thank you for calling. Goodbye.") * 60 * rate_hz // 1000
    v1 = clients.post_content("goodbye", accept=accept)
    assert (v1["contentType"], len(v1["audioStream"])) == ("audio/pcm", pytest.approx(expected, abs=4))
    v2 = clients.recognize("goodbye", botId=FLOWERS.v2_id, responseContentType=accept)
    assert (v2["contentType"], len(v2["audioStream"])) == ("audio/pcm", pytest.approx(expected, abs=4))


def test_wideband_speech_is_brought_to_8_khz() -> None:
    with lex_clients("help") as clients:
        clients.post_content(bytes(32000), contentType="audio/l16; rate=16000; channels=1")
        assert len(clients.recogniser.heard[0][0]) == 16000


def test_the_connection_is_used_again(clients: LexClients) -> None:
    for _ in range(3):
        clients.post_content("help", accept="audio/pcm")
    assert len({request.session_id for request in clients.lex.requests}) == 1
    assert clients.v1.meta.events is not None


def test_it_thinks_as_long_as_it_is_told() -> None:
    with lex_clients(think_s=0.2) as clients:
        clients.post_content("help")
        assert clients.request.ended is not None
        assert clients.request.answered is not None
        assert clients.request.answered - clients.request.ended >= 0.2
