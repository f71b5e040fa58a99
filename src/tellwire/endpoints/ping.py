"""USE CASE. Sends a test event to an endpoint now and returns what came back; nothing of it is stored."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from tellwire.delivery import attempt as attempts
from tellwire.delivery.attempt import Wire
from tellwire.endpoints import samples
from tellwire.endpoints.samples import NewId
from tellwire.errors import Invalid
from tellwire.model.deliveries import Attempt, Delivery, Endpoint, Work
from tellwire.model.units import Micros
from tellwire.ports.formats import Format
from tellwire.ports.http_out import Sender

MARK = ("tellwire-test", "true")
"""The header that real deliveries never have."""
_SHOWN = 2048
_USUAL = "messages.insert"


async def send_test(
    sender: Sender,
    endpoint: Endpoint,
    event_name: str,
    *,
    formats: Mapping[str, Format],
    wire: Wire,
    now: Micros,
    new_id: NewId,
) -> tuple[str, Attempt]:
    """Send a test event, signed as a delivery is, also to an endpoint that is paused or disabled.

    Args:
        sender: what makes the request, address check included.
        event_name: of the event, "" for the first that the endpoint subscribes to.
        new_id: makes ids, of things that are not there.

    Returns: the event's name, and the attempt as it would be kept.

    Raises:
        Invalid: the endpoint's format has no such event.
    """
    form = formats[endpoint.format]
    name = event_name or _first(endpoint, form, now, new_id)
    event = samples.sample(form, name, endpoint.organization_id, now, new_id)
    if name not in form.EVENTS or not form.names(event):
        raise Invalid(
            f"The format {endpoint.format} has no such event.",
            ("/event", f"must be one of {_known(form, now, new_id)}"),
        )
    delivery = Delivery(
        id="",
        organization_id=endpoint.organization_id,
        event_id=event.id,
        endpoint_id=endpoint.id,
        order_key="",
        webhook_id=f"msg_test_{event.id.replace('-', '')}",
    )
    request = attempts.request(Work(delivery, event), endpoint, now=now, wire=wire)
    if request is None:
        raise Invalid(f"The format {endpoint.format} has no place for this event.", ("/event", "cannot be sent"))
    request = replace(request, headers=(*request.headers, MARK))
    answer = await sender.send(request)
    attempt = attempts.attempted(delivery, endpoint, request=request, answer=answer, started_at=now)
    return event.name, replace(attempt, response_body=attempt.response_body[:_SHOWN])


def _first(endpoint: Endpoint, form: Format, now: Micros, new_id: NewId) -> str:
    known = _sendable(form, now, new_id)
    return next((name for name in (*endpoint.events, _USUAL, *known) if name in known), _USUAL)


def _known(form: Format, now: Micros, new_id: NewId) -> str:
    return ", ".join(_sendable(form, now, new_id))


def _sendable(form: Format, now: Micros, new_id: NewId) -> list[str]:
    return [name for name in form.EVENTS if form.names(samples.sample(form, name, "", now, new_id))]
