"""Conversions between rows of the tables and records of the model, for every database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, TypeVar

import msgspec

from tellwire.errors import BadSettings
from tellwire.ids import micros_of
from tellwire.model.deliveries import Delivery, DeliveryState, Endpoint, Event, Secret, Snapshot
from tellwire.model.messaging import Contact, Conversation, Message
from tellwire.model.tenancy import Account
from tellwire.model.units import Micros, Seconds
from tellwire.security.vault import Vault

T = TypeVar("T")

encode = msgspec.json.Encoder().encode

CONTACT = (
    "id",
    "organization_id",
    "name",
    "username",
    "phone",
    "user_id",
    "merged_into",
    "created_at",
    "updated_at",
    "own_name",
    "marketing",
    "phone_at",
    "user_id_at",
)
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
EVENT = (
    "id",
    "organization_id",
    "account_id",
    "entity",
    "action",
    "conversation_id",
    "message_id",
    "created_at",
    "name",
    "body",
    "contact_id",
)
MESSAGE = (
    "id",
    "organization_id",
    "account_id",
    "conversation_id",
    "wamid",
    "direction",
    "kind",
    "created_at",
    "updated_at",
    "contact_id",
    "record",
    "content",
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
    "counted_attempts",
    "out_of_order",
    "lane",
    "replay",
    "webhook_id",
    "due_at",
    "first_attempt_at",
    "delivered_at",
    "created_at",
    "updated_at",
    "behind",
    "together",
    "failure",
)


def contact(row: Any) -> Contact:
    """Return the contact that a row holds, with the columns in `CONTACT`'s order."""
    values = dict(zip(CONTACT, row, strict=True))
    values["own_name"] = bool(values["own_name"])
    return Contact(**values)


def conversation(row: Any) -> Conversation:
    """Return the conversation of a row: columns in `CONVERSATION`'s order, then the id of its last message (or None).

    The column `last_row_at` says when it was opened, or when a message went out that was recorded long before; the ids
    of later messages hold their times.
    """
    *columns, last_message = row
    record = dict(zip(CONVERSATION, columns, strict=True))
    if last_message:
        record["last_row_at"] = max(record["last_row_at"], micros_of(last_message))
    return Conversation(**record)


def delivery(row: Any) -> Delivery:
    """Return the delivery that a row holds, with the columns in `DELIVERY`'s order."""
    values = dict(zip(DELIVERY, row, strict=True))
    values["state"] = DeliveryState(values["state"])
    values["out_of_order"] = bool(values["out_of_order"])
    return Delivery(**values)


class _EventBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """The fields of an event that have no column of their own."""

    order_key: str
    snapshot: Snapshot
    direction: Literal["incoming", "outgoing", ""] = ""
    history: bool = False
    external: bool = False
    trace: str = ""


_event_body = msgspec.json.Decoder(_EventBody)


def event(row: Any) -> Event:
    """Return the event that a row holds, with the columns in `EVENT`'s order."""
    *columns, body, contact_id = row
    identifier, organization_id, account_id, entity, action, conversation_id, message_id, created_at, name = columns
    rest = _event_body.decode(body)
    return Event(
        id=identifier,
        organization_id=organization_id,
        account_id=account_id,
        entity=entity,
        action=action,
        name=name,
        conversation_id=conversation_id,
        message_id=message_id,
        contact_id=contact_id,
        created_at=created_at,
        order_key=rest.order_key,
        snapshot=rest.snapshot,
        direction=rest.direction,
        history=rest.history,
        external=rest.external,
        trace=rest.trace,
    )


def event_row(value: Event) -> tuple[Any, ...]:
    """Return the columns of an event in `EVENT`'s order."""
    return (
        value.id,
        value.organization_id,
        value.account_id,
        value.entity,
        value.action,
        value.conversation_id,
        value.message_id,
        value.created_at,
        value.name,
        encode(
            _EventBody(value.order_key, value.snapshot, value.direction, value.history, value.external, value.trace)
        ),
        value.contact_id,
    )


class _MessageRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """The fields of a message that have no column of their own."""

    agent_id: str = ""
    status: dict[str, Micros] = {}
    errors: bytes = b""
    errors_rank: tuple[int, int] = (-1, 0)
    pricing: bytes = b""
    pricing_rank: tuple[int, int] = (-1, 0)
    from_: str = ""
    to: str = ""
    timestamp: Seconds = 0
    history: bool = False
    media: bytes = b""
    payments: bytes = b""
    source: str = ""
    callback_data: str = ""


