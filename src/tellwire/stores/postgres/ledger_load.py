"""PostgreSQL: load everything that a ledger needs in one round trip.

Rows come as JSON texts, which msgspec decodes faster than a driver makes rows; bytes are hexadecimal.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from tellwire.accounts import notices
from tellwire.meta.phone_numbers import alias
from tellwire.model.inbound import Outcome
from tellwire.model.keys import Keys
from tellwire.model.ledger import HeldItem, Ledger, within_the_bytes
from tellwire.model.messaging import Alias, StatusFact
from tellwire.model.registry import Registry
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.model.units import Micros, Seconds
from tellwire.privacy import tombstones
from tellwire.security.vault import Vault
from tellwire.stores.postgres.connections import Connection
from tellwire.stores.records import ledger_keys, ledger_rows, registry_rows, sending_rows
from tellwire.stores.records.registry_rows import RegistryRows
from tellwire.stores.schema.sending import IN_FLIGHT, NOT_ACCEPTED, OPEN_SEND

_BYTES = {"record", "content", "pricing", "errors"}


def _row(alias: str, names: Iterable[str], *more: str) -> str:
    columns = [f"encode({alias}.{name},'hex')" if name in _BYTES else f"{alias}.{name}" for name in names]
    return f"json_build_array({','.join((*columns, *more))})"


_UNSENT = f"EXISTS (SELECT 1 FROM sends s WHERE s.conversation_id = c.id AND s.{OPEN_SEND})"
_OWN = ", ".join(
    f"(SELECT max(id) FROM {table} WHERE organization_id = o.id)"
    for table in ("events", "deliveries", "messages", "conversations")
)
HIGHEST = f"SELECT max(greatest({_OWN})) FROM organizations o"


def found(table: str, alias: str, condition: str, more: str = "") -> str:
    """Return a join that finds rows by an index, one by one, whatever the statistics of the table are.

    OFFSET 0 keeps the condition inside, because a plan made while a table was small would go on to read all of it.
    """
    return f"CROSS JOIN LATERAL (SELECT * FROM {table} WHERE {condition} {more} OFFSET 0) {alias}"


_HELD = 8
"""The place of the held items in a row of `LOAD`."""
LOAD = f"""
WITH RECURSIVE
message AS MATERIALIZED (
  SELECT m.* FROM unnest($2::text[], $3::text[]) k(a, b) {found("messages", "m", "account_id = k.a AND wamid = k.b")}
  UNION SELECT m.* FROM unnest($14::text[], $15::text[]) k(a, b)
  {found("messages", "m", "organization_id = k.a AND id = k.b")}),
alias AS MATERIALIZED (
  SELECT a.* FROM unnest($6::text[], $7::text[]) k(a, b)
  {found("contact_aliases", "a", "organization_id = k.a AND value = k.b")}),
person(organization_id, id) AS (
  SELECT organization_id, contact_id FROM alias
  UNION SELECT organization_id, contact_id FROM message WHERE contact_id <> ''
  UNION SELECT c.organization_id, c.merged_into FROM person p
  {found("contacts", "c", "organization_id = p.organization_id AND id = p.id")} WHERE c.merged_into <> ''),
contact AS MATERIALIZED (
  SELECT c.* FROM person p {found("contacts", "c", "organization_id = p.organization_id AND id = p.id")}),
party(id) AS MATERIALIZED (SELECT id FROM contact UNION SELECT unnest($8::text[])),
conversation AS MATERIALIZED (
  SELECT false AS latest, c.* FROM party p {found("conversations", "c", "party = p.id AND status = 'open'")}
  UNION ALL SELECT true, c.* FROM party p CROSS JOIN unnest($9::text[]) a(id)
  {found("conversations", "c", "party = p.id AND account_id = a.id", "ORDER BY id DESC LIMIT 1")}
  UNION ALL SELECT false, c.* FROM (
    SELECT organization_id, conversation_id FROM message UNION SELECT * FROM unnest($10::text[], $11::text[])) k
  {found("conversations", "c", "organization_id = k.organization_id AND id = k.conversation_id")})
SELECT
(SELECT value FROM facts WHERE name = 'registry'),
(SELECT max(greatest({_OWN})) FROM unnest($1::text[]) o(id)),
(SELECT json_object_agg(o.id, (SELECT max(id) FROM deliveries WHERE organization_id = o.id))
 FROM unnest($1::text[]) o(id)),
(SELECT json_agg({_row("m", ledger_rows.MESSAGE)}) FROM message m),
(SELECT json_agg({_row("f", ("account_id", "wamid", "name", "participant", "at", "pricing", "errors"))})
 FROM unnest($4::text[], $5::text[]) k(a, b)
 {found("message_statuses", "f", "account_id = k.a AND wamid = k.b")}),
(SELECT json_agg(json_build_array(a.organization_id, a.value, a.contact_id, a.since, a.until)) FROM alias a),
(SELECT json_agg({_row("c", ledger_rows.CONTACT)}) FROM contact c),
(SELECT json_agg({_row("c", ledger_rows.CONVERSATION, ledger_keys.LAST_ROW, "c.latest", _UNSENT)}) FROM conversation c),
(SELECT json_agg(json_build_array(h.phone_number_id, h.wamid, h.inbound_id, h.pointer, h.outcome)
   ORDER BY h.inbound_id, h.pointer)
 FROM unnest($12::text[], $13::text[]) k(a, b)
 {found("held_items", "h", "phone_number_id = k.a AND wamid = k.b")}),
