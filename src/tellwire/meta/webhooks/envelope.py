"""PURE. The envelope: every entry, every change, and what each webhook field holds.

Source: Meta, "Webhooks: payload format"; docs/reference/formats.md, "Webhook fields".
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Literal

from msgspec import Raw, Struct
from msgspec.json import Decoder
from msgspec.structs import replace

from tellwire.meta import scalars
from tellwire.meta.raw_json import verbatim
from tellwire.meta.webhooks import account_updates, messages, statuses
from tellwire.meta.webhooks.change import Change, ChangeContext, scene_of
from tellwire.meta.webhooks.fast_path import plain
from tellwire.meta.webhooks.identity import who
from tellwire.meta.webhooks.items import (
    AccountProblem,
    AddressChange,
    CallMade,
    Item,
    MessageItem,
    NotUnderstood,
    Place,
    StatusUpdate,
)
from tellwire.model.units import Seconds

_OBJECT = "whatsapp_business_account"
_ABSENT = Raw(b"null")


class _Change(Struct, frozen=True, gc=False):
    field: str = ""
    value: Raw = _ABSENT


class _Entry(Struct, frozen=True, gc=False):
    id: str = ""
    time: Raw = _ABSENT
    changes: tuple[_Change, ...] = ()


class _Post(Struct, frozen=True, gc=False):
    object: str = ""
    entry: tuple[_Entry, ...] = ()


_POST = Decoder(_Post)


def parse(body: bytes) -> tuple[Item, ...]:
    """Say what a POST from Meta holds, item by item.

    Args:
        body: the raw bytes. A leading byte order mark is passed over.

    Returns:
        At least one item: all messages in document order, then all statuses, then the rest. What is not understood is
        an item too; nothing in one item changes what is made of another.

    Raises:
        NotJson: the body is not JSON (RFC 8259); the only exception.
    """
    body = body.removeprefix(BOM_UTF8)
    items = plain(body)
    return careful(body) if items is None else items


def careful(body: bytes) -> tuple[Item, ...]:
    """`parse` of any body at all, one without a byte order mark."""
    changes = _regular(body)
    if changes is None:
        verbatim.check(body)
        changes = _irregular(body)
    items: list[Item] = []
    for change in changes:
        if isinstance(change, NotUnderstood):
            items.append(change)
        else:
            items += FIELDS.get(change.field, _other)(change)
    if len(items) > 1:
        items.sort(key=_rank)
    return tuple(items)


def _rank(item: Item) -> int:
    return 0 if isinstance(item, MessageItem) else 1 if isinstance(item, StatusUpdate) else 2


# --- entries and changes ----------------------------------------------------------------------------------------------


def _regular(body: bytes) -> list[Change | NotUnderstood] | None:
    """Cut an envelope that is as Meta documents it; None for any other."""
    try:
        post = _POST.decode(body)
    except verbatim.REFUSALS:
        return None
    if post.object != _OBJECT or not post.entry:
        return None
    changes: list[Change | NotUnderstood] = []
    for i, entry in enumerate(post.entry):
        if not entry.changes:
            return None
        waba_id, at = scalars.ident(entry.id) or "", scalars.seconds(verbatim.read(bytes(entry.time))[0])
        for j, change in enumerate(entry.changes):
            pointer = f"/entry/{i}/changes/{j}"
            changes.append(Change(pointer, waba_id, scalars.word(change.field), change.value, at))
    return changes


def _irregular(body: bytes) -> list[Change | NotUnderstood]:
    """Cut an envelope that holds anything at all; what has no place in it is not understood, by itself."""
    top = verbatim.members(body)
    if top is None:
        return [_lost("", "post", "it is not an object")]
    named = scalars.word(_read(top, "object"))
    if named != _OBJECT:
        return [_lost("", named or "post", f"its object is not {_OBJECT}")]
    changes: list[Change | NotUnderstood] = []
    for pointer, text in _listed(top, "entry", "", "post"):
        if isinstance(text, NotUnderstood):
            changes.append(text)
            continue
        entry = verbatim.members(text)
        if entry is None:
            changes.append(_lost(pointer, "entry", "it is not an object"))
            continue
        waba_id, at = scalars.ident(_read(entry, "id")) or "", scalars.seconds(_read(entry, "time"))
        for place, piece in _listed(entry, "changes", pointer, "entry"):
            changes.append(piece if isinstance(piece, NotUnderstood) else _change(place, piece, waba_id, at))
    return changes


def _change(pointer: str, text: bytes, waba_id: str, at: Seconds | None) -> Change | NotUnderstood:
    change = verbatim.members(text)
    if change is None:
        return _lost(pointer, "change", "it is not an object", waba_id)
    return Change(pointer, waba_id, scalars.word(_read(change, "field")), change.get("value", _ABSENT), at)


def _listed(
    holder: Mapping[str, bytes], key: str, pointer: str, kind: str
) -> Iterator[tuple[str, bytes | NotUnderstood]]:
    pieces = verbatim.elements(holder[key]) if key in holder else None
    if not pieces:
        reason = f"it has no list of {key}" if pieces is None else f"its list of {key} is empty"
        yield pointer, _lost(pointer, kind, reason)
        return
    for i, piece in enumerate(pieces):
        yield f"{pointer}/{key}/{i}", piece


def _read(holder: Mapping[str, bytes], key: str) -> Any:
    return verbatim.read(bytes(holder[key]))[0] if key in holder else None


def _lost(pointer: str, kind: str, reason: str, waba_id: str = "") -> NotUnderstood:
    return NotUnderstood(place=Place(pointer, "", waba_id), kind=kind, reason=reason)


# --- what a field holds -----------------------------------------------------------------------------------------------


def _conversation(change: Change) -> list[Item]:
    """Messages, echoes, history, statuses and errors, wherever they stand under the three fields that have them."""
    value = verbatim.members(change.value)
    scene = scene_of(change, value or {})
    if value is None:
        return [scene.lost(change.pointer, change.field, "its value is not an object")]
    origin: messages.Origin = "history" if change.field == "history" else "customer"
    items = _holder(scene, value, f"{change.pointer}/value", origin=origin, more="history")
    return items or [scene.lost(change.pointer, change.field, "it holds no messages, statuses or errors")]


def _holder(
    scene: ChangeContext,
    holder: Mapping[str, bytes],
    pointer: str,
    *,
    origin: messages.Origin,
    more: Literal["history", "threads", ""],
    thread: str = "",
) -> list[Item]:
    """What stands in one object, in its order: the value, a chunk of its `history` or one of the chunk's `threads`."""
    items: list[Item] = []
    for key in holder:
        match key:
            case "messages":
                items += _each(scene, holder, key, pointer, partial(messages.parse, origin=origin, thread=thread))
            case "message_echoes":
                echo: messages.Origin = "history" if origin == "history" else "echo"
                items += _each(scene, holder, key, pointer, partial(messages.parse, origin=echo, thread=thread))
            case "statuses":
                items += _each(scene, holder, key, pointer, statuses.parse)
            case "errors":
                items += _problem(scene, bytes(holder[key]), f"{pointer}/{key}")
            case "history" if more == key:
                items += _nested(scene, holder, key, pointer, _chunk)
            case "threads" if more == key:
                items += _nested(scene, holder, key, pointer, _thread)
            case _:
                pass
    return items


