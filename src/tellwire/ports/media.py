"""Files of messages: where their bytes are kept, and how they come from Meta and go there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from msgspec import Struct

from tellwire.ports.http_out import Answer


class MediaStore(Protocol):
    """Where the bytes of media are: a name each, whole or not there at all.

    Every call raises `Unavailable` when the place cannot be reached or is full.
    """

    async def write(self, name: str, chunks: AsyncIterator[bytes]) -> int:
        """Store what `chunks` gives, and return how many bytes that were; durable when this returns.

        Nothing is there under the name before, and nothing changes when `chunks` raises.
        """
        ...

    async def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes] | None:
        """The bytes from `start` up to `end` (not included) in pieces; None when nothing is there."""
        ...

    async def delete(self, name: str) -> None:
        """Nothing is there any more; no matter whether anything was."""
        ...

    async def tidy(self, older_than_seconds: float) -> None:
        """Remove what writes of processes that are gone have left, unseen as it is."""
        ...

    async def close(self) -> None: ...


class Incoming(Struct, frozen=True):
    """An answer whose body is still to be read, once: `chunks` raises `Broken` when it ends too early."""

    status: int
    chunks: AsyncIterator[bytes]


class Upload(Struct, frozen=True, kw_only=True):
    """A file for Meta, of `size` bytes."""

    mime_type: str
    filename: str
    size: int
    chunks: AsyncIterator[bytes]


class MediaWire(Protocol):
    """Files from and to Meta, streamed; redirects are not followed."""

    def open(self, url: str, token: str) -> AbstractAsyncContextManager[Incoming]:
        """GET a file with the token. Whether the URL may see it has been asked before.

        Raises:
            Broken: no answer came.
        """
        ...

    async def upload(self, token: str, phone_number_id: str, file: Upload) -> Answer:
        """POST a file to a number's media, below META_GRAPH_URL; never raises for what the other side does."""
        ...

    async def close(self) -> None: ...
