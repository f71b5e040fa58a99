"""What every store offers to those who query it, whatever its database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from tellwire.model.registry import Registry
from tellwire.security.vault import Vault

T = TypeVar("T")


class Transactions(Protocol):
    """Runs queries of a `Connection`, each call in a transaction of its own."""

    async def read(self, work: Callable[[Connection], T]) -> T: ...

    async def write(self, work: Callable[[Connection], T]) -> T: ...


class QueryRunner(Transactions, Protocol):
    """What queries need beside a `Connection`. `new_id` is good inside a `write` only: ids rise in commit order."""

    @property
    def vault(self) -> Vault: ...

    def registry(self) -> Registry: ...

    def new_id(self) -> str: ...

    async def scrub(self) -> None:
        """Make what was erased leave the files as well, as far as the store can."""
        ...
