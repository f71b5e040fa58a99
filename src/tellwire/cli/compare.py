"""Implement `tellwire compare`: what one source had and the other had not."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from tellwire.cli import printing
from tellwire.cli.output import Json, print_json, print_table
from tellwire.cli.server import Api, talks_to_server
from tellwire.cli.times import span
from tellwire.model.sources import META

_COLUMNS = ("source_name", "missing_from_name", "kind", "what", "phone_number_id", "wamid", "message_id", "received_at")
_PAGE = "200"


@talks_to_server(or_database=True)
def compare(
    api: Api,
    *,
    since: Annotated[str, typer.Option(metavar="SPAN", help="How far back: a number with s, m, h or d.")] = "24h",
    a: Annotated[str, typer.Option("--a", metavar="SOURCE", help="A source's id or name; meta is Meta itself.")] = META,
    b: Annotated[
        str, typer.Option("--b", metavar="SOURCE", help="The other one; the only other one unless given.")
    ] = "",
    grace: Annotated[
        str, typer.Option(metavar="SPAN", help="Items younger than this are not judged: they may be on their way.")
    ] = "5m",
    json: Json = False,
) -> None:
    """List the messages and statuses that one source had and the other had not. Exits with 1 when there are any."""
    begun = datetime.fromtimestamp(time.time(), UTC) - span("--since", since)
    query = {"a": a, "since": begun.isoformat(), "grace_seconds": str(int(span("--grace", grace).total_seconds()))}
    found = _compared(api, query | ({"b": b} if b else {}))
    if json:
        print_json(found)
    else:
        _print(found)
    if found["data"]:
        raise typer.Exit(1)


def _compared(api: Api, query: dict[str, str]) -> dict[str, Any]:
    """Return all pages as one; what came after the first one is not judged in the others either."""
    found: dict[str, Any] = api.call("GET", "sources", "compare", query={**query, "limit": _PAGE})
    cursor = found.pop("next_cursor")
    while cursor is not None:
        asked = query | {"until": found["until"], "limit": _PAGE, "cursor": cursor}
        page = api.call("GET", "sources", "compare", query=asked)
        found["data"] += page["data"]
        cursor = page["next_cursor"]
    return found


def _print(found: dict[str, Any]) -> None:
    if found["data"]:
        header = ("HAD BY", "MISSING FROM", "KIND", "WHAT", "NUMBER", "WAMID", "MESSAGE", "RECEIVED AT")
        print_table([[str(row[name] or "-") for name in _COLUMNS] for row in found["data"]], header=header)
    for each in found["counts"]:
        only = f"{each['only']} of them only there" if each["only"] else "the other had them all"
        printing.err(f"{each['source_name']} had {each['items']} from {found['since']}, {only}\n")
