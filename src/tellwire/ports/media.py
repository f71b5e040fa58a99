"""Files of messages: where their bytes are kept, and how they are downloaded from Meta and uploaded."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from msgspec import Struct

from tellwire.ports.http_out import Answer


class MediaStore(Protocol):
    """The store of the bytes of media: each file has a name, and is there as a whole or not at all.

    Every call raises `Unavailable` when the store cannot be reached or is full.
    """

    async def write(self, name: str, chunks: AsyncIterator[bytes]) -> int:
        """Store the bytes of `chunks` under a new name, and return how many there were, once they are durable.

        Nothing is stored when `chunks` raises.
        """
        ...

    async def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None] | None:
        """Return the bytes from `start` up to `end` (not included) in pieces; None when there is no such file.

        Whoever may stop before the last piece closes the generator, and with it the file.
        """
        ...

    async def delete(self, name: str) -> None:
        """Delete a file; it is no error when there is none."""
        ...

    async def remove_leftovers(self, older_than_seconds: float) -> None:
        """Remove what interrupted writes have left for longer than this; no reader can see it."""
        ...

    async def close(self) -> None: ...


class Download(Struct, frozen=True):
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
    """The transfer of files from and to Meta, as streams; redirects are not followed."""

    def open(self, url: str, token: str) -> AbstractAsyncContextManager[Download]:
        """GET a file with the token; the caller has checked that the URL may receive it.

        Raises:
            Broken: no answer came.
        """
        ...

    async def upload(self, token: str, phone_number_id: str, file: Upload) -> Answer:
        """POST a file to a number's media, below META_GRAPH_URL; whatever the other side does is an `Answer`."""
        ...

    async def close(self) -> None: ...
