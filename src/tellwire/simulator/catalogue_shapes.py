"""PURE but for the `Random` of the customer. What the catalogue is made with: messages, statuses, notices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from tellwire.simulator.customer import HAPPENINGS, Customer
from tellwire.simulator.payloads import Json, Update, body_of, escaped, message, notice, wamid

Make = Callable[[Customer, int], Sequence[bytes]]
"""Make the bodies of POSTs about something at a time (Unix seconds)."""


class Trigger(Struct, frozen=True):
    """A kind of webhook: what it is, in a line, and what makes it."""

    line: str
    make: Make


GROUP = "120363000000000001@g.us"
TEMPLATE = {
    "message_template_id": 400000000000001,
    "message_template_name": "order_notice",
    "message_template_language": "en_US",
}


def of_customer(name: str) -> Make:
    return lambda customer, at: [body_of([update]) for update in HAPPENINGS[name](customer, at)]


def message_of(kind: str, content: Any, *, reply: bool = False, **more: Any) -> Make:
    """Make a message of a type with a content; `more` are further keys of it."""

    def make(customer: Customer, at: int) -> Sequence[bytes]:
        made = wamid(customer.person.address, f"{customer.random.getrandbits(80):020X}")
        context: Json | None = None
        if reply:
            context = {"from": customer.business.display_phone_number, "id": customer.sent_message()}
        item = {**message(customer.person, wamid=made, at=at, type=kind, content=content, context=context), **more}
        if content is None:
            del item[kind]
        update = Update(business=customer.business, person=customer.person, kind="messages", item=item)
        return [body_of([update])]

    return make


def status_of(*names: str) -> Make:
    def make(customer: Customer, at: int) -> Sequence[bytes]:
        sent = customer.sent_message()
        return [body_of([customer.status(sent, name, at=at + second)]) for second, name in enumerate(names)]

    return make


def system(kind: str, **fields: str) -> Make:
    def make(customer: Customer, at: int) -> Sequence[bytes]:
        who = customer.person.wa_id
        content = {"body": f"{customer.person.name}: {kind}", "wa_id": who, "type": kind, **fields}
        return message_of("system", content)(customer, at)

    return make


def notice_of(field: str, value: Json | Callable[[Customer, int], Json]) -> Make:
    """Make a notice about the account."""

    def make(customer: Customer, at: int) -> Sequence[bytes]:
        made = value(customer, at) if callable(value) else value
        return [notice(customer.business.waba_id, field, made, at=at)]

    return make


def of_number(field: str, value: Callable[[Customer, int], Json], *, known: bool = False) -> Make:
    """Make a change in a field whose value says which number it is about, and with `known` whom."""

    def make(customer: Customer, at: int) -> Sequence[bytes]:
        business, person = customer.business, customer.person
        told: Json = {
            "messaging_product": "whatsapp",
            "metadata": {
                "display_phone_number": business.display_phone_number,
                "phone_number_id": business.phone_number_id,
            },
        }
        if known:
            told["contacts"] = [{"profile": {"name": person.name}, "wa_id": person.wa_id}]
        change = {"value": {**told, **value(customer, at)}, "field": field}
        return [
            escaped({"object": "whatsapp_business_account", "entry": [{"id": business.waba_id, "changes": [change]}]})
        ]

    return make


def named(**fields: Any) -> Callable[[Customer, int], Json]:
    return lambda customer, _: {"display_phone_number": customer.business.display_phone_number, **fields}


def text_of(customer: Customer, at: int, body: str, *, outgoing: bool = False) -> Json:
    """Return a message within another field than `messages`."""
    ours, theirs = customer.business.display_phone_number, customer.person.wa_id
    made = wamid(theirs, f"{customer.random.getrandbits(80):020X}", outgoing=outgoing)
    sides = {"from": ours, "to": theirs} if outgoing else {"from": theirs}
    return {**sides, "id": made, "timestamp": str(at), "type": "text", "text": {"body": body}}


def history_of(customer: Customer, at: int) -> Json:
    texts = [text_of(customer, at - 90, "Good morning"), text_of(customer, at - 60, "How can we help?", outgoing=True)]
    past = [{**each, "history_context": {"status": "READ"}} for each in texts]
    threads = [{"id": customer.person.wa_id, "messages": past}]
    return {"history": [{"metadata": {"phase": 0, "chunk_order": 1, "progress": 100}, "threads": threads}]}


def call_of(event: str, **more: Any) -> Callable[[Customer, int], Json]:
    def value(customer: Customer, at: int) -> Json:
        call = {
            "id": f"wacid.{customer.random.getrandbits(64):016X}",
            "from": customer.person.wa_id,
            "to": customer.business.display_phone_number,
            "event": event,
            "timestamp": str(at),
            "direction": "USER_INITIATED",
        }
        return {"calls": [call | more]}

    return value


def group(kind: str, **more: Any) -> Callable[[Customer, int], Json]:
    return lambda _, at: {"groups": [{"timestamp": str(at), "group_id": GROUP, "type": kind, **more}]}


def preference(value: str) -> Callable[[Customer, int], Json]:
    def made(customer: Customer, at: int) -> Json:
        told = {"wa_id": customer.person.wa_id, "detail": f"User requested to {value} marketing messages"}
        told |= {"category": "marketing_messages", "value": value, "timestamp": str(at)}
        return {"user_preferences": [told]}

    return made


def new_user_id(customer: Customer, at: int) -> Json:
    now = customer.person.user_id or "MX.90000000000000000001"
    told = {"wa_id": customer.person.wa_id, "detail": "User id has been updated.", "timestamp": str(at)}
    return {"user_id_update": [told | {"user_id": {"previous": now, "current": f"{now}7"}}]}


def handover(customer: Customer, at: int) -> Json:
    business = customer.business
    passed = {"previous_owner_app_id": "600000000000001", "previous_owner_role": "ai_agent"}
    passed |= {"new_owner_app_id": "600000000000002", "new_owner_role": "customer_service", "metadata": "order 12"}
    return {
        "messaging_product": "whatsapp",
        "recipient": {
            "phone_number_id": business.phone_number_id,
            "display_phone_number": business.display_phone_number,
        },
        "type": "control_passed",
        "timestamp": str(at),
        "control_passed": passed,
        "sender": {"phone_number": customer.person.wa_id},
    }


def address_book(customer: Customer, at: int) -> Json:
    person = customer.person
    contact = {"full_name": person.name, "first_name": person.name.split()[0], "phone_number": person.wa_id}
    told = {"type": "contact", "contact": contact, "action": "add", "metadata": {"timestamp": str(at)}}
    return {"state_sync": [told]}


def settings(customer: Customer, at: int) -> Json:
    changed = {"phone_number_id": customer.business.phone_number_id, "calling": {"status": "ENABLED"}}
    told = {"messaging_product": "whatsapp", "timestamp": str(at), "type": "phone_number_settings"}
    return told | {"phone_number_settings": changed}


ORDER = {
    "catalog_id": "600000000000001",
    "text": "For Friday",
    "product_items": [{"product_retailer_id": "SKU-1", "quantity": 2, "item_price": 15.5, "currency": "MXN"}],
}
AD = {
    "source_url": "https://fb.example/ad",
    "source_id": "500000000000001",
    "source_type": "ad",
    "headline": "Fresh bread",
    "body": "Every morning",
    "ctwa_clid": "CLID-1",
}
FLOW = {"name": "flow", "body": "Sent", "response_json": '{"flow_token":"t-1","quantity":"12"}'}
UNKNOWN = [{"code": 131051, "title": "Unsupported message type", "details": "Message type is not supported"}]
PICKED = {"type": "list_reply", "list_reply": {"id": "row-1", "title": "Small", "description": "For two"}}
FLAGS = {"alert_severity": "WARNING", "alert_status": "ACTIVE", "alert_type": "OBA_REJECTED"}
LEARNED = {"event_name": "LeadSubmitted", "ctwa_clid": "CLID-1"}
