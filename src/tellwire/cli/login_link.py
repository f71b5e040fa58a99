"""Implement `tellwire login-link`: a link that lets somebody into the console once, without a password."""

from __future__ import annotations

from typing import Annotated

import typer

from tellwire.cli.output import Json, print_json
from tellwire.cli.records import print_once
from tellwire.cli.server import Api, talks_to_server

_NOUN = "login-links"


@talks_to_server(or_database=True)
def login_link(
    api: Api,
    *,
    email: Annotated[
        str, typer.Option(help="The member whom it lets in; who runs the installation unless given.")
    ] = "",
    json: Json = False,
) -> None:
    """Print a link that lets somebody into the console once, within 15 minutes, also a member who is locked out."""
    made = api.call("POST", _NOUN, body={"email": email} if email else {})
    if json:
        print_json(made)
    else:
        whom = email or "whoever opens it, as who runs this installation"
        print_once(made["url"], f"It lets in {whom}, once, until {made['expires_at']}.")
