"""Implement `tellwire contacts`: the people who write."""

from __future__ import annotations

from typing import Annotated

import typer

from tellwire.cli.ids import whole
from tellwire.cli.listing import Asked, Key, Yes, confirmed, group, lists, print_one
from tellwire.cli.output import Json, print_json
from tellwire.cli.server import Api, talks_to_server

contacts = group("List, show, rename, export and erase contacts.")
_NOUN = "contacts"
_ID = "0a1b2c3d"


@contacts.command("list", epilog="Example: tellwire contacts list --alias +5215500000001")
@lists("id", "name", "phone", "username", "user_id", "created_at")
def list_(
    _: Api,
    *,
    alias: Annotated[str, typer.Option(metavar="WHO", help="A phone number or user id that they have or had.")] = "",
) -> Asked:
    """List the contacts, newest first."""
    return Asked((_NOUN,), {"alias": alias})


@contacts.command(epilog=f"Example: tellwire contacts show {_ID}")
@talks_to_server()
def show(api: Api, contact_id: Key, *, json: Json = False) -> None:
    """Show a contact with every address that they had."""
    print_one(api, "GET", _NOUN, whole(api, contact_id, _NOUN), json=json)


@contacts.command(epilog=f"Example: tellwire contacts rename {_ID} Ana")
@talks_to_server()
def rename(
    api: Api,
    contact_id: Key,
    name: Annotated[str, typer.Argument(metavar="NAME", help='The name that you give; "" takes Meta\'s again.')],
    *,
    json: Json = False,
) -> None:
    """Give a contact a name of your own."""
    print_one(api, "PATCH", _NOUN, whole(api, contact_id, _NOUN), body={"name": name or None}, json=json)


@contacts.command(epilog=f"Example: tellwire contacts export {_ID} > ana.json")
@talks_to_server()
def export(
    api: Api,
    contact_id: Key,
    *,
    json: Annotated[bool, typer.Option("--json", help="It is JSON anyway.")] = False,  # noqa: ARG001
) -> None:
    """Print all that is kept of a person, as JSON."""
    print_json(api.call("GET", _NOUN, whole(api, contact_id, _NOUN), "export"))


@contacts.command(epilog=f"Example: tellwire contacts erase {_ID}")
@talks_to_server()
def erase(api: Api, contact_id: Key, *, yes: Yes = False, json: Json = False) -> None:
    """Erase a person with all their messages and files, for good."""
    name = whole(api, contact_id, _NOUN)
    known = api.call("GET", _NOUN, name)
    who = known.get("name") or known.get("phone") or known.get("user_id") or name
    confirmed(f"Erase {who} with all messages and files, for good?", yes=yes)
    print_one(api, "DELETE", _NOUN, name, json=json)
