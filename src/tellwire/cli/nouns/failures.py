"""Implement `tellwire failures`: what fails, by endpoint and reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from tellwire.cli.ids import whole
from tellwire.cli.listing import Asked, Key, Yes, confirmed, group, lists, print_one
from tellwire.cli.output import Json
from tellwire.cli.server import Api, talks_to_server

failures = group("List what fails, by endpoint and reason; acknowledge, resolve and replay it.")
_NOUN = "failures"
_ID = "0a1b2c3d"


def _count(row: Mapping[str, Any]) -> str:
    return f"{row['failed']}{'+' if row['at_least'] else ''}"


@failures.command("list", epilog="Example: tellwire failures list --state open")
@lists("id", "state", ("endpoint", lambda row: row["endpoint_name"]), "cause", ("failed", _count), "waiting", "last_at")
def list_(
    api: Api,
    *,
    state: Annotated[str, typer.Option(help="open, acknowledged or resolved.")] = "",
    endpoint: Annotated[str, typer.Option(metavar="ID", help="Only of this endpoint.")] = "",
) -> Asked:
    """List what fails and failed."""
    wanted = whole(api, endpoint, "webhook-endpoints", what="endpoint")
    return Asked((_NOUN,), {"state": state, "endpoint_id": wanted})


@failures.command(epilog=f"Example: tellwire failures show {_ID}")
@talks_to_server()
def show(api: Api, failure_id: Key, *, json: Json = False) -> None:
    """Show a failure; its deliveries are `deliveries list --failure ID`."""
    print_one(api, "GET", _NOUN, whole(api, failure_id, _NOUN), json=json)


@failures.command(epilog=f'Example: tellwire failures acknowledge {_ID} --note "Their certificate has expired."')
@talks_to_server()
def acknowledge(
    api: Api,
    failure_id: Key,
    *,
    note: Annotated[str, typer.Option(metavar="TEXT", help="What others should know.")] = "",
    json: Json = False,
) -> None:
    """Say that somebody deals with it."""
    print_one(api, "POST", _NOUN, whole(api, failure_id, _NOUN), "acknowledge", body={"note": note}, json=json)


@failures.command(epilog=f"Example: tellwire failures resolve {_ID}")
@talks_to_server()
def resolve(api: Api, failure_id: Key, *, json: Json = False) -> None:
    """Say that it is over; the next failed attempt of its kind opens it again."""
    print_one(api, "POST", _NOUN, whole(api, failure_id, _NOUN), "resolve", json=json)


@failures.command(epilog=f"Example: tellwire failures replay {_ID} --yes")
@talks_to_server()
def replay(
    api: Api,
    failure_id: Key,
    *,
    new_id: Annotated[bool, typer.Option("--new-id", help="Under fresh webhook-ids.")] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Send once more all that was given up because of it, oldest first."""
    name = whole(api, failure_id, _NOUN)
    known = api.call("GET", _NOUN, name)
    confirmed(f"Send {_count(known)} deliveries to {known['endpoint_name']} once more?", yes=yes)
    print_one(api, "POST", _NOUN, name, "replay", body={"new_id": new_id}, json=json)
