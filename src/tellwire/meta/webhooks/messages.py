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
from tellwire.meta.phone_numbers import same
from tellwire.meta.raw_json import verbatim
from tellwire.meta.webhooks.change import ChangeContext, addresses, opened
from tellwire.meta.webhooks.identity import is_group, who
from tellwire.meta.webhooks.items import MessageItem, NotUnderstood, Who
from tellwire.model.messaging import Direction

Origin = Literal["customer", "echo", "history"]

_LEFT_OUT = frozenset({"type", "id", "from", "timestamp"})
_NUMBER_CHANGES = frozenset({"user_changed_number", "user_changed_user_id", "customer_changed_number"})


class TypeEffects(Struct, frozen=True, gc=False):
    """What a type does beyond being a message. `addresses` are the sender's, `adds` those of them that are new."""

    edits: str = ""
    edited_content: bytes = b""
    revokes: str = ""
    addresses: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()


class Counterpart(Struct, frozen=True, gc=False):
    """Which way a message went and with whom; `nobody` says what was missing when `who` is None for good."""

    direction: Direction
    who: Who | None
    group_id: str = ""
    status: str = ""
    nobody: str = ""


def parse(
    scene: ChangeContext, text: bytes, pointer: str, *, origin: Origin = "customer", thread: str = ""
) -> MessageItem | NotUnderstood:
    """Understand one message.

    Args:
        scene: what it shares with its neighbours.
        text: the message, a JSON text.
        pointer: where it stands in the body.
        origin: which kind of array it stands in.
        thread: of `history`, the contact's address that the messages are listed under.
    """
    reading = opened(scene, text, pointer, "message")
    if isinstance(reading, NotUnderstood):
        return reading
    message, wamid = reading
    if origin == "customer" and scene.field == "smb_message_echoes" and scene.is_business(str(message.get("from"))):
        origin = "echo"
    side_of, keys = SIDES[origin]
    ids, wrong = addresses(message, keys)
    if wrong:
        return scene.lost(pointer, "message", wrong, wamid)
    raw = verbatim.members(text) or {}
    kind = type_of(message)
    twist = TYPES.get(kind, _plain)(message, raw)
    side = side_of(scene, message, ids, twist, thread)
    if side.nobody:
        return scene.lost(pointer, "message", side.nobody, wamid)
    return MessageItem(
        place=scene.at(pointer),
        origin=origin,
        direction=side.direction,
        wamid=wamid,
        type=kind,
        content=content(kind, raw),
        who=side.who,
        timestamp=scalars.seconds(message.get("timestamp")),
        group_id=side.group_id,
        edits=twist.edits,
        edited_content=twist.edited_content,
        revokes=twist.revokes,
        status=side.status,
    )


# --- what it says -----------------------------------------------------------------------------------------------------


def type_of(message: Mapping[str, Any]) -> str:
    """Name the type: as Meta does, else by the one known type that it has an object for, else "unknown"."""
    given = scalars.word(message.get("type"))
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
    return _NO_TWIST


def _edit(message: Mapping[str, Any], raw: Mapping[str, bytes]) -> TypeEffects:
    """Coexistence only: a message edited within 15 minutes."""
    edit = message.get("edit")
    original, new = _original(edit), edit.get("message") if isinstance(edit, dict) else None
    if not original or not isinstance(new, dict):
        return _NO_TWIST
    pieces = verbatim.members((verbatim.members(raw["edit"]) or {})["message"]) or {}
    return TypeEffects(edits=original, edited_content=content(type_of(new), pieces))


def _revoke(message: Mapping[str, Any], _raw: Mapping[str, bytes]) -> TypeEffects:
    """Coexistence only: a message deleted for everyone within 2 days."""
    return TypeEffects(revokes=_original(message.get("revoke")))


def _system(message: Mapping[str, Any], _raw: Mapping[str, bytes]) -> TypeEffects:
    """A person has a new number or user id, or a new identity key (which changes no address)."""
    system = message.get("system")
    if not isinstance(system, dict):
        return _NO_TWIST
    addresses = tuple(a for key in ("wa_id", "new_wa_id", "user_id") if (a := scalars.ident(system.get(key))))
    return TypeEffects(
        addresses=addresses, adds=addresses if scalars.word(system.get("type")) in _NUMBER_CHANGES else ()
    )


