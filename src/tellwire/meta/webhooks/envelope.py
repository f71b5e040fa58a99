"""PURE. The envelope: every entry, every change, and what each webhook field holds.

Source: Meta, "Webhooks: payload format"; docs/reference/formats.md, "Webhook fields".
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any, Literal

from msgspec import Raw, Struct
from msgspec.json import Decoder
from msgspec.structs import replace

from tellwire.meta import scalars
from tellwire.meta.raw_json import verbatim
from tellwire.meta.webhooks import account_updates, messages, preferences, statuses, threads
from tellwire.meta.webhooks.change import Change, ChangeContext, context_of, each, no_list
from tellwire.meta.webhooks.fast_path import try_parse
from tellwire.meta.webhooks.identity import identify
from tellwire.meta.webhooks.items import (
    MOST_ITEMS,
    AccountProblem,
    AddressChange,
    CallMade,
    Item,
    MessageItem,
    NotUnderstood,
    Place,
    Recorded,
    StatusUpdate,
)
from tellwire.model.units import Seconds

_OBJECT = "whatsapp_business_account"
_ABSENT = Raw(b"null")


class _Change(Struct, frozen=True, gc=False):
    field: str
    value: Raw


class _Entry(Struct, frozen=True, gc=False):
    id: str
    changes: tuple[_Change, ...]
    time: Raw = _ABSENT


class _Post(Struct, frozen=True, gc=False):
    object: str = ""
    entry: tuple[_Entry, ...] = ()


_POST = Decoder(_Post)


def parse(body: bytes) -> tuple[Item, ...]:
    """Return the items of a POST from Meta.

    Args:
        body: the raw bytes. A byte order mark at the start is ignored.

    Returns:
        At least one item: all messages in document order, then all statuses, then the rest. What is not understood is
        an item too; nothing in one item changes another. Of more than `MOST_ITEMS` the rest is one that is not
        understood.

    Raises:
        NotJson: the body is not JSON (RFC 8259); the only exception.
    """
    body = body.removeprefix(BOM_UTF8)
    items = try_parse(body)
    return parse_any(body) if items is None else items


def parse_any(body: bytes) -> tuple[Item, ...]:
    """Return the items of a body without a byte order mark, whatever it holds; raises as `parse` does."""
    changes = _regular(body)
    if changes is None:
        verbatim.check(body)
        changes = _irregular(body)
    items = list(islice(_items(changes), MOST_ITEMS + 1))
    if len(items) > MOST_ITEMS:
        reason = (
            f"the POST holds more than {MOST_ITEMS} items; it is kept, but what follows the first of them is not read"
        )
        items[-1] = _not_understood("", "post", reason)
    if len(items) > 1:
        items.sort(key=_rank)
    return tuple(items)


def _items(changes: Iterable[Change | NotUnderstood]) -> Iterator[Item]:
    for change in changes:
        if isinstance(change, NotUnderstood):
            yield change
        else:
            yield from FIELDS.get(change.field, _other)(change)


def _rank(item: Item) -> int:
    return 0 if isinstance(item, MessageItem) else 1 if isinstance(item, StatusUpdate) else 2


# --- entries and changes ----------------------------------------------------------------------------------------------


def _regular(body: bytes) -> Iterator[Change | NotUnderstood] | None:
    """Cut an envelope that is as Meta documents it; None for any other."""
    if verbatim.has_many(body, b"{"):
        return None
    try:
        post = _POST.decode(body)
    except verbatim.REFUSALS:
        return None
    if post.object != _OBJECT or not post.entry or not all(entry.changes for entry in post.entry):
        return None
    return _documented(post)


def _documented(post: _Post) -> Iterator[Change]:
    for i, entry in enumerate(post.entry):
        waba_id, at = scalars.ident(entry.id) or "", scalars.seconds(verbatim.read(bytes(entry.time))[0])
        for j, change in enumerate(entry.changes):
            yield Change(f"/entry/{i}/changes/{j}", waba_id, scalars.keyword(change.field), change.value, at)


def _irregular(body: bytes) -> Iterator[Change | NotUnderstood]:
    """Cut any other envelope; each part that is not as documented becomes an item that is not understood."""
    top = verbatim.members(body)
    if top is None:
        yield _not_understood("", "post", "it is not an object")
        return
    named = scalars.keyword(_read(top, "object"))
    if named != _OBJECT:
        yield _not_understood("", named or "post", f"its object is not {_OBJECT}")
        return
    for pointer, text in _listed(top, "entry", "", "post"):
        if isinstance(text, NotUnderstood):
            yield text
            continue
        entry = verbatim.members(text)
        if entry is None:
            yield _not_understood(pointer, "entry", "it is not an object")
            continue
        waba_id, at = scalars.ident(_read(entry, "id")) or "", scalars.seconds(_read(entry, "time"))
        for place, piece in _listed(entry, "changes", pointer, "entry"):
            yield piece if isinstance(piece, NotUnderstood) else _change(place, piece, waba_id, at)


def _change(pointer: str, text: bytes, waba_id: str, at: Seconds | None) -> Change | NotUnderstood:
    change = verbatim.members(text)
    if change is None:
        return _not_understood(pointer, "change", "it is not an object", waba_id)
    return Change(pointer, waba_id, scalars.keyword(_read(change, "field")), change.get("value", _ABSENT), at)


def _listed(
    holder: Mapping[str, bytes], key: str, pointer: str, kind: str
) -> Iterator[tuple[str, bytes | NotUnderstood]]:
    pieces = verbatim.elements(holder[key]) if key in holder else None
    if not pieces:
        reason = f"it has no list of {key}" if pieces is None else f"its list of {key} is empty"
        yield pointer, _not_understood(pointer, kind, reason)
        return
    for i, piece in enumerate(pieces):
        yield f"{pointer}/{key}/{i}", piece


def _read(holder: Mapping[str, bytes], key: str) -> Any:
    return verbatim.read(bytes(holder[key]))[0] if key in holder else None


def _not_understood(pointer: str, kind: str, reason: str, waba_id: str = "") -> NotUnderstood:
    return NotUnderstood(place=Place(pointer, "", waba_id), kind=kind, reason=reason)


# --- what a field holds -----------------------------------------------------------------------------------------------


def _conversation(change: Change) -> Iterator[Item]:
    """Read messages, echoes, history, statuses and errors, wherever they are under the three fields that have them."""
    value = verbatim.members(change.value)
    context = context_of(change, value or {})
    origin: messages.Origin = "history" if change.field == "history" else "customer"
    items = _holder(context, value or {}, f"{change.pointer}/value", origin=origin, more="history")
    first = next(items, None)
    if first is None:
        why = "its value is not an object" if value is None else "it holds no messages, statuses or errors"
        yield context.not_understood(change.pointer, change.field, why)
    else:
        yield first
        yield from items


def _holder(
    context: ChangeContext,
    holder: Mapping[str, bytes],
    pointer: str,
    *,
    origin: messages.Origin,
    more: Literal["history", "threads", ""],
    thread: str = "",
) -> Iterator[Item]:
    """Read the items of one object, in its order: of the value, a chunk of its `history` or one of the chunk's
    `threads`."""
    for key in holder:
        match key:
            case "messages":
                yield from each(
                    context, holder, key, pointer, partial(messages.parse, origin=origin, thread=thread), kind="message"
                )
            case "message_echoes":
                echo: messages.Origin = "history" if origin == "history" else "echo"
                yield from each(
                    context, holder, key, pointer, partial(messages.parse, origin=echo, thread=thread), kind="message"
                )
            case "statuses":
                yield from each(context, holder, key, pointer, statuses.parse, kind="status")
            case "user_actions":
                yield from each(context, holder, key, pointer, _user_action, kind="user action")
            case "errors":
                yield from _problem(context, bytes(holder[key]), f"{pointer}/{key}")
            case "history" if more == key:
                yield from _nested(context, holder, key, pointer, _chunk)
            case "threads" if more == key:
                yield from _nested(context, holder, key, pointer, _thread)
            case _:
                pass


def _problem(context: ChangeContext, text: bytes, pointer: str) -> list[Item]:
    errors, refused = verbatim.read(text)
    if refused or not isinstance(errors, list | None):
        return [context.not_understood(pointer, "errors", refused or "its errors are not a list")]
    if not errors:
        return []
    if context.fault:
        return [context.not_understood(pointer, "errors", context.fault)]
    return [AccountProblem(place=context.at(pointer), errors=text)]


def _user_action(context: ChangeContext, _text: bytes, pointer: str) -> Item:
    """Read a click on a link of a marketing message: it names neither a message nor a person."""
    return Recorded(place=context.at(pointer), kind="user action", reason="kept; nothing is made of it (yet)")


def _nested(
    context: ChangeContext,
    holder: Mapping[str, bytes],
    key: str,
    pointer: str,
    understand: Callable[[ChangeContext, Mapping[str, bytes], str], Iterator[Item]],
) -> Iterator[Item]:
    pieces = verbatim.elements(holder[key])
    if pieces is None:
        yield from no_list(context, holder, key, pointer, "history")
        return
    for i, piece in enumerate(pieces):
        place, inner = f"{pointer}/{key}/{i}", verbatim.members(piece)
        if inner is None:
            yield context.not_understood(place, "history", "it is not an object")
        else:
            yield from understand(context, inner, place)


def _chunk(context: ChangeContext, chunk: Mapping[str, bytes], pointer: str) -> Iterator[Item]:
    """Read a chunk of `history`: its messages, or in its `errors` why there are none."""
    return _holder(context, chunk, pointer, origin="history", more="threads")


def _thread(context: ChangeContext, thread: Mapping[str, bytes], pointer: str) -> Iterator[Item]:
    """Read the messages with one contact, whose address is the thread's id."""
    contact = scalars.ident(_read(thread, "id"))
    if contact is None:
        context = replace(context, fault="its thread's id cannot serve as an address")
    return _holder(context, thread, pointer, origin="history", more="", thread=contact or "")


