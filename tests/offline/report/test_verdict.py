"""Whether a bot answered in a simulated call, and why not: over real sockets, and from events."""

import os
import subprocess
from collections.abc import Iterator

import pytest

from lexbridge.audio.resampler import resample
from lexbridge.offline.commands.bridge_process import ROOT
from lexbridge.offline.lex.faults import LexFault
from lexbridge.offline.lex.recognition import GrammarRecogniser
from lexbridge.offline.lex.voice import HibariVoice
from lexbridge.offline.ports import free_port
from lexbridge.offline.report.bot_speech import has_phrase, is_sentence
from lexbridge.offline.report.bot_words import audio_spans, own_phrases, replies
from lexbridge.offline.report.bot_words import says as text_says
from lexbridge.offline.report.causes import Placed, likely_causes
from lexbridge.offline.report.verdict import faults_of
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import (
    Answered,
    BotBegan,
    BotFinished,
    CallEnded,
    EndReason,
    Event,
    MediaBegan,
    SpeechEnded,
    StreamRefused,
    UpdateReceived,
    UpdateRefused,
    WebhookAnswered,
)
from lexbridge.offline.twilio.rest_api import RestFault
from tests.support.commands import DEADLINE_S, offline
from tests.support.rehearsal import wait_until
from tests.support.rig import TOKEN, Rig, running, says

WEBHOOK = "https://voice.example.com/twiml"
PLACED = Placed(WEBHOOK, "http://127.0.0.1:8082", "http://127.0.0.1:8080")
OWN = own_phrases({})


def faults(rig: Rig, call: PhoneCall, expected: str | None = None) -> list[str]:
    call.wait(60)
    return faults_of(call, Placed(call.number.webhook_url, rig.twilio.url, rig.base), expected)


# Whole calls, in call-update mode


def test_a_bot_that_answers_and_hangs_up_is_no_fault() -> None:
    with running(["goodbye"], HANGUP_INTENTS="GoodbyeIntent") as rig:
        call = rig.place_call(says("goodbye"))
        assert faults(rig, call) == []
        (said,) = replies(call.events, WEBHOOK, OWN)
        assert faults(rig, call, said.upper()[2:-2]) == []
        assert faults(rig, call, "pizza") == ["the bot did not say “pizza”"]


def test_a_bot_that_cannot_be_reached_has_not_answered() -> None:
    with running(["goodbye"]) as rig:
        rig.lex.faults.append(LexFault(status=403, times=None))
        told = faults(rig, rig.place_call(says("goodbye")))
    first, *causes = told
    assert first == "the bot did not answer: only lexbridge itself was heard"
    assert [cause for cause in causes if "server.py --check=live" in cause]


def test_a_bot_that_fails_at_each_turn_has_not_answered() -> None:
    with running(["goodbye"] * 9, NO_INPUT_S="1", NO_INPUT_LIMIT="1") as rig:
        rig.lex.faults.append(LexFault(status=502, times=None))
        told = faults(rig, rig.place_call(says("goodbye")))
    assert told[0] == "the bot did not answer: only lexbridge itself was heard"
    assert [cause for cause in told if "the bot's Lambda function" in cause]


def test_a_bot_that_does_not_end_the_call_has_its_cause() -> None:
    with running(["goodbye"], HANGUP_INTENTS="Another") as rig:
        call = rig.place_call(says("goodbye"))
        wait_until(lambda: replies(call.events, WEBHOOK, OWN))
        call.hang_up()
        told = faults(rig, call)
    assert told[0] == "it was not the bot that ended the call"
    assert told[1].startswith(
        "likely: the bot's last answer asks for no end (HANGUP_INTENTS, lexbridge:action), or for"
    )


def test_a_bridge_that_signs_in_with_another_token_is_found_out() -> None:
    with running(["goodbye"]) as rig:
        rig.twilio.rest_faults.append(RestFault(status=401, code=20003, always=True))
        call = rig.place_call(says("goodbye"))
        call.wait_for(UpdateRefused, 60)
        call.hang_up()
        told = faults(rig, call)
    assert "it was not the bot that ended the call" in told
    assert [cause for cause in told if "its TWILIO_AUTH_TOKEN is not ours" in cause]


# The command


