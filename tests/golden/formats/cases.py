"""Every case of every format: what happened, and the file that says which bytes go out for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct
from tests.golden.formats.contents import CONTENTS, META_ORDER, OWN_KEYS, VERBATIM
from tests.golden.formats.events import (
    AGENT,
    BUSINESS,
    CONTACT,
    CONVERSATION,
    LATER,
    MESSAGE,
    MICROS,
    ORGANIZATION,
    PHONE_NUMBER_ID,
    SENT_AT,
    TIME,
    WAMID,
    conversation_event,
    endpoint,
    incoming,
    meta_event,
    meta_post,
    operational_event,
    outgoing,
    row_event,
)

from tellwire.formats import FORMATS
from tellwire.meta.webhooks.envelope import FIELDS
from tellwire.model.deliveries import Buffer, Endpoint, Event, Participants, SentAs, StatusItem
from tellwire.model.messaging import StatusError
from tellwire.ports.formats import Format

FOLDER = Path(__file__).parent


class Case(Struct, frozen=True):
    """An event for an endpoint, or several of a buffer; the body is the file `<format>/<name>.json`, exactly."""

    name: str
    event: Event
    endpoint: Endpoint
    more: tuple[Event, ...] = ()

    @property
    def path(self) -> Path:
        return FOLDER / self.endpoint.format / f"{self.name}.json"

    def body(self) -> bytes | None:
        form, sent = FORMATS[self.endpoint.format], SentAs("an id")
        if self.more and form.JOINING is not None:
            return form.JOINING.encode((self.event, *self.more), self.endpoint, sent)
        return form.encode(self.event, self.endpoint, sent)


ERROR = StatusError(131026, "Message undeliverable", "Message undeliverable", "Message Undeliverable.")
SEND_ERROR = StatusError(131030, "Recipient not allowed", "Recipient not allowed", "")
SHOWN_ERROR = {
    "code": ERROR.code,
    "title": ERROR.title,
    "message": ERROR.message,
    "error_data": {"details": ERROR.details},
}
PRICING = {"billable": True, "pricing_model": "PMP", "type": "regular", "category": "utility"}
GROUP = "120363000000000001@g.us"


def _status(name: str, **item: Any) -> Event:
    """An outgoing message that was accepted before and now reached `name`."""
    reached: dict[str, Any] = {"pending": TIME, "sent": "2026-05-06T03:39:26+00:00", name: LATER}
    if name == "failed":
        reached["errors"] = [SHOWN_ERROR]
    return outgoing(reached, wa_id=WAMID, item=StatusItem(name, SENT_AT + 12, **item))


STATUSES = {
    "status_held_for_quality_assessment": _status("held_for_quality_assessment"),
    "status_sent": outgoing(
        {"pending": TIME, "sent": "2026-05-06T03:39:26+00:00"},
        changed=("status", "pricing"),
        item=StatusItem("sent", SENT_AT + 3, billable=True, category="utility", type="regular"),
        wa_id=WAMID,
        pricing=PRICING,
    ),
    "status_delivered": _status("delivered", category="utility", type="free_customer_service"),
    "status_read": _status("read"),
    "status_played": _status("played"),
    "status_failed": _status("failed", errors=(ERROR,)),
    "status_deleted": _status("deleted"),
    "status_of_the_future": _status("warmed_up"),
    "status_failed_at_send": outgoing(
        {"pending": TIME, "failed": LATER, "errors": [{**SHOWN_ERROR, "code": SEND_ERROR.code}]},
        item=StatusItem("failed", SENT_AT + 1, (SEND_ERROR,)),
    ),
    "external": outgoing(
        {"delivered": TIME},
        action="insert",
        changed=(),
        item=StatusItem("delivered", SENT_AT, category="marketing", type="regular", billable=True),
        content={"type": "external"},
        wa_id=WAMID,
        updated_at=TIME,
    ),
}

SILENT = {
    "outgoing": outgoing({"pending": TIME}, action="insert", changed=(), agent_id=AGENT, updated_at=TIME),
    "accepted": outgoing({"pending": TIME}, changed=("wa_id",), wa_id=WAMID),
    "edited": outgoing(
        {"pending": TIME, "edited": LATER},
        changed=("content", "status"),
        content={"type": "text", "text": {"body": "Hi! How may I help you?"}},
        wa_id=WAMID,
    ),
    "echo": outgoing({"sent": TIME}, action="insert", changed=(), wa_id=WAMID, updated_at=TIME, timestamp=TIME),
    "conversation_opened": conversation_event("insert"),
    "conversation_closed": conversation_event("update", changed=("status",), status="closed"),
    "conversation_reopened": conversation_event("update", changed=("status",)),
    "conversation_address_changed": conversation_event(
        "update", changed=("contact_address",), contact_address="5215550000002"
    ),
}
"""What only the row format has a place for, beside changes of incoming rows."""


UPDATES_OF_INCOMING = {
    "marked_read": incoming(
        CONTENTS["text"], changed=("status",), status={"pending": TIME, "read": LATER}, updated_at=LATER
    ),
    "edited_by_contact": incoming(
        {"type": "text", "text": {"body": "Hello again"}},
        changed=("content", "status"),
        status={"pending": TIME, "edited": LATER},
        updated_at=LATER,
    ),
    "revoked": incoming(
        CONTENTS["text"], changed=("status",), status={"pending": TIME, "deleted": LATER}, updated_at=LATER
    ),
}


def _told(name: str, data: dict[str, Any], value: dict[str, Any]) -> Event:
    about = {"phone_number_id": PHONE_NUMBER_ID, "contact_id": CONVERSATION}
    return operational_event(name, {**about, **data, "value": value})


OPERATIONAL = {
    "endpoint.disabled": operational_event(
        "endpoint.disabled", {"endpoint_id": MESSAGE, "reason": "nothing but failures for 5 days"}
    ),
    "endpoint.recovered": operational_event("endpoint.recovered", {"endpoint_id": MESSAGE}, at=MICROS + 417),
    "delivery.exhausted": operational_event("delivery.exhausted", {"delivery_id": MESSAGE, "attempts": 10}),
    "account.warning": operational_event(
        "account.warning", {"phone_number_id": PHONE_NUMBER_ID, "errors": [{"code": 130429}]}
    ),
    "account.updated": operational_event(
        "account.updated",
        {
            "phone_number_id": PHONE_NUMBER_ID,
            "field": "account_review_update",
            "event": "APPROVED",
            "value": {"decision": "APPROVED"},
        },
    ),
    "template.updated": operational_event(
        "template.updated",
        {
            "phone_number_id": PHONE_NUMBER_ID,
            "field": "message_template_quality_update",
            "event": "QUALITY",
            "template_name": "order_ready",
            "value": {"new_quality_score": "YELLOW"},
        },
    ),
    "account.paused": operational_event(
        "account.paused",
        {"phone_number_id": PHONE_NUMBER_ID, "reason": "190: Access token has expired"},
    ),
    "account.resumed": operational_event(
        "account.resumed", {"phone_number_id": PHONE_NUMBER_ID, "how": "a new access token"}
    ),
    "contact.preference_changed": _told(
        "contact.preference_changed",
        {"field": "user_preferences", "category": "marketing_messages", "event": "stop"},
        {"wa_id": CONTACT, "category": "marketing_messages", "value": "stop", "timestamp": 1778038763},
    ),
    "standby.message": _told(
        "standby.message",
        {"field": "standby", "wa_id": WAMID},
        {"from": CONTACT, "id": WAMID, "timestamp": "1778038763", "type": "text", "text": {"body": "Welcome"}},
    ),
    "standby.echo": _told(
        "standby.echo",
        {"field": "standby", "wa_id": WAMID},
        {"id": WAMID, "timestamp": "1778038763", "message": {"to": CONTACT, "type": "text", "text": {"body": "Hi"}}},
    ),
    "standby.status": _told(
        "standby.status",
        {"field": "standby", "wa_id": WAMID},
        {"id": WAMID, "status": "read", "timestamp": "1778038763", "recipient_id": CONTACT},
    ),
    "thread.control_passed": _told(
        "thread.control_passed",
        {"field": "messaging_handovers", "event": "control_passed"},
        {
            "type": "control_passed",
            "sender": {"phone_number": CONTACT},
            "control_passed": {"new_owner_role": "utility"},
        },
    ),
    "thread.control_taken": _told(
        "thread.control_taken",
        {"field": "messaging_handovers", "event": "control_taken"},
        {"type": "control_taken", "control_taken": {"new_owner_role": "escalation"}},
    ),
    "contact.erased": operational_event("contact.erased", {"contact_id": CONVERSATION}),
    "media.failed": operational_event(
        "media.failed", {"media_id": CONVERSATION, "message_id": MESSAGE, "state": "expired", "cause": "it is gone"}
    ),
    "message.payment": operational_event(
        "message.payment",
        {
            "message_id": MESSAGE,
            "conversation_id": CONVERSATION,
            "wa_id": "wamid.ORDER",
            "status": "captured",
            "at": "2026-05-06T03:40:09+00:00",
            "payment": {"reference_id": "order-7", "transaction": {"id": "t2", "status": "success"}},
        },
    ),
    "agent.failed": operational_event(
        "agent.failed", {"conversation_id": CONVERSATION, "attempts": 4, "cause": "the model's server answered 500"}
    ),
    "conversation.handed_over": operational_event(
        "conversation.handed_over", {"conversation_id": CONVERSATION, "reason": "a person wrote", "by": "an agent"}
    ),
    "conversation.resumed": operational_event("conversation.resumed", {"conversation_id": CONVERSATION, "by": "a key"}),
}

PEOPLE = {
    "name_unknown": incoming(CONTENTS["text"], who=Participants(CONTACT, BUSINESS), contact={"phone": CONTACT}),
    "user_id": incoming(
        CONTENTS["text"],
        who=Participants("MX.13491208655302741918", PHONE_NUMBER_ID, "Ana"),
        from_="MX.13491208655302741918",
        contact={"name": "Ana", "username": "ana", "user_id": "MX.13491208655302741918"},
    ),
    "group": incoming(CONTENTS["text"] | {"group_id": GROUP}, who=Participants(CONTACT, BUSINESS, "Ana")),
}

TEXTS = {"verbatim": incoming(VERBATIM), "meta_order": incoming(META_ORDER), "own_keys": incoming(OWN_KEYS)}

MEDIA = {
    "image_with_media": incoming(
        CONTENTS["image"],
        media=[
            {
                "id": "1479537139650973",
                "url": "https://tellwire.example/v1/media/1479537139650973",
                "mime_type": "image/jpeg",
                "sha256": "b3JhbmdlcyBhcmUgbm90IHRoZSBvbmx5IGZydWl0cyE=",
            }
        ],
    )
}


EXAMPLES_OF_ROWS = {
    "example_new_incoming_message": row_event(
        "messages",
        "insert",
        {
            "id": MESSAGE,
            "conversation_id": CONVERSATION,
            "organization_id": ORGANIZATION,
            "direction": "incoming",
            "content": {"type": "text", "text": {"body": "Hello!"}},
            "status": {"pending": TIME},
            "wa_id": WAMID,
            "from": CONTACT,
            "created_at": TIME,
            "updated_at": TIME,
        },
    ),
    "example_sent_by_agent": row_event(
        "messages",
        "insert",
        {
            "id": MESSAGE,
            "conversation_id": CONVERSATION,
            "organization_id": ORGANIZATION,
            "direction": "outgoing",
            "agent_id": AGENT,
            "content": {"type": "text", "text": {"body": "Hi! How can I help you today?"}},
            "status": {"pending": TIME},
            "created_at": TIME,
        },
    ),
    "example_delivered_and_read": row_event(
        "messages",
        "update",
        {
            "id": MESSAGE,
            "conversation_id": CONVERSATION,
            "direction": "outgoing",
            "content": {"type": "text", "text": {"body": "Hi! How can I help you today?"}},
            "status": {"pending": TIME, "sent": TIME, "delivered": TIME, "read": TIME},
            "updated_at": TIME,
            "to": CONTACT,
        },
        changed=("status",),
    ),
    "example_new_conversation": conversation_event("insert"),
    "example_conversation_closed": conversation_event("update", changed=("status",), status="closed"),
}
EXAMPLES_OF_CHATS = {
    "example_chat_message": incoming({"type": "text", "text": {"body": "Welcome"}}),
    "example_delivered": _status("delivered", category="utility", type="free_customer_service"),
    "example_failed": _status("failed", errors=(ERROR,)),
}
"""The examples of the two source documents, key for key."""


BUFFERED = (
    incoming(CONTENTS["image"], id=AGENT, wa_id=f"{WAMID}B"),
    incoming(CONTENTS["location"], id=CONVERSATION, wa_id=f"{WAMID}C"),
)
"""What comes after a text, quickly."""

TYPED = {name: incoming(content) for name, content in CONTENTS.items()}
ROWS = TYPED | TEXTS | MEDIA | PEOPLE | UPDATES_OF_INCOMING | STATUSES | SILENT | OPERATIONAL
_METADATA = {"display_phone_number": BUSINESS, "phone_number_id": PHONE_NUMBER_ID}
_CARD = {"profile": {"name": "Ana"}, "wa_id": CONTACT}
_TEXT = {"id": WAMID, "timestamp": str(SENT_AT), "type": "text", "text": {"body": "Hello!"}}
_VALUES: dict[str, dict[str, Any]] = {
    "messages": {"metadata": _METADATA, "contacts": [_CARD], "messages": [{"from": CONTACT, **_TEXT}]},
    "smb_message_echoes": {"metadata": _METADATA, "message_echoes": [{"from": BUSINESS, "to": CONTACT, **_TEXT}]},
    "history": {
        "metadata": _METADATA,
        "history": [{"metadata": {"phase": 0}, "threads": [{"id": CONTACT, "messages": [{"from": CONTACT, **_TEXT}]}]}],
    },
}
META = {
    f"meta_{field}": meta_event(field, {"messaging_product": "whatsapp", **_VALUES.get(field, {"of": field})})
    for field in FIELDS
} | {
    "meta_status": meta_event(
        "messages",
        {
            "messaging_product": "whatsapp",
            "metadata": _METADATA,
            "statuses": [{"id": WAMID, "status": "read", "timestamp": str(SENT_AT), "recipient_id": CONTACT}],
        },
    ),
}
"""What Meta sent, which only the format `meta` has a place for."""

EVENTS = ROWS | META
"""One of everything that happens."""


POST = meta_post(
    b'{"object": "whatsapp_business_account",\n "entry": [{"id": "102000000000001", "time": 1778038763, "changes": ['
    b'{"value": {"metadata": {"phone_number_id": "375000000000001"}, "x": 1.50}, "field": "flows"},\n'
    b'{"value": {"metadata": {"phone_number_id": "375000000000002"}, "y": "\\u00e9"}, "field": "calls"}]}]}\n',
    ("flows", "calls"),
)


def _rows() -> Iterator[Case]:
    full, changed = endpoint("row"), endpoint("row", updates="changed")
    for name, event in ROWS.items():
        yield Case(name, event, full)
        if event.action == "update":
            yield Case(f"{name}_abridged", event, changed)
    for name, event in EXAMPLES_OF_ROWS.items():
        yield Case(name, event, changed)
    yield Case("buffered", TYPED["text"], endpoint("row", buffer=Buffer(seconds=2, most=3)), BUFFERED)


def _chats() -> Iterator[Case]:
    by_conversation, by_message = endpoint("chat"), endpoint("chat", conversation_ids="message")
    for name, event in (TYPED | TEXTS | PEOPLE | STATUSES | OPERATIONAL | EXAMPLES_OF_CHATS).items():
        yield Case(name, event, by_conversation)
    yield Case("text_by_message", TYPED["text"], by_message)
    yield Case("status_sent_by_message", STATUSES["status_sent"], by_message)


def _plain() -> Iterator[Case]:
    """Every event that the other formats have a place for, for an endpoint with default options."""
    for name, form in FORMATS.items():
        if name not in ("row", "chat") and isinstance(form, Format):
            yield from (Case(each, event, endpoint(name)) for each, event in EVENTS.items() if form.names(event))


def _metas() -> Iterator[Case]:
    """A field that nobody knows; and a POST of two accounts, for endpoints that take all of it, or some."""
    unknown = meta_event("field_to_come", {"metadata": _METADATA, "anything": [1.50, None]})
    yield Case("meta_field_to_come", unknown, endpoint("meta"))
    for name, settings in {
        "all": {},
        "one_account": {"accounts": ("375000000000002",)},
        "one_field": {"fields": ("flows",)},
    }.items():
        yield Case(f"post_for_{name}", POST, endpoint("meta", batching="as_received", **settings))


CASES = (*_rows(), *_chats(), *_plain(), *_metas())
WRITTEN = tuple(case for case in CASES if case.path.exists())
"""The cases that have a golden file; `test_every_format` asks for the others."""
