"""The `row` format: a database row, and what happened to it. Also what wakit sends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Self

from tellwire_sdk.meta_errors import MetaError
from tellwire_sdk.records import Reader, Record, Unfit, an_object, several, text
from tellwire_sdk.times import rfc3339_time


@dataclass(frozen=True, kw_only=True)
class MessageRow(Record):
    """A row of `messages`; an abridged update has only `id`, the changed columns and `updated_at`.

    Ids are opaque texts. `content` is Meta's own `{"type": T, T: {...}, ...}`; `status` maps each status name to the
    time it was first reached, beside `errors`. Times are kept as given; the properties give them as datetimes.
    """

    READERS: ClassVar[Mapping[str, Reader]] = {
        "id": text,
        "conversation_id": text,
        "organization_id": text,
        "direction": text,
        "agent_id": text,
        "content": an_object,
        "status": an_object,
        "wa_id": text,
        "from": text,
        "created_at": text,
        "updated_at": text,
        "to": text,
        "timestamp": text,
        "contact": an_object,
        "pricing": an_object,
        "media": several(an_object),
    }

    id: str
    conversation_id: str | None = None
    organization_id: str | None = None
    direction: str | None = None
    agent_id: str | None = None
    content: Mapping[str, Any] | None = None
    status: Mapping[str, Any] | None = None
    wa_id: str | None = None
    from_: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    to: str | None = None
    timestamp: str | None = None
    contact: Mapping[str, Any] | None = None
    pricing: Mapping[str, Any] | None = None
    media: tuple[Mapping[str, Any], ...] = ()

    @property
    def created(self) -> datetime | None:
        """`created_at` as an aware datetime."""
        return rfc3339_time(self.created_at)

    @property
    def updated(self) -> datetime | None:
        """`updated_at` as an aware datetime."""
        return rfc3339_time(self.updated_at)

    @property
    def sent(self) -> datetime | None:
        """`timestamp`, Meta's time of the message, as an aware datetime."""
        return rfc3339_time(self.timestamp)

    @property
    def type(self) -> str | None:
        """The type of the content: `text`, `image`, …"""
        kind = (self.content or {}).get("type")
        return kind if isinstance(kind, str) else None

    @property
    def status_times(self) -> dict[str, datetime]:
        """Each status name with its time as an aware datetime, in the row's order."""
        times = {name: rfc3339_time(value) for name, value in (self.status or {}).items()}
        return {name: time for name, time in times.items() if time is not None}

    @property
    def errors(self) -> tuple[MetaError, ...]:
        """Why it failed: `status.errors`, also where a vendor wraps each one in `error`."""
        listed = (self.status or {}).get("errors")
        found = []
        for item in listed if isinstance(listed, list) else []:
            wrapped = item.get("error") if isinstance(item, dict) else None
            try:
                found.append(MetaError.read(wrapped if isinstance(wrapped, dict) else item))
            except Unfit:
                continue
        return tuple(found)


@dataclass(frozen=True, kw_only=True)
class ConversationRow(Record):
    """A row of `conversations`; an abridged update has only `id`, the changed columns and `updated_at`."""

    READERS: ClassVar[Mapping[str, Reader]] = {
        "id": text,
        "organization_id": text,
        "organization_address": text,
        "contact_address": text,
        "service": text,
        "status": text,
        "created_at": text,
        "updated_at": text,
    }

    id: str
    organization_id: str | None = None
    organization_address: str | None = None
    contact_address: str | None = None
    service: str | None = None
    status: str | None = None
    created_at: str | None = None
    updated_at: str | None = None

    @property
    def created(self) -> datetime | None:
        """`created_at` as an aware datetime."""
        return rfc3339_time(self.created_at)

    @property
    def updated(self) -> datetime | None:
        """`updated_at` as an aware datetime."""
        return rfc3339_time(self.updated_at)


ROWS: Mapping[str, type[MessageRow | ConversationRow]] = {"messages": MessageRow, "conversations": ConversationRow}


def entity(value: object) -> str:
    """Return the name of one of the tables in `ROWS`."""
    if not isinstance(value, str) or value not in ROWS:
        raise Unfit("messages or conversations")
    return value


def action(value: object) -> str:
    """Return what happened to a row: `insert` or `update`."""
    if value not in ("insert", "update"):
        raise Unfit("insert or update")
    return str(value)


def only(word: str) -> Reader:
    """Return a reader of this word alone."""

    def read(value: object) -> str:
        if value != word:
            raise Unfit(word)
        return word

    return read


@dataclass(frozen=True, kw_only=True)
class RowEvents(Record):
    """Several messages of one conversation were inserted: what an endpoint with a `buffer` gets, in their order."""

    READERS: ClassVar[Mapping[str, Reader]] = {
        "data": several(MessageRow.read),
        "entity": only("messages"),
        "action": only("insert"),
    }

    data: tuple[MessageRow, ...]
    entity: str
    action: str


@dataclass(frozen=True, kw_only=True)
class RowEvent(Record):
    """A row was inserted or updated: `entity` is `messages` or `conversations`, and says what `data` is."""

    READERS: ClassVar[Mapping[str, Reader]] = {"data": an_object, "entity": entity, "action": action}

    data: MessageRow | ConversationRow
    entity: str
    action: str

    @classmethod
    def read(cls, value: object) -> Self:
        """Make the record of a JSON object, as every record does; `entity` chooses the kind of row."""
        given = an_object(value)
        row = ROWS.get(str(given.get("entity")), MessageRow)
        return cls._read(given, {**cls.READERS, "data": row.read})
