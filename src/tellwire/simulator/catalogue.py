"""PURE but for the `Random` of the customer. One of every kind of webhook that Meta makes, by name: the bodies of POSTs.

What a customer does is in `customer`; this adds what happens to accounts, templates, groups and calls.
"""

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


_GROUP = "120363000000000001@g.us"
_TEMPLATE = {
    "message_template_id": 400000000000001,
    "message_template_name": "order_notice",
    "message_template_language": "en_US",
}


def _of_customer(name: str) -> Make:
    return lambda customer, at: [body_of([update]) for update in HAPPENINGS[name](customer, at)]


def _message(kind: str, content: Any, *, reply: bool = False, **more: Any) -> Make:
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


def _status(*names: str) -> Make:
    def make(customer: Customer, at: int) -> Sequence[bytes]:
        sent = customer.sent_message()
        return [body_of([customer.status(sent, name, at=at + second)]) for second, name in enumerate(names)]

    return make


def _system(kind: str, **fields: str) -> Make:
    def make(customer: Customer, at: int) -> Sequence[bytes]:
        who = customer.person.wa_id
        content = {"body": f"{customer.person.name}: {kind}", "wa_id": who, "type": kind, **fields}
        return _message("system", content)(customer, at)

    return make


def _notice(field: str, value: Json | Callable[[Customer, int], Json]) -> Make:
    """Make a notice about the account."""

    def make(customer: Customer, at: int) -> Sequence[bytes]:
        made = value(customer, at) if callable(value) else value
        return [notice(customer.business.waba_id, field, made, at=at)]

    return make


def _of_number(field: str, value: Callable[[Customer, int], Json], *, known: bool = False) -> Make:
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


def _named(**fields: Any) -> Callable[[Customer, int], Json]:
    return lambda customer, _: {"display_phone_number": customer.business.display_phone_number, **fields}


def _text(customer: Customer, at: int, body: str, *, outgoing: bool = False) -> Json:
    """Return a message within another field than `messages`."""
    ours, theirs = customer.business.display_phone_number, customer.person.wa_id
    made = wamid(theirs, f"{customer.random.getrandbits(80):020X}", outgoing=outgoing)
    sides = {"from": ours, "to": theirs} if outgoing else {"from": theirs}
    return {**sides, "id": made, "timestamp": str(at), "type": "text", "text": {"body": body}}


def _past(customer: Customer, at: int) -> Json:
    texts = [_text(customer, at - 90, "Good morning"), _text(customer, at - 60, "How can we help?", outgoing=True)]
    past = [{**each, "history_context": {"status": "READ"}} for each in texts]
    threads = [{"id": customer.person.wa_id, "messages": past}]
    return {"history": [{"metadata": {"phase": 0, "chunk_order": 1, "progress": 100}, "threads": threads}]}


def _call(event: str, **more: Any) -> Callable[[Customer, int], Json]:
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


def _group(kind: str, **more: Any) -> Callable[[Customer, int], Json]:
    return lambda _, at: {"groups": [{"timestamp": str(at), "group_id": _GROUP, "type": kind, **more}]}


def _preference(value: str) -> Callable[[Customer, int], Json]:
    def made(customer: Customer, at: int) -> Json:
        told = {"wa_id": customer.person.wa_id, "detail": f"User requested to {value} marketing messages"}
        told |= {"category": "marketing_messages", "value": value, "timestamp": str(at)}
        return {"user_preferences": [told]}

    return made


def _new_user_id(customer: Customer, at: int) -> Json:
    now = customer.person.user_id or "MX.90000000000000000001"
    told = {"wa_id": customer.person.wa_id, "detail": "User id has been updated.", "timestamp": str(at)}
    return {"user_id_update": [told | {"user_id": {"previous": now, "current": f"{now}7"}}]}


def _handover(customer: Customer, at: int) -> Json:
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


def _address_book(customer: Customer, at: int) -> Json:
    person = customer.person
    contact = {"full_name": person.name, "first_name": person.name.split()[0], "phone_number": person.wa_id}
    told = {"type": "contact", "contact": contact, "action": "add", "metadata": {"timestamp": str(at)}}
    return {"state_sync": [told]}


def _settings(customer: Customer, at: int) -> Json:
    changed = {"phone_number_id": customer.business.phone_number_id, "calling": {"status": "ENABLED"}}
    told = {"messaging_product": "whatsapp", "timestamp": str(at), "type": "phone_number_settings"}
    return told | {"phone_number_settings": changed}


_ORDER = {
    "catalog_id": "600000000000001",
    "text": "For Friday",
    "product_items": [{"product_retailer_id": "SKU-1", "quantity": 2, "item_price": 15.5, "currency": "MXN"}],
}
_AD = {
    "source_url": "https://fb.example/ad",
    "source_id": "500000000000001",
    "source_type": "ad",
    "headline": "Fresh bread",
    "body": "Every morning",
    "ctwa_clid": "CLID-1",
}
_FLOW = {"name": "flow", "body": "Sent", "response_json": '{"flow_token":"t-1","quantity":"12"}'}
_UNKNOWN = [{"code": 131051, "title": "Unsupported message type", "details": "Message type is not supported"}]
_PICKED = {"type": "list_reply", "list_reply": {"id": "row-1", "title": "Small", "description": "For two"}}
_FLAGS = {"alert_severity": "WARNING", "alert_status": "ACTIVE", "alert_type": "OBA_REJECTED"}
_LEARNED = {"event_name": "LeadSubmitted", "ctwa_clid": "CLID-1"}

