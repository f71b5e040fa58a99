"""PURE. Threads that another responder owns, or has got or given away: copies of what happens in them, and handovers.

A number can have several responders: apps, partners, Meta's Business Agent. Who does not own a thread gets no
`messages` of it, but copies.

Sources: Meta, "Standby webhooks" and webhook reference "messaging_handovers".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Literal

from msgspec.structs import replace

from tellwire.meta import scalars
from tellwire.meta.raw_json import verbatim
from tellwire.meta.webhooks.change import Change, ChangeContext, context_of, each, object_and_wamid
from tellwire.meta.webhooks.identity import identify, is_group, read_people
from tellwire.meta.webhooks.items import (
    ControlChange,
    Item,
    NotUnderstood,
    Recorded,
    StandbyCopy,
    WebhookContact,
)

Kind = Literal["message", "echo", "status"]
_Addresses = tuple[str, str, bool]
"""A person's phone number and user id, and whether it is a group's."""

_EVENTS: tuple[Literal["control_passed", "control_taken"], ...] = ("control_passed", "control_taken")


def standby(change: Change) -> Iterator[Item]:
    """Read the copies of a change."""
    value = verbatim.members(change.value) or {}
    context, pointer = context_of(change, value), f"{change.pointer}/value/standby"
    held = verbatim.members(value["standby"]) if "standby" in value else None
    if held is None:
        yield context.not_understood(change.pointer, change.field, "it has no object standby")
        return
    context = replace(context, people=read_people(held.get("contacts"), business=context.display_phone_number))
    found = False
    for key in held:
        if key in _ARRAYS:
            kind, read = _ARRAYS[key]
            for item in each(context, held, key, pointer, partial(_copy, kind=kind, addressed=read), kind=kind):
                found = True
                yield item
        elif key != "contacts":
            found = True
            yield context.not_understood(f"{pointer}/{key}", key, "a kind of copy that is not understood (yet)")
    if not found:
        yield Recorded(place=context.at(pointer), kind="standby", reason="it holds no copy of anything")


def _copy(
    context: ChangeContext,
    text: bytes,
    pointer: str,
    *,
    kind: Kind,
    addressed: Callable[[Mapping[str, Any]], _Addresses],
) -> StandbyCopy | NotUnderstood:
    reading = object_and_wamid(context, text, pointer, kind)
    if isinstance(reading, NotUnderstood):
        return reading
    copied, wamid = reading
    phone, user_id, grouped = addressed(copied)
    # In a group the sole card of the change may be another member's: only who is named counts.
    person = None if grouped and not (phone or user_id) else identify(context.people, phone, user_id)
    if person is None and not grouped:
        return context.not_understood(pointer, kind, "it names nobody", wamid)
    return StandbyCopy(
        place=context.at(pointer),
        kind=kind,
        wamid=wamid,
        who=person,
        value=text,
        timestamp=scalars.seconds(copied.get("timestamp")),
    )


def _of_message(copied: Mapping[str, Any]) -> _Addresses:
    return _address(copied, "from"), _address(copied, "from_user_id"), bool(copied.get("group_id"))


def _of_echo(copied: Mapping[str, Any]) -> _Addresses:
    """Read the recipient of what another responder sent: `message` is the body of its call."""
    sent = copied["message"] if isinstance(copied.get("message"), dict) else copied
    to = _address(sent, "to")
    if sent.get("recipient_type") == "group" or is_group(to):
        return "", "", True
    return to, _address(sent, "recipient") or _address(sent, "to_user_id"), False


def _of_status(copied: Mapping[str, Any]) -> _Addresses:
    to = _address(copied, "recipient_id")
    if copied.get("recipient_type") == "group" or is_group(to):
        participant = "recipient_participant_id", "recipient_participant_user_id"
        return _address(copied, participant[0]), _address(copied, participant[1]), True
    return to, _address(copied, "recipient_user_id"), False


def _address(holder: Mapping[str, Any], key: str) -> str:
    return scalars.ident(holder.get(key)) or ""


_ARRAYS: dict[str, tuple[Kind, Callable[[Mapping[str, Any]], _Addresses]]] = {
    "messages": ("message", _of_message),
    "message_echoes": ("echo", _of_echo),
    "statuses": ("status", _of_status),
}
"""By the array that they stand in, what the copies are of and how their person is found."""


def handover(change: Change) -> list[Item]:
    """Read that a thread has another owner."""
    value, refused = verbatim.read(bytes(change.value))
    raw = verbatim.members(change.value) or {}
    # The number is the recipient here; metadata as elsewhere would say the same.
    named = raw.get("metadata", raw.get("recipient"))
    context = context_of(change, raw if named is None else {**raw, "metadata": named})
    if refused or not isinstance(value, dict):
        wrong = refused or "its value is not an object"
        return [context.not_understood(change.pointer, change.field, wrong)]
    kind = scalars.keyword(value.get("type"))
    event = next((known for known in _EVENTS if known == kind), None)
    if event is None or context.fault:
        why = context.fault or (f"{kind!r} is not understood (yet)" if kind else "it has no type")
        return [context.not_understood(change.pointer, change.field, why)]
    return [
        ControlChange(
            place=context.at(f"{change.pointer}/value"),
            event=event,
            who=_sender(context, value.get("sender")),
            value=bytes(change.value),
            timestamp=scalars.seconds(value.get("timestamp")) or change.at,
        )
    ]


def _sender(context: ChangeContext, sender: object) -> WebhookContact | None:
    """Return the person in the thread: Meta may name none."""
    if not isinstance(sender, dict):
        return identify(context.people, "", "")
    return identify(
        context.people, _address(sender, "phone_number") or _address(sender, "wa_id"), _address(sender, "user_id")
    )
