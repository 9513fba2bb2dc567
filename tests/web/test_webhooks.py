"""Answers to Twilio's webhooks: a call's first document, its next streams, its keys."""

import dataclasses
import re
import time
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
from werkzeug.test import TestResponse

from lexbridge.bridge.live_calls import LiveStream
from lexbridge.call.documents import speaking_ms
from lexbridge.errors import CallControlError, CallControlUnavailable, CallGone
from lexbridge.lex.runtime import Deadlines
from lexbridge.web.next_stream_webhooks import LASTED_MS, MAX_STREAMS_LOST, OPENED_MS, WAITS_AFTER_LOST
from tests.support.fixtures import Logged
from tests.support.lines import line, lines
from tests.support.live_calls import live_stream
from tests.support.log_lines import lines_with
from tests.support.rehearsal import wait_until
from tests.support.webhook_client import (
    FACTS,
    FORM,
    LOST_STREAM,
    STREAM_SID,
    Control,
    WebhookClient,
    has_a_token,
    parameters,
    stream,
)


def test_a_document_outlasts_the_longest_joined_turn() -> None:
    def held_s(**changes: str) -> int:
        pause = ElementTree.fromstring(WebhookClient(NO_INPUT_S="20", **changes).post("/twiml/resume").text).find(
            ".//Pause"
        )
        assert pause is not None
        return int(pause.attrib["length"])

    assert held_s() >= 20 + 14.8 + Deadlines().answer_s
    assert held_s(JOIN="on") == held_s() + Deadlines().answer_s


def test_the_operators_connection_overrides_may_be_signed() -> None:
    own = "#rc=3&rp=all&ct=2000"
    twilio = WebhookClient(CONNECTION_OVERRIDES=own[1:])
    response = twilio.post("/twiml", address=f"{twilio.settings.service.url}/twiml{own}")
    _, gather, redirect = ElementTree.fromstring(response.text)
    assert gather.attrib["action"].endswith(own)
    assert (redirect.text or "").endswith(own)
    assert twilio.post("/twiml", address=f"{twilio.settings.service.url}/twiml#rc=1").status_code == 403


def test_a_call_is_greeted_with_a_stream_and_kept() -> None:
    response = WebhookClient().post("/twiml")
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


NOTICE = {"RECORD_NOTICE": "This call is recorded."}


def said(response: TestResponse) -> list[str]:
    """Return the verbs at the top of a document, and in place of a `<Say>` its words."""
    return [verb.text or "" if verb.tag == "Say" else verb.tag for verb in ElementTree.fromstring(response.text)]


@pytest.mark.parametrize("welcome", [{}, {"WELCOME": "bot", "WELCOME_INTENT": "Hello"}])
@pytest.mark.parametrize("mode", ["call-update", "stream"])
def test_a_recorded_call_begins_with_the_notice(mode: str, welcome: dict[str, str], tmp_path: Path) -> None:
    """The notice comes before the stream opens: after that, an answer of the bot's could cut it off."""
    twilio = WebhookClient(REPLY_MODE=mode, RECORD_DIR=str(tmp_path), **NOTICE, **welcome)
    greeting = [] if welcome or mode == "call-update" else ["You will be interacting with Lex bot in 3, 2, 1. Go."]
    begins = ["This call is recorded.", *greeting, "Start" if mode == "call-update" else "Connect"]
    assert said(twilio.post("/twiml"))[: len(begins)] == begins
    resumed = said(twilio.post(f"/twiml/resume?lost=1&of={STREAM_SID}"))
    assert "This call is recorded." not in resumed


@pytest.mark.parametrize("mode", ["call-update", "stream"])
def test_a_call_that_is_not_recorded_has_no_notice(mode: str) -> None:
    assert said(WebhookClient(REPLY_MODE=mode, **NOTICE).post("/twiml")) == said(
        WebhookClient(REPLY_MODE=mode).post("/twiml")
    )


