"""Implement `tellwire service print`: what a service manager needs to run `tellwire serve`."""

from __future__ import annotations

import re
import shutil
import sys
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer

from tellwire.cli import printing
from tellwire.cli.output import Json, print_json
from tellwire.cli.systemd import Unit, steps, unit_text
from tellwire.errors import BadSettings

service = typer.Typer(
    add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="Run Tellwire as a service of the system."
)

_ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,30}")


@service.callback()
def _several() -> None:
    """Run Tellwire as a service of the system."""


class Role(StrEnum):
    ALL = "all"
    INGEST = "ingest"
    DELIVER = "deliver"


@service.command("print", epilog="Example: tellwire service print > /etc/systemd/system/tellwire.service")
def print_unit(
    *,
    user: Annotated[str, typer.Option(metavar="NAME", help="The account of the system that it runs as.")] = "tellwire",
    role: Annotated[Role, typer.Option(help="As `serve --role`; ingest and deliver need PostgreSQL.")] = Role.ALL,
    environment_file: Annotated[
        str, typer.Option(metavar="FILE", help="Where its settings are, a line TELLWIRE_X=value each.")
    ] = "/etc/tellwire/tellwire.env",
    json: Json = False,
) -> None:
    """Print a unit of systemd on stdout, and on stderr what to do with it. Nothing is changed."""
    if not _ACCOUNT.fullmatch(user):
        raise BadSettings(f"--user takes the name of an account, such as tellwire; not {user!r}")
    if not PurePosixPath(environment_file).is_absolute() or not environment_file.isprintable():
        raise BadSettings(f"--environment-file takes an absolute path; not {environment_file!r}")
    unit = Unit(program=_program(), user=user, role=role.value, environment_file=environment_file)
    if json:
        print_json({"name": unit.name, "unit": unit_text(unit), "steps": steps(unit)})
        return
    printing.out(unit_text(unit))
    printing.err("".join(f"# {line}\n" for line in steps(unit)))


def _program() -> tuple[str, ...]:
    """Return the command that is this command line, with absolute paths: the one beside this Python, if it is there."""
    beside = Path(sys.executable).with_name("tellwire")
    if beside.is_file():
        return (str(beside),)
    called = shutil.which(sys.argv[0]) if Path(sys.argv[0]).name == "tellwire" else None
    return (str(Path(called).absolute()),) if called else (sys.executable, "-m", "tellwire")
