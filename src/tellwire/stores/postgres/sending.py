"""PostgreSQL: the rarer changes of a ledger about sending and agents, one statement each."""

from __future__ import annotations

from msgspec.structs import astuple

from tellwire.model.keys import Keys
from tellwire.model.ledger import Ledger
from tellwire.security.vault import Vault
from tellwire.stores.postgres.connections import Connection
from tellwire.stores.records import inserts, registry_rows, sending_rows
from tellwire.stores.records.inserts import Insert, or_update
from tellwire.stores.records.sending_rows import (
    MEDIA_KEY,
    AnswerRow,
    account_changes,
    answer_row,
    new_media_key,
    sync_request,
    template_update,
)

_TURNS, _HANDOVERS = (
    f"SELECT {','.join(f't.{name}' for name in columns)} FROM unnest($1::text[], $2::text[]) k(a, b)"
    f" CROSS JOIN LATERAL (SELECT * FROM {table} WHERE organization_id = k.a AND conversation_id = k.b OFFSET 0) t"
    for table, columns in (("agent_turns", sending_rows.TURN), ("handovers", sending_rows.HANDOVER))
)


async def load_agents(connection: Connection, ledger: Ledger, keys: Keys) -> None:
    """Load the turns and handovers of the ledger's conversations; skipped while there are no agents."""
    if not ledger.conversations or not (ledger.registry.agents or keys.agents):
        return
    some = ledger.conversations.values()
    places = [each.organization_id for each in some], [each.id for each in some]
    turns = await connection.fetch(_TURNS, *places)
    sending_rows.add_agents(ledger, turns, await connection.fetch(_HANDOVERS, *places))


async def _write_agents(connection: Connection, ledger: Ledger) -> None:
    for handover in ledger.new_handovers.values():
        await connection.execute(_HAND_OVER, *astuple(handover), ledger.now)
    for table, ended in (("agent_turns", ledger.ended_turns), ("handovers", ledger.ended_handovers)):
        for place, owner in ended.items():
            await connection.execute(
                f"DELETE FROM {table} WHERE organization_id=$1 AND conversation_id=$2", owner, place
            )
    for run in ledger.new_runs:
        await connection.execute(_RUN, *sending_rows.run_row(run))
    for use in sending_rows.use_rows(ledger.new_runs):
        await connection.execute(_USE, *use)


def _one_row(insert: Insert) -> str:
    places = ",".join(f"${number}" for number, _ in enumerate(insert.columns, 1))
    return f"{insert.head} VALUES ({places}) {insert.tail}".rstrip()


_RUN = _one_row(inserts.RUNS)
_USE = _one_row(inserts.USE)
_HAND_OVER = _one_row(inserts.HANDOVERS)
_KEEP_ANSWER = _one_row(
    Insert(
        "idempotency_keys",
        AnswerRow._fields,
        or_update(("organization_id", "key"), ("request_hash", "status", "answer", "created_at")),
    )
)


async def write(connection: Connection, ledger: Ledger, vault: Vault) -> None:
    """Write the changes of a ledger about sending and agents."""
    await _write_agents(connection, ledger)
    for place, at in ledger.new_calls.items():
        await connection.execute(
            "INSERT INTO windows(organization_id,account_id,party,called_at) VALUES ($1,$2,$3,$4) ON CONFLICT"
            " (organization_id,account_id,party) DO UPDATE SET"
            " called_at=greatest(windows.called_at, excluded.called_at)",
            *place,
            at,
        )
    for change in ledger.template_changes:
        columns, values = template_update(change, ledger.now)
        sets = ", ".join(f"{name}=${number}" for number, name in enumerate(columns, 1))
        a, b, c, d, e = (f"${len(columns) + number}" for number in range(1, 6))
        await connection.execute(
            f"UPDATE templates SET {sets} WHERE organization_id={a} AND waba_id={b}"
            f" AND (meta_id={c} OR (name={d} AND language={e}))",
            *values,
        )
        await connection.execute(
            "UPDATE template_syncs SET asked_at=$1, due_at=least(due_at, greatest($2, synchronised_at + $3))"
            " WHERE organization_id=$4 AND waba_id=$5",
            *sync_request(change, ledger.now),
        )
    for (organization_id, key), answer in ledger.new_answers.items():
        await connection.execute(
            _KEEP_ANSWER,
            *answer_row(vault, organization_id, key, answer, ledger.now),
        )
    for account in ledger.changed_accounts.values():
        changes = account_changes(account)
        sets = ", ".join(f"{name}=${number}" for number, name in enumerate(changes, 2))
        await connection.execute(f"UPDATE accounts SET {sets} WHERE id=$1", account.id, *changes.values())
    if ledger.changed_accounts:
        await connection.execute(registry_rows.RAISE_VERSION)


async def make_key(connection: Connection, vault: Vault) -> None:
    """Make the key that links to media are signed with, unless there is one."""
    if not await connection.fetchval("SELECT EXISTS (SELECT 1 FROM sealed_keys WHERE name = $1)", MEDIA_KEY):
        made = "INSERT INTO sealed_keys(name,sealed) VALUES ($1,$2) ON CONFLICT DO NOTHING"
        await connection.execute(made, MEDIA_KEY, new_media_key(vault))
