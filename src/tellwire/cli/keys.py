"""Implement `tellwire keys`: API keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from tellwire.cli.ids import whole
from tellwire.cli.output import Json, print_json
from tellwire.cli.records import print_once, print_record, print_records
from tellwire.cli.server import Api, talks_to_server
from tellwire.security.api_keys import SCOPES

keys = typer.Typer(
    help="Create, list and revoke API keys; re-encrypt secrets under a new master key.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
_NOUN = "api-keys"


@keys.command(epilog="Example: tellwire keys create --name crm --scope read --scope webhooks:manage")
@talks_to_server(or_database=True)
def create(
    api: Api,
    *,
    name: Annotated[str, typer.Option(help="What the key is for.")] = "",
    scope: Annotated[
        list[str] | None,
        typer.Option(help=f"What it may do, repeatable: {', '.join(SCOPES)}; admin unless given."),
    ] = None,
    operator: Annotated[
        bool, typer.Option("--operator", help="It runs the installation: every organization, and what belongs to none.")
    ] = False,
    days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="It expires after so many days; never unless given.")
    ] = None,
    json: Json = False,
) -> None:
    """Make an API key and print it. It is shown this once: Tellwire keeps only its SHA-256."""
    draft: dict[str, Any] = {"name": name, "scopes": scope or ["admin"], "operator": operator}
    if days is not None:
        draft["expires_at"] = (datetime.now(UTC) + timedelta(days=days)).isoformat(timespec="seconds")
    made = api.call("POST", _NOUN, body=draft)
    if json:
        print_json(made)
    else:
        where = "in every organization" if made["operator"] else "in its organization"
        print_once(made["key"], f"Key {made['id']} may do {where}: {', '.join(made['scopes'])}. It is not shown again.")


@keys.command("list", epilog="Example: tellwire keys list")
@talks_to_server(or_database=True)
def list_(api: Api, *, json: Json = False) -> None:
    """List the keys, revoked ones too; never the keys themselves."""
    rows = api.every(_NOUN)
    columns = ("id", "prefix", "name", "scopes", "operator", "created_at", "expires_at", "last_used_at", "revoked_at")
    print_records(rows, columns, as_json=json)


@keys.command(epilog="Example: tellwire keys revoke 0199a7c2-4f10-7c3a-9d55-0a1b2c3d4e5f")
@talks_to_server(or_database=True)
def revoke(
    api: Api,
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, or the beginning or end of it.")],
    *,
    json: Json = False,
) -> None:
    """Revoke a key for good; a running server refuses it within seconds."""
    row = api.call("DELETE", _NOUN, whole(api, key_id, _NOUN, what="key"))
    print_record(row, as_json=json)


@keys.command(epilog="Example: tellwire keys reencrypt")
def reencrypt(*, json: Json = False) -> int:
    """Encrypt every stored secret anew under the first of the MASTER_KEYs; the others are not needed afterwards.

    Safe beside a running server that has the same keys, at any time, again.
    """
    from tellwire.cli.resealing import reseal  # noqa: PLC0415 - it needs the whole engine

    return reseal(as_json=json)
