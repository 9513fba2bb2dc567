"""The door: routes, signatures made by Twilio's own RequestValidator, and what is refused."""

import dataclasses
import re
import time
from collections.abc import Mapping
from io import BytesIO
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

import pytest
from flask.testing import FlaskClient
from twilio.request_validator import RequestValidator
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from lexbridge.bridge.live_calls import LiveStream
from lexbridge.errors import CallControlError, CallControlUnavailable, CallGone
from lexbridge.lex.runtime import Deadlines
from lexbridge.net.http_request import MAX_BODY_BYTES, Head, Request
from lexbridge.net.policies import Admitted, DirectAnswer, Refusal
from lexbridge.server.build import build_service
from lexbridge.twilio.rest import CallControl
from lexbridge.twilio.signatures import stream_token_passes
from lexbridge.twilio.webhook_form import CONTENT_TYPE
from lexbridge.web.admission import EXPLAINED_BURST
from lexbridge.web.app import LASTED_MS, MAX_STREAMS_LOST, OPENED_MS, WAITS_AFTER_LOST
from tests.support.fixtures import Logged
from tests.support.live_calls import live_stream
from tests.support.rehearsal import RehearsedLex, wait_until
from tests.support.rig import TOKEN, settings

FORM = {
    "CallSid": "CA" + "2" * 32,
    "AccountSid": "AC" + "1" * 32,
    "From": "+12065550100",
    "To": "+12065550199",
    "Direction": "inbound",
    "CallStatus": "ringing",
}


class Door:
    """The app's test client, and a Twilio that signs."""

    def __init__(self, control: CallControl | None = None, **changes: str) -> None:
        self.settings = settings(**changes)
        # No media socket is opened here, and no bot is asked.
        service = build_service(self.settings, lex=RehearsedLex(), call_control=control or Control())
        self.calls = service.calls
        self.admission = service.admission
        self.client: FlaskClient = service.app.test_client()

    def admit(
        self, method: str, target: str, signed: str | None = None, form: Mapping[str, str] = FORM, **headers: str
    ) -> Refusal | DirectAnswer | Admitted:
        """What the server decides of a request with the signature of `form` for the address `signed`, in two steps."""
        told = {"host": "voice.example.com", "content-type": CONTENT_TYPE, **headers}
        if signed is not None:
            told["x-twilio-signature"] = RequestValidator(TOKEN).compute_signature(signed, form)
        head = Head(method, target, "HTTP/1.1", told)
        body = b"" if method == "GET" else urlencode(form).encode()
        return self.admission.check_head(head) or self.admission.check_request(Request(head, body), 0)

    def post(
        self, path: str, form: Mapping[str, str] = FORM, token: str = TOKEN, address: str | None = None
    ) -> TestResponse:
        signed = address or self.settings.url + path
        signature = RequestValidator(token).compute_signature(signed, form)
        return self.client.post(path, data=dict(form), headers={"X-Twilio-Signature": signature})


def stream(response: TestResponse, verb: str = "Start") -> ElementTree.Element:
    found = ElementTree.fromstring(response.text).find(f"./{verb}/Stream")
    assert found is not None
    return found


def parameters(response: TestResponse, verb: str = "Start") -> dict[str, str]:
    return {node.attrib["name"]: node.attrib["value"] for node in stream(response, verb).iter("Parameter")}


def test_a_document_outlasts_the_longest_turn_also_one_that_is_joined() -> None:
    def held_s(**changes: str) -> int:
        pause = ElementTree.fromstring(Door(NO_INPUT_S="20", **changes).post("/twiml/resume").text).find(".//Pause")
        assert pause is not None
        return int(pause.attrib["length"])

    assert held_s() >= 20 + 14.8 + Deadlines().answer_s
    assert held_s(JOIN="on") == held_s() + Deadlines().answer_s


def test_a_call_is_greeted_with_a_stream_and_kept() -> None:
    response = Door().post("/twiml")
    assert response.status_code == 200
    assert response.mimetype == "text/xml"
    start, gather, redirect = ElementTree.fromstring(response.text)
    assert [start.tag, gather.tag, redirect.tag] == ["Start", "Gather", "Redirect"]
    assert stream(response).attrib["url"] == "wss://voice.example.com/"
    assert [verb.tag for verb in gather] == ["Say", "Pause"]
    assert gather[0].text == "You will be interacting with Lex bot in 3, 2, 1. Go."
    assert gather.attrib["action"] == "https://voice.example.com/twiml/keys?of=lexbridge-0#rc=2&rp=all"
    assert redirect.text == "https://voice.example.com/twiml/resume?lost=1&after=lexbridge-0#rc=2&rp=all"
    assert stream(response).attrib["name"] == "lexbridge-0"


def has_a_token(told: dict[str, str]) -> bool:
    token = told.pop("lexbridge:token")
    return stream_token_passes([TOKEN], token, FORM["CallSid"], FORM["AccountSid"], time.time())


