"""PURE. The fast path: a POST with nothing but customers' messages of the usual shape, decoded in one go.

Most POSTs are such, and this costs a third of `envelope.parse_any`, which reads all others. Both give the same items
for a POST; a test compares them.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any, Literal

from msgspec import UNSET, Raw, Struct, UnsetType, defstruct
from msgspec.json import Decoder

from tellwire.meta import scalars
from tellwire.meta.phone_numbers import alias
from tellwire.meta.raw_json import verbatim
from tellwire.meta.webhooks.identity import Card, People, identify
from tellwire.meta.webhooks.items import MOST_ITEMS, Item, MessageItem, Place, WebhookContact

_TYPES = (
    "text",
    "image",
    "video",
    "audio",
    "document",
    "sticker",
    "location",
    "contacts",
    "interactive",
    "button",
    "reaction",
    "order",
)
"""Types whose message is its id, sender, time and one member of the type's name, and does nothing else."""
_MOST_BRACKETS = 100
"""A text with more brackets may be nested too deep to be read: `envelope.parse_any` finds that out."""


def _message(kind: str) -> Any:
    return defstruct(
        kind,
        [("id", str), ("sender", str), ("timestamp", str), ("content", Raw)],
        rename={"sender": "from", "content": kind},
        tag_field="type",
        tag=kind,
        frozen=True,
        gc=False,
        forbid_unknown_fields=True,
        namespace={"kind": kind, "head": f'{{"type":"{kind}","{kind}":'.encode()},
    )


class _Profile(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    name: str | UnsetType = UNSET
    username: str | UnsetType = UNSET


class _Contact(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    profile: _Profile
    wa_id: str


class _Metadata(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    phone_number_id: str
    display_phone_number: str = ""


class _Value(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    messaging_product: str
    metadata: _Metadata
    messages: list[Any]
    contacts: list[_Contact] = []


class _Change(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    field: Literal["messages"]
    value: _Value


class _Entry(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    id: str
    changes: list[_Change]


class _Post(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    object: Literal["whatsapp_business_account"]
    entry: list[_Entry]


_Value.__annotations__["messages"] = list[reduce(or_, map(_message, _TYPES))]  # type: ignore[misc]
_POST = Decoder(_Post)


def try_parse(body: bytes) -> tuple[Item, ...] | None:
    """Return the messages of a POST, in document order; None for any POST that holds anything else."""
    if verbatim.has_many(body, b"{"):
        return None
    try:
        post = _POST.decode(body)
    except verbatim.REFUSALS:
        return None
    items: list[Item] = []
    for i, entry in enumerate(post.entry):
        waba_id = scalars.ident(entry.id)
        if not waba_id or not entry.changes:
            return None
        for j, change in enumerate(entry.changes):
            found = _messages(change.value, f"/entry/{i}/changes/{j}/value/messages", waba_id)
            if not found:
                return None
            items += found
            if len(items) > MOST_ITEMS:
                return None
    return tuple(items) or None


def _messages(value: _Value, pointer: str, waba_id: str) -> list[Item] | None:
    number = scalars.ident(value.metadata.phone_number_id)
    display = scalars.ident(value.metadata.display_phone_number) or ""
    if not number:
        return None
    known = People([_card(contact) for contact in value.contacts])
    items: list[Item] = []
    if len(value.messages) > MOST_ITEMS:
        return None
    for k, message in enumerate(value.messages):
        wamid = scalars.ident(message.id, scalars.WAMID_LIMIT)
        sender = scalars.ident(message.sender)
        content = _content(message)
        if not wamid or not sender or not content:
            return None
        items.append(
            MessageItem(
                place=Place(f"{pointer}/{k}", "messages", waba_id, number, display),
                origin="customer",
                direction="incoming",
                wamid=wamid,
                type=message.kind,
                content=content,
                who=_identify(known, sender),
                timestamp=scalars.seconds(message.timestamp),
            )
        )
    return items


def _content(message: Any) -> bytes:
    """Return a message's content as `messages.content` writes it; b"" when it might not be readable."""
    raw = bytes(message.content)
    if raw.count(b"{") + raw.count(b"[") > _MOST_BRACKETS or verbatim.read(raw)[1]:
        return b""
    return b"%b%b}" % (message.head, raw)


def _card(contact: _Contact) -> Card:
    wa_id = scalars.ident(contact.wa_id) or ""
    return Card(wa_id, alias(wa_id), "", scalars.name(contact.profile.name), scalars.name(contact.profile.username))


def _identify(known: People, sender: str) -> WebhookContact | None:
    phone, sole = alias(sender), known.sole
    if sole is not None and sole.phone == phone:
        return WebhookContact(address=sender, aliases=(phone,), name=sole.name, username=sole.username)
    return identify(known, sender, "")
