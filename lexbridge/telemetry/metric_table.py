"""The metrics of the service: what `/metrics` shows, with names, labels and buckets.

Names follow Prometheus' rules: base units (seconds, bytes), and `_total` for what only grows. The values of labels come
from small closed sets of the code. No label holds a CallSid, a telephone number, or a word that was said.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from lexbridge.telemetry.metric_labels import ERROR_KINDS, MEANINGS, UPDATE_OUTCOMES
from lexbridge.telemetry.metric_labels import FAULTS as FAULT_LINES

PREFIX = "lexbridge_"

LINE = "line"
"""Label with the name of the line that served a call."""


class Kind(StrEnum):
    """The type of a metric, as Prometheus names it."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    `name`: without PREFIX. `labels`: their names; the last one of a metric that tells lines apart is LINE. `known`:
    values of the labels that are shown from the start, as 0: Prometheus sees the first event only as a step from 0 to
    1. `buckets`: upper bounds, in seconds.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    known: tuple[tuple[str, ...], ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def is_by_line(self) -> bool:
        """Whether its last label is the name of the line, which is "" for the default line."""
        return self.labels[-1:] == (LINE,)

    @property
    def full_name(self) -> str:
        """The name as `/metrics` shows it."""
        return PREFIX + self.name


ENDPOINTING_BUCKETS_S = 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0
"""Silence that ends an utterance, in seconds: close to each other from 0.4 to 1, because HANGOVER_MS is mostly there.

The longest hangover is 5 s."""

LEX_BUCKETS_S = 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.5, 10.0, 15.0, 30.0
"""The time of an answer of Lex, in seconds.

A bot without a Lambda function takes 0.2 to 0.5 s. LEX_TIMEOUT_S is 5 by default, and 15 for slow bots."""

REPLY_BUCKETS_S = 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.5, 10.0, 15.0, 30.0
"""The time that a caller waits, in seconds.

After 1 s a pause feels long, after 2.5 s the filler comes, and after 4 s people ask "Hello?" or hang up: those bounds
are buckets of their own, so that shares of callers can be counted exactly."""

UPDATE_BUCKETS_S = 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0
"""The time of a call update, in seconds: 0.1 to 0.3 s over the internet, and some seconds when one is sent again."""


def _counter(
    name: str, text: str, labels: tuple[str, ...] = (), known: tuple[tuple[str, ...], ...] | None = None
) -> Metric:
    return Metric(name, Kind.COUNTER, text, labels, tuple(MEANINGS.get(name, ())) if known is None else known)


def _gauge(name: str, text: str, labels: tuple[str, ...] = ()) -> Metric:
    return Metric(name, Kind.GAUGE, text, labels)


def _times(name: str, text: str, buckets: tuple[float, ...]) -> Metric:
    return Metric(name, Kind.HISTOGRAM, text, ("reply_mode",), buckets=buckets)


def _by_line(metric: Metric) -> Metric:
    """Return a metric that tells lines apart. Its known values are shown for each line, once the line has a call."""
    known = metric.known or (() if metric.labels else ((),))
    return replace(metric, labels=(*metric.labels, LINE), known=tuple((*labels, "") for labels in known))


CALLS = (
    _by_line(
        _gauge(
            "calls_live", "Calls that are live now. A call whose worker was killed is not, until another worker has it."
        )
    ),
    _by_line(_counter("calls_answered_total", "New calls that were told to open a media stream.")),
    _by_line(_counter("calls_started_total", "New calls whose media stream has started.")),
    _counter(
        "calls_resumed_total",
        "Streams that go on with a call that had one before.",
        ("how",),
    ),
    _by_line(
        _counter(
            "calls_ended_total",
            "Calls that have ended, by who ended them and why.",
            ("ended_by", "why"),
        )
    ),
    _counter(
        "calls_left_total",
        "Streams that ended while the call went on, or may have gone on.",
        ("why",),
    ),
    _counter(
        "calls_with_faults_total",
        "Ends of calls, or of their streams, that had warnings or errors in the log, by the worst of them.",
        ("severity",),
    ),
    _by_line(
        _counter(
            "calls_refused_total",
            "New calls that heard that all lines are busy.",
            ("why",),
        )
    ),
    _by_line(
        _counter(
            "transfers_ended_total",
            "Transfers that are over, by what became of the caller.",
            ("status",),
        )
    ),
    _counter(
        "stream_refusals_total",
        "Media streams that were closed before they could serve a call.",
        ("why",),
    ),
)

TURNS = (
    _by_line(
        _counter(
            "turns_total",
            "Turns of callers, by what became of them.",
            ("outcome",),
        )
    ),
    _counter("utterances_total", "Utterances, by what ended them.", ("reason",)),
    _counter("utterances_dropped_total", "Utterances whose words were not sent to Lex.", ("why",)),
    _counter("key_inputs_total", "Turns that were keyed in."),
    _counter("fillers_total", "Times that a caller was asked to wait while Lex worked."),
    _counter("no_inputs_total", "Times that a caller was silent and was asked again, or heard the end of the call."),
    _counter("barge_ins_total", "Prompts that a caller interrupted."),
    _counter("false_alarms_total", "Prompts that were interrupted by a sound in which Lex heard no words."),
    _counter("joins_total", "Turns that were joined with the one before."),
    _times("endpointing_seconds", "From the caller's last sound to the end of the utterance.", ENDPOINTING_BUCKETS_S),
    _times(
        "turn_queue_seconds",
        "From the end of the utterance to the request to Lex: the wait for an earlier turn, mostly 0.",
        LEX_BUCKETS_S,
    ),
    _by_line(
        _times(
            "lex_first_byte_seconds",
            "From the request to Lex, or the end of the utterance if that is later, to the head of Lex's answer.",
            LEX_BUCKETS_S,
        )
    ),
    _times(
        "lex_total_seconds",
        "From the request to Lex, or the end of the utterance if that is later, to the end of Lex's answer, voice "
        "included.",
        LEX_BUCKETS_S,
    ),
    _times("reply_seconds", "From the end of the utterance to the first sound of the reply.", REPLY_BUCKETS_S),
    _by_line(
        _times("caller_wait_seconds", "From the caller's last sound to the first sound of the reply.", REPLY_BUCKETS_S)
    ),
    _times(
        "call_update_seconds", "From a call update to its acceptance by Twilio, repetitions included.", UPDATE_BUCKETS_S
    ),
)

FAULTS = (
    _by_line(
        _counter(
            "lex_errors_total",
            "Requests to Lex that failed. One that was sent again counts twice.",
            ("kind",),
            tuple((kind,) for kind in ERROR_KINDS),
        )
    ),
    _by_line(
        _counter(
            "lex_requests_waited_total", "Requests to Lex that waited for others of their line (`LINE_MAX_REQUESTS`)."
        )
    ),
    _gauge("lex_down", "Workers that do not ask Lex for some seconds, because it failed many times in a row."),
    _counter("call_updates_total", "Call updates that Twilio has accepted."),
    _counter(
        "call_update_errors_total",
        "Call updates that failed. `given-up`: the caller did not hear the reply.",
        ("kind", "outcome"),
        tuple((kind, outcome) for kind in ERROR_KINDS if kind != "not-asked" for outcome in UPDATE_OUTCOMES),
    ),
    _counter("refusals_total", "Requests and sockets that were refused.", ("reason",)),
    _counter(
        "faults_total",
        "Lines of the log of level warning and error.",
        ("event", "level"),
        FAULT_LINES,
    ),
    _counter("bugs_total", "Errors that no code expected: lines of the log whose event ends in `-broken`."),
    _counter("log_lines_dropped_total", "Lines of the log that were lost, because its reader was too slow."),
)

MEDIA = (
    _counter("media_frames_total", "Frames of 20 ms of callers' audio that were received."),
    _counter("media_frames_lost_total", "Frames of 20 ms that did not arrive. Silence stands in for them."),
    _counter("media_frames_silent_total", "Frames of 20 ms of phones that send none while their caller is silent."),
    _counter("media_messages_late_total", "Media messages that came too late to be heard."),
    _counter("media_messages_odd_total", "Messages of media streams that could not be read and were not needed."),
    _counter("media_received_bytes_total", "Bytes received on media sockets."),
    _counter("media_sent_bytes_total", "Bytes sent on media sockets and taken by the peer."),
)

WORKERS = (
    _gauge("start_time_seconds", "When the service started, as Unix time. All counters are totals since then."),
    _gauge("workers", "Workers that are alive."),
    _counter(
        "worker_deaths_total",
        "Workers that ended unasked, by signal or exit status.",
        ("how",),
    ),
    _counter("worker_replacements_total", "Workers that ended as planned, after their calls.", ("why",)),
    _gauge("worker_calls_live", "Calls that are live in a worker.", ("worker",)),
    _gauge("worker_accepting", "Whether a worker takes new calls: 1 or 0.", ("worker",)),
    _gauge(
        "worker_loop_lag_seconds", "How late the event loop of a worker is, apart from single hiccups.", ("worker",)
    ),
    _gauge(
        "worker_lines_generation",
        "Number of the table of lines by which a worker serves new calls: each reload adds 1. 0 without `LINES_FILE`.",
        ("worker",),
    ),
    _counter("lines_reloads_total", "Reloads of `LINES_FILE`, by what became of them.", ("result",)),
    _gauge(
        "worker_loop_busy_ratio",
        "Share of the last five seconds in which the event loop was busy, 0 to 1.",
        ("worker",),
    ),
    _gauge("worker_resident_memory_bytes", "Resident memory of a worker.", ("worker",)),
    _gauge(
        "worker_memory_limit_bytes",
        "Resident memory from which on a worker takes no new calls: its share of `MAX_MEMORY_MB`, or of 80 % of the "
        "container's or machine's memory.",
        ("worker",),
    ),
    _gauge("worker_start_time_seconds", "When a worker started, as Unix time.", ("worker",)),
    _gauge("worker_process_id", "The process id of a worker: `pid` of its lines in the log.", ("worker",)),
    _counter("facts_dropped_total", "Facts about calls that the console, events and recordings did not get."),
    _counter("lines_uncounted_total", "Lines of the log that these metrics leave out, because too many came at once."),
    _gauge(
        "build_info",
        "Always 1. Its labels say what runs.",
        ("version", "python", "reply_mode", "detector", "lex_generation"),
    ),
)

GROUPS = {"Calls": CALLS, "Turns": TURNS, "Faults": FAULTS, "Media": MEDIA, "Workers": WORKERS}
"""All metrics, in the order of docs/metrics.md."""

METRICS: dict[str, Metric] = {one.name: one for group in GROUPS.values() for one in group}
"""All metrics by their name without PREFIX."""
