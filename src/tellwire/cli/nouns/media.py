"""Implement `tellwire media`: the files of messages."""

from __future__ import annotations

from typing import Annotated

import typer

from tellwire.cli.ids import whole
from tellwire.cli.listing import Account, Asked, Key, Since, Yes, confirmed, group, lists, print_one
from tellwire.cli.output import Json
from tellwire.cli.server import Api, talks_to_server
from tellwire.cli.times import moment

media = group("List and show the files of messages; fetch again and delete them.")
_NOUN = "media"
_ID = "0a1b2c3d"
_FILE = "file"


@media.command("list", epilog="Example: tellwire media list --state failed --since 1d")
@lists("id", "created_at", "state", "mime_type", "filename", "size", "cause")
def list_(
    api: Api,
    *,
    account: Account = "",
    message: Annotated[str, typer.Option(metavar="ID", help="Only of this message.")] = "",
    state: Annotated[str, typer.Option(help="waiting, stored, failed or expired.")] = "",
    since: Since = "",
) -> Asked:
    """List files, newest first."""
    wanted = {"account": account, "message_id": whole(api, message, "messages"), "state": state}
    return Asked((_NOUN,), wanted | {"since": moment("--since", since)})


@media.command(epilog=f"Example: tellwire media show {_ID}")
@talks_to_server()
def show(api: Api, media_id: Key, *, json: Json = False) -> None:
    """Show what is known of a file, and the link to it."""
    print_one(api, "GET", _NOUN, whole(api, media_id, _NOUN, what=_FILE), json=json)


@media.command(epilog=f"Example: tellwire media retry {_ID}")
@talks_to_server()
def retry(api: Api, media_id: Key, *, json: Json = False) -> None:
    """Ask Meta once more for a file that could not be fetched."""
    print_one(api, "POST", _NOUN, whole(api, media_id, _NOUN, what=_FILE), "retry", json=json)


@media.command(epilog=f"Example: tellwire media delete {_ID}")
@talks_to_server()
def delete(api: Api, media_id: Key, *, yes: Yes = False, json: Json = False) -> None:
    """Delete a file's bytes here, and at Meta if Meta will."""
    name = whole(api, media_id, _NOUN, what=_FILE)
    confirmed(f"Delete the file {name} for good?", yes=yes)
    print_one(api, "DELETE", _NOUN, name, json=json)
