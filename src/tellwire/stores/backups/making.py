"""Make a backup: the database as it is at one moment, then its media, then what proves that it is whole."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path

from tellwire import __version__
from tellwire.errors import TellwireError
from tellwire.model.units import MICROS, Micros
from tellwire.stores.backups.archive import ArchiveWriter, Tell, beside
from tellwire.stores.backups.installation import Installation, opened_by
from tellwire.stores.backups.manifest import DATABASES, FORMAT, MASTER_KEY, Manifest


async def make_backup(installation: Installation, target: Path, *, with_key: bool, now: Micros, tell: Tell) -> Manifest:
    """Write a backup of an installation, beside its server, and return what is in it.

    Raises:
        TellwireError: there is nothing to back up, a program is missing, or the key that is to go with it is not there.
        OSError: the archive cannot be written.
    """
    database, keys = installation.database(), installation.keys()
    revision = await database.check_source()
    with ArchiveWriter(target, tell) as archive:
        copy = beside(target, "database")
        try:
            found = await database.save(copy, tell)
            archive.add_file(DATABASES[installation.kind], copy)
        finally:
            copy.unlink(missing_ok=True)
        # The files come after the database: each that its rows name was there before them.
        folder = installation.media_folder
        missing = 0 if folder is None else folder.save(archive, found.media)
        if with_key:
            for sample in found.sealed:
                if not opened_by(keys, sample):
                    raise TellwireError(
                        f"--with-key: the master key {sample.key}, which {sample.place} is sealed with, is not there:"
                        " set TELLWIRE_MASTER_KEY to it, or leave --with-key out; no backup was made"
                    )
            archive.add(MASTER_KEY, b",".join(map(base64.b64encode, keys)) + b"\n")
        manifest = Manifest(
            tellwire_backup=FORMAT,
            version=__version__,
            revision=revision,
            store=installation.kind,
            made_at=datetime.fromtimestamp(now / MICROS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            postgresql=database.made_by,
            holds=found.holds,
            media=installation.bucket or "in the archive",
            media_missing=missing,
            has_master_key=with_key,
            sealed=found.sealed,
            parts=archive.parts,
        )
        archive.finish(manifest)
    return manifest
