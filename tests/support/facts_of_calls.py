"""Facts of whole calls, as workers tell them, with secret words in all that may hold words."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lexbridge.telemetry.facts import Audio, Event, Fact

PIN = "4711808471"
"""A secret number that is in no timestamp, signature or id by chance."""

SECRETS = ("tulips", "geheimnis", PIN, "Mrs Bramble", "what flowers", "<Response>", "raw-secret")
"""Words of the calls below: no event without words, log line or trace may hold one."""

BEGAN_S = 1_700_000_000.0
PID, OTHER_PID = 4001, 4002


@dataclass
class CallOfFacts:
    """A call whose facts are made one by one. `now_s` is the time of the next one."""

    call_sid: str = "CA" + "b15e" * 8
    stream_sid: str = "MZ" + "01" * 16
    now_s: float = BEGAN_S
    pid: int = PID
    mode: str = "call-update"
    facts: list[Fact] = field(default_factory=list)
    began_s: float = BEGAN_S

    def tells(self, name: str, words: dict[str, Any] | None = None, level: str = "info", **fields: Any) -> None:
        """Add an event of the stream."""
        media_ms = round((self.now_s - self.began_s) * 1000) if self.stream_sid else -1
        self.facts.append(Event(self.now_s, self.call_sid, self.stream_sid, media_ms, level, name, fields, words or {}))

    def is_answered(self) -> None:
        """Twilio's webhook has asked, and the first stream has begun 100 ms later."""
        stream_sid, self.stream_sid = self.stream_sid, ""
        self.tells("call-answered")
        self.tells("call-described", caller="...471", called="...255")
        self.now_s += 0.1
        self.begins(stream_sid)

    def begins(self, stream_sid: str, pid: int | None = None, **fields: Any) -> None:
        """Begin a stream, in the worker `pid`."""
        self.stream_sid, self.began_s, self.pid = stream_sid, self.now_s, pid or self.pid
        self.tells("stream-started", **fields)
        self.tells("stream-described", mode=self.mode, pid=self.pid)

    def asks(self, turn: int, speaks_s: float = 2.0) -> None:
        """Let the caller speak and be heard out, up to Lex's work."""
        start_ms = round((self.now_s - self.began_s) * 1000)
        self.now_s += 0.1
        self.tells("utterance-opened", turn=turn, started_ms=max(0, start_ms - 500))
        self.now_s += speaks_s + 0.6
        ended_ms = start_ms + round(speaks_s * 1000) + 700
        self.tells(
            "utterance-ended", turn=turn, started_ms=start_ms, ended_ms=ended_ms, silent_ms=700, reason="hangover"
        )
        self.tells("utterance-closed", turn=turn)

    def is_answered_by_lex(self, turn: int, after_s: float = 0.3, state: str = "ElicitSlot") -> None:
        """Let Lex answer with secret words."""
        self.now_s += after_s
        words = {
            "transcript": "tulips for Mrs Bramble please",
            "messages": ["what flowers else, geheimnis?"],
            "slots": {"FlowerType": "tulips", "PickupDate": None, "Pin": PIN},
            "session_attributes": {"customer": "Mrs Bramble"},
            "raw": {"inputTranscript": "raw-secret"},
        }
        fields = {"dialog_state": state, "intent": "OrderFlowers", "slot_to_elicit": "PickupDate"}
        self.tells("lex-answered", words, turn=turn, speaks=False, **fields)
        self.tells("turn-answered", turn=turn, messages=1, **fields)

    def is_told(self, turn: int, number: int, lex_ms: int, update_ms: int = 40, filler: bool = False) -> None:
        """Let the reply be heard by a call update."""
        self.tells("update-made", {"twiml": "<Response>geheimnis</Response>"}, number=number, hands_over=False)
        self.now_s += update_ms / 1000
        self.tells("call-updated", level="debug", number=number, update_ms=update_ms)
        reply_ms = 700 + lex_ms + update_ms
        figures = {"end_ms": 700, "queue_ms": 0, "lex_ms": lex_ms, "update_ms": update_ms}
        self.tells("turn-latency", turn=turn, outcome="answered", reply_ms=reply_ms, filler=filler, **figures)

    def has_turn(self, turn: int, lex_s: float = 0.3) -> None:
        """Let a whole turn pass."""
        self.asks(turn)
        self.is_answered_by_lex(turn, lex_s)
        self.is_told(turn, number=turn, lex_ms=round(lex_s * 1000))
        self.now_s += 3

    def hangs_up(self, turns: int = 1) -> None:
        """Let the caller hang up."""
        self.tells("stream-ended", how="stopped", turns=turns)
        self.tells("call-ended", ended_by="caller", why=None, turns=turns, faults=0, duration_s=9.0)

    def loses_worker(self) -> None:
        """Let the worker be killed."""
        self.facts.append(of_service(self.now_s, "worker-ended", pid=self.pid, slot=0))
        self.facts.append(of_service(self.now_s, "worker-died", level="error", pid=self.pid, signal="SIGKILL"))

    def hears(self, track: Any, seconds: float, code: int = 0x55) -> None:
        """Add audio of one track from now on, in pieces of 200 ms, and let the time pass."""
        for _ in range(round(seconds * 5)):
            self.hears_piece(track, bytes([code]) * 1600)

    def hears_piece(self, track: Any, mulaw: bytes) -> None:
        """Add a piece of audio of one track from now on, and let its time pass."""
        media_ms = round((self.now_s - self.began_s) * 1000)
        self.facts.append(Audio(self.now_s, self.call_sid, self.stream_sid, media_ms, track, mulaw))
        self.now_s += len(mulaw) / 8000

    def sends(self, seconds: float, code: int) -> None:
        """Send audio of the bot at once, which Twilio plays from now on."""
        media_ms = round((self.now_s - self.began_s) * 1000)
        for _ in range(round(seconds * 5)):
            mulaw = bytes([code]) * 1600
            self.facts.append(Audio(self.now_s, self.call_sid, self.stream_sid, media_ms, "bot", mulaw))


