"""Implement `tellwire organizations`."""

from __future__ import annotations

from typing import Annotated

import typer

from tellwire.cli.ids import whole
from tellwire.cli.listing import Asked, Key, group, lists, print_one
from tellwire.cli.output import Json
from tellwire.cli.server import Api, talks_to_server

organizations = group("Create, list and show organizations.")
_NOUN = "organizations"


@organizations.command("list", epilog="Example: tellwire organizations list")
@lists("id", "name", "created_at", or_database=True)
def list_(_: Api) -> Asked:
    """List the organizations; an operator sees all."""
    return Asked((_NOUN,), {})


@organizations.command(epilog="Example: tellwire organizations show 0a1b2c3d")
@talks_to_server(or_database=True)
def show(api: Api, organization_id: Key, *, json: Json = False) -> None:
    """Show an organization."""
    print_one(api, "GET", _NOUN, whole(api, organization_id, _NOUN), json=json)


@organizations.command(epilog='Example: tellwire organizations create "Bakery"')
@talks_to_server(or_database=True)
def create(
    api: Api, name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called.")], *, json: Json = False
) -> None:
    """Create an organization; only an operator may."""
    print_one(api, "POST", _NOUN, body={"name": name}, json=json)
