"""PURE but for the state that is passed in. Let a customer do what a test, or the control API, asks for."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any

from tellwire.errors import Invalid
from tellwire.model.units import DAY, MICROS, micros
from tellwire.simulator import media
from tellwire.simulator.checks import MEDIA_TYPES
from tellwire.simulator.customer import Customer
from tellwire.simulator.payloads import Person, Update
from tellwire.simulator.state import State

Fields = Mapping[str, Any]
_INVENTED = 2048


def write(state: State, given: Fields) -> Update:
    """Let a customer do something, and post Meta's webhook about it.

    Args:
        given: who (`wa_id`, `user_id` or both, `name`, `username`; `phone_number_id`: to which number), `type` (see
            `ACTS`, "text" unless given) and what the type takes.

    Raises:
        Invalid: the type is unknown, or a field is missing or malformed.
        Refused: there is no such number.
    """
    business = state.business(_text(given, "phone_number_id"))
    person = Person(
        name=_text(given, "name"),
        wa_id=_text(given, "wa_id").removeprefix("+"),
        user_id=_text(given, "user_id"),
        username=_text(given, "username"),
    )
    if not person.address:
        raise Invalid("a customer has a wa_id or a user_id", ("/wa_id", "missing"))
    if not re.fullmatch(r"[0-9]{0,15}", person.wa_id) or not re.fullmatch(r"[!-~]{0,140}", person.user_id):
        raise Invalid("wa_id takes up to 15 digits, user_id printable ASCII", ("/wa_id", "malformed"))
    kind = _text(given, "type") or "text"
    act = ACTS.get(kind)
    if act is None:
        raise Invalid(f"type: one of {', '.join(ACTS)}", ("/type", "unknown"))
    customer = state.customer(business, person)
    update = act(state, customer, {**given, "type": kind}, state.clock.now() // MICROS)
    state.open_window(customer)
    if business.waba_id in state.subscribed:
        state.webhooks.post(update)
    return update


def _text(given: Fields, key: str, *, required: bool = False) -> str:
    value = given.get(key, "")
    if not isinstance(value, str) or (required and not value):
        raise Invalid(f"{key}: a string is required", (f"/{key}", "a string is required"))
    return value


def _write(_: State, customer: Customer, given: Fields, at: int) -> Update:
    return customer.text(_text(given, "text", required=True), at=at, reply_to=_text(given, "reply_to"))


def _media(state: State, customer: Customer, given: Fields, at: int) -> Update:
    """Send a file that can be downloaded: `base64` or `size` random bytes; with `wrong_hash` the webhook states a wrong
    hash."""
    kind = given["type"]
    draft = _draft(state, given)
    mime_type = _text(given, "mime_type") or _MIME_TYPES[kind]
    phone_number_id = customer.business.phone_number_id
    until = state.clock.now() + state.knobs.webhook_days * DAY
    kept = state.media_files.keep(draft, mime_type, phone_number_id=phone_number_id, until=until)
    wrong = given.get("wrong_hash", state.knobs.wrong_hash)
    digest = base64.b64encode(state.random.randbytes(32)).decode() if wrong else kept.digest
    link = state.media_files.link(kept, state.clock.now() + micros(state.knobs.link_seconds))
    file = {"mime_type": mime_type, "sha256": digest, "id": kept.id, "url": state.url + link}
    if filename := _text(given, "filename"):
        file["filename"] = filename
    caption, reply_to = _text(given, "caption"), _text(given, "reply_to")
    return customer.media(kind, at=at, caption=caption, reply_to=reply_to, file=file)


def _draft(state: State, given: Fields) -> media.FileDraft:
    if encoded := _text(given, "base64"):
        try:
            return state.media_files.write([base64.b64decode(encoded, validate=True)])
        except binascii.Error:
            raise Invalid("base64: not Base64", ("/base64", "not Base64")) from None
    size = given.get("size", _INVENTED)
    if not isinstance(size, int) or not 0 <= size <= media.LARGEST:
        raise Invalid(f"size: 0 to {media.LARGEST}", ("/size", f"0 to {media.LARGEST}"))
    return state.media_files.invented(size)


def _react(_: State, customer: Customer, given: Fields, at: int) -> Update:
    return customer.react(_text(given, "message_id", required=True), _text(given, "emoji"), at=at)


def _tap(_: State, customer: Customer, given: Fields, at: int) -> Update:
    identifier, title = _text(given, "id", required=True), _text(given, "title", required=True)
    return customer.choose(identifier, title, at=at, reply_to=_text(given, "reply_to"))


def _pick(_: State, customer: Customer, given: Fields, at: int) -> Update:
    identifier, title = _text(given, "id", required=True), _text(given, "title", required=True)
    description, reply_to = _text(given, "description"), _text(given, "reply_to")
    return customer.pick(identifier, title, description, at=at, reply_to=reply_to)


def _press(_: State, customer: Customer, given: Fields, at: int) -> Update:
    payload, text = _text(given, "payload", required=True), _text(given, "text", required=True)
    return customer.press(payload, text, at=at, reply_to=_text(given, "reply_to"))


def _edit(_: State, customer: Customer, given: Fields, at: int) -> Update:
    return customer.edit(_text(given, "message_id", required=True), _text(given, "text", required=True), at=at)


def _revoke(_: State, customer: Customer, given: Fields, at: int) -> Update:
    return customer.revoke(_text(given, "message_id", required=True), at=at)


def _unsupported(_: State, customer: Customer, given: Fields, at: int) -> Update:
    return customer.unsupported(_text(given, "kind") or "poll", at=at)


_MIME_TYPES = {
    "image": "image/jpeg",
    "video": "video/mp4",
    "audio": "audio/ogg; codecs=opus",
    "document": "application/pdf",
    "sticker": "image/webp",
}

ACTS: dict[str, Callable[[State, Customer, Fields, int], Update]] = {
    "text": _write,
    **dict.fromkeys(MEDIA_TYPES, _media),
    "location": lambda _, customer, __, at: customer.location(at=at),
    "contacts": lambda _, customer, __, at: customer.card(at=at),
    "reaction": _react,
    "tap": _tap,
    "pick": _pick,
    "button": _press,
    "edit": _edit,
    "revoke": _revoke,
    "unsupported": _unsupported,
}
"""What customers can do, by type: `tap` a reply button, `pick` a row of a list, press a template's `button`; the other
names are Meta's message types."""
