"""Implement `tellwire events`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import typer

from tellwire.cli import printing
from tellwire.cli.ids import whole
from tellwire.cli.listing import Account, Asked, Key, Since, group, lists, print_one
from tellwire.cli.nouns.words import says, who
from tellwire.cli.output import Json
from tellwire.cli.server import Api, talks_to_server
from tellwire.cli.tail import tail
from tellwire.cli.times import moment

events = group("List, show and follow events: what subscribers are told.")
_NOUN = "events"
_ID = "0a1b2c3d"


def _says(row: Mapping[str, Any]) -> str:
    return says(row["data"]) if "content" in row["data"] else "-"


@events.command("list", epilog="Example: tellwire events list --since 10m --entity messages")
@lists("id", "created_at", "name", ("who", lambda row: who(row["data"])), ("says", _says))
def list_(
    api: Api,
    *,
    entity: Annotated[str, typer.Option(help="messages, conversations, operational or meta.")] = "",
    action: Annotated[str, typer.Option(help="insert, update, item or post.")] = "",
    conversation: Annotated[str, typer.Option(metavar="ID", help="Only of this conversation.")] = "",
    account: Account = "",
    since: Since = "",
) -> Asked:
    """List events, newest first."""
    return Asked(
        (_NOUN,),
        {
            "entity": entity,
            "action": action,
            "conversation_id": whole(api, conversation, "conversations"),
            "account": account,
            "since": moment("--since", since),
        },
    )


@events.command(epilog=f"Example: tellwire events show {_ID}")
@talks_to_server()
def show(
    api: Api,
    event_id: Key,
    *,
    payload: Annotated[
        str, typer.Option(metavar="FORMAT", help="The body that an endpoint of this format gets, and nothing else.")
    ] = "",
    json: Json = False,
) -> None:
    """Show an event."""
    path = (_NOUN, whole(api, event_id, _NOUN))
    if not payload:
        print_one(api, "GET", *path, json=json)
        return
    body = msgspec.json.encode(api.call("GET", *path, "payloads", payload))
    printing.out_json((body if json else msgspec.json.format(body)).decode() + "\n")


events.command("tail", epilog="Example: tellwire events tail --event messages.insert")(tail)
