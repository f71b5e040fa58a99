"""Print what commands show: one JSON document, or a table for people."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import msgspec
import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
"""The option that every command has."""


def print_json(value: object) -> None:
    """Print one line of JSON on stdout and flush it: a command that runs on may be read through a pipe."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def print_table(rows: Sequence[Sequence[str]], *, header: Sequence[str]) -> None:
    """Print left-aligned columns on stdout, without padding after the last one."""
    lines = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        sys.stdout.write("  ".join(cells).rstrip() + "\n")
