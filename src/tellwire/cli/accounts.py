"""Implement `tellwire accounts`: WhatsApp business numbers."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tellwire.cli import printing
from tellwire.cli.ids import whole
from tellwire.cli.json_input import json_of
from tellwire.cli.output import Json, print_json
from tellwire.cli.records import print_record, print_records, secret_of
from tellwire.cli.server import Api, talks_to_server
from tellwire.errors import BadSettings

accounts = typer.Typer(
    help="Create, list, show, change, check and delete accounts (WhatsApp business numbers).",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
_NOUN = "accounts"
Name = Annotated[str, typer.Argument(metavar="ACCOUNT", help="phone_number_id, or our id or a part of it.")]


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


@accounts.command(epilog="Example: tellwire accounts update 100200300400500 --access-token @token.txt")
@talks_to_server(or_database=True)
def update(
    api: Api,
    account: Name,
    *,
    name: Annotated[str, typer.Option(help="What you call it.")] = "",
    waba_id: Annotated[str, typer.Option(help="Its WhatsApp business account.")] = "",
    access_token: Annotated[str, typer.Option(metavar="TOKEN", help="For sending; @FILE reads it from a file.")] = "",
    app_secret: Annotated[
        str, typer.Option(metavar="SECRET", help="Of an app of its own; @FILE reads it from a file.")
    ] = "",
    agent: Annotated[str, typer.Option(metavar="ID", help="The agent that answers; none: nobody.")] = "",
    more: Annotated[
        str,
        typer.Option("--with", metavar="JSON|@FILE", help="Further fields of the REST call: '{\"send_rate\": 20}'."),
    ] = "{}",
    json: Json = False,
) -> None:
    """Change what is given, leave the rest."""
    draft: dict[str, Any] = {
        "name": name,
        "waba_id": waba_id,
        "access_token": secret_of("--access-token", access_token),
        "app_secret": secret_of("--app-secret", app_secret),
    }
    given = {field: value for field, value in draft.items() if value} | json_of("--with", more)
    if agent:
        given["agent_id"] = None if agent == "none" else whole(api, agent, "agents")
    if not given:
        raise BadSettings("say what to change: --name, --waba-id, --access-token, --app-secret, --agent or --with")
    print_record(api.call("PATCH", _NOUN, whole(api, account, _NOUN, or_name=True), body=given), as_json=json)


@accounts.command(epilog="Example: tellwire accounts check 100200300400500")
@talks_to_server(or_database=True)
def check(api: Api, account: Name, *, json: Json = False) -> None:
    """Ask Meta with the account's token for its number; exit code 1 when the token is refused."""
    came = api.call("POST", _NOUN, whole(api, account, _NOUN, or_name=True), "check")
    print_record(came, as_json=json)
    if not came["ok"]:
        raise typer.Exit(1)


@accounts.command("resume-sending", epilog="Example: tellwire accounts resume-sending 100200300400500")
@talks_to_server()
def resume_sending(api: Api, account: Name, *, json: Json = False) -> None:
    """Send what waits again, after what paused it is settled."""
    print_record(api.call("POST", _NOUN, whole(api, account, _NOUN, or_name=True), "resume-sending"), as_json=json)


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
    print_record(api.call("GET", _NOUN, whole(api, account, _NOUN, or_name=True)), as_json=json)


@accounts.command(epilog="Example: tellwire accounts delete 100200300400500")
@talks_to_server(or_database=True)
def delete(api: Api, account: Name, *, json: Json = False) -> None:
    """Delete an account; its conversations and messages stay, what comes for its number is unrouted from now on."""
    api.call("DELETE", _NOUN, whole(api, account, _NOUN, or_name=True))
    if json:
        print_json({"ok": True})
    else:
        printing.out(f"deleted {account}\n")
