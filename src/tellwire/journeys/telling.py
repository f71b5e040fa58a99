"""PURE. How endpoints were told of a message: one step for each, however many deliveries it has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tellwire.journeys.records import Records, Way
from tellwire.journeys.remedies import remedy_of
from tellwire.journeys.step import Line, Step, StepState, age, name_of, plural, sentence
from tellwire.model.deliveries import Delivery, DeliveryState, Endpoint

MOST_LINES = 10
"""So many deliveries of an endpoint a step lists: the first and the last half of them."""
MOST_UNTOLD = 5
_RANK: dict[DeliveryState, int] = {
    DeliveryState.FAILED: 0,
    DeliveryState.RETRYING: 1,
    DeliveryState.PARKED: 2,
    DeliveryState.PENDING: 3,
    DeliveryState.DELIVERING: 4,
    DeliveryState.CANCELLED: 5,
    DeliveryState.DELIVERED: 6,
}
_STATES: dict[DeliveryState, StepState] = {
    DeliveryState.FAILED: "failed",
    DeliveryState.CANCELLED: "failed",
    DeliveryState.DELIVERED: "done",
}
_WAITING = (DeliveryState.PENDING, DeliveryState.RETRYING)
_GONE = "an endpoint that was deleted"


def endpoints(records: Records) -> Iterator[Step]:
    """Yield a step for each endpoint that was told, then for those that were not, with why."""
    of_each: dict[str, list[Way]] = {}
    for way in records.ways:
        of_each.setdefault(way.delivery.endpoint_id, []).append(way)
    for endpoint_id, ways in of_each.items():
        yield _step(records, endpoint_id, ways)
    yield from _untold(records, told=bool(of_each))


def _untold(records: Records, *, told: bool) -> Iterator[Step]:
    message = records.message
    if message is None:
        return
    if not told and not records.events:
        old = records.retention and records.now - message.created_at > records.retention
        why = (
            "Events and deliveries are kept for a while only (RETENTION_DAYS), and these are older."
            if old
            else "There is no event about it, so there was nothing to tell."
        )
        yield Step(kind="endpoint", state="missing", title="Whom it was told to is not known", detail=why)
        return
    if not records.endpoints and not told:
        yield Step(
            kind="endpoint",
            state="missing",
            title="There is no endpoint",
            detail="Nobody asked to be told of messages.",
            remedy="Create a webhook endpoint; `recover` with include: missing then delivers what it never got.",
        )
        return
    if not told:
        yield Step(
            kind="endpoint",
            state="missing",
            title="No endpoint subscribes to this",
            detail="Each endpoint below says why.",
            remedy="Change what an endpoint takes, then `recover` it with include: missing: this message comes too.",
        )
    for endpoint_id in list(records.untold)[:MOST_UNTOLD]:
        endpoint = records.endpoints[endpoint_id]
        yield Step(
            kind="endpoint",
            state="skipped",
            title=f"{name_of(endpoint)} was not told",
            detail=sentence(records.untold[endpoint_id]),
            endpoint_id=endpoint_id,
            refs={"endpoint_id": endpoint_id},
        )
    if (more := len(records.untold) - MOST_UNTOLD) > 0:
        yield Step(kind="endpoint", state="skipped", title=f"{plural(more, 'more endpoint')} were not told")


def _step(records: Records, endpoint_id: str, ways: Sequence[Way]) -> Step:
    endpoint = records.endpoints.get(endpoint_id)
    name = name_of(endpoint) if endpoint else _GONE
    newest = list({way.delivery.event_id: way for way in ways}.values())  # one that was recovered counts, not the first
    worst = min(newest, key=lambda way: (_RANK[way.delivery.state], way.delivery.id))
    delivery, last = worst.delivery, worst.last
    title, detail, remedy = _words(records, endpoint, name, worst)
    done = sum(way.delivery.state == DeliveryState.DELIVERED for way in newest)
    if len(newest) > 1:
        detail = f"{detail} {done} of {plural(len(newest), 'event')} about this message arrived."
    if records.cut:
        detail += " Only the first deliveries of the message are counted."
    refs = {"endpoint_id": endpoint_id, "delivery_id": delivery.id, "event_id": delivery.event_id}
    return Step(
        kind="endpoint",
        state=_STATES.get(delivery.state, "waiting"),
        title=title,
        at=delivery.delivered_at or (last.at if last else delivery.created_at),
        detail=detail.strip(),
        remedy=remedy,
        refs=refs,
        endpoint_id=endpoint_id,
        attempts=sum(way.delivery.attempts for way in newest),
        deliveries=[_line(records, way) for way in _few(ways)],
        waits=delivery.due_at if delivery.state in _WAITING and delivery.due_at > records.now else 0,
    )


def _words(records: Records, endpoint: Endpoint | None, name: str, way: Way) -> tuple[str, str, str]:
    """Return the title, the detail and the remedy of how a delivery stands."""
    delivery, last = way.delivery, way.last
    cause = last.cause if last and last.outcome != "delivered" else ""
    tried = f"tried {plural(delivery.attempts, 'time')}"
    why = sentence(cause) or "The attempt is no longer kept."
    mend = remedy_of(last.status if last else 0, cause)
    match delivery.state:
        case DeliveryState.DELIVERED:
            answer = f"It answered {last.status} in {last.millis:,.0f} ms" if last else "It arrived"
            after = f", after {plural(delivery.attempts, 'attempt')}" if delivery.attempts > 1 else ""
            return f"{name} has it", f"{answer}{after}.", ""
        case DeliveryState.FAILED:
            again = "Then replay it: the schedule of retries is used up."
            return f"{name} did not take it", f"{why} Given up, {tried}.", f"{mend} {again}"
        case DeliveryState.RETRYING:
            return f"{name} has not taken it yet", f"{why} {_next(records, delivery)}".strip(), mend
        case DeliveryState.PARKED:
            return (f"It waits for {name}", *_parked(endpoint))
        case DeliveryState.DELIVERING:
            return f"It is being sent to {name}", f"Attempt {delivery.attempts + 1} is under way.", ""
        case DeliveryState.CANCELLED:
            why = "The endpoint was deleted." if endpoint is None else "The person was erased, or the endpoint deleted."
            return f"{name} will not get it", why, ""
        case _:
            return (f"It waits for its turn at {name}", *_pending(records, delivery))


def _next(records: Records, delivery: Delivery) -> str:
    left = delivery.due_at - records.now
    when = f"next in {age(left)}" if left > 0 else "due again now"
    return f"Tried {plural(delivery.attempts, 'time')}, {when}."


def _parked(endpoint: Endpoint | None) -> tuple[str, str]:
    if endpoint is not None and endpoint.state == "disabled":
        why = sentence(endpoint.disabled_reason) or "Its attempts failed for days."
        return f"The endpoint is disabled. {why}", "Mend the receiver, then resume the endpoint: what waits goes out."
    if endpoint is not None and endpoint.state == "pulled":
        return "Its deliveries are pulled, and nobody has asked for this one yet.", "Run `tellwire listen`."
    return "The endpoint is paused.", "Resume the endpoint: what waits goes out, in order."


def _pending(records: Records, delivery: Delivery) -> tuple[str, str]:
    outage = records.outages.get(delivery.endpoint_id)
    if delivery.lane == "replay":
        return "It was asked for again, and goes out soon.", ""
    if outage is not None:
        lasts = age(records.now - outage.since)
        cause = f": {outage.cause.rstrip('.')}" if outage.cause else ""
        behind = f"The endpoint has failed for {lasts}{cause}. An earlier event of the same contact goes first."
        return behind, remedy_of(_status_in(outage.cause), outage.cause)
    waited = records.now - delivery.created_at
    return f"It has waited for {age(waited)}; earlier events of the same contact go first.", ""


def _status_in(cause: str) -> int:
    digits = [each for each in cause.replace(".", " ").split() if each.isdigit() and len(each) == 3]
    return int(digits[0]) if digits else 0


def _few(ways: Sequence[Way]) -> Sequence[Way]:
    half = MOST_LINES // 2
    return ways if len(ways) <= MOST_LINES else [*ways[:half], *ways[-half:]]


def _line(records: Records, way: Way) -> Line:
    delivery, last = way.delivery, way.last
    names = {event.id: event.name for event in records.events}
    return Line(
        id=delivery.id,
        event_id=delivery.event_id,
        event=names.get(delivery.event_id, "meta"),
        state=delivery.state,
        attempts=delivery.attempts,
        cause=last.cause if last else "",
        status=last.status if last else 0,
        first_at=way.first.at if way.first else 0,
        last_at=last.at if last else 0,
        next_at=delivery.due_at if delivery.state in _WAITING else 0,
    )
