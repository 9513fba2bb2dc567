"""Files that a call leaves behind: the stereo recording, the picture, the timeline and its latencies."""

import io
import struct
import subprocess
import sys
import wave
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lexbridge.audio.pcm import encode_mulaw
from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.caller.script import load_script
from lexbridge.offline.commands.demo import ROUNDS, unheeded_interruptions
from lexbridge.offline.lex.bot_files import load_bot
from lexbridge.offline.lex.voice import SilentVoice
from lexbridge.offline.report import report as call_report
from lexbridge.offline.report.latencies import LATENCIES, latency_table
from lexbridge.offline.report.lex_turn import worded
from lexbridge.offline.report.picture import CallPicture, draw, envelope
from lexbridge.offline.report.recording import stereo, write_recording
from lexbridge.offline.report.report import Timeline, latencies, write_call
from lexbridge.offline.report.spoken_turns import spoken_turns
from lexbridge.offline.report.timeline import moments
from lexbridge.offline.twilio import events as happened
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import EndReason, Event
from lexbridge.offline.twilio.number import Number
from lexbridge.offline.twilio.telephone_audio import TelephoneVoice, key_tone
from lexbridge.offline.twilio.webhooks import Webhooks

PNG = b"\x89PNG\r\n\x1a\n"


@dataclass
class Asked:
    """A request as the local Lex keeps it."""

    began: float
    ended: float | None
    answered: float | None
    transcript: str | None = "roses"
    intent: str | None = "OrderFlowers"
    dialog_state: str | None = "ElicitSlot"
    status: int | None = 200
    aborted: bool = False
    audio: bytes = bytes(16000)
    operation: str = "PostContent"
    is_text: bool = False
    said: str = ""


# A call answered at 100 s of the clock; its two turns.
EVENTS: list[Event] = [
    happened.WebhookRequested(99.9, "https://a.example/twiml", "document", {}),
    happened.WebhookAnswered(99.95, "https://a.example/twiml", "document", 200, "<Response/>"),
    happened.Answered(100.0),
    happened.StreamOpened(100.1, "MZ1", "wss://a.example/"),
    happened.BotBegan(100.2, "Hello?"),
    happened.BotFinished(101.0, "Hello?"),
    happened.SpeechStarted(101.5, "some roses"),
    happened.SpeechEnded(102.5, "some roses"),
    happened.UpdateReceived(103.35, {}, "<Response><Say>When?</Say><Pause/></Response>"),
    happened.BotBegan(103.4, "When?"),
    happened.BotAudible(103.4),
    happened.BotFinished(104.0, "When?"),
    happened.SpeechStarted(104.5, "tomorrow"),
    happened.SpeechEnded(105.0, "tomorrow"),
    happened.UpdateReceived(105.9, {}, "<Response><Say>Bye</Say><Hangup/></Response>"),
    happened.BotBegan(106.0, "Bye"),
    happened.BotAudible(106.0),
    happened.CallEnded(106.5, EndReason.HANGUP_VERB),
]
REQUESTS = [Asked(101.56, 103.2, 103.3), Asked(104.56, 105.7, 105.8, "tomorrow", dialog_state="Fulfilled")]


def test_a_turn_is_put_together_from_both_sides_clocks() -> None:
    first, second = spoken_turns(EVENTS, REQUESTS)
    assert (first.said, first.heard, first.reply) == ("some roses", "roses", "When?")
    assert (first.lex_opened_s, first.lex_closed_s, first.lex_answered_s) == (101.56, 103.2, 103.3)
    assert (first.updated_s, first.replied_s) == (103.35, 103.4)
    assert (second.heard, second.reply) == ("tomorrow", "Bye")


def test_the_latencies_of_a_turn_add_up() -> None:
    turn = spoken_turns(EVENTS, REQUESTS)[0]
    figures = {latency.title: round(latency.of(turn) or 0) for latency in LATENCIES}
    assert figures == {"Lex opens": 60, "end found": 700, "Lex": 100, "update": 50, "voice": 50} | {
        "media": 0,
        "play": 0,
        "REPLY": 900,
    }
    assert figures["REPLY"] == sum(figures[title] for title in ("end found", "Lex", "update", "voice"))


