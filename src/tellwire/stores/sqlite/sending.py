"""SQLite: load and write the part of a ledger about sending and agents."""

from __future__ import annotations

import sqlite3

import msgspec
from msgspec.structs import astuple

from tellwire.meta.phone_numbers import alias
from tellwire.model.keys import Keys
from tellwire.model.ledger import Ledger
from tellwire.security.vault import Vault
from tellwire.stores.records import inserts, ledger_keys, ledger_rows, registry_rows, sending_rows
from tellwire.stores.records.inserts import TableRows
from tellwire.stores.schema.sending import IN_FLIGHT, NOT_ACCEPTED, OPEN_SEND
from tellwire.stores.sqlite.bulk import KEYS, insert_rows, read_json

_encode = msgspec.json.Encoder().encode
_MESSAGE = ",".join(f"m.{name}" for name in ledger_rows.MESSAGE)
_OWN = f"SELECT {_MESSAGE} FROM {KEYS} k CROSS JOIN messages m ON m.organization_id = k.a AND m.id = k.b"
_SEND = ",".join(f"s.{name}" for name in sending_rows.SEND)
_SENDS = (
    f"SELECT json_group_array(json_array({_SEND})) FROM {KEYS} k "
    "CROSS JOIN sends s ON s.organization_id = k.a AND s.message_id = k.b"
)
_UNSENT = (
    "SELECT json_group_array(DISTINCT s.conversation_id) FROM json_each(?) k "
    f"CROSS JOIN sends s ON s.conversation_id = k.value AND s.{OPEN_SEND}"
)
_SENDING = (
    "SELECT json_group_array(json_array(s.account_id, s.recipient)) FROM json_each(?) k "
    f"CROSS JOIN sends s ON s.account_id = k.value AND s.{IN_FLIGHT}"
)


def load_own(db: sqlite3.Connection, ledger: Ledger, keys: Keys) -> None:
    """Load our own messages that the keys name, with their sends."""
    wanted = ledger_keys.own(ledger.registry, keys)
    if not wanted:
        return
    for row in db.execute(_OWN, (_encode(wanted).decode(),)).fetchall():
        ledger.load_message(ledger_rows.message(row))
    for row in read_json(db, _SENDS, wanted):
        send = sending_rows.send(row)
        ledger.sends[send.message_id] = send


_ANSWERED = (
    "SELECT json_group_array(json_array(i.organization_id, i.key, i.created_at)) "
    f"FROM {KEYS} k CROSS JOIN idempotency_keys i ON i.organization_id = k.a AND i.key = k.b"
)


_SCHEDULED = (
    "SELECT json_group_array(json_array(k.value, "
    f"(SELECT count(*) FROM sends s WHERE s.organization_id = k.value AND s.state = 'scheduled' AND s.{NOT_ACCEPTED})))"
    " FROM json_each(?) k"
)


def load_open(db: sqlite3.Connection, ledger: Ledger, keys: Keys) -> None:
    """Load which conversations have open sends, the recipients of sends in flight when a status needs them, which
    answers are stored, and how many messages are scheduled."""
    if keys.scheduled:
        ledger.scheduled.update(read_json(db, _SCHEDULED, list(keys.scheduled)))
    if keys.answers:
        rows = read_json(db, _ANSWERED, list(keys.answers))
        ledger.answered |= {(owner, key): at for owner, key, at in rows}
    if ledger.conversations:
        ledger.unsent.update(read_json(db, _UNSENT, list(ledger.conversations)))
    accounts = ledger.registry.accounts
    known = ledger.messages
    asked = {accounts[n].id for n, wamid in keys.statuses if n in accounts and (accounts[n].id, wamid) not in known}
    if asked:
        for account_id, recipient in read_json(db, _SENDING, list(asked)):
            ledger.in_flight.setdefault(account_id, set()).add(alias(recipient))