def _original(change: object) -> str:
    given = change.get("original_message_id") if isinstance(change, dict) else None
    return scalars.ident(given, scalars.WAMID_LIMIT) or ""


_NO_TWIST = TypeEffects()

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


# --- whose it is ------------------------------------------------------------------------------------------------------


def _customer(
    scene: ChangeContext, _message: Mapping[str, Any], ids: Mapping[str, str], twist: TypeEffects, _thread: str
) -> Counterpart:
    sender = who(scene.people, ids["from"], ids["from_user_id"], fallbacks=twist.addresses, adds=twist.adds)
    nobody = "" if sender else "it names no sender: no from, from_user_id, contact or system address"
    return Counterpart("incoming", sender, ids["group_id"], nobody=nobody)


def _echo(
    scene: ChangeContext, _message: Mapping[str, Any], ids: Mapping[str, str], _twist: TypeEffects, _thread: str
) -> Counterpart:
    """Sent with the phone app: the contact is whichever of `from` and `to` is not the business, else `to`."""
    if group_id := _group_of(ids):
        return Counterpart("outgoing", None, group_id, "sent")
    from_business = scene.is_business(ids["from"])
    inverted = scene.is_business(ids["to"]) and not from_business
    if inverted or not (ids["to"] or ids["to_user_id"] or from_business):
        contact = who(scene.people, ids["from"], ids["from_user_id"])
    else:
        contact = who(scene.people, ids["to"], ids["to_user_id"])
    return Counterpart("outgoing", contact, status="sent", nobody="" if contact else "it names no recipient")


def _history(
    scene: ChangeContext, message: Mapping[str, Any], ids: Mapping[str, str], _twist: TypeEffects, thread: str
) -> Counterpart:
    """Of the past: the thread's id is the contact, `from` tells the direction."""
    direction, reached, group_id = _direction(scene, ids, thread), _reached(message), _group_of(ids)
    if group_id:
        sender = who(scene.people, ids["from"], ids["from_user_id"]) if direction == "incoming" else None
        return Counterpart(direction, sender, group_id, reached)
    if direction == "incoming":
        contact = who(scene.people, thread or ids["from"], ids["from_user_id"])
        nobody = "" if contact else "it names no sender: no thread id, from, from_user_id or contact"
        return Counterpart(direction, contact, status=reached, nobody=nobody)
    # Outgoing media details may name no recipient: the wamid alone still finds the placeholder that they fill.
    return Counterpart(direction, who(scene.people, thread or ids["to"], ids["to_user_id"]), status=reached)


def _direction(scene: ChangeContext, ids: Mapping[str, str], thread: str) -> Direction:
    if scene.is_business(ids["from"]):
        return "outgoing"
    if ids["from"] and thread:
        return "incoming" if same(ids["from"], thread) else "outgoing"
    return "outgoing" if ids["to"] and not scene.is_business(ids["to"]) else "incoming"


def _group_of(ids: Mapping[str, str]) -> str:
    return ids["group_id"] or (ids["to"] if is_group(ids["to"]) else "")


def _reached(message: Mapping[str, Any]) -> str:
    """The status that `history` says a message had reached, in the names that statuses have."""
    context = message.get("history_context")
    name = scalars.word(context.get("status")).lower() if isinstance(context, dict) else ""
    return {"error": "failed", "pending": "", "errors": ""}.get(name, name)


_SideOf = Callable[[ChangeContext, Mapping[str, Any], Mapping[str, str], TypeEffects, str], Counterpart]

SIDES: dict[Origin, tuple[_SideOf, tuple[str, ...]]] = {
    "customer": (_customer, ("from", "from_user_id", "group_id")),
    "echo": (_echo, ("from", "from_user_id", "group_id", "to", "to_user_id")),
    "history": (_history, ("from", "from_user_id", "group_id", "to", "to_user_id")),
}
"""How an origin tells whose a message is, and the ids that it reads."""
