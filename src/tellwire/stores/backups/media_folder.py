"""The files of messages in a backup: which of the folder's files belong to it, and how they come back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from tellwire.stores.backups.archive import ArchiveReader, ArchiveWriter
from tellwire.stores.backups.manifest import MEDIA, Part
from tellwire.stores.files.folder import place_of

_RESTORING = ".restoring"


class MediaFolder:
    """The folder that MEDIA_URL names."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._coming = root / _RESTORING
        self._made = False

    def save(self, archive: ArchiveWriter, ids: Iterable[str]) -> int:
        """Add the files of these media; return how many are not there (they were removed since, or are lost)."""
        missing = 0
        for each in ids:
            try:
                archive.add_file(f"{MEDIA}{each}", place_of(self.root, each))
            except FileNotFoundError:
                missing += 1
        return missing

    def files(self) -> int:
        """Return how many files it holds."""
        return sum(1 for path in self.root.glob("*/*") if path.is_file() and path.parent != self._coming)

    def prepare(self, archive: ArchiveReader, parts: Sequence[Part]) -> None:
        """Unpack media beside those that are there, so that a full disk is noticed before anything is changed."""
        self._made = not self.root.exists()
        self.discard()  # what an earlier restore left that was killed
        for part in parts:
            path = place_of(self._coming, part.name.removeprefix(MEDIA))
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.writelines(archive.chunks(part))
                file.flush()
                os.fsync(file.fileno())

    def discard(self) -> None:
        """Remove what `prepare` unpacked, and the folder if that made it."""
        if self._coming.exists():
            shutil.rmtree(self._coming)
            if self._made and not any(self.root.iterdir()):
                self.root.rmdir()

    def replace(self) -> None:
        """Put what was unpacked in the place of what the folder holds."""
        for path in list(self.root.iterdir()) if self.root.exists() else ():
            if path == self._coming:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        if self._coming.exists():
            for path in list(self._coming.iterdir()):
                path.replace(self.root / path.name)
            self._coming.rmdir()