STREAM_SID = "MZ" + "4" * 32


def test_a_call_whose_stream_was_lost_gets_another_and_no_greeting() -> None:
    response = Door().post(f"/twiml/resume?lost=1&of={STREAM_SID}")
    start, gather, redirect = ElementTree.fromstring(response.text)
    assert [start.tag, redirect.tag, *(verb.tag for verb in gather)] == ["Start", "Redirect", "Pause"]
    assert stream(response).attrib["name"] == "lexbridge-1-44444444"
    told = parameters(response)
    assert has_a_token(told)
    assert told == {"lexbridge:resumed": "lost", "lexbridge:streams-lost": "1", **FACTS}
    assert redirect.text is not None
    assert "lost=21&" in redirect.text  # a whole document in which nothing happened counts for many


def test_who_loses_several_streams_is_told_to_wait_and_at_last_that_it_is_no_use() -> None:
    door = Door()
    waits = ElementTree.fromstring(door.post(f"/twiml/resume?lost={WAITS_AFTER_LOST}&of={STREAM_SID}").text)
    assert [verb.text for verb in waits.iter("Say")] == ["One moment please."]
    last = door.post(f"/twiml/resume?lost={MAX_STREAMS_LOST}&of={STREAM_SID}")
    assert stream(last).attrib["name"] == f"lexbridge-{MAX_STREAMS_LOST}-44444444"
    over = ElementTree.fromstring(door.post(f"/twiml/resume?lost={MAX_STREAMS_LOST + 1}&of={STREAM_SID}").text)
    assert [verb.tag for verb in over] == ["Say", "Hangup"]


def opened_ms_ago(ms: int) -> str:
    """The query by which a document tells that its stream opened then."""
    return f"&opens={round(time.time() * 1000) - ms}"


@pytest.mark.parametrize("lasted_ms", [None, -60_000, 0, OPENED_MS, LASTED_MS])
def test_bidirectional_streams_are_lost_in_a_row_only_if_they_did_not_last(lasted_ms: int | None) -> None:
    opens = "" if lasted_ms is None else opened_ms_ago(lasted_ms)
    response = Door(REPLY_MODE="stream").post(f"/twiml/resume?lost=40&of={STREAM_SID}{opens}")
    lost = 1 if lasted_ms == LASTED_MS else 40
    assert stream(response, "Connect").attrib["name"] == f"lexbridge-{lost}-44444444"
    assert parameters(response, "Connect")["lexbridge:streams-lost"] == str(lost)
    told = [say.text for say in ElementTree.fromstring(response.text).iter("Say")]
    assert told == ([] if lasted_ms in (OPENED_MS, LASTED_MS) else ["One moment please."])


def test_a_bidirectional_stream_has_lasted_since_its_document_was_through_with_speaking() -> None:
    door = Door(REPLY_MODE="stream")
    opens = {}
    for lost in (1, 40):
        redirect = ElementTree.fromstring(door.post(f"/twiml/resume?lost={lost}&of={STREAM_SID}").text).find("Redirect")
        assert redirect is not None
        (opens_ms,) = re.findall(r"&opens=([0-9]{13})#", redirect.text or "")
        opens[lost] = int(opens_ms) - time.time() * 1000
    assert opens[1] <= 0
    assert opens[40] > 0  # it says "One moment please." first


@pytest.mark.parametrize("opens", ["", "x", "-1", "9" * 14, "\u0661" * 13, "0"])
def test_a_time_that_is_none_is_not_known(opens: str) -> None:
    response = Door(REPLY_MODE="stream").post(f"/twiml/resume?lost=2&of={STREAM_SID}&opens={quote(opens)}")
    assert stream(response, "Connect").attrib["name"] == "lexbridge-2-44444444"


@pytest.mark.parametrize("query", ["", "?lost=", "?lost=x", "?lost=-1", "?lost=99999"])
def test_a_count_that_is_none_is_one(query: str) -> None:
    assert stream(Door().post(f"/twiml/resume{query}")).attrib["name"] == "lexbridge-1"


class Control:
    """A CallControl that keeps what it is told, and answers with `error` if there is one."""

    def __init__(self, error: Exception | None = None) -> None:
        self.told: list[tuple[str, ...]] = []
        self._error = error

    def update(self, account_sid: str, call_sid: str, twiml: str, log: object, is_wanted: object = None) -> None:
        """See CallControl."""
        self._take(account_sid, call_sid, twiml)

    def stop_stream(self, account_sid: str, call_sid: str, stream: str) -> None:
        """See CallControl."""
        self._take(account_sid, call_sid, stream)

    def _take(self, *told: str) -> None:
        self.told.append(told)
        if self._error is not None:
            raise self._error


