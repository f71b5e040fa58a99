"""Implement `tellwire listen`: events of a server, wherever it is, reach code on this machine."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from tellwire.cli import DONE, FAILED, printing
from tellwire.cli.client import Client, Rejected
from tellwire.cli.endpoints import FORMATS
from tellwire.cli.forwarding import Forwarded, Forwarder
from tellwire.cli.listening import Listener, Row
from tellwire.cli.output import print_json
from tellwire.cli.records import secret_of
from tellwire.cli.server import talks_to_server
from tellwire.errors import BadSettings

_NOUN = "webhook-endpoints"
_OF_PAYLOAD = (
    "fields",
    "batching",
    "echoes",
    "standby",
    "json",
    "updates",
    "conversation_ids",
    "external",
    "history",
    "hub_signature",
    "wappcloud_signature",
    "rotating_signature",
)
"""The options of an endpoint that change what is sent; a listener takes them over from `--endpoint`."""
_LONGEST_CONTACT = 24


@talks_to_server()
def listen(
    api: Client,
    forward_to: Annotated[
        str, typer.Option(metavar="URL", help="Where to POST, such as http://localhost:3000/webhook.")
    ] = "",
    *,
    format_: Annotated[str, typer.Option("--format", help=f"The payload: {' or '.join(FORMATS)}. [default: row]")] = "",
    event: Annotated[list[str] | None, typer.Option(help="Only these events, repeatable; all unless given.")] = None,
    account: Annotated[
        list[str] | None, typer.Option(help="Only of these phone_number_ids, repeatable; all unless given.")
    ] = None,
    endpoint: Annotated[
        str, typer.Option(metavar="ID", help="Send what this webhook endpoint gets, with the same signature.")
    ] = "",
    secret: Annotated[
        str, typer.Option(help="A signing secret of your own; @FILE reads it from a file. Made unless given.")
    ] = "",
    print_secret: Annotated[bool, typer.Option(help="Make a new signing secret, and print it first.")] = False,
    header: Annotated[
        list[str] | None, typer.Option(metavar="'NAME: VALUE'", help="Set a header of every request, repeatable.")
    ] = None,
    path: Annotated[
        list[str] | None,
        typer.Option(metavar="EVENT=URL", help="Send events of this name elsewhere, such as 'messages.*=/in'."),
    ] = None,
    from_: Annotated[
        str, typer.Option("--from", metavar="now", help="now: leave out what has waited since you last listened.")
    ] = "",
    name: Annotated[str, typer.Option(help="What the listener is called; by default where it sends to.")] = "",
    timeout: Annotated[float, typer.Option(min=0.1, max=600, help="Seconds until an answer must be there.")] = 30.0,
    once: Annotated[bool, typer.Option("--once", help="Send on what waits now, then end.")] = False,
    delete: Annotated[
        bool, typer.Option("--delete", help="Forget the listener and what waits for it, then end.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document a line for each event.")] = False,
) -> int:
    """Forward events to your code as deliveries, in order. What comes while this does not run waits on the server."""
    if from_ not in {"", "now"}:
        raise BadSettings(f"--from takes now; without it, what waits comes first. Not {from_}")
    if format_ and format_ not in FORMATS:
        raise BadSettings(f"--format takes {' or '.join(FORMATS)}; not {format_}")
    if secret and (endpoint or print_secret):
        raise BadSettings("--secret goes without --endpoint and --print-secret: there is one secret")
    if endpoint and print_secret:
        raise BadSettings("--print-secret goes without --endpoint, whose secret is not shown")
    if not name and not forward_to:
        raise BadSettings("--forward-to is missing: where is your code? Such as http://localhost:3000/webhook")
    called = f"tellwire listen {name or _place_of(forward_to)} on {socket.gethostname()}"
    known = _known(api, called)
    if delete:
        return _delete(api, called, known)
    if not forward_to:
        raise BadSettings("--forward-to is missing: where is your code? Such as http://localhost:3000/webhook")
    forwarder = Forwarder(forward_to, paths=dict(_paths(path)), headers=list(_headers(header)), seconds=timeout)
    wanted = _wanted(api, endpoint, format_, event, account)
    made, shown_secret = _ready(
        api, known, {"description": called} | wanted, secret=secret_of("--secret", secret), skip=from_ == "now"
    )
    if print_secret and not shown_secret:
        shown_secret = api.call("POST", _NOUN, made["id"], "rotate-secret", body={"overlap_seconds": 0})["secret"]
    _tell(api, made, forward_to, shown_secret)
    return _run(Listener(api, made["id"], forwarder, _json_line if json else _line()), once=once)


def _run(listener: Listener, *, once: bool) -> int:
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        listener.run(once=once)
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
        listener.finish()
    return DONE


def _place_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.netloc}{parts.path}".rstrip("/")


def _known(api: Client, called: str) -> dict[str, Any] | None:
    """Return the endpoint that this listener made when it last ran."""
    rows = api.every(_NOUN)
    return next((row for row in rows if row["state"] == "pulled" and row["description"] == called), None)


def _delete(api: Client, called: str, known: Mapping[str, Any] | None) -> int:
    if known is None:
        printing.err(f"tellwire: there is no listener called {called}\n")
        return FAILED
    api.call("DELETE", _NOUN, known["id"])
    printing.err(f"{called} is forgotten\n")
    return DONE


def _wanted(
    api: Client, endpoint: str, format_: str, events: list[str] | None, accounts: list[str] | None
) -> dict[str, Any]:
    """Return the fields of the listener's endpoint that the options ask for."""
    wanted: dict[str, Any] = {"format": format_ or "row", "events": events or [], "accounts": accounts or []}
    if not endpoint:
        return wanted
    like = api.call("GET", _NOUN, endpoint)
    if format_ and format_ != like["format"]:
        raise BadSettings(f"--endpoint {endpoint} has the format {like['format']}; leave --format out")
    wanted |= {"format": like["format"], "events": events or like["events"], "accounts": accounts or like["accounts"]}
    return wanted | {field: like[field] for field in _OF_PAYLOAD} | {"secret_of": endpoint}


