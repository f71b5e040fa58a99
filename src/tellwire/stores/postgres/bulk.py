"""PostgreSQL: rows of several tables in one statement, each column an array, so that a batch costs one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from tellwire.stores.postgres.connections import Connection
from tellwire.stores.records.inserts import Insert, TableRows

_TYPES = {
    **dict.fromkeys(("created_at", "updated_at", "last_row_at", "check_at", "due_at"), "bigint"),
    **dict.fromkeys(("first_attempt_at", "delivered_at", "received_at", "started_at", "at", "last"), "bigint"),
    **dict.fromkeys(("sequence", "epoch"), "bigint"),
    **dict.fromkeys(("partition", "attempts", "counted_attempts", "replay", "number"), "integer"),
    **dict.fromkeys(("record", "content", "body", "items", "speaks_for"), "bytea"),
    **dict.fromkeys(("pricing", "errors", "response_body"), "bytea"),
    **dict.fromkeys(("out_of_order", "own_name", "unchecked", "despite_stop"), "boolean"),
    **dict.fromkeys(
        ("order_at", "scheduled_at", "tries_until", "expires_at", "meta_id_at", "size", "retry_at"), "bigint"
    ),
    "send_rate": "integer",
    **dict.fromkeys(("erased_at", "phone_at", "user_id_at", "since", "until"), "bigint"),
}
"""Column → its type, where that is not text."""


def type_of(column: str) -> str:
    """Return the type of a column by its name."""
    return _TYPES.get(column, "text")


def placeholder(number: int, kind: str) -> str:
    """Return the parameter with this number that takes what `array` returns."""
    return f"${number}::bytea[]" if kind == "bytea" else f"${number}::text::{kind}[]"


def array(kind: str, values: Sequence[Any]) -> Any:
    """Return a column as the text form of an array, because the driver handles every item of a list several times.

    Bytes stay a list, because their text form is twice as long.
    """
    match kind:
        case "bytea":
            return values
        case "text":
            return _texts(values)
        case "boolean":
            return f"{{{','.join('t' if value else 'f' for value in values)}}}"
        case _:
            return f"{{{','.join(map(str, values)).replace('None', 'NULL')}}}"


def _texts(values: Sequence[str | None]) -> str:
    if None not in values:
        joined = '","'.join(values)  # type: ignore[arg-type] # there is no None
        if "\\" not in joined and joined.count('"') == 2 * (len(values) - 1):
            return f'{{"{joined}"}}'
    return f"{{{','.join('NULL' if value is None else _quoted(value) for value in values)}}}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@cache
def _statement(inserts: tuple[Insert, ...]) -> str:
    parts, number = [], 0
    for index, insert in enumerate(inserts):
        names, arrays = [], []
        for name in insert.columns:
            number += 1
            names.append(f'"{name}"')
            arrays.append(placeholder(number, type_of(name)))
        parts.append(
            f"w{index} AS (INSERT INTO {insert.table}({','.join(names)})"
            f" SELECT * FROM unnest({','.join(arrays)}) {insert.tail})"
        )
    return f"WITH {', '.join(parts)} SELECT"


async def write_rows(connection: Connection, writes: Sequence[TableRows]) -> None:
    """Insert rows into several tables at once; no two inserts may touch the same row."""
    some = [(insert, rows) for insert, rows in writes if rows]
    if some:
        columns = [
            array(type_of(name), values)
            for insert, rows in some
            for name, values in zip(insert.columns, zip(*rows, strict=True), strict=True)
        ]
        await connection.fetchrow(_statement(tuple(insert for insert, _ in some)), *columns)
