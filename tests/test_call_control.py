"""Updates of a live call by the real twilio client. Faults a caller hears, or does not: see test_bridge.py."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from conftest import Logged
from rig import PATIENCE_S, Rig, running, says

from lexbridge.call_control import TwilioCallControl
from lexbridge.errors import CallControlRejected, CallControlUnavailable, CallGone
from lexbridge.logs import Log
from lexbridge.offline.call_events import StreamOpened, UpdateReceived
from lexbridge.offline.phone_call import PhoneCall
from lexbridge.offline.rest_api import RestFault

HOLD = '<Response><Pause length="60"/></Response>'


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A bridge, which is there to answer the call; the tests update it past the bridge."""
    with running(NO_INPUT_S="120") as rig:  # the bridge's own question would take a fault meant for the test
        yield rig


@pytest.fixture
def call(rig: Rig) -> PhoneCall:
    """A live call."""
    call = rig.place_call(says())
    call.wait_for(StreamOpened, PATIENCE_S)
    return call


def control(rig: Rig) -> TwilioCallControl:
    return TwilioCallControl(rig.settings, attempt_deadline_s=0.5)


def test_an_update_carries_its_document_inline(rig: Rig, call: PhoneCall) -> None:
    control(rig).update(call.account_sid, call.sid, HOLD, Log())
    update = call.wait_for(UpdateReceived, PATIENCE_S)
    assert dict(update.fields) == {"Twiml": HOLD}


def test_one_fault_is_retried_and_two_are_an_error(rig: Rig, call: PhoneCall, logged: Logged) -> None:
    rig.twilio.rest_faults.append(RestFault(status=503))
    control(rig).update(call.account_sid, call.sid, HOLD, Log())
    assert [line["error"] for line in logged() if line["event"] == "call-update-failed"] == [
        "Twilio answered 503, code 20500"
    ]
    rig.twilio.rest_faults.extend([RestFault(status=429, code=20429), RestFault(kind="hang")])
    with pytest.raises(CallControlUnavailable, match=r"no answer within 0.5 s|ReadTimeout"):
        control(rig).update(call.account_sid, call.sid, HOLD, Log())


def test_a_call_nobody_knows_is_gone(rig: Rig, call: PhoneCall) -> None:
    with pytest.raises(CallGone, match="Twilio answered 404, code 20404"):
        control(rig).update(call.account_sid, "CA" + "0" * 32, HOLD, Log())


def test_a_call_that_is_over_is_gone(rig: Rig, call: PhoneCall) -> None:
    call.hang_up()
    call.wait(PATIENCE_S)
    with pytest.raises(CallGone, match="code 21220"):
        control(rig).update(call.account_sid, call.sid, HOLD, Log())


def test_a_wrong_token_is_refused_at_once_and_names_the_setting(rig: Rig, call: PhoneCall) -> None:
    wrong = TwilioCallControl(replace(rig.settings, twilio_auth_token="f" * 32))
    with pytest.raises(CallControlRejected, match="code 20003; check TWILIO_AUTH_TOKEN"):
        wrong.update(call.account_sid, call.sid, HOLD, Log())


def test_a_document_twilio_does_not_take_is_refused(rig: Rig, call: PhoneCall) -> None:
    with pytest.raises(CallControlRejected):
        control(rig).update(call.account_sid, call.sid, "x" * 4001, Log())
