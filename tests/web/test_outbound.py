"""Webhooks of calls that were placed: who speaks first, machines, and the facts that the bot gets."""

import dataclasses
from pathlib import Path
from xml.etree import ElementTree

import pytest
from werkzeug.test import TestResponse

from lexbridge.config.matching import Fact, Match, Texts
from lexbridge.errors import CallControlUnavailable, CallGone
from lexbridge.net.policies import Admitted
from tests.support.fixtures import Logged
from tests.support.hook_server import HookServer, says
from tests.support.lines import line, lines
from tests.support.live_calls import live_stream
from tests.support.webhook_client import FACTS, FORM, LOST_STREAM, Control, WebhookClient, get, has_a_token, parameters

OUTBOUND = {**FORM, "Direction": "outbound-api", "From": "+12065550199", "To": "+12065550100"}
OUTBOUND_FACTS = {**FACTS, "lexbridge:direction": "outbound-api"}
MACHINE = {**OUTBOUND, "AnsweredBy": "machine_end_beep"}
AMD = {"CallSid": FORM["CallSid"], "AccountSid": FORM["AccountSid"], "AnsweredBy": "machine_end_beep"}
HANGUP = {"MACHINE_HANGUP": "on"}
TEXT, INTENT = {"MACHINE_TEXT": "Please call us back."}, {"MACHINE_INTENT": "VoicemailIntent"}
GREETING = {"GREETING": "Hello."}
MODES = pytest.mark.parametrize(("mode", "verb"), [("call-update", "Start"), ("stream", "Connect")])


def verbs(text: str) -> list[str]:
    """Return the verbs of a document, and in place of a `<Say>` its words."""
    nodes = list(ElementTree.fromstring(text).iter())[1:]
    return [node.text or "" if node.tag == "Say" else node.tag for node in nodes if node.tag != "Parameter"]


def addresses(response: TestResponse) -> list[str]:
    """Return all addresses of a document that Twilio asks later."""
    nodes = list(ElementTree.fromstring(response.text).iter())
    told = [node.attrib.get("action") or node.attrib.get("statusCallback") or node.text or "" for node in nodes]
    return [text.partition("#")[0].removeprefix("https://voice.example.com") for text in told if text[:5] == "https"]


def told(response: TestResponse, verb: str = "Start") -> dict[str, str]:
    """Return what the stream is told, without its token."""
    sent = parameters(response, verb)
    assert has_a_token(sent)
    return sent


def lines_of(logged: Logged, event: str) -> list[dict[str, object]]:
    """Return the log lines of an event."""
    return [dict(line) for line in logged() if line["event"] == event]


# -- the callee speaks first


@MODES
@pytest.mark.parametrize("direction", ["outbound-api", "outbound-dial"])
def test_a_callee_is_not_greeted_by_the_first_document(mode: str, verb: str, direction: str) -> None:
    twilio = WebhookClient(REPLY_MODE=mode, **GREETING)
    response = twilio.post("/twiml", {**OUTBOUND, "Direction": direction})
    assert "Hello." not in verbs(response.text)
    sent = told(response, verb)
    assert sent == {**OUTBOUND_FACTS, "lexbridge:direction": direction, "lexbridge:callee-first": "1"}
    assert all("callee=1" in address for address in addresses(response))


def test_a_callee_hears_the_notice_and_then_the_greeting_at_once(tmp_path: Path) -> None:
    twilio = WebhookClient(RECORD_DIR=str(tmp_path), RECORD_NOTICE="Recorded.", **GREETING)
    response = twilio.post("/twiml", OUTBOUND)
    assert verbs(response.text)[:2] == ["Recorded.", "Start"]
    assert told(response)["lexbridge:callee-first"] == "0"
    assert all("callee=0" in address for address in addresses(response))


@pytest.mark.parametrize("answered_by", ["human", "unknown"])
def test_a_callee_whom_twilio_has_heard_is_not_waited_for(answered_by: str) -> None:
    response = WebhookClient().post("/twiml", {**OUTBOUND, "AnsweredBy": answered_by})
    assert told(response)["lexbridge:callee-first"] == "0"


@pytest.mark.parametrize(
    ("mode", "verb", "path"),
    [
        ("call-update", "Start", "/twiml/resume?lost=1&of=MZ1&"),
        ("call-update", "Start", "/twiml/keys?of=MZ1&"),
        ("stream", "Connect", "/twiml/resume?lost=1&of=MZ1&"),
    ],
)
def test_the_next_stream_knows_that_nobody_greeted(mode: str, verb: str, path: str) -> None:
    twilio = WebhookClient(REPLY_MODE=mode)
    response = twilio.post(f"{path}callee=1", {**OUTBOUND, "Digits": "5"})
    assert told(response, verb)["lexbridge:callee-first"] == "1"
    assert all("callee=1" in address for address in addresses(response))
    assert "lexbridge:callee-first" not in told(twilio.post(path, {**OUTBOUND, "Digits": "5"}), verb)