def test_the_token_outlasts_a_long_notice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twilio opens the stream when it has said the notice, which may take a minute."""
    notice = ("This call is recorded, and kept for thirty days. " * 30).strip()
    twilio = WebhookClient(RECORD_DIR=str(tmp_path), RECORD_NOTICE=notice, MAX_CALL_S="3000")
    sent = parameters(twilio.post("/twiml"))
    opens_s = time.time() + speaking_ms(notice) / 1000
    monkeypatch.setattr(time, "time", lambda: opens_s)
    assert has_a_token(sent)
    assert float(sent["lexbridge:age-s"]) >= speaking_ms(notice) / 1000 - 1


def test_a_call_with_a_lost_stream_gets_another_ungreeted() -> None:
    response = WebhookClient().post(f"/twiml/resume?lost=1&of={STREAM_SID}")
    start, gather, redirect = ElementTree.fromstring(response.text)
    assert [start.tag, redirect.tag, *(verb.tag for verb in gather)] == ["Start", "Redirect", "Pause"]
    assert stream(response).attrib["name"] == "lexbridge-1-44444444"
    sent = parameters(response)
    assert has_a_token(sent)
    assert sent == {"lexbridge:resumed": "lost", "lexbridge:streams-lost": "1", **FACTS}
    assert redirect.text is not None
    assert "lost=21&" in redirect.text  # a document that has run out counts as many lost streams


def test_several_lost_streams_end_in_an_apology() -> None:
    """A caller whose streams are lost in a row is asked to wait, and at last hears an apology."""
    twilio = WebhookClient()
    waits = ElementTree.fromstring(twilio.post(f"/twiml/resume?lost={WAITS_AFTER_LOST}&of={STREAM_SID}").text)
    assert [verb.text for verb in waits.iter("Say")] == ["One moment please."]
    last = twilio.post(f"/twiml/resume?lost={MAX_STREAMS_LOST}&of={STREAM_SID}")
    assert stream(last).attrib["name"] == f"lexbridge-{MAX_STREAMS_LOST}-44444444"
    over = ElementTree.fromstring(twilio.post(f"/twiml/resume?lost={MAX_STREAMS_LOST + 1}&of={STREAM_SID}").text)
    assert [verb.tag for verb in over] == ["Say", "Hangup"]


def opened_ms_ago(ms: int) -> str:
    """Return the query in which a document notes when its stream opened."""
    return f"&opens={round(time.time() * 1000) - ms}"


@pytest.mark.parametrize("lasted_ms", [None, -60_000, 0, OPENED_MS, LASTED_MS])
def test_only_short_two_way_streams_are_lost_in_a_row(lasted_ms: int | None) -> None:
    opens = "" if lasted_ms is None else opened_ms_ago(lasted_ms)
    response = WebhookClient(REPLY_MODE="stream").post(f"/twiml/resume?lost=40&of={STREAM_SID}{opens}")
    lost = 1 if lasted_ms == LASTED_MS else 40
    assert stream(response, "Connect").attrib["name"] == f"lexbridge-{lost}-44444444"
    assert parameters(response, "Connect")["lexbridge:streams-lost"] == str(lost)
    spoken = [say.text for say in ElementTree.fromstring(response.text).iter("Say")]
    assert spoken == ([] if lasted_ms in (OPENED_MS, LASTED_MS) else ["One moment please."])


def test_a_two_way_stream_lasts_from_the_end_of_its_words() -> None:
    """A two-way stream lasts from the moment at which its document has finished speaking."""
    twilio = WebhookClient(REPLY_MODE="stream")
    opens = {}
    for lost in (1, 40):
        redirect = ElementTree.fromstring(twilio.post(f"/twiml/resume?lost={lost}&of={STREAM_SID}").text).find(
            "Redirect"
        )
        assert redirect is not None
        (opens_ms,) = re.findall(r"&opens=([0-9]{13})#", redirect.text or "")
        opens[lost] = int(opens_ms) - time.time() * 1000
    assert opens[1] <= 0
    assert opens[40] > 0  # the document says "One moment please." first


@pytest.mark.parametrize("opens", ["", "x", "-1", "9" * 14, "\u0661" * 13, "0"])
def test_a_time_that_is_none_is_not_known(opens: str) -> None:
    response = WebhookClient(REPLY_MODE="stream").post(f"/twiml/resume?lost=2&of={STREAM_SID}&opens={quote(opens)}")
    assert stream(response, "Connect").attrib["name"] == "lexbridge-2-44444444"


@pytest.mark.parametrize("query", ["", "?lost=", "?lost=x", "?lost=-1", "?lost=99999"])
def test_a_count_that_is_none_is_one(query: str) -> None:
    assert stream(WebhookClient().post(f"/twiml/resume{query}")).attrib["name"] == "lexbridge-1"


def test_a_stream_whose_document_ran_out_is_stopped() -> None:
    """A stream whose document ran out is stopped, whichever process serves it."""
    for error in (None, CallGone("404")):
        control = Control(error)
        twilio = WebhookClient(control=control)
        assert twilio.post(f"/twiml/resume?lost=1&after={STREAM_SID}").status_code == 200
        wait_until(lambda control=control: control.requests)
        assert control.requests == [(FORM["AccountSid"], FORM["CallSid"], STREAM_SID)]


def test_nothing_escapes_where_a_stream_is_stopped(logged: Logged) -> None:
    control = Control(ZeroDivisionError("a bug"))
    assert WebhookClient(control=control).post(f"/twiml/resume?lost=1&after={STREAM_SID}").status_code == 200
    wait_until(lambda: [line for line in logged() if line["event"] == "stream-stop-broken"])
    # gevent writes the traceback of an uncaught exception to standard error, in many lines.
    assert control.requests == [(FORM["AccountSid"], FORM["CallSid"], STREAM_SID)]


@pytest.mark.parametrize("error", [None, CallGone("21220"), CallControlUnavailable("503")], ids=str)
def test_a_call_with_a_lost_stream_is_resumed_at_once(error: CallControlError | None) -> None:
    control = Control(error)
    assert WebhookClient(control=control).post("/stream-status", LOST_STREAM).status_code == 204
    ((account_sid, call_sid, twiml),) = control.requests
    assert (account_sid, call_sid) == (FORM["AccountSid"], FORM["CallSid"])
    (redirect,) = ElementTree.fromstring(twiml)
    assert redirect.text == f"https://voice.example.com/twiml/resume?lost=3&of={STREAM_SID}#rc=2&rp=all"


def test_a_call_with_a_newer_stream_here_is_left_alone() -> None:
    control = Control()
    twilio = WebhookClient(control=control)
    twilio.calls.add(live_stream(FORM["CallSid"], account_sid=FORM["AccountSid"]))
    twilio.post("/stream-status", LOST_STREAM)
    assert control.requests == []
    twilio.post(
        "/stream-status", {**LOST_STREAM, "StreamSid": f"MZ{FORM['CallSid'][2:]}"}
    )  # the stream that this process believes to be alive
    assert len(control.requests) == 1


@pytest.mark.parametrize("what", ["stream-started", "stream-stopped"])
def test_a_stream_that_was_not_lost_is_not_resumed(what: str) -> None:
    control = Control()
    WebhookClient(control=control).post("/stream-status", {**LOST_STREAM, "StreamEvent": what})
    assert control.requests == []


def test_in_stream_mode_a_call_is_greeted_and_then_connected() -> None:
    response = WebhookClient(REPLY_MODE="stream").post("/twiml")
    assert [verb.tag for verb in ElementTree.fromstring(response.text)] == ["Say", "Connect", "Redirect"]
    sent = parameters(response, "Connect")
    assert has_a_token(sent)
    assert sent == FACTS
    redirect = ElementTree.fromstring(response.text)[-1]
    assert redirect.text == "https://voice.example.com/twiml/resume?lost=1&of=lexbridge-0#rc=2&rp=all"
    welcome = WebhookClient(REPLY_MODE="stream", WELCOME="bot", WELCOME_INTENT="Hello").post("/twiml")
    assert [verb.tag for verb in ElementTree.fromstring(welcome.text)] == ["Connect", "Redirect"]


def test_in_stream_mode_a_lost_stream_counts_once() -> None:
    """Each lost stream counts once in stream mode, however long it lasted."""
    response = WebhookClient(REPLY_MODE="stream").post(f"/twiml/resume?lost=1&of={STREAM_SID}")
    *_, connect, redirect = ElementTree.fromstring(response.text)
    assert connect.tag == "Connect"
    assert stream(response, "Connect").attrib["name"] == "lexbridge-1-44444444"
    sent = parameters(response, "Connect")
    assert has_a_token(sent)
    assert sent == {"lexbridge:resumed": "lost", "lexbridge:streams-lost": "1", **FACTS}
    assert redirect.text is not None
    assert "lost=2&" in redirect.text


def test_in_stream_mode_a_lost_stream_causes_no_update() -> None:
    """A lost stream causes no call update in stream mode, because its document goes on by itself."""
    control = Control()
    twilio = WebhookClient(control=control, REPLY_MODE="stream")
    assert twilio.post("/stream-status", LOST_STREAM).status_code == 204
    closed: list[str] = []
    mine = live_stream(FORM["CallSid"], account_sid=FORM["AccountSid"])
    twilio.calls.add(dataclasses.replace(mine, close=lambda: closed.append(mine.stream_sid)))
    twilio.post("/stream-status", LOST_STREAM)  # an older stream: the call goes on over the newer one
    assert closed == []
    # The current stream, whose loss this process had not noticed.
    twilio.post("/stream-status", {**LOST_STREAM, "StreamSid": mine.stream_sid})
    assert closed == [mine.stream_sid]
    assert control.requests == []


def test_gathered_keys_go_to_a_new_stream(logged: Logged) -> None:
    """Gathered keys go to a new stream, which replaces the one during which they were pressed."""
    response = WebhookClient().post(f"/twiml/keys?of={STREAM_SID}", {**FORM, "Digits": "428153"})
    stop, start, gather, _ = ElementTree.fromstring(response.text)
    assert [stop.tag, start.tag, gather.tag] == ["Stop", "Start", "Gather"]
    assert stop[0].attrib["name"] == STREAM_SID
    assert [verb.tag for verb in gather] == ["Pause"]
    sent = parameters(response)
    assert has_a_token(sent)
    assert sent.pop("lexbridge:spoken-ms") == "0"
    assert sent == {"lexbridge:resumed": "keyed", "lexbridge:keys": "428153", **FACTS}
    assert re.fullmatch(r"lexbridge-0-[-0-9]{1,8}", stream(response).attrib["name"])
    (line,) = [line for line in logged() if line["event"] == "keys-gathered"]
    assert line["keys"] == 6
    assert not lines_with("428153", logged())


def test_a_live_stream_is_told_why_another_one_takes_its_place() -> None:
    twilio, reasons = WebhookClient(), list[str]()
    sids = FORM["CallSid"], STREAM_SID
    twilio.calls.add(
        LiveStream(
            *sids, lambda: None, lambda: None, lambda: None, note_reason=reasons.append, account_sid=FORM["AccountSid"]
        )
    )
    twilio.post(f"/twiml/keys?of={STREAM_SID}", {**FORM, "Digits": ""})  # the call goes on
    assert reasons == []
    twilio.post(f"/twiml/keys?of={STREAM_SID}", {**FORM, "Digits": "12"})
    twilio.post(f"/twiml/resume?lost=1&after={STREAM_SID}")
    assert reasons == ["keys", "document ran out"]


def test_a_lone_end_character_has_keys_asked_for_again() -> None:
    response = WebhookClient().post(f"/twiml/keys?of={STREAM_SID}&asks=1", {**FORM, "Digits": ""})
    sent = parameters(response)
    assert (sent["lexbridge:resumed"], sent["lexbridge:keys"]) == ("keyed", "")
    held = ElementTree.fromstring(WebhookClient().post(f"/twiml/keys?of={STREAM_SID}", {**FORM, "Digits": ""}).text)
    assert [verb.tag for verb in held] == ["Gather", "Redirect"]


@pytest.mark.parametrize(("voice", "attributes"), [("", {}), ("&voice=Polly.Vicki", {"voice": "Polly.Vicki"})])
def test_a_caller_who_keys_nothing_for_too_long_is_let_go(
    voice: str, attributes: dict[str, str], logged: Logged
) -> None:
    """A caller who should press keys, and is silent for too long, hears a goodbye."""
    say, hangup = ElementTree.fromstring(WebhookClient().post(f"/twiml/resume?silent=1{voice}").text)
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
def test_a_silent_caller_is_left_only_if_a_stream_was_heard(
    trouble: CallControlError | None, event: str, logged: Logged
) -> None:
    """A silent caller hears a goodbye only if a stream would have heard speech."""
    control = Control(trouble)
    twilio = WebhookClient(control)
    twiml = twilio.post(f"/twiml/resume?silent=1&after={STREAM_SID}").text
    assert ("<Hangup" in twiml, "<Stream" in twiml) == (event == "silent-caller-left", event == "call-resumed")
    assert event in [line["event"] for line in logged()]


def test_a_silent_caller_with_a_stream_here_costs_no_request() -> None:
    """A silent caller whose stream is in this process hears a goodbye without a request to Twilio."""
    control = Control()
    twilio = WebhookClient(control)
    twilio.calls.add(live_stream(FORM["CallSid"], account_sid=FORM["AccountSid"]))
    assert "<Hangup" in twilio.post(f"/twiml/resume?silent=1&after={STREAM_SID}").text
    assert control.requests == []


def test_the_callers_number_goes_to_the_bot_only_if_it_may() -> None:
    sent = parameters(WebhookClient().post("/twiml"))
    assert has_a_token(sent)
    assert sent == FACTS
    shared = parameters(WebhookClient(SHARE_CALLER_NUMBER="on").post("/twiml"))
    assert has_a_token(shared)
    assert shared == {**FACTS, "lexbridge:caller-number": "+12065550100"}


def test_in_an_outbound_call_the_caller_is_the_number_called() -> None:
    form = {**FORM, "Direction": "outbound-api", "From": "+12065550199", "To": "+12065550100"}
    sent = parameters(WebhookClient().post("/twiml", form))
    assert sent["lexbridge:called-number"] == "+12065550199"
    assert "+12065550100" not in sent.values()
    assert (
        parameters(WebhookClient(SHARE_CALLER_NUMBER="on").post("/twiml", form))["lexbridge:caller-number"]
        == "+12065550100"
    )


def counted(response: TestResponse, verb: str = "Start") -> list[int]:
    sent = parameters(response, verb)
    return [int(sent[f"lexbridge:{name}"]) for name in ("began", "age-s", "turns")]


@pytest.mark.parametrize("limit", [{"MAX_CALL_S": "600"}, {"MAX_TURNS": "20"}])
def test_a_call_is_counted_from_its_first_webhook(limit: dict[str, str]) -> None:
    response = WebhookClient(**limit).post("/twiml?began=1000000000&turns=7")
    began, age_s, turns = counted(response)
    assert (time.time() - began < 60, age_s < 60, turns) == (True, True, 0)
    assert response.text.count(f"began={began}&amp;turns=0#") == 3


def test_what_is_said_before_a_two_way_stream_counts_too() -> None:
    response = WebhookClient(MAX_TURNS="20", REPLY_MODE="stream", GREETING="word " * 60).post("/twiml")
    assert 21 <= counted(response, "Connect")[1] < 80


@pytest.mark.parametrize("path", ["/twiml/resume?lost=1&", "/twiml/keys?"])
def test_the_next_stream_is_told_how_far_a_call_has_come(path: str) -> None:
    began_s = round(time.time()) - 300
    query = f"of={STREAM_SID}&began={began_s}&turns=7"
    response = WebhookClient(MAX_CALL_S="600").post(f"{path}{query}", {**FORM, "Digits": "12"})
    began, age_s, turns = counted(response)
    assert (began, turns) == (began_s, 7)
    assert 300 <= age_s < 360
    assert response.text.count(f"began={began_s}&amp;turns=7#") == 3


def test_every_next_document_passes_the_counts_on() -> None:
    """A document without keys, and one for a lost stream, pass the call's progress on."""
    control = Control()
    twilio = WebhookClient(control=control, MAX_TURNS="9")
    assert "began=1795846066&amp;turns=7#" in twilio.post(f"/twiml/keys?of={STREAM_SID}&began=1795846066&turns=7").text
    twilio.post("/stream-status?began=1795846066&turns=7", LOST_STREAM)
    assert "began=1795846066&amp;turns=7#" in str(control.requests)


