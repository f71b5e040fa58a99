"""Accounts: the WhatsApp business numbers of an organization."""

from __future__ import annotations

from sqlalchemy import Connection, Row, delete, insert, select, text, update

from tellwire.accounts import facts
from tellwire.errors import Conflict
from tellwire.model.inbound import Outcome
from tellwire.model.tenancy import Account
from tellwire.model.units import MICROS, Micros
from tellwire.security.vault import Vault
from tellwire.stores.queries import registry_version
from tellwire.stores.queries.audit import AuditChange, note_change
from tellwire.stores.queries.paging import Page, PageRequest, columns, newest
from tellwire.stores.records import ledger_rows
from tellwire.stores.schema.sending import DUE_SEND, IN_FLIGHT, sends
from tellwire.stores.schema.tables import account_traffic, accounts, held_items


def add(connection: Connection, change: AuditChange, vault: Vault, account: Account) -> Account:
    """Store a new account.

    Raises:
        Conflict: another account of the installation has its phone_number_id.
    """
    number = accounts.c.phone_number_id == account.phone_number_id
    if connection.execute(select(accounts.c.id).where(number)).first() is not None:
        raise Conflict(
            "An account with this phone_number_id exists in this installation.",
            ("/phone_number_id", "is taken"),
        )
    connection.execute(insert(accounts).values(ledger_rows.account_values(account, vault)))
    note_change(connection, change, "account.created", account.id)
    return account


def find(connection: Connection, vault: Vault, organization_id: str, name: str) -> Account | None:
    """Return an account of an organization, by our id or its phone_number_id; None when there is none."""
    query = select(accounts).where(
        accounts.c.organization_id == organization_id, (accounts.c.id == name) | (accounts.c.phone_number_id == name)
    )
    row = connection.execute(query).first()
    return None if row is None else _account(row, vault)


def page(connection: Connection, vault: Vault, organization_id: str, request: PageRequest) -> Page[Account]:
    """Return a page of the accounts of an organization."""
    query = select(accounts).where(accounts.c.organization_id == organization_id)
    return newest(connection, query, accounts.c.id, request, lambda row: _account(row, vault))


def change(
    connection: Connection, change: AuditChange, vault: Vault, account: Account, *, action: str = "account.changed"
) -> Account:
    """Write a changed account; `action` is the word for the audit."""
    columns = ledger_rows.account_values(account, vault)
    connection.execute(update(accounts).where(accounts.c.id == account.id).values(columns))
    note_change(connection, change, action, account.id)
    return account


def note_token(connection: Connection, account: Account, answer: str, now: Micros) -> None:
    """Record on the account whether Meta accepts its token; "accepted" is recorded only after "refused"."""
    row = connection.execute(select(accounts.c.about).where(accounts.c.id == account.id)).first()
    if row is None:
        return
    known = facts.known(row.about).get(facts.TOKEN)
    if answer == (known.value if known else "accepted"):
        return
    merged = facts.merged(row.about, {facts.TOKEN: f'"{answer}"'.encode()}, now // MICROS)
    connection.execute(update(accounts).where(accounts.c.id == account.id).values(about=merged))
    registry_version.advance(connection)


def remove(connection: Connection, change: AuditChange, account: Account) -> None:
    """Delete an account; its conversations and messages stay, and messages still to be sent are cancelled.

    A message that is being sent at that moment becomes `unknown`, because its answer no longer finds an account. Items
    that wait for a message of the account wait no longer: its number may be another organization's next.
    """
    over = {"cause": "the account was deleted", "updated_at": change.at}
    mine = sends.c.account_id == account.id
    connection.execute(update(sends).where(mine, text(DUE_SEND)).values(state="cancelled", **over))
    connection.execute(update(sends).where(mine, text(IN_FLIGHT)).values(state="unknown", **over))
    waits = held_items.c.phone_number_id == account.phone_number_id
    connection.execute(delete(held_items).where(waits, held_items.c.outcome != Outcome.UNROUTED))
    traffic = account_traffic.c
    mine = (traffic.organization_id == account.organization_id) & (traffic.account_id == account.id)
    connection.execute(delete(account_traffic).where(mine))
    connection.execute(delete(accounts).where(accounts.c.id == account.id))
    note_change(connection, change, "account.deleted", account.id)


def _account(row: Row[tuple[object, ...]], vault: Vault) -> Account:
    return ledger_rows.account(columns(row), vault)