def test_a_stream_whose_document_ran_out_is_stopped_wherever_it_is_alive() -> None:
    for error in (None, CallGone("404")):
        control = Control(error)
        door = Door(control=control)
        assert door.post(f"/twiml/resume?lost=1&after={STREAM_SID}").status_code == 200
        wait_until(lambda control=control: control.told)
        assert control.told == [(FORM["AccountSid"], FORM["CallSid"], STREAM_SID)]


def test_nothing_escapes_where_a_stream_is_stopped(logged: Logged) -> None:
    control = Control(ZeroDivisionError("a bug"))
    assert Door(control=control).post(f"/twiml/resume?lost=1&after={STREAM_SID}").status_code == 200
    wait_until(lambda: [line for line in logged() if line["event"] == "stream-stop-broken"])
    # gevent writes what escapes from a greenlet to standard error, as a traceback of many lines.
    assert control.told == [(FORM["AccountSid"], FORM["CallSid"], STREAM_SID)]


LOST_STREAM = {
    "CallSid": FORM["CallSid"],
    "AccountSid": FORM["AccountSid"],
    "StreamSid": STREAM_SID,
    "StreamName": "lexbridge-2-00000000",
    "StreamEvent": "stream-error",
    "StreamError": "31921",
}


@pytest.mark.parametrize("error", [None, CallGone("21220"), CallControlUnavailable("503")], ids=str)
def test_a_call_whose_stream_is_lost_is_sent_to_be_resumed_at_once(error: CallControlError | None) -> None:
    control = Control(error)
    assert Door(control=control).post("/stream-status", LOST_STREAM).status_code == 204
    ((account_sid, call_sid, twiml),) = control.told
    assert (account_sid, call_sid) == (FORM["AccountSid"], FORM["CallSid"])
    (redirect,) = ElementTree.fromstring(twiml)
    assert redirect.text == f"https://voice.example.com/twiml/resume?lost=3&of={STREAM_SID}#rc=2&rp=all"


def test_a_call_that_this_process_serves_over_a_newer_stream_is_left_alone() -> None:
    control = Control()
    door = Door(control=control)
    door.calls.began(live_stream(FORM["CallSid"]))
    door.post("/stream-status", LOST_STREAM)
    assert control.told == []
    door.post(
        "/stream-status", {**LOST_STREAM, "StreamSid": f"MZ{FORM['CallSid'][2:]}"}
    )  # the one it takes to be alive
    assert len(control.told) == 1


@pytest.mark.parametrize("what", ["stream-started", "stream-stopped"])
def test_a_stream_that_was_not_lost_is_not_resumed(what: str) -> None:
    control = Control()
    Door(control=control).post("/stream-status", {**LOST_STREAM, "StreamEvent": what})
    assert control.told == []


FACTS = {"lexbridge:called-number": "+12065550199", "lexbridge:direction": "inbound"}


def test_in_stream_mode_a_call_is_greeted_and_then_connected() -> None:
    response = Door(REPLY_MODE="stream").post("/twiml")
    assert [verb.tag for verb in ElementTree.fromstring(response.text)] == ["Say", "Connect", "Redirect"]
    told = parameters(response, "Connect")
    assert has_a_token(told)
    assert told == FACTS
    redirect = ElementTree.fromstring(response.text)[-1]
    assert redirect.text == "https://voice.example.com/twiml/resume?lost=1&of=lexbridge-0#rc=2&rp=all"
    welcome = Door(REPLY_MODE="stream", WELCOME="bot", WELCOME_INTENT="Hello").post("/twiml")
    assert [verb.tag for verb in ElementTree.fromstring(welcome.text)] == ["Connect", "Redirect"]


def test_in_stream_mode_a_lost_stream_counts_once_however_long_it_was_there() -> None:
    response = Door(REPLY_MODE="stream").post(f"/twiml/resume?lost=1&of={STREAM_SID}")
    *_, connect, redirect = ElementTree.fromstring(response.text)
    assert connect.tag == "Connect"
    assert stream(response, "Connect").attrib["name"] == "lexbridge-1-44444444"
    told = parameters(response, "Connect")
    assert has_a_token(told)
    assert told == {"lexbridge:resumed": "lost", "lexbridge:streams-lost": "1", **FACTS}
    assert redirect.text is not None
    assert "lost=2&" in redirect.text


def test_in_stream_mode_a_lost_stream_is_followed_by_its_own_document_and_by_no_update() -> None:
    control = Control()
    door = Door(control=control, REPLY_MODE="stream")
    assert door.post("/stream-status", LOST_STREAM).status_code == 204
    closed: list[str] = []
    mine = live_stream(FORM["CallSid"])
    door.calls.began(dataclasses.replace(mine, close=lambda: closed.append(mine.stream_sid)))
    door.post("/stream-status", LOST_STREAM)  # the one before: the call goes on over this one
    assert closed == []
    door.post("/stream-status", {**LOST_STREAM, "StreamSid": mine.stream_sid})  # this process had not noticed
    assert closed == [mine.stream_sid]
    assert control.told == []


