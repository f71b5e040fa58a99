"""What a database says of itself: its version, its journal, its clock."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, func, select, text

from tellwire.doctor.server_figures import Database, Used
from tellwire.model.quotas import QuotaName, Quotas
from tellwire.model.units import MICROS, Micros
from tellwire.stores.queries import quotas as counted
from tellwire.stores.schema.tables import organizations

_MOST_ORGANIZATIONS = 200


def read(connection: Connection, now: Micros, *, file_system: str = "") -> Database:
    """Return what a database says of itself; `file_system`: what an SQLite file lies on."""
    if connection.dialect.name == "sqlite":
        version = str(connection.exec_driver_sql("SELECT sqlite_version()").scalar_one())
        journal = str(connection.exec_driver_sql("PRAGMA journal_mode").scalar_one())
        return Database(kind="SQLite", version=version, journal=journal, file_system=file_system)
    version = str(connection.execute(text("SHOW server_version")).scalar_one())
    at = float(connection.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one())
    return Database(kind="PostgreSQL", version=version, ahead=now / MICROS - at)


def used(connection: Connection, bounds: Quotas, now: Micros) -> list[Used]:
    """Return how much of the quotas that count rows the organizations have used, of the newest organizations."""
    names: Mapping[QuotaName, int] = {name: bounds.bound(name) for name in counted.TABLES}
    newest = select(organizations.c.id).order_by(organizations.c.id.desc()).limit(_MOST_ORGANIZATIONS)
    return [
        Used(each, name, counted.count(connection, name, each, now), bound)
        for each in connection.execute(newest).scalars()
        for name, bound in names.items()
    ]
