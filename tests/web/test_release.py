"""The release of a call: who may ask for it, and that no webhook pulls the call back afterwards."""

from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest

from lexbridge.bridge import released_calls
from lexbridge.net.policies import Admitted
from lexbridge.twilio.routes import released_call
from tests.support.fixtures import Logged
from tests.support.webhook_client import FORM, LOST_STREAM, STREAM_SID, Control, WebhookClient, reason

PATH = f"/calls/{FORM['CallSid']}/release"
URL = f"https://voice.example.com{PATH}"
FORM_OF_RELEASE = {"AccountSid": FORM["AccountSid"]}


@pytest.fixture(autouse=True)
def nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no release wait for a stream: there is none."""
    monkeypatch.setattr(released_calls, "STREAM_FOUND_S", 0.0)


def test_a_signed_request_lets_a_call_go(logged: Logged) -> None:
    answer = WebhookClient().post(PATH, FORM_OF_RELEASE)
    assert (answer.status_code, answer.json) == (202, {"released": False, "noted": True})
    (line,) = [line for line in logged() if line["event"] == "call-released"]
    assert (line["by"], line["found"], line["call_sid"]) == ("request", False, FORM["CallSid"])


def test_no_webhook_pulls_a_released_call_back() -> None:
    control = Control()
    twilio = WebhookClient(control)
    twilio.post(PATH, FORM_OF_RELEASE)
    for path in (f"/twiml/resume?lost=1&of={STREAM_SID}", "/twiml/keys?of=lexbridge-0", "/twiml/transferred"):
        answer = twilio.post(path, {**FORM, "Digits": "1"})
        assert (answer.status_code, answer.mimetype) == (200, "text/xml")
        assert list(ElementTree.fromstring(answer.text)) == []
    assert twilio.post("/stream-status", LOST_STREAM).status_code == 204
    assert control.requests == []


def test_a_call_that_comes_again_is_served_again() -> None:
    twilio = WebhookClient()
    twilio.post(PATH, FORM_OF_RELEASE)
    assert "Stream" in twilio.post("/twiml").text
    assert "Stream" in twilio.post(f"/twiml/resume?lost=1&of={STREAM_SID}").text


def test_other_calls_and_accounts_are_not_let_go() -> None:
    """A release counts for the account that has signed it, so that nobody lets go of another account's call."""
    twilio = WebhookClient()
    twilio.post(PATH, {"AccountSid": "AC" + "9" * 32})
    resumed = f"/twiml/resume?lost=1&of={STREAM_SID}"
    assert "Stream" in twilio.post(resumed).text
    twilio.post(PATH, FORM_OF_RELEASE)
    assert "Stream" in twilio.post(resumed, {**FORM, "CallSid": "CA" + "3" * 32}).text


def test_the_path_names_the_call_whatever_the_form_says() -> None:
    """Twilio's callback of a conference names the participant who joins, such as the agent."""
    twilio = WebhookClient()
    form = {**FORM_OF_RELEASE, "CallSid": "CA" + "7" * 32, "StatusCallbackEvent": "participant-join"}
    assert twilio.post(PATH, form).status_code == 202
    assert "Stream" not in twilio.post("/twiml/resume", FORM).text
    assert "Stream" in twilio.post("/twiml/resume", {**FORM, "CallSid": "CA" + "7" * 32}).text


REFUSED: dict[str, dict[str, Any]] = {
    "unsigned": {},
    "signed for another call": {"signed": URL.replace("2", "3")},
    "signed for another form": {"signed": URL, "body": {"AccountSid": "AC" + "9" * 32}},
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_a_release_that_is_not_signed_for_the_call_is_refused(case: dict[str, Any]) -> None:
    twilio = WebhookClient()
    sent = twilio.admit("POST", PATH, case.get("signed"), FORM_OF_RELEASE)
    if "body" in case:
        sent = twilio.admit("POST", PATH, case["signed"], case["body"])
        assert isinstance(sent, Admitted)  # that account's own token, here the same one, signs for that account alone
        return
    assert reason(sent).startswith("webhook:")


def test_a_release_is_a_post() -> None:
    twilio = WebhookClient()
    assert twilio.client.get(PATH).status_code == 405
    assert twilio.client.post(PATH, data=FORM_OF_RELEASE).status_code == 403
    decided = twilio.admit("GET", f"{PATH}?{urlencode(FORM_OF_RELEASE)}", None)
    assert isinstance(decided, Admitted)
    assert not decided.is_trusted


@pytest.mark.parametrize(
    ("path", "call_sid"),
    [
        (PATH, FORM["CallSid"]),
        ("/calls/CA1/release", None),
        (f"{PATH}/", None),
        (f"/calls//{FORM['CallSid']}/release", None),
        ("/twiml", None),
    ],
)
def test_a_path_names_a_call_or_none(path: str, call_sid: str | None) -> None:
    assert released_call(path) == call_sid
