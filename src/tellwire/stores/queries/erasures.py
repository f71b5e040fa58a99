"""Erasures as rows: begun in one transaction, then continued in batches by any process."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select, text, update

from tellwire.model.erasures import Counts, Erasure, Subject
from tellwire.model.messaging import NEVER
from tellwire.model.units import MICROS, Micros
from tellwire.privacy import tombstones
from tellwire.security.vault import Vault
from tellwire.stores.queries import conversation_marks, person_rows, registry_version, send_cleanup
from tellwire.stores.queries import tombstones as tombstone_queries
from tellwire.stores.queries.audit import AuditChange, note
from tellwire.stores.schema.tables import RUNNING, contact_aliases, contacts, conversations, erased, erasures

_BATCH = 1000


def begin(
    connection: Connection, change: AuditChange, vault: Vault, contact_id: str, *, nobodys: bool = False
) -> Erasure | None:
    """Begin an erasure: delete the contact and its addresses at once, so that new webhooks do not find it.

    The rows about the person are erased later, in batches; `nobodys` as in `Subject`.

    Returns: the erasure, or None when there is no such contact.
    """
    person = person_rows.get(connection, change.organization_id, contact_id)
    if person is None:
        return None
    owner, ids = change.organization_id, person.ids
    theirs = [each.id for each in person_rows.conversations_of(connection, owner, ids)]
    key = tombstone_queries.key(connection, vault)
    for address in sorted(person.addresses):
        until = min(change.at, person.spans.get(address, (0, NEVER))[1] * MICROS)
        tombstone_queries.mark(connection, [tombstones.of_address(key, owner, address)], until)
    connection.execute(delete(contact_aliases).where(contact_aliases.c.contact_id.in_(ids)))
    connection.execute(delete(contacts).where(contacts.c.organization_id == owner, contacts.c.id.in_(ids)))
    for start in range(0, len(theirs), _BATCH):
        some = theirs[start : start + _BATCH]
        mine = conversations.c.organization_id == owner
        connection.execute(delete(conversations).where(mine, conversations.c.id.in_(some)))
        conversation_marks.forget(connection, owner, some)
        send_cleanup.cancel_sends(connection, owner, some, change.at)
    send_cleanup.delete_windows(connection, owner, ids)
    identifier = change.new_id()
    erasure = Erasure(
        id=identifier,
        organization_id=owner,
        contact_id=ids[0],
        contact_ids=ids,
        state="running",
        phase="direct",
        cursor="",
        counts=Counts(),
        subject=Subject(tuple(sorted(person.addresses)), tuple(theirs), identifier, nobodys, person.spans),
        erased_at=change.at,
        finished_at=0,
    )
    connection.execute(insert(erasures).values(_columns(erasure, vault)))
    registry_version.advance(connection)
    note(connection, change, "contact.erased", ids[0])
    return erasure


def running(connection: Connection) -> list[tuple[str, str]]:
    """Return (organization id, id) of the erasures that are not done, oldest first."""
    query = select(erasures.c.organization_id, erasures.c.id).where(text(RUNNING)).order_by(erasures.c.id)
    return [(row.organization_id, row.id) for row in connection.execute(query)]


def get(connection: Connection, vault: Vault, organization_id: str, erasure_id: str) -> Erasure | None:
    """Return an erasure, None when there is none."""
    query = select(erasures).where(erasures.c.organization_id == organization_id, erasures.c.id == erasure_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else _erasure(row, vault)


def of_contact(connection: Connection, vault: Vault, organization_id: str, contact_id: str) -> Erasure | None:
    """Return the erasure of a contact, None when there is none or it is no longer stored."""
    query = select(erasures).where(
        erasures.c.contact_id == contact_id, erasures.c.organization_id.concat("") == organization_id
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else _erasure(row, vault)


def advance(connection: Connection, erasure: Erasure, counts: Counts, **fields: Any) -> Erasure:
    """Write the new fields of an erasure, and add `counts` to its counts."""
    before = msgspec.structs.asdict(erasure.counts)
    added = Counts(**{name: value + getattr(counts, name) for name, value in before.items()})
    moved = replace(erasure, counts=added, **fields)
    columns: dict[str, Any] = {"phase": moved.phase, "cursor": moved.cursor, "counts": msgspec.json.encode(added)}
    mine = (erasures.c.organization_id == erasure.organization_id) & (erasures.c.id == erasure.id)
    connection.execute(update(erasures).where(mine).values(columns))
    return moved


def finish(connection: Connection, erasure: Erasure, now: Micros) -> Erasure:
    """Mark an erasure as done, delete whom it was about, and make every process read the registry anew."""
    mine = (erasures.c.organization_id == erasure.organization_id) & (erasures.c.id == erasure.id)
    columns = {"state": "done", "phase": "done", "cursor": "", "sealed": "", "finished_at": now}
    connection.execute(update(erasures).where(mine).values(columns))
    registry_version.advance(connection)
    return replace(erasure, state="done", phase="done", cursor="", subject=Subject(), finished_at=now)


def outlived(connection: Connection, now: Micros) -> bool:
    """Return whether there are marks or erasures old enough to drop."""
    marks = select(erased.c.mark).where(erased.c.erased_at <= now - tombstones.KEPT).limit(1)
    finished = select(erasures.c.id).where(_old(now)).limit(1)
    return any(connection.execute(query).first() is not None for query in (marks, finished))


def prune(connection: Connection, now: Micros) -> None:
    """Drop finished erasures whose marks are gone too."""
    connection.execute(delete(erasures).where(_old(now)))


def _old(now: Micros) -> ColumnElement[bool]:
    return and_(erasures.c.state == "done", erasures.c.erased_at <= now - tombstones.KEPT)


def _columns(erasure: Erasure, vault: Vault) -> dict[str, Any]:
    columns = msgspec.structs.asdict(erasure)
    subject = columns.pop("subject")
    return columns | {
        "contact_ids": msgspec.json.encode(erasure.contact_ids),
        "counts": msgspec.json.encode(erasure.counts),
        "sealed": vault.seal(msgspec.json.encode(subject).decode() if subject != Subject() else "", _place(erasure.id)),
    }


def _erasure(row: Any, vault: Vault) -> Erasure:
    columns = {str(name): value for name, value in row._mapping.items()}  # noqa: SLF001 - its public name for it
    sealed = vault.unseal(columns.pop("sealed"), _place(row.id))
    columns["subject"] = msgspec.json.decode(sealed, type=Subject) if sealed else Subject()
    columns["contact_ids"] = tuple(msgspec.json.decode(row.contact_ids, type=list[str]))
    columns["counts"] = msgspec.json.decode(row.counts, type=Counts)
    return Erasure(**columns)


def _place(erasure_id: str) -> str:
    return f"erasures/{erasure_id}"
