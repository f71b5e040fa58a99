"""Implement `tellwire inbound`: the POSTs that were received."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from tellwire.cli.ids import whole
from tellwire.cli.listing import Asked, Key, Since, group, lists, print_one
from tellwire.cli.output import Json
from tellwire.cli.server import Api, talks_to_server
from tellwire.cli.times import moment

inbound = group("List and show the POSTs that Meta and other sources made; apply them again.")
_NOUN = "inbound"
_ID = "0a1b2c3d"


def _items(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{count} {name}" for name, count in row["item_counts"].items()) or "-"


@inbound.command("list", epilog="Example: tellwire inbound list --outcome unrouted --since 1d")
@lists("id", "received_at", "outcome", ("items", _items), ("source", lambda row: row["source_id"] or "meta"))
def list_(
    api: Api,
    *,
    outcome: Annotated[
        str, typer.Option(help="applied, recorded, duplicate, erased, held, unrouted or not_understood.")
    ] = "",
    source: Annotated[str, typer.Option(metavar="ID", help="Only of this source; meta is Meta itself.")] = "",
    since: Since = "",
) -> Asked:
    """List received POSTs, newest first."""
    wanted = source if source == "meta" else whole(api, source, "sources")
    return Asked((_NOUN,), {"outcome": outcome, "source": wanted, "since": moment("--since", since)})


@inbound.command(epilog=f"Example: tellwire inbound show {_ID} --json")
@talks_to_server()
def show(api: Api, inbound_id: Key, *, json: Json = False) -> None:
    """Show a POST: its items, what became of each, and the bytes that came."""
    print_one(api, "GET", _NOUN, whole(api, inbound_id, _NOUN, what="POST"), json=json)


@inbound.command(epilog=f"Example: tellwire inbound reapply {_ID}")
@talks_to_server()
def reapply(
    api: Api,
    inbound_id: Key,
    *,
    pointer: Annotated[
        list[str] | None,
        typer.Option(metavar="POINTER", help="Only this item, repeatable; what waits or failed unless given."),
    ] = None,
    json: Json = False,
) -> None:
    """Apply its items again: those that wait, or were not understood."""
    wanted = {"pointers": pointer} if pointer else {}
    print_one(api, "POST", _NOUN, whole(api, inbound_id, _NOUN, what="POST"), "reapply", body=wanted, json=json)