def of_service(at_s: float, name: str, level: str = "info", **fields: Any) -> Event:
    """Return what the supervisor tells."""
    return Event(at_s, "", "", -1, level, name, fields)


def service_starts(at_s: float = BEGAN_S - 60) -> Event:
    """Return what the supervisor tells when the first worker is ready."""
    served = {"bot": "FLOWERS123", "alias": "LIVE123456", "locale": "en_US", "region": "eu-central-1"}
    how = {"version": "1.2.3", "reply_mode": "call-update", "detector": "level", "port": 8080, "url": "https://x"}
    return of_service(at_s, "serving", pid=PID, workers=2, **served, **how)


def service_stops(at_s: float) -> Event:
    """Return what the supervisor tells when it is told to end."""
    return of_service(at_s, "service-stopping", level="debug")


def usual_call(**changes: Any) -> CallOfFacts:
    """Return a call of two turns, which the caller ends."""
    call = CallOfFacts(**changes)
    call.is_answered()
    call.has_turn(1)
    call.has_turn(2)
    call.hangs_up(2)
    return call


def bad_call(**changes: Any) -> CallOfFacts:
    """Return a call in which Lex is slow, a worker is killed, and Twilio's REST API once answers 429."""
    call = CallOfFacts(**changes)
    call.is_answered()
    call.asks(1)
    call.now_s += 2.5
    call.tells("filler-said", turn=1)
    call.is_answered_by_lex(1, 0.6)
    call.is_told(1, number=2, lex_ms=3100, filler=True)
    call.asks(2)
    call.loses_worker()
    call.now_s += 1
    call.begins("MZ" + "02" * 16, pid=OTHER_PID, resumed="lost")
    call.asks(1)
    call.is_answered_by_lex(1)
    call.tells("update-made", {"twiml": "<Response>geheimnis</Response>"}, number=1, hands_over=False)
    call.tells(
        "call-update-failed", level="warning", error="Twilio answered 429, code 20429", attempt=1, host="api.example"
    )
    call.is_told(1, number=1, lex_ms=300, update_ms=400)
    call.now_s += 1
    call.tells("stream-ended", how="stopped", turns=1)
    call.tells("call-left", why="stopped by Twilio", turns=1, faults=1, duration_s=9.0)
    return call


def holds_secret(text: str) -> Iterator[str]:
    """Yield the secrets that a text holds."""
    return (secret for secret in SECRETS if secret.lower() in text.lower())
