"""Builders of the events that the cases are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from tellwire.model.deliveries import Action, Endpoint, Entity, Event, Part, Participants, Secret, Snapshot, StatusItem

ORGANIZATION = "00000000-0000-7000-8000-000000000001"
CONVERSATION = "019dfb5e-6df8-7a10-8c11-5f0d3c2b1a01"
MESSAGE = "019dfb5e-6df8-7b20-9d22-6f1e4d3c2b02"
AGENT = "019dd7c1-0000-7e34-8a56-1234567890ab"
CONTACT = "5215550000001"
BUSINESS = "5215550000000"
PHONE_NUMBER_ID = "375000000000001"
WAMID = "wamid.EXAMPLE0000000000000001"
TIME = "2026-05-06T03:39:23+00:00"
LATER = "2026-05-06T03:39:35.000417+00:00"
SENT_AT = 1778038763
MICROS = 1_778_038_763_000_000
SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

Json = Mapping[str, Any]


def endpoint(form: str, **settings: Any) -> Endpoint:
    """A subscriber to everything, with one secret."""
    given: dict[str, Any] = {"secrets": (Secret(SECRET),), **settings}
    return Endpoint(id="endpoint", organization_id=ORGANIZATION, url="https://example.com/hook", format=form, **given)


def incoming(
    content: Json | bytes,
    *,
    changed: tuple[str, ...] = (),
    who: Participants | None = None,
    from_: str = CONTACT,
    **columns: Any,
) -> Event:
    """A message from the contact, inserted; or changed, when it says in what."""
    return message_event(
        {
            "id": MESSAGE,
            "conversation_id": CONVERSATION,
            "organization_id": ORGANIZATION,
            "direction": "incoming",
            "content": Raw(content) if isinstance(content, bytes) else content,
            "status": {"pending": TIME},
            "wa_id": WAMID,
            "from": from_,
            "created_at": TIME,
            "updated_at": TIME,
            "timestamp": TIME,
            "contact": {"name": "Ana", "phone": CONTACT},
            **columns,
        },
        action="update" if changed else "insert",
        changed=changed,
        who=who,
    )


def outgoing(
    status: Json,
    *,
    action: Action = "update",
    changed: tuple[str, ...] = ("status",),
    item: StatusItem | None = None,
    **columns: Any,
) -> Event:
    """A message of the business's, inserted or changed; `item` is the status that caused it."""
    columns = {"content": {"type": "text", "text": {"body": "Hi! How can I help you?"}}, "updated_at": LATER} | columns
    row = {
        "id": MESSAGE,
        "conversation_id": CONVERSATION,
        "organization_id": ORGANIZATION,
        "direction": "outgoing",
        "agent_id": columns.pop("agent_id", None),
        "content": columns.pop("content"),
        "status": status,
        "wa_id": columns.pop("wa_id", None),
        "created_at": TIME,
        "updated_at": columns.pop("updated_at"),
        "to": CONTACT,
        **columns,
    }
    return message_event(
        {name: value for name, value in row.items() if value is not None}, action=action, changed=changed, item=item
    )


def message_event(
    row: Json,
    *,
    action: Action,
    changed: tuple[str, ...] = (),
    item: StatusItem | None = None,
    who: Participants | None = None,
) -> Event:
    """A message's row, inserted or changed, with what the chat format wants to know beside it."""
    snapshot = Snapshot(
        row=Raw(msgspec.json.encode(row)),
        changed=changed,
        participants=who or Participants(CONTACT, BUSINESS, "Ana"),
        sent_at=SENT_AT,
        status=item,
        phone_number_id=PHONE_NUMBER_ID,
    )
    return _event("messages", action, snapshot, message_id=MESSAGE, direction=row["direction"])


def conversation_event(action: Action, *, changed: tuple[str, ...] = (), **columns: Any) -> Event:
    """A conversation, inserted or changed."""
    row = {
        "id": CONVERSATION,
        "organization_id": ORGANIZATION,
        "organization_address": PHONE_NUMBER_ID,
        "contact_address": CONTACT,
        "service": "whatsapp",
        "status": "open",
        "created_at": TIME,
        "updated_at": TIME if action == "insert" else LATER,
        **columns,
    }
    return row_event("conversations", action, row, changed=changed)


def row_event(entity: Entity, action: Action, row: Json, *, changed: tuple[str, ...] = ()) -> Event:
    """A row that is given as it is."""
    snapshot = Snapshot(row=Raw(msgspec.json.encode(row)), changed=changed, phone_number_id=PHONE_NUMBER_ID)
    return _event(entity, action, snapshot)


def _event(entity: Entity, action: Action, snapshot: Snapshot, **more: Any) -> Event:
    return Event(
        id="event",
        organization_id=ORGANIZATION,
        account_id="account",
        entity=entity,
        action=action,
        name=f"{entity}.{action}",
        order_key="key",
        conversation_id=CONVERSATION,
        snapshot=snapshot,
        created_at=MICROS,
        **more,
    )


def meta_event(field: str, value: Json) -> Event:
    """What Meta sent by itself, in its envelope."""
    entry = {"id": "102000000000001", "changes": [{"value": value, "field": field}]}
    row = msgspec.json.encode({"object": "whatsapp_business_account", "entry": [entry]})
    part = Part("/entry/0/changes/0", field, "account", PHONE_NUMBER_ID)
    return replace(
        _event("meta", "item", Snapshot(row=Raw(row), parts=(part,), phone_number_id=PHONE_NUMBER_ID)),
        name=f"meta.{field}",
    )


def meta_post(body: bytes, fields: tuple[str, ...]) -> Event:
    """A POST of Meta's with one entry, whose changes are of these fields, each of another account."""
    parts = tuple(
        Part(f"/entry/0/changes/{n}", field, f"account {n}", f"37500000000000{n + 1}") for n, field in enumerate(fields)
    )
    return replace(_event("meta", "post", Snapshot(row=Raw(b"{}"), posted=body, parts=parts)), name=f"meta.{fields[0]}")


def operational_event(name: str, data: Json, *, at: int = MICROS) -> Event:
    """Something about the platform itself."""
    return Event(
        id="event",
        organization_id=ORGANIZATION,
        account_id="",
        entity="operational",
        action="insert",
        name=name,
        order_key="",
        snapshot=Snapshot(row=Raw(msgspec.json.encode(data)), phone_number_id=data.get("phone_number_id", "")),
        created_at=at,
    )
