"""The counts of log lines: which metric grows by which event."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from lexbridge.telemetry.error_kinds import error_kind
from lexbridge.telemetry.metric_table import METRICS

Fields = Mapping[str, Any]


class Count(NamedTuple):
    """An addition to a metric: `amount` is added to a counter or a gauge, or observed by a histogram."""

    metric: str
    labels: tuple[str, ...] = ()
    amount: float = 1.0


def counts_of(level: str, event: str, fields: Fields, reply_mode: str) -> Iterator[Count]:
    """Yield what a line of the log adds to the metrics.

    `reply_mode`: that of the call's line, by which times are kept apart. The name of the line is the last label of the
    metrics that tell lines apart.
    """
    served_by = str(fields.get("line") or "")
    for count in _counts_of(level, event, fields, reply_mode):
        yield count._replace(labels=(*count.labels, served_by)) if METRICS[count.metric].is_by_line else count


def _counts_of(level: str, event: str, fields: Fields, reply_mode: str) -> Iterator[Count]:
    if level in ("warning", "error"):
        yield Count("faults_total", (event, level))
    if event.endswith("-broken"):
        yield Count("bugs_total")
    if (counted := _COUNTED.get(event)) is not None:
        yield from counted(fields, level, reply_mode)


_Counted = Callable[[Fields, str, str], Iterator[Count]]


def _one(metric: str, *names: str) -> _Counted:
    """Return a function that counts a line once. `names`: fields that are the labels."""

    def count(fields: Fields, *_: str) -> Iterator[Count]:
        yield Count(metric, tuple(_label(fields.get(name)) for name in names))

    return count


def _label(value: object) -> str:
    return "none" if value is None else str(value)


def _stream_started(fields: Fields, *_: str) -> Iterator[Count]:
    resumed = fields.get("resumed")
    yield Count("calls_started_total") if resumed is None else Count("calls_resumed_total", (_label(resumed),))


def _stream_ended(fields: Fields, *_: str) -> Iterator[Count]:
    yield Count("media_messages_odd_total", amount=fields.get("odd_messages", 0))


def _turn_latency(fields: Fields, _: str, mode: str) -> Iterator[Count]:
    end_ms, reply_ms, outcome = fields["end_ms"], fields["reply_ms"], _label(fields["outcome"])
    yield Count("turns_total", ("not-heard" if outcome == "answered" and reply_ms is None else outcome,))
    if end_ms is not None:
        yield _time("endpointing_seconds", mode, end_ms)
    if (queue_ms := fields["queue_ms"]) is not None:
        yield _time("turn_queue_seconds", mode, queue_ms)
    if reply_ms is not None:
        yield _time("reply_seconds", mode, reply_ms - (end_ms or 0))
        yield _time("caller_wait_seconds", mode, reply_ms)


def _call_over(metric: str, *names: str) -> _Counted:
    """Return a function that counts the end of a call, or of its stream, and the worst fault. `names`: as above."""
    count_end = _one(metric, *names)

    def count(fields: Fields, level: str, mode: str) -> Iterator[Count]:
        yield from count_end(fields, level, mode)
        if (worst := fields.get("worst_fault")) is not None:
            yield Count("calls_with_faults_total", (worst,))

    return count


def _lex_timed(fields: Fields, _: str, mode: str) -> Iterator[Count]:
    yield _time("lex_first_byte_seconds", mode, fields["first_byte_ms"])
    yield _time("lex_total_seconds", mode, fields["total_ms"])


def _time(metric: str, mode: str, ms: float) -> Count:
    return Count(metric, (mode,), max(0, ms) / 1000)


def _utterance_dropped(fields: Fields, *_: str) -> Iterator[Count]:
    yield Count("turns_total", ("dropped",))
    yield Count("utterances_dropped_total", (_label(fields["why"]),))


def _lex_failed(fields: Fields, *_: str) -> Iterator[Count]:
    yield Count("lex_errors_total", (error_kind(str(fields.get("error"))),))


def _lex_answer_unreadable(*_: object) -> Iterator[Count]:
    yield Count("lex_errors_total", ("unreadable",))


def _turn_failed(fields: Fields, *_: str) -> Iterator[Count]:
    if (kind := error_kind(str(fields.get("error")))) == "not-asked":  # all others have a line of their own
        yield Count("lex_errors_total", (kind,))


def _lex_is_down(amount: int) -> _Counted:
    def count(*_: object) -> Iterator[Count]:
        yield Count("lex_down", amount=amount)

    return count


def _call_updated(fields: Fields, _: str, mode: str) -> Iterator[Count]:
    yield Count("call_updates_total")
    yield _time("call_update_seconds", mode, fields["update_ms"])


def _call_update_failed(fields: Fields, level: str, _: str) -> Iterator[Count]:
    outcome = "given-up" if level == "error" else "retried"
    yield Count("call_update_errors_total", (error_kind(str(fields.get("error"))), outcome))


def _peer_refused(fields: Fields, *_: str) -> Iterator[Count]:
    yield Count("refusals_total", (_label(fields["reason"]),), fields["count"])


def _lines_dropped(fields: Fields, *_: str) -> Iterator[Count]:
    yield Count("log_lines_dropped_total", amount=fields["count"])


def _reload(result: str) -> _Counted:
    def count(*_: object) -> Iterator[Count]:
        yield Count("lines_reloads_total", (result,))

    return count


def _worker_died(fields: Fields, *_: str) -> Iterator[Count]:
    yield Count("worker_deaths_total", (fields.get("signal") or f"status {fields.get('status')}",))


_COUNTED: dict[str, _Counted] = {
    "call-answered": _one("calls_answered_total"),
    "stream-started": _stream_started,
    "stream-ended": _stream_ended,
    "call-ended": _call_over("calls_ended_total", "ended_by", "why"),
    "call-left": _call_over("calls_left_total", "why"),
    "call-refused": _one("calls_refused_total", "why"),
    "stream-refused": _one("stream_refusals_total", "why"),
    "transfer-ended": _one("transfers_ended_total", "status"),
    "turn-latency": _turn_latency,
    "utterance-ended": _one("utterances_total", "reason"),
    "utterance-dropped": _utterance_dropped,
    "keys-complete": _one("key_inputs_total"),
    "filler-said": _one("fillers_total"),
    "no-input": _one("no_inputs_total"),
    "barged-in": _one("barge_ins_total"),
    "false-alarm": _one("false_alarms_total"),
    "joined": _one("joins_total"),
    "lex-timed": _lex_timed,
    "lex-request-waited": _one("lex_requests_waited_total"),
    "lex-request-failed": _lex_failed,
    "lex-rejected": _lex_failed,
    "lex-audio-failed": _lex_failed,
    "lex-answer-unreadable": _lex_answer_unreadable,
    "turn-failed": _turn_failed,
    "lex-down": _lex_is_down(1),
    "lex-up": _lex_is_down(-1),
    "call-updated": _call_updated,
    "call-update-failed": _call_update_failed,
    "peer-refused": _peer_refused,
    "log-lines-dropped": _lines_dropped,
    "worker-died": _worker_died,
    "lines-reloaded": _reload("reloaded"),
    "lines-refused": _reload("refused"),
    "lines-unread": _reload("unread"),
    "worker-replaced": _one("worker_replacements_total", "why"),
}
"""Functions that take the fields, the level and the reply mode of a line, by its event."""

COUNTED_EVENTS = frozenset(_COUNTED)
"""The events that count, whatever their level is. Of the others only warnings and errors do."""
