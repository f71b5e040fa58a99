"""What a database holds, for backups: how much of what, its media, and a sealed value for each master key it needs."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import Connection, delete, func, inspect, select, text, update

from tellwire.model.units import Micros
from tellwire.stores.queries.reencryption import SEALED
from tellwire.stores.schema.sending import DUE_SEND
from tellwire.stores.schema.tables import dispatchers, leases, media, metadata, sends

_COUNTED = (
    "organizations",
    "accounts",
    "endpoints",
    "api_keys",
    "agents",
    "sources",
    "members",
    "contacts",
    "conversations",
    "messages",
    "events",
    "deliveries",
    "inbound",
    "media",
)
"""The tables that hold what is set up or was received. The others follow from these, or are made by a start."""


class SealedSample(Struct, frozen=True):
    """A sealed value, and the place that it was sealed for. `key`: the id of the master key that opens it."""

    key: str
    place: str
    value: str


class Inventory(Struct, frozen=True):
    """What a database holds, as it was at one moment. `media`: the ids of the files that are kept."""

    holds: dict[str, int]
    media: list[str]
    sealed: list[SealedSample]


def inventory(connection: Connection) -> Inventory:
    """Return what a database holds."""
    return Inventory(contents(connection), stored_media(connection), sealed_samples(connection))


def contents(connection: Connection) -> dict[str, int]:
    """Return how many rows a database has of what people set up and received, without what a new one has."""
    there = set(inspect(connection).get_table_names())
    counted = {
        name: connection.execute(select(func.count()).select_from(metadata.tables[name])).scalar_one()
        - (name == "organizations")  # the default one exists from the start
        for name in _COUNTED
        if name in there
    }
    return {name: count for name, count in counted.items() if count > 0}


def stored_media(connection: Connection) -> list[str]:
    """Return the ids of the media whose bytes are kept, oldest first."""
    return list(connection.execute(select(media.c.id).where(media.c.state == "stored").order_by(media.c.id)).scalars())


def sealed_samples(connection: Connection) -> list[SealedSample]:
    """Return one sealed value for each master key that a database needs."""
    there = set(inspect(connection).get_table_names())
    found: dict[str, SealedSample] = {}
    for each in SEALED:
        if each.table.name not in there or each.column not in _columns(connection, each.table.name):
            continue  # a migration that this database lacks makes it
        column = each.table.c[each.column]
        beginning = func.substr(column, 1, 8)
        for (key,) in connection.execute(select(beginning).where(func.length(column) > 0).distinct()).all():
            if _text(key) not in found:
                keys = [each.table.c[part] for part in each.key]
                row = connection.execute(select(*keys, column).where(beginning == key).limit(1)).one()
                found[_text(key)] = SealedSample(_text(key), each.place(row), _text(row[-1]))
    return [found[key] for key in sorted(found)]


def _columns(connection: Connection, table: str) -> set[str]:
    return set(connection.execute(text(f"SELECT * FROM {table} LIMIT 0")).keys())


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def forget_the_server(connection: Connection, now: Micros, *, send_waiting: bool) -> int:
    """Prepare a restored database for its next server, and return how many messages may have been sent already.

    The leases of the server that it was copied from end. That server went on after the copy, so messages that wait for
    being sent may have gone out: they look as if it had claimed them, and the next server marks them as `unknown`.
    `send_waiting`: it did not go on; they are sent.
    """
    connection.execute(update(leases).values(owner="", expires_at=0))
    connection.execute(delete(dispatchers))
    if send_waiting:
        return 0
    waiting = update(sends).where(text(DUE_SEND), sends.c.due_at <= now)
    return connection.execute(waiting.values(state="sending", epoch=0)).rowcount
