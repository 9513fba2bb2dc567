"""The local Lex runtime, asked by the real boto3 over real sockets, both generations."""

import base64
import gzip
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from typing import Any

import boto3
import gevent
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError, ResponseStreamingError
from gevent.event import Event

from lexbridge.offline.lex.bot_files import CHECK_BOOKING, ORDER_COFFEE, ORDER_FLOWERS, load_bot
from lexbridge.offline.lex.faults import LexFault
from lexbridge.offline.lex.recognition import ScriptedRecogniser
from lexbridge.offline.lex.requests import LexRequest
from lexbridge.offline.lex.runtime import LocalLex
from lexbridge.offline.lex.voice import SilentVoice
from lexbridge.offline.lex.wire import LPCM_8KHZ

SUNDAY = date(2026, 11, 22)
FLOWERS, COFFEE = load_bot(ORDER_FLOWERS), load_bot(ORDER_COFFEE)
SECOND = bytes(16000)
FRAME = bytes(320)
TEXT = "text/plain; charset=utf-8"


class Upload:
    """Audio that is sent as fast as the test lets it: `send` gives more, `end` ends it."""

    def __init__(self) -> None:
        self._pieces: gevent.queue.Queue[bytes] = gevent.queue.Queue()

    def send(self, pcm: bytes) -> None:
        self._pieces.put(pcm)

    def end(self) -> None:
        self._pieces.put(b"")

    def read(self, _: int = -1) -> bytes:
        return self._pieces.get()


class World:
    """A local Lex with doubles for recognition and voice, and a client of each generation."""

    def __init__(self, lex: LocalLex, recogniser: ScriptedRecogniser) -> None:
        self.lex, self.recogniser = lex, recogniser
        self.now_s = 0.0
        access: dict[str, Any] = {
            "region_name": "us-east-1",
            "aws_access_key_id": "offline",
            "aws_secret_access_key": "offline",
            "config": Config(retries={"total_max_attempts": 1}, read_timeout=5),
        }
        self.v1 = boto3.client("lex-runtime", endpoint_url=lex.url, **access)
        self.v2 = boto3.client("lexv2-runtime", endpoint_url=lex.url, **access)

    def close(self) -> None:
        self.v1.close()
        self.v2.close()

    def post_content(self, body: Any, **more: Any) -> dict[str, Any]:
        text = isinstance(body, str)
        address = {"botName": "OrderFlowers", "botAlias": "prod", "userId": "caller", "accept": TEXT}
        content = {"contentType": TEXT if text else LPCM_8KHZ, "inputStream": body.encode() if text else body}
        answer: dict[str, Any] = self.v1.post_content(**{**address, **content, **more})
        return {**answer, "audioStream": answer["audioStream"].read()}

    def recognize(self, body: Any, **more: Any) -> dict[str, Any]:
        text = isinstance(body, str)
        content = {"requestContentType": TEXT if text else LPCM_8KHZ, "inputStream": body.encode() if text else body}
        answer: dict[str, Any] = self.v2.recognize_utterance(
            **{**V2_ADDRESS, "responseContentType": TEXT, **content, **more}
        )
        packed = ("messages", "interpretations", "sessionState", "requestAttributes", "inputTranscript")
        opened = {name: unpack(answer[name]) for name in packed}
        return {**answer, **opened, "audioStream": answer["audioStream"].read()}

    @property
    def request(self) -> LexRequest:
        return self.lex.requests[-1]


V1_ADDRESS = {"botName": "OrderFlowers", "botAlias": "prod", "userId": "caller"}
V2_ADDRESS = {"botId": "C0FFEEBOT1", "botAliasId": "TSTALIASID", "localeId": "en_US", "sessionId": "caller"}


def unpack(header: str) -> Any:
    return json.loads(gzip.decompress(base64.b64decode(header)))


def pack(value: Any) -> str:
    return base64.b64encode(gzip.compress(json.dumps(value).encode())).decode()