def _each(
    scene: ChangeContext,
    holder: Mapping[str, bytes],
    key: str,
    pointer: str,
    understand: Callable[[ChangeContext, bytes, str], Item],
) -> list[Item]:
    pieces = verbatim.elements(holder[key])
    if pieces is None:
        return _no_list(scene, holder, key, pointer, _KINDS[key])
    if scene.fault:
        return [scene.lost(f"{pointer}/{key}/{i}", _KINDS[key], scene.fault) for i in range(len(pieces))]
    return [understand(scene, bytes(piece), f"{pointer}/{key}/{i}") for i, piece in enumerate(pieces)]


def _no_list(scene: ChangeContext, holder: Mapping[str, bytes], key: str, pointer: str, kind: str) -> list[Item]:
    """What is made of something that ought to be an array: nothing of null, else one item."""
    if bytes(holder[key]) == b"null":
        return []
    return [scene.lost(f"{pointer}/{key}", kind, f"its {key} are not a list")]


def _problem(scene: ChangeContext, text: bytes, pointer: str) -> list[Item]:
    errors, refused = verbatim.read(text)
    if refused or not isinstance(errors, list | None):
        return [scene.lost(pointer, "errors", refused or "its errors are not a list")]
    if not errors:
        return []
    if scene.fault:
        return [scene.lost(pointer, "errors", scene.fault)]
    return [AccountProblem(place=scene.at(pointer), errors=text)]


