"""Implement `tellwire meta`: connect this installation with an app and a WhatsApp business account of Meta's."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Annotated, Any

import typer
from msgspec.structs import asdict

from tellwire.cli import DONE, FAILED, printing, server
from tellwire.cli.meta_connect import Connect, Given, Step
from tellwire.cli.output import Json, print_json
from tellwire.cli.records import secret_of
from tellwire.cli.server import Where, connected
from tellwire.errors import BadSettings

meta = typer.Typer(
    help="Connect this installation with Meta.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
_MARKS = {"done": "✓", "already": "✓", "left": "-", "failed": "✗"}


@meta.callback()
def _several() -> None:
    """Connect this installation with Meta."""


@meta.command(epilog="Example: tellwire meta connect --access-token @token.txt --yes")
def connect(
    *,
    app_id: Annotated[str, typer.Option(metavar="ID", help="Meta's id of the app; the token says it too.")] = "",
    app_secret: Annotated[
        str, typer.Option(metavar="SECRET", help="The app's secret; @FILE reads it from a file. Asked for otherwise.")
    ] = "",
    access_token: Annotated[
        str, typer.Option(metavar="TOKEN", help="Of a system user; @FILE reads it from a file. Asked for otherwise.")
    ] = "",
    verify_token: Annotated[
        str,
        typer.Option(metavar="TOKEN", help="META_VERIFY_TOKEN of the server; @FILE reads it from a file."),
    ] = "",
    waba_id: Annotated[
        str, typer.Option(metavar="ID", help="The WhatsApp business account; the token may say it.")
    ] = "",
    public_url: Annotated[str, typer.Option(metavar="URL", help="PUBLIC_URL of the server unless given.")] = "",
    register: Annotated[
        bool, typer.Option("--register", help="Register numbers that are not connected, with --pin.")
    ] = False,
    pin: Annotated[
        str, typer.Option(metavar="PIN", help="The two-step PIN of the numbers, six digits; @FILE reads it.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing: go on, or fail with what is missing.")] = False,
    json: Json = False,
    server_url: Annotated[str, server.URL] = "",
    server_key: Annotated[str, server.KEY] = "",
    server_profile: Annotated[str, server.PROFILE] = "",
    organization: Annotated[str, server.ORGANIZATION] = "",
) -> int:
    """Connect step by step: check the token, the app secret and the numbers, make or update their accounts, subscribe
    the app to the WhatsApp business account, and set the callback URL and its fields. What is done already stays, so
    the command can be run again at any time. It needs an operator's key."""
    if register != bool(pin):
        raise BadSettings("--register and --pin go together: a number is registered with its two-step PIN")
    given = Given(
        app_id=app_id,
        app_secret=secret_of("--app-secret", app_secret),
        access_token=secret_of("--access-token", access_token),
        verify_token=secret_of("--verify-token", verify_token),
        waba_id=waba_id,
        public_url=public_url.rstrip("/"),
        pin=secret_of("--pin", pin),
    )
    where = Where(server_url, server_key, server_profile, organization)
    steps = list[Step]()
    with ExitStack() as opened:

        def reach() -> Any:
            return opened.enter_context(connected(where))

        if not yes and not json and sys.stdin.isatty():
            connecting = Connect(reach, given, ask=_asked, sure=_sure, again=_again)
        else:
            connecting = Connect(reach, given, ask=_missing, sure=lambda _: True, again=lambda _: False)
        for step in connecting.steps():
            steps.append(step)
            if not json:
                _tell(step)
    return _ended(steps, as_json=json)


def _ended(steps: Sequence[Step], *, as_json: bool) -> int:
    done = all(step.state != "failed" for step in steps)
    if as_json:
        print_json({"done": done, "steps": [asdict(step) for step in steps]})
    elif done:
        printing.out("connected; `tellwire doctor` checks all of it at any time\n")
    else:
        printing.err("not connected yet: do what the last line says, and run the same command again\n")
    return DONE if done else FAILED


def _tell(step: Step) -> None:
    about = f" [{step.about}]" if step.about else ""
    printing.out(f"{_MARKS[step.state]} {step.name}{about}: {printing.on_one_line(step.said)}\n")
    if step.remedy:
        printing.out(f"    {step.remedy}\n")
    sys.stdout.flush()


def _asked(_option: str, what: str, *, secret: bool) -> str:
    return str(typer.prompt(what, hide_input=secret, err=True)).strip()


def _missing(option: str, what: str, *, secret: bool) -> str:
    how = f"{option} @FILE" if secret else option
    raise BadSettings(f"{what} is missing: give {how}, or run this in a terminal without --yes and --json")


def _sure(question: str) -> bool:
    return typer.confirm(printing.on_one_line(question), err=True)


def _again(step: Step) -> bool:
    _tell(step)
    return typer.confirm("Try again, once that is done?", default=True, err=True)
