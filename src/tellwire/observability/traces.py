"""OpenTelemetry: one trace from Meta's POST to the subscriber's answer, also when hours and restarts lie in between.

Ids are not kept but derived: the trace's is the POST's own (a UUIDv7 has 128 bits), the spans' come from it and from
delivery and attempt. So an attempt made by another process days later finds its parent. Nothing of a message and no
phone number becomes an attribute. Nothing of OpenTelemetry is imported unless tracing is on.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import structlog

from tellwire.errors import BadSettings
from tellwire.model.deliveries import Attempt, Work
from tellwire.model.extras import lacking
from tellwire.model.inbound import Inbound
from tellwire.model.units import Micros

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import SpanKind, Tracer

log = structlog.get_logger("tellwire.traces")

_CLOSING_SECONDS = 2.0
_NANOS = 1_000


def trace_id(inbound_id: str) -> int:
    """Return the trace id of a POST: the 128 bits of its id."""
    return int(inbound_id.replace("-", ""), 16)


def span_id(*parts: object) -> int:
    """Return a span id that is different for each sequence of parts; never 0, which means no span."""
    return int.from_bytes(sha256("/".join(map(str, parts)).encode()).digest()[:8]) | 1


def attempt_span_id(delivery_id: str, number: int) -> int:
    """Return the span id of an attempt, which its request names as the parent."""
    return span_id("attempt", delivery_id, number)


def open_tracer() -> OtelTracer:
    """Return a tracer that is set up by the OTEL_* variables of the environment.

    Raises:
        BadSettings: the extra `otel` is not installed.
    """
    if missing := lacking("otel", "TRACING needs"):
        raise BadSettings(missing)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    from opentelemetry.sdk.trace.id_generator import IdGenerator  # noqa: PLC0415

    class PresetIds(IdGenerator):
        """An id generator that gives the ids which were set right before."""

        trace = span = 1

        def generate_trace_id(self) -> int:
            return self.trace

        def generate_span_id(self) -> int:
            return self.span

    named = "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    ids = PresetIds()
    provider = TracerProvider(
        id_generator=ids,
        resource=Resource.create({} if named else {"service.name": "tellwire"}),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return OtelTracer(provider, ids)


class OtelTracer:
    """The `Tracer` port over OpenTelemetry; `ids` is the provider's id generator, on which `trace` and `span` are set
    before each span."""

    def __init__(self, provider: TracerProvider, ids: Any) -> None:
        from opentelemetry.trace import SpanKind  # noqa: PLC0415

        self._provider = provider
        self._ids = ids
        self._tracer: Tracer = provider.get_tracer("tellwire")
        self._kinds = SpanKind

    def posted(self, inbound: Inbound, *, started_at: Micros, durable_at: Micros) -> None:
        """See `Tracer.posted`."""
        post = span_id("post", inbound.id)
        attributes: dict[str, str | int] = {
            "http.request.method": "POST",
            "http.route": "/meta/webhook",
            "http.response.status_code": 200,
            "tellwire.inbound_id": inbound.id,
            "tellwire.outcome": inbound.outcome.value,
            "tellwire.items": len(inbound.items),
        }
        self._span(inbound.id, post, "POST /meta/webhook", self._kinds.SERVER, started_at, durable_at, attributes)
        decided_at = min(max(inbound.received_at, started_at), durable_at)
        commit = span_id("commit", inbound.id)
        self._span(inbound.id, commit, "commit", self._kinds.INTERNAL, decided_at, durable_at, {}, parent=post)

    def traceparent(self, work: Work) -> str:
        """See `Tracer.traceparent`."""
        if not (trace := work.event.trace):
            return ""
        span = attempt_span_id(work.delivery.id, work.delivery.attempts + 1)
        return f"00-{trace_id(trace):032x}-{span:016x}-{int(self._sampled(trace)):02x}"

    def attempted(self, work: Work, attempt: Attempt) -> None:
        """See `Tracer.attempted`."""
        if not (trace := work.event.trace):
            return
        attributes: dict[str, str | int] = {
            "http.request.method": "POST",
            "tellwire.delivery_id": attempt.delivery_id,
            "tellwire.endpoint_id": work.delivery.endpoint_id,
            "tellwire.event_id": work.event.id,
            "tellwire.event": work.event.name,
            "tellwire.attempt": attempt.number,
        }
        if attempt.response_status:
            attributes["http.response.status_code"] = attempt.response_status
        if attempt.outcome == "failed":
            attributes["error.type"] = str(attempt.response_status or "no_answer")
            attributes["tellwire.cause"] = attempt.cause
        ended_at = attempt.started_at + int(attempt.durations.get("total", 0.0) * 1000)
        span, post = attempt_span_id(attempt.delivery_id, attempt.number), span_id("post", trace)
        self._span(trace, span, "deliver", self._kinds.CLIENT, attempt.started_at, ended_at, attributes, parent=post)

    def close(self) -> None:
        """Send the spans that wait, for 2 seconds at most: a collector that is gone must not delay the end."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True, name="tellwire-traces")
        closing.start()
        closing.join(_CLOSING_SECONDS)

    def _sampled(self, trace: str) -> bool:
        """Return whether the sampler takes this trace; its id decides, so that every process decides alike."""
        sampled = self._provider.sampler.should_sample(None, trace_id(trace), "POST /meta/webhook")
        return bool(sampled.decision.is_sampled())  # type: ignore[no-untyped-call]

    def _span(  # noqa: PLR0917 - a span has so many parts
        self,
        trace: str,
        span: int,
        name: str,
        kind: SpanKind,
        started_at: Micros,
        ended_at: Micros,
        attributes: Mapping[str, str | int],
        *,
        parent: int = 0,
    ) -> None:
        from opentelemetry import trace as api  # noqa: PLC0415
        from opentelemetry.context import Context  # noqa: PLC0415

        context = Context()
        if parent:
            flags = api.TraceFlags(int(self._sampled(trace)))
            parent_span = api.SpanContext(trace_id(trace), parent, is_remote=True, trace_flags=flags)
            context = api.set_span_in_context(api.NonRecordingSpan(parent_span), context)
        try:
            self._ids.trace, self._ids.span = trace_id(trace), span
            made = self._tracer.start_span(
                name, context=context, kind=kind, attributes=attributes, start_time=started_at * _NANOS
            )
            if "error.type" in attributes:
                made.set_status(api.StatusCode.ERROR)
            made.end(end_time=ended_at * _NANOS)
        except Exception:
            log.exception("span_not_made")
