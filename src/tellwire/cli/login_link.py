"""Implement `tellwire login-link`: a link that lets somebody into the console once, without a password."""

from __future__ import annotations

from typing import Annotated

import typer

from tellwire.cli.api import ask
from tellwire.cli.output import Json, print_json
from tellwire.cli.records import Organization, print_once

_NOUN = "login-links"


def login_link(
    *,
    email: Annotated[
        str, typer.Option(help="The member whom it lets in; who runs the installation unless given.")
    ] = "",
    organization: Organization = "",
    json: Json = False,
) -> None:
    """Print a link that lets somebody into the console once, within 15 minutes, also a member who is locked out."""
    made = ask(lambda api: api.call("POST", _NOUN, body={"email": email} if email else {}), organization=organization)
    if json:
        print_json(made)
    else:
        whom = email or "whoever opens it, as who runs this installation"
        print_once(made["url"], f"It lets in {whom}, once, until {made['expires_at']}.")