@contextmanager
def a_world(*lines: str, **more: Any) -> Iterator[World]:
    recogniser = ScriptedRecogniser(list(lines))
    clock: list[World] = []
    lex = LocalLex(
        bots=more.pop("bots", [FLOWERS, COFFEE]),
        recogniser=recogniser,
        voice=SilentVoice(),
        today=lambda: SUNDAY,
        clock=lambda: clock[0].now_s,
        **more,
    )
    with lex:
        world = World(lex, recogniser)
        clock.append(world)
        try:
            yield world
        finally:
            world.close()


@pytest.fixture
def world() -> Iterator[World]:
    with a_world() as made:
        yield made


def until(condition: Any) -> None:
    with gevent.Timeout(5):
        while not condition():
            gevent.sleep(0.001)


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


def test_a_booking_number_may_be_said_and_the_welcome_be_the_bots() -> None:
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
        got = answer.get(timeout=5)
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


def test_speech_in_which_nothing_is_recognised_is_asked_for_again(world: World) -> None:
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


# --- sessions ---


def test_sessions_are_apart_by_generation_alias_and_id(world: World) -> None:
    world.post_content("order flowers")
    assert world.post_content("roses")["slotToElicit"] == "PickupDate"
    assert world.post_content("tomorrow", botAlias="other")["dialogState"] == "ElicitIntent"
    assert world.post_content("tomorrow", userId="other-2")["dialogState"] == "ElicitIntent"
    assert world.post_content("tomorrow")["slotToElicit"] == "PickupTime"


def test_a_session_ends_with_its_time_to_live(world: World) -> None:
    world.post_content("order flowers")
    world.now_s = 599
    assert world.post_content("roses")["slotToElicit"] == "PickupDate"
    world.now_s = 1198
    assert world.post_content("tomorrow")["slotToElicit"] == "PickupTime"
    world.now_s = 1799
    assert world.post_content("noon")["dialogState"] == "ElicitIntent"
    world.now_s = 9999
    with pytest.raises(world.v1.exceptions.NotFoundException):
        world.v1.get_session(**V1_ADDRESS)


def test_attributes_are_kept_replaced_and_erased(world: World) -> None:
    assert world.post_content("help", sessionAttributes={"a": "1"})["sessionAttributes"] == {"a": "1"}
    assert world.post_content("help")["sessionAttributes"] == {"a": "1"}
    assert world.post_content("help", sessionAttributes={"b": "2"})["sessionAttributes"] == {"b": "2"}
    assert world.post_content("help", sessionAttributes={})["sessionAttributes"] == {}
    v2 = world.recognize(
        "help", sessionState=pack({"sessionAttributes": {"c": "3"}}), requestAttributes=pack({"d": "4"})
    )
    assert v2["sessionState"]["sessionAttributes"] == {"c": "3"}
    assert v2["requestAttributes"] == {"d": "4"}
    assert world.recognize("help")["sessionState"]["sessionAttributes"] == {"c": "3"}


def test_get_session_of_v1(world: World) -> None:
    with pytest.raises(world.v1.exceptions.NotFoundException):
        world.v1.get_session(**V1_ADDRESS)
    world.post_content("help")
    world.post_content("order flowers", sessionAttributes={"a": "1"})
    session = world.v1.get_session(**V1_ADDRESS)
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


def test_get_session_of_v2(world: World) -> None:
    with pytest.raises(world.v2.exceptions.ResourceNotFoundException):
        world.v2.get_session(**V2_ADDRESS)
    world.recognize("order coffee")
    session = world.v2.get_session(**V2_ADDRESS)
    assert session["sessionId"] == "caller"
    assert session["sessionState"]["dialogAction"] == {"type": "ElicitSlot", "slotToElicit": "CoffeeKind"}
    assert session["messages"][0]["content"].startswith("What would you like")
    assert session["interpretations"][0]["intent"]["name"] == "OrderCoffee"


