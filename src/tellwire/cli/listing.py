"""What the commands of all nouns share: a list with its options, and a row as it is shown."""

from __future__ import annotations

import inspect
import itertools
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from typing import Annotated, Any, NamedTuple, get_type_hints

import typer

from tellwire.cli import printing
from tellwire.cli.output import Json, JsonLines, print_json, print_json_lines, print_table
from tellwire.cli.records import cell, print_record
from tellwire.cli.server import Api, talks_to_server
from tellwire.errors import BadSettings

DEFAULT = 20
_PAGE = 200

Since = Annotated[
    str, typer.Option("--since", metavar="SPAN|TIME", help="Only what is newer: 10m, 2h, 3d, or an RFC 3339 time.")
]
Until = Annotated[str, typer.Option("--until", metavar="SPAN|TIME", help="Only what is older; as --since.")]
Account = Annotated[str, typer.Option("--account", metavar="ACCOUNT", help="Only of this phone_number_id, or our id.")]
Key = Annotated[str, typer.Argument(metavar="ID", help="Its id, or the beginning or end of it as a list shows it.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")]

Show = Callable[[Mapping[str, Any]], object]
Column = str | tuple[str, Show]
"""A field of the row, or a header and what makes its cell."""


class Asked(NamedTuple):
    """A list of the API: its path after /v1, and its filters; empty ones are left out."""

    path: tuple[str, ...]
    filters: Mapping[str, str]


_ADDED: dict[str, tuple[Any, Any]] = {
    "limit": (
        Annotated[int, typer.Option("--limit", min=1, metavar="N", help="So many of the newest.")],
        DEFAULT,
    ),
    "everything": (Annotated[bool, typer.Option("--all", help="All of them, page after page.")], False),
    "json": (Json, False),
    "jsonl": (JsonLines, False),
}


def group(help_: str) -> typer.Typer:
    """Return the commands of one noun, still without any."""
    return typer.Typer(help=help_, no_args_is_help=True, add_completion=False, rich_markup_mode=None)


def lists(*columns: Column, or_database: bool = False) -> Callable[[Callable[..., Asked]], Callable[..., None]]:
    """Return a decorator for the function of a list, which takes `api` and its filters, and says what to ask for.

    It is given the options --limit, --all, --json and --jsonl, and prints the rows, newest first.
    """

    def decorate(function: Callable[..., Asked]) -> Callable[..., None]:
        hints = get_type_hints(function, include_extras=True)
        own = [each.replace(annotation=hints[each.name]) for each in inspect.signature(function).parameters.values()]
        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            for name, (annotation, default) in _ADDED.items()
        ]

        @wraps(function)
        def command(api: Api, *args: Any, **given: Any) -> None:
            limit, everything, json, jsonl = (given.pop(name) for name in _ADDED)
            asked = function(api, *args, **given)
            rows = _rows(api, asked, most=None if everything else limit)
            if jsonl:
                print_json_lines(rows)
            else:
                show(list(rows), columns, as_json=json)

        command.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in (*own, *added)}
        return talks_to_server(or_database=or_database)(command)

    return decorate


def show(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], *, as_json: bool) -> None:
    """Print rows as one JSON document, or as a table of these columns."""
    if as_json:
        print_json({"data": rows})
    elif not rows:
        printing.err("none\n")
    else:
        now = time.time()
        header = [each if isinstance(each, str) else each[0] for each in columns]
        print_table(
            [[_cell(row, each, now) for each in columns] for row in rows],
            header=[name.removesuffix("_at").replace("_", " ").upper() for name in header],
        )


def print_one(api: Api, method: str, *path: str, body: object = None, json: bool) -> Any:
    """Make a call, print the record that it answers with, and return it."""
    row = api.call(method, *path, body=body)
    print_record(row, as_json=json)
    return row


def confirmed(question: str, *, yes: bool) -> None:
    """Ask before something that cannot be undone.

    Raises:
        BadSettings: nobody can be asked: stdin is no terminal, and --yes was not given.
        Abort: the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise BadSettings(f"{question} Nobody can be asked here: give --yes")
    typer.confirm(printing.on_one_line(question), abort=True, err=True)


def _rows(api: Api, asked: Asked, *, most: int | None) -> Iterator[dict[str, Any]]:
    """Yield the rows of a list, newest first, as its pages come."""
    query = {name: value for name, value in asked.filters.items() if value}
    query["limit"] = str(min(most or _PAGE, _PAGE))

    def pages() -> Iterator[dict[str, Any]]:
        while True:
            page = api.call("GET", *asked.path, query=query)
            yield from page["data"]
            if page["next_cursor"] is None:
                return
            query["cursor"] = page["next_cursor"]

    return itertools.islice(pages(), most)


def _cell(row: Mapping[str, Any], column: Column, now: float) -> str:
    if isinstance(column, str):
        return cell(column, row.get(column), now)
    name, made = column
    return cell(name, made(row), now)
