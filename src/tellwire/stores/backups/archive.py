"""The file of a backup: a tar archive, written beside its place and renamed when it is whole, read without unpacking.

The manifest and its hash come last, so a file that was cut off has neither.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self

import msgspec

from tellwire.errors import TellwireError
from tellwire.stores.backups.manifest import DamagedError, Manifest, Part, decode

_CHUNK = 1024 * 1024
_MANIFEST = "manifest.json"
_HASH = "manifest.sha256"
_LARGEST_MANIFEST = 1024 * 1024 * 1024

Tell = Callable[[str, int, int], None]
"""Called while long work goes on, with what is done, how many bytes (or pages) of it, and of how many (0: unknown)."""


class ArchiveWriter:
    """Writes an archive beside `target`, readable by this user alone; `finish` gives it its name.

    Used as a context: without `finish` nothing is left of it.
    """

    def __init__(self, target: Path, tell: Tell) -> None:
        self.target = target
        self.parts: list[Part] = []
        self._tell = tell
        self._draft = beside(target)
        number = os.open(self._draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(number, "w+b")
        self._tar = tarfile.open(fileobj=self._file, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed below

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        self._draft.unlink(missing_ok=True)

    def add_file(self, name: str, path: Path) -> None:
        """Add the bytes of a file.

        Raises:
            FileNotFoundError: it is not there, and nothing was added.
        """
        with path.open("rb") as file:
            self.parts.append(self._add(name, file, os.fstat(file.fileno()).st_size))

    def add(self, name: str, content: bytes) -> None:
        """Add these bytes."""
        self.parts.append(self._add(name, io.BytesIO(content), len(content)))

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest, make all of it durable, and give the file its name."""
        raw = msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
        self._add(_MANIFEST, io.BytesIO(raw), len(raw))
        line = f"{hashlib.sha256(raw).hexdigest()}  {_MANIFEST}\n".encode()
        self._add(_HASH, io.BytesIO(line), len(line))
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._draft.replace(self.target)
        flush_folder(self.target.parent)

    def _add(self, name: str, file: IO[bytes], size: int) -> Part:
        head = tarfile.TarInfo(name)
        head.size, head.mode, head.mtime = size, 0o600, int(time.time())
        counted = _Hashed(file, lambda done: self._tell(f"writing {name}", done, size))
        self._tar.addfile(head, counted)
        return Part(name, size, counted.sha256)


class ArchiveReader:
    """An archive that is whole as far as its manifest says; `verify` proves it of every part.

    Raises:
        DamagedError: it is none, or not whole.
        TellwireError: it cannot be read, or its format is of a later version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise TellwireError(f"{path} cannot be read: {error.strerror}") from None
        try:
            with self._damages_named():
                self._tar = tarfile.open(fileobj=self._file, mode="r:")  # noqa: SIM115 - closed with the file
                self._members = self._named()
                self.manifest = self._read_manifest()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def verify(self, tell: Tell) -> None:
        """Read every part and compare its hash.

        Raises:
            DamagedError: one is not what was written.
        """
        total, done = sum(part.size for part in self.manifest.parts), 0
        for part in self.manifest.parts:
            digest = hashlib.sha256()
            for chunk in self.chunks(part):
                digest.update(chunk)
                done += len(chunk)
                tell("checking the archive", done, total)
            if digest.hexdigest() != part.sha256:
                with self._damages_named():
                    raise DamagedError(f"the part {part.name} is not what was written (its SHA-256 differs)")

    def chunks(self, part: Part) -> Iterator[bytes]:
        """Yield the bytes of a part.

        Raises:
            DamagedError: the file ends within it.
        """
        with self._damages_named():
            source = self._tar.extractfile(self._members[part.name])
            if source is None:
                raise DamagedError(f"the part {part.name} is no file")
            while chunk := source.read(_CHUNK):
                yield chunk

    def _read_manifest(self) -> Manifest:
        raw = self._small(_MANIFEST)
        if self._small(_HASH).split()[:1] != [hashlib.sha256(raw).hexdigest().encode()]:
            raise DamagedError("its manifest is not the one that was written")
        manifest = decode(raw)
        for part in manifest.parts:
            if part.name not in self._members or self._members[part.name].size != part.size:
                raise DamagedError(f"the part {part.name} is not there or not whole")
        return manifest

    def _named(self) -> dict[str, tarfile.TarInfo]:
        members = self._tar.getmembers()
        if any(not member.isreg() or member.issparse() for member in members) or len(
            {member.name for member in members}
        ) < len(members):
            raise DamagedError("it holds what no backup holds")
        return {member.name: member for member in members}

    def _small(self, name: str) -> bytes:
        member = self._members.get(name)
        if member is None:
            raise DamagedError(f"it has no {name}, so it was cut off or is no backup")
        source = self._tar.extractfile(member)
        if member.size > _LARGEST_MANIFEST or source is None:
            raise DamagedError(f"its {name} is too large")
        return source.read()

    @contextmanager
    def _damages_named(self) -> Iterator[None]:
        try:
            yield
        except (DamagedError, tarfile.TarError, EOFError, ValueError, OverflowError) as error:
            raise DamagedError(f"{self.path} is no whole backup of Tellwire, nothing was changed: {error}") from None


class _Source(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class _Hashed:
    """A file whose bytes are hashed while they are read."""

    def __init__(self, file: _Source, tell: Callable[[int], None]) -> None:
        self._file = file
        self._tell = tell
        self._digest = hashlib.sha256()
        self._done = 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(size)
        self._digest.update(chunk)
        self._done += len(chunk)
        self._tell(self._done)
        return chunk


def beside(target: Path, what: str = "unfinished") -> Path:
    """Return a name for a file that becomes, or becomes part of, another one in the same folder."""
    return target.with_name(f".{target.name}.{os.urandom(4).hex()}.{what}")


def flush_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    number = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems have nothing to flush
            os.fsync(number)
    finally:
        os.close(number)
