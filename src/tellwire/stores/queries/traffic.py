"""How much went through an organization, counted in buckets of a minute, an hour and a day."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import asdict
from sqlalchemy import Connection, delete, select, text

from tellwire.model.time_buckets import BUCKETS, Buckets, start_of
from tellwire.model.units import Micros
from tellwire.stores.schema.tables import traffic_counts
from tellwire.verdict.traffic import Counts

_NAMES = Counts.__struct_fields__
_ADD = text(
    f"INSERT INTO traffic_counts(organization_id,step,start,{','.join(_NAMES)})"
    f" VALUES (:organization_id,:step,:start,{','.join(f':{name}' for name in _NAMES)})"
    " ON CONFLICT(organization_id,step,start) DO UPDATE SET "
    + ", ".join(f"{name}=traffic_counts.{name}+excluded.{name}" for name in _NAMES)
)


def add(connection: Connection, counts: Mapping[str, Counts], now: Micros) -> None:
    """Add counts to the buckets that hold `now`, and forget those that no span shows any more."""
    columns = traffic_counts.c
    for organization_id, each in sorted(counts.items()):  # in one order, so that two processes do not lock each other
        for span in BUCKETS.values():
            place = {"organization_id": organization_id, "step": span.width, "start": start_of(now, span.width)}
            connection.execute(_ADD, place | asdict(each))
            connection.execute(
                delete(traffic_counts).where(
                    columns.organization_id == organization_id,
                    columns.step == span.width,
                    columns.start < span.begins(now)[0],
                )
            )


def of_span(connection: Connection, organization_id: str, span: Buckets, now: Micros) -> list[tuple[Micros, Counts]]:
    """Return the buckets of a span with when each begins, the oldest first; those in which nothing happened too."""
    columns = traffic_counts.c
    begins = span.begins(now)
    query = select(columns.start, *(columns[name] for name in _NAMES)).where(
        columns.organization_id == organization_id, columns.step == span.width, columns.start >= begins[0]
    )
    found = {start: Counts(*counts) for start, *counts in connection.execute(query)}
    return [(start, found.get(start, Counts())) for start in begins]
