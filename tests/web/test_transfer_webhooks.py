"""Answers to the webhooks of a transfer: the way back to the bot, the goodbye, the whisper; and where calls go on."""

from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest

from lexbridge.twilio.sealed_text import seal
from tests.support.fixtures import Logged
from tests.support.lines import line, lines
from tests.support.rig import TOKEN
from tests.support.webhook_client import FACTS, FORM, WebhookClient, has_a_token, parameters, stream

IN_PROGRESS = {**FORM, "CallStatus": "in-progress"}
AFTER_URL = "https://flows.example.com/next?FlowEvent=return"


def dialled(result: str, **others: str) -> dict[str, str]:
    return {**IN_PROGRESS, "DialCallStatus": result, **others}


def queued(result: str) -> dict[str, str]:
    return {**IN_PROGRESS, "QueueResult": result, "QueueTime": "7"}


def verbs(text: str) -> list[str]:
    """Return the verbs at the top of a document, and in place of a `<Say>` its words."""
    return [verb.text or "" if verb.tag == "Say" else verb.tag for verb in ElementTree.fromstring(text)]


def redirected(text: str) -> dict[str, str]:
    """Return the query of the address to which a document sends the call on."""
    redirect = ElementTree.fromstring(text).find("Redirect")
    assert redirect is not None
    assert redirect.text is not None
    assert redirect.text.startswith("https://flows.example.com/next?")
    return {name: values[0] for name, values in parse_qs(urlsplit(redirect.text).query).items()}


@pytest.mark.parametrize("form", [dialled("busy"), dialled("completed", DialBridged="false"), queued("queue-full")])
@pytest.mark.parametrize(("mode", "verb"), [("call-update", "Start"), ("stream", "Connect")])
def test_a_caller_whom_nobody_took_is_back_with_the_bot(
    form: dict[str, str], mode: str, verb: str, logged: Logged
) -> None:
    response = WebhookClient(REPLY_MODE=mode).post("/twiml/transferred", form)
    status = {"busy": "busy", "completed": "no-answer"}.get(form.get("DialCallStatus", ""), "queue-full")
    sent = parameters(response, verb)
    assert has_a_token(sent)
    assert sent == {"lexbridge:resumed": "returned", "lexbridge:returned": status, **FACTS}
    assert stream(response, verb).attrib["name"].startswith("lexbridge-0-")
    assert f"returned={status}" in stream(response, verb).attrib["statusCallback"]
    assert [(line["event"], line["status"]) for line in logged()] == [("transfer-ended", status)]


def test_a_caller_who_is_back_has_come_as_far_as_before() -> None:
    twilio = WebhookClient(MAX_CALL_S="600")
    response = twilio.post("/twiml/transferred?began=1795846066&turns=3", dialled("no-answer"))
    sent = parameters(response)
    assert (sent["lexbridge:began"], sent["lexbridge:turns"]) == ("1795846066", "3")
    redirect = ElementTree.fromstring(response.text).find("Redirect")
    assert redirect is not None
    assert "began=1795846066&turns=3&returned=no-answer" in str(redirect.text)


@pytest.mark.parametrize("path", ["/twiml/resume?lost=1&returned=busy", "/twiml/keys?of=MZ1&asks=1&returned=busy"])
def test_the_next_stream_learns_of_it_too(path: str) -> None:
    assert parameters(WebhookClient().post(path))["lexbridge:returned"] == "busy"


@pytest.mark.parametrize("path", ["/twiml/resume?lost=1&returned=x", "/twiml/resume?lost=1"])
def test_a_status_that_is_not_ours_is_dropped(path: str) -> None:
    assert "lexbridge:returned" not in parameters(WebhookClient().post(path))


@pytest.mark.parametrize("form", [dialled("completed"), dialled("answered"), queued("bridged")])
def test_a_caller_whom_a_person_has_had_hears_goodbye(form: dict[str, str]) -> None:
    response = WebhookClient().post("/twiml/transferred?voice=Polly.Vicki", form)
    assert verbs(response.text) == ["Goodbye.", "Hangup"]
    assert 'voice="Polly.Vicki"' in response.text


def test_after_a_person_a_call_goes_on_with_what_the_bot_knew(logged: Logged) -> None:
    sealed = seal(TOKEN, "after", "outcome=transferred&slot_Size=big")
    twilio = WebhookClient(AFTER_URL=AFTER_URL)
    response = twilio.post(f"/twiml/transferred?after={sealed}", dialled("completed"))
    assert verbs(response.text) == ["Redirect"]
    assert redirected(response.text) == {"FlowEvent": "return", "outcome": "transferred", "slot_Size": "big"}
    assert [line["event"] for line in logged()] == ["transfer-ended", "sent-on"]
    forged = twilio.post(f"/twiml/transferred?after={sealed[:-1]}", dialled("completed"))
    assert redirected(forged.text) == {"FlowEvent": "return", "outcome": "transferred"}


