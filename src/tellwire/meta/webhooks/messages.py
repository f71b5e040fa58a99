"""PURE. Messages: from customers, echoes of the phone app's, and those of `history`.

Sources: Meta, webhook references "messages", "smb_message_echoes" and "history"; docs/reference/formats.md,
"Content" and "What emits what".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from msgspec import Struct
from msgspec.json import encode

from tellwire.meta import scalars
from tellwire.meta.phone_numbers import same_address
from tellwire.meta.raw_json import verbatim
from tellwire.meta.webhooks.change import ChangeContext, addresses, object_and_wamid
from tellwire.meta.webhooks.identity import identify, is_group
from tellwire.meta.webhooks.items import MessageItem, NotUnderstood, WebhookContact
from tellwire.model.messaging import Direction

Origin = Literal["customer", "echo", "history"]

_LEFT_OUT = frozenset({"type", "id", "from", "timestamp"})
_NUMBER_CHANGES = frozenset({"user_changed_number", "user_changed_user_id", "customer_changed_number"})


class TypeEffects(Struct, frozen=True, gc=False):
    """What a type does beyond being a message. `addresses` are the sender's, `adds` those of them that are new, in
    place of `previous`."""

    edits: str = ""
    edited_content: bytes = b""
    revokes: str = ""
    addresses: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()
    previous: tuple[str, ...] = ()


class Counterpart(Struct, frozen=True, gc=False):
    """The direction of a message and its contact; `missing` says what it lacks when its contact cannot be known."""

    direction: Direction
    who: WebhookContact | None
    group_id: str = ""
    status: str = ""
    missing: str = ""


def parse(
    context: ChangeContext, text: bytes, pointer: str, *, origin: Origin = "customer", thread: str = ""
) -> MessageItem | NotUnderstood:
    """Understand one message.

    Args:
        context: what the items of its change share.
        text: the message, a JSON text.
        pointer: where it stands in the body.
        origin: which kind of array it stands in.
        thread: of `history`, the contact's address that the messages are listed under.
    """
    reading = object_and_wamid(context, text, pointer, "message")
    if isinstance(reading, NotUnderstood):
        return reading
    message, wamid = reading
    if origin == "customer" and context.field == "smb_message_echoes" and context.is_business(str(message.get("from"))):
        origin = "echo"
    find_counterpart, keys = ORIGINS[origin]
    ids, wrong = addresses(message, keys)
    if wrong:
        return context.not_understood(pointer, "message", wrong, wamid)
    raw = verbatim.members(text) or {}
    kind = type_of(message)
    effects = TYPES.get(kind, _plain)(message, raw)
    counterpart = find_counterpart(context, message, ids, effects, thread)
    if counterpart.missing:
        return context.not_understood(pointer, "message", counterpart.missing, wamid)
    return MessageItem(
        place=context.at(pointer),
        origin=origin,
        direction=counterpart.direction,
        wamid=wamid,
        type=kind,
        content=content(kind, raw),
        who=counterpart.who,
        timestamp=scalars.seconds(message.get("timestamp")),
        group_id=counterpart.group_id,
        edits=effects.edits,
        edited_content=effects.edited_content,
        revokes=effects.revokes,
        status=counterpart.status,
    )


# --- content and effects ----------------------------------------------------------------------------------------------


def type_of(message: Mapping[str, Any]) -> str:
    """Name the type: as Meta does, else by the one known type that it has an object for, else "unknown"."""
    given = scalars.keyword(message.get("type"))
    if given:
        return given
    known = [key for key, value in message.items() if key in TYPES and isinstance(value, dict | list)]
    return known[0] if len(known) == 1 else "unknown"


def content(kind: str, raw: Mapping[str, bytes]) -> bytes:
    """Write `{"type": T, T: …}` and every other key in Meta's order, values verbatim.

    Source: docs/reference/formats.md, "Content".
    """
    parts: list[bytes] = [b'{"type":', encode(kind)]
    if kind in raw and kind not in _LEFT_OUT:
        parts += (b",", encode(kind), b":", raw[kind])
    for key, value in raw.items():
        if key != kind and key not in _LEFT_OUT:
            parts += (b",", encode(key), b":", value)
    parts.append(b"}")
    return b"".join(parts)


def _plain(_message: Mapping[str, Any], _raw: Mapping[str, bytes]) -> TypeEffects:
    return _NO_EFFECTS


def _edit(message: Mapping[str, Any], raw: Mapping[str, bytes]) -> TypeEffects:
    """Read an edit of a message within 15 minutes (coexistence only)."""
    edit = message.get("edit")
    original, new = _original(edit), edit.get("message") if isinstance(edit, dict) else None
    if not original or not isinstance(new, dict):
        return _NO_EFFECTS
    pieces = verbatim.members((verbatim.members(raw["edit"]) or {})["message"]) or {}
    return TypeEffects(edits=original, edited_content=content(type_of(new), pieces))


def _revoke(message: Mapping[str, Any], _raw: Mapping[str, bytes]) -> TypeEffects:
    """Read the deletion of a message for everyone within 2 days (coexistence only)."""
    return TypeEffects(revokes=_original(message.get("revoke")))


def _system(message: Mapping[str, Any], _raw: Mapping[str, bytes]) -> TypeEffects:
    """Read a person's new number or user id, or new identity key (which changes no address)."""
    system = message.get("system")
    if not isinstance(system, dict):
        return _NO_EFFECTS
    addresses = tuple(a for key in ("wa_id", "new_wa_id", "user_id") if (a := scalars.ident(system.get(key))))
    if scalars.keyword(system.get("type")) not in _NUMBER_CHANGES:
        return TypeEffects(addresses=addresses)
    previous = scalars.ident(system.get("previous_user_id"))
    return TypeEffects(addresses=addresses, adds=addresses, previous=(previous,) if previous else ())