def test_gathered_keys_go_to_a_new_stream_in_the_place_of_the_one_they_were_pressed_over(logged: Logged) -> None:
    response = Door().post(f"/twiml/keys?of={STREAM_SID}", {**FORM, "Digits": "428153"})
    stop, start, gather, _ = ElementTree.fromstring(response.text)
    assert [stop.tag, start.tag, gather.tag] == ["Stop", "Start", "Gather"]
    assert stop[0].attrib["name"] == STREAM_SID
    assert [verb.tag for verb in gather] == ["Pause"]
    told = parameters(response)
    assert has_a_token(told)
    assert told.pop("lexbridge:spoken-ms") == "0"
    assert told == {"lexbridge:resumed": "keyed", "lexbridge:keys": "428153", **FACTS}
    assert re.fullmatch(r"lexbridge-0-[-0-9]{1,8}", stream(response).attrib["name"])
    (line,) = [line for line in logged() if line["event"] == "keys-gathered"]
    assert line["keys"] == 6
    assert "428153" not in str(logged())


def test_a_live_stream_is_told_why_another_one_takes_its_place() -> None:
    door, told = Door(), list[str]()
    sids = FORM["CallSid"], STREAM_SID
    door.calls.began(LiveStream(*sids, lambda: None, lambda: None, lambda: None, leaves=told.append))
    door.post(f"/twiml/keys?of={STREAM_SID}", {**FORM, "Digits": ""})  # it goes on
    assert told == []
    door.post(f"/twiml/keys?of={STREAM_SID}", {**FORM, "Digits": "12"})
    door.post(f"/twiml/resume?lost=1&after={STREAM_SID}")
    assert told == ["keys", "document ran out"]


def test_a_lone_end_character_where_keys_were_asked_for_has_them_asked_for_again() -> None:
    response = Door().post(f"/twiml/keys?of={STREAM_SID}&asks=1", {**FORM, "Digits": ""})
    told = parameters(response)
    assert (told["lexbridge:resumed"], told["lexbridge:keys"]) == ("keyed", "")
    held = ElementTree.fromstring(Door().post(f"/twiml/keys?of={STREAM_SID}", {**FORM, "Digits": ""}).text)
    assert [verb.tag for verb in held] == ["Gather", "Redirect"]


@pytest.mark.parametrize(("voice", "attributes"), [("", {}), ("&voice=Polly.Vicki", {"voice": "Polly.Vicki"})])
def test_who_was_silent_for_too_long_where_keys_were_asked_for_hears_a_goodbye(
    voice: str, attributes: dict[str, str], logged: Logged
) -> None:
    say, hangup = ElementTree.fromstring(Door().post(f"/twiml/resume?silent=1{voice}").text)
    assert (say.text, say.attrib, hangup.tag) == (
        "Sorry, I did not hear anything. Goodbye.",
        attributes,
        "Hangup",
    )
    assert [line["event"] for line in logged()] == ["silent-caller-left"]


@pytest.mark.parametrize(
    ("trouble", "event"),
    [
        (None, "silent-caller-left"),  # another process has the stream
        (CallGone("Twilio answered 404"), "call-resumed"),
        (CallControlUnavailable("Twilio answered 503"), "call-resumed"),
    ],
)
def test_who_was_silent_is_left_only_if_somebody_would_have_heard_them(
    trouble: CallControlError | None, event: str, logged: Logged
) -> None:
    control = Control(trouble)
    door = Door(control)
    twiml = door.post(f"/twiml/resume?silent=1&after={STREAM_SID}").text
    assert ("<Hangup" in twiml, "<Stream" in twiml) == (event == "silent-caller-left", event == "call-resumed")
    assert event in [line["event"] for line in logged()]


def test_who_was_silent_is_left_without_asking_twilio_where_their_stream_is_here() -> None:
    control = Control()
    door = Door(control)
    door.calls.began(live_stream(FORM["CallSid"]))
    assert "<Hangup" in door.post(f"/twiml/resume?silent=1&after={STREAM_SID}").text
    assert control.told == []


def test_the_callers_number_goes_to_the_bot_only_if_it_may() -> None:
    told = parameters(Door().post("/twiml"))
    assert has_a_token(told)
    assert told == FACTS
    shared = parameters(Door(SHARE_CALLER_NUMBER="on").post("/twiml"))
    assert has_a_token(shared)
    assert shared == {**FACTS, "lexbridge:caller-number": "+12065550100"}


def test_in_a_call_that_we_placed_the_person_is_the_one_who_was_called() -> None:
    form = {**FORM, "Direction": "outbound-api", "From": "+12065550199", "To": "+12065550100"}
    told = parameters(Door().post("/twiml", form))
    assert told["lexbridge:called-number"] == "+12065550199"
    assert "+12065550100" not in told.values()
    assert parameters(Door(SHARE_CALLER_NUMBER="on").post("/twiml", form))["lexbridge:caller-number"] == "+12065550100"


