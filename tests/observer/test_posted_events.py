"""Posted events at a real receiver: signed, in order, tried again, and never in the way."""

import base64
import json
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from lexbridge.config.settings import Settings
from lexbridge.net.standard_webhooks import signing_key
from lexbridge.observer.events import outbox, posted_events
from lexbridge.observer.events.posted_events import PostedEvents, retry_after_s
from lexbridge.observer.watched.kept_words import NO_WORDS
from tests.support.event_receiver import EventReceiver, verifier_of_the_docs, waits_until
from tests.support.facts_of_calls import CallOfFacts, holds_secret, usual_call
from tests.support.fixtures import Logged
from tests.support.settings import make_settings

SECRET = "a-secret-of-the-test"
STANDARD_SECRET = "whsec_" + base64.b64encode(b"twenty-four bytes of key").decode()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make pauses short, and let calls end soon."""
    monkeypatch.setattr(outbox, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(posted_events, "TICK_S", 0.05)


def settings_for(receiver: EventReceiver, **variables: str) -> Settings:
    return make_settings(EVENTS_URL=receiver.url, EVENTS_SECRET=variables.pop("secret", SECRET), **variables)


@contextmanager
def posting(receiver: EventReceiver, **variables: str) -> Iterator[PostedEvents]:
    """Run a receiver, and a sink that posts to it."""
    with receiver.running():
        sink = PostedEvents(settings_for(receiver, **variables))
        try:
            yield sink
        finally:
            sink.close(0)


def gives(sink: PostedEvents, call: CallOfFacts) -> None:
    """Give the sink the facts of a call."""
    for fact in call.facts:
        sink.take(fact)


def now_call(**changes: Any) -> CallOfFacts:
    """Return the usual call, as if it ended just now."""
    return usual_call(now_s=(began_s := time.time() - 30), began_s=began_s, **changes)


def types(receiver: EventReceiver) -> list[str]:
    return [body["type"] for body in receiver.bodies]


@pytest.mark.parametrize("secret", [SECRET, STANDARD_SECRET])
def test_a_calls_events_come_signed_and_in_order(secret: str) -> None:
    with posting(receiver := EventReceiver(), secret=secret) as sink:
        gives(sink, now_call())
        receiver.gets(4)
    assert types(receiver) == ["call.started", "turn", "turn", "call.ended"]
    is_genuine = verifier_of_the_docs()
    for headers, body in receiver.requests:
        assert headers["content-type"] == "application/json"
        assert headers["user-agent"].startswith("lexbridge/")
        assert is_genuine(headers, body, secret, time.time())
        assert not is_genuine(headers, body, secret, time.time() + 400), "it could be replayed"
        assert not is_genuine(headers, body + b" ", secret, time.time())
        assert not is_genuine({**headers, "webhook-id": "msg_other"}, body, secret, time.time())
        assert not is_genuine(headers, body, "another-secret-than-ours", time.time())
    assert len({headers["webhook-id"] for headers, _ in receiver.requests}) == 4


@pytest.mark.parametrize("status", [500, 503, 429])
def test_an_event_that_is_not_taken_comes_again_as_the_same(status: int, logged: Logged) -> None:
    with posting(receiver := EventReceiver((status, {}), (status, {}))) as sink:
        gives(sink, now_call())
        receiver.gets(6)
    assert types(receiver) == ["call.started"] * 3 + ["turn", "turn", "call.ended"]
    assert len({headers["webhook-id"] for headers, _ in receiver.requests}) == 4
    (line,) = [line for line in logged() if line["event"] == "event-not-taken"]
    assert (line["level"], line["reason"], line["count"]) == ("warning", f"status {status}", 1)
    assert sink.dropped == {}


def test_retry_after_is_honoured() -> None:
    with posting(receiver := EventReceiver((429, {"Retry-After": "1"}))) as sink:
        gives(sink, now_call())
        receiver.gets(2)
    assert receiver.came_s[1] - receiver.came_s[0] >= 1


def test_an_event_that_is_refused_is_dropped_and_counted(logged: Logged) -> None:
    with posting(receiver := EventReceiver((404, {}))) as sink:
        gives(sink, now_call())
        receiver.gets(4)
    assert types(receiver) == ["call.started", "turn", "turn", "call.ended"]
    assert sink.dropped == {"status 404": 1}
    (line,) = [line for line in logged() if line["event"] == "event-dropped"]
    assert (line["reason"], line["count"]) == ("status 404", 1)


def test_a_redirect_to_another_host_is_not_followed() -> None:
    with (other := EventReceiver()).running(), posting(EventReceiver((307, {"Location": other.url}))) as sink:
        gives(sink, now_call())
        waits_until(lambda: sink.dropped)
        assert sink.dropped == {"status 307": 1}
        assert other.requests == []


def test_a_receiver_that_hangs_holds_nothing_up() -> None:
    """The facts of many calls are taken while no request is answered; then all events come, those of a call in order.

    A sink that waited for an answer would never return here, for the receiver answers only afterwards.
    """
    receiver = EventReceiver()
    receiver.may_answer.clear()
    calls = [now_call(call_sid=f"CA{number:032}") for number in range(30)]
    with posting(receiver) as sink:
        for call in calls:
            gives(sink, call)
        receiver.gets(posted_events.SENDERS)
        assert len(receiver.requests) == posted_events.SENDERS
        receiver.may_answer.set()
        receiver.gets(4 * len(calls))
    for call in calls:
        of_call = [body["type"] for body in receiver.bodies if body["data"]["call_sid"] == call.call_sid]
        assert of_call == ["call.started", "turn", "turn", "call.ended"]


def test_a_post_ends_though_its_answer_never_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posted_events, "POST_S", 0.1)
    receiver = EventReceiver()
    receiver.may_answer.clear()
    with posting(receiver) as sink:
        gives(sink, now_call())
        receiver.gets(2)
    assert types(receiver)[:2] == ["call.started"] * 2


def test_a_receiver_that_is_not_there_gets_the_events_later(logged: Logged) -> None:
    with (receiver := EventReceiver()).running():
        pass
    sink = PostedEvents(settings_for(receiver))
    gives(sink, now_call())
    waits_until(lambda: any(line["event"] == "event-not-taken" for line in logged()))
    sink.close(0)
    assert {line["reason"] for line in logged() if line["event"] == "event-not-taken"} == {"no connection"}
    assert sum(sink.dropped.values()) == sink.dropped["service stopped"]
    assert sink.dropped["service stopped"] >= 3


def test_too_many_events_drop_the_oldest(monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    monkeypatch.setattr(outbox, "MAX_EVENTS", 5)
    receiver = EventReceiver()
    receiver.may_answer.clear()
    with posting(receiver) as sink:
        for number in range(4):
            gives(sink, now_call(call_sid=f"CA{number:032}"))
        assert sink.dropped == {"too many wait": 7}
    assert next(line["reason"] for line in logged() if line["event"] == "event-dropped") == "too many wait"


def test_a_certificate_that_nobody_vouches_for_is_refused(logged: Logged) -> None:
    trustme = pytest.importorskip("trustme")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with posting(receiver := EventReceiver(ssl_context=context)) as sink:
        gives(sink, now_call())
        waits_until(lambda: any(line["event"] == "event-not-taken" for line in logged()))
        assert receiver.requests == []
    assert {line["reason"] for line in logged() if line["event"] == "event-not-taken"} == {"no TLS"}


def test_what_waits_is_posted_before_the_process_ends() -> None:
    with (receiver := EventReceiver()).running():
        sink = PostedEvents(settings_for(receiver))
        gives(sink, now_call())
        sink.close(10)
        assert types(receiver) == ["call.started", "turn", "turn", "call.ended"]
        assert sink.dropped == {}


def test_words_are_posted_only_when_asked_for(logged: Logged) -> None:
    with posting(without := EventReceiver()) as sink:
        assert sink._calls._kept_words == NO_WORDS
        gives(sink, now_call())
        without.gets(4)
    with posting(with_words := EventReceiver(), EVENTS_WORDS="on") as sink:
        gives(sink, now_call())
        with_words.gets(4)
    assert list(holds_secret(repr(without.requests))) == []
    assert with_words.bodies[1]["data"]["transcript"] == "tulips for Mrs Bramble please"
    assert list(holds_secret(json.dumps(logged()))) == []


def test_a_fact_that_cannot_be_read_stops_nothing(logged: Logged) -> None:
    with posting(receiver := EventReceiver()) as sink:
        call = now_call()
        odd = msgspec.structs.replace(call.facts[0], call_sid=["no text"])
        call.facts[:0] = [odd] * 100
        gives(sink, call)
        receiver.gets(4)
    assert [line["level"] for line in logged() if line["event"] == "events-broken"] == ["error"]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0),
        ("7", 7),
        ("Tue, 14 Nov 2023 22:13:30 GMT", 10),
        ("Tue, 14 Nov 2023 22:13:30", 10),
        ("Tue, 14 Nov 2023 22:13:10 GMT", 0),
        ("soon", 0),
        ("-3", 0),
        ("9" * 400, 999999999),
    ],
)
def test_the_pause_that_is_asked_for_is_read(value: str | None, seconds: float) -> None:
    assert retry_after_s(value, 1_700_000_000) == seconds


def test_a_secret_that_only_looks_standard_is_used_as_it_is() -> None:
    assert signing_key("whsec_not base64!") == b"whsec_not base64!"
    assert signing_key(STANDARD_SECRET) == b"twenty-four bytes of key"
