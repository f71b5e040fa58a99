"""Print what commands show: one JSON document, or a table for people that fits their terminal."""

from __future__ import annotations

import os
import sys
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec
import typer

from tellwire.cli import printing

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
"""The option that every command has."""
JsonLines = Annotated[bool, typer.Option("--jsonl", help="Print one JSON document a line, as they come.")]
"""The option of commands that list or follow."""

_NARROWEST = 8
_GAP = 2
_USUAL, _LONGEST = 80, 100
_JOINING = ("Mn", "Me", "Cf")
GREEN, YELLOW, RED, DIM = "32", "33", "31", "2"
_COLOURS = {
    **dict.fromkeys(("delivered", "applied", "active", "accepted", "read", "done", "stored", "healthy", "ok"), GREEN),
    **dict.fromkeys(("pending", "retrying", "parked", "queued", "scheduled", "waiting", "paused", "held"), YELLOW),
    **dict.fromkeys(("failed", "unknown", "disabled", "unrouted", "not_understood", "open", "cancelled"), RED),
}
"""The colours of states in tables."""


def coloured() -> bool:
    """Return whether stdout takes colours: a terminal, where NO_COLOR is not set (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def painted(said: str, colour: str) -> str:
    """Return a text in a colour, where stdout takes colours."""
    return f"\x1b[{colour}m{said}\x1b[0m" if colour and coloured() else said


def print_json(value: object) -> None:
    """Print one line of JSON on stdout and flush it: a command that runs on may be read through a pipe."""
    printing.out_json(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def print_json_lines(values: Iterable[object]) -> None:
    """Print each value as one line of JSON, as it comes."""
    for value in values:
        print_json(value)


def print_table(rows: Sequence[Sequence[str]], *, header: Sequence[str]) -> None:
    """Print left-aligned columns on stdout, without padding after the last one.

    On a terminal the widest columns give way until a line fits; through a pipe everything is printed whole.
    """
    lines = [[printing.on_one_line(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(width_of, column)) for column in zip(*lines, strict=True)]
    if room := columns():
        widths = fitting(widths, room)
    for number, line in enumerate(lines):
        cells = [
            painted(_filled(cut(cell, width), width), "" if number == 0 else _COLOURS.get(cell, ""))
            for cell, width in zip(line, widths, strict=True)
        ]
        printing.out((" " * _GAP).join(cells).rstrip() + "\n")


def columns() -> int:
    """Return how many columns stdout's terminal has; 0 where it is none, and everything is printed whole."""
    return (os.get_terminal_size(sys.stdout.fileno()).columns or _USUAL) if sys.stdout.isatty() else 0


def print_indented(said: str) -> None:
    """Print a sentence below what it is about, on a terminal in lines that fit and are not too long to read."""
    said, room, indent = printing.on_one_line(said), columns(), " " * 4
    lines = textwrap.wrap(said, min(room, _LONGEST) - len(indent), break_on_hyphens=False) if room else [said]
    printing.out("".join(f"{indent}{line}\n" for line in lines))


def width_of(said: str) -> int:
    """Return how many columns a text takes: two a wide sign (Chinese, emoji), none for what joins the one before."""
    return sum(
        0 if unicodedata.category(each) in _JOINING else 2 if unicodedata.east_asian_width(each) in "WF" else 1
        for each in said
    )


def cut(said: str, width: int) -> str:
    """Return a text that takes at most so many columns."""
    if width_of(said) <= width:
        return said
    while said and width_of(said) > width - 1:
        said = said[:-1]
    return said + "…"


def fitting(widths: Sequence[int], columns: int) -> list[int]:
    """Return column widths whose line fits into so many columns: the widest become narrower, none below 8."""
    fitted, most = list(widths), columns - _GAP * (len(widths) - 1)
    while sum(fitted) > most and max(fitted) > _NARROWEST:
        fitted[fitted.index(max(fitted))] -= 1
    return fitted


def _filled(cell: str, width: int) -> str:
    return cell + " " * (width - width_of(cell))
