"""What a new table or column was forgotten in is told in a sentence (docs/contributing/adding-a-table-or-column.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from msgspec import Raw, Struct
from msgspec.structs import asdict, fields
from sqlalchemy.dialects import postgresql
from tests.world import DAY, KIND, NUMBER, START, SetClock, World, incoming

from tellwire.model.agents import AgentRun, AgentTurn
from tellwire.model.deliveries import Attempt, Delivery, DeliveryState, Event, Snapshot
from tellwire.model.keys import Keys
from tellwire.model.ledger import Ledger
from tellwire.model.messaging import Alias, Contact, Conversation, Media, Message, Send
from tellwire.model.operational_events import EXHAUSTED
from tellwire.model.tenancy import DEFAULT_ORGANIZATION, Account
from tellwire.ports.storage import Result
from tellwire.stores.postgres.bulk import type_of
from tellwire.stores.queries import retention
from tellwire.stores.records import attempt_rows, inserts, ledger_rows
from tellwire.stores.records.inserts import Insert
from tellwire.stores.schema.tables import deliveries, metadata

PAGE = "docs/contributing/adding-a-table-or-column.md"


def filled(record: type[Struct], turn: int, **given: Any) -> Any:
    """A record in which every field that is not given differs from its default, and from that of another turn."""
    values = {field.encode_name: _value(field.name, field.type, turn) for field in fields(record)}
    return record(**values | given)


def _value(name: str, kind: Any, turn: int) -> Any:
    if get_origin(kind) is Literal:
        return get_args(kind)[turn % len(get_args(kind))]
    if get_origin(kind) in (dict, tuple):
        inner = [_value(name, each, turn) for each in get_args(kind) if each is not ...]
        return dict([inner]) if get_origin(kind) is dict else tuple(inner)
    values: dict[Any, Any] = {
        str: f"{name} {turn}",
        int: 40 + turn,
        float: 0.5 + turn,
        bool: turn == 1,
        bytes: b'{"turn":%d}' % turn,
        DeliveryState: list(DeliveryState)[turn],
        Snapshot: Snapshot(Raw(b"{}"), (name,), None, turn),
    }
    assert kind in values, f"{name}: say here what a value of {kind} may be"
    return values[kind]


def lost(wanted: Any, found: Any) -> list[str]:
    """The fields that did not come back."""
    known, back = asdict(wanted), asdict(found)
    return [name for name in known if known[name] != back[name]]


# --- records that a ledger writes -------------------------------------------------------------------------------------


class Kept(Struct, frozen=True):
    """A record as a ledger has it: `fixed` fields are those that no later write changes."""

    record: type[Struct]
    fixed: tuple[str, ...]
    put: Callable[[Ledger, Any], None]
    keys: Callable[[Any], Keys]
    get: Callable[[Ledger, Any], Any]
    identifier: str = "id"


def _put_contact(ledger: Ledger, contact: Contact) -> None:
    ledger.put_contact(contact)
    ledger.put_alias(contact.organization_id, contact.phone.rpartition(" ")[0], Alias(contact.id))


def _put_send(ledger: Ledger, send: Send) -> None:
    ledger.put_message(filled(Message, 1, id=send.message_id, organization_id=send.organization_id))
    ledger.put_send(send)


KEPT = (
    Kept(
        Contact,
        ("id", "organization_id", "created_at"),
        _put_contact,
        lambda _: Keys(addresses={(NUMBER, "phone")}),
        lambda ledger, contact: ledger.contacts[contact.id],
    ),
    Kept(
        Conversation,
        ("id", "organization_id", "account_id", "organization_address", "service", "created_at"),
        Ledger.put_conversation,
        lambda conversation: Keys(conversations={(conversation.organization_id, conversation.id)}),
        lambda ledger, conversation: ledger.conversations[conversation.id],
    ),
    Kept(
        Message,
        ("id", "organization_id", "account_id", "conversation_id", "contact_id", "direction", "created_at"),
        Ledger.put_message,
        lambda message: Keys(own={(NUMBER, message.id)}),
        lambda ledger, message: ledger.by_id[message.id],
    ),
    Kept(
        Send,
        ("message_id", "organization_id", "created_at"),
        _put_send,
        lambda send: Keys(own={(NUMBER, send.message_id)}),
        lambda ledger, send: ledger.sends[send.message_id],
        "message_id",
    ),
)


@pytest.mark.usefixtures("each_store")
@pytest.mark.parametrize("kept", KEPT, ids=lambda kept: kept.record.__name__)
def test_every_field_of_a_record_is_written_changed_and_read(tmp_path: Path, kept: Kept) -> None:
    async def main() -> None:
        world = World(tmp_path / "it.db", SetClock(START), DAY, auto_accounts=True, kind=KIND.get())
        await world.store.open()
        await world.post(incoming("wamid.1"))  # makes the account
        place = {kept.identifier: await world.store.write(lambda _: world.store.new_id())}
        first = filled(kept.record, 1, organization_id=DEFAULT_ORGANIZATION, **place)
        again = filled(kept.record, 2, **{name: getattr(first, name) for name in kept.fixed})
        for record, done, places in (
            (first, "inserted", "its columns in stores/records and its row"),
            (again, "changed", "its statement in stores/records/inserts, unless it is `fixed` in this test"),
        ):
            await world.store.apply(kept.keys(record), lambda ledger, record=record: kept.put(ledger, record))  # type: ignore[misc]
            found = await world.store.apply(kept.keys(record), lambda ledger, record=record: kept.get(ledger, record))  # type: ignore[misc]
            gone = lost(record, found)
            name = kept.record.__name__
            assert not gone, f"{name}.{gone[0]} is lost on {KIND.get()} when it is {done}: see {places} ({PAGE})"
        await world.close()

    asyncio.run(main())


@pytest.mark.usefixtures("each_store")
@pytest.mark.parametrize(
    ("state", "place"),
    [
        pytest.param(DeliveryState.RETRYING, "DELIVERY of stores/records, and CHANGED of its result_rows", id="ledger"),
        pytest.param(DeliveryState.FAILED, "CHANGED of stores/records/result_rows", id="told"),
    ],
)
def test_what_an_attempt_changes_of_a_delivery_is_written(tmp_path: Path, state: DeliveryState, place: str) -> None:
    fixed = (
        *("id", "organization_id", "event_id", "endpoint_id", "order_key", "sequence"),
        *("partition", "replay", "webhook_id", "created_at", "behind", "together"),
    )

    async def main() -> None:
        world = World(tmp_path / "it.db", SetClock(START), DAY, auto_accounts=True, kind=KIND.get())
        await world.store.open()
        endpoint = await world.endpoint()
        await world.endpoint(events=(EXHAUSTED,))  # is told of deliveries that are given up
        await world.post(incoming("wamid.1"))
        lease = await world.outbox.renew("one")
        work, *_ = await world.outbox.backlog(endpoint.id, partitions=lease.partitions, after="", limit=1)
        known = work.delivery
        changed = filled(Delivery, 1, **{name: getattr(known, name) for name in fixed}, state=state)
        attempt = filled(Attempt, 1, organization_id=known.organization_id, delivery_id=known.id, number=1)
        await world.outbox.record([Result(changed, attempt, lease.partitions[known.partition])])
        columns = [deliveries.c[name] for name in ledger_rows.DELIVERY]
        query = deliveries.select().with_only_columns(*columns).where(deliveries.c.id == known.id)
        found = await world.store.read(lambda c: ledger_rows.delivery(c.execute(query).one()))
        gone = lost(changed, found)
        assert not gone, f"Delivery.{gone[0]} is lost on {KIND.get()}: see {place} ({PAGE})"
        await world.close()

    asyncio.run(main())


# --- records that have rows of their own making -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "there", "back"),
    [
        pytest.param(Message, ledger_rows.message_row, ledger_rows.message, id="Message"),
        pytest.param(Event, ledger_rows.event_row, ledger_rows.event, id="Event"),
        pytest.param(Attempt, attempt_rows.attempt_row, attempt_rows.attempt, id="Attempt"),
    ],
)
def test_every_field_has_a_place_in_its_row(
    record: type[Struct], there: Callable[[Any], Any], back: Callable[[Any], Any]
) -> None:
    value = filled(record, 1)
    gone = lost(value, back(there(value)))
    assert not gone, f"{record.__name__}.{gone[0]} has no place in the row that stores/records makes ({PAGE})"


COLUMNS = {
    Account: "accounts",
    AgentRun: "agent_runs",
    AgentTurn: "agent_turns",
    Contact: "contacts",
    Conversation: "conversations",
    Delivery: "deliveries",
    Media: "media",
    Send: "sends",
}
"""Record → the table that has a column for every field of it."""
WITHOUT_A_FIELD = {"conversations.check_at", "deliveries.conversation_id"}
"""Columns that are only searched by."""


@pytest.mark.parametrize("record", COLUMNS, ids=lambda record: record.__name__)
def test_every_field_has_a_column_and_every_column_a_field(record: type[Struct]) -> None:
    table = metadata.tables[COLUMNS[record]]
    names = {field.name for field in fields(record)}
    for name in sorted(names - {*table.c.keys()}):
        pytest.fail(f"{record.__name__}.{name} has no column in the table {table.name} of stores/schema ({PAGE})")
    for name in sorted({*table.c.keys()} - names):
        assert f"{table.name}.{name}" in WITHOUT_A_FIELD, (
            f"{table.name}.{name} has no field in {record.__name__} ({PAGE})"
        )


# --- tables -----------------------------------------------------------------------------------------------------------


TYPES = {"TEXT": "text", "BIGINT": "bigint", "INTEGER": "integer", "BYTEA": "bytea", "BOOLEAN": "boolean"}


def test_postgresql_is_told_the_type_of_every_column_that_is_inserted() -> None:
    dialect = postgresql.dialect()
    one_by_one = (inserts.RUNS, inserts.USE, inserts.HANDOVERS)  # the server knows the types of a single row's values
    together = [each for each in vars(inserts).values() if isinstance(each, Insert) and each not in one_by_one]
    assert len(together) >= 13
    for insert in together:
        for name in insert.columns:
            told = type_of(name)
            kind = metadata.tables[insert.table].c[name].type.compile(dialect).partition(" ")[0]
            assert told == TYPES[kind], (
                f"{insert.table}.{name} is {TYPES[kind]} and is inserted as {told}: see `_TYPES` of"
                f" stores/postgres/bulk ({PAGE})"
            )


STAYS = {
    **dict.fromkeys(
        ("organizations", "api_keys", "accounts", "endpoints", "agents", "templates", "sources", "labels"),
        "what was set up",
    ),
    "members": "stay until they are deleted",
    "console_sessions": "go when they have expired (`begin` of console_sessions.py), and with their member or link",
    "login_links": "go when they were used or have expired, with the next one that is made",
    "portal_links": "stay until they are revoked, or 30 days after they expired",
    "template_syncs": "one row a business account",
    "contacts": "stay until they are erased",
    "contact_aliases": "are erased with their contact",
    "windows": "one row a contact, erased with it",
    "sequences": "one number an order key, which holds ids only",
    "media": "go with their message, uploads when they are deleted",
    "agent_turns": "one row a conversation until it is answered, erased with its contact",
    "agent_usage": "counts",
    "endpoint_health": "one row an endpoint, deleted with it",
    "endpoint_traffic": "counts, at most 900 rows an endpoint, deleted with it",
    "account_traffic": "one row an account, deleted with it",
    "failures": "one row an endpoint and a kind of failure, deleted with it",
    "traffic_counts": "counts; what is older than its span goes with the next count",
    "alert_findings": "one row a finding of the verdict, without content; goes 30 days after it is over",
    "alert_channels": "one row a channel, gone with its setting",
    "jobs": "tell what was asked for and done, without content",
    "audit": "tells who did what, without content",
    "erasures": "tell that a person was erased; go with the marks in `erased`",
    "erased": "keyed hashes, which go after 40 days",
    "sealed_keys": "keys of the installation",
    "facts": "counters of the installation",
    "schema_revisions": "one row a migration",
    "leases": "one row a partition",
    "dispatchers": "one row a process, gone with it",
}
"""Table that retention takes nothing from → why that is right, and what takes its rows instead."""


def test_of_every_table_it_is_said_what_becomes_of_its_rows() -> None:
    ends = {*retention.TABLES}
    for name in metadata.tables:
        assert (name in ends) != (name in STAYS), (
            f"what becomes of the rows of the table {name}? Either retention takes them (its TABLES), or STAYS of this"
            f" test says why not; think of erasure and export too ({PAGE})"
        )
    assert ends | STAYS.keys() == metadata.tables.keys()
