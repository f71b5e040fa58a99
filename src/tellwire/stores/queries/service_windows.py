"""The last message or call of a contact, by Meta's time, which opens the customer service window."""

from __future__ import annotations

from sqlalchemy import Connection, func, select, text

from tellwire.meta.outgoing.windows import window_closed
from tellwire.meta.phone_numbers import alias, variants
from tellwire.model.tenancy import Account
from tellwire.model.units import Micros, Seconds
from tellwire.stores.records import ledger_rows
from tellwire.stores.schema.sending import windows
from tellwire.stores.schema.tables import MERGED, contact_aliases, contacts, conversations, messages

_CONVERSATIONS = 20
_ROWS = 200
_SYSTEM = b'{"type":"system"'
"""How the content begins of what the system says, which no customer wrote."""
_MESSAGE = tuple(messages.c[name] for name in ledger_rows.MESSAGE)


def closed(connection: Connection, organization_id: str, account_id: str, party: str, now: Micros) -> bool:
    """Return whether the window of a contact or group has closed; False too when no message or call is known.

    Args:
        party: the conversation's party: a contact's id or a group's.
    """
    return window_closed(now, last_incoming_at(connection, organization_id, account_id, party) or None)


def last_incoming_at(connection: Connection, organization_id: str, account_id: str, party: str) -> Seconds:
    """Return Meta's time of the latest message or call of a contact or group on an account, 0 when none is known.

    Messages of Meta's `history` are not counted, nor what the system says. Only the newest conversations are read, and
    the last messages in each.
    """
    newest = (
        select(conversations.c.id)
        .where(
            conversations.c.organization_id == organization_id,
            conversations.c.party == party,
            conversations.c.account_id == account_id,
        )
        .order_by(conversations.c.id.desc())
        .limit(_CONVERSATIONS)
    )
    written = 0
    for conversation_id in connection.execute(newest).scalars().all():
        written = _written(connection, conversation_id)
        if written:
            break
    return max(written, _called(connection, organization_id, account_id, party))


def _written(connection: Connection, conversation_id: str) -> Seconds:
    query = (
        select(*_MESSAGE)
        .where(messages.c.conversation_id == conversation_id, messages.c.direction == "incoming")
        .order_by(messages.c.id.desc())
        .limit(_ROWS)
    )
    found = (ledger_rows.message(row) for row in connection.execute(query))
    return max((m.timestamp for m in found if not m.history and not m.content.startswith(_SYSTEM)), default=0)


def _called(connection: Connection, organization_id: str, account_id: str, party: str) -> Seconds:
    """Return the time of the last call, also of contacts that were merged into this one after they called."""
    merged = select(contacts.c.id).where(
        contacts.c.merged_into == party, text(MERGED), contacts.c.organization_id == organization_id
    )
    query = select(func.max(windows.c.called_at)).where(
        windows.c.organization_id == organization_id,
        windows.c.account_id == account_id,
        (windows.c.party == party) | windows.c.party.in_(merged),
    )
    return connection.execute(query).scalar() or 0


def party_of(connection: Connection, account: Account, address: str, at: Seconds, *, last: bool = False) -> str:
    """Return the id of the contact who has an address at a time, or another spelling of a phone number; "" when there
    is none. `last`: of a number that was left, who had it last."""
    spellings = (alias(address), *variants(address))
    table = contact_aliases.c
    query = select(table.value, table.contact_id, table.until).where(
        table.organization_id == account.organization_id, table.value.in_(spellings)
    )
    found = sorted(connection.execute(query), key=lambda row: (spellings.index(row.value), row.until))
    now = next((row.contact_id for row in found if at <= row.until), None)
    if now is None and last and found:
        return str(max(found, key=lambda row: row.until).contact_id)
    return now or ""