def test_a_lost_stream_keeps_what_its_address_said() -> None:
    control = Control()
    WebhookClient(control).post("/stream-status?callee=1&fact.answered-by=human", LOST_STREAM)
    ((_, _, twiml),) = control.requests
    assert "callee=1&amp;fact.answered-by=human" in twiml


def test_a_protected_greeting_stands_before_its_gather() -> None:
    protected = WebhookClient(PROTECT_FIRST="on", **GREETING).post("/twiml")
    assert verbs(protected.text) == ["Start", "Stream", "Hello.", "Gather", "Pause", "Redirect"]
    usual = WebhookClient(**GREETING).post("/twiml")
    assert verbs(usual.text) == ["Start", "Stream", "Gather", "Hello.", "Pause", "Redirect"]


# -- machines


@pytest.mark.parametrize(
    ("answered_by", "variables"), [("machine_start", HANGUP), ("machine_end_beep", HANGUP), ("fax", {})]
)
def test_a_machine_is_hung_up_if_that_is_wanted(answered_by: str, variables: dict[str, str], logged: Logged) -> None:
    response = WebhookClient(**variables).post("/twiml", {**MACHINE, "AnsweredBy": answered_by})
    assert verbs(response.text) == ["Hangup"]
    (line,) = lines_of(logged, "machine-answered")
    assert (line["answered_by"], line["does"], line["is_async"]) == (answered_by, "hang-up", False)


@pytest.mark.parametrize("answered_by", ["machine_start", "machine_end_beep"])
def test_the_bot_talks_with_a_machine_and_knows_it(answered_by: str) -> None:
    """Without a setting for machines, the bot itself decides."""
    response = WebhookClient().post("/twiml", {**MACHINE, "AnsweredBy": answered_by})
    assert "Stream" in verbs(response.text)
    assert told(response)["lexbridge:answered-by"] == answered_by
    control = Control()
    assert WebhookClient(control).post("/twiml/answered-by", AMD).status_code == 204
    assert control.requests == []


@pytest.mark.parametrize("mode", ["call-update", "stream"])
def test_a_machine_after_its_beep_hears_the_text(mode: str) -> None:
    response = WebhookClient(REPLY_MODE=mode, **TEXT).post("/twiml", MACHINE)
    assert verbs(response.text) == ["Please call us back.", "Hangup"]


@MODES
@pytest.mark.parametrize(
    ("variables", "answered_by"),
    [(TEXT, "machine_start"), (INTENT, "machine_start"), (INTENT, "machine_end_silence")],
)
def test_a_stream_listens_to_a_machine(mode: str, verb: str, variables: dict[str, str], answered_by: str) -> None:
    response = WebhookClient(REPLY_MODE=mode, **GREETING, **variables).post(
        "/twiml", {**MACHINE, "AnsweredBy": answered_by}
    )
    assert "Hello." not in verbs(response.text)
    assert told(response, verb) == {
        **OUTBOUND_FACTS,
        "lexbridge:answered-by": answered_by,
        "lexbridge:machine": answered_by,
    }
    assert all(f"machine={answered_by}" in address for address in addresses(response))


def test_the_next_stream_knows_of_the_machine() -> None:
    response = WebhookClient(**INTENT).post("/twiml/resume?lost=1&of=MZ1&machine=machine_start", OUTBOUND)
    assert told(response)["lexbridge:machine"] == "machine_start"
    odd = WebhookClient(**INTENT).post("/twiml/resume?lost=1&of=MZ1&machine=%3Cx", OUTBOUND)
    assert "lexbridge:machine" not in told(odd)


@pytest.mark.parametrize("answered_by", ["human", "unknown"])
def test_a_person_talks_with_the_bot(answered_by: str, logged: Logged) -> None:
    response = WebhookClient(**TEXT).post("/twiml", {**MACHINE, "AnsweredBy": answered_by})
    assert told(response)["lexbridge:answered-by"] == answered_by
    assert lines_of(logged, "machine-answered") == []


# -- detection in the background


