"""The `meta` format: what Meta sent, in Meta's envelope and signed as Meta signs, for code written for Meta."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from tellwire.formats import event_names, operational
from tellwire.formats.meta.handshake import Subscribe
from tellwire.formats.schemas import Schema, document
from tellwire.meta.webhooks import joined, units
from tellwire.meta.webhooks.envelope import FIELDS
from tellwire.model.deliveries import Endpoint, Event, SentAs
from tellwire.model.registry import META
from tellwire.model.routing import takes
from tellwire.ports.formats import Handshake, Joining, ShownIds
from tellwire_sdk.signing import hub_signature

_ROWS = ("messages.insert", "messages.update", "conversations.insert", "conversations.update")

NAME = META
EVENTS: tuple[str, ...] = (*(f"meta.{field}" for field in FIELDS), *event_names.ALL)
UNSENT: tuple[str, ...] = _ROWS
SCHEMAS: Mapping[str, Schema] = {
    "meta": document(
        "meta",
        "What Meta sent",
        "A webhook of Meta's: one message, status or echo, or the value of another field; or a whole POST.",
        {
            "required": ["object", "entry"],
            "properties": {
                "object": {"const": units.OBJECT},
                "entry": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["changes"],
                        "properties": {
                            "id": {"type": "string", "description": "The business account (WABA)."},
                            "time": {"type": "integer", "description": "Meta's time, where it sent one."},
                            "changes": {
                                "type": "array",
                                "minItems": 1,
                                "items": {
                                    "type": "object",
                                    "properties": {
                                        "field": {"type": "string", "description": "Meta's webhook field."},
                                        "value": {"description": "What Meta says, verbatim."},
                                    },
                                },
                            },
                        },
                    },
                },
            },
        },
    ),
    **operational.SCHEMAS,
}
CONTENT_TYPE = "application/json"
SIGNATURE = "X-Hub-Signature-256"
RESERVED: tuple[str, ...] = ("x-hub-signature",)
TYPED = False
OPTIONS: tuple[str, ...] = ("batching", "echoes", "fields", "json", "verify_token")
HANDSHAKE: Handshake | None = Subscribe()
IDS: ShownIds | None = None


class Values:
    """Several messages in one value, as Meta batches them."""

    def takes(self, event: Event, types: Collection[str]) -> bool:
        """See `Joining.takes`."""
        if event.entity != "meta" or event.action != "item" or event.name != "meta.messages":
            return False
        kind = joined.type_of(_envelope(event))
        return kind is not None and (not types or kind in types)

    def encode(self, events: Sequence[Event], endpoint: Endpoint, sent: SentAs) -> bytes:  # noqa: ARG002
        """See `Joining.encode`."""
        return joined.together([_envelope(event) for event in events])


JOINING: Joining | None = Values()


def _envelope(event: Event) -> bytes:
    return event.snapshot.posted or bytes(event.snapshot.row)


def names(event: Event) -> tuple[str, ...]:
    """The event's own name; rows have no place here."""
    return (event.name,) if event.entity in ("meta", "operational") else ()


def encode(event: Event, endpoint: Endpoint, sent: SentAs) -> bytes | None:  # noqa: ARG001
    """The body as it came from Meta; of a POST, what belongs to the endpoint."""
    if event.entity == "operational":
        return operational.encode(event)
    if event.entity != "meta":
        return None
    posted, parts = _envelope(event), event.snapshot.parts
    if event.action == "item":
        return posted
    taken = [part.pointer for part in parts if takes(endpoint, part)]
    if not taken:
        return None
    return posted if len(taken) == len(parts) else units.only(posted, taken)


def headers(event: Event, endpoint: Endpoint, body: bytes) -> tuple[tuple[str, str], ...]:  # noqa: ARG001
    """`X-Hub-Signature-256`, when the endpoint has a secret."""
    if not endpoint.secrets:
        return ()
    return ((SIGNATURE, hub_signature(body, endpoint.secrets[0].value)),)
