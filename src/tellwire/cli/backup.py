"""Implement `tellwire backup`: the database and its media in one file, as they are at one moment."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tellwire.cli import printing
from tellwire.cli.output import Json, print_json
from tellwire.errors import TellwireError

if TYPE_CHECKING:
    from tellwire.settings import Settings
    from tellwire.stores.backups.installation import Installation
    from tellwire.stores.backups.manifest import Manifest

_EVERY_SECONDS = 2.0


def backup(
    target: Annotated[Path, typer.Argument(metavar="FILE_OR_FOLDER", help="The file to write, or the folder for it.")],
    *,
    with_key: Annotated[
        bool,
        typer.Option(
            "--with-key/--without-key",
            help="Put the master key into the file. Without it, which is the default, nobody who gets the file can send"
            " as your numbers; keep the key elsewhere.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Write a backup, also while the server runs: whatever was answered 200 before is in it.

    The database, the files of messages unless they are in a bucket, and a manifest with the SHA-256 of every part.
    On PostgreSQL it takes `pg_dump`. Nobody else may read the file, and it has its name once it is whole.
    """
    import asyncio  # noqa: PLC0415 - `--help` does not need what follows

    from tellwire.cli import settings_in_force  # noqa: PLC0415
    from tellwire.clock import SystemClock  # noqa: PLC0415
    from tellwire.observability import logs  # noqa: PLC0415
    from tellwire.stores.backups.making import make_backup  # noqa: PLC0415

    loaded = settings_in_force.read()
    settings = loaded.settings
    if meant := settings_in_force.meant_dev(loaded):
        raise TellwireError(f"there is no database at {settings.sqlite_path}; {meant}")
    logs.set_up()
    now = SystemClock().now()
    path = place_for(target, now)
    with long_work("backup", path, settings):
        manifest = asyncio.run(
            make_backup(installation_of(settings), path, with_key=with_key, now=now, tell=Progress("backup"))
        )
    _show(manifest, path, installation_of(settings), as_json=json)


def installation_of(settings: Settings) -> Installation:
    """Return what of the settings a backup is about."""
    from tellwire.stores.backups.installation import Installation  # noqa: PLC0415

    return Installation(
        url=settings.database_url,
        pooled=settings.database_pooler,
        media_url=settings.media_location,
        master_keys=settings.master_key,
    )


class Progress:
    """Tells on stderr what is done, at once, and how far it is, every few seconds."""

    def __init__(self, command: str) -> None:
        self._command = command
        self._next = time.monotonic() + _EVERY_SECONDS

    def __call__(self, what: str, done: int, total: int) -> None:
        """Tell it; how far it is, not again a moment later."""
        if (done or total) and time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _EVERY_SECONDS
        far = f", {in_words(done)} of {in_words(total)}" if total else f", {in_words(done)}" if done else ""
        printing.err(f"{self._command}: {what}{far}\n")
        sys.stderr.flush()


@contextmanager
def long_work(command: str, path: Path, settings: Settings) -> Iterator[None]:
    """Turn what goes wrong with files into one line, and end at once when a signal comes, with nothing left behind.

    Raises:
        TellwireError: a file cannot be read or written, or is no database.
    """
    import sqlite3  # noqa: PLC0415

    def interrupt(number: int, _frame: object) -> None:
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise TellwireError(f"{command} was ended by a signal")

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except OSError as error:
        raise TellwireError(f"{error.filename or path}: {error.strerror or error}") from None
    except Exception as error:
        cause = getattr(error, "orig", error)  # SQLAlchemy wraps the error of SQLite
        if not isinstance(cause, sqlite3.Error):
            raise
        raise TellwireError(f"the database {settings.sqlite_path} cannot be opened: {cause}") from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def in_words(size: int) -> str:
    """Return a number of bytes for people."""
    value, unit = float(size), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"


def place_for(target: Path, now: int) -> Path:
    """Return the file to write; `now` in micros.

    Raises:
        BadParameter: it is there already, or its folder is not.
    """
    if target.is_dir():
        target /= time.strftime("tellwire-%Y%m%dT%H%M%SZ.tar", time.gmtime(now / 1_000_000))
    if target.exists():
        raise typer.BadParameter(f"{target} is there already: name another file, or a folder")
    if not target.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {target.parent}: make it first")
    return target


def _show(manifest: Manifest, path: Path, installation: Installation, *, as_json: bool) -> None:
    size, files = path.stat().st_size, manifest.media_files
    key = _where_the_key_is(manifest, installation)
    if as_json:
        print_json(
            {
                "ok": True,
                "file": str(path),
                "bytes": size,
                "made_at": manifest.made_at,
                "version": manifest.version,
                "revision": manifest.revision,
                "store": manifest.store,
                "holds": manifest.holds,
                "media": {"where": manifest.media, "files": len(files), "missing": manifest.media_missing},
                "master_key": {"in_archive": manifest.has_master_key, "where": key},
            }
        )
        return
    printing.out(f"{path}: {in_words(size)}, {contents_in_words(manifest)}\n")
    if installation.bucket:
        printing.out(f"files of messages are not in it: they are in {installation.bucket}\n")
    elif manifest.media_missing:
        printing.out(f"{manifest.media_missing} files of messages were not in the folder of media\n")
    printing.out(f"{key}\n")


def contents_in_words(manifest: Manifest) -> str:
    """Return what a backup holds, in a line."""
    held = [f"{name.replace('_', ' ')}: {count}" for name, count in manifest.holds.items() if name != "media"]
    held += [f"files of messages: {len(manifest.media_files)}"] if manifest.media_files else []
    return ", ".join(held) or "nothing yet"


def _where_the_key_is(manifest: Manifest, installation: Installation) -> str:
    if manifest.has_master_key:
        return (
            "the master key is in it: whoever reads the file can send as your numbers, so keep it as you keep passwords"
        )
    if not manifest.sealed:
        return "nothing in it is sealed, so that no master key is needed"
    key_file = installation.key_file
    where = "TELLWIRE_MASTER_KEY" if installation.master_keys or key_file is None else f"the file {key_file.absolute()}"
    return f"the master key is not in it: keep {where} in another place, because without it no restore is possible"