def _ready(
    api: Client, known: dict[str, Any] | None, wanted: dict[str, Any], *, secret: str, skip: bool
) -> tuple[dict[str, Any], str]:
    """Return the listener's endpoint as it is wanted, and its secret if that was made now."""
    if known is not None and known["format"] != wanted["format"]:
        waits = api.call("GET", _NOUN, known["id"], "figures")["parked"]
        if waits and not skip:
            raise BadSettings(
                f"this listener takes {known['format']}, and {waits} events wait for it: --from now drops them, "
                "--name makes another listener"
            )
        api.call("DELETE", _NOUN, known["id"])
        known = None
    if known is None:
        made = api.call("POST", _NOUN, body={"pull": True} | wanted | ({"secret": secret} if secret else {}))
        return made, "" if secret else made.get("secret", "")
    changes = {
        field: value for field, value in wanted.items() if field != "format" and known.get(field, object()) != value
    }
    if changes:
        known = api.call("PATCH", _NOUN, known["id"], body=changes)
    if secret:
        _use_secret(api, known["id"], secret)
    if skip:
        api.call("POST", _NOUN, known["id"], "pull", "skip")
    return known, ""


def _use_secret(api: Client, endpoint_id: str, secret: str) -> None:
    try:
        api.call("POST", _NOUN, endpoint_id, "rotate-secret", body={"secret": secret, "overlap_seconds": 0})
    except Rejected as error:
        if "in use" not in str(error):
            raise


def _headers(given: Iterable[str] | None) -> Iterable[tuple[str, str]]:
    for each in given or ():
        name, colon, value = each.partition(":")
        name, value = name.strip(), value.strip()
        valid = name.isascii() and name.replace("-", "").replace("_", "").isalnum() and value.isprintable()
        if not colon or not valid or not value.isascii():
            raise BadSettings(f"--header takes 'NAME: VALUE'; not {each!r}")
        yield name, value


def _paths(given: Iterable[str] | None) -> Iterable[tuple[str, str]]:
    for each in given or ():
        event, equals, url = each.partition("=")
        if not event or not equals or not url:
            raise BadSettings(f"--path takes EVENT=URL, such as messages.insert=/webhooks/messages; not {each}")
        yield event, url


# --- what is shown ----------------------------------------------------------------------------------------------------


def _tell(api: Client, made: Mapping[str, Any], forward_to: str, secret: str) -> None:
    lines = [
        f"Events of {api.url} go to {forward_to} as {made['format']}.",
        "Ctrl-C ends it; what comes then waits.",
    ]
    if secret:
        lines += [f"They are signed with {secret}", "(not shown again; --print-secret makes another)."]
    waits = api.call("GET", _NOUN, made["id"], "figures")["parked"]
    if waits:
        lines.append(f"Of those, {waits} waited for you and come first.")
    printing.err("\n".join(lines) + "\n")
    sys.stderr.flush()


def _json_line(row: Row, forwarded: Forwarded) -> None:
    print_json(
        {
            "at": datetime.now().astimezone().isoformat(timespec="milliseconds"),
            "delivery_id": row["delivery_id"],
            "webhook_id": row["webhook_id"],
            "event": row["event"],
            "contact": row["contact"],
            "url": forwarded.url,
            "status": forwarded.status or None,
            "failure": forwarded.failure or None,
            "cause": forwarded.cause or None,
            "milliseconds": forwarded.milliseconds,
        }
    )


def _line() -> Any:
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def show(row: Row, forwarded: Forwarded) -> None:
        contact = printing.on_one_line(row["contact"] or "")[:_LONGEST_CONTACT]
        answer = str(forwarded.status) if not forwarded.failure else printing.on_one_line(forwarded.cause)
        if colours:
            answer = f"\x1b[{32 if forwarded.ok else 31}m{answer}\x1b[0m"
        event = printing.on_one_line(row["event"])
        again = "" if forwarded.ok else f"  replay it: {printing.on_one_line(row['delivery_id'])}"
        printing.out(
            f"{time.strftime('%H:%M:%S')}  {event:<20}  {contact:<{_LONGEST_CONTACT}}  → {answer}  "
            f"{forwarded.milliseconds:.0f} ms{again}\n"
        )
        sys.stdout.flush()

    return show