_message_record = msgspec.json.Decoder(_MessageRecord)


def message(row: Any) -> Message:
    """Return the message that a row holds, with the columns in `MESSAGE`'s order."""
    *columns, record, content = row
    known = dict(zip(MESSAGE, columns, strict=False))
    known["wamid"] = known["wamid"] or ""
    return Message(**known, **msgspec.structs.asdict(_message_record.decode(record)), content=content)


def message_rows(values: Iterable[Message]) -> list[tuple[Any, ...]]:
    """Return messages as rows, those without a wamid first: one of them may just have lost the wamid of another."""
    return [message_row(value) for value in sorted(values, key=lambda value: bool(value.wamid))]


def message_row(value: Message) -> tuple[Any, ...]:
    """Return the columns of a message in `MESSAGE`'s order."""
    record = _MessageRecord(
        value.agent_id,
        value.status,
        value.errors,
        value.errors_rank,
        value.pricing,
        value.pricing_rank,
        value.from_,
        value.to,
        value.timestamp,
        value.history,
        value.media,
        value.payments,
        value.source,
        value.callback_data,
    )
    return (
        value.id,
        value.organization_id,
        value.account_id,
        value.conversation_id,
        value.wamid or None,
        value.direction,
        value.kind,
        value.created_at,
        value.updated_at,
        value.contact_id,
        encode(record),
        value.content,
    )


class SealedFields(msgspec.Struct, frozen=True):
    """The fields of an endpoint that are encrypted at rest."""

    secrets: tuple[Secret, ...] = ()
    token: str = ""
    headers: dict[str, str] = {}
    verify_token: str = ""


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
_SEALED_FIELDS = ("secrets", "token", "headers", "verify_token")


def endpoint_values(value: Endpoint, vault: Vault) -> dict[str, Any]:
    """Return the columns of an endpoint, its secrets sealed."""
    fields = msgspec.structs.asdict(value)
    columns = {name: fields.pop(name) for name in _OPEN_COLUMNS}
    sealed = SealedFields(**{name: fields.pop(name) for name in _SEALED_FIELDS})
    return columns | {
        "options": encode(fields),
        "sealed": vault.seal(encode(sealed).decode(), f"endpoints/{value.id}"),
    }


def endpoint(row: Any, vault: Vault) -> Endpoint:
    """Return the endpoint that a mapping of columns holds."""
    sealed = msgspec.json.decode(vault.unseal(row["sealed"], f"endpoints/{row['id']}"), type=SealedFields)
    fields = {name: row[name] for name in _OPEN_COLUMNS}
    fields |= msgspec.json.decode(row["options"])
    fields |= {name: getattr(sealed, name) for name in _SEALED_FIELDS}
    return msgspec.convert(fields, Endpoint)


_ACCOUNT_SECRETS = ("access_token", "app_secret")


def account_values(value: Account, vault: Vault) -> dict[str, Any]:
    """Return the columns of an account, its secrets sealed."""
    columns = msgspec.structs.asdict(value)
    for name in _ACCOUNT_SECRETS:
        columns[name] = vault.seal(columns[name], f"accounts/{name}/{value.id}")
    return columns


def account(row: Any, vault: Vault) -> Account:
    """Return the account that a mapping of columns holds."""
    columns = dict(row)
    for name in _ACCOUNT_SECRETS:
        columns[name] = vault.unseal(columns[name], f"accounts/{name}/{columns['id']}")
    return msgspec.convert(columns, Account)


def opened(make: Callable[[Any, Vault], T], rows: Iterable[Any], vault: Vault, *, lenient: bool) -> Iterator[T]:
    """Yield the records of rows with sealed columns; `lenient` leaves out those that no master key opens."""
    for row in rows:
        try:
            yield make(row, vault)
        except BadSettings:
            if not lenient:
                raise


ERASED_KEY = "erased"
"""The name of the key (`sealed_keys`) that hashes the marks of erased people."""


def key_sealed(key: bytes, vault: Vault, name: str) -> str:
    """Return a key of `sealed_keys`, sealed."""
    return vault.seal(key.hex(), f"sealed_keys/{name}")


def sealed_key(sealed: str, vault: Vault, name: str) -> bytes:
    """Return what `key_sealed` was given."""
    return bytes.fromhex(vault.unseal(sealed, f"sealed_keys/{name}"))


def erasing(contact_ids: Iterable[bytes]) -> frozenset[str]:
    """Return every contact id in these values of the column `erasures.contact_ids`."""
    return frozenset(each for ids in contact_ids for each in msgspec.json.decode(ids, type=list[str]))
