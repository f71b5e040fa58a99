"""Implement `tellwire templates`: message templates at Meta."""

from __future__ import annotations

from typing import Annotated

import typer

from tellwire.cli.ids import whole
from tellwire.cli.listing import Account, Asked, Key, group, lists, print_one
from tellwire.cli.output import Json
from tellwire.cli.server import Api, talks_to_server

templates = group("List, show and synchronise message templates.")
_NOUN = "templates"


@templates.command("list", epilog="Example: tellwire templates list --status APPROVED")
@lists("id", "name", "language", "category", "status", "quality", "synchronised_at")
def list_(
    _: Api,
    *,
    account: Account = "",
    status: Annotated[str, typer.Option(help="As Meta says it, such as APPROVED or REJECTED.")] = "",
    name: Annotated[str, typer.Option(help="Only of this name.")] = "",
    language: Annotated[str, typer.Option(help="Such as en_US.")] = "",
    category: Annotated[str, typer.Option(help="MARKETING, UTILITY or AUTHENTICATION.")] = "",
    quality: Annotated[str, typer.Option(help="GREEN, YELLOW or RED.")] = "",
) -> Asked:
    """List the templates."""
    return Asked(
        (_NOUN,),
        {
            "account": account,
            "status": status,
            "name": name,
            "language": language,
            "category": category,
            "quality": quality,
        },
    )


@templates.command(epilog="Example: tellwire templates show 0a1b2c3d")
@talks_to_server()
def show(api: Api, template_id: Key, *, json: Json = False) -> None:
    """Show a template with its components."""
    print_one(api, "GET", _NOUN, whole(api, template_id, _NOUN), json=json)


@templates.command(epilog="Example: tellwire templates sync 100200300400500")
@talks_to_server()
def sync(
    api: Api,
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="phone_number_id, or our id.")],
    *,
    json: Json = False,
) -> None:
    """Fetch an account's templates from Meta now."""
    print_one(api, "POST", _NOUN, "sync", body={"account": account}, json=json)