# A call in stream mode, answered at 100 s: a welcome that is interrupted, a number keyed in, the bot's goodbye.
STREAM_EVENTS: list[Event] = [
    happened.Answered(100.0),
    happened.StreamOpened(100.1, "MZ1", "wss://a.example/"),
    happened.MediaBegan(100.3, "MZ1"),
    happened.MessageSent(100.31, "mark", "welcome"),
    happened.BotBegan(100.4, ""),
    happened.SpeechStarted(104.4, "check my booking"),
    happened.MessageSent(104.72, "clear", dropped_ms=7600),
    happened.BotFinished(104.72, ""),
    happened.MarkReturned(104.72, "welcome", cleared=True),
    happened.SpeechEnded(105.4, "check my booking"),
    happened.MediaBegan(106.24, "MZ1"),
    happened.MessageSent(106.25, "mark", "turn 1"),
    happened.BotBegan(106.26, ""),
    happened.BotAudible(106.56),  # Lex's voice begins with silence
    happened.MarkReturned(111.0, "turn 1"),
    happened.BotFinished(111.0, ""),
    *(happened.KeyPressed(111.6 + 0.3 * place, digit) for place, digit in enumerate("428153")),
    happened.MediaBegan(113.24, "MZ1"),
    happened.MessageSent(113.25, "mark", "turn 2"),
    happened.BotBegan(113.26, ""),
    happened.BotAudible(113.56),
    happened.BotFinished(117.0, ""),
    happened.UpdateReceived(117.1, {}, "<Response><Hangup/></Response>"),  # all was heard
    happened.BotBegan(118.0, ""),
    happened.BotFinished(119.0, ""),
    happened.CallEnded(120.0, EndReason.REST_COMPLETED),
]
STREAM_REQUESTS = [
    Asked(
        100.15, 100.16, 100.2, None, "WelcomeIntent", "Fulfilled", operation="PutSession", said="Welcome to the Hotel."
    ),
    Asked(104.46, 106.1, 106.2, "check my booking", "CheckBooking", said="Please key in your number."),
    Asked(111.7, 111.9, 111.95, "", "CheckBooking", aborted=True),
    Asked(113.15, 113.15, 113.2, "428153", "CheckBooking", "Fulfilled", is_text=True, said="Thank you. Goodbye."),
]


def test_in_stream_mode_media_replaces_the_update() -> None:
    """Media takes the place of the update in stream mode, and keys are a turn."""
    spoken, keyed = spoken_turns(STREAM_EVENTS, STREAM_REQUESTS)
    assert (spoken.said, spoken.is_keyed, spoken.heard) == ("check my booking", False, "check my booking")
    assert (spoken.updated_s, spoken.media_s, spoken.replied_s) == (None, 106.24, 106.56)
    assert spoken.reply == "Please key in your number."
    assert (keyed.said, keyed.is_keyed, keyed.heard) == ("428153", True, "428153")
    assert (keyed.began_s, keyed.ended_s) == (111.6, 111.6 + 0.3 * 5)
    assert (keyed.lex_opened_s, keyed.lex_closed_s, keyed.media_s) == (None, 113.15, 113.24)
    assert (keyed.updated_s, keyed.replied_s) == (None, 113.56)
    assert keyed.reply == "Thank you. Goodbye."
    header, first, second, _ = latency_table([spoken, keyed])
    assert header.split() == ["ms", "Lex", "opens", "end", "found", "Lex", "media", "play", "REPLY"]
    assert first.split()[-6:] == ["60", "700", "100", "40", "320", "1160"]
    assert second.split() == ["428153", "-", "50", "50", "40", "320", "460"]


def test_twilios_words_in_stream_mode_come_by_the_update() -> None:
    events = [event for event in EVENTS if not isinstance(event, happened.CallEnded)]
    (turn, _) = spoken_turns([*events[:11], happened.MediaBegan(103.9, "MZ2"), *events[11:]], REQUESTS)
    assert (turn.updated_s, turn.media_s, turn.replied_s) == (103.35, None, 103.4)


def test_a_voice_that_is_silent_is_no_reply() -> None:
    events = [event for event in EVENTS if not isinstance(event, happened.BotAudible)]
    assert [turn.replied_s for turn in spoken_turns(events, REQUESTS)] == [None, None]


def test_a_streams_voice_has_the_words_of_its_answer_once() -> None:
    words = [event.text for event in worded(STREAM_EVENTS, STREAM_REQUESTS) if isinstance(event, happened.BotBegan)]
    assert words == ["Welcome to the Hotel.", "Please key in your number.", "Thank you. Goodbye.", ""]
    assert worded(EVENTS, REQUESTS) == EVENTS


