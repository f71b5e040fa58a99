"""The `cloudevents` format: CloudEvents 1.0 in structured mode, with `data` as the `row` format shows it.

Sources: CloudEvents 1.0.2 (its JSON format and the extension `sequence`); HTTP 1.1 Web Hooks for Event Delivery 1.0.2,
"Abuse protection".
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Raw

from tellwire.formats import event_names, row
from tellwire.formats.schemas import ID, TIME, Schema, document
from tellwire.model.deliveries import Endpoint, Event, SentAs
from tellwire.model.row_json import instant
from tellwire.ports.formats import Handshake, Joining, Registration, ShownIds
from tellwire.ports.http_out import Answer, Request

NAME = "cloudevents"
EVENTS: tuple[str, ...] = event_names.ALL
UNSENT: tuple[str, ...] = ()
CONTENT_TYPE = "application/cloudevents+json"
SIGNATURE = ""
RESERVED: tuple[str, ...] = ()
TYPED = False
OPTIONS: tuple[str, ...] = ("json", "updates")
JOINING: Joining | None = None
IDS: ShownIds | None = None

_EVENT = document(
    "cloudevents",
    "CloudEvent",
    "Anything that happened, as a CloudEvent of version 1.0.",
    {
        "required": ["specversion", "id", "source", "type", "time", "datacontenttype", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {**ID, "description": "The same as `webhook-id`: what to deduplicate by."},
            "source": {
                "type": "string",
                "pattern": "^/organizations/[^/]*(/accounts/[^/]+)?$",
                "description": "The account that it concerns, by its phone_number_id; else the organization alone.",
            },
            "type": {"type": "string", "pattern": r"^io\.tellwire\.[a-z_.]+\.v1$"},
            "subject": {**ID, "description": "The message's id, else the conversation's."},
            "time": {**TIME, "description": "When it happened."},
            "sequence": {"type": "string", "pattern": "^[0-9]+$", "description": "As `tellwire-sequence`."},
            "datacontenttype": {"const": "application/json"},
            "data": {"type": "object", "description": "The row; of an operational event what it tells."},
        },
    },
)
SCHEMAS: Mapping[str, Schema] = {"cloudevents": _EVENT}

_ASKS, _ALLOWS = "WebHook-Request-Origin", "WebHook-Allowed-Origin"
_encode = msgspec.json.Encoder().encode


class Permission:
    """`OPTIONS <url>` with `WebHook-Request-Origin`, to be answered 2xx with `WebHook-Allowed-Origin`."""

    ASKED = f"a `cloudevents` endpoint answers OPTIONS with 200 and {_ALLOWS}: * or what {_ASKS} says"

    def request(self, registration: Registration) -> Request:
        """Ask for permission; the origin is the host name under which this server is known."""
        headers = ((_ASKS, _host(registration.origin)),)
        return Request(url=registration.endpoint.url, method="OPTIONS", headers=headers)

    def refusal(self, registration: Registration, answer: Answer) -> str:
        """Why the answer gives no permission; "" when it gives it to this server or to all."""
        if not answer.ok:
            return answer.cause or f"your server answered {answer.status}"
        host = _host(registration.origin)
        allowed = [value.strip() for name, value in answer.actual.headers if name.lower() == _ALLOWS.lower()]
        if {"*", host.lower()} & {value.lower() for value in allowed}:
            return ""
        if answer.hidden is None and not allowed:
            return f"the answer has no header {_ALLOWS}"
        return f"the answer does not say {_ALLOWS}: * or {host}"

    def consent(self, method: str, target: str, headers: Mapping[str, str]) -> Answer | None:  # noqa: ARG002
        """Permission for whoever asks; 400 when the request names nobody."""
        if method != "OPTIONS":
            return None
        origin = headers.get(_ASKS.lower(), "")
        return Answer(status=200, headers=((_ALLOWS, origin),)) if origin else Answer(status=400)


HANDSHAKE: Handshake | None = Permission()


def names(event: Event) -> tuple[str, ...]:
    """The name under which a customer may have subscribed to this event."""
    return () if event.entity == "meta" else (event.name,)


def encode(event: Event, endpoint: Endpoint, sent: SentAs) -> bytes | None:
    """The body; an attribute without a value is left out."""
    if event.entity == "meta":
        return None
    data = bytes(event.snapshot.row) if event.entity == "operational" else row.shown(event, endpoint)
    attributes: dict[str, object] = {
        "specversion": "1.0",
        "id": sent.webhook_id,
        "source": _source(event),
        "type": f"io.tellwire.{event.name}.v1",
    }
    if subject := event.message_id or event.conversation_id:
        attributes["subject"] = subject
    attributes["time"] = instant(event.created_at)
    if sent.sequence:
        attributes["sequence"] = str(sent.sequence)
    return _encode({**attributes, "datacontenttype": "application/json", "data": Raw(data)})


def headers(event: Event, endpoint: Endpoint, body: bytes) -> tuple[tuple[str, str], ...]:  # noqa: ARG001
    """None of its own."""
    return ()


def _source(event: Event) -> str:
    organization = f"/organizations/{quote(event.organization_id, safe='')}"
    number = event.snapshot.phone_number_id
    return f"{organization}/accounts/{quote(number, safe='')}" if number else organization


def _host(origin: str) -> str:
    return urlsplit(origin).hostname or origin
