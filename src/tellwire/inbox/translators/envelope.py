"""PURE. Meta's envelope, written out of pieces of another system's payload; values stay as they were written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.json import encode

from tellwire.meta.phone_numbers import alias
from tellwire.meta.webhooks.items import NotUnderstood, Place, Recorded
from tellwire.model.sources import Source

Members = Mapping[str, bytes]
"""The members of a JSON object, each as its text."""


class Translated(Struct, frozen=True):
    """A body to be kept. `untranslated`: the one item to report of it, where it is kept as it came."""

    body: bytes
    untranslated: Recorded | NotUnderstood | None = None


class Person(Struct, frozen=True):
    """The contact of an item, as far as the payload names them."""

    address: str
    name: str = ""
    username: str = ""
    phone: str = ""
    user_id: str = ""

    @property
    def sender(self) -> Members:
        """What a message says of its sender. A user id stands in the card alone: under a key of the message it would
        become part of the content."""
        return {"from": encode(self.address)} if _is_phone(self.address) else {}

    @property
    def recipient(self) -> Members:
        """What a status says of its recipient."""
        return {"recipient_id" if _is_phone(self.address) else "recipient_user_id": encode(self.address)}

    @property
    def card(self) -> bytes:
        """The entry of `contacts[]`."""
        phone = self.phone or (self.address if _is_phone(self.address) else "")
        user_id = self.user_id or ("" if _is_phone(self.address) else self.address)
        profile = {name: value for name, value in (("name", self.name), ("username", self.username)) if value}
        ids = {name: value for name, value in (("wa_id", phone), ("user_id", user_id)) if value}
        return encode({"profile": profile, **ids})


class Parts(Struct, frozen=True, kw_only=True):
    """What an envelope holds: JSON texts of messages that came in, of echoes and of statuses."""

    number: str
    people: Sequence[Person] = ()
    messages: Sequence[bytes] = ()
    echoes: Sequence[bytes] = ()
    statuses: Sequence[bytes] = ()


def recorded(body: bytes, kind: str, reason: str) -> Translated:
    """Return a body that is understood, and of which nothing is made."""
    return Translated(body, Recorded(place=Place("", ""), kind=kind, reason=reason))


def not_understood(body: bytes, kind: str, reason: str) -> Translated:
    """Return a body that cannot be translated."""
    return Translated(body, NotUnderstood(place=Place("", ""), kind=kind, reason=reason))


def envelope(parts: Parts) -> Translated:
    """Return the envelope of these parts."""
    shared = {"messaging_product": b'"whatsapp"', "metadata": encode({"phone_number_id": parts.number})}
    if parts.people:
        shared["contacts"] = _array(person.card for person in parts.people)
    incoming = {key: _array(held) for key, held in (("messages", parts.messages), ("statuses", parts.statuses)) if held}
    changes = []
    if incoming:
        changes.append(written({"value": written({**shared, **incoming}), "field": b'"messages"'}))
    if parts.echoes:
        value = written({**shared, "message_echoes": _array(parts.echoes)})
        changes.append(written({"value": value, "field": b'"smb_message_echoes"'}))
    entry = written({"id": b'""', "changes": _array(changes)})
    return Translated(written({"object": b'"whatsapp_business_account"', "entry": _array([entry])}))


def written(members: Members) -> bytes:
    """Return a JSON object of these members."""
    return b"{" + b",".join(encode(key) + b":" + bytes(value) for key, value in members.items()) + b"}"


def made_id(source: Source, *parts: str) -> str:
    """Return an id in place of the wamid that a payload does not carry: the same for the same payload, and one that
    nobody takes for Meta's."""
    digest = hashlib.sha256("\0".join((source.id, *parts)).encode(errors="surrogatepass")).hexdigest()
    return f"{source.kind}.{digest[:32]}"


def _is_phone(address: str) -> bool:
    return alias(address).isdecimal()


def _array(pieces: Iterable[bytes]) -> bytes:
    return b"[" + b",".join(map(bytes, pieces)) + b"]"
