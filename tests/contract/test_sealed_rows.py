"""Whether anything in a database is sealed: a master key is made only for one in which nothing is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import BigInteger, Boolean, Integer, LargeBinary, insert
from tests.world import DAY, KIND, SetClock, World

from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.stores.queries.reencryption import SEALED, SealedValue, holds_sealed
from tellwire.stores.schema.tables import metadata


@pytest.mark.anyio
@pytest.mark.usefixtures("each_store")
@pytest.mark.parametrize("where", SEALED, ids=lambda where: f"{where.table.name}.{where.column}")
async def test_a_row_in_any_sealed_column_is_found(tmp_path: Path, where: SealedValue) -> None:
    world = World(tmp_path / "it.db", SetClock(), DAY, auto_accounts=True, kind=KIND.get())
    await world.store.open(serving=False)
    try:
        await world.store.write(lambda c: c.execute(metadata.tables["sealed_keys"].delete()))
        assert not await world.store.read(holds_sealed)
        await world.store.write(lambda c: c.execute(insert(where.table).values(_row(where, ""))))
        assert not await world.store.read(holds_sealed)
        await world.store.write(lambda c: c.execute(where.table.delete()))
        await world.store.write(lambda c: c.execute(insert(where.table).values(_row(where, "12345678.x"))))
        assert await world.store.read(holds_sealed)
    finally:
        await world.close()


def _row(where: SealedValue, kept: str) -> dict[str, Any]:
    """A row in which only this column holds something sealed, or something that is "" when nothing is."""
    row = {column.name: _some(column) for column in where.table.c}
    binary = isinstance(where.table.c[where.column].type, LargeBinary)
    return row | {where.column: kept.encode() if binary else kept}


def _some(column: Any) -> Any:
    if column.name == "organization_id":
        return DEFAULT_ORGANIZATION
    match column.type:
        case Boolean():
            return False
        case BigInteger() | Integer():
            return 1
        case LargeBinary():
            return b""
        case _:
            return ""