def test_keys_apart_by_a_pause_or_words_are_several_answers() -> None:
    events: list[Event] = [
        happened.KeyPressed(1.0, "1"),
        happened.KeyPressed(2.0, "2"),
        happened.KeyPressed(8.0, "3"),
        happened.SpeechStarted(9.0, "four"),
        happened.SpeechEnded(9.5, "four"),
        happened.KeyPressed(10.0, "5"),
        happened.SpeechStarted(11.0, "six"),
    ]
    turns = spoken_turns(events, [Asked(11.1, None, None)])
    assert [turn.said for turn in turns] == ["12", "3", "four", "5"]
    assert turns[-1].lex_closed_s is None  # the request is of what is being said


def test_the_moments_of_a_call_in_stream_mode() -> None:
    lines = [f"{moment.who}: {moment.text}" for moment in moments(STREAM_EVENTS, STREAM_REQUESTS)]
    assert "Lex: ┌ PutSession" in lines
    assert "Lex: └ done → WelcomeIntent, Fulfilled" in lines
    assert "bot: “Welcome to the Hotel.”" in lines
    assert "bridge: stops the prompt: 7.6 s of it are not heard" in lines
    assert "caller: presses 4" in lines
    assert "Lex: ┌ request with what was keyed in" in lines
    assert "Lex: └ read “428153” → CheckBooking, Fulfilled" in lines
    assert not any("mark" in line for line in lines)


def test_the_table_has_a_row_a_turn_and_the_medians() -> None:
    header, first, second, medians = latency_table(spoken_turns(EVENTS, REQUESTS))
    assert header.split() == ["ms", "Lex", "opens", "end", "found", "Lex", "update", "voice", "REPLY"]
    assert first.split() == ["some", "roses", "60", "700", "100", "50", "50", "900"]
    assert second.split()[-1] == "1000"
    assert medians.split() == ["median", "60", "700", "100", "75", "75", "950"]


def test_without_lex_the_table_leaves_its_part_out() -> None:
    header, first, *_ = latency_table(spoken_turns(EVENTS, []))
    assert header.split() == ["ms", "voice", "REPLY"]
    assert first.split() == ["some", "roses", "50", "900"]


def test_a_turn_without_a_reply_has_a_gap_in_the_table() -> None:
    second = latency_table(spoken_turns(EVENTS[:14], REQUESTS[:1]))[2]
    assert second.split() == ["tomorrow", "-", "-", "-", "-", "-", "-"]
    assert latency_table([]) == []


def test_a_turn_that_came_to_nothing() -> None:
    (turn,) = spoken_turns(EVENTS[:8], [Asked(101.56, None, None, aborted=True)])
    assert (turn.lex_opened_s, turn.updated_s, turn.replied_s) == (None, None, None)


def test_a_phrase_in_two_requests_counts_from_first_to_last() -> None:
    split = [Asked(101.56, 102.2, 102.3, ""), Asked(102.4, 103.2, 103.3)]
    turn = spoken_turns(EVENTS, split)[0]
    assert (turn.lex_opened_s, turn.lex_closed_s) == (101.56, 103.2)


def test_the_moments_are_told_in_order() -> None:
    told = moments(EVENTS, REQUESTS)
    assert [moment.at_s for moment in told] == sorted(moment.at_s for moment in told)
    lines = [f"{moment.who}: {moment.text}" for moment in told]
    assert "bridge: answers https://a.example/twiml with 200, in 50 ms" in lines
    assert "caller: “some roses”" in lines
    assert "Lex: │ request closed: 1.00 s of audio" in lines
    assert "Lex: └ heard “tomorrow” → OrderFlowers, Fulfilled" in lines
    assert "bridge: updates the call: Say then Hangup" in lines
    assert lines[-1] == "Twilio: the call is over: the document said <Hangup>"


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (happened.StreamRefused(1.0, "wss://a", 31920, "no"), "fault: no media stream: no"),
        (happened.StreamClosed(1.0, "MZ", 31921, "closed"), "fault: media stream lost: closed"),
        (happened.StreamClosed(1.0, "MZ", 31921, "closed", two_way=True), "bridge: closes the media stream"),
        (happened.StreamClosed(1.0, "MZ"), "Twilio: media stream stopped"),
        (happened.UpdateRefused(1.0, 400, 21220, "over"), "fault: update refused: 400 over"),
        (happened.UpdateRefused(1.0, 429, 0, "a fault"), "fault: update refused: 429 (fault on demand)"),
        (happened.UpdateRefused(1.0, 0, 0, "a fault"), "fault: update refused: no answer (fault on demand)"),
        (
            happened.UpdateRefused(1.0, 404, 20404, "/Calls/CA/Streams/MZ.json was not found"),
            "Twilio: the media stream had ended already: there was nothing to stop",
        ),
        (happened.UpdateRefused(1.0, 404, 20404, "/Calls/CA.json"), "fault: update refused: 404 /Calls/CA.json"),
        (happened.FaultSwitched(1.0, "Lex fails", True), "fault: switched on: Lex fails"),
        (happened.FaultSwitched(1.0, "Lex fails", False), "fault: switched off: Lex fails"),
        (happened.UpdateReceived(1.0, {"Status": "completed"}), "bridge: updates the call: Status=completed"),
        (happened.UpdateReceived(1.0, {}, "<Response><Pause/></Response>"), "bridge: updates the call: silence"),
        (happened.KeyPressed(1.0, "5"), "caller: presses 5"),
        (happened.Coughed(1.0), "caller: (coughs)"),
        (happened.Transferred(1.0, "+1", "busy"), "Twilio: dials +1: busy"),
        (happened.Whispered(1.0, "+1", "Ann wants roses."), "Twilio: whispers to +1: “Ann wants roses.”"),
        (happened.Detected(1.0, "machine_start"), "Twilio: finds out who answered: machine_start"),
        (happened.Queued(1.0, "support"), "Twilio: the caller waits in the queue support"),
        (happened.LeftTheQueue(1.0, "support", "leave"), "Twilio: the caller has left the queue support: leave"),
        (happened.Complained(1.0, "12200 no"), "fault: Twilio complains: 12200 no"),
        (happened.BotBegan(1.0, ""), "bot: (speaks)"),
    ],
)
def test_how_each_event_is_told(event: Event, line: str) -> None:
    (moment,) = moments([event], [])
    assert f"{moment.who}: {moment.text}" == line


