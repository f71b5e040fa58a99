"""Where settings come from: the environment over the settings file over defaults."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from tellwire.errors import BadSettings
from tellwire.settings.alert_fields import missing
from tellwire.settings.fields import OTHER_VARIABLES, PREFIX, SETTINGS, Settings, variable_of
from tellwire.settings.near_misses import NearMiss, misspelt_prefixes, without_prefix


class LoadedSettings(Struct, frozen=True):
    """Settings, and by field name where each came from: "default", a variable's name or the settings file.

    `ignored`: variables that were probably meant as settings and lack our prefix.
    """

    settings: Settings
    sources: dict[str, str]
    ignored: tuple[NearMiss, ...] = ()


class _Found(Struct, frozen=True):
    raw: str | list[str]
    source: str
    label: str


def load(
    environ: Mapping[str, str] = os.environ,
    *,
    directory: Path | None = None,
    defaults: Mapping[str, object] | None = None,
) -> Settings:
    """Return the settings alone, as `read` finds them."""
    return read(environ, directory=directory, defaults=defaults).settings


def read(
    environ: Mapping[str, str] = os.environ,
    *,
    directory: Path | None = None,
    defaults: Mapping[str, object] | None = None,
) -> LoadedSettings:
    """Read settings from the environment, then `tellwire.toml` (or TELLWIRE_CONFIG), then `defaults`, then our own.

    An empty variable counts as not set. `TELLWIRE_X_FILE` names a file that holds the value of `TELLWIRE_X`.

    Args:
        environ: variables; those without our prefix are not read, and those that miss it are in `ignored`.
        directory: where relative file names start; the working directory unless given.
        defaults: field name → value, before our own defaults (see `DEV_DEFAULTS`).

    Raises:
        BadSettings: a key is unknown or its prefix is misspelt, a value is malformed, or one that is needed is missing.
    """
    folder = directory or Path()
    for each in misspelt_prefixes(environ):
        raise BadSettings(f"{each.variable} is not a setting; did you mean {each.meant}?")
    ours = {name: value for name, value in environ.items() if name.startswith(PREFIX) and value.strip()}
    others = {name: ours.pop(name) for name in OTHER_VARIABLES if name in ours}
    found = _in_file(folder, others.get("TELLWIRE_CONFIG")) | _in_environment(folder, ours)
    values: dict[str, Any] = {**(defaults or {}), **{name: _parsed(name, each) for name, each in found.items()}}
    settings = Settings(**values)
    if settings.sqlite_path is None and not settings.master_key:
        raise BadSettings(f"TELLWIRE_MASTER_KEY is required with PostgreSQL: {SETTINGS['master_key'].takes}")
    if lacking := missing(settings):
        raise BadSettings(lacking)
    sources = {name: found[name].source if name in found else "default" for name in SETTINGS}
    return LoadedSettings(settings, sources, tuple(without_prefix(environ)))


def _in_file(folder: Path, named: str | None) -> dict[str, _Found]:
    path = folder / (named or "tellwire.toml")
    if named is None and not path.exists():
        return {}
    try:
        table = tomllib.loads(_content(path, named and "TELLWIRE_CONFIG"))
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(f"{path} is not TOML: {error}") from None
    for key in table:
        if key not in SETTINGS:
            raise BadSettings(f"{key} in {path} is not a setting{_nearest(key.lower(), dict.fromkeys(SETTINGS))}")
    found = {}
    for key, value in table.items():
        label = f"{key} in {path}"
        raw = [_as_text(label, item) for item in value] if isinstance(value, list) else _as_text(label, value)
        found[key] = _Found(raw, str(path), label)
    return found


def _in_environment(folder: Path, ours: dict[str, str]) -> dict[str, _Found]:
    found: dict[str, _Found] = {}
    if "TELLWIRE_SERVICE_HOST" in ours:
        raise BadSettings(
            "TELLWIRE_SERVICE_HOST and its kin are Kubernetes service links: set enableServiceLinks: false"
        )
    for variable, text in ours.items():
        key = variable.removeprefix(PREFIX).lower()
        name = key if key in SETTINGS else key.removesuffix("_file")
        if name not in SETTINGS or variable != variable.upper():
            raise BadSettings(f"{variable} is not a setting{_nearest(key, _VARIABLES)}")
        if name in found:
            raise BadSettings(f"{variable_of(name)} and {variable_of(name)}_FILE are both set: keep one")
        value = text if name == key else _content(folder / text, variable)
        if not value.strip():
            raise BadSettings(f"{variable} names {folder / text}, which is empty")
        found[name] = _Found(value.strip(), variable, variable)
    return found


def _content(path: Path, variable: str | None) -> str:
    named = f"{variable} names {path}, which" if variable else f"{path}"
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadSettings(f"{named} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadSettings(f"{named} is not UTF-8 text") from None


def _as_text(label: str, value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str() | int() | float():
            return str(value).strip()
        case _:
            raise BadSettings(f"{label} must be a text, a number, true, false or a list of these")


def _parsed(name: str, found: _Found) -> object:
    setting = SETTINGS[name]
    try:
        if setting.many:
            items = found.raw if isinstance(found.raw, list) else found.raw.split(",")
            return tuple(setting.parse(item.strip()) for item in items if item.strip())
        if isinstance(found.raw, str):
            return setting.parse(found.raw)
    except ValueError:  # base64 and network errors are ValueErrors too
        pass
    private = setting.secret or name == "database_url" or "@" in str(found.raw)  # a password may stand before it
    given = "" if private else f", not {found.raw!r}"
    raise BadSettings(f"{found.label} takes {setting.all_it_takes}{given}")


_VARIABLES = {name.removeprefix(PREFIX).lower(): name for name in [*map(variable_of, SETTINGS), *OTHER_VARIABLES]}


def _nearest(word: str, known: Mapping[str, str | None]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {known[close[0]] or close[0]}?" if close else "; `tellwire config --reference` lists all"
