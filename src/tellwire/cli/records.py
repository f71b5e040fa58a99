"""Print records of the API: whole as JSON, else the columns that a person looks for."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tellwire.cli import printing
from tellwire.cli.output import print_json, print_table
from tellwire.cli.short_ids import short
from tellwire.cli.times import ago
from tellwire.errors import BadSettings


def print_records(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """Print a list of records."""
    if as_json:
        print_json({"data": rows})
    elif rows:
        now = time.time()
        cells = [[cell(name, row.get(name), now) for name in columns] for row in rows]
        print_table(cells, header=[name.upper() for name in columns])
    else:
        printing.err("none yet\n")


def cell(name: str, value: Any, now: float) -> str:
    """Return a field's value as a cell of a table: on a terminal with a short id and a time relative to `now`."""
    said = text(value)
    if not sys.stdout.isatty():
        return said
    return ago(said, now) if name == "at" or name.endswith(("_at", "_on")) else short(said)


def print_record(row: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one record, a line for each field that is not empty."""
    if as_json:
        print_json(row)
        return
    told = [(name, text(value)) for name, value in row.items() if value not in (None, "", [], {})]
    width = max(len(name) for name, _ in told)
    for name, value in told:
        printing.out(f"{name:<{width}}  {value}\n")


def print_once(secret: str, said: str) -> None:
    """Print a secret on stdout, where a script can read it, and a remark about it on stderr."""
    printing.out(f"{secret}\n")
    sys.stdout.flush()
    printing.err(f"{said}\n")


def text(value: Any) -> str:
    """Return a field's value as text for people."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(text, value)) or "-"
        case dict():
            return ", ".join(f"{name}={text(each)}" for name, each in value.items()) or "-"
        case _:
            return printing.on_one_line(str(value))


def secret_of(option: str, given: str) -> str:
    """Return a secret given on the command line, or the text of the file of `@FILE`, which no process list shows.

    Raises:
        BadSettings: the file cannot be read.
    """
    if not given.startswith("@"):
        return given
    try:
        return Path(given[1:]).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"{option} names {given[1:]}, which cannot be read: {error}") from None
