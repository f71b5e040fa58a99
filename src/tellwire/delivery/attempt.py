"""One attempt as data: the request that carries a delivery, and what its answer makes of the delivery.

Sources: docs/reference/formats.md, "Headers"; docs/reference/delivery.md, "States of a delivery". No clock and no
I/O: both come as arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, assert_never
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from tellwire import __version__
from tellwire.delivery.body import body_of
from tellwire.delivery.buffering import sent_as
from tellwire.delivery.retry import (
    Attribution,
    Decision,
    Delivered,
    Disable,
    Exhausted,
    Kind,
    RetryAt,
    decide,
    kind_of,
    pace,
    plan,
)
from tellwire.model.deliveries import Attempt, Delivery, DeliveryState, Endpoint, ReplayEdit, Secret, SentAs, Work
from tellwire.model.units import MICROS, Micros
from tellwire.ports.formats import Format
from tellwire.ports.http_out import Answer, Request, retry_after
from tellwire.ports.storage import Result

USER_AGENT = f"Tellwire/{__version__}"
MASK = "****"
NO_BLAME = Attribution(counted=False)
_UNEDITED = ReplayEdit()
_MOST_HEADERS = 64
_LONGEST_VALUE = 1024
_SHORTEST_SECRET = 8
"""Anything shorter stands in too many answers by chance."""


class Sign(Protocol):
    """Makes the value of `webhook-signature` (Standard Webhooks 1.0); `timestamp` in Unix seconds."""

    def __call__(self, body: bytes, *, webhook_id: str, timestamp: int, secrets: Sequence[str]) -> str: ...


HUB_SIGNATURE = "X-Hub-Signature-256"


class Wire(Struct, frozen=True, kw_only=True):
    """The means with which every request is made. `hub_signature(body, secret)` makes `X-Hub-Signature-256`;
    `traceparent` makes the header of that name while tracing is on."""

    formats: Mapping[str, Format]
    sign: Sign
    hub_signature: Callable[[bytes, str], str]
    timeout_seconds: float = 15.0
    traceparent: Callable[[Work], str] | None = None


def request(
    work: Work,
    endpoint: Endpoint,
    *,
    now: Micros,
    wire: Wire,
    edit: ReplayEdit | None = None,
    may_send: Callable[[], bool] | None = None,
) -> Request | None:
    """Build the request of a delivery's next attempt; None when its format has no place for the event.

    Args:
        work: the delivery and its event.
        endpoint: where it goes, with plain secrets.
        now: the attempt's time; expired secrets no longer sign.
        wire: formats, signatures and the default deadline.
        edit: what is other about this replay. Another server than the endpoint's gets neither its token nor its own
            headers.
        may_send: asked right before it is sent.

    Raises:
        Exception: whatever the format or the signature raises for what it can't take.
    """
    form = wire.formats[endpoint.format]
    sent = sent_as(work)
    body = body_of(form, work, endpoint, sent)
    if body is None:
        return None
    edit = edit or _UNEDITED
    if edit.body is not None:
        body = edit.body
    headers = _identity(work, sent, form.CONTENT_TYPE)
    if edit.parts:
        headers.append(("tellwire-replay-edited", ", ".join(edit.parts)))
    secrets = _live(endpoint.secrets, now)
    timestamp = now // MICROS
    headers.append(("webhook-timestamp", str(timestamp)))
    single = _single(endpoint, secrets)
    if secrets:
        signature = wire.sign(body, webhook_id=sent.webhook_id, timestamp=timestamp, secrets=secrets)
        headers.append(("webhook-signature", signature))
        if endpoint.hub_signature and form.SIGNATURE != HUB_SIGNATURE:
            headers.append((HUB_SIGNATURE, wire.hub_signature(body, single.secrets[0].value)))
    headers += form.headers(work.event, single, body)
    if wire.traceparent is not None and (trace := wire.traceparent(work)):
        headers.append(("traceparent", trace))
    if not edit.url or _origin(edit.url) == _origin(endpoint.url):
        if endpoint.token:
            headers.append(("Authorization", f"Bearer {endpoint.token}"))
        headers += endpoint.headers.items()
    timeout = endpoint.timeout_seconds or wire.timeout_seconds
    url = edit.url or endpoint.url
    return Request(
        url=url,
        headers=tuple(headers),
        body=body,
        timeout=timeout,
        may_send=may_send,
        organization_id=endpoint.organization_id,
    )


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _identity(work: Work, sent: SentAs, content_type: str) -> list[tuple[str, str]]:
    delivery, event = work.delivery, work.event
    headers = [
        ("content-type", content_type),
        ("user-agent", USER_AGENT),
        ("webhook-id", sent.webhook_id),
        ("tellwire-event", event.name),
        ("tellwire-attempt", str(delivery.attempts + 1)),
    ]
    if event.message_id:
        headers.append(("tellwire-message-id", event.message_id))
    if event.conversation_id:
        headers.append(("tellwire-conversation-id", event.conversation_id))
    if sent.sequence:
        headers.append(("tellwire-sequence", str(sent.sequence)))
    if work.more:
        headers.append(("tellwire-count", str(len(work.members))))
    if delivery.replay:
        headers.append(("tellwire-replay", str(delivery.replay)))
    return headers


def _live(secrets: tuple[Secret, ...], now: Micros) -> list[str]:
    """Return the secrets that still sign: the current one first, then those rotated out, the last to expire first."""
    if len(secrets) == 1 and secrets[0].expires_at is None:
        return [secrets[0].value]
    live = [s for s in secrets if s.expires_at is None or s.expires_at > now]
    live.sort(key=lambda s: (s.expires_at is not None, -(s.expires_at or 0)))
    return [s.value for s in live]


def _single(endpoint: Endpoint, live: list[str]) -> Endpoint:
    """Return the endpoint with the one secret of those that still sign that makes signatures of one value."""
    if len(endpoint.secrets) == 1 and live:
        return endpoint
    chosen = live[-1:] if endpoint.rotating_signature == "old" else live[:1]
    return replace(endpoint, secrets=tuple(map(Secret, chosen)))


class Try(Struct, frozen=True, kw_only=True, gc=False):
    """One try of a delivery: what was sent and when, and what had come back when it ended.

    `work` holds the delivery as it stood before; `edit` is what was other about a replay.
    """

    work: Work
    endpoint: Endpoint
    request: Request
    answer: Answer
    started_at: Micros
    ended_at: Micros
    edit: ReplayEdit | None = None

    @property
    def aside(self) -> bool:
        """Whether the request went to another URL than the endpoint's, so that the answer says nothing about the
        endpoint."""
        return self.request.url != self.endpoint.url


class Attributions(Protocol):
    """Decides what a failure costs its delivery (`Scheduler.failed` of one ticket)."""

    def __call__(self, kind: Kind, *, now: Micros, pace: Micros | None, wait: Micros) -> Attribution: ...


def conclude(
    tried: Try, *, schedule: tuple[float, ...] | None, jitter: float, attribute: Attributions
) -> tuple[Decision, Attribution]:
    """Decide what follows from an answer, and what it costs the delivery.

    Args:
        tried: the try.
        schedule: the gaps in seconds for an endpoint that sets none.
        jitter: 0 to 1.
        attribute: says what a failure of the delivery or its endpoint costs.
    """
    delivery, endpoint, answer, now = tried.work.delivery, tried.endpoint, tried.answer, tried.ended_at
    kind = kind_of(answer.status, answer.failure)
    if kind == "ok":
        return Delivered(now), NO_BLAME
    if tried.aside:
        kind, attribute = "own", _own_fault
    wait, attribution = 0, NO_BLAME
    schedule = schedule if endpoint.retry_schedule is None else endpoint.retry_schedule
    gaps = plan(schedule, endpoint.ordering, delivery.lane)
    if kind != "gone":
        wait = retry_after(answer.actual.headers, now)
        attribution = attribute(kind, now=now, pace=pace(gaps, delivery.attempts + 1, jitter), wait=wait)
    decision = decide(
        delivery,
        kind,
        plan=gaps,
        started_at=tried.started_at,
        now=now,
        jitter=jitter,
        counted=attribution.counted,
        wait=wait,
    )
    return decision, attribution


def _own_fault(kind: Kind, *, now: Micros, pace: Micros | None, wait: Micros) -> Attribution:  # noqa: ARG001
    return Attribution(counted=True)


def settle(
    tried: Try, *, decision: Decision, attribution: Attribution, otherwise: DeliveryState = DeliveryState.RETRYING
) -> tuple[Result, ...]:
    """Return what became of the deliveries of a try, in order. All have the attempt; what the receiver answered is kept
    with the first.

    Args:
        tried: the try.
        decision: what follows (`retry.decide`).
        attribution: what a failure costs the delivery (`conclude`).
        otherwise: where a delivery that is to be tried again stands: the endpoint may be paused or gone by now.
    """
    first, at = tried.work.delivery, tried.started_at
    attempt = attempted(
        first, tried.endpoint, request=tried.request, answer=tried.answer, started_at=at, edit=tried.edit
    )
    after = _after(first, decision, attribution, tried=tried, otherwise=otherwise)
    results = [Result(after, attempt)]
    for work in tried.work.more:
        after = _after(work.delivery, decision, attribution, tried=tried, otherwise=otherwise)
        attempt = replace(attempt, delivery_id=after.id, number=after.attempts, response_body=b"")
        results.append(Result(after, attempt))
    return tuple(results)


def _failure(tried: Try, before: Delivery) -> str:
    """Return why a try failed; another server than the endpoint's changes nothing about the delivery's failure."""
    if tried.answer.ok:
        return ""
    return before.failure if tried.aside else tried.answer.failure or str(tried.answer.status)


def attempted(
    before: Delivery,
    endpoint: Endpoint,
    *,
    request: Request,
    answer: Answer,
    started_at: Micros,
    edit: ReplayEdit | None = None,
) -> Attempt:
    """Return the attempt as it is stored: secrets are masked, also where the answer echoes them, and texts are cut."""
    echoed = _secrets_of(endpoint)
    return Attempt(
        delivery_id=before.id,
        organization_id=before.organization_id,
        number=before.attempts + 1,
        started_at=started_at,
        outcome="delivered" if answer.ok else "failed",
        cause=answer.cause,
        url=request.url,
        request_headers=_masked(request.headers, endpoint),
        response_status=answer.status,
        response_headers=_bounded(_without_secrets(answer.headers, echoed)),
        response_body=_body_without(answer.body, echoed),
        durations=answer.durations,
        edited=edit.parts if edit is not None else (),
    )


def _after(
    before: Delivery,
    decision: Decision,
    attribution: Attribution,
    *,
    tried: Try,
    otherwise: DeliveryState,
) -> Delivery:
    now = tried.ended_at
    state, counted_attempts, due_at, lane = otherwise, before.counted_attempts, before.due_at, before.lane
    delivered_at, out_of_order = before.delivered_at, before.out_of_order
    match decision:
        case Delivered(at):
            state, delivered_at = DeliveryState.DELIVERED, at
        case RetryAt(due_at, counted):
            counted_attempts += counted
            if attribution.late:
                lane, out_of_order = "late", out_of_order or attribution.out_of_order
        case Exhausted(counted):
            counted_attempts += counted
            state = DeliveryState.FAILED
        case Disable():
            # Disabling the endpoint parks it; should that get lost, it is tried again and answered 410 again.
            due_at = now
        case _:
            assert_never(decision)
    return replace(
        before,
        state=state,
        attempts=before.attempts + 1,
        counted_attempts=counted_attempts,
        due_at=due_at,
        lane=lane,
        out_of_order=out_of_order,
        first_attempt_at=before.first_attempt_at or tried.started_at,
        delivered_at=delivered_at,
        updated_at=now,
        failure=_failure(tried, before),
    )


def cancelled(delivery: Delivery, now: Micros) -> Result:
    """End a delivery without an attempt: its endpoint's format has no place for the event."""
    return Result(replace(delivery, state=DeliveryState.CANCELLED, updated_at=now), None)


