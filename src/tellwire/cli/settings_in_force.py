"""Read the settings, and tell of variables that were probably meant as settings and are not read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tellwire import settings as settings_room
from tellwire.cli.dev.home import FOLDER
from tellwire.settings import LoadedSettings, NearMiss, Settings


def load(*, defaults: Mapping[str, object] | None = None) -> Settings:
    """Return the settings, with a warning in the log for each variable that lacks our prefix.

    Raises:
        BadSettings: a setting is unknown, malformed or missing.
    """
    return read(defaults=defaults).settings


def read(*, defaults: Mapping[str, object] | None = None) -> LoadedSettings:
    """Return the settings and where each came from, with the same warnings."""
    loaded = settings_room.read(defaults=defaults)
    if loaded.ignored:
        _warn(loaded.ignored)
    return loaded


def _warn(ignored: Sequence[NearMiss]) -> None:
    import structlog  # noqa: PLC0415 - seldom needed, and commands start fast

    from tellwire.observability import logs  # noqa: PLC0415

    logs.set_up()
    for each in ignored:
        structlog.get_logger("tellwire").warning("setting_without_prefix", variable=each.variable, hint=hint(each))


def hint(ignored: NearMiss) -> str:
    """Return what to do about a variable that is not read, in a sentence."""
    return f"{ignored.variable} is not read: if it is meant for Tellwire, call it {ignored.meant}."


def meant_dev(loaded: LoadedSettings) -> str:
    """Return how to name the database of the `dev` of this folder, where none is named and none is here; else ""."""
    path, kept = loaded.settings.sqlite_path, FOLDER / "tellwire.db"
    if loaded.sources["database_url"] != "default" or path is None or path.exists() or not kept.exists():
        return ""
    return f"for that of the `tellwire dev` in this folder, set TELLWIRE_DATABASE_URL=sqlite:///{kept}"