def _user_id_update(change: Change) -> list[Item]:
    """Read whose business-scoped user id has changed."""
    value = verbatim.members(change.value) or {}
    context = context_of(change, value)
    items: list[Item] = []
    if "user_id_update" in value:
        items += each(context, value, change.field, f"{change.pointer}/value", _address_change, kind=change.field)
    return items or [context.not_understood(change.pointer, change.field, "it has no list of user_id_update")]


def _address_change(context: ChangeContext, text: bytes, pointer: str) -> AddressChange | NotUnderstood:
    update, refused = verbatim.read(text)
    if refused or not isinstance(update, dict):
        return context.not_understood(pointer, context.field, refused or "it is not an object")
    changed = update.get("user_id")
    previous, current = (changed.get("previous"), changed.get("current")) if isinstance(changed, dict) else (None, None)
    ids = [scalars.ident(given) for given in (update.get("wa_id"), previous, current)]
    wa_id, old, new = (given or "" for given in ids)
    person = identify(context.people, wa_id, old, adds=(new,), with_aliases=False)
    if None in ids or person is None or not new:
        return context.not_understood(pointer, context.field, "it does not say whose user id became which")
    return AddressChange(place=context.at(pointer), who=person, timestamp=scalars.seconds(update.get("timestamp")))


def _calls(change: Change) -> list[Item]:
    """Read the calls that people begin; other calls, and statuses of calls, are not understood."""
    value = verbatim.members(change.value) or {}
    context = context_of(change, value)
    pieces = (verbatim.elements(value["calls"]) or ()) if "calls" in value and not context.fault else ()
    made = [_call(context, bytes(piece), f"{change.pointer}/value/calls/{i}") for i, piece in enumerate(pieces)]
    found: list[Item] = [call for call in made if call is not None]
    if found and len(found) == len(made) and "statuses" not in value:
        return found
    return [
        *found,
        context.not_understood(change.pointer, change.field, "calls are kept, nothing is made of them (yet)"),
    ]


