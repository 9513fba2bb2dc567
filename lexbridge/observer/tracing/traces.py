"""The sink that sends a trace of each call to an OpenTelemetry collector, as OTLP over HTTP.

OpenTelemetry's SDK sends the spans in batches, on a thread that gevent has made a greenlet. Its own variables are
honoured, such as OTEL_EXPORTER_OTLP_HEADERS and OTEL_SERVICE_NAME.
"""

import logging
import os
import time
from collections.abc import Sequence

import gevent
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from lexbridge import __version__
from lexbridge.config.settings import Settings
from lexbridge.logs import Log, RateLimitedLog
from lexbridge.net.capped_http import capped_session
from lexbridge.observer.bugs import BugWindow
from lexbridge.observer.tracing.spans import SpanPlan, span_id, spans_of, trace_id
from lexbridge.observer.watched.watched_calls import Told, WatchedCalls
from lexbridge.telemetry.facts import Event, Fact

MAX_SPANS = 20_000
"""The most spans that wait, because each takes about 2 kB. A turn has five."""

BATCH_SPANS = 512
"""The most spans of one request."""

SEND_EVERY_MS = 1000
"""Interval in ms at which spans are sent, because a trace is looked at when a call is over."""

ANSWER_S = 10.0
"""Limits one export with its retries, in seconds."""

LAST_S = 1.0
"""Limits the end of the SDK's own thread, in seconds, because nothing waits for it any more."""

TICK_S = 1.0
"""Interval in seconds at which calls are found to be over, because they end after seconds without a stream."""


class Traces:
    """The sink. `settings` has OTEL_EXPORTER_OTLP_ENDPOINT."""

    def __init__(self, settings: Settings) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # `traces-not-taken` tells it, within bounds
        self._calls = WatchedCalls()
        self._ids = _GivenIds()
        self._exporter = _CountingExporter(
            f"{(settings.service.otel_exporter_otlp_endpoint or '').rstrip('/')}/v1/traces"
        )
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=_resource(settings),
            shutdown_on_exit=False,
            id_generator=self._ids,
        )
        self._processor = BatchSpanProcessor(
            self._exporter,
            max_queue_size=MAX_SPANS,
            schedule_delay_millis=SEND_EVERY_MS,
            max_export_batch_size=BATCH_SPANS,
        )
        self._provider.add_span_processor(self._processor)
        self._tracer = self._provider.get_tracer("lexbridge", __version__)
        self._log = Log()
        self._bugs = BugWindow()
        self._ticking = gevent.spawn(self._tick)

    def take(self, fact: Fact) -> None:
        """Take in a fact. Audio tells nothing here."""
        if isinstance(fact, Event):
            try:
                for told in self._calls.take(fact):
                    self._trace(told)
            except Exception:
                if self._bugs.may_log():
                    self._log.exception("traces-broken")

    def close(self, deadline_s: float) -> None:
        """Send what waits, for at most `deadline_s`."""
        self._ticking.kill()
        for told in self._calls.end_all(time.time()):
            self._trace(told)
        gevent.with_timeout(deadline_s, self._processor.force_flush, timeout_value=False)
        self._exporter.is_closed = True
        gevent.with_timeout(LAST_S, self._provider.shutdown, timeout_value=None)

    def _tick(self) -> None:
        while True:
            gevent.sleep(TICK_S)
            try:
                for told in self._calls.tick(time.time()):
                    self._trace(told)
            except Exception:
                if self._bugs.may_log():
                    self._log.exception("traces-broken")

    def _trace(self, told: Told) -> None:
        for plan in spans_of(told):
            if self._exporter.waiting >= MAX_SPANS:
                self._exporter.failed.count("too many wait")
                continue
            self._exporter.waiting += 1
            self._make(plan)

    def _make(self, plan: SpanPlan) -> None:
        self._ids.trace_id = trace_id(plan.call_sid)
        self._ids.span_id = span_id(plan.call_sid, plan.key)
        context = None
        if plan.parent is not None:
            parent_id = span_id(plan.call_sid, plan.parent)
            parent = SpanContext(self._ids.trace_id, parent_id, False, TraceFlags(TraceFlags.SAMPLED))
            context = set_span_in_context(NonRecordingSpan(parent))
        span = self._tracer.start_span(
            plan.name, context, attributes=dict(plan.attributes), start_time=_ns(plan.start_s)
        )
        for fault in plan.faults:
            span.add_event(fault.kind, {"count": fault.count, "error": fault.error}, _ns(fault.at_s))
        if plan.is_error:
            span.set_status(Status(StatusCode.ERROR, ", ".join(fault.kind for fault in plan.faults)))
        span.end(_ns(plan.end_s))


class _GivenIds(IdGenerator):
    """The ids of the next span, as they are given."""

    trace_id = span_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id


class _CountingExporter(SpanExporter):
    """The exporter, with a count of what waits, and of what was lost."""

    def __init__(self, url: str) -> None:
        self._inner = OTLPSpanExporter(endpoint=url, timeout=ANSWER_S, session=capped_session())
        self.failed = RateLimitedLog("traces-not-taken")
        self.waiting = 0
        self.is_closed = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans. Those that the collector does not take in time are lost."""
        if self.is_closed:
            return SpanExportResult.FAILURE
        try:
            result = self._inner.export(spans)
        finally:
            self.waiting -= len(spans)
        if result is not SpanExportResult.SUCCESS:
            for _ in spans:
                self.failed.count("refused, or no answer")
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()  # type: ignore[no-untyped-call]


def _resource(settings: Settings) -> Resource:
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: settings.service.service_name}
    return Resource.create({**named, SERVICE_VERSION: __version__})


def _ns(at_s: float) -> int:
    return round(at_s * 1e9)
