"""`/v1/messages`. An id is ours, or the 24 digits that the `chat` format shows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from litestar import Response, get
from litestar.params import FromPath
from msgspec import Raw, Struct

from tellwire.errors import NotFound
from tellwire.model import StatusFact
from tellwire.rows import instant, message_row
from tellwire.stores import cold_conversations, cold_messages
from tellwire.stores.cold_messages import MessageEntry, MessageFilter
from tellwire.web.api.shapes import Id, MessageRow, NextCursor, When
from tellwire.web.desk import AtDesk, joined, listed, shown
from tellwire.web.parameters import (
    DIRECTIONS,
    AccountName,
    Cursor,
    DirectionName,
    Limit,
    Name,
    Since,
    choice,
    instant_of,
    looks_like_chat_id,
    our_id,
    turn_of,
)

_READ = {"scopes": ("read",)}
NOUN = "messages"
_MICROS = 1_000_000
Kind = Literal["message", "external", "placeholder", "edit"]


class _More(Struct, kw_only=True):
    account_id: Id
    contact_id: str | None
    kind: Kind


class StatusRead(Struct, kw_only=True):
    """A status that Meta named, with its pricing and errors as Meta gave them; `participant` in groups."""

    name: str
    at: When
    participant: str | None
    pricing: Any
    errors: Any


class MessageRead(MessageRow, kw_only=True):
    """A message; `external` ones were not sent through Tellwire and are known by their statuses only."""

    account_id: Id
    contact_id: str | None
    kind: Kind


class MessageWithStatuses(MessageRead, kw_only=True):
    """A message with every status that Meta named for it."""

    statuses: list[StatusRead]


class MessageList(Struct, kw_only=True):
    """A page of messages, newest first."""

    data: list[MessageRead]
    next_cursor: NextCursor


def message_shown(entry: MessageEntry) -> bytes:
    """A message as lists show it."""
    message = entry.message
    more = _More(account_id=message.account_id, contact_id=message.contact_id or None, kind=message.kind)
    return joined(message_row(message, entry.contact), more)


def _statuses(facts: Iterable[StatusFact]) -> list[StatusRead]:
    return [
        StatusRead(
            name=fact.name,
            at=instant(fact.at * _MICROS),
            participant=fact.participant or None,
            pricing=Raw(fact.pricing) if fact.pricing else None,
            errors=Raw(fact.errors) if fact.errors else None,
        )
        for fact in facts
    ]


@get("/messages", summary="List messages", opt=_READ)
async def list_messages(
    desk: AtDesk,
    *,
    limit: Limit = 50,
    cursor: Cursor = "",
    conversation_id: Name = "",
    account: AccountName = "",
    direction: DirectionName = "",
    since: Since = "",
) -> Response[MessageList]:
    """The messages of the organization."""
    chosen = MessageFilter(
        conversation_id=await desk.wanted_conversation(conversation_id),
        account_id=desk.account_id(account) if account else "",
        direction=choice(direction, "direction", *DIRECTIONS),
        since=instant_of(since, "since"),
    )
    turn = turn_of(NOUN, limit, cursor)
    page = await desk.read(lambda c: cold_messages.page(c, desk.organization_id, chosen, turn))
    return listed(NOUN, page, message_shown, MessageList)


@get("/messages/{message_id:str}", summary="Read a message", opt=_READ)
async def read_message(message_id: FromPath[str], desk: AtDesk) -> Response[MessageWithStatuses]:
    """One message with its statuses."""
    name = message_id
    if looks_like_chat_id(name):
        name = await desk.read(
            lambda c: cold_conversations.message_of_chat_id(c, desk.organization_id, message_id, desk.services.chat_id)
        )
    identifier = our_id(name, "message")
    entry = await desk.read(lambda c: cold_messages.get(c, desk.organization_id, identifier))
    if entry is None:
        raise NotFound("There is no message with this id.")
    facts = await desk.read(lambda c: cold_messages.facts_of(c, entry.message))
    return shown(joined(message_shown(entry), {"statuses": _statuses(facts)}), MessageWithStatuses)


HANDLERS = (list_messages, read_message)
