"""Restore a backup: everything is checked first, and a refusal changes nothing.

Source: docs/how-to/back-up-and-restore.md, "What is refused".
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from tellwire.errors import TellwireError
from tellwire.model.units import Micros
from tellwire.security.vault import write_master_key
from tellwire.stores.backups.archive import ArchiveReader, Tell
from tellwire.stores.backups.installation import Database, Installation, opened_by
from tellwire.stores.backups.manifest import MASTER_KEY, DamagedError, Manifest, check_schema

_STORES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


class Existing(Struct, frozen=True):
    """What a restore would delete."""

    database: str
    rows: dict[str, int]
    files: int

    def __str__(self) -> str:
        """Return it in words."""
        held = [f"{name.replace('_', ' ')}: {count}" for name, count in self.rows.items() if name != "media"]
        held += [f"files of media: {self.files}"] if self.files else []
        return f"{self.database} ({', '.join(held)})"


class Restored(Struct, frozen=True, kw_only=True):
    """What a restore did. `deleted`: what was there before. `doubtful`: messages that wait for being sent in the backup
    and may have been sent since. `key_file`: where the master key of the archive was put, None when nowhere."""

    manifest: Manifest
    deleted: Existing | None
    doubtful: int
    key_file: Path | None


async def restore_backup(
    installation: Installation, path: Path, *, force: bool, send_waiting: bool, now: Micros, tell: Tell
) -> Restored:
    """Put a backup in the place of an installation's database and media.

    Args:
        installation: where to.
        path: the archive.
        force: delete what is there.
        send_waiting: send the messages that wait in the backup, because no server sent them since.
        now: the time.
        tell: called while it goes on.

    Raises:
        TellwireError: it is refused, and nothing was changed; the text says why, and what to do.
        OSError: something cannot be written.
    """
    with ArchiveReader(path) as archive:
        manifest = archive.manifest
        _check_store(manifest, installation)
        check_schema(manifest)
        database = installation.database()
        await database.check_target(manifest.revision, made_by=manifest.postgresql)
        existing = await _existing(installation, database)
        if existing is not None and not force:
            raise TellwireError(f"there is something already, which --force deletes: {existing}")
        key = _key_to_write(archive, installation)
        archive.verify(tell)
        if existing is not None:
            tell(f"deleting what is there: {existing}", 0, 0)

        folder = installation.media_folder
        try:
            if folder is not None:
                folder.prepare(archive, manifest.media_files)
            doubtful = await database.replace(archive.chunks(manifest.database), now, send_waiting=send_waiting)
            if folder is not None:
                folder.replace()
        finally:
            if folder is not None:
                folder.discard()
        key_file = installation.key_file if key is not None else None
        if key is not None and key_file is not None:
            write_master_key(key_file, key)
        return Restored(manifest=manifest, deleted=existing, doubtful=doubtful, key_file=key_file)


def _check_store(manifest: Manifest, installation: Installation) -> None:
    if manifest.store != installation.kind:
        raise TellwireError(
            f"the archive is of {_STORES[manifest.store]}, and TELLWIRE_DATABASE_URL names"
            f" {_STORES[installation.kind]}: a backup is restored into the store that it is of"
        )
    if manifest.media_files and installation.media_folder is None:
        raise TellwireError(
            f"the archive holds {len(manifest.media_files)} files of media, and TELLWIRE_MEDIA_URL names a bucket:"
            " restore with a folder (file:///FOLDER), then move the files into the bucket"
        )


async def _existing(installation: Installation, database: Database) -> Existing | None:
    folder = installation.media_folder
    rows, files = await database.contents(), 0 if folder is None else folder.files()
    return Existing(database.name, rows, files) if rows or files else None


def _key_to_write(archive: ArchiveReader, installation: Installation) -> bytes | None:
    """Return the key that is to be written to the file beside the database; None when the key is there.

    Raises:
        TellwireError: what is sealed in the archive could not be opened.
    """
    manifest, keys = archive.manifest, installation.keys()
    lacking = [sample for sample in manifest.sealed if not opened_by(keys, sample)]
    if not lacking:
        return None
    names = " and ".join(sample.key for sample in lacking)
    place = (
        "TELLWIRE_MASTER_KEY" if installation.key_file is None else f"{installation.key_file} or TELLWIRE_MASTER_KEY"
    )
    why = f"the master key {names}, which the secrets in the archive are sealed with, is "
    why += f"not the one that is there (TELLWIRE_MASTER_KEY or {installation.key_file})" if keys else "not there"
    if not manifest.has_master_key:
        raise TellwireError(
            f"{why}, and not in the archive: put it into {place}, from where it was kept when the backup was made"
            f" ({manifest.made_at})"
        )
    within = _keys_within(archive)
    needed = [key for key in within if any(opened_by([key], sample) for sample in manifest.sealed)]
    if installation.key_file is None or keys or len(needed) != 1:
        away = (
            ""
            if installation.key_file is None or not installation.key_file.exists()
            else (f"; or move {installation.key_file} away, and the archive's takes its place")
        )
        raise TellwireError(
            f"{why}. The archive holds it: set TELLWIRE_MASTER_KEY, for this command and for `serve`, to what"
            f" `tar -xOf {archive.path} {MASTER_KEY}` prints{away}"
        )
    return needed[0]


def _keys_within(archive: ArchiveReader) -> Sequence[bytes]:
    [part] = [part for part in archive.manifest.parts if part.name == MASTER_KEY]
    raw = b"".join(archive.chunks(part)).strip()
    try:
        keys = [base64.b64decode(text, validate=True) for text in raw.split(b",")]
    except ValueError:
        keys = []
    if not keys or any(len(key) != 32 for key in keys):
        raise DamagedError(
            f"{archive.path} is no whole backup of Tellwire, nothing was changed: its master key is none"
        )
    return keys
