"""Implement `tellwire ready`: whether a server takes work, for health checks and scripts."""

from __future__ import annotations

import time
from typing import Annotated

import msgspec
import typer

from tellwire.cli import DONE, FAILED, printing, settings_in_force
from tellwire.cli.client import Client, NoServer
from tellwire.cli.output import Json, print_json
from tellwire.errors import BadSettings

_SECONDS = 5.0
_PAUSE = 0.2


def ready(
    *,
    url: Annotated[
        str, typer.Option(metavar="URL", help="The server; unless given, the one at HOST and PORT of the settings.")
    ] = "",
    wait: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="Ask again for so long until it is ready.")] = 0,
    json: Json = False,
) -> int:
    """Ask a server's /readyz, which takes no key. Exit 0 when it is ready, 1 when not, 3 when nothing answers."""
    client = Client(url or _here(), "", start_hint="start it with `tellwire serve`, or name another with --url")
    until = time.monotonic() + wait
    while True:
        try:
            why = _refusal(client)
        except NoServer:
            if time.monotonic() >= until:
                raise
        else:
            if not why or time.monotonic() >= until:
                break
        time.sleep(_PAUSE)
    if json:
        print_json({"ready": not why, "url": client.url, "reason": why or None})
    else:
        said = f"{client.url} is not ready: {why}" if why else f"{client.url} is ready"
        (printing.err if why else printing.out)(f"{said}\n")
    return FAILED if why else DONE


def _here() -> str:
    settings = settings_in_force.load()
    if not settings.port:
        raise BadSettings("PORT is 0, any free port: name the server with --url")
    return settings.local_url


def _refusal(client: Client) -> str:
    """Return why the server is not ready, "" when it is."""
    status, answer = client.exchange("GET", "/readyz", timeout=_SECONDS)
    try:
        told = msgspec.json.decode(answer, type=dict[str, object])
    except msgspec.MsgspecError:
        told = {}
    if status == 200 and told.get("status") == "ok":
        return ""
    return str(told.get("detail") or f"it answers {status}, and not as Tellwire does")
