"""The story of a call's stream, as log lines: how long each reply took and why, and how the stream ended.

A live call reports the stream's log lines, its updates and the welcome, each with its time. Nothing here runs for every
media message, and nothing here reads a clock.

    last sound   utterance-ended   Lex is asked   turn-answered    update taken, or the first sound of Lex's voice
        |-- end_ms --|-- queue_ms --|-- lex_ms --|-----------------|
        |---------------------- reply_ms --------------------------|

One turn at a time is with Lex, so a turn may have to wait for those before it: `queue_ms`. Mostly that is 0, because
Lex is asked while the caller still speaks.

`end_ms` is media time: the silence that endpointing waited for. The rest is the monotonic clock of this process.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lexbridge.call.actions import Note
from lexbridge.logs import Log

_LAST_WORDS: Mapping[str, tuple[str, str | None]] = {
    "bot-hangs-up": ("bot", None),
    "transferred": ("transfer", None),
    "call-limit": ("lexbridge", "call-limit"),
    "machine-told": ("lexbridge", "machine-told"),
}
"""Log events that the call's last words follow, with who ends the call and why. Others have the field `ends_call`."""

KEYS = "keys"
"""The reason for the end of a stream that another stream replaces to bring keys to the bot."""

MACHINE_ANSWERED = "machine answered"
"""The reason for the end of a stream whose call goes to an answering machine's message."""

_HANDED_OVER = "handed over"
_SWITCHED = "switched"


@dataclass(slots=True)
class _Turn:
    """A turn whose reply the caller has not heard yet. `said_s`: when the utterance was over, monotonic seconds."""

    number: int
    said_s: float | None = None
    end_ms: int | None = None
    queue_ms: int | None = None
    lex_ms: int | None = None
    outcome: str | None = None
    """The outcome at Lex, or None while Lex has not answered."""
    is_withheld: bool = False
    """Whether the caller went on speaking: the next turn contains this one, if Lex's session can be restored."""
    update: int | None = None
    """The number of the call update that says the reply."""
    update_made_s: float = 0.0
    update_ms: int | None = None
    has_filler: bool = False

    @property
    def awaits_reply(self) -> bool:
        """Whether Lex has answered or failed, and the caller has not heard of it yet."""
        return self.outcome is not None and not self.is_withheld and self.update is None


