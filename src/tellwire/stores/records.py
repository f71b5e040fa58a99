"""Rows of the tables as records of the model, and back: one place for every dialect."""

from __future__ import annotations

from typing import Any

import msgspec

from tellwire.ids import micros_of
from tellwire.model import (
    Account,
    Attempt,
    Contact,
    Conversation,
    Delivery,
    DeliveryState,
    Endpoint,
    Event,
    Inbound,
    ItemReport,
    Message,
    Outcome,
    Secret,
)
from tellwire.vault import Vault

encode = msgspec.json.Encoder().encode
_message = msgspec.json.Decoder(Message)
_event = msgspec.json.Decoder(Event)
_items = msgspec.json.Decoder(tuple[ItemReport, ...])
_attempt = msgspec.json.Decoder(Attempt)

CONTACT = ("id", "organization_id", "name", "username", "phone", "user_id", "merged_into", "created_at", "updated_at")
CONVERSATION = (
    "id",
    "organization_id",
    "account_id",
    "party",
    "organization_address",
    "contact_address",
    "status",
    "service",
    "created_at",
    "updated_at",
    "last_row_at",
)
DELIVERY = (
    "id",
    "organization_id",
    "event_id",
    "endpoint_id",
    "order_key",
    "sequence",
    "partition",
    "state",
    "attempts",
    "burned",
    "out_of_order",
    "lane",
    "replay",
    "webhook_id",
    "due_at",
    "first_attempt_at",
    "delivered_at",
    "created_at",
    "updated_at",
)


def contact(row: Any) -> Contact:
    """A record of the columns in `CONTACT`'s order."""
    return Contact(**dict(zip(CONTACT, row, strict=True)))


def conversation(row: Any) -> Conversation:
    """A record of the columns in `CONVERSATION`'s order and the id of the conversation's last message (or None).

    The column `last_row_at` holds when it was opened; each later row tells its own time.
    """
    *columns, last_message = row
    record = dict(zip(CONVERSATION, columns, strict=True))
    if last_message:
        record["last_row_at"] = max(record["last_row_at"], micros_of(last_message))
    return Conversation(**record)


def delivery(row: Any) -> Delivery:
    """A record of the columns in `DELIVERY`'s order."""
    values = dict(zip(DELIVERY, row, strict=True))
    values["state"] = DeliveryState(values["state"])
    values["out_of_order"] = bool(values["out_of_order"])
    return Delivery(**values)


def event(body: bytes) -> Event:
    """An event as stored in `events.body`."""
    return _event.decode(body)


def message(record: bytes, content: bytes) -> Message:
    """A message of its two columns."""
    return msgspec.structs.replace(_message.decode(record), content=content)


def message_record(value: Message) -> bytes:
    """A message without its content, for `messages.record`."""
    return encode(msgspec.structs.replace(value, content=b""))


def attempt(record: bytes, response_body: bytes) -> Attempt:
    """An attempt of its two columns."""
    return msgspec.structs.replace(_attempt.decode(record), response_body=response_body)


def attempt_record(value: Attempt) -> bytes:
    """An attempt without the answer's body, for `attempts.record`."""
    return encode(msgspec.structs.replace(value, response_body=b""))


class Sealed(msgspec.Struct, frozen=True):
    """What of an endpoint is encrypted at rest."""

    secrets: tuple[Secret, ...] = ()
    token: str = ""
    headers: dict[str, str] = {}


_OPEN_COLUMNS = (
    "id",
    "organization_id",
    "url",
    "format",
    "state",
    "disabled_reason",
    "created_at",
    "updated_at",
)
_SEALED_FIELDS = ("secrets", "token", "headers")


def endpoint_values(value: Endpoint, vault: Vault) -> dict[str, Any]:
    """The columns of an endpoint, its secrets sealed."""
    fields = msgspec.structs.asdict(value)
    columns = {name: fields.pop(name) for name in _OPEN_COLUMNS}
    sealed = Sealed(**{name: fields.pop(name) for name in _SEALED_FIELDS})
    return columns | {
        "options": encode(fields),
        "sealed": vault.seal(encode(sealed).decode(), f"endpoints/{value.id}"),
    }


def endpoint(row: Any, vault: Vault) -> Endpoint:
    """An endpoint of a mapping of its columns."""
    sealed = msgspec.json.decode(vault.unseal(row["sealed"], f"endpoints/{row['id']}"), type=Sealed)
    fields = {name: row[name] for name in _OPEN_COLUMNS}
    fields |= msgspec.json.decode(row["options"])
    fields |= {name: getattr(sealed, name) for name in _SEALED_FIELDS}
    return msgspec.convert(fields, Endpoint)


_ACCOUNT_SECRETS = ("access_token", "app_secret")


def account_values(value: Account, vault: Vault) -> dict[str, Any]:
    """The columns of an account, its secrets sealed."""
    columns = msgspec.structs.asdict(value)
    for name in _ACCOUNT_SECRETS:
        columns[name] = vault.seal(columns[name], f"accounts/{name}/{value.id}")
    return columns


def account(row: Any, vault: Vault) -> Account:
    """An account of a mapping of its columns."""
    columns = dict(row)
    for name in _ACCOUNT_SECRETS:
        columns[name] = vault.unseal(columns[name], f"accounts/{name}/{columns['id']}")
    return msgspec.convert(columns, Account)


def inbound(row: Any) -> Inbound:
    """A kept POST of a mapping of its columns."""
    return Inbound(
        id=row["id"],
        organization_id=row["organization_id"],
        received_at=row["received_at"],
        outcome=Outcome(row["outcome"]),
        items=_items.decode(row["items"]),
        speaks_for=tuple(msgspec.json.decode(row["speaks_for"])),
        body=row["body"],
    )
