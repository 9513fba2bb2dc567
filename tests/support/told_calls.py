"""Calls as the console's API tells them: an order in call-update mode, a booking in stream mode, and rows.

They are drawn by hand, so a test of the pages needs no bridge: it knows every figure that a page has to show.
"""

import math
import random
from typing import Any

FRAME_MS = 20
QUIET_DBFS = -63.0
THRESHOLD_DBFS = -36.3

Json = dict[str, Any]


class Line:
    """The levels of one media stream, frame by frame."""

    def __init__(self, stream_sid: str, began_s: float, length_ms: int) -> None:
        self.stream_sid, self.began_s = stream_sid, began_s
        self._draw = random.Random(stream_sid)
        frames = length_ms // FRAME_MS
        self.level = [round(QUIET_DBFS + self._draw.uniform(-1.5, 1.5), 1) for _ in range(frames)]
        self.voiced = [0] * frames
        self.bot = [0.0] * frames

    def caller_speaks(self, from_ms: int, to_ms: int) -> None:
        """Draw syllables of the caller's."""
        for frame in range(from_ms // FRAME_MS, to_ms // FRAME_MS):
            syllable = math.sin(frame / 2.6) * math.sin(frame / 9.1 + 1) + 0.4 * math.sin(frame / 1.7)
            self.level[frame] = round(-21 + 11 * syllable - abs(self._draw.gauss(0, 4)), 1)
            self.voiced[frame] = int(self.level[frame] > THRESHOLD_DBFS)

    def bot_speaks(self, from_ms: int, to_ms: int) -> None:
        """Draw syllables of the bot's."""
        for frame in range(from_ms // FRAME_MS, min(len(self.bot), to_ms // FRAME_MS)):
            syllable = math.sin(frame / 3.1) * math.sin(frame / 11.3) + 0.5 * math.sin(frame / 2.2)
            self.bot[frame] = round(min(1, max(0.02, 0.32 + 0.4 * syllable + self._draw.gauss(0, 0.08))), 3)

    def piece(self, from_ms: int = 0, to_ms: int | None = None) -> Json:
        """Return the levels as the API tells them."""
        part = slice(from_ms // FRAME_MS, None if to_ms is None else to_ms // FRAME_MS)
        frames = len(self.level[part])
        return {
            "stream_sid": self.stream_sid,
            "began_s": self.began_s,
            "from_ms": from_ms,
            "frame_ms": FRAME_MS,
            "level_dbfs": self.level[part],
            "threshold_dbfs": [THRESHOLD_DBFS] * frames,
            "floor_dbfs": [QUIET_DBFS] * frames,
            "voiced": self.voiced[part],
            "bot_peak": self.bot[part],
        }


class Told:
    """One call in the making: its events, turns and levels."""

    def __init__(self, call_sid: str, mode: str, began_s: float, **summary: Any) -> None:
        self.call_sid, self.mode, self.began_s = call_sid, mode, began_s
        self.streams: list[Json] = []
        self.lines: dict[str, Line] = {}
        self.events: list[list[Any]] = []
        self.turns: list[Json] = []
        self.bot: list[list[float]] = []
        self.unheard: list[list[float]] = []
        self.summary_fields = summary

    def stream(self, stream_sid: str, at_s: float, length_ms: int, pid: int) -> Line:
        """Begin a media stream `at_s` seconds after the call."""
        began_s = self.began_s + at_s
        stream = {"stream_sid": stream_sid, "began_s": began_s, "ended_s": began_s + length_ms / 1000}
        self.streams.append({**stream, "worker_pid": pid, "mode": self.mode})
        self.lines[stream_sid] = Line(stream_sid, began_s, length_ms)
        self.event(at_s, stream_sid, "stream-started", pid=pid)
        return self.lines[stream_sid]

    def event(self, at_s: float, stream_sid: str, name: str, level: str = "info", /, **fields: Any) -> None:
        """Tell an event; `words` is taken out of the fields."""
        words = fields.pop("words", {})
        line = self.lines.get(stream_sid)
        media_ms = -1 if line is None else int((self.began_s + at_s - line.began_s) * 1000)
        self.events.append([self.began_s + at_s, stream_sid, media_ms, level, name, fields, words])

    def turn(self, stream_sid: str, number: int, from_s: float, to_s: float, **told: Any) -> Json:
        """Tell a turn of the caller's voice, `from_s` to `to_s` after the call began, and its reply."""
        line = self.lines[stream_sid]
        offset_s = line.began_s - self.began_s
        start_ms, sound_ms = round((from_s - offset_s) * 1000), round((to_s - offset_s) * 1000)
        line.caller_speaks(start_ms, sound_ms)
        end_ms, lex_ms, update_ms = told.get("end_ms", 700), told.get("lex_ms", 280), told.get("update_ms")
        closed_s, answered_s = to_s + end_ms / 1000, to_s + (end_ms + lex_ms) / 1000
        self.event(from_s + 0.06, stream_sid, "utterance-opened", "debug", turn=number, started_ms=start_ms - 500)
        self.event(closed_s, stream_sid, "utterance-closed", "debug", turn=number)
        span = {"started_ms": start_ms, "ended_ms": sound_ms + end_ms, "silent_ms": end_ms, "reason": "hangover"}
        self.event(closed_s, stream_sid, "utterance-ended", turn=number, **span, voice_dbfs=-18.3, line_dbfs=-63.0)
        turn = {"stream_sid": stream_sid, "turn": number, "began_s": line.began_s + (start_ms - 500) / 1000}
        turn |= {"started_ms": start_ms - 500, "ended_ms": sound_ms + end_ms, "end_ms": end_ms, "lex_ms": lex_ms}
        reply_ms = told.get("reply_ms", end_ms + lex_ms + (update_ms or 260))
        turn |= {"update_ms": update_ms, "reply_ms": reply_ms, "filler": told.get("filler", False)}
        turn |= {"outcome": told.get("outcome", "answered"), "transcript": told.get("said"), "keys": None}
        turn |= {"messages": [told["answer"]], "intent": told.get("intent", "OrderFlowers"), "slots": told["slots"]}
        turn |= {"slot_to_elicit": told.get("asks"), "dialog_state": told.get("state", "ElicitSlot")}
        turn |= {"attributes_changed": told.get("attributes", {}), "twiml": told.get("twiml")}
        turn["raw"] = {"sessionState": {"intent": {"name": turn["intent"], "slots": turn["slots"]}}}
        self.turns.append(turn)
        words = {name: turn[name] for name in ("transcript", "messages", "slots", "raw")}
        named = {name: turn[name] for name in ("dialog_state", "intent", "slot_to_elicit")}
        self.event(answered_s, stream_sid, "lex-answered", "debug", turn=number, **named, words=words)
        self.event(answered_s, stream_sid, "turn-answered", turn=number, **named, messages=1)
        if turn["filler"]:
            self.event(to_s + 1.9, stream_sid, "filler-said", turn=number)
        if update_ms is not None:
            self.event(answered_s, stream_sid, "update-made", number=number, words={"twiml": turn["twiml"]})
            self.event(
                answered_s + update_ms / 1000, stream_sid, "call-updated", "debug", number=number, update_ms=update_ms
            )
        figures = {name: turn[name] for name in ("outcome", "end_ms", "lex_ms", "update_ms", "reply_ms", "filler")}
        self.event(to_s + reply_ms / 1000, stream_sid, "turn-latency", turn=number, **figures)
        return turn

    def bot_speaks(self, stream_sid: str, from_s: float, to_s: float) -> None:
        """Tell audio of the bot's."""
        line = self.lines[stream_sid]
        offset_s = line.began_s - self.began_s
        line.bot_speaks(round((from_s - offset_s) * 1000), round((to_s - offset_s) * 1000))
        self.bot.append([self.began_s + from_s, to_s - from_s])

    @property
    def summary(self) -> Json:
        """Return the call in one line."""
        replies = [turn["reply_ms"] for turn in self.turns if turn["reply_ms"] is not None]
        last = self.turns[-1] if self.turns else {"intent": None, "dialog_state": None}
        return {
            **row(self.call_sid, self.began_s),
            "mode": self.mode,
            "state": "ended",
            "ended_s": self.streams[-1]["ended_s"],
            "worker_pid": self.streams[-1]["worker_pid"],
            "turns": len(self.turns),
            "streams": len(self.streams),
            "speaking": None,
            "last_reply_ms": replies[-1] if replies else None,
            "worst_reply_ms": max(replies, default=None),
            "faults": sum(event[3] in ("warning", "error") for event in self.events),
            "barge_ins": sum(event[4] == "barged-in" for event in self.events),
            "fillers": sum(event[4] == "filler-said" for event in self.events),
            "intent": last["intent"],
            "dialog_state": last["dialog_state"],
            "ended_by": "bot",
            "has_audio": True,
            **self.summary_fields,
        }

    @property
    def detail(self) -> Json:
        """Return the call as `/calls/SID` tells it."""
        events = sorted(self.events, key=lambda one: one[0])
        caller = [[one["began_s"], one["ended_s"] - one["began_s"]] for one in self.streams]
        audio = {"caller": caller, "bot": self.bot, "unheard": self.unheard}
        return {"summary": self.summary, "streams": self.streams, "events": events, "turns": self.turns, "audio": audio}

    @property
    def levels(self) -> Json:
        """Return the levels as `/calls/SID/levels` tells them."""
        return {"streams": [line.piece() for line in self.lines.values()]}


def row(call_sid: str, began_s: float) -> Json:
    """Return the summary of a live call of which little is known."""
    return {
        "call_sid": call_sid,
        "caller": "+1206•••0142",
        "called": "+1415•••0100",
        "mode": "call-update",
        "state": "live",
        "began_s": began_s,
        "ended_s": None,
        "worker_pid": 4101,
        "turns": 0,
        "streams": 1,
        "speaking": None,
        "last_reply_ms": None,
        "worst_reply_ms": None,
        "faults": 0,
        "barge_ins": 0,
        "fillers": 0,
        "intent": None,
        "dialog_state": None,
        "ended_by": None,
        "why": None,
        "has_audio": True,
    }


def live_rows(n: int, now_s: float) -> list[Json]:
    """Return summaries of `n` live calls of three workers, of all kinds."""
    draw = random.Random(n)
    rows = []
    for _ in range(n):
        reply_ms = draw.choice([None, 640, 980, 1240, 1710, 3808])
        rows.append(
            {
                **row(f"CA{draw.randrange(16**32):032x}", now_s - draw.uniform(3, 400)),
                "caller": f"+1206•••{draw.randrange(10000):04d}",
                "worker_pid": draw.choice([4101, 4102, 4103]),
                "turns": draw.randrange(9),
                "speaking": draw.choice(["caller", "bot", "lex", None]),
                "last_reply_ms": reply_ms,
                "worst_reply_ms": reply_ms,
                "faults": int(draw.random() < 0.08),
                "fillers": int(reply_ms == 3808),
                "intent": draw.choice(["OrderFlowers", "CheckBooking", "OrderCoffee", None]),
                "dialog_state": draw.choice(["ElicitSlot", "ConfirmIntent", "ElicitIntent"]),
            }
        )
    return rows


def _say(words: str) -> str:
    return f'<Response><Gather input="dtmf"><Say>{words}</Say><Pause length="10"/></Gather></Response>'


def flower_order(began_s: float) -> Told:
    """Return an order of flowers in call-update mode: a slow turn with a filler, and a REST failure."""
    told = Told("CA42e9d7b3759554ce6070bf7bf93f3b2b", "call-update", began_s)
    told.stream("MZ8aa7da495634468c3333cb19994b6749", 0.2, 37800, 4101)
    sid = "MZ8aa7da495634468c3333cb19994b6749"
    told.event(0.2, sid, "stream-described", "debug", mode="call-update", caller="+1206•••0142")
    slots: Json = {"FlowerType": None, "PickupDate": None, "PickupTime": None}
    asked = "What type of flowers would you like to order?"
    attributes: Json = {"greeted": "yes"}
    common: Json = {"update_ms": 9}
    first = {**common, "answer": asked, "asks": "FlowerType", "twiml": _say(asked), "attributes": attributes}
    told.turn(sid, 1, 4.8, 6.7, said="i would like to order some flowers", slots=dict(slots), **first)
    slots["FlowerType"] = "roses"
    asked = "What day do you want the roses to be picked up?"
    slow = {**common, "lex_ms": 3104, "reply_ms": 3808, "filler": True, "answer": asked, "asks": "PickupDate"}
    told.turn(sid, 2, 11.2, 11.7, said="roses", slots=dict(slots), twiml=_say(asked), **slow)
    slots["PickupDate"] = "2026-12-04"
    asked = "At what time do you want the roses to be picked up?"
    third = {"answer": asked, "asks": "PickupTime", "twiml": _say(asked), "update_ms": 131, "lex_ms": 102}
    failed = {"error": "Twilio answered 503, code 20500", "host": "api.twilio.com", "attempt": 1}
    told.event(21.52, sid, "call-update-failed", "warning", **failed)
    told.turn(sid, 3, 19.5, 20.7, said="on friday", slots=dict(slots), **third)
    slots["PickupTime"] = "10:30"
    asked = "Okay, your roses will be ready for pickup by half past ten on Friday. Does this sound okay?"
    fourth = {**common, "answer": asked, "state": "ConfirmIntent", "twiml": _say(asked)}
    told.turn(sid, 4, 24.9, 26.5, said="at half past ten", slots=dict(slots), **fourth)
    asked = "Thanks, your order for roses has been placed."
    last = {**common, "answer": asked, "state": "Fulfilled", "attributes": {"order": "F-1001", "greeted": None}}
    told.turn(sid, 5, 33.6, 34.1, said="yes", slots=dict(slots), twiml=_say(asked), **last)
    told.event(36.9, sid, "bot-hangs-up")
    told.event(38.0, sid, "stream-ended", how="stopped", turns=5, media_ms=37800)
    told.event(38.0, sid, "call-ended", ended_by="bot", duration_s=38.0, turns=5, faults=1, worst_reply_ms=3808)
    return told


def booking(began_s: float, *, ended: bool = True) -> Told:
    """Return a check of a booking in stream mode: the caller barges in, keys in a number, and a stream is lost."""
    more: Json = {"caller": "+1425•••7731"} if ended else {"caller": "+1425•••7731", "state": "live", "ended_s": None}
    told = Told("CA7c1f00d24be84a5e9d3a6b1c2f5e8a90", "stream", began_s, **more)
    first, second = "MZ11a0c3d4e5f60718293a4b5c6d7e8f90", "MZ22b1d4e5f60718293a4b5c6d7e8f90a1"
    told.stream(first, 0.1, 19400, 4102)
    told.bot_speaks(first, 0.7, 4.7)
    told.unheard.append([began_s + 4.7, 5.0])
    told.event(4.7, first, "audio-cleared")
    told.event(4.7, first, "barged-in", heard_ms=4000)
    slots: Json = {"Number": None}
    asked = "Please key in the six digits of your booking number on your telephone, or say them one by one."
    one = {"answer": asked, "asks": "Number", "intent": "CheckBooking", "reply_ms": 1420}
    told.turn(first, 1, 4.4, 5.8, said="i would like to check my booking", slots=dict(slots), **one)
    told.bot_speaks(first, 7.2, 11.9)
    for i, key in enumerate("428153"):
        told.event(13.3 + i * 0.32, first, "key-pressed", words={"key": key})
    told.event(15.6, first, "keys-complete", turn=2, keys=6, silent_ms=500)
    told.event(15.6, first, "lex-asked", "debug", turn=2, how="keys", words={"keys": "428153"})
    slots["Number"] = "428153"
    answer = "Booking 428153 is a double room with a view of the harbour. Would you like to add breakfast, or parking?"
    keyed = {"stream_sid": first, "turn": 2, "began_s": began_s + 13.3, "started_ms": None, "ended_ms": None}
    keyed |= {"end_ms": 500, "lex_ms": 90, "update_ms": None, "reply_ms": 740, "filler": False, "outcome": "answered"}
    keyed |= {"transcript": None, "messages": [answer], "intent": "CheckBooking", "slots": dict(slots), "raw": None}
    keyed |= {"slot_to_elicit": "Extra", "dialog_state": "ElicitSlot", "attributes_changed": {}, "twiml": None}
    told.turns.append(keyed | {"keys": "428153"})
    told.event(15.69, first, "lex-answered", "debug", turn=2, intent="CheckBooking", dialog_state="ElicitSlot")
    told.event(15.84, first, "turn-latency", turn=2, outcome="answered", end_ms=500, lex_ms=90, reply_ms=740)
    told.bot_speaks(first, 15.84, 19.4)
    told.event(19.5, first, "stream-status", "error", error="31921: Stream - Websocket connection closed")
    told.event(19.5, first, "stream-ended", how="lost", turns=2, media_ms=19400)
    told.event(19.9, "", "call-resumed", "warning", streams_lost=1)
    told.stream(second, 20.2, 12800, 4103)
    told.bot_speaks(second, 20.6, 24.0)
    slots["Extra"] = "breakfast"
    thanks = "Thank you, that is noted. We look forward to seeing you on Friday. Goodbye."
    last = {"answer": thanks, "state": "Fulfilled", "intent": "CheckBooking", "reply_ms": 1240}
    told.turn(second, 1, 26.4, 27.2, said="breakfast please", slots=dict(slots), **last)
    told.bot_speaks(second, 28.44, 32.8)
    told.event(32.9, second, "mark-returned", "debug", name="1")
    if ended:
        told.event(33.0, second, "call-ended", ended_by="bot", duration_s=33.0, turns=3, faults=2, worst_reply_ms=1420)
    return told