def test_without_limits_nobody_is_told() -> None:
    response = WebhookClient().post(f"/twiml/resume?lost=1&of={STREAM_SID}&began=1795846066&turns=7")
    assert "began" not in response.text
    assert "lexbridge:age-s" not in response.text


FULL_LINE = lines(line("shop", "+12065550111", LINE_MAX_CALLS="10"), line("clinic", "+12065550112"))


def answered(twilio: WebhookClient, number: str, count: int) -> int:
    """Return how many of `count` new calls to a number get a stream, before any of their streams begins."""
    documents = [
        twilio.post("/twiml", {**FORM, "To": number, "CallSid": f"CA{number[-4:]}{each:028x}"}).text
        for each in range(count)
    ]
    return sum("<Stream" in document for document in documents)


def test_a_burst_of_calls_fills_its_line_and_no_other(logged: Logged) -> None:
    twilio = WebhookClient(table=FULL_LINE)
    assert answered(twilio, "+12065550111", 100) == 10
    assert answered(twilio, "+12065550112", 30) == 30
    refused = [one for one in logged() if one["event"] == "call-refused"]
    assert [(one["line"], one["why"]) for one in refused] == [("shop", "line full")] * 90


def test_a_full_line_serves_the_calls_that_it_has() -> None:
    twilio = WebhookClient(table=FULL_LINE)
    assert answered(twilio, "+12065550111", 10) == 10
    again = {**FORM, "To": "+12065550111", "CallSid": f"CA0111{0:028x}"}
    assert "<Stream" in twilio.post("/twiml", again).text
    assert "<Stream" in twilio.post("/twiml/resume?lost=1&line=shop", again).text
