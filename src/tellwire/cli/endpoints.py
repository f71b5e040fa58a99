"""Implement `tellwire endpoints`: the webhook endpoints that deliveries go to."""

from __future__ import annotations

import sys
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
import typer

from tellwire.cli.api import Api, ask
from tellwire.cli.output import Json, print_json
from tellwire.cli.records import Organization, print_once, print_record, print_records, secret_of
from tellwire.cli.through_server import server_of
from tellwire.errors import BadSettings
from tellwire.formats import FORMATS

endpoints = typer.Typer(
    help="Create, list, show, test, pause, resume, recover and delete webhook endpoints, and rotate their secrets.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
_NOUN = "webhook-endpoints"
_ID = "0199a7c2-4f10-7c3a-9d55-0a1b2c3d4e5f"
Id = Annotated[str, typer.Argument(metavar="ID", help="The endpoint's id, as `endpoints list` shows it.")]


@endpoints.command(
    epilog="Example: tellwire endpoints create https://example.com/hook --format row --account 100200300"
)
def create(
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
        str, typer.Option("--with", metavar="JSON", help='Further fields of the REST call: \'{"ordering": "none"}\'.')
    ] = "{}",
    organization: Organization = "",
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
    given = {field: value for field, value in draft.items() if value} | _fields(more)
    made = ask(lambda api: api.call("POST", _NOUN, body=given), organization=organization)
    if json:
        print_json(made)
    else:
        print_once(
            made["secret"], f"Endpoint {made['id']} is active. This is its signing secret; it is not shown again."
        )


@endpoints.command("list", epilog="Example: tellwire endpoints list")
def list_(*, organization: Organization = "", json: Json = False) -> None:
    """List the endpoints."""
    rows = ask(lambda api: api.every(_NOUN), organization=organization)
    print_records(rows, ("id", "format", "state", "url", "description"), as_json=json)


@endpoints.command(epilog=f"Example: tellwire endpoints show {_ID}")
def show(endpoint_id: Id, *, organization: Organization = "", json: Json = False) -> None:
    """Show an endpoint, secrets masked."""
    _print(("GET", _NOUN, endpoint_id), organization=organization, as_json=json)


@endpoints.command(epilog=f"Example: tellwire endpoints pause {_ID}")
def pause(endpoint_id: Id, *, organization: Organization = "", json: Json = False) -> None:
    """Stop delivering; what waits and what comes is parked."""
    _print(("POST", _NOUN, endpoint_id, "pause"), organization=organization, as_json=json)


@endpoints.command(epilog=f"Example: tellwire endpoints resume {_ID}")
def resume(endpoint_id: Id, *, organization: Organization = "", json: Json = False) -> None:
    """Deliver again, what is parked first."""
    _print(("POST", _NOUN, endpoint_id, "resume"), organization=organization, as_json=json)


@endpoints.command(epilog=f"Example: tellwire endpoints delete {_ID}")
def delete(endpoint_id: Id, *, organization: Organization = "", json: Json = False) -> None:
    """Delete an endpoint; what still waits for it is cancelled."""
    ask(lambda api: api.call("DELETE", _NOUN, endpoint_id), organization=organization)
    if json:
        print_json({"ok": True})
    else:
        sys.stdout.write(f"deleted {endpoint_id}\n")


@endpoints.command("test", epilog=f"Example: tellwire endpoints test {_ID} --event messages.insert")
def send_test(
    endpoint_id: Id,
    *,
    event: Annotated[str, typer.Option(help="Which event; the first that it subscribes to unless given.")] = "",
    organization: Organization = "",
    json: Json = False,
) -> None:
    """Have the running server send a test event now, and print what came back; exit code 1 when it was not taken.

    Where no server of this database answers at HOST and PORT, this command sends it by its own settings, and says so.
    """

    async def test(api: Api) -> tuple[bool, Any]:
        async with server_of(api) as server:
            if server is None:
                return False, await api.call("POST", _NOUN, endpoint_id, "test", body={"event": event})
            return True, await server.call("POST", f"/v1/{_NOUN}/{quote(endpoint_id, safe='')}/test", {"event": event})

    by_server, came = ask(test, organization=organization)
    if not by_server:
        sys.stderr.write(
            "no server of this database answers at TELLWIRE_HOST and TELLWIRE_PORT: this was sent from here, by the "
            "settings of this command (DELIVERY_ALLOW_CIDRS, DELIVERY_PROXY, DELIVERY_TIMEOUT_SECONDS)\n"
        )
    print_record(came | {"sent_by": "the server" if by_server else "this command"}, as_json=json)
    if not came["ok"]:
        raise typer.Exit(1)


@endpoints.command(epilog=f"Example: tellwire endpoints recover {_ID} --since 2026-05-06T03:00:00Z --include missing")
def recover(
    endpoint_id: Id,
    *,
    since: Annotated[str, typer.Option(help="Events of this time or later (RFC 3339).")] = "",
    until: Annotated[str, typer.Option(help="Events before this time; now unless given.")] = "",
    include: Annotated[
        str, typer.Option(help="failed, missing (those too that it never got) or all (delivered or not).")
    ] = "failed",
    new_id: Annotated[bool, typer.Option("--new-id", help="Under fresh webhook-ids.")] = False,
    job: Annotated[str, typer.Option(metavar="ID", help="Begin nothing: show how far this recovery has come.")] = "",
    organization: Organization = "",
    json: Json = False,
) -> None:
    """Have the server deliver once more what an endpoint missed, and print the job; --job follows it."""
    if bool(job) is bool(since):
        raise BadSettings("give --since to begin a recovery, or --job to look at one")
    path = (_NOUN, endpoint_id, "recover")
    if job:
        _print(("GET", *path, job), organization=organization, as_json=json)
        return
    wanted = {"since": since, "include": include, "new_id": new_id} | ({"until": until} if until else {})
    print_record(ask(lambda api: api.call("POST", *path, body=wanted), organization=organization), as_json=json)


@endpoints.command("rotate-secret", epilog=f"Example: tellwire endpoints rotate-secret {_ID} --overlap-seconds 3600")
def rotate_secret(
    endpoint_id: Id,
    *,
    secret: Annotated[
        str, typer.Option(help="The new one, of your own; @FILE reads it from a file. Made unless given.")
    ] = "",
    overlap_seconds: Annotated[float, typer.Option(min=0, help="How long the old ones go on signing too.")] = 86_400,
    organization: Organization = "",
    json: Json = False,
) -> None:
    """Sign with a new secret and print it, this once."""
    wanted: dict[str, Any] = {"overlap_seconds": overlap_seconds}
    if secret:
        wanted["secret"] = secret_of("--secret", secret)
    path = ("POST", _NOUN, endpoint_id, "rotate-secret")
    made = ask(lambda api: api.call(*path, body=wanted), organization=organization)
    if json:
        print_json(made)
    else:
        print_once(
            made["secret"], f"The old secret signs as well for {overlap_seconds:g} s. This one is not shown again."
        )


def _print(call: tuple[str, ...], *, organization: str, as_json: bool) -> None:
    print_record(ask(lambda api: api.call(*call), organization=organization), as_json=as_json)


def _fields(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise BadSettings(f"--with takes a JSON object: {error}") from None
