"""The inserts of a ledger's rows: their columns, and what happens to a row that exists already.

The databases differ only in how many rows and tables one statement takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tellwire.model.deliveries import Work
from tellwire.model.ledger import Ledger
from tellwire.model.sources import SourceItem
from tellwire.stores.records import inbound_rows, ledger_rows, sending_rows

DO_NOTHING = "ON CONFLICT DO NOTHING"
_encode = msgspec.json.Encoder().encode


class Insert(Struct, frozen=True):
    """A statement that inserts rows: the table, its columns in the order of the values, and the text after them."""

    table: str
    columns: tuple[str, ...]
    tail: str = ""

    @property
    def head(self) -> str:
        """The text of the statement before the values."""
        return f"INSERT INTO {self.table}({','.join(self.columns)})"


class TableRows(NamedTuple):
    """Rows for one table, and the statement that inserts them."""

    insert: Insert
    rows: Sequence[Sequence[Any]]


def or_update(key: Sequence[str], columns: Sequence[str]) -> str:
    """Return the tail of a statement that updates these columns of a row whose key exists already."""
    return f"ON CONFLICT({','.join(key)}) DO UPDATE SET {', '.join(f'{name}=excluded.{name}' for name in columns)}"


def _put(
    table: str, columns: tuple[str, ...], key: tuple[str, str], *, keeping: tuple[str, ...] = ("created_at",)
) -> Insert:
    """Insert a row; when its key exists, update all columns but the key and those in `keeping`."""
    return Insert(table, columns, or_update(key, [name for name in columns if name not in (*key, *keeping)]))


_CONTACTS = Insert(
    "contacts",
    ledger_rows.CONTACT,
    or_update(
        ("organization_id", "id"),
        (
            "name",
            "username",
            "phone",
            "user_id",
            "merged_into",
            "updated_at",
            "own_name",
            "marketing",
            "phone_at",
            "user_id_at",
        ),
    ),
)
_ALIASES = Insert(
    "contact_aliases",
    ("organization_id", "value", "contact_id", "since", "until"),
    or_update(("organization_id", "value", "contact_id"), ("since", "until")),
)
_CONVERSATIONS = Insert(
    "conversations",
    (*ledger_rows.CONVERSATION, "check_at"),
    or_update(("organization_id", "id"), ("party", "contact_address", "status", "updated_at", "last_row_at")),
)
_MESSAGES = Insert(
    "messages",
    ledger_rows.MESSAGE,
    or_update(("organization_id", "id"), ("wamid", "kind", "updated_at", "record", "content")),
)
_STATUS_FACTS = Insert(
    "message_statuses", ("account_id", "wamid", "name", "participant", "at", "pricing", "errors"), DO_NOTHING
)
_INBOUND = Insert("inbound", inbound_rows.INBOUND)
_HELD_ITEMS = Insert(
    "held_items",
    ("inbound_id", "pointer", "phone_number_id", "wamid", "outcome", "retry_at"),
    or_update(("inbound_id", "pointer"), ("wamid", "outcome", "retry_at")),
)
_MARKS = Insert("erased", ("organization_id", "mark", "erased_at"), DO_NOTHING)
_SOURCE_ITEMS = Insert("source_items", SourceItem._fields, DO_NOTHING)
_EVENTS = Insert("events", ledger_rows.EVENT)
_DELIVERIES = Insert("deliveries", (*ledger_rows.DELIVERY, "conversation_id"))
_SENDS = _put("sends", sending_rows.SEND, ("organization_id", "message_id"))
_MEDIA = _put("media", sending_rows.MEDIA, ("organization_id", "id"))
_TURNS = _put("agent_turns", sending_rows.TURN, ("organization_id", "conversation_id"), keeping=())
RUNS = Insert("agent_runs", sending_rows.RUN)
USE = Insert(
    "agent_usage",
    sending_rows.AgentUse._fields,
    "ON CONFLICT(organization_id,agent_id,day) DO UPDATE SET replies=agent_usage.replies+excluded.replies,"
    " tokens=agent_usage.tokens+excluded.tokens",
)
HANDOVERS = Insert("handovers", ("organization_id", "conversation_id", "reason", "handed_by", "created_at"), DO_NOTHING)

_contact = attrgetter(*ledger_rows.CONTACT)
_conversation = attrgetter(*ledger_rows.CONVERSATION)
_delivery = attrgetter(*ledger_rows.DELIVERY)


def contacts(ledger: Ledger) -> TableRows:
    """Return the contacts that a ledger added or changed."""
    return TableRows(_CONTACTS, [_contact(each) for each in ledger.changed_contacts.values()])


def aliases(ledger: Ledger) -> TableRows:
    """Return the addresses of contacts that a ledger added or changed."""
    found = [(place, each) for place, each in ledger.changed_aliases.items() if each is not None]
    return TableRows(_ALIASES, [(*place, each.since, each.until) for place, each in found])


def dropped_aliases(ledger: Ledger) -> list[tuple[str, str, str]]:
    """Return the keys of the aliases to delete."""
    return [place for place, each in ledger.changed_aliases.items() if each is None]


def conversations(ledger: Ledger, window: int) -> TableRows:
    """Return the conversations that a ledger added or changed; an idle one is checked after `window` micros."""
    changed = ledger.changed_conversations.values()
    return TableRows(_CONVERSATIONS, [(*_conversation(each), each.last_row_at + window) for each in changed])


def messages(ledger: Ledger) -> TableRows:
    """Return the messages that a ledger added or changed."""
    return TableRows(_MESSAGES, ledger_rows.message_rows(ledger.changed_messages.values()))


def status_facts(ledger: Ledger) -> TableRows:
    """Return the statuses from Meta that a ledger added."""
    return TableRows(
        _STATUS_FACTS, [(*place, fact.at, fact.pricing, fact.errors) for place, fact in ledger.new_facts.items()]
    )


def inbound(ledger: Ledger) -> TableRows:
    """Return the POSTs that a ledger stores."""
    return TableRows(_INBOUND, [inbound_rows.values(each) for each in ledger.new_inbound])


def held_items(ledger: Ledger) -> TableRows:
    """Return the items that a ledger holds."""
    return TableRows(_HELD_ITEMS, list(ledger.new_held.values()))


def marks(ledger: Ledger) -> TableRows:
    """Return the marks of messages that came after their person was erased."""
    return TableRows(_MARKS, [(*mark, ledger.now) for mark in sorted(ledger.new_marks)])


def source_items(ledger: Ledger) -> TableRows:
    """Return which sources brought the items of a ledger's POSTs."""
    return TableRows(_SOURCE_ITEMS, list(ledger.new_source_items.values()))


