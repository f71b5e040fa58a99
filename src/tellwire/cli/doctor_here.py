"""What `tellwire doctor` checks on the machine that it runs on: settings, files, the database, clocks and versions."""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from tellwire import settings as settings_room
from tellwire.cli.client import Rejected
from tellwire.doctor.check import Finding
from tellwire.doctor.checks import fault, fine
from tellwire.errors import BadSettings
from tellwire.settings import LoadedSettings, Settings

_CLOCK_SECONDS = 10.0
_STREAM_SECONDS = 10.0


def examine() -> list[Finding]:
    """Return what is found about the settings of this machine, and the files that they name."""
    try:
        loaded = settings_room.read()
    except BadSettings as error:
        return [fault("settings", "unreadable", f"{error}.")]
    return [fine("settings"), *_names(loaded), *_files(loaded.settings), *extras(loaded.settings, _is_installed)]


def _names(loaded: LoadedSettings) -> Iterator[Finding]:
    for each in loaded.ignored:
        yield fault("setting_names", "near_miss", f"{each.variable} looks like {each.meant}.", about=each.variable)
    if not loaded.ignored:
        yield fine("setting_names")


def _files(settings: Settings) -> Iterator[Finding]:
    path = settings.sqlite_path
    if path is not None and not settings.master_key:
        key = path.with_name(f"{path.name}.master-key")
        if key.exists():
            yield _private("master_key", key)
        elif path.exists():
            yield fault("master_key", "missing", f"{key} is not there.", path=str(key))
    file = Path(os.environ.get("TELLWIRE_CONFIG") or "tellwire.toml")
    if file.exists() and any(name in _text(file) for name in ("key", "secret", "token", "postgresql://")):
        yield _private("secret_files", file)


def _private(check: str, path: Path) -> Finding:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        return fault(check, "open", f"{path} has the permissions {mode:o}.", path=str(path))
    return fine(check, str(path))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def extras(settings: Settings, installed: Callable[[str], bool]) -> Iterator[Finding]:
    """Yield whether the modules are installed that the settings ask for."""
    wanted = [
        ("s3", "obstore", "MEDIA_URL", settings.media_url.startswith("s3://")),
        ("otel", "opentelemetry", "TRACING", settings.tracing),
    ]
    missing = [(extra, name) for extra, module, name, used in wanted if used and not installed(module)]
    for extra, name in missing:
        yield fault("extras", "missing", f"{name} needs the extra {extra}.", extra=extra)
    if not missing:
        yield fine("extras")


def _is_installed(module: str) -> bool:
    return find_spec(module) is not None


# --- the database, while no server runs -------------------------------------------------------------------------------


def examine_database() -> list[Finding]:
    """Return what is found about the database of the settings, which is opened for reading only."""
    settings = settings_room.read().settings
    path = settings.sqlite_path
    if path is None:
        return []  # PostgreSQL says more to a server, and `tellwire serve` names what keeps it from starting
    if not path.exists():
        return [fault("database_file", "missing", f"{path} is not there.")]
    from tellwire.doctor.server_figures import NETWORK_FILE_SYSTEMS  # noqa: PLC0415 - seldom needed
    from tellwire.stores.disks import file_system_of  # noqa: PLC0415

    if (kind := file_system_of(path)) in NETWORK_FILE_SYSTEMS:
        return [fault("database_file", "network", f"{path} lies on {kind}.")]
    try:
        revision = _revision(path)
    except sqlite3.DatabaseError as error:
        name = "unreadable" if "unable to open" in str(error) else "damaged"
        return [fault("database_file", name, f"{path}: {error}.")]
    return [fine("database_file", str(path)), _schema(revision)]


def _revision(path: Path) -> str:
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=5)
    try:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE name = 'alembic_version'").fetchall()
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if tables else None
        return str(row[0]) if row else ""
    finally:
        connection.close()


def _schema(revision: str) -> Finding:
    from tellwire.stores.migrate import HEAD  # noqa: PLC0415 - seldom needed

    if revision == HEAD:
        return fine("schema", revision)
    newer = revision[:4].isdigit() and revision[:4] > HEAD[:4]
    cause = f"It has {revision or 'none'}; this version has {HEAD}."
    return fault("schema", "newer" if newer else "older", cause)


# --- the server, seen from here ---------------------------------------------------------------------------------------


def seen_from_here(api: Any, at: str) -> Iterator[Finding]:
    """Yield what only a client of the server can see: whose clock differs, and a proxy that holds streams back.

    Args:
        at: what time it was at the server just now.
    """
    differ = time.time() - datetime.fromisoformat(at).timestamp()
    if abs(differ) > _CLOCK_SECONDS:
        yield fault("clock_here", "differ", f"They differ by {abs(differ):.0f} s.")
    else:
        yield fine("clock_here")
    if urlsplit(api.url).hostname not in ("127.0.0.1", "localhost", "::1"):
        yield _streams(api)


def _streams(api: Any) -> Finding:
    try:
        if api.streams("events", "stream", seconds=_STREAM_SECONDS):
            return fine("buffering")
    except Rejected as error:
        return fine("buffering", f"not tried: {error}")
    return fault("buffering", "held_back", f"Nothing of a stream came within {_STREAM_SECONDS:g} s.")
