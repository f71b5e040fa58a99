"""The ports through which queries run, the same for every database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from tellwire.model.registry import Registry
from tellwire.security.vault import Vault

T = TypeVar("T")


class Transactions(Protocol):
    """Runs functions of a `Connection`, each call in a transaction of its own."""

    async def read(self, work: Callable[[Connection], T]) -> T: ...

    async def write(self, work: Callable[[Connection], T]) -> T: ...


class QueryRunner(Transactions, Protocol):
    """`Transactions` and what queries need besides. Call `new_id` inside a `write` only: ids rise in commit order."""

    @property
    def vault(self) -> Vault: ...

    def registry(self) -> Registry: ...

    def new_id(self) -> str: ...

    async def purge_erased(self) -> None:
        """Remove erased data from the database's files as well, as far as the store can."""
        ...