def test_a_full_process_is_busy_and_says_so() -> None:
    door = Door(MAX_CALLS="1")
    record = live_stream("CA" + "3" * 32)
    door.calls.began(record)
    busy = door.post("/twiml")
    assert "Sorry, all lines are busy." in busy.text
    assert [verb.tag for verb in ElementTree.fromstring(busy.text)] == ["Say", "Hangup"]
    door.calls.ended(record)
    assert "Go." in door.post("/twiml").text


@pytest.mark.parametrize("path", ["/twiml", "/twiml/resume", "/twiml/keys", "/stream-status"])
@pytest.mark.parametrize(
    "signature",
    [None, "", "AAAA", "\udcff", "x" * 5000],
    ids=["none", "empty", "wrong", "a surrogate", "long"],
)
def test_an_unsigned_webhook_is_refused(path: str, signature: str | None) -> None:
    headers = (
        {} if signature is None else {"X-Twilio-Signature": signature.encode("utf-8", "replace").decode("latin-1")}
    )
    response = Door().client.post(path, data=FORM, headers=headers)
    assert response.status_code == 403
    assert "Twilio" not in response.text


def test_a_webhook_signed_for_another_address_or_by_another_token_is_refused() -> None:
    door = Door()
    assert door.post("/twiml", token="f" * 32).status_code == 403
    assert door.post("/twiml", address="https://evil.example/twiml").status_code == 403
    assert door.post("/twiml", address="http://voice.example.com/twiml").status_code == 403
    signature = RequestValidator(TOKEN).compute_signature("https://evil.example/twiml", FORM)
    told = {"X-Twilio-Signature": signature, "Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    assert door.client.post("/twiml", data=FORM, headers=told).status_code == 403


def test_a_changed_form_is_refused() -> None:
    door = Door()
    signature = RequestValidator(TOKEN).compute_signature(door.settings.url + "/twiml", FORM)
    changed = {**FORM, "CallSid": "CA" + "9" * 32}
    assert door.client.post("/twiml", data=changed, headers={"X-Twilio-Signature": signature}).status_code == 403


def test_the_secondary_token_is_accepted_while_tokens_are_rotated() -> None:
    door = Door(TWILIO_AUTH_TOKEN_SECONDARY="e" * 32)
    assert door.post("/twiml", token="e" * 32).status_code == 200
    assert door.post("/twiml").status_code == 200


def test_a_query_string_is_part_of_what_is_signed() -> None:
    door = Door()
    assert door.post("/twiml?menu=1&x=%20").status_code == 200
    assert door.post("/twiml?menu=1", address=door.settings.url + "/twiml").status_code == 403


def test_a_body_beyond_any_webhook_is_refused_unread() -> None:
    assert Door().post("/twiml", {**FORM, "Body": "x" * (MAX_BODY_BYTES + 1)}).status_code == 413


SHAPED = "A" * 27 + "="
"""What looks like a signature, and is worth checking."""


class Unread(BytesIO):
    """A body that must not be touched."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise AssertionError(f"{size} bytes of it were asked for")

    readline = readinto = read  # type: ignore[assignment]


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_a_body_said_to_be_beyond_any_webhook_is_refused_before_it_is_read(content_type: str) -> None:
    said = {"CONTENT_LENGTH": str(MAX_BODY_BYTES + 1), "wsgi.input": Unread(), "HTTP_X_TWILIO_SIGNATURE": SHAPED}
    assert Door().client.post("/twiml", content_type=content_type, environ_overrides=said).status_code == 413


def test_a_file_beyond_any_webhook_is_refused() -> None:
    """Werkzeug's bound of a form's memory does not count files."""
    attached = {**FORM, "file": (BytesIO(bytes(MAX_BODY_BYTES + 1)), "big.bin")}
    assert Door().client.post("/twiml", data=attached, headers={"X-Twilio-Signature": SHAPED}).status_code == 413


def test_a_field_that_comes_twice_is_signed_with_all_its_values() -> None:
    door = Door()
    form = MultiDict([*FORM.items(), ("Extra", "2"), ("Extra", "1")])
    signature = RequestValidator(TOKEN).compute_signature(door.settings.url + "/twiml", form)
    told = {"X-Twilio-Signature": signature}
    assert door.client.post("/twiml", data=form, headers=told).status_code == 200
    once = MultiDict([*FORM.items(), ("Extra", "2")])
    assert door.client.post("/twiml", data=once, headers=told).status_code == 403


@pytest.mark.parametrize(
    "changes",
    [
        {"Digits": "1234Directioninbound"},
        {"CallSid": "CA" + "2" * 32 + "CallStatusringing"},
        {"AccountSid": "AC"},
        {"?of=": "lexbridge-0"},
        {"": "x"},
        {"Direction": "inbound", "StreamSid": "MZ1"},
    ],
    ids=str,
)
def test_a_signed_form_whose_fields_are_not_of_their_forms_is_refused(changes: dict[str, str]) -> None:
    """As the signature covers names and values without marks between them, a captured form could be cut anew."""
    assert Door().post("/twiml/keys", {**FORM, **changes}).status_code == 400


@pytest.mark.parametrize("missing", ["CallSid", "AccountSid"])
def test_a_signed_form_without_its_call_is_refused(missing: str) -> None:
    assert Door().post("/twiml", {name: value for name, value in FORM.items() if name != missing}).status_code == 400


def get(door: Door, target: str, token: str = TOKEN) -> TestResponse:
    """The answer to a webhook by GET."""
    signature = RequestValidator(token).compute_signature(door.settings.url + target, {})
    return door.client.get(target, headers={"X-Twilio-Signature": signature})


@pytest.mark.parametrize("path", ["/twiml", "/twiml/"])
def test_a_call_is_answered_by_get_too(path: str) -> None:
    form = {**FORM, "From": "sip:zo\u00eb@example.com", "FromCity": "", "Extra": "a b&c=d"}
    response = get(Door(SHARE_CALLER_NUMBER="on"), f"{path}?bot=sales&{urlencode(form)}")
    assert response.status_code == 200
    told = parameters(response)
    assert has_a_token(told)
    assert told == {**FACTS, "lexbridge:caller-number": "sip:zo\u00eb@example.com"}


def test_other_webhooks_are_answered_by_get_too() -> None:
    door = Door()
    resumed = get(door, f"/twiml/resume?lost=1&of={STREAM_SID}&{urlencode(FORM)}")
    assert stream(resumed).attrib["name"] == "lexbridge-1-44444444"
    keyed = get(door, f"/twiml/keys?of=lexbridge-0&{urlencode({**FORM, 'Digits': '12#'})}")
    assert parameters(keyed)["lexbridge:keys"] == "12#"
    assert get(door, f"/stream-status?{urlencode({**FORM, 'StreamEvent': 'stream-stopped'})}").status_code == 204


def test_the_slash_at_the_end_of_the_webhook_is_served_if_it_is_signed() -> None:
    assert Door().post("/twiml/").status_code == 200
    assert Door().post("/twiml/", address="https://voice.example.com/twiml").status_code == 403


QUERY = urlencode(FORM)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        (QUERY, 200),
        (f"{QUERY}&CallSid=CA{'2' * 32}", 200),
        (f"{QUERY}&CallSid=CA{'3' * 32}", 400),
        (f"{QUERY}&Digits=x", 400),
        (f"{QUERY}&=x", 400),
        (f"{QUERY}&FromCity=%ff", 400),
        (QUERY.replace("CallSid=", "Sid="), 400),
        (QUERY + "&a=1" * 194, 200),
        (QUERY + "&a=1" * 195, 400),
        ("a=b", 400),
    ],
)
def test_the_fields_of_a_get_are_held_to_the_same_rules(query: str, status: int) -> None:
    assert get(Door(), f"/twiml?{query}").status_code == status


def test_a_get_has_to_be_signed_for_the_query_as_it_came() -> None:
    door = Door()
    signature = RequestValidator(TOKEN).compute_signature(f"{door.settings.url}/twiml?{QUERY}", {})
    told = {"X-Twilio-Signature": signature}
    assert door.client.get(f"/twiml?{QUERY}", headers=told).status_code == 200
    for query in (f"{QUERY}&", QUERY.replace("%2B", "%2b"), QUERY.replace("inbound", "outbound"), ""):
        assert door.client.get(f"/twiml?{query}", headers=told).status_code == 403
    assert door.client.get(f"/twiml?{QUERY}").status_code == 403
    assert get(door, f"/twiml?{QUERY}", token="f" * 32).status_code == 403


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE"])
def test_a_webhook_takes_no_other_methods(method: str) -> None:
    door = Door()
    signature = RequestValidator(TOKEN).compute_signature(f"{door.settings.url}/twiml?{QUERY}", {})
    response = door.client.open(f"/twiml?{QUERY}", method=method, headers={"X-Twilio-Signature": signature})
    assert response.status_code == 405


def reason(decided: Refusal | DirectAnswer | Admitted) -> str:
    """The reason that is logged of a request."""
    if isinstance(decided, Refusal):
        return decided.reason
    assert isinstance(decided, Admitted)
    return decided.oddity.reason if decided.oddity else "none"


@pytest.mark.parametrize(
    ("method", "target", "signed", "why"),
    [
        ("POST", "/twiml", "https://voice.example.com/twiml", "none"),
        ("POST", "/twiml/", "https://voice.example.com/twiml/", "none"),
        ("POST", "/twiml", None, "webhook: no signature"),
        ("GET", f"/twiml?{QUERY}", None, "webhook: no signature"),
        ("POST", "/twiml", "http://voice.example.com/twiml", "webhook: signed for another scheme"),
        ("POST", "/twiml/", "https://voice.example.com/twiml", "webhook: signed for another trailing slash"),
        ("GET", f"/twiml?{QUERY}", "https://voice.example.com/twiml", "webhook: signed for another method and query"),
        ("GET", "/twiml", "https://voice.example.com/twiml", "webhook: GET without fields"),
        ("PUT", "/twiml", None, "webhook by another method"),
        ("HEAD", "/twiml", "https://voice.example.com/twiml", "webhook by another method"),
        ("POST", "/Twiml", None, "path near a webhook's"),
        ("POST", "/", "https://voice.example.com/", "webhook at an unknown path"),
        ("POST", "/voice", "https://voice.example.com/voice", "webhook at an unknown path"),
        ("POST", "/voice", "https://elsewhere.example/voice", "unknown path"),
        ("GET", "/robots.txt", None, "unknown path"),
    ],
)
def test_the_log_tells_why_a_request_is_refused(method: str, target: str, signed: str | None, why: str) -> None:
    assert reason(Door().admit(method, target, signed)) == why


def test_a_stray_form_that_cannot_be_read_is_told_as_well() -> None:
    decided = Door().admit("POST", "/voice", "https://voice.example.com/voice", **{"content-type": "text/json"})
    assert reason(decided) == "unknown path"


def test_only_so_many_wrong_signatures_are_looked_into() -> None:
    door = Door()
    wrong = [reason(door.admit("POST", "/twiml", "http://voice.example.com/twiml")) for _ in range(100)]
    assert wrong[: int(EXPLAINED_BURST)] == ["webhook: signed for another scheme"] * int(EXPLAINED_BURST)
    assert wrong.count("webhook: wrong signature") > 80
    signed = RequestValidator("f" * 32).compute_signature("wss://voice.example.com/", {})
    assert "socket: wrong signature" in [handshake(door, signed)[1] for _ in range(5)]  # type: ignore[index]
    assert reason(door.admit("POST", "/twiml", "https://voice.example.com/twiml")) == "none"


def test_a_stream_error_is_logged_and_nothing_private_with_it(logged: Logged) -> None:
    form = {**FORM, "StreamSid": STREAM_SID, "StreamEvent": "stream-error", "StreamError": "31920 handshake"}
    assert Door().post("/stream-status", form).status_code == 204
    (line,) = [line for line in logged() if line["event"] == "stream-status"]
    assert (line["level"], line["what"], line["error"]) == ("error", "stream-error", "31920 handshake")
    assert "+1206" not in str(logged())


def test_a_stopped_stream_is_no_error(logged: Logged) -> None:
    Door().post("/stream-status", {**FORM, "StreamEvent": "stream-stopped"})
    assert [line["level"] for line in logged() if line["event"] == "stream-status"] == ["debug"]


HANDSHAKE = {"upgrade": "websocket", "connection": "Upgrade"}


def handshake(door: Door, signature: str, open_sockets: int = 0) -> object:
    """What becomes of a handshake with the media socket: True if it is let in, else the status line and the reason."""
    head = Head("GET", "/", "HTTP/1.1", {**HANDSHAKE, "x-twilio-signature": signature})
    match door.admission.check_request(Request(head), open_sockets):
        case Refusal(status, reason):
            return status, reason
        case Admitted(is_signed):
            return is_signed
    return None


def test_a_probe_is_answered_by_the_server_whether_by_get_or_head() -> None:
    door = Door()
    for method in ("GET", "HEAD"):
        for path in ("/ping", "/ready"):
            answer = door.admission.check_request(Request(Head(method, path, "HTTP/1.1", {})), 0)
            assert isinstance(answer, DirectAnswer)
            assert answer.status == "200 OK"


def test_a_handshake_is_let_in_if_it_is_signed_and_there_is_room() -> None:
    door = Door(MAX_CALLS="1")
    signed = RequestValidator(TOKEN).compute_signature("wss://voice.example.com/", {})
    assert handshake(door, signed) is True
    assert handshake(door, "AAAA") == ("403 Forbidden", "socket: malformed signature")
    door.calls.is_draining = True
    assert handshake(door, signed) is True  # it may be a live call's, which has nowhere else to go
    door.calls.leave(1)
    assert handshake(door, signed) is True  # or may have found this process before it stopped listening
    assert handshake(door, "AAAA") == ("403 Forbidden", "socket: malformed signature")  # a stranger learns nothing
    door.calls.began(live_stream("CA" + "3" * 32))
    assert handshake(door, signed) is True  # so may this one
    door.calls.began(live_stream("CA" + "4" * 32))
    assert handshake(door, signed) == ("503 Service Unavailable", "full")


def test_sockets_on_which_no_stream_has_started_count_too() -> None:
    door = Door(MAX_CALLS="3")
    signed = RequestValidator(TOKEN).compute_signature("wss://voice.example.com/", {})
    assert handshake(door, signed, open_sockets=5) is True
    assert handshake(door, signed, open_sockets=6) == ("503 Service Unavailable", "full")
    assert handshake(door, "AAAA", open_sockets=6) == ("403 Forbidden", "socket: malformed signature")


def test_a_process_that_leaves_answers_for_the_others_and_lets_go_of_its_connections() -> None:
    door = Door()
    assert "Connection" not in door.post("/twiml").headers
    door.calls.is_draining = door.calls.others_are_ready = True
    door.calls.leave(1)
    answered = door.post("/twiml")
    assert "Go." in answered.text
    assert answered.headers["Connection"] == "close"
    assert door.client.get("/ready").status_code == 200


def test_ready_says_whether_a_new_call_would_be_taken() -> None:
    door = Door(MAX_CALLS="1")
    assert door.client.get("/ready").status_code == 200
    door.calls.began(live_stream("CA" + "3" * 32))
    full = door.client.get("/ready")
    assert (full.status_code, full.json) == (503, {"status": "full", "live_calls": 1})
    door.calls.is_draining = True
    draining = door.client.get("/ready")
    assert (draining.status_code, draining.json) == (503, {"status": "draining", "live_calls": 1})
    assert "all lines are busy" in door.post("/twiml").text


def test_ping_says_that_the_process_lives() -> None:
    response = Door().client.get("/ping")
    assert (response.status_code, response.json) == (200, {"status": "ok", "live_calls": 0})


def test_probes_tell_the_live_calls_of_all_workers() -> None:
    door = Door()
    door.calls.began(live_stream("CA" + "3" * 32))
    door.calls.calls_of_others = 4
    assert door.client.get("/ping").json == {"status": "ok", "live_calls": 5}
    assert door.client.get("/ready").json == {"status": "ready", "live_calls": 5}


def test_a_plain_request_to_the_socket_is_told_what_it_is() -> None:
    response = Door().client.get("/")
    assert response.status_code == 426
    assert response.headers["Upgrade"] == "websocket"


def test_an_unknown_address_is_not_found() -> None:
    assert Door().client.get("/nothing").status_code == 404


@pytest.mark.parametrize("path", ["//", "//ping", "/ping/", "/twiml//resume"])
def test_an_address_that_is_nearly_ours_is_not_found(path: str) -> None:
    assert Door().client.get(path).status_code == 404


def test_no_answer_names_the_token() -> None:
    door = Door()
    for path in ("/twiml", "/twiml/resume", "/twiml/keys", "/ping"):
        assert not re.search(TOKEN, door.post(path).text)


# -- how far a call has come, for MAX_CALL_S and MAX_TURNS


def counted(response: TestResponse, verb: str = "Start") -> list[int]:
    told = parameters(response, verb)
    return [int(told[f"lexbridge:{name}"]) for name in ("began", "age-s", "turns")]


@pytest.mark.parametrize("limit", [{"MAX_CALL_S": "600"}, {"MAX_TURNS": "20"}])
def test_a_call_is_counted_from_its_first_webhook(limit: dict[str, str]) -> None:
    response = Door(**limit).post("/twiml?began=1000000000&turns=7")
    began, age_s, turns = counted(response)
    assert (time.time() - began < 60, age_s < 60, turns) == (True, True, 0)
    assert response.text.count(f"began={began}&amp;turns=0#") == 3


def test_what_is_said_before_a_two_way_stream_counts_too() -> None:
    response = Door(MAX_TURNS="20", REPLY_MODE="stream", GREETING="word " * 60).post("/twiml")
    assert 21 <= counted(response, "Connect")[1] < 80


@pytest.mark.parametrize("path", ["/twiml/resume?lost=1&", "/twiml/keys?"])
def test_a_stream_that_goes_on_with_a_call_is_told_how_far_it_has_come(path: str) -> None:
    began_s = round(time.time()) - 300
    told = f"of={STREAM_SID}&began={began_s}&turns=7"
    response = Door(MAX_CALL_S="600").post(f"{path}{told}", {**FORM, "Digits": "12"})
    began, age_s, turns = counted(response)
    assert (began, turns) == (began_s, 7)
    assert 300 <= age_s < 360
    assert response.text.count(f"began={began_s}&amp;turns=7#") == 3


def test_a_document_without_keys_and_one_for_a_lost_stream_pass_it_on() -> None:
    control = Control()
    door = Door(control=control, MAX_TURNS="9")
    assert "began=1795846066&amp;turns=7#" in door.post(f"/twiml/keys?of={STREAM_SID}&began=1795846066&turns=7").text
    door.post("/stream-status?began=1795846066&turns=7", LOST_STREAM)
    assert "began=1795846066&amp;turns=7#" in str(control.told)


def test_without_limits_nobody_is_told() -> None:
    response = Door().post(f"/twiml/resume?lost=1&of={STREAM_SID}&began=1795846066&turns=7")
    assert "began" not in response.text
    assert "lexbridge:age-s" not in response.text
