"""PURE. Makes events that never happened, in the shape of real ones, to test an endpoint with."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import Raw, Struct

from tellwire.model.deliveries import Action, Entity, Event, Part, Participants, Snapshot, StatusItem
from tellwire.model.messaging import Contact, Conversation, Message
from tellwire.model.row_json import conversation_row, message_row
from tellwire.model.units import MICROS, Micros
from tellwire.ports.formats import Format

TEXT = "This is a test event of Tellwire. Nobody wrote this."
SAID = "This is a test event of Tellwire. Nothing happened."
_CONTACT = "15550000001"
_BUSINESS = "15550000000"
_NUMBER = "000000000000000"
_NOBODY = Contact(id="", organization_id="", name="Tellwire test", phone=_CONTACT)
_WHO = Participants(contact=_CONTACT, business=_BUSINESS, name="Tellwire test")
_OF_ROWS = ("messages.insert", "messages.update", "conversations.insert", "conversations.update")
_OF_META = "meta."
_encode = msgspec.json.Encoder().encode

NewId = Callable[[], str]


class _Made(Struct, frozen=True):
    """The recipient, the time and the ids of a sample."""

    organization_id: str
    now: Micros
    new_id: NewId


def sample(form: Format, name: str, organization_id: str, now: Micros, new_id: NewId) -> Event:
    """Return an event of a name that endpoints may subscribe to; its ids belong to nothing, and its texts say that it
    is a test.

    Args:
        form: the format whose name it may be: the first event that goes by it there is taken.
    """
    made = _Made(organization_id, now, new_id)
    if name in _OF_ROWS:
        return _of_row(name, made)
    if name.startswith(_OF_META):
        return _of_meta(name, made)
    for each in _OF_ROWS:
        if name in form.names(event := _of_row(each, made)):
            return event
    row = _encode({"note": SAID})
    return _event("operational", "insert", Snapshot(row=Raw(row)), made, name=name)


def _of_row(name: str, made: _Made) -> Event:
    entity, _, action = name.partition(".")
    make = _message if entity == "messages" else _conversation
    return make("insert" if action == "insert" else "update", made)


def _message(action: Action, made: _Made) -> Event:
    at = made.now // MICROS
    incoming = action == "insert"
    status = {"pending": made.now} | ({} if incoming else {"sent": at * MICROS})
    message = Message(
        id=made.new_id(),
        organization_id=made.organization_id,
        account_id="",
        conversation_id=made.new_id(),
        direction="incoming" if incoming else "outgoing",
        content=_encode({"type": "text", "text": {"body": TEXT}}),
        status=status,
        wamid="wamid.TEST",
        from_=_CONTACT if incoming else "",
        to="" if incoming else _CONTACT,
        timestamp=at,
        created_at=made.now,
        updated_at=made.now,
    )
    snapshot = Snapshot(
        row=Raw(message_row(message, _NOBODY)),
        changed=() if incoming else ("status",),
        participants=_WHO,
        sent_at=at,
        phone_number_id=_NUMBER,
        status=None if incoming else StatusItem(name="sent", at=at),
    )
    event = _event("messages", action, snapshot, made)
    return msgspec.structs.replace(
        event, message_id=message.id, conversation_id=message.conversation_id, direction=message.direction
    )


def _conversation(action: Action, made: _Made) -> Event:
    conversation = Conversation(
        id=made.new_id(),
        organization_id=made.organization_id,
        account_id="",
        party="",
        organization_address=_NUMBER,
        contact_address=_CONTACT,
        status="open" if action == "insert" else "closed",
        created_at=made.now,
        updated_at=made.now,
    )
    changed = () if action == "insert" else ("status",)
    snapshot = Snapshot(row=Raw(conversation_row(conversation)), changed=changed, phone_number_id=_NUMBER)
    event = _event("conversations", action, snapshot, made)
    return msgspec.structs.replace(event, conversation_id=conversation.id)


def _of_meta(name: str, made: _Made) -> Event:
    """Return what Meta might have sent: a text under `messages`, a value with a note under any other field."""
    field, at = name.removeprefix(_OF_META), made.now // MICROS
    value: dict[str, object] = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": _BUSINESS, "phone_number_id": _NUMBER},
    }
    if field == "messages":
        value["contacts"] = [{"profile": {"name": _WHO.name}, "wa_id": _CONTACT}]
        text = {"from": _CONTACT, "id": "wamid.TEST", "timestamp": str(at), "type": "text", "text": {"body": TEXT}}
        value["messages"] = [text]
    else:
        value["note"] = SAID
    entry = {"id": _NUMBER, "changes": [{"value": value, "field": field}]}
    row = _encode({"object": "whatsapp_business_account", "entry": [entry]})
    part = Part("/entry/0/changes/0", field, "", "")
    return _event("meta", "item", Snapshot(row=Raw(row), parts=(part,)), made, name=name)


def _event(entity: Entity, action: Action, snapshot: Snapshot, made: _Made, *, name: str = "") -> Event:
    return Event(
        id=made.new_id(),
        organization_id=made.organization_id,
        account_id="",
        entity=entity,
        action=action,
        name=name or f"{entity}.{action}",
        order_key="",
        snapshot=snapshot,
        created_at=made.now,
    )