def _original(change: object) -> str:
    given = change.get("original_message_id") if isinstance(change, dict) else None
    return scalars.ident(given, scalars.WAMID_LIMIT) or ""


_NO_EFFECTS = TypeEffects()

TYPES: dict[str, Callable[[Mapping[str, Any], Mapping[str, bytes]], TypeEffects]] = {
    "text": _plain,
    "image": _plain,
    "video": _plain,
    "audio": _plain,
    "voice": _plain,
    "document": _plain,
    "sticker": _plain,
    "media_placeholder": _plain,
    "location": _plain,
    "contacts": _plain,
    "interactive": _plain,
    "button": _plain,
    "reaction": _plain,
    "order": _plain,
    "system": _system,
    "edit": _edit,
    "revoke": _revoke,
    "request_welcome": _plain,
    "unsupported": _plain,
    "unknown": _plain,
}
"""Every type that Meta has named; another one passes through just the same."""


# --- direction and contact --------------------------------------------------------------------------------------------


def _customer(
    context: ChangeContext, _message: Mapping[str, Any], ids: Mapping[str, str], effects: TypeEffects, _thread: str
) -> Counterpart:
    sender = identify(
        context.people,
        ids["from"],
        ids["from_user_id"],
        fallbacks=effects.addresses,
        adds=effects.adds,
        previous=effects.previous,
    )
    missing = "" if sender else "it names no sender: no from, from_user_id, contact or system address"
    return Counterpart("incoming", sender, ids["group_id"], missing=missing)


def _echo(
    context: ChangeContext, _message: Mapping[str, Any], ids: Mapping[str, str], _effects: TypeEffects, _thread: str
) -> Counterpart:
    """Find the contact of a message sent with the phone app: the one of `from` and `to` that is not the business, else
    `to`."""
    if group_id := _group_of(ids):
        return Counterpart("outgoing", None, group_id, "sent")
    from_business = context.is_business(ids["from"])
    inverted = context.is_business(ids["to"]) and not from_business
    if inverted or not (ids["to"] or ids["to_user_id"] or from_business):
        contact = identify(context.people, ids["from"], ids["from_user_id"])
    else:
        contact = identify(context.people, ids["to"], ids["to_user_id"])
    return Counterpart("outgoing", contact, status="sent", missing="" if contact else "it names no recipient")


def _history(
    context: ChangeContext, message: Mapping[str, Any], ids: Mapping[str, str], _effects: TypeEffects, thread: str
) -> Counterpart:
    """Find the contact of a past message: the thread's id is the contact, `from` tells the direction."""
    direction, reached, group_id = _direction(context, ids, thread), _reached(message), _group_of(ids)
    if group_id:
        sender = identify(context.people, ids["from"], ids["from_user_id"]) if direction == "incoming" else None
        return Counterpart(direction, sender, group_id, reached)
    if direction == "incoming":
        contact = identify(context.people, thread or ids["from"], ids["from_user_id"])
        missing = "" if contact else "it names no sender: no thread id, from, from_user_id or contact"
        return Counterpart(direction, contact, status=reached, missing=missing)
    # Outgoing media details may name no recipient: the wamid alone still finds the placeholder that they fill.
    return Counterpart(direction, identify(context.people, thread or ids["to"], ids["to_user_id"]), status=reached)


def _direction(context: ChangeContext, ids: Mapping[str, str], thread: str) -> Direction:
    if context.is_business(ids["from"]):
        return "outgoing"
    if ids["from"] and thread:
        return "incoming" if same_address(ids["from"], thread) else "outgoing"
    return "outgoing" if ids["to"] and not context.is_business(ids["to"]) else "incoming"


def _group_of(ids: Mapping[str, str]) -> str:
    return ids["group_id"] or (ids["to"] if is_group(ids["to"]) else "")


def _reached(message: Mapping[str, Any]) -> str:
    """Return the status that `history` says a message had reached, in the names that statuses have."""
    history = message.get("history_context")
    name = scalars.keyword(history.get("status")).lower() if isinstance(history, dict) else ""
    return {"error": "failed", "pending": "", "errors": ""}.get(name, name)


_FindCounterpart = Callable[[ChangeContext, Mapping[str, Any], Mapping[str, str], TypeEffects, str], Counterpart]

ORIGINS: dict[Origin, tuple[_FindCounterpart, tuple[str, ...]]] = {
    "customer": (_customer, ("from", "from_user_id", "group_id")),
    "echo": (_echo, ("from", "from_user_id", "group_id", "to", "to_user_id")),
    "history": (_history, ("from", "from_user_id", "group_id", "to", "to_user_id")),
}
"""By origin, how the contact of a message is found, and the ids that this reads."""
