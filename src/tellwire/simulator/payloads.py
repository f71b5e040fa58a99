"""PURE. Make webhook bodies with the shape and the escapes of Meta's (Graph API v24).

Source: Meta, webhook references "messages" and "status"; "Webhooks: validating payloads" for the escapes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, Literal

from msgspec import Struct

Json = dict[str, Any]


class Business(Struct, frozen=True, kw_only=True):
    """A business phone number; `display_phone_number` as Meta writes it: digits without `+`."""

    waba_id: str
    phone_number_id: str
    display_phone_number: str


class Person(Struct, frozen=True, kw_only=True):
    """A WhatsApp user. `wa_id` is "" for a user whose number is hidden behind a username; `user_id` is the BSUID."""

    name: str
    wa_id: str = ""
    user_id: str = ""
    username: str = ""

    @property
    def address(self) -> str:
        """Return the address to write to: the number, else the user id."""
        return self.wa_id or self.user_id


class Update(Struct, frozen=True, kw_only=True):
    """One element of a webhook: `item` goes into `value.messages` or `value.statuses`, as `kind` says.

    `introduced`: whether `value.contacts` names the person (Meta's failures and system messages do not).
    """

    business: Business
    person: Person
    kind: Literal["messages", "statuses"]
    item: Json
    introduced: bool = True

    @property
    def wamid(self) -> str:
        """Return the id of the message that the update is, or is about."""
        return str(self.item["id"])

    @property
    def title(self) -> str:
        """Return a short name: the type of a message, or `status` and the status's name."""
        return str(self.item["type"]) if self.kind == "messages" else f"status {self.item['status']}"


def body_of(updates: Iterable[Update]) -> bytes:
    """Return the body of one POST with these updates, in their order.

    Neighbouring updates of one WhatsApp business account share an entry, those of one number and kind share a change,
    so that a batch fills every array of Meta's envelope.
    """
    entries = [
        {
            "id": waba_id,
            "changes": [{"value": _value(list(run)), "field": "messages"} for _, run in groupby(group, _change_key)],
        }
        for waba_id, group in groupby(updates, lambda update: update.business.waba_id)
    ]
    return escaped({"object": "whatsapp_business_account", "entry": entries})


def notice(waba_id: str, field: str, value: Json, *, at: int) -> bytes:
    """Return the body of one POST about an account, in any webhook field but `messages`; `at` in Unix seconds."""
    change = {"value": value, "field": field}
    return escaped({"object": "whatsapp_business_account", "entry": [{"id": waba_id, "time": at, "changes": [change]}]})


def escaped(value: object) -> bytes:
    """Return compact JSON in Meta's spelling: non-ASCII as lower-case `\\uXXXX`, a slash as `\\/`."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).replace("/", "\\/").encode("ascii")


def wamid(address: str, key: str, *, outgoing: bool = False) -> str:
    """Return a message id that looks and decodes like Meta's: the other side's address, and `key` in upper-case hex."""
    who = address.encode()[:64]
    parts = (b"\x1c\x18", bytes([len(who)]), who, b"\x15\x02\x00", b"\x11" if outgoing else b"\x12", b"\x18")
    return "wamid." + base64.b64encode(b"".join((*parts, bytes([len(key)]), key.encode(), b"\x00"))).decode()


def message(person: Person, *, wamid: str, at: int, type: str, content: object, context: Json | None = None) -> Json:  # noqa: A002
    """Return an element of `messages`, with its keys in Meta's order; `at` in Unix seconds."""
    item: Json = {} if context is None else {"context": context}
    if person.wa_id:
        item["from"] = person.wa_id
    if person.user_id:
        item["from_user_id"] = person.user_id
    return {**item, "id": wamid, "timestamp": str(at), "type": type, type: content}


def status(
    person: Person,
    *,
    wamid: str,
    name: str,
    at: int,
    pricing: Json | None = None,
    errors: Sequence[Json] = (),
    callback_data: str = "",
    group: bool = False,
) -> Json:
    """Return an element of `statuses`, about a message to a person or to a group; `at` in Unix seconds."""
    item: Json = {"id": wamid, "status": name, "timestamp": str(at)}
    if person.wa_id:
        item["recipient_id"] = person.wa_id
    if person.user_id:
        item["recipient_user_id"] = person.user_id
    if group:
        item["recipient_type"] = "group"
    if callback_data:
        item["biz_opaque_callback_data"] = callback_data
    if pricing is not None:
        item["pricing"] = pricing
    if errors:
        item["errors"] = list(errors)
    return item


def _change_key(update: Update) -> tuple[Business, str]:
    return update.business, update.kind


def _value(updates: Sequence[Update]) -> Json:
    first = updates[0]
    value: Json = {
        "messaging_product": "whatsapp",
        "metadata": {
            "display_phone_number": first.business.display_phone_number,
            "phone_number_id": first.business.phone_number_id,
        },
    }
    people = dict.fromkeys(update.person for update in updates if update.introduced)
    if people:
        value["contacts"] = [_card(person) for person in people]
    value[first.kind] = [update.item for update in updates]
    return value


def _card(person: Person) -> Json:
    profile = {"name": person.name, "username": person.username}
    card: Json = {"profile": {key: text for key, text in profile.items() if text}}
    if person.wa_id:
        card["wa_id"] = person.wa_id
    if person.user_id:
        card["user_id"] = person.user_id
    return card