def test_put_session_of_v1(world: World) -> None:
    action = {"type": "ElicitSlot", "intentName": "OrderFlowers", "slots": {"FlowerType": "lilies"}}
    answer = world.v1.put_session(
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
    after = world.post_content("tomorrow")
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
def test_put_session_of_v1_puts_any_state(world: World, action: dict[str, Any], state: str, message: str) -> None:
    answer = world.v1.put_session(**V1_ADDRESS, dialogAction=action)
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
def test_put_session_of_what_the_bot_has_not(world: World, action: dict[str, Any]) -> None:
    with pytest.raises(world.v1.exceptions.BadRequestException):
        world.v1.put_session(**V1_ADDRESS, dialogAction=action)


def test_put_session_of_v2(world: World) -> None:
    slots = {"CoffeeKind": {"value": {"interpretedValue": "espresso"}}}
    answer = world.v2.put_session(
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
    after = world.recognize("small")["sessionState"]
    assert after["dialogAction"]["slotToElicit"] == "Count"
    assert after["intent"]["slots"]["CoffeeKind"]["value"]["interpretedValue"] == "espresso"


def test_a_session_may_begin_with_an_intent(world: World) -> None:
    """As a bridge has the bot welcome the caller: Delegate with an intent is that intent's first question."""
    v1 = world.v1.put_session(
        **V1_ADDRESS,
        dialogAction={"type": "Delegate", "intentName": "OrderFlowers"},
        sessionAttributes={"a": "1"},
        accept="audio/pcm",
    )
    asked = "What type of flowers would you like to order?"
    assert (v1["dialogState"], v1["slotToElicit"], v1["message"]) == ("ElicitSlot", "FlowerType", asked)
    assert (v1["contentType"], v1["sessionAttributes"]) == ("audio/pcm", {"a": "1"})
    assert len(v1["audioStream"].read()) == 2 * 16 * 60 * len(asked)
    assert (world.request.operation, world.request.said) == ("PutSession", asked)
    assert (world.request.intent, world.request.dialog_state) == ("OrderFlowers", "ElicitSlot")
    assert world.post_content("roses")["slotToElicit"] == "PickupDate"

    v2 = world.v2.put_session(
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
    assert world.recognize("espresso")["sessionState"]["dialogAction"]["slotToElicit"] == "CupSize"


@pytest.mark.parametrize("messages", [[], [{"content": "Welcome.", "contentType": "PlainText"}]])
def test_elicit_intent_of_v2_says_what_the_client_gives_and_nothing_else(
    world: World, messages: list[dict[str, str]]
) -> None:
    state = {"dialogAction": {"type": "ElicitIntent"}}
    answer = world.v2.put_session(**V2_ADDRESS, sessionState=state, messages=messages, responseContentType="audio/pcm")
    assert unpack(answer["messages"]) == messages
    assert bool(answer["audioStream"].read()) is bool(messages)
    assert world.recognize("order coffee")["sessionState"]["intent"]["name"] == "OrderCoffee"


def test_put_session_refuses_what_lex_refuses(world: World) -> None:
    upload = Upload()
    busy = gevent.spawn(world.recognize, upload)
    upload.send(FRAME)
    until(lambda: world.lex.requests and world.request.first_audio is not None)
    begin = {"dialogAction": {"type": "Delegate"}, "intent": {"name": "OrderCoffee"}}
    with pytest.raises(world.v2.exceptions.ConflictException):
        world.v2.put_session(**V2_ADDRESS, sessionState=begin)
    upload.end()
    busy.get(timeout=5)
    for state in ({"dialogAction": {"type": "Delegate"}, "intent": {"name": "OrderTea"}}, {}):
        with pytest.raises(world.v2.exceptions.ValidationException):
            world.v2.put_session(**V2_ADDRESS, sessionState=state)
    with pytest.raises(world.v1.exceptions.NotAcceptableException):
        world.v1.put_session(**V1_ADDRESS, accept="audio/mpeg")
    with pytest.raises(world.v1.exceptions.NotFoundException):
        world.v1.put_session(botName="OrderCars", botAlias="prod", userId="caller")


def test_an_utterance_of_v2_may_bring_its_own_state(world: World) -> None:
    state = {"dialogAction": {"type": "ElicitSlot", "slotToElicit": "CupSize"}, "intent": {"name": "OrderCoffee"}}
    answer = world.recognize("large", sessionState=pack(state))
    assert answer["sessionState"]["intent"]["slots"]["CupSize"]["value"]["interpretedValue"] == "large"


def test_delete_session(world: World) -> None:
    world.post_content("order flowers")
    assert world.v1.delete_session(**V1_ADDRESS)["userId"] == "caller"
    assert world.post_content("roses", userId="caller")["dialogState"] != "Fulfilled"
    world.recognize("order coffee")
    assert world.v2.delete_session(**V2_ADDRESS)["sessionId"] == "caller"
    with pytest.raises(world.v2.exceptions.ResourceNotFoundException):
        world.v2.get_session(**V2_ADDRESS)
    with pytest.raises(world.v2.exceptions.ResourceNotFoundException):
        world.v2.delete_session(**V2_ADDRESS)


# --- Lex's own errors ---


def test_an_unknown_bot(world: World) -> None:
    with pytest.raises(world.v1.exceptions.NotFoundException, match="no bot OrderCars here"):
        world.post_content("help", botName="OrderCars")
    with pytest.raises(world.v2.exceptions.ResourceNotFoundException, match="no bot"):
        world.recognize("help", botId="AAAAAAAAAA")
    assert world.request.status == 404
    with pytest.raises(world.v1.exceptions.NotFoundException):
        world.post_content(SECOND, botName="OrderCars")


def test_an_unknown_alias_or_locale() -> None:
    with a_world(bots=[replace(FLOWERS, aliases=frozenset({"prod"}))]) as world:
        assert world.post_content("help")["botVersion"] == "1"
        assert world.post_content("help", botAlias="$LATEST")["botVersion"] == "$LATEST"
        with pytest.raises(world.v1.exceptions.NotFoundException, match="alias test"):
            world.post_content("help", botAlias="test")
        with pytest.raises(world.v2.exceptions.ResourceNotFoundException, match="locale de_DE"):
            world.recognize("help", botId=FLOWERS.v2_id, botAliasId="TSTALIASID", localeId="de_DE")


@pytest.mark.parametrize(
    "content_type", ["audio/wav", "audio/lpcm; sample-rate=44100", "audio/x-cbr-opus-with-preamble"]
)
def test_a_content_type_lex_has_not(world: World, content_type: str) -> None:
    with pytest.raises(world.v1.exceptions.UnsupportedMediaTypeException):
        world.post_content(SECOND, contentType=content_type)
    with pytest.raises(world.v2.exceptions.ValidationException) as caught:
        world.recognize(SECOND, requestContentType=content_type)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_an_answer_it_cannot_synthesise(world: World) -> None:
    with pytest.raises(world.v1.exceptions.NotAcceptableException, match="answers audio/pcm and text/plain"):
        world.post_content("help", accept="audio/mpeg")
    with pytest.raises(world.v2.exceptions.ValidationException, match="not audio/ogg"):
        world.recognize("help", responseContentType="audio/ogg")


def test_speech_over_fifteen_seconds(world: World) -> None:
    assert world.post_content(15 * SECOND)["dialogState"] == "ElicitIntent"
    with pytest.raises(world.v1.exceptions.RequestTimeoutException) as caught:
        world.post_content(15 * SECOND + FRAME)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 408
    with pytest.raises(world.v2.exceptions.ValidationException):
        world.recognize(15 * SECOND + FRAME)


@pytest.mark.parametrize("text", ["", "a" * 1025])
def test_a_text_of_a_wrong_length(world: World, text: str) -> None:
    with pytest.raises(world.v1.exceptions.BadRequestException):
        world.post_content(text)


def test_headers_that_cannot_be_read(world: World) -> None:
    for state in ("????", pack([1]), pack({"dialogAction": 7}), base64.b64encode(b"plain").decode()):
        with pytest.raises(world.v2.exceptions.ValidationException):
            world.recognize("help", sessionState=state)
    assert world.recognize("help")["sessionState"]["intent"]["name"] == "HelpIntent"


def test_two_requests_at_once_for_one_session() -> None:
    with a_world("help", "help") as world:
        upload = Upload()
        first = gevent.spawn(world.post_content, upload)
        upload.send(FRAME)
        until(lambda: world.lex.requests and world.request.first_audio is not None)
        with pytest.raises(world.v1.exceptions.ConflictException):
            world.post_content("help")
        with pytest.raises(world.v1.exceptions.ConflictException):
            world.v1.delete_session(**V1_ADDRESS)
        assert world.post_content("help", userId="someone-else")["intentName"] == "HelpIntent"
        upload.end()
        assert first.get(timeout=5)["intentName"] == "HelpIntent"
        assert world.post_content("help")["intentName"] == "HelpIntent"


def raw(world: World, request: bytes) -> bytes:
    """What comes back for bytes sent as they are, until the server closes."""
    host, port = world.lex.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while more := connection.recv(65536):
            answer += more
        return answer


def test_requests_that_are_none_of_lexs(world: World) -> None:
    assert b"404" in raw(world, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").split(b"\r\n")[0]
    path = b"/bot/OrderFlowers/alias/prod/user/caller/content"
    assert b"400" in raw(world, b"PUT " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = raw(world, b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    assert b"x-amzn-ErrorType: BadRequestException" in answer
    assert b"there is no Content-Type" in answer


def test_a_client_that_goes_away_in_the_middle_of_its_upload(world: World) -> None:
    head = (
        b"POST /bot/OrderFlowers/alias/prod/user/caller/content HTTP/1.1\r\nHost: x\r\nAccept: text/plain\r\n"
        b"Content-Type: " + LPCM_8KHZ.encode() + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    assert raw(world, head + b"140\r\n" + FRAME + b"\r\n14") == b""
    until(lambda: world.request.aborted)
    assert world.request.status is None
    assert world.request.audio == FRAME
    assert world.post_content("help")["intentName"] == "HelpIntent"  # the session is free again


# --- faults on demand ---


@pytest.mark.parametrize(
    ("status", "v1", "v2"),
    [
        (400, "BadRequestException", "ValidationException"),
        (403, "AccessDeniedException", "AccessDeniedException"),
        (404, "NotFoundException", "ResourceNotFoundException"),
        (409, "ConflictException", "ConflictException"),
        (424, "DependencyFailedException", "DependencyFailedException"),
        (429, "LimitExceededException", "ThrottlingException"),
        (500, "InternalFailureException", "InternalServerException"),
        (502, "BadGatewayException", "BadGatewayException"),
    ],
)
def test_a_status_on_demand(world: World, status: int, v1: str, v2: str) -> None:
    world.lex.faults.append(LexFault(status=status, times=2))
    for send, name in ((world.post_content, v1), (world.recognize, v2)):
        with pytest.raises(ClientError) as caught:
            send(SECOND)
        assert caught.value.response["Error"]["Code"] == name
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
        assert world.request.status == status
        assert world.request.fault is world.lex.faults[0]
    assert world.post_content("help")["intentName"] == "HelpIntent"


@pytest.mark.parametrize("when", ["start", "middle"])
def test_a_status_before_the_upload_ended_breaks_the_connection(world: World, when: Any) -> None:
    world.lex.faults.append(LexFault(status=500, when=when))
    upload = Upload()
    answer = gevent.spawn(world.post_content, upload)
    broken = Event()
    answer.link(lambda _: broken.set())
    with gevent.Timeout(5):
        while not broken.is_set():
            upload.send(FRAME)
            gevent.sleep(0.001)
    assert answer.exception is not None
    assert world.request.status == 500
    assert world.request.ended is None
    assert world.post_content("help")["intentName"] == "HelpIntent"


@pytest.mark.parametrize("when", ["start", "middle", "end"])
def test_a_reset(world: World, when: Any) -> None:
    world.lex.faults.append(LexFault(kind="reset", when=when))
    with pytest.raises(ConnectionClosedError):
        world.post_content(SECOND)
    assert world.request.status is None
    assert world.post_content("help")["intentName"] == "HelpIntent"


@pytest.mark.parametrize("status", [503, 504])
@pytest.mark.parametrize("generation", ["v1", "v2"])
def test_a_proxy_before_lex_answers_with_a_page(world: World, status: int, generation: str) -> None:
    world.lex.faults.append(LexFault(status=status))
    with pytest.raises(ClientError) as raised:
        world.post_content("help") if generation == "v1" else world.recognize("help")
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert world.request.status == status


@pytest.mark.parametrize("kind", ["empty", "foreign"])
@pytest.mark.parametrize("when", ["middle", "end"])
def test_an_answer_that_is_not_lexs(world: World, kind: Any, when: Any) -> None:
    world.lex.faults.append(LexFault(kind=kind, when=when))
    answer = world.v1.post_content(**V1_ADDRESS, contentType=LPCM_8KHZ, accept=TEXT, inputStream=SECOND)
    assert "dialogState" not in answer
    assert world.request.status == 200
    assert world.request.dialog_state is None  # the dialog did not go on
    assert world.post_content("help")["intentName"] == "HelpIntent"


def test_a_slow_answer_is_the_right_one(world: World) -> None:
    world.lex.faults.append(LexFault(kind="slow", after_s=0.2))
    assert world.post_content("help")["intentName"] == "HelpIntent"
    assert world.request.ended is not None
    assert world.request.answered is not None
    assert world.request.answered - world.request.ended >= 0.2


@pytest.mark.parametrize(
    ("kind", "when"), [("hang", "start"), ("hang", "end"), ("unread", "start"), ("unread", "middle")]
)
def test_a_request_that_is_never_answered(world: World, kind: Any, when: Any) -> None:
    world.lex.faults.append(LexFault(kind=kind, when=when))
    impatient = boto3.client(
        "lex-runtime",
        endpoint_url=world.lex.url,
        region_name="us-east-1",
        aws_access_key_id="offline",
        aws_secret_access_key="offline",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=0.2),
    )
    with pytest.raises((ReadTimeoutError, ConnectionClosedError)):
        impatient.post_content(**V1_ADDRESS, contentType=LPCM_8KHZ, accept=TEXT, inputStream=SECOND)
    impatient.close()

    def is_free() -> bool:
        try:
            return bool(world.post_content("help")["intentName"] == "HelpIntent")
        except world.v1.exceptions.ConflictException:
            return False

    until(is_free)


def test_a_truncated_answer(world: World) -> None:
    world.lex.faults.append(LexFault(kind="truncated"))
    with pytest.raises(ResponseStreamingError):
        world.post_content("help", accept="audio/pcm")
    assert world.post_content("help", accept="audio/pcm")["audioStream"]


def test_a_truncated_answer_without_speech_ends_in_its_head(world: World) -> None:
    world.lex.faults.append(LexFault(kind="truncated"))
    assert "message" not in world.post_content("help")
    assert world.post_content("help")["message"]


def test_an_answer_in_drips(world: World) -> None:
    world.lex.faults.append(LexFault(kind="drip", every_s=0.0001))
    assert world.post_content("help")["intentName"] == "HelpIntent"


# --- speech sent bit by bit, and what goes wrong with it ---


HELP_S = 0.06 * len(FLOWERS.intents[3].closing[0].text)  # SilentVoice
HELP_BYTES = round(HELP_S * 32000)


def a_spoken_help(world: World, generation: str = "v1") -> Any:
    """The request, and its answer with the speech unread."""
    if generation == "v1":
        asked = {"contentType": TEXT, "accept": "audio/pcm", "inputStream": b"help"}
        return world.v1.post_content(**V1_ADDRESS, **asked)
    asked = {"requestContentType": TEXT, "responseContentType": "audio/pcm", "inputStream": b"help"}
    return world.v2.recognize_utterance(**{**V2_ADDRESS, "botId": FLOWERS.v2_id}, **asked)


@pytest.mark.parametrize("generation", ["v1", "v2"])
def test_speech_may_be_sent_at_a_pace_of_its_own(world: World, generation: str) -> None:
    world.lex.audio_pace = HELP_S / 0.5  # all of it takes half a second
    answer = a_spoken_help(world, generation)
    assert answer["ResponseMetadata"]["HTTPHeaders"]["transfer-encoding"] == "chunked"
    first = answer["audioStream"].read(320)
    assert len(first) == 320
    assert world.request.speech_began is not None
    assert world.request.speech_bytes < HELP_BYTES / 2
    rest = answer["audioStream"].read()
    assert len(first + rest) == HELP_BYTES
    until(lambda: world.request.speech_bytes == HELP_BYTES)
    assert world.request.speech_ended is not None
    assert world.request.speech_ended - world.request.speech_began >= 0.3
    assert world.request.answered is not None
    assert world.request.answered <= world.request.speech_began
    assert world.post_content("help")["intentName"] == "HelpIntent"


def test_speech_that_is_sent_at_once_is_on_record_too(world: World) -> None:
    world.post_content("help", accept="audio/pcm")
    until(lambda: world.request.speech_ended is not None)
    assert world.request.speech_bytes == HELP_BYTES
    world.post_content("help")
    assert (world.request.speech_began, world.request.speech_bytes) == (None, 0)


def test_speech_that_breaks_off(world: World) -> None:
    world.lex.faults.append(LexFault(kind="broken", after_bytes=6400))
    answer = a_spoken_help(world)
    assert answer["message"].startswith("You can order")
    assert len(answer["audioStream"].read(6400)) == 6400
    with pytest.raises((ResponseStreamingError, ConnectionClosedError)):
        answer["audioStream"].read(1)
    assert world.request.speech_bytes == 6400
    assert world.post_content("help", accept="audio/pcm")["audioStream"]


def test_speech_that_stalls(world: World) -> None:
    world.lex.faults.append(LexFault(kind="stalled", after_bytes=6400))
    answer = a_spoken_help(world)
    assert len(answer["audioStream"].read(6400)) == 6400
    with gevent.Timeout(0.2, False):
        answer["audioStream"].read(1)
        pytest.fail("there was more of it")
    answer["audioStream"].close()
    assert world.post_content("help")["intentName"] == "HelpIntent"


def test_speech_that_drips_is_whole_in_the_end(world: World) -> None:
    world.lex.faults.append(LexFault(kind="dripping", piece_bytes=9999, every_s=0.01))
    answer = a_spoken_help(world)
    assert len(answer["audioStream"].read()) == HELP_BYTES
    until(lambda: world.request.speech_bytes == HELP_BYTES)
    assert world.request.speech_ended is not None
    assert world.request.speech_began is not None
    assert world.request.speech_ended - world.request.speech_began >= 0.01 * (HELP_BYTES // 9999 - 1)


@pytest.mark.parametrize(
    ("content_type", "length"),
    [
        ("audio/mpeg", 14_400),
        ("audio/pcm;sample-rate=8000", HELP_BYTES // 2),
        ("audio/pcm; sample-rate=16000", HELP_BYTES),
        ("audio/pcm", HELP_BYTES),
    ],
)
@pytest.mark.parametrize("generation", ["v1", "v2"])
def test_speech_may_be_of_another_type_than_asked(
    world: World, generation: str, content_type: str, length: int
) -> None:
    world.lex.faults.append(LexFault(kind="mistyped", content_type=content_type))
    answer = a_spoken_help(world, generation)
    assert answer["contentType"] == content_type
    assert len(answer["audioStream"].read()) == pytest.approx(length, abs=4)


@pytest.mark.parametrize("kind", ["broken", "stalled", "dripping", "mistyped"])
def test_what_befalls_the_speech_leaves_an_answer_in_text_alone(world: World, kind: Any) -> None:
    world.lex.faults.append(LexFault(kind=kind))
    assert world.post_content("help")["intentName"] == "HelpIntent"


@pytest.mark.parametrize("operation", ["PutSession", "GetSession"])
def test_a_fault_for_one_operation(world: World, operation: str) -> None:
    world.lex.faults.append(LexFault(status=500, operation=operation))
    world.post_content("help")
    with pytest.raises(world.v1.exceptions.InternalFailureException):
        world.v1.put_session(**V1_ADDRESS) if operation == "PutSession" else world.v1.get_session(**V1_ADDRESS)
    assert world.v1.put_session(**V1_ADDRESS)["dialogState"] == "Fulfilled"
    assert world.v1.get_session(**V1_ADDRESS)["dialogAction"]["type"] == "Close"


def test_a_session_that_is_put_thinks_and_fails_like_an_utterance(world: World) -> None:
    world.lex.faults.append(LexFault(kind="broken", after_bytes=640, operation="PutSession"))
    action = {"type": "Delegate", "intentName": "OrderFlowers"}
    answer = world.v1.put_session(**V1_ADDRESS, dialogAction=action, accept="audio/pcm")
    with pytest.raises((ResponseStreamingError, ConnectionClosedError)):
        answer["audioStream"].read()
    world.lex.think_s = 0.1
    world.v1.put_session(**V1_ADDRESS, dialogAction=action)
    assert world.request.ended is not None
    assert world.request.answered is not None
    assert world.request.answered - world.request.ended >= 0.1


def test_a_fault_for_one_session_as_often_as_it_asks(world: World) -> None:
    world.lex.faults.append(LexFault(status=500, times=None, session="unlucky"))
    for _ in range(3):
        with pytest.raises(ClientError):
            world.post_content("help", userId="unlucky")
        assert world.post_content("help")["intentName"] == "HelpIntent"


@pytest.mark.parametrize("when", ["start", "middle"])
@pytest.mark.parametrize("kind", ["hang", "unread"])
def test_leaving_it_does_not_wait_for_an_upload_that_hangs(kind: Any, when: Any) -> None:
    """A client that has sent some of its body, and will send no more of it."""
    with a_world() as world, socket.socket() as client, gevent.Timeout(5):
        world.lex.faults.append(LexFault(kind=kind, when=when))
        client.connect(("127.0.0.1", int(world.lex.url.rpartition(":")[2])))
        head = (
            "POST /bot/OrderFlowers/alias/prod/user/caller/content HTTP/1.1",
            "Host: lex",
            f"Content-Type: {LPCM_8KHZ}",
        )
        client.sendall("\r\n".join([*head, f"Accept: {TEXT}", "Content-Length: 1000000", "", ""]).encode())
        client.sendall(bytes(200_000))
        until(lambda: world.lex.requests)
        gevent.sleep(0.1)
        world.lex.stop()
        assert world.lex.requests[0].status is None


def test_dropped_connections_are_replaced(world: World) -> None:
    ports = []
    for _ in range(2):
        world.post_content("help")
        ports.append(world.request.client_port)
    world.lex.drop_connections()
    world.post_content("help")
    assert ports[0] == ports[1] != world.request.client_port


def test_leaving_it_closes_what_hangs() -> None:
    with a_world() as world:
        world.lex.faults.append(LexFault(kind="hang"))
        hanging = gevent.spawn(world.post_content, SECOND)
        until(lambda: world.lex.requests and world.request.ended is not None)
    with gevent.Timeout(5), pytest.raises(ConnectionClosedError):
        hanging.get()
