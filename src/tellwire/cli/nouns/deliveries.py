"""Implement `tellwire deliveries`: events on their way to endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from tellwire.cli import printing
from tellwire.cli.ids import whole
from tellwire.cli.listing import Asked, Key, Since, Until, group, lists
from tellwire.cli.output import Json, print_json
from tellwire.cli.records import print_record
from tellwire.cli.replay import replay
from tellwire.cli.server import Api, talks_to_server
from tellwire.cli.times import moment

deliveries = group("List, show and replay deliveries: events on their way to endpoints.")
_NOUN = "deliveries"
_ID = "0a1b2c3d"
_ENDPOINTS = "webhook-endpoints"


def _last(row: Mapping[str, Any]) -> str:
    return str(row["cause"] or row["last_status"] or "-")


@deliveries.command("list", epilog="Example: tellwire deliveries list --state failed --since 1h")
@lists("id", "created_at", "event_name", ("endpoint", lambda row: row["endpoint_name"]), "state",
       ("tries", lambda row: row["attempt_count"]), ("last answer", _last))  # fmt: skip
def list_(
    api: Api,
    *,
    endpoint: Annotated[str, typer.Option(metavar="ID", help="Only to this endpoint.")] = "",
    state: Annotated[
        str, typer.Option(help="pending, delivering, delivered, retrying, parked, failed or cancelled.")
    ] = "",
    event: Annotated[str, typer.Option(metavar="ID", help="Only of this event.")] = "",
    conversation: Annotated[str, typer.Option(metavar="ID", help="Only of this conversation.")] = "",
    message: Annotated[str, typer.Option(metavar="ID", help="Only of this message.")] = "",
    contact: Annotated[str, typer.Option(metavar="WHO", help="A phone number, a user id, or our id.")] = "",
    webhook_id: Annotated[str, typer.Option(metavar="ID", help="The webhook-id that the receiver saw.")] = "",
    failure: Annotated[str, typer.Option(metavar="ID", help="Only what failed for this reason.")] = "",
    since: Since = "",
    until: Until = "",
) -> Asked:
    """List deliveries, newest first."""
    return Asked(
        (_NOUN,),
        {
            "endpoint_id": whole(api, endpoint, _ENDPOINTS, what="endpoint"),
            "state": state,
            "event_id": whole(api, event, "events"),
            "conversation_id": whole(api, conversation, "conversations"),
            "message_id": whole(api, message, "messages"),
            "contact": contact,
            "webhook_id": webhook_id,
            "failure_id": whole(api, failure, "failures"),
            "since": moment("--since", since),
            "until": moment("--until", until),
        },
    )


@deliveries.command(epilog=f"Example: tellwire deliveries show {_ID}")
@talks_to_server()
def show(
    api: Api,
    delivery_id: Key,
    *,
    sent: Annotated[bool, typer.Option("--sent", help="The body that was sent, and nothing else.")] = False,
    json: Json = False,
) -> None:
    """Show a delivery with every attempt, its answer and its cause."""
    path = (_NOUN, whole(api, delivery_id, _NOUN, what="delivery"))
    if sent:
        found = api.call("GET", *path, "sent")
        if json:
            print_json(found)
        else:
            printing.out_exactly(f"{found['body'] if found['body'] is not None else found['body_base64']}\n")
        return
    row = api.call("GET", *path)
    if json:
        print_json(row)
        return
    attempts = row.pop("attempts")
    print_record(row, as_json=False)
    for each in attempts:
        answer = each["response_status"] or each["outcome"]
        took = f" in {each['durations'].get('total', 0):.0f} ms" if each["durations"] else ""
        why = f": {printing.on_one_line(each['cause'])}" if each["cause"] else ""
        printing.out(f"\nattempt {each['number']}  {each['started_at']}  {each['url']}  {answer}{took}{why}\n")
        if body := each["response_body"]:
            printing.out(f"  {printing.on_one_line(body[:500])}\n")


deliveries.command("replay", epilog=f"Example: tellwire deliveries replay {_ID}")(replay)
