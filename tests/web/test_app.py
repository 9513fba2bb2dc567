"""The routes of a process: health checks, stream statuses, a full process, unknown addresses."""

import re
from xml.etree import ElementTree

import pytest

from lexbridge.net.http_request import Head, Request
from lexbridge.net.policies import DirectAnswer
from tests.support.fixtures import Logged
from tests.support.live_calls import live_stream
from tests.support.rig import TOKEN
from tests.support.webhook_client import FORM, STREAM_SID, WebhookClient


def test_a_full_process_is_busy_and_says_so() -> None:
    twilio = WebhookClient(MAX_CALLS="1")
    record = live_stream("CA" + "3" * 32)
    twilio.calls.add(record)
    busy = twilio.post("/twiml")
    assert "Sorry, all lines are busy." in busy.text
    assert [verb.tag for verb in ElementTree.fromstring(busy.text)] == ["Say", "Hangup"]
    twilio.calls.remove(record)
    assert "Go." in twilio.post("/twiml").text


def test_a_stream_error_is_logged_and_nothing_private_with_it(logged: Logged) -> None:
    form = {**FORM, "StreamSid": STREAM_SID, "StreamEvent": "stream-error", "StreamError": "31920 handshake"}
    assert WebhookClient().post("/stream-status", form).status_code == 204
    (line,) = [line for line in logged() if line["event"] == "stream-status"]
    assert (line["level"], line["what"], line["error"]) == ("error", "stream-error", "31920 handshake")
    assert "+1206" not in str(logged())


def test_a_stopped_stream_is_no_error(logged: Logged) -> None:
    WebhookClient().post("/stream-status", {**FORM, "StreamEvent": "stream-stopped"})
    assert [line["level"] for line in logged() if line["event"] == "stream-status"] == ["debug"]


def test_a_probe_is_answered_by_the_server_by_get_and_head() -> None:
    twilio = WebhookClient()
    for method in ("GET", "HEAD"):
        for path in ("/ping", "/ready"):
            answer = twilio.admission.check_request(Request(Head(method, path, "HTTP/1.1", {})), 0)
            assert isinstance(answer, DirectAnswer)
            assert answer.status == "200 OK"


def test_a_leaving_process_answers_and_closes_connections() -> None:
    """A draining process answers for the others, and keeps no connection alive."""
    twilio = WebhookClient()
    assert "Connection" not in twilio.post("/twiml").headers
    twilio.calls.admission.is_draining = twilio.calls.admission.others_are_ready = True
    twilio.calls.ask_to_leave(1)
    answered = twilio.post("/twiml")
    assert "Go." in answered.text
    assert answered.headers["Connection"] == "close"
    assert twilio.client.get("/ready").status_code == 200


def test_ready_says_whether_a_new_call_would_be_taken() -> None:
    twilio = WebhookClient(MAX_CALLS="1")
    assert twilio.client.get("/ready").status_code == 200
    twilio.calls.add(live_stream("CA" + "3" * 32))
    full = twilio.client.get("/ready")
    assert (full.status_code, full.json) == (503, {"status": "full", "live_calls": 1})
    twilio.calls.admission.is_draining = True
    draining = twilio.client.get("/ready")
    assert (draining.status_code, draining.json) == (503, {"status": "draining", "live_calls": 1})
    assert "all lines are busy" in twilio.post("/twiml").text


def test_ping_says_that_the_process_lives() -> None:
    response = WebhookClient().client.get("/ping")
    assert (response.status_code, response.json) == (200, {"status": "ok", "live_calls": 0})


def test_probes_tell_the_live_calls_of_all_workers() -> None:
    twilio = WebhookClient()
    twilio.calls.add(live_stream("CA" + "3" * 32))
    twilio.calls.calls_of_others = 4
    assert twilio.client.get("/ping").json == {"status": "ok", "live_calls": 5}
    assert twilio.client.get("/ready").json == {"status": "ready", "live_calls": 5}


def test_a_plain_request_to_the_socket_is_told_what_it_is() -> None:
    response = WebhookClient().client.get("/")
    assert response.status_code == 426
    assert response.headers["Upgrade"] == "websocket"


def test_an_unknown_address_is_not_found() -> None:
    assert WebhookClient().client.get("/nothing").status_code == 404


@pytest.mark.parametrize("path", ["//", "//ping", "/ping/", "/twiml//resume"])
def test_an_address_that_is_nearly_ours_is_not_found(path: str) -> None:
    assert WebhookClient().client.get(path).status_code == 404


def test_no_answer_names_the_token() -> None:
    twilio = WebhookClient()
    for path in ("/twiml", "/twiml/resume", "/twiml/keys", "/ping"):
        assert not re.search(TOKEN, twilio.post(path).text)
