"""Files in a folder: written beside, flushed, then renamed, so that each is there whole or not at all."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tellwire.errors import Unavailable

_CHUNK = 256 * 1024
_UNFINISHED = ".unfinished"


class Folder:
    """A `MediaStore` below a folder, which is made when the first file comes; only this user may read it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def write(self, name: str, chunks: AsyncIterator[bytes]) -> int:
        """Store a file."""
        place, size = self._place(name), 0
        file, beside = await asyncio.to_thread(_begin, place.parent)
        try:
            async for chunk in chunks:
                await asyncio.to_thread(_add, file, chunk)
                size += len(chunk)
            await asyncio.to_thread(_finish, file, beside, place)
        except BaseException:
            file.close()
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            raise
        return size

    async def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes] | None:
        """Some bytes of a file."""
        place = self._place(name)
        if not await asyncio.to_thread(place.is_file):
            return None
        return _pieces(place, start, end)

    async def delete(self, name: str) -> None:
        """Remove a file."""
        await asyncio.to_thread(_remove, self._place(name))

    async def remove_leftovers(self, older_than_seconds: float) -> None:
        """Remove what was left unfinished by a process that ended in the middle of it."""
        await asyncio.to_thread(_tidy, self._root, older_than_seconds)

    async def close(self) -> None:
        """Nothing is held open."""

    def _place(self, name: str) -> Path:
        return self._root / name[-2:] / name


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"the folder of media cannot be used: {error.strerror or error}") from None


def _begin(folder: Path) -> tuple[BinaryIO, Path]:
    with _told():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        number, path = tempfile.mkstemp(dir=folder, suffix=_UNFINISHED)  # readable by this user alone
        return os.fdopen(number, "wb"), Path(path)


def _add(file: BinaryIO, chunk: bytes) -> None:
    with _told():
        file.write(chunk)


def _finish(file: BinaryIO, beside: Path, place: Path) -> None:
    with _told():
        file.flush()
        os.fsync(file.fileno())
        file.close()
        beside.replace(place)
        number = os.open(place.parent, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _opened(place: Path, start: int) -> BinaryIO:
    with _told():
        file = place.open("rb")
        file.seek(start)
        return file


async def _pieces(place: Path, start: int, end: int | None) -> AsyncIterator[bytes]:
    left = None if end is None else end - start
    file = await asyncio.to_thread(_opened, place, start)  # only now: nobody may ask for the first piece
    try:
        while left is None or left > 0:
            piece = await asyncio.to_thread(_next, file, _CHUNK if left is None else min(_CHUNK, left))
            if not piece:
                return
            if left is not None:
                left -= len(piece)
            yield piece
    finally:
        file.close()


def _next(file: BinaryIO, size: int) -> bytes:
    with _told():
        return file.read(size)


def _remove(place: Path) -> None:
    with _told():
        place.unlink(missing_ok=True)


def _tidy(root: Path, older_than_seconds: float) -> None:
    with _told():
        files = list(root.glob(f"*/*{_UNFINISHED}"))
        if not files:
            return
        with tempfile.TemporaryFile(dir=root) as mark:  # the folder's own clock
            now = os.fstat(mark.fileno()).st_mtime
        for file in files:
            with suppress(FileNotFoundError):
                if now - file.stat().st_mtime > older_than_seconds:
                    file.unlink()
