"""Files in a folder: written under another name, flushed, then renamed, so that each is complete or absent."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tellwire.errors import Unavailable

_CHUNK = 64 * 1024
"""So much of a file is in memory for a reader who does not go on."""
_UNFINISHED = ".unfinished"


class Folder:
    """A `MediaStore` in a folder, which is made with the first file; only this user may read it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def write(self, name: str, chunks: AsyncIterator[bytes]) -> int:
        """Store a file."""
        path, size = self._path_of(name), 0
        file, temporary = await asyncio.to_thread(_begin, path.parent)
        try:
            async for chunk in chunks:
                await asyncio.to_thread(_add, file, chunk)
                size += len(chunk)
            await asyncio.to_thread(_finish, file, temporary, path)
        except BaseException:
            file.close()
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        return size

    async def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None] | None:
        """Return the bytes of a file from `start` to `end`; None when there is none."""
        path = self._path_of(name)
        if not await asyncio.to_thread(path.is_file):
            return None
        return _pieces(path, start, end)

    async def delete(self, name: str) -> None:
        """Remove a file."""
        await asyncio.to_thread(_remove, self._path_of(name))

    async def remove_leftovers(self, older_than_seconds: float) -> None:
        """Remove unfinished files of processes that ended while they wrote."""
        await asyncio.to_thread(_tidy, self._root, older_than_seconds)

    async def close(self) -> None:
        """Do nothing: no file is kept open."""

    def _path_of(self, name: str) -> Path:
        return place_of(self._root, name)


def place_of(root: Path, name: str) -> Path:
    """Return the path of a file in the folder of media."""
    return root / name[-2:] / name


@contextmanager
def _translating_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"the folder of media cannot be used: {error.strerror or error}") from None


def _begin(folder: Path) -> tuple[BinaryIO, Path]:
    with _translating_errors():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        number, path = tempfile.mkstemp(dir=folder, suffix=_UNFINISHED)  # readable by this user alone
        return os.fdopen(number, "wb"), Path(path)


def _add(file: BinaryIO, chunk: bytes) -> None:
    with _translating_errors():
        file.write(chunk)


def _finish(file: BinaryIO, temporary: Path, path: Path) -> None:
    with _translating_errors():
        file.flush()
        os.fsync(file.fileno())
        file.close()
        temporary.replace(path)
        number = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


async def _pieces(path: Path, start: int, end: int | None) -> AsyncGenerator[bytes, None]:
    position = start
    while end is None or position < end:
        size = _CHUNK if end is None else min(_CHUNK, end - position)
        piece = await asyncio.to_thread(_piece_of, path, position, size)
        if not piece:
            return
        position += len(piece)
        yield piece


def _piece_of(path: Path, position: int, size: int) -> bytes:
    """Return a piece of a file, which is opened for it alone: who reads slowly keeps no descriptor."""
    with _translating_errors(), path.open("rb", buffering=0) as file:
        file.seek(position)
        return file.read(size) or b""


def _remove(path: Path) -> None:
    with _translating_errors():
        path.unlink(missing_ok=True)


def _tidy(root: Path, older_than_seconds: float) -> None:
    with _translating_errors():
        files = list(root.glob(f"*/*{_UNFINISHED}"))
        if not files:
            return
        with tempfile.TemporaryFile(dir=root) as mark:  # its time is of the folder's clock
            now = os.fstat(mark.fileno()).st_mtime
        for file in files:
            with suppress(FileNotFoundError):
                if now - file.stat().st_mtime > older_than_seconds:
                    file.unlink()
