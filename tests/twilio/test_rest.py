"""The REST client: updates of a live call by Twilio's own library. tests/bridge has what callers hear of faults."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import gevent
import pytest

from lexbridge.errors import CallControlRejected, CallControlUnavailable, CallGone
from lexbridge.logs import Log
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import StreamOpened, UpdateReceived
from lexbridge.offline.twilio.rest_api import RestFault
from lexbridge.twilio.pooled_http import PooledHttpClient
from lexbridge.twilio.rest import TwilioCallControl
from tests.support.fixtures import Logged, Pauses
from tests.support.rig import PATIENCE_S, PATIENT_UPDATES, Rig, running, says

HOLD = '<Response><Pause length="60"/></Response>'


@pytest.fixture
def rig() -> Iterator[Rig]:
    """Bridge that answers the call. The tests update the call without it."""
    with running(
        NO_INPUT_S="120"
    ) as rig:  # else the bridge's own reprompt would meet a fault that is meant for the test
        yield rig


@pytest.fixture
def call(rig: Rig) -> PhoneCall:
    """Live call of the rig."""
    call = rig.place_call(says())
    call.wait_for(StreamOpened, PATIENCE_S)
    return call


def control(rig: Rig, attempt_deadlines_s: Sequence[float] = PATIENT_UPDATES) -> TwilioCallControl:
    return TwilioCallControl(rig.settings.service, attempt_deadlines_s=attempt_deadlines_s)


def control_with(rig: Rig, **secrets: str) -> TwilioCallControl:
    account = replace(rig.settings.service.account, **secrets)
    return TwilioCallControl(replace(rig.settings.service, account=account))


def test_an_update_carries_its_document_inline(rig: Rig, call: PhoneCall) -> None:
    control(rig).update(call.account_sid, call.sid, HOLD, Log())
    update = call.wait_for(UpdateReceived, PATIENCE_S)
    assert dict(update.fields) == {"Twiml": HOLD}


def test_two_faults_are_retried_and_three_are_an_error(rig: Rig, call: PhoneCall, logged: Logged) -> None:
    rig.twilio.rest_faults.append(RestFault(status=503))
    control(rig).update(call.account_sid, call.sid, HOLD, Log())
    assert [line["error"] for line in logged() if line["event"] == "call-update-failed"] == [
        "Twilio answered 503, code 20500"
    ]
    rig.twilio.rest_faults.extend([RestFault(status=429, code=20429), RestFault(kind="reset"), RestFault(kind="hang")])
    with pytest.raises(CallControlUnavailable, match=r"no answer within 0.5 s|ReadTimeout"):
        control(rig, (*PATIENT_UPDATES[:2], 0.5)).update(call.account_sid, call.sid, HOLD, Log())


def test_what_cannot_be_reached_is_named_with_the_setting(rig: Rig, call: PhoneCall, logged: Logged) -> None:
    nowhere = replace(rig.settings.service, twilio_api_url="http://127.0.0.1:9")
    with pytest.raises(CallControlUnavailable, match=r"^ConnectionError: NewConnectionError$") as raised:
        TwilioCallControl(nowhere, None, (PATIENCE_S,) * 3).update(call.account_sid, call.sid, HOLD, Log())
    assert (raised.value.host, raised.value.check) == ("127.0.0.1:9", "TWILIO_API_URL")
    addresses = [(line["host"], line["check"]) for line in logged() if line["event"] == "call-update-failed"]
    assert addresses == [("127.0.0.1:9", "TWILIO_API_URL")] * 2


def test_what_twilio_itself_answers_names_no_address_to_check(rig: Rig, call: PhoneCall) -> None:
    rig.twilio.rest_faults.extend([RestFault(status=503)] * 3)
    with pytest.raises(CallControlUnavailable) as raised:
        control(rig).update(call.account_sid, call.sid, HOLD, Log())
    assert raised.value.check is None
    rig.twilio.rest_faults.extend([RestFault(status=401, code=20003)] * 2)
    with pytest.raises(CallControlRejected) as raised:
        control(rig).update(call.account_sid, call.sid, HOLD, Log())
    assert raised.value.check == "TWILIO_AUTH_TOKEN"


def test_an_unknown_call_is_gone(rig: Rig, call: PhoneCall) -> None:
    with pytest.raises(CallGone, match="Twilio answered 404, code 20404"):
        control(rig).update(call.account_sid, "CA" + "0" * 32, HOLD, Log())


def test_a_call_that_is_over_is_gone(rig: Rig, call: PhoneCall) -> None:
    call.hang_up()
    call.wait(PATIENCE_S)
    with pytest.raises(CallGone, match="code 21220"):
        control(rig).update(call.account_sid, call.sid, HOLD, Log())


def test_a_call_that_is_over_is_gone_by_rfc_9457_too(rig: Rig, call: PhoneCall) -> None:
    rig.twilio.rest_faults.append(RestFault(status=400, code=21220, as_problem=True))
    with pytest.raises(CallGone, match="Twilio answered 400, code 21220"):
        control(rig).update(call.account_sid, call.sid, HOLD, Log())


@pytest.mark.parametrize("as_problem", [False, True])
def test_a_404_that_is_not_about_the_call_is_a_refusal(rig: Rig, call: PhoneCall, as_problem: bool) -> None:
    rig.twilio.rest_faults.append(RestFault(status=404, code=21211, as_problem=as_problem))
    with pytest.raises(CallControlRejected, match="Twilio answered 404, code 21211"):
        control(rig).update(call.account_sid, call.sid, HOLD, Log())
    assert rig.twilio.rest_faults == []  # no further request was made


UNREADABLE = {
    "200 with a page": (RestFault(kind="odd", status=200, body=b"<html>"), "cannot be read: JSONDecodeError"),
    "200 with nothing": (RestFault(kind="odd", status=200), "cannot be read: JSONDecodeError"),
    "200 with null": (RestFault(kind="odd", status=200, body=b"null"), "cannot be read: AttributeError"),
    "200 with a list": (RestFault(kind="odd", status=200, body=b"[]"), "cannot be read: AttributeError"),
    "200 with UTF-16": (RestFault(kind="odd", status=200, body='{"sid": 1}'.encode("utf-16")), "cannot be read"),
    "200 with deep JSON": (RestFault(kind="odd", status=200, body=b"[" * 99_999), "cannot be read: RecursionError"),
    "200 without end": (RestFault(kind="endless", status=200), "too long"),
    "500 without end": (RestFault(kind="endless", status=500), "too long"),
    "400 without end": (RestFault(kind="endless", status=400), "too long"),
    "a bomb": (RestFault(kind="bomb", status=200), "ContentDecodingError"),
    "a redirect": (RestFault(kind="redirect"), "Twilio answered 302"),
    "400 with a page": (RestFault(kind="odd", status=400, body=b"<html>"), "Twilio answered 400"),
    "400 with null": (RestFault(kind="odd", status=400, body=b"null"), "Twilio answered 400"),
    "400 with a list": (RestFault(kind="odd", status=400, body=b"[]"), "Twilio answered 400"),
    "404 with a page": (RestFault(kind="odd", status=404, body=b"<html>"), "Twilio answered 404"),
    "a status that is a text": (
        RestFault(kind="odd", status=400, body=b'{"type": "", "title": "", "status": "x", "code": 1}'),
        "Twilio answered 0, code 1",
    ),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_an_answer_not_in_twilios_form_is_asked_for_again(rig: Rig, call: PhoneCall, logged: Logged, what: str) -> None:
    fault, error = UNREADABLE[what]
    rig.twilio.rest_faults.extend([fault, fault])
    with gevent.Timeout(PATIENCE_S):
        TwilioCallControl(rig.settings.service, None, (PATIENCE_S,) * 3).update(call.account_sid, call.sid, HOLD, Log())
    assert call.wait_for(UpdateReceived, PATIENCE_S).twiml == HOLD
    errors = [line["error"] for line in logged() if line["event"] == "call-update-failed"]
    assert len(errors) == 2
    assert all(error in line for line in errors)


@pytest.mark.parametrize("code", ["20404", "21220"])
def test_a_code_may_be_a_text(rig: Rig, call: PhoneCall, code: str) -> None:
    rig.twilio.rest_faults.append(RestFault(kind="odd", status=404, body=b'{"code": "%s"}' % code.encode()))
    with pytest.raises(CallGone):
        control(rig).update(call.account_sid, call.sid, HOLD, Log())


def test_what_twilio_says_is_no_long_line_of_the_log(rig: Rig, call: PhoneCall) -> None:
    rig.twilio.rest_faults.append(RestFault(kind="odd", status=400, body=b'{"code": "%s"}' % (b"9" * 50_000)))
    with pytest.raises(CallControlRejected) as raised:
        control(rig).update(call.account_sid, call.sid, HOLD, Log())
    assert len(str(raised.value)) < 100


def test_each_request_comes_after_a_pause(rig: Rig, call: PhoneCall, pauses: Pauses) -> None:
    rig.twilio.rest_faults.extend([RestFault(status=503), RestFault(status=503)])
    asked = gevent.spawn(control(rig).update, call.account_sid, call.sid, HOLD, Log())
    asked.get(timeout=PATIENCE_S)
    first_s, second_s = pauses(asked)  # as they were requested, however long they took
    assert 0.1 <= first_s <= 0.2
    assert 0.4 <= second_s <= 0.6


def test_an_unwanted_document_is_not_tried_again(rig: Rig, call: PhoneCall) -> None:
    rig.twilio.rest_faults.append(RestFault(status=503))
    with pytest.raises(CallControlUnavailable):
        control(rig).update(call.account_sid, call.sid, HOLD, Log(), lambda: False)
    assert rig.twilio.rest_faults == []


def test_as_many_connections_are_kept_as_there_may_be_calls(rig: Rig, call: PhoneCall, logged: Logged) -> None:
    many = TwilioCallControl(replace(rig.settings.service, max_calls=12), attempt_deadlines_s=(PATIENCE_S,))
    updates = [gevent.spawn(many.update, call.account_sid, call.sid, HOLD, Log()) for _ in range(12)]
    for update in updates:
        update.get(timeout=PATIENCE_S)
    # urllib3 logs a warning for each connection beyond those that it keeps, ten by default.
    assert [line for line in logged() if line["level"] == "warning"] == []


def test_the_environments_proxy_is_not_used(rig: Rig, call: PhoneCall, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that nothing is read from the environment for an update."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    control(rig).update(call.account_sid, call.sid, HOLD, Log())
    call.wait_for(UpdateReceived, PATIENCE_S)


def test_a_wrong_token_is_refused_at_once_and_names_the_setting(rig: Rig, call: PhoneCall) -> None:
    wrong = control_with(rig, twilio_auth_token="f" * 32)
    with pytest.raises(CallControlRejected, match="code 20003; check TWILIO_AUTH_TOKEN"):
        wrong.update(call.account_sid, call.sid, HOLD, Log())


@pytest.mark.parametrize(
    ("is_promoted", "statuses"), [(False, [200, 200]), (True, [401, 200, 200])], ids=["not yet promoted", "promoted"]
)
def test_during_rotation_the_token_that_twilio_takes_is_kept(
    rig: Rig, call: PhoneCall, logged: Logged, monkeypatch: pytest.MonkeyPatch, is_promoted: bool, statuses: list[int]
) -> None:
    answers: list[int] = []
    ask = PooledHttpClient.request

    def asks(client: PooledHttpClient, *args: Any, **kwargs: Any) -> Any:
        answer = ask(client, *args, **kwargs)
        answers.append(answer.status_code)
        return answer

    monkeypatch.setattr(PooledHttpClient, "request", asks)
    first, second = ("f" * 32, rig.settings.service.account.twilio_auth_token)[:: 1 if is_promoted else -1]
    rotating = control_with(rig, twilio_auth_token=first, twilio_auth_token_secondary=second)
    for _ in range(2):
        rotating.update(call.account_sid, call.sid, HOLD, Log())
    assert answers == statuses
    assert [line for line in logged() if line["event"] == "call-update-failed"] == []


def test_where_twilio_takes_neither_token_the_update_is_refused(rig: Rig, call: PhoneCall) -> None:
    neither = control_with(rig, twilio_auth_token="e" * 32, twilio_auth_token_secondary="f" * 32)
    with pytest.raises(CallControlRejected, match="code 20003"):
        neither.update(call.account_sid, call.sid, HOLD, Log())


def test_a_document_twilio_does_not_take_is_refused(rig: Rig, call: PhoneCall) -> None:
    with pytest.raises(CallControlRejected):
        control(rig).update(call.account_sid, call.sid, "x" * 4001, Log())


API_KEY = {"TWILIO_API_KEY_SID": "SK" + "1" * 32, "TWILIO_API_KEY_SECRET": "hush"}


def test_an_api_key_signs_in_until_it_is_revoked(logged: Logged) -> None:
    """Requests sign in by the API key instead of the auth token, until the key is revoked."""
    with running(NO_INPUT_S="120", TWILIO_AUTH_TOKEN_SECONDARY="another", **API_KEY) as rig:
        rig.twilio.api_keys[API_KEY["TWILIO_API_KEY_SID"]] = "hush"
        call = rig.place_call(says())
        call.wait_for(StreamOpened, PATIENCE_S)  # signatures are made by the auth token all the same
        control(rig).update(call.account_sid, call.sid, HOLD, Log())
        assert call.wait_for(UpdateReceived, PATIENCE_S).twiml == HOLD
        rig.twilio.api_keys.clear()
        with pytest.raises(CallControlRejected, match=r"code 20003; check TWILIO_API_KEY_SID$"):
            control(rig).update(call.account_sid, call.sid, HOLD, Log())
    assert not [line for line in logged() if "hush" in str(line)]