def test_requests_that_lex_failed_or_lost_are_told() -> None:
    failed = replace_asked(status=500)
    lost = replace_asked(ended=None, answered=None, aborted=True)
    deaf = replace_asked(transcript="", intent=None)
    new = replace_asked(status=404, operation="GetSession")
    told = [moment.text for moment in moments([], [failed, lost, deaf, new])]
    assert "└ no session yet: the bot was not asked before in this call" in told
    assert "└ answered 404" not in told
    assert "└ answered 500" in told
    assert "└ the bridge gave the request up" in told
    assert "└ heard nothing it knows → no intent, ElicitSlot" in told


def replace_asked(**changes: object) -> Asked:
    return replace(REQUESTS[0], **changes)  # type: ignore[arg-type]


# Files


def test_a_recording_has_the_caller_left_and_the_bot_right(tmp_path: Path) -> None:
    caller, bot = encode_mulaw(struct.pack("<4h", 1000, -1000, 500, 0)), encode_mulaw(struct.pack("<2h", 300, 0))
    write_recording(tmp_path / "call.wav", caller, bot)
    with wave.open(str(tmp_path / "call.wav")) as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (2, 2, 8000)
        samples = list(struct.iter_unpack("<hh", sound.readframes(4)))
    assert [left for left, _ in samples] == pytest.approx([1000, -1000, 500, 0], abs=20)
    assert [right for _, right in samples] == pytest.approx([300, 0, 0, 0], abs=10)
    assert stereo(b"", b"") == b""


def a_call(answered_at_s: float = 100.0) -> PhoneCall:
    """A call of 6.5 s with the events above, as it is when it is over."""
    party = SimulatedCaller(SilentVoice())
    voice = TelephoneVoice(SilentVoice())
    call = PhoneCall(Number("https://a.example/twiml"), party, Webhooks("t"), voice, "AC" + "0" * 32)
    call.events = list(EVENTS)
    call.answered_at_s = answered_at_s
    call.line.caller_mulaw += b"\xff" * 12_000 + key_tone("1", 1000) + b"\xff" * 32_000
    call.line.bot_mulaw += key_tone("2", 1000) + b"\xff" * 44_000
    return call


def test_a_call_is_drawn_and_recorded(tmp_path: Path) -> None:
    wav, png = tmp_path / "call.wav", tmp_path / "call.png"
    write_call(a_call(), REQUESTS, "A caller orders roses", wav, png)
    assert png.read_bytes().startswith(PNG)
    assert len(png.read_bytes()) > 20_000
    with wave.open(str(wav)) as sound:
        assert sound.getnframes() == 52_000


