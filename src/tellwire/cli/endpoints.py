"""Implement `tellwire endpoints`: the webhook endpoints that deliveries go to."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tellwire.cli import printing
from tellwire.cli.ids import whole
from tellwire.cli.json_input import json_of
from tellwire.cli.output import Json, print_json
from tellwire.cli.records import print_once, print_record, print_records, secret_of
from tellwire.cli.server import Api, talks_to_server
from tellwire.cli.times import moment
from tellwire.errors import BadSettings

endpoints = typer.Typer(
    help="Create, list, show, test, pause, resume, recover and delete webhook endpoints, and rotate their secrets.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
_NOUN = "webhook-endpoints"
FORMATS = ("row", "chat", "meta", "cloudevents", "openbsp")
"""The names in `formats.FORMATS`, which a test compares: their modules would slow the start of every command."""
_ID = "0199a7c2-4f10-7c3a-9d55-0a1b2c3d4e5f"
Id = Annotated[str, typer.Argument(metavar="ID", help="The endpoint's id, or the beginning or end of it.")]


@endpoints.command(
    epilog="Example: tellwire endpoints create https://example.com/hook --format row --account 100200300"
)
@talks_to_server(or_database=True)
def create(
    api: Api,
    url: Annotated[str, typer.Argument(help="Where to POST.")],
    *,
    format_: Annotated[str, typer.Option("--format", help=f"The payload: {' or '.join(FORMATS)}.")],
    event: Annotated[list[str] | None, typer.Option(help="Only these events, repeatable; all unless given.")] = None,
    account: Annotated[
        list[str] | None, typer.Option(help="Only of these phone_number_ids, repeatable; all unless given.")
    ] = None,
    secret: Annotated[
        str, typer.Option(help="A signing secret of your own; @FILE reads it from a file. Made unless given.")
    ] = "",
    token: Annotated[str, typer.Option(help="Sent as Authorization: Bearer; @FILE reads it from a file.")] = "",
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    more: Annotated[
        str,
        typer.Option("--with", metavar="JSON|@FILE", help='Further fields of the REST call: \'{"ordering": "none"}\'.'),
    ] = "{}",
    json: Json = False,
) -> None:
    """Create an endpoint and print its signing secret, this once. The receiver of a chat or a
    cloudevents endpoint is asked first."""
    draft: dict[str, Any] = {
        "url": url,
        "format": format_,
        "events": event,
        "accounts": account,
        "secret": secret_of("--secret", secret),
        "token": secret_of("--token", token),
        "description": description,
    }
    given = {field: value for field, value in draft.items() if value} | json_of("--with", more)
    made = api.call("POST", _NOUN, body=given)
    if json:
        print_json(made)
    else:
        print_once(
            made["secret"], f"Endpoint {made['id']} is active. This is its signing secret; it is not shown again."
        )


@endpoints.command("list", epilog="Example: tellwire endpoints list")
@talks_to_server(or_database=True)
def list_(api: Api, *, json: Json = False) -> None:
    """List the endpoints."""
    rows = api.every(_NOUN)
    print_records(rows, ("id", "format", "state", "url", "description"), as_json=json)


@endpoints.command(epilog=f"Example: tellwire endpoints show {_ID}")
@talks_to_server(or_database=True)
def show(api: Api, endpoint_id: Id, *, json: Json = False) -> None:
    """Show an endpoint, secrets masked."""
    _print(api, ("GET", _NOUN, _id(api, endpoint_id)), as_json=json)


@endpoints.command(epilog=f"Example: tellwire endpoints pause {_ID}")
@talks_to_server(or_database=True)
def pause(api: Api, endpoint_id: Id, *, json: Json = False) -> None:
    """Stop delivering; what waits and what comes is parked."""
    _print(api, ("POST", _NOUN, _id(api, endpoint_id), "pause"), as_json=json)


@endpoints.command(epilog=f"Example: tellwire endpoints resume {_ID}")
@talks_to_server(or_database=True)
def resume(api: Api, endpoint_id: Id, *, json: Json = False) -> None:
    """Deliver again, what is parked first."""
    _print(api, ("POST", _NOUN, _id(api, endpoint_id), "resume"), as_json=json)


@endpoints.command(epilog=f"Example: tellwire endpoints delete {_ID}")
@talks_to_server(or_database=True)
def delete(api: Api, endpoint_id: Id, *, json: Json = False) -> None:
    """Delete an endpoint; what still waits for it is cancelled."""
    api.call("DELETE", _NOUN, _id(api, endpoint_id))
    if json:
        print_json({"ok": True})
    else:
        printing.out(f"deleted {endpoint_id}\n")


@endpoints.command("test", epilog=f"Example: tellwire endpoints test {_ID} --event messages.insert")
@talks_to_server(or_database=True)
def send_test(
    api: Api,
    endpoint_id: Id,
    *,
    event: Annotated[str, typer.Option(help="Which event; the first that it subscribes to unless given.")] = "",
    json: Json = False,
) -> None:
    """Have the running server send a test event now, and print what came back; exit code 1 when it was not taken.

    Where no server of this database runs here, this command sends it by its own settings, and says so.
    """

    came = api.call("POST", _NOUN, _id(api, endpoint_id), "test", body={"event": event})
    if not api.is_server:
        printing.err(
            "no server of this database runs here: this was sent from here, by the settings of this command "
            "(DELIVERY_ALLOW_CIDRS, DELIVERY_PROXY, DELIVERY_TIMEOUT_SECONDS)\n"
        )
    print_record(came | {"sent_by": "the server" if api.is_server else "this command"}, as_json=json)
    if not came["ok"]:
        raise typer.Exit(1)


@endpoints.command(epilog=f"Example: tellwire endpoints recover {_ID} --since 2026-05-06T03:00:00Z --include missing")
@talks_to_server(or_database=True)
def recover(
    api: Api,
    endpoint_id: Id,
    *,
    since: Annotated[
        str, typer.Option(metavar="SPAN|TIME", help="Events since then: 10m, 2h, 3d, or an RFC 3339 time.")
    ] = "",
    until: Annotated[str, typer.Option(help="Events before this time; now unless given.")] = "",
    include: Annotated[
        str, typer.Option(help="failed, missing (those too that it never got) or all (delivered or not).")
    ] = "failed",
    new_id: Annotated[bool, typer.Option("--new-id", help="Under fresh webhook-ids.")] = False,
    job: Annotated[str, typer.Option(metavar="ID", help="Begin nothing: show how far this recovery has come.")] = "",
    json: Json = False,
) -> None:
    """Have the server deliver once more what an endpoint missed, and print the job; --job follows it."""
    if bool(job) is bool(since):
        raise BadSettings("give --since to begin a recovery, or --job to look at one")
    path = (_NOUN, _id(api, endpoint_id), "recover")
    if job:
        _print(api, ("GET", *path, job), as_json=json)
        return
    wanted = {"since": moment("--since", since), "include": include, "new_id": new_id}
    wanted |= {"until": moment("--until", until)} if until else {}
    print_record(api.call("POST", *path, body=wanted), as_json=json)


@endpoints.command("rotate-secret", epilog=f"Example: tellwire endpoints rotate-secret {_ID} --overlap-seconds 3600")
@talks_to_server(or_database=True)
def rotate_secret(
    api: Api,
    endpoint_id: Id,
    *,
    secret: Annotated[
        str, typer.Option(help="The new one, of your own; @FILE reads it from a file. Made unless given.")
    ] = "",
    overlap_seconds: Annotated[float, typer.Option(min=0, help="How long the old ones go on signing too.")] = 86_400,
    json: Json = False,
) -> None:
    """Sign with a new secret and print it, this once."""
    wanted: dict[str, Any] = {"overlap_seconds": overlap_seconds}
    if secret:
        wanted["secret"] = secret_of("--secret", secret)
    path = ("POST", _NOUN, _id(api, endpoint_id), "rotate-secret")
    made = api.call(*path, body=wanted)
    if json:
        print_json(made)
    else:
        print_once(
            made["secret"], f"The old secret signs as well for {overlap_seconds:g} s. This one is not shown again."
        )


def _id(api: Api, given: str) -> str:
    return whole(api, given, _NOUN, what="endpoint")


def _print(api: Api, call: tuple[str, ...], *, as_json: bool) -> None:
    print_record(api.call(*call), as_json=as_json)
