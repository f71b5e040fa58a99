"""Find variables of the environment that were probably meant as settings and are not read."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

from msgspec import Struct

from tellwire.settings.fields import PREFIX, SETTINGS, variable_of

_GENERIC = frozenset({"host", "port", "public_url", "allowed_hosts", "tracing"})
"""Names that other software reads too: without our prefix they say nothing about us."""
_PREFIX_LIKE, _NAME_LIKE = 0.8, 0.9
_FILE = "_FILE"


class NearMiss(Struct, frozen=True):
    """A variable that is not read, and the one that was probably meant."""

    variable: str
    meant: str


def misspelt_prefixes(environ: Mapping[str, str]) -> Iterator[NearMiss]:
    """Yield the variables that are a setting's but for their prefix or their case: `TELWIRE_PORT`, `tellwire_port`."""
    ours = PREFIX.rstrip("_")
    for variable, value in environ.items():
        if variable.startswith(PREFIX) or not value.strip():
            continue
        whole, end = _without_file(variable.upper())
        for name in SETTINGS:
            prefix = whole.removesuffix(name.upper()).rstrip("_-")
            if prefix == whole or not prefix.isalpha():
                continue
            if difflib.SequenceMatcher(None, prefix, ours).ratio() >= _PREFIX_LIKE:
                yield NearMiss(variable, variable_of(name) + end)
                break


def without_prefix(environ: Mapping[str, str]) -> Iterator[NearMiss]:
    """Yield the variables that are the name of a setting, or nearly so, and lack our prefix: `META_APP_SECRET`.

    Left out are names that other software reads too, and settings that are given as well; `DATABASE_URL` is told of
    where its value could be ours.
    """
    known = {name.upper(): name for name in SETTINGS if name not in _GENERIC}
    for variable, value in environ.items():
        whole, end = _without_file(variable)
        close = [whole] if whole in known else difflib.get_close_matches(whole, known, n=1, cutoff=_NAME_LIKE)
        if not close or not value.strip():
            continue
        name = known[close[0]]
        meant = variable_of(name)
        given = environ.get(meant, "").strip() or environ.get(meant + _FILE, "").strip()
        if not given and (name != "database_url" or _is_taken(name, value)):
            yield NearMiss(variable, meant + end)


def _without_file(variable: str) -> tuple[str, str]:
    whole = variable.removesuffix(_FILE)
    return whole, variable[len(whole) :]


def _is_taken(name: str, value: str) -> bool:
    try:
        SETTINGS[name].parse(value.strip())
    except ValueError:
        return False
    return True
