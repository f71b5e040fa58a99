"""Implement `tellwire accounts`: WhatsApp business numbers."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from tellwire.cli.output import Json, print_json
from tellwire.cli.records import print_record, print_records, secret_of
from tellwire.cli.server import Api, talks_to_server

accounts = typer.Typer(
    help="Create, list, show and delete accounts (WhatsApp business numbers).",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
_NOUN = "accounts"
Name = Annotated[str, typer.Argument(metavar="ACCOUNT", help="phone_number_id, or our id.")]


@accounts.command(epilog="Example: tellwire accounts create 100200300400500 --name Shop --app-secret @app-secret.txt")
@talks_to_server(or_database=True)
def create(
    api: Api,
    phone_number_id: Annotated[str, typer.Argument(help="Meta's id of the number, not the number itself.")],
    *,
    name: Annotated[str, typer.Option(help="What you call it.")] = "",
    display_phone_number: Annotated[str, typer.Option(help="The number as Meta shows it.")] = "",
    waba_id: Annotated[str, typer.Option(help="Its WhatsApp business account.")] = "",
    access_token: Annotated[str, typer.Option(metavar="TOKEN", help="For sending; @FILE reads it from a file.")] = "",
    app_secret: Annotated[
        str, typer.Option(metavar="SECRET", help="Of an app of its own; @FILE reads it from a file.")
    ] = "",
    json: Json = False,
) -> None:
    """Create an account. What has come for its number before is applied by the running server, or the next one."""
    draft = {
        "phone_number_id": phone_number_id,
        "name": name,
        "display_phone_number": display_phone_number,
        "waba_id": waba_id,
        "access_token": secret_of("--access-token", access_token),
        "app_secret": secret_of("--app-secret", app_secret),
    }
    given = {field: value for field, value in draft.items() if value}
    print_record(api.call("POST", _NOUN, body=given), as_json=json)


@accounts.command("list", epilog="Example: tellwire accounts list --json")
@talks_to_server(or_database=True)
def list_(api: Api, *, json: Json = False) -> None:
    """List the accounts."""
    rows = api.every(_NOUN)
    print_records(rows, ("id", "phone_number_id", "display_phone_number", "name", "created_at"), as_json=json)


@accounts.command(epilog="Example: tellwire accounts show 100200300400500")
@talks_to_server(or_database=True)
def show(api: Api, account: Name, *, json: Json = False) -> None:
    """Show an account; its secrets only as there or not there."""
    print_record(api.call("GET", _NOUN, account), as_json=json)


@accounts.command(epilog="Example: tellwire accounts delete 100200300400500")
@talks_to_server(or_database=True)
def delete(api: Api, account: Name, *, json: Json = False) -> None:
    """Delete an account; its conversations and messages stay, what comes for its number is unrouted from now on."""
    api.call("DELETE", _NOUN, account)
    if json:
        print_json({"ok": True})
    else:
        sys.stdout.write(f"deleted {account}\n")
