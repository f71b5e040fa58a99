"""SQLite: load the rows that a decision needs into its ledger, and the registry."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from tellwire.accounts import notices
from tellwire.model.inbound import Outcome
from tellwire.model.keys import Keys
from tellwire.model.ledger import HeldItem, Ledger, within_the_bytes
from tellwire.model.messaging import Alias, StatusFact
from tellwire.model.registry import Registry
from tellwire.privacy import tombstones
from tellwire.security.vault import Vault
from tellwire.stores.records import ledger_keys, ledger_rows, registry_rows, sending_rows
from tellwire.stores.records.registry_rows import RegistryRows
from tellwire.stores.sqlite import sending
from tellwire.stores.sqlite.bulk import KEYS, read_json

_encode = msgspec.json.Encoder().encode

_CONTACT = ",".join(f"c.{name}" for name in ledger_rows.CONTACT)
_CONVERSATION = ",".join((*(f"c.{name}" for name in ledger_rows.CONVERSATION), ledger_keys.LAST_ROW))

_MESSAGE = ",".join(f"m.{name}" for name in ledger_rows.MESSAGE)
_MESSAGES = f"SELECT {_MESSAGE} FROM {KEYS} k CROSS JOIN messages m ON m.account_id = k.a AND m.wamid = k.b"
_FACTS = (
    "SELECT f.account_id, f.wamid, f.name, f.participant, f.at, f.pricing, f.errors "
    f"FROM {KEYS} k CROSS JOIN message_statuses f ON f.account_id = k.a AND f.wamid = k.b"
)
_ALIASES = (
    f"SELECT json_group_array(json_array(a.organization_id, a.value, a.since, a.until, {_CONTACT})) "
    f"FROM {KEYS} k CROSS JOIN contact_aliases a ON a.organization_id = k.a AND a.value = k.b "
    "CROSS JOIN contacts c ON c.organization_id = a.organization_id AND c.id = a.contact_id"
)
_CONTACTS = (
    f"SELECT json_group_array(json_array({_CONTACT})) FROM {KEYS} k "
    "CROSS JOIN contacts c ON c.organization_id = k.a AND c.id = k.b"
)
_OPEN = (
    f"SELECT json_group_array(json_array({_CONVERSATION})) FROM json_each(?) k "
    "CROSS JOIN conversations c ON c.party = k.value AND c.status = 'open'"
)
_LATEST = (
    f"SELECT json_group_array(json_array({_CONVERSATION})) FROM {KEYS} k "
    "CROSS JOIN conversations c ON c.party = k.b AND c.account_id = k.a AND c.id = "
    "(SELECT max(l.id) FROM conversations l WHERE l.party = k.b AND l.account_id = k.a)"
)
_BY_ID = (
    f"SELECT json_group_array(json_array({_CONVERSATION})) FROM {KEYS} k "
    "CROSS JOIN conversations c ON c.organization_id = k.a AND c.id = k.b"
)
_HELD = (
    "SELECT h.phone_number_id, h.wamid, h.inbound_id, h.pointer, h.outcome "
    f"FROM {KEYS} k CROSS JOIN held_items h ON h.phone_number_id = k.a AND h.wamid = k.b "
    "ORDER BY h.inbound_id, h.pointer"
)
_SIZES = f"SELECT i.id, length(i.body) FROM {KEYS} k CROSS JOIN inbound i ON i.id = k.a ORDER BY i.id"
_BODIES = f"SELECT i.id, i.body FROM {KEYS} k CROSS JOIN inbound i ON i.id = k.a"
_SEALED_KEY = "SELECT sealed FROM sealed_keys WHERE name = ?"
_ERASED = (
    "SELECT json_group_array(json_array(e.organization_id, e.mark, e.erased_at)) "
    f"FROM {KEYS} k CROSS JOIN erased e ON e.organization_id = k.a AND e.mark = k.b"
)


def load(db: sqlite3.Connection, ledger: Ledger, keys: Keys) -> None:
    """Fill a ledger with the rows that the keys name; an unknown account belongs to the default organization."""
    if ledger.registry.erased_key:
        _load_erased(db, ledger, keys)
    registry = ledger.registry
    if wanted := ledger_keys.by_account(registry, keys.messages):
        for row in db.execute(_MESSAGES, (_encode(wanted).decode(),)).fetchall():
            ledger.load_message(ledger_rows.message(row))
    if keys.own:
        sending.load_own(db, ledger, keys)
    if keys.messages:
        _load_held(db, ledger, keys)
    if wanted := [*ledger_keys.by_account(registry, keys.statuses), *notices.facts_to_load(registry, keys)]:
        for account_id, wamid, name, participant, at, pricing, errors in db.execute(
            _FACTS, (_encode(wanted).decode(),)
        ).fetchall():
            fact = StatusFact(name=name, at=at, participant=participant, pricing=pricing, errors=errors)
            ledger.facts.setdefault((account_id, wamid), {})[name, participant] = fact
    _load_people(db, ledger, keys)
    _load_conversations(db, ledger, keys)
    sending.load_open(db, ledger, keys)
    sending.load_agents(db, ledger, keys)


def _load_erased(db: sqlite3.Connection, ledger: Ledger, keys: Keys) -> None:
    """Load which of the messages and addresses are of erased people."""
    places = tombstones.marks_to_look_up(ledger.registry, keys)
    tombstones.load(ledger, places, read_json(db, _ERASED, list(places)))


def _load_held(db: sqlite3.Connection, ledger: Ledger, keys: Keys) -> None:
    found = db.execute(_HELD, (_encode(list(keys.messages)).decode(),)).fetchall()
    if not found:
        return
    posts = {(inbound_id, "") for _, _, inbound_id, _, _ in found}
    sizes = db.execute(_SIZES, (_encode(list(posts)).decode(),)).fetchall()
    read = [(name, "") for name in within_the_bytes(sizes)]
    bodies = {name: b"" for name, _ in sizes} | dict(db.execute(_BODIES, (_encode(read).decode(),)).fetchall())
    for number, wamid, inbound_id, pointer, outcome in found:
        if (body := bodies.get(inbound_id)) is not None:
            item = HeldItem(inbound_id, pointer, Outcome(outcome), body)
            ledger.held.setdefault((number, wamid), []).append(item)


def _load_people(db: sqlite3.Connection, ledger: Ledger, keys: Keys) -> None:
    if wanted := ledger_keys.aliases(ledger.registry, keys):
        for organization_id, value, since, until, *row in read_json(db, _ALIASES, list(wanted)):
            contact = ledger_rows.contact(row)
            ledger.contacts[contact.id] = contact
            ledger.know_alias(organization_id, value, Alias(contact.id, since, until))
    ledger.asked |= keys.addresses
    missing = {(m.organization_id, m.contact_id) for m in ledger.by_id.values() if m.contact_id}
    while missing := {key for key in missing if key[1] not in ledger.contacts}:
        found = [ledger_rows.contact(row) for row in read_json(db, _CONTACTS, list(missing))]
        ledger.contacts |= {contact.id: contact for contact in found}
        missing = {(contact.organization_id, contact.merged_into) for contact in found if contact.merged_into}


def _load_conversations(db: sqlite3.Connection, ledger: Ledger, keys: Keys) -> None:
    accounts = ledger.registry.accounts
    parties = {*ledger.contacts, *(group for _, group in keys.parties)}
    if parties:
        for row in read_json(db, _OPEN, list(parties)):
            conversation = ledger_rows.conversation(row)
            ledger.conversations[conversation.id] = conversation
            ledger.open[conversation.account_id, conversation.party] = conversation
    if keys.latest and parties:
        numbers = {n for n, _ in keys.addresses | keys.parties if n in accounts}
        pairs = [(accounts[number].id, party) for number in numbers for party in parties]
        for row in read_json(db, _LATEST, pairs):
            conversation = ledger_rows.conversation(row)
            ledger.conversations[conversation.id] = conversation
            ledger.latest[conversation.account_id, conversation.party] = conversation
    wanted = {(m.organization_id, m.conversation_id) for m in ledger.by_id.values()} | keys.conversations
    wanted = {key for key in wanted if key[1] not in ledger.conversations}
    if wanted:
        for row in read_json(db, _BY_ID, list(wanted)):
            conversation = ledger_rows.conversation(row)
            ledger.conversations[conversation.id] = conversation
            if conversation.status == "open":
                ledger.open[conversation.account_id, conversation.party] = conversation


def registry(db: sqlite3.Connection, vault: Vault, *, lenient: bool = False) -> Registry:
    """Read all accounts, endpoints, agents and sources; `lenient` leaves out those whose secrets no key opens."""
    version = db.execute(registry_rows.VERSION).fetchone()[0]
    rows = RegistryRows(
        version=version,
        accounts=_dicts(db.execute(registry_rows.ACCOUNTS)),
        endpoints=_dicts(db.execute(registry_rows.ENDPOINTS)),
        agents=_dicts(db.execute(registry_rows.AGENTS)),
        sources=_dicts(db.execute(registry_rows.SOURCES)),
        media_key=_sealed_key(db, _SEALED_KEY, sending_rows.MEDIA_KEY),
        erased_key=_sealed_key(db, f"{_SEALED_KEY} AND EXISTS (SELECT 1 FROM erased)", ledger_rows.ERASED_KEY),
        erasing=[row[0] for row in db.execute(registry_rows.RUNNING_ERASURES)],
    )
    return registry_rows.registry(rows, vault, lenient=lenient)


def _sealed_key(db: sqlite3.Connection, query: str, name: str) -> str | None:
    row = db.execute(query, (name,)).fetchone()
    return str(row[0]) if row else None


def _dicts(cursor: sqlite3.Cursor) -> list[dict[str, Any]]:
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