_TURNS, _HANDOVERS = (
    f"SELECT json_group_array(json_array({','.join(f't.{name}' for name in columns)})) FROM {KEYS} k"
    f" CROSS JOIN {table} t ON t.organization_id = k.a AND t.conversation_id = k.b"
    for table, columns in (("agent_turns", sending_rows.TURN), ("handovers", sending_rows.HANDOVER))
)
_HAND_OVER = f"{inserts.HANDOVERS.head} VALUES (?,?,?,?,?) {inserts.HANDOVERS.tail}"


def load_agents(db: sqlite3.Connection, ledger: Ledger, keys: Keys) -> None:
    """Load the turns and handovers of the ledger's conversations; skipped while there are no agents."""
    if ledger.conversations and (ledger.registry.agents or keys.agents):
        places = [(each.organization_id, each.id) for each in ledger.conversations.values()]
        sending_rows.add_agents(ledger, read_json(db, _TURNS, places), read_json(db, _HANDOVERS, places))


def _write_agents(db: sqlite3.Connection, ledger: Ledger) -> None:
    for table, ended in (("agent_turns", ledger.ended_turns), ("handovers", ledger.ended_handovers)):
        for place, owner in ended.items():
            db.execute(f"DELETE FROM {table} WHERE organization_id=? AND conversation_id=?", (owner, place))
    insert_rows(db, inserts.agent_turns(ledger))
    for handover in ledger.new_handovers.values():
        db.execute(_HAND_OVER, (*astuple(handover), ledger.now))
    insert_rows(db, TableRows(inserts.RUNS, [sending_rows.run_row(run) for run in ledger.new_runs]))
    insert_rows(db, TableRows(inserts.USE, sending_rows.use_rows(ledger.new_runs)))


def write(db: sqlite3.Connection, ledger: Ledger, vault: Vault) -> None:
    """Write the changes of a ledger about sending and agents."""
    insert_rows(db, inserts.sends(ledger))
    insert_rows(db, inserts.media(ledger))
    _write_agents(db, ledger)
    for place, at in ledger.new_calls.items():
        db.execute(
            "INSERT INTO windows(organization_id,account_id,party,called_at) VALUES (?,?,?,?) ON CONFLICT"
            " (organization_id,account_id,party) DO UPDATE SET called_at=max(called_at, excluded.called_at)",
            (*place, at),
        )
    for change in ledger.template_changes:
        columns, values = sending_rows.template_update(change, ledger.now)
        db.execute(
            f"UPDATE templates SET {', '.join(f'{name}=?' for name in columns)} WHERE organization_id=? AND waba_id=?"
            " AND (meta_id=? OR (name=? AND language=?))",
            values,
        )
        db.execute(
            "UPDATE template_syncs SET asked_at=?, due_at=min(due_at, max(?, synchronised_at + ?))"
            " WHERE organization_id=? AND waba_id=?",
            sending_rows.sync_request(change, ledger.now),
        )
    for (organization_id, key), answer in ledger.new_answers.items():
        db.execute(
            "INSERT OR REPLACE INTO idempotency_keys(organization_id,key,request_hash,status,answer,created_at)"
            " VALUES (?,?,?,?,?,?)",
            sending_rows.answer_row(vault, organization_id, key, answer, ledger.now),
        )
    for account in ledger.changed_accounts.values():
        changes = sending_rows.account_changes(account)
        db.execute(
            f"UPDATE accounts SET {', '.join(f'{name}=?' for name in changes)} WHERE id=?",
            (*changes.values(), account.id),
        )
    if ledger.changed_accounts:
        db.execute(registry_rows.RAISE_VERSION)


def make_key(db: sqlite3.Connection, vault: Vault) -> None:
    """Make the key that links to media are signed with, unless there is one."""
    made = (sending_rows.MEDIA_KEY, sending_rows.new_media_key(vault))
    db.execute(
        "INSERT INTO sealed_keys(name,sealed) SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM sealed_keys WHERE name = ?)",
        (*made, sending_rows.MEDIA_KEY),
    )