@pytest.mark.parametrize(
    ("mode", "variables", "wanted"),
    [
        ("call-update", HANGUP, ["Stop", "Stream", "Hangup"]),
        ("stream", HANGUP, ["Hangup"]),
        ("call-update", TEXT, ["Stop", "Stream", "Please call us back.", "Hangup"]),
        ("stream", TEXT, ["Please call us back.", "Hangup"]),
        ("call-update", INTENT, ["Stop", "Stream", "Start", "Stream", "Gather", "Pause", "Redirect"]),
        ("stream", INTENT, ["Connect", "Stream", "Redirect"]),
    ],
)
def test_a_machine_found_late_leaves_the_bot(mode: str, variables: dict[str, str], wanted: list[str]) -> None:
    control = Control()
    twilio = WebhookClient(control, REPLY_MODE=mode, **variables)
    response = twilio.post("/twiml/answered-by", AMD)
    assert (response.status_code, response.text) == (204, "")
    ((account_sid, call_sid, twiml),) = control.requests
    assert (account_sid, call_sid) == (FORM["AccountSid"], FORM["CallSid"])
    assert verbs(twiml) == wanted
    if wanted[0] == "Stop":
        stopped = ElementTree.fromstring(twiml).find("./Stop/Stream")
        assert stopped is not None
        assert stopped.attrib["name"] == "lexbridge-0"


def test_the_stream_for_a_machine_has_another_name() -> None:
    control = Control()
    WebhookClient(control, **INTENT).post("/twiml/answered-by", AMD)
    opened = ElementTree.fromstring(control.requests[0][2]).find("./Start/Stream")
    assert opened is not None
    assert opened.attrib["name"] == "lexbridge-0-machine"
    sent = {node.attrib["name"]: node.attrib["value"] for node in opened}
    assert has_a_token(sent)
    assert sent == {"lexbridge:answered-by": "machine_end_beep", "lexbridge:machine": "machine_end_beep"}


@pytest.mark.parametrize("answered_by", ["human", "unknown", ""])
def test_a_person_found_late_changes_nothing(answered_by: str) -> None:
    control = Control()
    response = WebhookClient(control, **TEXT).post("/twiml/answered-by", {**AMD, "AnsweredBy": answered_by})
    assert response.status_code == 204
    assert control.requests == []


def test_the_stream_that_is_live_here_is_stopped_by_its_own_name() -> None:
    """It need not be the first of the call."""
    control = Control()
    twilio = WebhookClient(control, **HANGUP)
    twilio.calls.add(live_stream(FORM["CallSid"], account_sid=FORM["AccountSid"]))
    twilio.post("/twiml/answered-by", AMD)
    stopped = ElementTree.fromstring(control.requests[0][2]).find("./Stop/Stream")
    assert stopped is not None
    assert stopped.attrib["name"] == f"MZ{FORM['CallSid'][2:]}"


@pytest.mark.parametrize(
    ("is_here", "query", "said"),
    [
        (True, "", "Sales called."),
        (False, "", "Please call us back."),
        (False, "?line=sales", "Sales called."),
        (False, "?line=none", "Please call us back."),
        (True, "?line=none", "Sales called."),
    ],
)
def test_a_late_machine_is_one_of_the_calls_line(is_here: bool, query: str, said: str) -> None:
    """Twilio's callback tells no number, by which another process could find the line."""
    control = Control()
    table = lines(line("sales", "+12065550199", MACHINE_TEXT="Sales called."))
    twilio = WebhookClient(control, table=table, **TEXT)
    if is_here:
        twilio.calls.add(
            dataclasses.replace(live_stream(FORM["CallSid"], account_sid=FORM["AccountSid"]), line="sales")
        )
    twilio.post(f"/twiml/answered-by{query}", AMD)
    assert said in verbs(control.requests[0][2])


def test_a_late_machine_is_one_of_an_outbound_line() -> None:
    """Another process finds the line by the query, although Twilio's callback tells no direction."""
    control = Control()
    outbound, seventh = Texts(beginnings=frozenset({"outbound"})), Texts(frozenset("7"))
    match = Match({Fact("direction"): outbound, Fact("query", "campaign"): seventh})
    table = lines(dataclasses.replace(line("campaign", "+1", MACHINE_TEXT="The campaign called."), match=match))
    WebhookClient(control, table=table, **TEXT).post("/twiml/answered-by?campaign=7", AMD)
    assert "The campaign called." in verbs(control.requests[0][2])


def test_the_live_stream_learns_why_it_ends() -> None:
    twilio, reasons = WebhookClient(**HANGUP), list[str]()
    twilio.calls.add(live_stream(FORM["CallSid"], reasons.append, account_sid=FORM["AccountSid"]))
    twilio.post("/twiml/answered-by", AMD)
    assert reasons == ["machine answered"]


@pytest.mark.parametrize(
    ("error", "event"), [(CallGone("gone"), "call-gone"), (CallControlUnavailable("503"), "call-update-failed")]
)
def test_an_update_that_fails_is_logged(error: Exception, event: str, logged: Logged) -> None:
    assert WebhookClient(Control(error), **HANGUP).post("/twiml/answered-by", AMD).status_code == 204
    assert len(lines_of(logged, event)) == 1