def _nested(
    scene: ChangeContext,
    holder: Mapping[str, bytes],
    key: str,
    pointer: str,
    understand: Callable[[ChangeContext, Mapping[str, bytes], str], list[Item]],
) -> list[Item]:
    pieces = verbatim.elements(holder[key])
    if pieces is None:
        return _no_list(scene, holder, key, pointer, "history")
    items: list[Item] = []
    for i, piece in enumerate(pieces):
        place, inner = f"{pointer}/{key}/{i}", verbatim.members(piece)
        if inner is None:
            items.append(scene.lost(place, "history", "it is not an object"))
        else:
            items += understand(scene, inner, place)
    return items


def _chunk(scene: ChangeContext, chunk: Mapping[str, bytes], pointer: str) -> list[Item]:
    """A chunk of the past; or, in its `errors`, why there is none."""
    return _holder(scene, chunk, pointer, origin="history", more="threads")


def _thread(scene: ChangeContext, thread: Mapping[str, bytes], pointer: str) -> list[Item]:
    """The messages with one contact, whose address is the thread's id."""
    contact = scalars.ident(_read(thread, "id"))
    if contact is None:
        scene = replace(scene, fault="its thread's id cannot serve as an address")
    return _holder(scene, thread, pointer, origin="history", more="", thread=contact or "")


def _user_id_update(change: Change) -> list[Item]:
    """People whose business-scoped user id has changed."""
    value = verbatim.members(change.value) or {}
    scene = scene_of(change, value)
    items: list[Item] = []
    if "user_id_update" in value:
        items = _each(scene, value, "user_id_update", f"{change.pointer}/value", _address_change)
    return items or [scene.lost(change.pointer, change.field, "it has no list of user_id_update")]


def _address_change(scene: ChangeContext, text: bytes, pointer: str) -> AddressChange | NotUnderstood:
    update, refused = verbatim.read(text)
    if refused or not isinstance(update, dict):
        return scene.lost(pointer, scene.field, refused or "it is not an object")
    changed = update.get("user_id")
    previous, current = (changed.get("previous"), changed.get("current")) if isinstance(changed, dict) else (None, None)
    ids = [scalars.ident(given) for given in (update.get("wa_id"), previous, current)]
    wa_id, old, new = (given or "" for given in ids)
    person = who(scene.people, wa_id, old, adds=(new,), tied=False)
    if None in ids or person is None or not new:
        return scene.lost(pointer, scene.field, "it does not say whose user id became which")
    return AddressChange(place=scene.at(pointer), who=person, timestamp=scalars.seconds(update.get("timestamp")))


def _calls(change: Change) -> list[Item]:
    """Calls that people begin; of any other, and of their statuses, nothing is made."""
    value = verbatim.members(change.value) or {}
    scene = scene_of(change, value)
    pieces = (verbatim.elements(value["calls"]) or ()) if "calls" in value and not scene.fault else ()
    made = [_call(scene, bytes(piece), f"{change.pointer}/value/calls/{i}") for i, piece in enumerate(pieces)]
    found: list[Item] = [call for call in made if call is not None]
    if found and len(found) == len(made) and "statuses" not in value:
        return found
    return [*found, scene.lost(change.pointer, change.field, "calls are kept, nothing is made of them (yet)")]


def _call(scene: ChangeContext, text: bytes, pointer: str) -> CallMade | None:
    call = verbatim.lenient(text)
    if call.get("event") != "connect" or call.get("direction") != "USER_INITIATED":
        return None
    phone, user_id = scalars.ident(call.get("from")), scalars.ident(call.get("from_user_id"))
    person = who(scene.people, phone or "", user_id or "")
    if person is None:
        return None
    return CallMade(place=scene.at(pointer), who=person, timestamp=scalars.seconds(call.get("timestamp")))


def _other(change: Change) -> list[Item]:
    scene = scene_of(change, verbatim.members(change.value) or {})
    reason = "webhook field not understood (yet)" if change.field else "it names no field"
    return [scene.lost(change.pointer, change.field or "change", reason)]


_KINDS = {"messages": "message", "message_echoes": "message", "statuses": "status", "user_id_update": "user_id_update"}

FIELDS: dict[str, Callable[[Change], list[Item]]] = {
    "messages": _conversation,
    "smb_message_echoes": _conversation,
    "history": _conversation,
    "user_id_update": _user_id_update,
    "calls": _calls,
    **dict.fromkeys(account_updates.ACCOUNT_FIELDS, account_updates.account),
    **dict.fromkeys(account_updates.TEMPLATE_FIELDS, account_updates.template),
}
"""What is made of a webhook field; of any other, one item that is not understood."""