class CallStory:
    """The story of one stream. `now_s` is always the time on the same monotonic clock.

    If the caller was asked for keys, the reason for the end of a one-way stream stays unknown: another process may have
    received the keys, and the call goes on.
    """

    __slots__ = (
        "_asked_s",
        "_asked_turn",
        "_asks_for_keys",
        "_began_s",
        "_ended_by",
        "_how",
        "_is_two_way",
        "_last_update",
        "_last_words",
        "_leaves_next",
        "_left_because",
        "_may_be_left",
        "_turns",
        "_turns_in_all",
        "_worst_reply_ms",
        "log",
    )

    def __init__(self, is_two_way: bool) -> None:
        """`is_two_way`: whether the stream is bidirectional. Such a stream lasts as long as the call, unless a document
        of this process ends it. A one-way stream may also be stopped for keys that another process has received."""
        self._is_two_way = is_two_way
        self.log = Log()
        self._turns: dict[int, _Turn] = {}
        self._began_s: float | None = None
        self._turns_in_all = 0
        self._worst_reply_ms: int | None = None
        self._asked_turn, self._asked_s = 0, 0.0  # the turn that is with Lex, and since when
        self._last_update = 0
        self._asks_for_keys = False
        self._last_words: tuple[str, str | None] | None = None  # who ends the call, and why; no document says so yet
        self._ended_by: tuple[str, str | None] | None = None  # the same, once a document says so
        self._may_be_left = False  # an estimate: the document itself is about to hang up on a silent caller
        self._left_because: str | None = None
        self._leaves_next = False  # the bot has handed the call on; no document says so yet
        self._how = "lost"

    def line_logged(self, note: Note, now_s: float) -> None:
        """Take in a line that the call writes to the log."""
        fields = note.fields
        if fields.get("by_document"):
            self._may_be_left = fields["ends_call"]
        elif fields.get("ends_call"):
            self._last_words = "lexbridge", note.event
        self._last_words = _LAST_WORDS.get(note.event, self._last_words)
        match note.event:
            case "stream-started":
                self._began_s = now_s
            case "no-input":
                self._unheard_so_far()
            case "bot-switched":
                self._leaves_next = True
            case "handed-over":
                self._left_because = _HANDED_OVER
            case "stream-ended":
                self._turns_in_all = fields["turns"]
                self._how = fields["how"]
            case _:
                self._turn_noted(note.event, fields, now_s)

    def welcome_asked(self, number: int, now_s: float) -> None:
        """Note that Lex is asked for the welcome, as the turn `number`. The caller waits from now on."""
        self._turn(number).said_s = now_s

    def turn_asked(self, number: int, now_s: float) -> None:
        """Note that Lex is asked for the turn `number`: the caller speaks or has spoken, or has pressed keys."""
        self._may_be_left = False
        self._asked_turn, self._asked_s = number, now_s

    def update_made(self, number: int, now_s: float, *, asks_for_keys: bool = False) -> None:
        """Note that the call update `number`, which answers the turns so far, goes to Twilio.

        `asks_for_keys`: whether Twilio may be collecting keys by it.
        """
        self._last_update = number
        self._asks_for_keys = asks_for_keys
        self._ended_by, self._last_words = self._last_words, None
        self._may_be_left = False
        if self._leaves_next:
            self._left_because, self._leaves_next = _SWITCHED, False
        if self._left_because == KEYS:  # this document may have come first: then the stream goes on
            self._left_because = None
        for turn in self._turns.values():
            if turn.awaits_reply:
                turn.update, turn.update_made_s = number, now_s

    def update_taken(self, number: int, now_s: float) -> None:
        """Note that Twilio has taken the call update `number`. Earlier updates that it did not take are never heard."""
        for turn in [turn for turn in self._turns.values() if turn.update is not None and turn.update <= number]:
            if turn.update == number:
                turn.update_ms = _ms(now_s - turn.update_made_s)
                self._finish(turn, now_s)
            else:
                self._finish(turn)

    def update_failed(self, number: int) -> None:
        """Note that Twilio has not taken the call update `number`: if it is the newest, the call does not end by it."""
        if number == self._last_update:
            self._ended_by = None
            if self._left_because in (_HANDED_OVER, _SWITCHED):
                self._left_because = None
        for turn in [turn for turn in self._turns.values() if turn.update == number]:
            self._finish(turn)

    def note_reason(self, why: str) -> None:
        """Note why the stream is about to end although the call goes on. The first reason stands."""
        self._left_because = self._left_because or why
        self._ended_by = None

    def stream_ended(self, now_s: float, why: str | None = None) -> None:
        """Write the line that tells how the stream ended, if it ever began.

        `why`: the reason, if it lies in this process.
        """
        if self._began_s is None:
            return
        for turn in list(self._turns.values()):
            if turn.outcome is not None:
                self._finish(turn)
        figures = {
            "duration_s": round(now_s - self._began_s, 1),
            "turns": self._turns_in_all,
            "faults": self.log.faults,
            "worst_fault": self.log.worst_fault,
            "worst_reply_ms": self._worst_reply_ms,
        }
        if (end := self._end()) is None:
            left_because = self._left_because or why or ("stream lost" if self._how == "lost" else "stopped by Twilio")
            self.log.info("call-left", why=left_because, **figures)
        else:
            ended_by, reason = end
            self.log.info("call-ended", ended_by=ended_by, why=reason, **figures)

    def _end(self) -> tuple[str, str | None] | None:
        """Return who ended the call with the stream, and why; None if the call goes on, or this process cannot know."""
        if self._how == "released":
            return "release", None
        if self._how == "gone":  # an update came too late: the caller had hung up
            return "caller", None
        if self._left_because or self._ended_by:
            return self._ended_by
        if self._how == "stopped" and self._may_be_left:
            return "lexbridge", "no-input"
        is_the_end = self._how == "stopped" and (self._is_two_way or not self._asks_for_keys)
        return ("caller", None) if is_the_end else None

    # -- what the log lines mean

    def _turn_noted(self, event: str, fields: Mapping[str, Any], now_s: float) -> None:
        match event:
            case "utterance-ended" | "keys-complete":
                turn = self._turn(fields["turn"])
                turn.said_s, turn.end_ms = now_s, fields["silent_ms"]
            case "turn-answered" | "turn-failed":
                self._lex_is_done(self._turn(fields["turn"]), event.removeprefix("turn-"), now_s)
            case "false-alarm":
                self._finish(self._turn(fields["turn"]), outcome="false-alarm")
            case "utterance-dropped":
                self._turns.pop(fields["turn"], None)
            case "prompt-audible" if not fields["is_filler"]:
                self._audible(fields["turn"], now_s + fields["in_ms"] / 1000)
            case "filler-said" if fields["turn"] in self._turns:
                self._turns[fields["turn"]].has_filler = True
            case "joined" if fields["with_turn"] in self._turns:
                self._turns[fields["with_turn"]].is_withheld = True
            case "join-refused":
                for turn in self._turns.values():
                    turn.is_withheld = False

    def _lex_is_done(self, turn: _Turn, outcome: str, now_s: float) -> None:
        """Note that Lex answered or failed. The turns that were withheld are now part of this one."""
        turn.outcome = outcome
        if turn.said_s is not None:
            asked_s = max(turn.said_s, self._asked_s) if self._asked_turn == turn.number else turn.said_s
            turn.queue_ms, turn.lex_ms = _ms(asked_s - turn.said_s), _ms(now_s - asked_s)
        for other in [other for other in self._turns.values() if other.is_withheld and other is not turn]:
            self._finish(other, outcome="joined")

    def _audible(self, number: int, heard_s: float) -> None:
        """Note that the caller hears a prompt from `heard_s` on: the answer to the turn `number`.

        A number below 0 is that of a prompt that answers no turn, such as the apology for turns that failed.
        """
        for turn in [turn for turn in self._turns.values() if turn.awaits_reply]:
            if turn.number == number or (number < 0 and turn.outcome == "failed"):
                self._finish(turn, heard_s)

    def _unheard_so_far(self) -> None:
        """Close the turns whose reply the caller has not heard: the caller is asked again, and will never hear it."""
        for turn in [turn for turn in self._turns.values() if turn.awaits_reply]:
            self._finish(turn)

    # -- turns

    def _turn(self, number: int) -> _Turn:
        self._turns_in_all = max(self._turns_in_all, number)
        return self._turns.setdefault(number, _Turn(number))

    def _finish(self, turn: _Turn, heard_s: float | None = None, outcome: str | None = None) -> None:
        """Write the turn's log line, after those of earlier turns whose reply was never heard."""
        before = [other for other in self._turns.values() if other.number < turn.number and other.awaits_reply]
        for other in before if heard_s is not None else []:
            self._write(other, None, other.outcome)
        self._write(turn, heard_s, outcome or turn.outcome)

    def _write(self, turn: _Turn, heard_s: float | None, outcome: str | None) -> None:
        del self._turns[turn.number]
        reply_ms = None
        if heard_s is not None and turn.said_s is not None:
            reply_ms = _ms(heard_s - turn.said_s) + (turn.end_ms or 0)
            self._worst_reply_ms = max(reply_ms, self._worst_reply_ms or 0)
        self.log.info(
            "turn-latency",
            turn=turn.number,
            outcome=outcome,
            end_ms=turn.end_ms,
            queue_ms=turn.queue_ms,
            lex_ms=turn.lex_ms,
            update_ms=turn.update_ms,
            reply_ms=reply_ms,
            filler=turn.has_filler,
        )


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