@pytest.mark.parametrize(
    "form",
    [queued("redirected"), queued("hangup"), {**dialled("no-answer"), "CallStatus": "completed"}],
)
def test_a_caller_who_is_gone_or_elsewhere_is_left_alone(form: dict[str, str]) -> None:
    assert verbs(WebhookClient(AFTER_URL=AFTER_URL).post("/twiml/transferred", form).text) == []


LINES = lines(
    line("shop", "+12065550111", GOODBYE_TEXT="The shop says goodbye."),
    line("clinic", "+12065550112", AFTER_URL=AFTER_URL),
)


def test_a_transfer_comes_back_to_its_own_line(logged: Logged) -> None:
    """The line is in the address, whatever number the call came to."""
    twilio = WebhookClient(table=LINES)
    back = twilio.post("/twiml/transferred?line=clinic", dialled("busy", To="+12065550111"))
    assert parameters(back)["lexbridge:line"] == "clinic"
    assert "line=clinic" in stream(back).attrib["statusCallback"]
    shop = twilio.post("/twiml/transferred?line=shop", dialled("completed"))
    assert verbs(shop.text) == ["The shop says goodbye.", "Hangup"]
    clinic = twilio.post("/twiml/transferred?line=clinic", dialled("completed"))
    assert redirected(clinic.text)["outcome"] == "transferred"
    assert [each["line"] for each in logged() if each["event"] == "transfer-ended"] == ["clinic", "shop", "clinic"]


def test_only_twilio_is_answered() -> None:
    twilio = WebhookClient()
    words = seal(TOKEN, "whisper", "Roses.")
    for path in ("/twiml/transferred", f"/twiml/whisper?words={words}"):
        assert twilio.client.post(path, data=dialled("busy")).status_code == 403
        assert twilio.post(path, dialled("busy"), token="another").status_code == 403


def test_a_person_hears_the_bots_words_and_the_log_does_not(logged: Logged) -> None:
    twilio = WebhookClient(SAY_LANGUAGE="de-DE")
    words = seal(TOKEN, "whisper", "Ein Anrufer möchte Rosen.")
    child = {**IN_PROGRESS, "CallSid": "CA" + "3" * 32, "ParentCallSid": FORM["CallSid"], "Direction": "outbound-dial"}
    response = twilio.post(f"/twiml/whisper?voice=Polly.Vicki&words={words}", child)
    (say,) = ElementTree.fromstring(response.text)
    assert (say.text, say.attrib) == ("Ein Anrufer möchte Rosen.", {"voice": "Polly.Vicki", "language": "de-DE"})
    assert logged() == []


@pytest.mark.parametrize("words", ["", "Pay%20me%20first", seal("another token", "whisper", "Pay me first.")])
def test_words_that_are_not_the_bots_are_not_said(words: str, logged: Logged) -> None:
    assert verbs(WebhookClient().post(f"/twiml/whisper?words={words}").text) == []
    assert [line["event"] for line in logged()] == ["whisper-refused"]


def test_words_sealed_with_the_token_before_are_still_said() -> None:
    twilio = WebhookClient(TWILIO_AUTH_TOKEN_SECONDARY="the-token-before")
    words = seal("the-token-before", "whisper", "Roses.")
    assert verbs(twilio.post(f"/twiml/whisper?words={words}").text) == ["Roses."]


def test_goodbyes_of_webhooks_go_on_too() -> None:
    twilio = WebhookClient(AFTER_URL=AFTER_URL)
    silent = twilio.post("/twiml/resume?silent=1")
    assert verbs(silent.text) == ["Sorry, I did not hear anything. Goodbye.", "Redirect"]
    assert redirected(silent.text)["outcome"] == "silent"
    lost = twilio.post("/twiml/resume?lost=99")
    assert verbs(lost.text) == ["Sorry, this service is not available.", "Redirect"]
    assert redirected(lost.text)["outcome"] == "failed"
    twilio.calls.admission.is_draining = True
    busy = twilio.post("/twiml")
    assert verbs(busy.text) == ["Sorry, all lines are busy. Please call again later.", "Redirect"]
    assert redirected(busy.text)["outcome"] == "failed"
