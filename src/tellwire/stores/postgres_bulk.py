"""PostgreSQL: rows of several tables in one statement, a column an array, so that a batch costs one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from msgspec import Struct

from tellwire.stores.postgres_link import Connection


class Insert(Struct, frozen=True):
    """How rows enter a table: columns as `name type`, and what follows (ON CONFLICT …)."""

    table: str
    columns: tuple[str, ...]
    tail: str = ""


@cache
def _statement(inserts: tuple[Insert, ...]) -> str:
    parts, number = [], 0
    for index, insert in enumerate(inserts):
        names, arrays = [], []
        for column in insert.columns:
            name, kind = column.split()
            number += 1
            names.append(f'"{name}"')
            arrays.append(f"${number}::{kind}[]")
        parts.append(
            f"w{index} AS (INSERT INTO {insert.table}({','.join(names)})"
            f" SELECT * FROM unnest({','.join(arrays)}) {insert.tail})"
        )
    return f"WITH {', '.join(parts)} SELECT"


async def write_rows(connection: Connection, writes: Sequence[tuple[Insert, Sequence[Sequence[Any]]]]) -> None:
    """Insert rows into several tables at once; no two of the inserts may touch the same row."""
    some = [(insert, rows) for insert, rows in writes if rows]
    if some:
        columns = [column for _, rows in some for column in zip(*rows, strict=True)]
        await connection.fetchrow(_statement(tuple(insert for insert, _ in some)), *columns)
