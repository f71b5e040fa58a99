"""What a backup is of, and what a restore is into: the database, media and master key that the settings name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from tellwire.errors import BadSettings
from tellwire.model.units import Micros
from tellwire.security.vault import Vault, master_key_path, read_master_key
from tellwire.stores.backups.archive import Tell
from tellwire.stores.backups.manifest import Kind
from tellwire.stores.backups.media_folder import MediaFolder
from tellwire.stores.backups.sqlite_file import SqliteFile
from tellwire.stores.queries.inventory import Inventory, SealedSample


class Database(Protocol):
    """A database that can be copied and replaced. `made_by`: the major version of `pg_dump`; 0 on SQLite."""

    name: str
    made_by: int

    async def check_source(self) -> str:
        """Return the revision of the database, which can be backed up."""
        ...

    async def save(self, copy: Path, tell: Tell) -> Inventory:
        """Copy it, as it is at one moment, into a new file; return what it holds at that moment."""
        ...

    async def check_target(self, revision: str, *, made_by: int) -> None:
        """Check that a copy of this revision can take its place: above all that no server runs on it."""
        ...

    async def contents(self) -> dict[str, int]:
        """Return how much it holds of what people set up and received."""
        ...

    async def replace(self, chunks: Iterable[bytes], now: Micros, *, send_waiting: bool) -> int:
        """Put a copy in its place, whole or not at all; return how many messages may have been sent already."""
        ...


class Installation(Struct, frozen=True):
    """What of the settings a backup is about: DATABASE_URL, DATABASE_POOLER, MEDIA_URL, MASTER_KEY."""

    url: str
    pooled: bool
    media_url: str
    master_keys: Sequence[bytes]

    @property
    def kind(self) -> Kind:
        """The store."""
        return "sqlite" if self.sqlite_path is not None else "postgresql"

    @property
    def sqlite_path(self) -> Path | None:
        """The database's file; None on PostgreSQL."""
        return Path(self.url.removeprefix("sqlite:///")) if self.url.startswith("sqlite:///") else None

    @property
    def media_folder(self) -> MediaFolder | None:
        """The folder of media; None when they are in a bucket."""
        parts = urlsplit(self.media_url)
        return MediaFolder(Path(unquote(parts.path))) if parts.scheme == "file" else None

    @property
    def bucket(self) -> str:
        """The bucket of media, without the options of its URL; "" when they are in a folder."""
        return "" if self.media_folder is not None else urlsplit(self.media_url)._replace(query="").geturl()

    @property
    def key_file(self) -> Path | None:
        """Where the master key is without MASTER_KEY: beside an SQLite database."""
        return None if self.sqlite_path is None else master_key_path(self.sqlite_path)

    def keys(self) -> Sequence[bytes]:
        """Return the master keys that there are: MASTER_KEY, else the one in the file."""
        if self.master_keys:
            return self.master_keys
        return (read_master_key(self.key_file),) if self.key_file is not None and self.key_file.exists() else ()

    def database(self) -> Database:
        """Return the database.

        Raises:
            BadSettings: it cannot be backed up or restored by way of these settings.
        """
        if self.sqlite_path is not None:
            return SqliteFile(self.sqlite_path)
        # Imported here, because SQLite does not need it.
        from tellwire.stores.backups.postgres_database import PostgresDatabase  # noqa: PLC0415

        return PostgresDatabase(self.url, pooled=self.pooled)


def opened_by(keys: Sequence[bytes], sample: SealedSample) -> bool:
    """Return whether one of these master keys opens a sealed value."""
    if not keys:
        return False
    try:
        Vault(keys).unseal(sample.value, sample.place)
    except BadSettings:
        return False
    return True