def test_a_call_with_an_interruption_and_keys_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[CallPicture] = []

    def keeping(path: Path, picture: CallPicture) -> None:
        drawn.append(picture)
        draw(path, picture)

    monkeypatch.setattr(call_report, "draw", keeping)
    call = a_call()
    call.events = list(STREAM_EVENTS)
    write_call(call, STREAM_REQUESTS, "Harper checks a booking", tmp_path / "call.wav", tmp_path / "call.png")
    assert (tmp_path / "call.png").read_bytes().startswith(PNG)
    (picture,) = drawn
    assert [key.digit for key in picture.keys] == list("428153")
    assert picture.keys[0].at_s == pytest.approx(11.6)
    assert [(round(cut.at_s, 2), cut.unheard_s) for cut in picture.cuts] == [(4.72, 7.6)]
    assert picture.bot_speech[0].text == "Welcome to the Hotel."
    assert picture.lex[0].heard == "(PutSession)"


def test_a_call_without_a_word_is_drawn_too(tmp_path: Path) -> None:
    call = a_call()
    call.events = [happened.Answered(100.0)]
    call.line.caller_mulaw.clear()
    call.line.bot_mulaw.clear()
    write_call(call, [], "Nobody", tmp_path / "call.wav", tmp_path / "call.png")
    assert (tmp_path / "call.png").read_bytes().startswith(PNG)


def test_the_envelope_is_the_loudest_of_each_10_ms() -> None:
    mulaw = encode_mulaw(struct.pack("<160h", *([0] * 79 + [-16384] + [0] * 80)))
    assert list(envelope(mulaw)) == pytest.approx([0.5, 0.0], abs=0.02)


def test_the_timeline_is_printed_from_the_answer_on() -> None:
    out = io.StringIO()
    call = a_call()
    call.end(EndReason.HANGUP_VERB)
    Timeline(call, lambda: REQUESTS, out).follow(timeout_s=10)
    lines = out.getvalue().splitlines()
    assert lines[0] == "    0.00  bridge  answers https://a.example/twiml with 200, in 50 ms"
    assert "    1.50  caller  “some roses”" in lines
    assert "\x1b" not in out.getvalue()


def test_the_latencies_come_with_their_meaning() -> None:
    told = "\n".join(latencies(a_call(), REQUESTS))
    assert "the caller falls silent, until the bot is heard" in told


# The commands


def offline(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "lexbridge.offline", *arguments]
    folder = Path(__file__).parents[3]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60, check=False, env={"PATH": "", **environment}
    )


@pytest.mark.parametrize("command", ["demo", "lex", "call", "talk"])
def test_each_command_has_help(command: str) -> None:
    helped = offline(command, "--help")
    assert helped.returncode == 0
    assert f"usage: python -m lexbridge.offline {command}" in helped.stdout


def test_the_commands_are_listed() -> None:
    helped = offline("--help")
    assert helped.returncode == 0
    for command in ("demo", "lex", "call", "talk"):
        assert command in helped.stdout
    assert offline().returncode == 2
    assert offline("sing").returncode == 2


def test_a_call_needs_the_auth_token_and_a_right_script(tmp_path: Path) -> None:
    without = offline("call", "http://127.0.0.1:9/twiml")
    assert (without.returncode, without.stderr) == (
        2,
        "the auth token is missing: set TWILIO_AUTH_TOKEN, or give --auth-token\n",
    )
    (tmp_path / "bad.yaml").write_text("turns: []")
    bad = offline("call", "http://127.0.0.1:9/twiml", "--script", str(tmp_path / "bad.yaml"), TWILIO_AUTH_TOKEN="t")
    assert bad.returncode == 2
    assert "at least one turn" in bad.stderr


def test_a_script_that_cannot_be_followed_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("turns: []")
    bad = offline("demo", "--script", str(tmp_path / "bad.yaml"), "--out", str(tmp_path / "out"))
    assert bad.returncode == 2
    assert "at least one turn" in bad.stderr
    assert not (tmp_path / "out").exists()


STREAM = next(each for each in ROUNDS if each.name == "stream")


def test_the_stream_mode_demo_has_barge_in_keys_and_a_welcome() -> None:
    """The demo's call in stream mode has an interruption, a number keyed in, and a welcome by the bot."""
    assert STREAM.settings["REPLY_MODE"] == "stream"
    script = load_script(STREAM.script)
    assert [bool(turn.press) for turn in script.turns] == [False, True, False]
    assert script.turns[0].interrupt_after_s is not None
    welcome = load_bot(STREAM.bot).intent(STREAM.settings["WELCOME_INTENT"])
    assert welcome is not None
    assert welcome.closing


def test_an_interruption_that_stops_no_prompt_fails_the_demo() -> None:
    call = a_call()
    script = load_script(STREAM.script)
    assert unheeded_interruptions(call, script) == ["1 interruptions stopped 0 prompts"]
    call.events = list(STREAM_EVENTS)
    assert unheeded_interruptions(call, script) == []