def overtaken(delivery: Delivery, now: Micros, *, followed: bool) -> Result:
    """Record that a head lost its place in the order; `followed`: later deliveries of its key go ahead of it."""
    moved = replace(delivery, lane="late", out_of_order=delivery.out_of_order or followed, updated_at=now)
    return Result(moved, None)


def joined(delivery: Delivery) -> Result:
    """Record the group that a delivery is sent with, before the first attempt of it."""
    return Result(delivery, None, joins=True)


def restated(delivery: Delivery, state: DeliveryState, now: Micros) -> Result:
    """Change only the state of a delivery, because the state of its endpoint changed."""
    return Result(replace(delivery, state=state, updated_at=now), None)


def _masked(headers: tuple[tuple[str, str], ...], endpoint: Endpoint) -> tuple[tuple[str, str], ...]:
    if not endpoint.token and not endpoint.headers:
        return headers
    secret = {name.lower() for name in endpoint.headers} | {"authorization"}
    return tuple((name, _mask(name, value) if name.lower() in secret else value) for name, value in headers)


def _mask(name: str, value: str) -> str:
    return f"Bearer {MASK}" if name.lower() == "authorization" and value.startswith("Bearer ") else MASK


def _secrets_of(endpoint: Endpoint) -> list[str]:
    """Return the secrets that a receiver could echo in its answer, the longest first."""
    every = {endpoint.token, *endpoint.headers.values(), *(secret.value for secret in endpoint.secrets)}
    return sorted((each for each in every if len(each) >= _SHORTEST_SECRET), key=len, reverse=True)


def _without_secrets(headers: tuple[tuple[str, str], ...], echoed: list[str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, MASK if name == "set-cookie" else _text_without(value, echoed)) for name, value in headers)


def _text_without(text: str, echoed: list[str]) -> str:
    for each in echoed:
        text = text.replace(each, MASK)
    return text


def _body_without(body: bytes, echoed: list[str]) -> bytes:
    for each in echoed:
        body = body.replace(each.encode(), MASK.encode())
    return body


def _bounded(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    if len(headers) <= _MOST_HEADERS and all(len(value) <= _LONGEST_VALUE for _, value in headers):
        return headers
    return tuple((name[:_LONGEST_VALUE], value[:_LONGEST_VALUE]) for name, value in headers[:_MOST_HEADERS])
