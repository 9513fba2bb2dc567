"""The simulated Twilio's two-way streams: audio, marks and clears from the bridge, and the echo of a line."""

import base64
import itertools
import json
from collections.abc import Callable
from typing import Any

import gevent
import numpy as np
import pytest

from lexbridge.audio.pcm import decode_mulaw, first_audible_ms, frame_levels_dbfs, rms
from lexbridge.offline.twilio import events as happened
from lexbridge.offline.twilio.bridge_messages import read_message
from lexbridge.offline.twilio.events import EndReason
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from lexbridge.offline.twilio.telephone_audio import key_tone
from lexbridge.offline.twilio.verbs import Stream
from tests.support.stand_in_bridge import DEADLINE_S, STREAM, TOKEN, StandIn, call_at, client_of, codes, document, verbs


def test_connect_blocks_until_the_bridge_closes_and_then_goes_on(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    def talk(connection: Any, message: dict[str, Any]) -> None:
        if message["event"] == "start":
            sid = message["streamSid"]
            payload = base64.b64encode(b"\x10" * 1600).decode()
            connection.send(json.dumps({"event": "media", "streamSid": sid, "media": {"payload": payload}}))
            connection.send(json.dumps({"event": "mark", "streamSid": sid, "mark": {"name": "said"}}))
        if message["event"] == "mark":
            connection.close()

    bridge.on_message = talk
    call = call_at(twilio, bridge, f'<Connect><Stream url="{STREAM}"/></Connect><Say>Bye</Say><Hangup/>')
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB
    assert verbs(call) == ["Connect", "Say", "Hangup"]
    assert b"\x10" * 1600 in bytes(call.line.bot_mulaw)
    assert bridge.of("mark")[0]["mark"] == {"name": "said"}
    assert call.complaints == []


def test_clear_drops_the_sound_and_returns_the_marks(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    def talk(connection: Any, message: dict[str, Any]) -> None:
        if message["event"] == "start":
            sid = message["streamSid"]
            payload = base64.b64encode(LONG).decode()
            connection.send(json.dumps({"event": "media", "streamSid": sid, "media": {"payload": payload}}))
            connection.send(json.dumps({"event": "mark", "streamSid": sid, "mark": {"name": "said"}}))
            connection.send(json.dumps({"event": "clear", "streamSid": sid}))
        if message["event"] == "mark":
            connection.close()

    bridge.on_message = talk
    call = call_at(twilio, bridge, f'<Connect><Stream url="{STREAM}"/></Connect>')
    call.wait(DEADLINE_S)
    assert bytes(call.line.bot_mulaw).count(b"\x10") < len(LONG)


CONNECT = f'<Connect><Stream url="{STREAM}"/></Connect>'
LONG_MS = 60_000
LONG = b"\x10" * 8 * LONG_MS  # no busy machine lets it end by itself within a test
AUDIO = bytes(number % 100 for number in range(16_000))  # 2 s of mu-law, of which no part is like its neighbour


class Mouth:
    """The bridge's end of a two-way stream, with a way to speak."""

    def __init__(self, bridge: StandIn, **at: Callable[["Mouth", dict[str, Any]], None]) -> None:
        """`at`: what to do when a message of that kind comes."""
        self.connection: Any = None
        self.sid = ""
        self._at = at
        bridge.on_message = self._hear

    def _hear(self, connection: Any, message: dict[str, Any]) -> None:
        if message["event"] == "start":
            self.connection, self.sid = connection, message["streamSid"]
        if message["event"] in self._at:
            self._at[message["event"]](self, message)

    def send(self, kind: str, **fields: Any) -> None:
        self.connection.send(json.dumps({"event": kind, "streamSid": self.sid, **({kind: fields} if fields else {})}))

    def media(self, mulaw: bytes) -> None:
        self.send("media", payload=base64.b64encode(mulaw).decode())

    def mark(self, name: str) -> None:
        self.send("mark", name=name)

    def clear(self) -> None:
        self.send("clear")


def test_media_of_any_length_is_played_without_a_seam(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    def speak(mouth: Mouth, _: dict[str, Any]) -> None:
        mouth.media(b"\x10" * 8000)  # a second in which the pieces arrive, on a busy machine too
        places = [0, 1, 400, 733, 733, 5001, len(AUDIO)]
        for start, end in itertools.pairwise(places):
            mouth.media(AUDIO[start:end])
        mouth.mark("said")

    Mouth(bridge, start=speak, mark=lambda mouth, _: mouth.connection.close())
    call = call_at(twilio, bridge, CONNECT)
    call.wait(DEADLINE_S)
    assert AUDIO in bytes(call.line.bot_mulaw)
    (sent,) = call.sent_audio
    assert (sent.sent_ms, sent.heard_ms, sent.mark, sent.cleared_s) == (3000, 3000, "said", None)
    assert sent.heard_to_ms is not None
    assert sent.heard_from_ms is not None
    assert sent.heard_to_ms - sent.heard_from_ms == 3000
    assert sent.first_media_s is not None
    assert sent.last_media_s is not None
    assert sent.mark_sent_s is not None
    assert sent.mark_returned_s is not None
    assert sent.first_media_s <= sent.last_media_s <= sent.mark_sent_s <= sent.mark_returned_s
    # The mark is on its way when its last frame is over, on the line's own time.
    assert call.line_s(sent.mark_returned_s) >= sent.heard_to_ms / 1000 - 0.2
    heard = [type(event) for event in call.events if isinstance(event, happened.BotBegan | happened.BotFinished)]
    assert heard == [happened.BotBegan, happened.BotFinished]
    assert call.complaints == []


def test_a_voice_that_begins_with_silence_is_audible_later(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    silence_ms = 400

    def speak(mouth: Mouth, _: dict[str, Any]) -> None:
        mouth.media(b"\xff" * 8 * silence_ms + key_tone("1", 1000))
        mouth.mark("said")

    Mouth(bridge, start=speak, mark=lambda mouth, _: mouth.connection.close())
    call = call_at(twilio, bridge, CONNECT)
    call.wait(DEADLINE_S)
    kinds = (happened.BotBegan, happened.BotAudible, happened.BotFinished)
    assert [type(event) for event in call.events if isinstance(event, kinds)] == [*kinds]
    (sent,) = call.sent_audio
    assert sent.heard_from_ms is not None
    audible_ms = first_audible_ms(bytes(call.line.bot_mulaw))
    assert audible_ms == sent.heard_from_ms + silence_ms


def test_a_mark_returns_at_once_when_nothing_is_buffered(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    Mouth(bridge, start=lambda mouth, _: mouth.mark("nothing"))
    call = call_at(twilio, bridge, CONNECT)
    returned = call.wait_for(happened.MarkReturned, DEADLINE_S)
    assert (returned.name, returned.cleared) == ("nothing", False)
    places = [type(event) for event in call.events]
    assert places.index(happened.MarkReturned) == places.index(happened.MessageSent) + 1
    assert call.sent_audio[0].first_media_s is None


def test_each_mark_returns_once_the_audio_before_it_is_played(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    def speak(mouth: Mouth, _: dict[str, Any]) -> None:
        for name in ("one", "two", "three"):
            mouth.media(AUDIO[:4000])
            mouth.mark(name)

    Mouth(bridge, start=speak)
    call = call_at(twilio, bridge, CONNECT)
    call.wait_for(happened.MarkReturned, DEADLINE_S, count=3)
    call.hang_up()
    call.wait(DEADLINE_S)
    assert [sent.mark for sent in call.sent_audio] == ["one", "two", "three"]
    assert [message["mark"]["name"] for message in bridge.of("mark")] == ["one", "two", "three"]
    heard = [(sent.heard_from_ms, sent.heard_to_ms) for sent in call.sent_audio]
    first_ms = heard[0][0]
    assert first_ms is not None
    assert heard == [(first_ms + at, first_ms + at + 500) for at in (0, 500, 1000)]
    returned_s = [sent.mark_returned_s or 0 for sent in call.sent_audio]
    assert returned_s == sorted(returned_s)
    # Each comes with its own last frame, not with the first of the next: that one follows 20 ms later.
    kinds = [message["event"] for message in bridge.messages if message["event"] in ("media", "mark")]
    assert kinds.index("mark") > 20


def test_clear_cuts_the_voice_and_returns_all_marks(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    def speak(mouth: Mouth, _: dict[str, Any]) -> None:
        for name in ("one", "two"):
            mouth.media(LONG)
            mouth.mark(name)

    def hush(mouth: Mouth, _: dict[str, Any]) -> None:
        mouth.clear()
        mouth.mark("late")
        mouth.media(b"\x20" * 800)
        mouth.mark("new")

    Mouth(bridge, start=speak, dtmf=hush)
    call = call_at(twilio, bridge, CONNECT)
    call.wait_for(happened.BotBegan, DEADLINE_S)
    call.press("1")
    call.wait_for(happened.MarkReturned, DEADLINE_S, count=4)
    returned = [(event.name, event.cleared) for event in call.events if isinstance(event, happened.MarkReturned)]
    assert returned == [("one", True), ("two", True), ("late", False), ("new", False)]
    one, two, _, new = call.sent_audio
    assert 0 < one.heard_ms < LONG_MS
    assert bytes(call.line.bot_mulaw).count(b"\x10") == one.heard_bytes
    assert (two.heard_ms, two.heard_from_ms, two.cleared_s) == (0, None, one.cleared_s)
    assert (new.heard_ms, new.cleared_s) == (100, None)
    (cleared,) = [event for event in call.events if isinstance(event, happened.MessageSent) and event.kind == "clear"]
    assert cleared.dropped_ms == 2 * LONG_MS - one.heard_ms
    finished = call.wait_for(happened.BotFinished, DEADLINE_S)
    assert finished.at_s == pytest.approx(cleared.at_s, abs=0.01)


def test_what_is_buffered_when_the_bridge_closes_is_not_played(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    def speak(mouth: Mouth, message: dict[str, Any]) -> None:
        if message["media"]["chunk"] == "1":
            mouth.media(LONG)
            mouth.mark("said")
            mouth.connection.close()

    Mouth(bridge, media=speak)
    call = call_at(twilio, bridge, CONNECT + "<Say>Bye</Say>")
    call.wait(DEADLINE_S)
    assert call.line.now_ms < LONG_MS
    assert bridge.of("mark") == []
    assert call.complaints == []


def test_an_update_during_connect_drops_audio_and_marks(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    """An update during `<Connect>` sends `stop` and no mark, and drops the audio."""

    def speak(mouth: Mouth, _: dict[str, Any]) -> None:
        mouth.media(LONG)
        mouth.mark("said")

    Mouth(bridge, start=speak)
    call = call_at(twilio, bridge, CONNECT + "<Say>Never said</Say>")
    call.wait_for(happened.BotBegan, DEADLINE_S)
    client_of(twilio).calls(call.sid).update(twiml=document("<Say>Bye</Say><Hangup/>"))
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB
    assert bridge.kinds()[-1] == "stop"
    assert bridge.of("mark") == []
    assert call.line.now_ms < LONG_MS
    assert verbs(call) == ["Connect", "Say", "Hangup"]


def test_connect_with_an_action_asks_it_what_comes_next(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    Mouth(bridge, media=lambda mouth, _: mouth.connection.close())
    bridge.documents["/next"] = document("<Say>Bye</Say><Hangup/>")
    connect = f'<Connect action="/next"><Stream url="{STREAM}"/></Connect><Say>Never said</Say>'
    call = call_at(twilio, bridge, connect)
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB
    assert bridge.requests[-1].form["CallSid"] == call.sid
    assert verbs(call) == ["Connect", "Say", "Hangup"]


def test_a_call_has_one_two_way_stream(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call = call_at(twilio, bridge, CONNECT)
    call.wait_for(happened.StreamOpened, DEADLINE_S)
    assert call.media.connect_stream(Stream(STREAM)) is None
    assert codes(call) == [12200]
    assert call.wait_for(happened.StreamRefused, DEADLINE_S).code == 12200
    assert len(bridge.handshakes) == len(call.streams) == 1
    client_of(twilio).calls(call.sid).update(twiml=document(CONNECT))  # when the first is over there may be another
    call.wait_for(happened.StreamOpened, DEADLINE_S, count=2)
    assert codes(call) == [12200]


def test_a_started_stream_listens_beside_the_connected_one(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    def speak(mouth: Mouth, message: dict[str, Any]) -> None:
        if message["start"]["tracks"] == ["inbound"]:
            mouth.media(AUDIO)
            mouth.mark("said")

    Mouth(bridge, start=speak)
    ear = f'<Start><Stream url="{STREAM}" track="both_tracks"/></Start>'
    call = call_at(twilio, bridge, ear + "<Pause/>" + CONNECT)
    call.wait_for(happened.MarkReturned, DEADLINE_S)
    call.press("7")
    call.hang_up()
    call.wait(DEADLINE_S)
    ear_sid, mouth_sid = [message["streamSid"] for message in bridge.of("start")]
    outbound = b"".join(
        base64.b64decode(message["media"]["payload"])
        for message in bridge.of("media")
        if message["streamSid"] == ear_sid and message["media"]["track"] == "outbound"
    )
    assert AUDIO in outbound
    assert {message["media"]["track"] for message in bridge.of("media") if message["streamSid"] == mouth_sid} == {
        "inbound"
    }
    assert [message["streamSid"] for message in bridge.of("dtmf") + bridge.of("mark")] == [mouth_sid] * 2
    assert sorted(message["streamSid"] for message in bridge.of("stop")) == sorted([ear_sid, mouth_sid])
    assert call.complaints == []


@pytest.mark.parametrize("audible", [True, False])
def test_a_key_is_on_the_line_too(bridge: StandIn, audible: bool) -> None:
    with SimulatedTwilio(auth_token=TOKEN, pace=0.05, key_tones=audible) as twilio:
        call = call_at(twilio, bridge, CONNECT)
        call.wait_for(happened.StreamOpened, DEADLINE_S)
        call.press("5")
        call.press("#")
        until_ms = call.line.now_ms + 1000
        while call.line.now_ms < until_ms:
            gevent.sleep(0.01)
        call.hang_up()
        call.wait(DEADLINE_S)
    assert [message["dtmf"]["digit"] for message in bridge.of("dtmf")] == ["5", "#"]
    heard = bytes(call.line.caller_mulaw)
    tones = [heard.find(key_tone(digit, 160)) for digit in "5#"]
    assert tones[1] - tones[0] == (8 * (160 + 60) if audible else 0)
    assert (tones[0] >= 0) is audible
    kinds = bridge.kinds()
    loud = [rms(decode_mulaw(base64.b64decode(message["media"]["payload"]))) > 500 for message in bridge.of("media")]
    if audible:  # the message comes with the tone's first 20 ms
        assert kinds[: kinds.index("dtmf")].count("media") == loud.index(True)


class SteadyVoice:
    """Loud, and the same all the time."""

    rate_hz = 8000

    def speak(self, text: str) -> bytes:
        return b"\x00\x20\x00\x20\x00\xe0\x00\xe0" * (120 * len(text))


def test_a_poor_line_has_an_echo(bridge: StandIn) -> None:
    with SimulatedTwilio(auth_token=TOKEN, pace=0.05, voice=SteadyVoice()) as twilio:
        call = call_at(twilio, bridge, "<Pause/><Say>Hello, who is it?</Say><Pause/>", echo_db=-20, echo_delay_ms=160)
        call.wait(DEADLINE_S)
        quiet = call_at(twilio, bridge, "<Say>Hello, who is it?</Say>")
        quiet.wait(DEADLINE_S)
    said, heard = (frame_levels_dbfs(decode_mulaw(bytes(m))) for m in (call.line.bot_mulaw, call.line.caller_mulaw))
    (spoken,) = np.nonzero(said > -60)
    (echoed,) = np.nonzero(heard > -50)
    assert list(echoed) == list(spoken + 8)
    assert heard[echoed] == pytest.approx(said[spoken] - 20, abs=0.5)
    assert frame_levels_dbfs(decode_mulaw(bytes(quiet.line.caller_mulaw))).max() < -60


def test_keys_reach_a_two_way_stream(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call = call_at(twilio, bridge, f'<Connect><Stream url="{STREAM}"/></Connect>')
    call.wait_for(happened.StreamOpened, DEADLINE_S)
    call.press("5")
    call.hang_up()
    call.wait(DEADLINE_S)
    (pressed,) = bridge.of("dtmf")
    assert pressed["dtmf"] == {"track": "inbound_track", "digit": "5"}


def test_an_update_stops_a_two_way_stream(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call = call_at(twilio, bridge, f'<Connect><Stream url="{STREAM}"/></Connect>')
    call.wait_for(happened.StreamOpened, DEADLINE_S)
    client_of(twilio).calls(call.sid).update(twiml=document("<Say>Bye</Say><Hangup/>"))
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB
    assert bridge.kinds()[-1] == "stop"
    assert call.complaints == []


def test_invalid_messages_are_reported_once_a_stream(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    def babble(connection: Any, message: dict[str, Any]) -> None:
        if message["event"] == "start":
            connection.send("{}")
            connection.send("[]")
            connection.send(b"\x00\x01", binary=True)
            connection.send(json.dumps({"event": "clear", "streamSid": "MZ"}))
            connection.close()

    bridge.on_message = babble
    call = call_at(twilio, bridge, f'<Connect><Stream url="{STREAM}"/></Connect>')
    call.wait(DEADLINE_S)
    assert codes(call) == [31951, 31950]


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ("hello", "not JSON"),
        ('"media"', "none of media, mark, clear"),
        ({"event": "hangup", "streamSid": "MZ1"}, "none of media, mark, clear"),
        ({"event": "clear", "streamSid": "MZ2"}, "this stream is MZ1"),
        ({"event": "clear"}, "streamSid None"),
        ({"event": "clear", "streamSid": "MZ1", "clear": {}}, "with the fields"),
        ({"event": "mark", "streamSid": "MZ1"}, "with the fields"),
        ({"event": "mark", "streamSid": "MZ1", "mark": {"name": 1}}, "mark is not an object"),
        ({"event": "media", "streamSid": "MZ1", "media": {"payload": "AAAA", "track": "x"}}, "media is not an object"),
        ({"event": "media", "streamSid": "MZ1", "media": {"payload": "?"}}, "not base64"),
    ],
)
def test_which_messages_twilio_takes_for_invalid(message: Any, why: str) -> None:
    text = message if isinstance(message, str) else json.dumps(message)
    with pytest.raises(ValueError, match=why):
        read_message(text.encode(), "MZ1")
