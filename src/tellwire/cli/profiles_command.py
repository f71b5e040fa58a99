"""Implement `tellwire profiles`: the servers that commands talk to."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

import typer

from tellwire.cli import printing
from tellwire.cli import profiles as kept
from tellwire.cli.client import Client, Rejected
from tellwire.cli.output import Json, print_json
from tellwire.cli.profiles import Profile
from tellwire.cli.records import print_records, secret_of

profiles = typer.Typer(
    help="List, save and remove the servers that commands talk to; `dev` and `serve` leave theirs by themselves.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
Name = Annotated[str, typer.Argument(metavar="NAME", help="What the profile is called.")]


@profiles.command("list", epilog="Example: tellwire profiles list")
def list_(*, json: Json = False) -> None:
    """List the profiles, the one that counts first; never their keys."""
    rows = [
        {
            "name": name,
            "url": each.url,
            "state": "saved" if not each.made_by else "running" if each.runs else "stopped",
            "folder": each.folder,
            "since": datetime.fromtimestamp(each.started_at, UTC).isoformat(timespec="seconds") if each.pid else "",
        }
        for name, each in kept.every().items()
    ]
    print_records(rows, ("name", "url", "state", "folder", "since"), as_json=json)


@profiles.command(epilog="Example: tellwire profiles save shop --url https://hooks.example.com --key @key.txt")
def save(
    name: Name,
    *,
    url: Annotated[str, typer.Option("--url", help="Where the server is reached.")],
    key: Annotated[str, typer.Option("--key", help="An API key of it; @FILE reads it from a file.")],
    json: Json = False,
) -> None:
    """Save a server with a key, after asking it whether it takes the key; `--profile NAME` uses it."""
    client = Client(url, secret_of("--key", key))
    try:
        client.call("GET", "accounts", query={"limit": "1"})
    except Rejected as refused:
        if refused.status != HTTPStatus.FORBIDDEN:  # a key that may not read accounts is a key
            raise
    path = kept.save(name, Profile(url=client.url, key=secret_of("--key", key)))
    if json:
        print_json({"ok": True, "name": name, "url": client.url})
    else:
        printing.err(f"saved in {path}, for you alone; use it with --profile {name}\n")


@profiles.command(epilog="Example: tellwire profiles remove shop")
def remove(name: Name, *, json: Json = False) -> None:
    """Remove a profile; its key stays valid until it is revoked."""
    kept.remove(name)
    if json:
        print_json({"ok": True})
    else:
        printing.err(f"removed {name}\n")