(SELECT json_agg({_row("s", sending_rows.SEND)}) FROM unnest($14::text[], $15::text[]) k(a, b)
 {found("sends", "s", "organization_id = k.a AND message_id = k.b")}),
(SELECT json_agg(json_build_array(s.account_id, s.recipient)) FROM (SELECT DISTINCT unnest($4::text[]) AS a) k
 {found("sends", "s", f"account_id = k.a AND {IN_FLIGHT}")})
"""


_SIZES = "SELECT id, length(body) FROM inbound WHERE id = ANY($1::text[]) ORDER BY id"
_BODIES = "SELECT id, body FROM inbound WHERE id = ANY($1::text[])"
_ERASED = f"""
SELECT e.organization_id, e.mark, e.erased_at FROM unnest($1::text[], $2::text[]) k(a, b)
{found("erased", "e", "organization_id = k.a AND mark = k.b")}
"""
_ERASED_KEY = "SELECT sealed FROM sealed_keys WHERE name = $1 AND EXISTS (SELECT 1 FROM erased)"


_ANSWERED = (
    "SELECT i.organization_id, i.key, i.created_at FROM unnest($1::text[], $2::text[]) k(a, b)"
    " JOIN idempotency_keys i ON i.organization_id = k.a AND i.key = k.b"
)


_SCHEDULED = (
    "SELECT k.a, (SELECT count(*) FROM sends s WHERE s.organization_id = k.a AND s.state = 'scheduled'"
    f" AND s.{NOT_ACCEPTED}) FROM unnest($1::text[]) k(a)"
)


class ErasedMarks(Struct, frozen=True):
    """The marks that were `wanted`, with what each is of, and those `found`, with the times of the erasures."""

    wanted: Mapping[tombstones.Mark, tuple[str, str]] = {}
    found: Sequence[tuple[str, str, Micros]] = ()


class LoadedRows(Struct, frozen=True):
    """The result of `read`: the ledger's rows (`row`), and the registry's version.

    `held`: the items that wait, as (phone_number_id, wamid, inbound id, pointer, outcome), and `held_bodies` the POSTs
    that they came in, by id.

    `floor`: the highest id of the organizations. `last`: the highest id of each organization's deliveries, from any
    process. `answered`: the stored answers as (organization id, Idempotency-Key, time). `scheduled`: how many messages
    organizations have scheduled.
    """

    version: int
    floor: str
    last: dict[str, str]
    row: Any
    erased: ErasedMarks
    answered: Sequence[tuple[str, str, Micros]]
    held: Sequence[tuple[str, str, str, str, str]]
    held_bodies: Mapping[str, bytes]
    scheduled: Mapping[str, int]


def pairs_of(keys: Keys) -> tuple[set[tuple[str, str]], ...]:
    """Return the sets of keys that are pairs beginning with a phone number id."""
    return keys.messages, keys.statuses, keys.addresses, keys.parties, keys.own


def organizations(keys: Keys, registry: Registry) -> list[str]:
    """Return, sorted, the organizations whose rows a decision may touch; unknown numbers belong to the default one."""
    numbers = {number for pairs in pairs_of(keys) for number, _ in pairs}
    found = {ledger_keys.owner_of(registry, number) for number in numbers}
    found |= {organization_id for organization_id, _ in keys.conversations} | notices.organizations(registry, keys)
    return sorted(found or {DEFAULT_ORGANIZATION})


async def read(connection: Connection, keys: Keys, registry: Registry, organization_ids: Collection[str]) -> LoadedRows:
    """Read the rows that the keys name, with the accounts of the registry."""
    accounts = registry.accounts
    latest = {accounts[n].id for n, _ in keys.addresses | keys.parties if n in accounts} if keys.latest else set[str]()
    row = await connection.fetchrow(
        LOAD,
        list(organization_ids),
        *_columns(ledger_keys.by_account(registry, keys.messages)),
        *_columns([*ledger_keys.by_account(registry, keys.statuses), *notices.facts_to_load(registry, keys)]),
        *_columns(ledger_keys.aliases(registry, keys)),
        [group for _, group in keys.parties],
        list(latest),
        *_columns(keys.conversations),
        *_columns(keys.messages),
        *_columns(ledger_keys.own(registry, keys)),
    )
    if row is None:
        raise RuntimeError("a query without a row")
    erased = await _erased(connection, keys, registry)
    last: dict[str, str | None] = msgspec.json.decode(row[2])
    highest = {organization: found or "" for organization, found in last.items()}
    held = msgspec.json.decode(row[_HELD]) if row[_HELD] else ()
    bodies = await _held_bodies(connection, {each[2] for each in held}) if held else {}
    answered = await _answered(connection, keys)
    return LoadedRows(
        version=row[0],
        floor=row[1] or "",
        last=highest,
        row=row,
        erased=erased,
        answered=answered,
        held=held,
        held_bodies=bodies,
        scheduled=await _scheduled(connection, keys),
    )


async def _held_bodies(connection: Connection, names: Collection[str]) -> Mapping[str, bytes]:
    """Return the bodies of POSTs with items that wait; b"" for those that this transaction has no room for."""
    sizes = [(row[0], row[1]) for row in await connection.fetch(_SIZES, list(names))]
    bodies = await connection.fetch(_BODIES, within_the_bytes(sizes))
    return {name: b"" for name, _ in sizes} | {row[0]: row[1] for row in bodies}


async def _answered(connection: Connection, keys: Keys) -> list[tuple[str, str, Micros]]:
    """Return the answers stored under the Idempotency-Keys; queried only when a request has one."""
    if not keys.answers:
        return []
    return [tuple(row) for row in await connection.fetch(_ANSWERED, *_columns(keys.answers))]


async def _scheduled(connection: Connection, keys: Keys) -> Mapping[str, int]:
    """Return how many messages organizations have scheduled; queried only when one more is to be."""
    if not keys.scheduled:
        return {}
    return {row[0]: row[1] for row in await connection.fetch(_SCHEDULED, list(keys.scheduled))}


async def _erased(connection: Connection, keys: Keys, registry: Registry) -> ErasedMarks:
    """Return which messages and addresses are of erased people; queried only while marks are stored."""
    if not registry.erased_key:
        return ErasedMarks()
    marks = tombstones.marks_to_look_up(registry, keys)
    return ErasedMarks(marks, [tuple(row) for row in await connection.fetch(_ERASED, *_columns(marks))])


def _columns(pairs: Collection[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [a for a, _ in pairs], [b for _, b in pairs]


def fill(ledger: Ledger, loaded: LoadedRows) -> None:
    """Put the rows that were read into the ledger."""
    tombstones.load(ledger, loaded.erased.wanted, loaded.erased.found)
    ledger.answered |= {(owner, key): at for owner, key, at in loaded.answered}
    ledger.scheduled.update(loaded.scheduled)
    messages, facts, aliases, contacts, conversations, _, sends, sending = (
        msgspec.json.decode(text) if text else () for text in loaded.row[3:]
    )
    for *columns, record, content in messages:
        ledger.load_message(ledger_rows.message((*columns, bytes.fromhex(record), bytes.fromhex(content))))
    for row in sends:
        ledger.sends[row[0]] = sending_rows.send(row)
    for account_id, recipient in sending:
        ledger.in_flight.setdefault(account_id, set()).add(alias(recipient))
    for account_id, wamid, name, participant, at, pricing, errors in facts:
        fact = StatusFact(
            name=name, at=at, participant=participant, pricing=bytes.fromhex(pricing), errors=bytes.fromhex(errors)
        )
        ledger.facts.setdefault((account_id, wamid), {})[name, participant] = fact
    ledger.contacts |= {row[0]: ledger_rows.contact(row) for row in contacts}
    _fill_aliases(ledger, aliases)
    for *columns, latest, unsent in conversations:
        conversation = ledger_rows.conversation(columns)
        ledger.conversations[conversation.id] = conversation
        if unsent:
            ledger.unsent.add(conversation.id)
        if latest:
            ledger.latest[conversation.account_id, conversation.party] = conversation
        elif conversation.status == "open":
            ledger.open[conversation.account_id, conversation.party] = conversation
    _fill_held(ledger, loaded)


def _fill_aliases(ledger: Ledger, aliases: Iterable[tuple[str, str, str, Seconds, Seconds]]) -> None:
    for owner, value, contact, since, until in aliases:
        if contact in ledger.contacts:
            ledger.know_alias(owner, value, Alias(contact, since, until))


def _fill_held(ledger: Ledger, loaded: LoadedRows) -> None:
    for number, wamid, inbound_id, pointer, outcome in loaded.held:
        if (body := loaded.held_bodies.get(inbound_id)) is not None:
            item = HeldItem(inbound_id, pointer, Outcome(outcome), body)
            ledger.held.setdefault((number, wamid), []).append(item)


async def registry(connection: Connection, vault: Vault, *, lenient: bool = False) -> Registry:
    """Read all accounts, endpoints, agents and sources, at least as new as the version says.

    `lenient` leaves out those whose secrets no master key opens.
    """
    rows = RegistryRows(
        version=await connection.fetchval(registry_rows.VERSION),
        accounts=await connection.fetch(registry_rows.ACCOUNTS),
        endpoints=await connection.fetch(registry_rows.ENDPOINTS),
        agents=await connection.fetch(registry_rows.AGENTS),
        sources=await connection.fetch(registry_rows.SOURCES),
        media_key=await connection.fetchval("SELECT sealed FROM sealed_keys WHERE name = $1", sending_rows.MEDIA_KEY),
        erased_key=await connection.fetchval(_ERASED_KEY, ledger_rows.ERASED_KEY),
        erasing=[row[0] for row in await connection.fetch(registry_rows.RUNNING_ERASURES)],
    )
    return registry_rows.registry(rows, vault, lenient=lenient)