def place_call(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        offline("call", *arguments, "--api-port", str(free_port()), "--say", "hello"),
        cwd=ROOT,
        env={**os.environ, "TWILIO_AUTH_TOKEN": TOKEN, **environment},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def test_the_causes_of_a_403_are_told() -> None:
    with running() as rig:
        port = rig.base.rpartition(":")[2]
        ended = place_call(f"http://localhost:{port}/twiml", "--connect-to", rig.base)
    assert ended.returncode == 1
    assert "likely: the auth tokens differ" in ended.stderr
    assert f"so the bridge needs URL=http://localhost:{port}, letter for letter" in ended.stderr
    assert TOKEN not in ended.stdout + ended.stderr


def test_that_nobody_listens_is_told() -> None:
    ended = place_call("http://127.0.0.1:9/twiml")
    assert ended.returncode == 1
    assert "likely: nothing listens at http://127.0.0.1:9" in ended.stderr
    assert "Traceback" not in ended.stderr


# Causes, from events


def webhook(status: int, body: str = "") -> WebhookAnswered:
    return WebhookAnswered(0.0, WEBHOOK, "document", status, body)


DOCUMENT = webhook(200, "<Response><Say>Hello.</Say></Response>")
SAID = SpeechEnded(2.0, "hi")


@pytest.mark.parametrize(
    ("events", "says"),
    [
        ([webhook(503)], "it starts, drains or is full"),
        ([webhook(502)], "the bridge, or what stands before it, failed"),
        ([webhook(404)], "something that is no lexbridge answers at http://127.0.0.1:8080"),
        ([webhook(0, "ConnectionError: [Errno 111] Connection refused")], "nothing listens at http://127.0.0.1:8080"),
        ([webhook(0, "NameResolutionError")], "has no address"),
        ([webhook(0, "SSLError: certificate verify failed")], "no certificate that is trusted"),
        ([webhook(0, "no answer within 15 s")], "does not answer"),
        ([webhook(0, "ConnectionError: reset")], "broke"),
        ([DOCUMENT, StreamRefused(1.0, "wss://a/", 31920, "status 403")], "is STREAM_URL set to another address?"),
        ([DOCUMENT, StreamRefused(1.0, "wss://a/x", 31920, "status 404")], "so STREAM_URL has no path"),
        ([DOCUMENT, StreamRefused(1.0, "wss://a/", 31920, "status 503")], "MAX_CALLS"),
        ([DOCUMENT, StreamRefused(1.0, "wss://a/", 31901, "timeout")], "did not open at wss://a/"),
        ([DOCUMENT, SAID], "start it with TWILIO_API_URL=http://127.0.0.1:8082"),
        ([DOCUMENT, SAID, UpdateRefused(3.0, 401, 20003, "Authenticate")], "another token (401)"),
    ],
)
def test_each_fault_has_its_cause(events: list[Event], says: str) -> None:
    causes = likely_causes(events, PLACED, frozenset())
    assert [cause for cause in causes if says in cause], causes


@pytest.mark.parametrize(
    "events",
    [
        [DOCUMENT, SAID, UpdateReceived(3.0, {})],
        [DOCUMENT],
        [DOCUMENT, SAID, MediaBegan(3.0, "MZ1")],
        [webhook(200, "<Response><Connect/></Response>"), SAID],
    ],
)
def test_a_bridge_that_need_not_update_is_not_blamed(events: list[Event]) -> None:
    assert likely_causes(events, PLACED, frozenset()) == []


def test_another_path_is_said() -> None:
    (cause,) = likely_causes([webhook(404)], Placed("https://voice.example.com/voice", "", None), frozenset())
    assert cause.endswith("is https://voice.example.com/twiml, by POST, and this call asked for /voice")


@pytest.mark.parametrize("name", ["busy", "not_available", "say_it_again", "not_heard"])
def test_each_sentence_of_ours_has_its_cause(name: str) -> None:
    (cause,) = likely_causes([webhook(200, "<Response><Start><Stream/></Start></Response>")], PLACED, {name})
    assert cause
    assert "no line" not in cause


def test_a_call_that_no_line_serves_has_no_stream() -> None:
    (cause,) = likely_causes([DOCUMENT], PLACED, {"not_available"})
    assert cause.startswith("no line of the table serves this call")


# Whose words they are


def heard(*texts: str) -> Iterator[Event]:
    yield DOCUMENT
    yield Answered(0.0)
    for at, text in enumerate(texts):
        yield BotBegan(1.0 + at, text)
        yield BotFinished(1.5 + at, text)


def test_the_greeting_and_our_own_sentences_are_no_reply() -> None:
    ours = ["Hello.", "Sorry, I did not hear anything.", "Sorry, I did not hear anything. Goodbye.", "Adiós."]
    assert replies(list(heard(*ours)), WEBHOOK, OWN) == []
    theirs = "Sorry, I did not hear anything. Which flowers?"
    assert replies(list(heard(*ours, theirs, "")), WEBHOOK, OWN) == [theirs]
    assert replies(list(heard("Bye now.")), WEBHOOK, own_phrases({"GOODBYE_TEXT": "Bye now."})) == []


def test_what_was_heard_by_audio_has_a_beginning_and_an_end() -> None:
    events = [*heard("Hello.", ""), BotBegan(9.0, ""), CallEnded(9.5, EndReason.CALLER_HUNG_UP)]
    assert audio_spans(events) == [(2.0, 2.5), (9.0, 9.5)]


def test_what_is_expected_may_be_any_part_in_any_case() -> None:
    assert text_says("Which  flowers\nwould you like?", "FLOWERS WOULD")
    assert not text_says("Which flowers?", "roses")


def test_audio_is_told_apart_by_its_words() -> None:
    sentences = list(own_phrases({}, ["en"]))
    with HibariVoice() as voice, GrammarRecogniser() as recogniser:
        phrases = "Sorry, I did not get that. Please say it again.", "What type of flowers would you like to order?"
        ours, theirs = (resample(voice.speak(phrase), voice.rate_hz, 8000) for phrase in phrases)
        assert is_sentence(recogniser, ours, sentences)
        assert not is_sentence(recogniser, theirs, sentences)
        assert has_phrase(recogniser, theirs, "Type of flowers")
        assert not has_phrase(recogniser, theirs, "pickup date")
        assert not has_phrase(recogniser, theirs, "?")
