"""Hash and check passwords in threads, two at a time: each takes 32 MiB and a tenth of a second of a core."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import TypeVar

from tellwire.errors import Busy
from tellwire.security import passwords

T = TypeVar("T")

_AT_A_TIME = 2
_MOST_WAITING = 50
_SALT_BYTES = 16


class PasswordWork:
    """The passwords of one app."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(_AT_A_TIME)
        self._waiting = 0

    async def hashed(self, password: str) -> str:
        """Return what is stored of a password."""
        salt = secrets.token_bytes(_SALT_BYTES)
        return await self._aside(lambda: passwords.hashed(password, salt))

    async def is_right(self, password: str, stored: str) -> bool:
        """Return whether a password is the one that was stored; "" is nobody's, and takes as long."""
        return await self._aside(lambda: passwords.is_right(password, stored))

    async def _aside(self, work: Callable[[], T]) -> T:
        if self._waiting >= _MOST_WAITING:
            raise Busy("Too many people log in at this moment; try again.")
        self._waiting += 1
        try:
            async with self._places:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1