def events(ledger: Ledger) -> TableRows:
    """Return the events that a ledger recorded."""
    return TableRows(_EVENTS, [ledger_rows.event_row(event) for event in ledger.events])


def numbered(work: Sequence[Work], last: dict[tuple[str, str], int], behind: dict[tuple[str, str], str]) -> list[Work]:
    """Give each delivery the next sequence number of its (endpoint, order key), and raise the numbers in `last`; the
    first of each takes what is to go before it out of `behind`."""
    found = []
    for item in work:
        place = (item.delivery.endpoint_id, item.delivery.order_key)
        last[place] += 1
        changed = replace(item.delivery, sequence=last[place])
        if behind and place in behind:
            changed = replace(changed, behind=behind.pop(place))
        found.append(Work(changed, item.event))
    return found


def deliveries(work: Sequence[Work]) -> TableRows:
    """Return new deliveries, which have their sequence numbers already."""
    return TableRows(_DELIVERIES, [(*_delivery(w.delivery), w.event.conversation_id) for w in work])


def sends(ledger: Ledger) -> TableRows:
    """Return the sends that a ledger added or changed."""
    return TableRows(_SENDS, [sending_rows.send_row(send) for send in ledger.changed_sends.values()])


def media(ledger: Ledger) -> TableRows:
    """Return the files of messages that a ledger added or changed."""
    return TableRows(_MEDIA, [sending_rows.media_row(file) for file in ledger.changed_media.values()])


def agent_turns(ledger: Ledger) -> TableRows:
    """Return the turns of agents that a ledger added."""
    return TableRows(_TURNS, [sending_rows.turn_row(turn) for turn in ledger.new_turns.values()])
