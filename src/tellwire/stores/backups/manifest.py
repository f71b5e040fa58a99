"""What a backup says of itself: its manifest, and which manifests this version can restore.

Source: docs/how-to/back-up-and-restore.md, "What is in a backup".
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec
from msgspec import Struct

from tellwire import __version__
from tellwire.errors import NotMigrated, TellwireError
from tellwire.stores.migrate import HEAD, is_later, revisions
from tellwire.stores.queries.inventory import SealedSample

Kind = Literal["sqlite", "postgresql"]

FORMAT = 1
"""The format of archives that this version writes, and the newest that it reads."""

DATABASES: dict[Kind, str] = {"sqlite": "tellwire.db", "postgresql": "tellwire.dump"}
"""The part that holds the database, by store."""
MASTER_KEY = "master-key"
MEDIA = "media/"
_NAME = re.compile(rf"{MEDIA}[A-Za-z0-9_-]{{2,64}}|{MASTER_KEY}|{'|'.join(map(re.escape, DATABASES.values()))}")


class DamagedError(TellwireError):
    """A file is no whole backup; the text says what is wrong with it."""


class Part(Struct, frozen=True):
    """A file in the archive."""

    name: str
    size: int
    sha256: str


class Manifest(Struct, frozen=True, kw_only=True):
    """What is in an archive.

    `postgresql`: the major version of the server and of pg_dump; 0 on SQLite. `media`: where the files of messages are,
    the archive itself or a bucket; `media_missing`: how many of them were not in the folder. `sealed`: a sealed value
    for each master key that is needed.
    """

    tellwire_backup: int
    version: str
    revision: str
    store: Kind
    made_at: str
    postgresql: int = 0
    holds: dict[str, int]
    media: str
    media_missing: int = 0
    has_master_key: bool
    sealed: list[SealedSample]
    parts: list[Part]

    @property
    def database(self) -> Part:
        """The part that holds the database."""
        return next(part for part in self.parts if part.name == DATABASES[self.store])

    @property
    def media_files(self) -> list[Part]:
        """The parts that are media."""
        return [part for part in self.parts if part.name.startswith(MEDIA)]


class _Head(Struct):
    tellwire_backup: int


def decode(raw: bytes) -> Manifest:
    """Return the manifest of an archive.

    Raises:
        DamagedError: it is none, or its parts are not those of a backup.
        TellwireError: a later version wrote it, in a format that this version does not know.
    """
    try:
        written = msgspec.json.decode(raw, type=_Head).tellwire_backup
        if written > FORMAT:
            raise TellwireError(
                f"the archive has the format {written}, and Tellwire {__version__} reads {FORMAT}: restore it with the"
                " version that made it"
            )
        found = msgspec.json.decode(raw, type=Manifest)
    except msgspec.DecodeError as error:
        raise DamagedError(f"its manifest cannot be read: {error}") from None
    names = [part.name for part in found.parts]
    expected = DATABASES[found.store] in names and (MASTER_KEY in names) == found.has_master_key
    if not expected or len(set(names)) < len(names) or not all(map(_NAME.fullmatch, names)):
        raise DamagedError("its manifest does not name the parts of a backup")
    return found


def check_schema(manifest: Manifest) -> None:
    """Check that this version knows the schema of an archive.

    Raises:
        NotMigrated: a newer version wrote it, or one under development.
    """
    if manifest.revision in revisions():
        return
    if is_later(manifest.revision):
        raise NotMigrated(
            f"the archive has the schema {manifest.revision!r} of Tellwire {manifest.version}, and this is Tellwire"
            f" {__version__}, which knows the schema up to {HEAD!r}: restore it with Tellwire {manifest.version} or a"
            " later version"
        )
    raise NotMigrated(
        f"the archive has the schema {manifest.revision!r} of a version of Tellwire under development"
        f" ({manifest.version}): only that version restores it"
    )