def _call(context: ChangeContext, text: bytes, pointer: str) -> CallMade | None:
    call = verbatim.readable_members(text)
    if call.get("event") != "connect" or call.get("direction") != "USER_INITIATED":
        return None
    phone, user_id = scalars.ident(call.get("from")), scalars.ident(call.get("from_user_id"))
    person = identify(context.people, phone or "", user_id or "")
    if person is None:
        return None
    return CallMade(place=context.at(pointer), who=person, timestamp=scalars.seconds(call.get("timestamp")))


def _other(change: Change) -> list[Item]:
    context = context_of(change, verbatim.members(change.value) or {})
    reason = "webhook field not understood (yet)" if change.field else "it names no field"
    return [context.not_understood(change.pointer, change.field or "change", reason)]


FIELDS: dict[str, Callable[[Change], Iterable[Item]]] = {
    "messages": _conversation,
    "smb_message_echoes": _conversation,
    "history": _conversation,
    "user_id_update": _user_id_update,
    "calls": _calls,
    "user_preferences": preferences.read,
    "standby": threads.standby,
    "messaging_handovers": threads.handover,
    **dict.fromkeys(account_updates.ACCOUNT_FIELDS, account_updates.account_notice),
    **dict.fromkeys(account_updates.TEMPLATE_FIELDS, account_updates.template_notice),
}
"""The reader of each webhook field; any other field becomes one item that is not understood."""
