"""Implement `tellwire sources`: other systems whose webhooks come in."""

from __future__ import annotations

from typing import Annotated

import typer

from tellwire.cli import printing
from tellwire.cli.ids import whole
from tellwire.cli.listing import Asked, Key, group, lists, print_one
from tellwire.cli.output import Json, print_json
from tellwire.cli.records import print_record, secret_of
from tellwire.cli.server import Api, talks_to_server

sources = group("Create, list, show and delete sources: other systems whose webhooks come in.")
_NOUN = "sources"
_ID = "0a1b2c3d"


@sources.command("list", epilog="Example: tellwire sources list")
@lists("id", "name", "kind", "mode", "url", "created_at")
def list_(_: Api) -> Asked:
    """List the sources."""
    return Asked((_NOUN,), {})


@sources.command(epilog=f"Example: tellwire sources show {_ID}")
@talks_to_server()
def show(api: Api, source_id: Key, *, json: Json = False) -> None:
    """Show a source."""
    print_one(api, "GET", _NOUN, whole(api, source_id, _NOUN), json=json)


@sources.command(epilog="Example: tellwire sources create --name old --kind wakit --mode compare")
@talks_to_server()
def create(
    api: Api,
    *,
    name: Annotated[str, typer.Option(help="What it is called.")],
    kind: Annotated[str, typer.Option(help="wakit, wappcloud, 360dialog or gupshup.")],
    account: Annotated[str, typer.Option(metavar="ACCOUNT", help="Whose numbers it brings, where it names none.")] = "",
    authentication: Annotated[str, typer.Option(help="hmac, header or query.")] = "",
    header: Annotated[str, typer.Option(help="The header that proves it.")] = "",
    secret: Annotated[str, typer.Option(help="What proves it; @FILE reads it from a file. Made unless given.")] = "",
    mode: Annotated[str, typer.Option(help="rows: what comes becomes rows; compare: it is only compared.")] = "",
    json: Json = False,
) -> None:
    """Create a source, and print its URL and its secret, this once."""
    draft = {
        "name": name,
        "kind": kind,
        "account": account,
        "authentication": authentication,
        "header": header,
        "secret": secret_of("--secret", secret),
        "mode": mode,
    }
    made = api.call("POST", _NOUN, body={field: value for field, value in draft.items() if value})
    print_record(made, as_json=json)
    if not json:
        printing.err("The secret is not shown again.\n")


@sources.command(epilog=f"Example: tellwire sources delete {_ID}")
@talks_to_server()
def delete(api: Api, source_id: Key, *, json: Json = False) -> None:
    """Delete a source; what it brought stays."""
    name = whole(api, source_id, _NOUN)
    api.call("DELETE", _NOUN, name)
    if json:
        print_json({"ok": True})
    else:
        printing.out(f"deleted {name}\n")
