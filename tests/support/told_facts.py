"""Facts of calls as workers tell them, for tests of the observer."""

from typing import Any

from lexbridge.observer.calls.call_book import CallBook
from lexbridge.telemetry.facts import Audio, Event, Fact, Track

BEGAN_S = 1_699_999_980.0
"""Unix time at which the told calls begin: a whole minute, long ago."""
FRAME = b"\xff" * 160
LOUD_FRAME = bytes([0x8F, 0x0F]) * 80
"""20 ms of silence, and of a loud sound, as mu-law."""
WORKER_PID = 4711


NUMBERS = {"caller": "+1 ... 12", "called": "+1 ... 99"}


class ToldCall:
    """A call that tells its facts to a book. `at` is the time of the next fact, seconds after BEGAN_S."""

    def __init__(self, book: CallBook | None = None, call_sid: str = "CA1", stream_sid: str = "MZ1") -> None:
        self.book = book or CallBook()
        self.call_sid, self.stream_sid = call_sid, stream_sid
        self.at = 0.0

    def tell(self, event_name: str, level: str = "info", words: dict[str, Any] | None = None, **fields: Any) -> None:
        """Tell an event of the call's stream."""
        self.book.take(self.event(event_name, level, words, **fields))

    def event(self, event_name: str, level: str = "info", words: dict[str, Any] | None = None, **fields: Any) -> Event:
        """Return an event of the call's stream."""
        media_ms = round(self.at * 1000) if self.stream_sid else -1
        at_s = BEGAN_S + self.at
        return Event(at_s, self.call_sid, self.stream_sid, media_ms, level, event_name, fields, words or {})

    def audio(self, mulaw: bytes, track: Track = "caller", media_ms: int | None = None) -> None:
        """Tell audio, by default at the present media time."""
        at_ms = round(self.at * 1000) if media_ms is None else media_ms
        self.book.take(Audio(BEGAN_S + self.at, self.call_sid, self.stream_sid, at_ms, track, mulaw))

    def begin(self, mode: str = "call-update", pid: int = WORKER_PID) -> "ToldCall":
        """Tell that the stream has started."""
        self.tell("stream-started")
        self.tell("stream-described", "debug", mode=mode, pid=pid)
        self.book.take(Event(self.now_s, self.call_sid, "", -1, "debug", "call-described", dict(NUMBERS)))
        return self

    def turn(self, number: int = 1, reply_ms: int | None = 900, **words: Any) -> None:
        """Tell a whole turn of 3 s."""
        started_ms = round(self.at * 1000)
        self.tell("utterance-opened", "debug", turn=number, started_ms=started_ms)
        self.at += 2
        self.tell("utterance-ended", turn=number, started_ms=started_ms, ended_ms=started_ms + 2000, silent_ms=700)
        said = {"transcript": "red roses", "messages": ["When?"], "slots": {"Type": "roses"}, "raw": {"a": 1}}
        answer = {"dialog_state": "ElicitSlot", "intent": "OrderFlowers", "slot_to_elicit": "Date"}
        self.at += 0.5
        self.tell("lex-answered", "debug", {**said, **words}, turn=number, **answer)
        self.tell("update-made", "debug", {"twiml": "<Say>When?</Say>"}, number=number)
        self.at += 0.5
        self.tell("call-updated", "debug", number=number)
        times = {"end_ms": 700, "queue_ms": 0, "lex_ms": 500, "update_ms": 40, "reply_ms": reply_ms}
        self.tell("turn-latency", turn=number, outcome="answered", filler=False, **times)

    def end(self, ended_by: str = "caller", why: str | None = None) -> None:
        """Tell that the stream is over, and the call with it."""
        self.tell("stream-ended", how="stopped", turns=1)
        self.tell("call-ended", ended_by=ended_by, why=why, turns=1)

    @property
    def now_s(self) -> float:
        """Time of the next fact."""
        return BEGAN_S + self.at

    @property
    def view(self) -> dict[str, Any]:
        """The call as the book has it."""
        record = self.book.find(self.call_sid)
        assert record is not None
        return record.view(self.now_s)


def worker_report(at: float = 0.0, pid: int = WORKER_PID, **fields: Any) -> Event:
    """Return a worker's report of itself, `at` seconds after BEGAN_S."""
    report = {"pid": pid, "slot": 0, "state": "serving", "live_calls": 1, "lag_ms": 2, "busy_percent": 7, "dropped": 0}
    return Event(BEGAN_S + at, "", "", -1, "debug", "worker-reports", {**report, "memory_mb": 80, **fields})


def all_told(facts: list[Fact]) -> CallBook:
    """Return a book that has taken all of `facts`."""
    book = CallBook()
    for fact in facts:
        book.take(fact)
    return book


def told_call_with_voice() -> ToldCall:
    """Return a call in stream mode that has ended: one turn, voice of the caller, and a report of its worker."""
    call = ToldCall().begin("stream")
    call.book.take(worker_report())
    call.audio(FRAME * 50 + LOUD_FRAME * 100 + FRAME * 100, media_ms=0)
    call.at = 4
    call.turn(1)
    call.end()
    return call