def test_only_twilio_tells_who_has_answered() -> None:
    twilio = WebhookClient()
    assert twilio.post("/twiml/answered-by", AMD, token="another").status_code == 403
    assert not isinstance(twilio.admit("POST", "/twiml/answered-by", form=AMD), Admitted)
    signed = twilio.admit("POST", "/twiml/answered-by", "https://voice.example.com/twiml/answered-by", form=AMD)
    assert isinstance(signed, Admitted)
    assert twilio.post("/twiml/answered-by", {**AMD, "AnsweredBy": "<odd>"}).status_code == 400


# -- facts


def test_the_bot_gets_what_is_listed_and_nothing_else() -> None:
    form = {**FORM, "StirVerstat": "TN-Validation-Passed-A", "CallerName": "Ada", "SipHeader_X-Shop": "7"}
    assert told(WebhookClient().post("/twiml?campaign=7", form)) == {
        **FACTS,
        "lexbridge:stir-verstat": "TN-Validation-Passed-A",
    }
    assert told(WebhookClient(CALL_FACTS="none").post("/twiml?campaign=7", form)) == FACTS
    twilio = WebhookClient(CALL_FACTS="query.campaign, CallerName,SipHeader_X-*")
    assert told(twilio.post("/twiml?campaign=7&bot=sales", form)) == {
        **FACTS,
        "lexbridge:query-campaign": "7",
        "lexbridge:caller-name": "Ada",
        "lexbridge:sip-x-shop": "7",
    }


@pytest.mark.parametrize("variables", [{"SHARE_CALLER_NUMBER": "on"}, {"CALL_FACTS": "From"}])
def test_the_number_of_the_person_is_shared_if_allowed(variables: dict[str, str]) -> None:
    twilio = WebhookClient(**variables)
    assert told(twilio.post("/twiml"))["lexbridge:caller-number"] == "+12065550100"
    assert told(twilio.post("/twiml", OUTBOUND))["lexbridge:caller-number"] == "+12065550100"


def test_entries_whose_facts_have_no_room_are_logged(logged: Logged) -> None:
    sent = told(WebhookClient(CALL_FACTS="query.long,query.*").post(f"/twiml?long={'x' * 600}&short=1"))
    assert sent == {**FACTS, "lexbridge:query-short": "1"}
    (line,) = lines_of(logged, "facts-left-out")
    assert (line["entries"], line["count"]) == (["query.long"], 1)
    assert "xxx" not in str(line)


def test_the_name_of_a_sip_header_is_not_logged(logged: Logged) -> None:
    twilio = WebhookClient(CALL_FACTS="SipHeader_X-*")
    twilio.post("/twiml", {**FORM, "SipHeader_X-Tel+436601234567": "x", "SipHeader_X-Long": "y" * 600})
    (line,) = lines_of(logged, "facts-left-out")
    assert (line["entries"], line["count"]) == (["SipHeader_X-*"], 2)
    assert "436601234567" not in str(logged())
    assert "long" not in str(line).lower()


@MODES
def test_facts_go_on_with_the_next_stream(mode: str, verb: str) -> None:
    """Twilio repeats the fields of the call, but not the query of the first address."""
    twilio = WebhookClient(REPLY_MODE=mode, CALL_FACTS="query.*,AnsweredBy,StirVerstat")
    form = {**OUTBOUND, "AnsweredBy": "human", "StirVerstat": "ok"}
    first = twilio.post("/twiml?campaign=a%26b", form)
    del form["AnsweredBy"]
    for address in addresses(first):
        if "resume" in address or "keys" in address:
            assert told(twilio.post(address, {**form, "Digits": "5"}), verb).items() >= told(first, verb).items()


def test_a_get_has_its_own_query_too() -> None:
    twilio = WebhookClient(CALL_FACTS="query.*")
    target = "/twiml?campaign=7&" + "&".join(f"{name}={value.replace('+', '%2B')}" for name, value in FORM.items())
    assert told(get(twilio, target)) == {**FACTS, "lexbridge:query-campaign": "7"}


# -- with a routing hook


def test_the_hooks_attributes_reach_the_bot_for_a_machine_too() -> None:
    with HookServer(says({"attributes": {"tier": "gold"}})).running() as hook:
        response = WebhookClient(**hook.settings, **INTENT).post("/twiml", MACHINE)
        sent = told(response)
        assert (sent["tier"], sent["lexbridge:machine"]) == ("gold", "machine_end_beep")
        assert all("machine=machine_end_beep" in address for address in addresses(response))


def test_the_hooks_greeting_waits_for_the_callee_too() -> None:
    with HookServer(says({"greeting": "Hello Zoë."})).running() as hook:
        response = WebhookClient(**hook.settings).post("/twiml", OUTBOUND)
        assert "Hello Zoë." not in verbs(response.text)
        sent = told(response)
        assert (sent["lexbridge:greeting"], sent["lexbridge:callee-first"]) == ("Hello Zoë.", "1")