TRIGGERS: dict[str, Trigger] = {
    "text": Trigger("a customer writes", _of_customer("text")),
    "text.reply": Trigger("a customer answers a message", _of_customer("reply")),
    "text.from_ad": Trigger(
        "a customer writes from an advertisement", _message("text", {"body": "Is it still there?"}, referral=_AD)
    ),
    "text.group": Trigger("somebody writes in a group", _message("text", {"body": "Hello everybody"}, group_id=_GROUP)),
    "image": Trigger("a customer sends an image", _of_customer("image")),
    "video": Trigger("a customer sends a video", _of_customer("video")),
    "audio": Trigger("a customer sends a voice message", _of_customer("audio")),
    "voice": Trigger(
        "the older form of a voice message",
        _message("voice", {"id": "700000000000901", "mime_type": "audio/ogg; codecs=opus", "sha256": "dGVzdA=="}),
    ),
    "document": Trigger("a customer sends a document", _of_customer("document")),
    "sticker": Trigger("a customer sends a sticker", _of_customer("sticker")),
    "media_placeholder": Trigger("a file that Meta leaves out of the history", _message("media_placeholder", None)),
    "location": Trigger("a customer sends where they are", _of_customer("location")),
    "contacts": Trigger("a customer sends a contact card", _of_customer("contacts")),
    "reaction": Trigger("a customer reacts to a message", _of_customer("reaction")),
    "interactive": Trigger("a customer taps a reply button", _of_customer("interactive")),
    "interactive.list": Trigger("a customer picks a row of a list", _message("interactive", _PICKED, reply=True)),
    "interactive.flow": Trigger(
        "a customer completes a flow", _message("interactive", {"type": "nfm_reply", "nfm_reply": _FLOW}, reply=True)
    ),
    "button": Trigger(
        "a customer presses a template's button", _message("button", {"payload": "STOP", "text": "Stop"}, reply=True)
    ),
    "order": Trigger("a customer orders from the catalogue", _message("order", _ORDER)),
    "request_welcome": Trigger("a customer opens the chat for the first time", _message("request_welcome", None)),
    "system": Trigger("a customer has a new number", _system("user_changed_number", wa_id="5215500000077")),
    "system.identity": Trigger(
        "a customer has perhaps a new device", _system("customer_identity_changed", identity="HASH=")
    ),
    "edit": Trigger("a customer changes a message", _of_customer("edit")),
    "revoke": Trigger("a customer deletes a message", _of_customer("revoke")),
    "unsupported": Trigger("a customer does what the Cloud API does not support", _of_customer("unsupported")),
    "unknown": Trigger("the older form of that", _message("unknown", None, errors=_UNKNOWN)),
    "status": Trigger("a message is sent, delivered and read", _of_customer("status")),
    "status.sent": Trigger("a message is sent", _status("sent")),
    "status.delivered": Trigger("a message is delivered", _status("delivered")),
    "status.read": Trigger("a message is read", _status("read")),
    "status.played": Trigger("a voice message is played", _status("played")),
    "status.failed": Trigger("a message fails with 131026", _of_customer("failure")),
    "smb_message_echoes": Trigger(
        "the business answers with the phone app",
        _of_number(
            "smb_message_echoes", lambda c, at: {"message_echoes": [_text(c, at, "Yes, at eight", outgoing=True)]}
        ),
    ),
    "smb_app_state_sync": Trigger(
        "the phone app's address book has somebody new", _of_number("smb_app_state_sync", _address_book)
    ),
    "history": Trigger("past messages of the phone app", _of_number("history", _past)),
    "standby": Trigger(
        "a message while another app has the thread",
        _of_number("standby", lambda c, at: {"standby": {"messages": [_text(c, at, "Hello?")]}}),
    ),
    "messaging_handovers": Trigger(
        "another app passes the thread", lambda c, at: _notice("messaging_handovers", _handover)(c, at)
    ),
    "calls": Trigger(
        "a customer calls",
        _of_number("calls", _call("connect", session={"sdp_type": "offer", "sdp": "v=0\r\n"}), known=True),
    ),
    "calls.terminate": Trigger(
        "a call ends", _of_number("calls", _call("terminate", status=["COMPLETED"], duration=60), known=True)
    ),
    "user_id_update": Trigger("a person's user id changes", _of_number("user_id_update", _new_user_id, known=True)),
    "user_preferences": Trigger(
        "a person wants no more marketing", _of_number("user_preferences", _preference("stop"), known=True)
    ),
    "user_preferences.resume": Trigger(
        "a person wants marketing again", _of_number("user_preferences", _preference("resume"), known=True)
    ),
    "message_template_status_update": Trigger(
        "a template is approved",
        _notice("message_template_status_update", {"event": "APPROVED", **_TEMPLATE, "reason": None}),
    ),
    "message_template_status_update.rejected": Trigger(
        "a template is rejected",
        _notice("message_template_status_update", {"event": "REJECTED", **_TEMPLATE, "reason": "SCAM"}),
    ),
    "message_template_quality_update": Trigger(
        "a template's quality falls",
        _notice(
            "message_template_quality_update",
            {"previous_quality_score": "GREEN", "new_quality_score": "YELLOW", **_TEMPLATE},
        ),
    ),
    "message_template_components_update": Trigger(
        "a template is edited",
        _notice("message_template_components_update", {**_TEMPLATE, "message_template_element": "It is ready"}),
    ),
    "template_category_update": Trigger(
        "a template gets another category",
        _notice("template_category_update", {**_TEMPLATE, "previous_category": "UTILITY", "new_category": "MARKETING"}),
    ),
    "account_update": Trigger(
        "the account is restricted",
        _notice(
            "account_update",
            lambda _, at: {
                "event": "ACCOUNT_RESTRICTION",
                "restriction_info": [
                    {"restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING", "expiration": at + 86_400}
                ],
            },
        ),
    ),
    "account_alerts": Trigger(
        "an alert about the account",
        _notice(
            "account_alerts",
            lambda c, _: {
                "entity_type": "WABA",
                "entity_id": c.business.waba_id,
                **_FLAGS,
                "alert_description": "Rejected",
            },
        ),
    ),
    "account_review_update": Trigger(
        "the account's review ends", _notice("account_review_update", {"decision": "APPROVED"})
    ),
    "account_settings_update": Trigger(
        "a setting of the number changes", _notice("account_settings_update", _settings)
    ),
    "business_capability_update": Trigger(
        "the messaging limit changes",
        _notice(
            "business_capability_update",
            {"max_daily_conversations_per_business": "TIER_2K", "max_phone_numbers_per_waba": 5},
        ),
    ),
    "business_username_update": Trigger(
        "the business's username is approved",
        _notice("business_username_update", _named(username="corner_shop", status="approved")),
    ),
    "business_username_updates": Trigger(
        "the same in its other spelling",
        _notice("business_username_updates", _named(username="corner_shop", status="reserved")),
    ),
    "phone_number_name_update": Trigger(
        "the number's name is approved",
        _notice(
            "phone_number_name_update",
            _named(decision="APPROVED", requested_verified_name="Corner shop", rejection_reason=None),
        ),
    ),
    "phone_number_quality_update": Trigger(
        "the number's quality is flagged",
        _notice("phone_number_quality_update", _named(event="FLAGGED", current_limit="TIER_10K")),
    ),
    "security": Trigger(
        "the number's PIN is changed", _notice("security", _named(event="PIN_CHANGED", requester="300000000000001"))
    ),
    "flows": Trigger(
        "a flow is published",
        _notice(
            "flows",
            {
                "event": "FLOW_STATUS_CHANGE",
                "message": "Published",
                "flow_id": "100000000000001",
                "old_status": "DRAFT",
                "new_status": "PUBLISHED",
            },
        ),
    ),
    "partner_solutions": Trigger(
        "a partner's solution is made",
        _notice(
            "partner_solutions",
            {"event": "SOLUTION_CREATED", "solution_id": "200000000000001", "solution_status": "INITIATED"},
        ),
    ),
    "payment_configuration_update": Trigger(
        "a payment configuration is active",
        _notice(
            "payment_configuration_update",
            lambda _, at: {
                "configuration_name": "cards",
                "provider_name": "example",
                "provider_mid": "mid-1",
                "status": "Active",
                "created_timestamp": at,
                "updated_timestamp": at,
            },
        ),
    ),
    "automatic_events": Trigger(
        "Meta sees a lead in the chat",
        _of_number(
            "automatic_events",
            lambda c, at: {"automatic_events": [{"id": c.sent_message(), "timestamp": str(at), **_LEARNED}]},
        ),
    ),
    "tracking_events": Trigger(
        "an event of an advertisement",
        _of_number("tracking_events", lambda _, at: {"events": [{"event_name": "AddToCart", "timestamp": at}]}),
    ),
    "group_lifecycle_update": Trigger(
        "a group is made",
        _of_number(
            "group_lifecycle_update",
            _group("group_create", request_id="r-1", subject="Bakers", invite_link="https://chat.example/1"),
        ),
    ),
    "group_participants_update": Trigger(
        "somebody joins a group",
        _of_number(
            "group_participants_update",
            lambda c, at: _group(
                "group_participants_add", reason="invite_link", added_participants=[{"wa_id": c.person.wa_id}]
            )(c, at),
        ),
    ),
    "group_settings_update": Trigger(
        "a group is renamed",
        _of_number(
            "group_settings_update",
            _group(
                "group_settings_update", request_id="r-2", group_subject={"text": "Oven", "update_successful": True}
            ),
        ),
    ),
    "group_status_update": Trigger("a group is suspended", _of_number("group_status_update", _group("group_suspend"))),
}
"""What `tellwire trigger` takes, by name: a message type, a status, or a webhook field, with its kind behind a dot."""
