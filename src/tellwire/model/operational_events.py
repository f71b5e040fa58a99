"""PURE. The operational events about endpoints, deliveries, media and accounts, with their data.

Source: docs/reference/formats.md, "Operational events".
"""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from tellwire.model.deliveries import Delivery, Endpoint, Event, Snapshot
from tellwire.model.messaging import Media
from tellwire.model.row_json import instant
from tellwire.model.tenancy import Account
from tellwire.model.units import Micros

DISABLED = "endpoint.disabled"
RECOVERED = "endpoint.recovered"
EXHAUSTED = "delivery.exhausted"
MEDIA_FAILED = "media.failed"
PAUSED = "account.paused"
RESUMED = "account.resumed"

_encode = msgspec.json.Encoder().encode


class OperationalEvent(Struct, frozen=True, kw_only=True):
    """An operational event that is to be emitted. It is never delivered to the endpoint that it is about.

    `endpoint_id`: "" when it is about none. `account_id`: the account that it concerns; "" for none, which is told to
    endpoints of some accounts only, too. `phone_number_id`: that account's. `contact_id`: as of an `Event`.
    `order_key`: "" for that of the endpoint, else of the account.
    """

    name: str
    endpoint_id: str = ""
    data: bytes
    account_id: str = ""
    phone_number_id: str = ""
    conversation_id: str = ""
    message_id: str = ""
    contact_id: str = ""
    order_key: str = ""

    def event(self, identifier: str, organization_id: str, at: Micros) -> Event:
        """Return the event to record; events about one endpoint are in order, as are those about one account alone."""
        return Event(
            id=identifier,
            organization_id=organization_id,
            account_id=self.account_id,
            entity="operational",
            action="insert",
            name=self.name,
            order_key=self.order_key or self.endpoint_id or self.account_id,
            snapshot=Snapshot(row=Raw(self.data), phone_number_id=self.phone_number_id),
            conversation_id=self.conversation_id,
            message_id=self.message_id,
            contact_id=self.contact_id,
            created_at=at,
        )


def disabled(endpoint: Endpoint, reason: str, *, failing_since: Micros = 0) -> OperationalEvent:
    """Return the event that an endpoint gets no deliveries any more, and why."""
    data = _about(endpoint) | {"reason": reason} | _since(failing_since)
    return OperationalEvent(name=DISABLED, endpoint_id=endpoint.id, data=_encode(data))


def recovered(endpoint: Endpoint, how: str, *, failing_since: Micros = 0) -> OperationalEvent:
    """Return the event that an endpoint which was down takes deliveries again."""
    data = _about(endpoint) | {"how": how} | _since(failing_since)
    return OperationalEvent(name=RECOVERED, endpoint_id=endpoint.id, data=_encode(data))


def exhausted(delivery: Delivery, event: Event, cause: str) -> OperationalEvent:
    """Return the event that a delivery is given up: it stays as `failed`, and can be replayed."""
    data = {
        "delivery_id": delivery.id,
        "endpoint_id": delivery.endpoint_id,
        "event_id": event.id,
        "event": event.name,
        "conversation_id": event.conversation_id,
        "message_id": event.message_id,
        "attempts": delivery.attempts,
        "cause": cause,
    }
    shown = _encode({name: value for name, value in data.items() if value != ""})
    return OperationalEvent(
        name=EXHAUSTED,
        endpoint_id=delivery.endpoint_id,
        data=shown,
        account_id=event.account_id,
        phone_number_id=event.snapshot.phone_number_id,
    )


def media_failed(media: Media, *, phone_number_id: str) -> OperationalEvent:
    """Return the event that a file of a message could not be fetched from Meta, and is not tried again by itself;
    `phone_number_id`: of its account, "" when that is gone."""
    data = {
        "media_id": media.id,
        "message_id": media.message_id,
        "account_id": media.account_id,
        "state": media.state,
        "cause": media.cause,
    }
    return OperationalEvent(
        name=MEDIA_FAILED, data=_encode(data), account_id=media.account_id, phone_number_id=phone_number_id
    )


def paused(account: Account, reason: str) -> OperationalEvent:
    """Return the event that nothing is sent for an account until somebody resumes it, and why."""
    data = {"account_id": account.id, "phone_number_id": account.phone_number_id, "reason": reason}
    return _of_account(PAUSED, account, data)


def resumed(account: Account, how: str) -> OperationalEvent:
    """Return the event that messages of an account are sent again."""
    data = {"account_id": account.id, "phone_number_id": account.phone_number_id, "how": how}
    return _of_account(RESUMED, account, data)


def _of_account(name: str, account: Account, data: dict[str, str]) -> OperationalEvent:
    return OperationalEvent(
        name=name, data=_encode(data), account_id=account.id, phone_number_id=account.phone_number_id
    )


def _about(endpoint: Endpoint) -> dict[str, str]:
    """Return what names an endpoint to people, without its URL's query, which may hold a secret: other endpoints get
    these events."""
    address = endpoint.url.partition("?")[0].partition("#")[0]
    about = {"endpoint_id": endpoint.id, "url": address, "description": endpoint.description}
    return {name: value for name, value in about.items() if value}


def _since(at: Micros) -> dict[str, str]:
    return {"failing_since": instant(at)} if at else {}
