"""Run the command line: a table of commands, each imported only when it runs, so that the start stays fast.

A command is one module here with a typed function (or a `typer.Typer` of several) and one row in `COMMANDS`. A command
prints its result on stdout, as one JSON document with `--json`, and everything else on stderr.
"""

from __future__ import annotations

import difflib
import gc
import platform
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple, cast

from tellwire import __version__
from tellwire.cli import printing
from tellwire.errors import BadSettings, TellwireError
from tellwire.model.extras import EXTRAS, lacking

DONE, FAILED, MISUSED, NO_SERVER, NOT_FOUND = 0, 1, 2, 3, 4
"""Exit codes: success; failure; wrong usage, settings or input; no server answers; there is nothing of this name."""
_GARBAGE_THRESHOLDS = (20_000, 20, 50)
"""Thresholds of the garbage collector. What a start loads stays, and requests leave hardly any cycles: with Python's
defaults, both would be looked through again and again, for a tenth of the time."""


class Command(NamedTuple):
    """Where a command is implemented, its line in the overview, and the example in its `--help`."""

    module: str
    function: str
    help: str
    example: str


COMMANDS = {
    "dev": Command(
        module="tellwire.cli.dev.command",
        function="dev",
        help="run everything here, with a simulated Meta and a catcher: nothing to prepare",
        example="tellwire dev --once --json",
    ),
    "serve": Command(
        module="tellwire.cli.serve",
        function="serve",
        help="serve HTTP, take in what Meta sends and deliver it",
        example="tellwire serve --json",
    ),
    "migrate": Command(
        module="tellwire.cli.migrate",
        function="migrate",
        help="bring the database to this version's schema",
        example="tellwire migrate --plan",
    ),
    "backup": Command(
        module="tellwire.cli.backup",
        function="backup",
        help="write the database and its media to one file, beside a running server",
        example="tellwire backup /var/backups",
    ),
    "restore": Command(
        module="tellwire.cli.restore",
        function="restore",
        help="put a backup in the place of an empty database",
        example="tellwire restore /var/backups/tellwire-20270115T103000Z.tar",
    ),
    "keys": Command(
        module="tellwire.cli.keys",
        function="keys",
        help="create, list and revoke API keys; re-encrypt secrets under a new master key",
        example="tellwire keys create --name crm --scope read",
    ),
    "login-link": Command(
        module="tellwire.cli.login_link",
        function="login_link",
        help="print a link that lets somebody into the console once",
        example="tellwire login-link --email ana@example.com",
    ),
    "doctor": Command(
        module="tellwire.cli.doctor",
        function="doctor",
        help="check the installation from its settings to what Meta says of it, each fault with its remedy",
        example="tellwire doctor --json",
    ),
    "meta": Command(
        module="tellwire.cli.meta",
        function="meta",
        help="connect this installation with an app and a WhatsApp business account of Meta's, step by step",
        example="tellwire meta connect --access-token @token.txt --yes",
    ),
    "profiles": Command(
        module="tellwire.cli.profiles_command",
        function="profiles",
        help="list, save and remove the servers that commands talk to",
        example="tellwire profiles list",
    ),
    "accounts": Command(
        module="tellwire.cli.accounts",
        function="accounts",
        help="create, list, show and delete accounts",
        example="tellwire accounts create 100200300400500 --name Shop",
    ),
    "endpoints": Command(
        module="tellwire.cli.endpoints",
        function="endpoints",
        help="create, list, show, test, pause, resume, recover and delete webhook endpoints, rotate their secrets",
        example="tellwire endpoints create https://example.com/webhook --format row",
    ),
    "listen": Command(
        module="tellwire.cli.listen",
        function="listen",
        help="forward events to your code on this machine, wherever the server is",
        example="tellwire listen --forward-to http://localhost:3000/webhook",
    ),
    "alerts": Command(
        module="tellwire.cli.alerts",
        function="alerts",
        help="send a test alert through every channel, list what was told",
        example="tellwire alerts test",
    ),
    "messages": Command(
        module="tellwire.cli.nouns.messages",
        function="messages",
        help="send, list, show, cancel and resend messages",
        example='tellwire messages send +5215500000001 "It is on its way."',
    ),
    "conversations": Command(
        module="tellwire.cli.nouns.conversations",
        function="conversations",
        help="list, show, close, reopen and assign conversations; their messages and notes",
        example="tellwire conversations list --status open",
    ),
    "contacts": Command(
        module="tellwire.cli.nouns.contacts",
        function="contacts",
        help="list, show, rename, export and erase the people who write",
        example="tellwire contacts list --alias +5215500000001",
    ),
    "media": Command(
        module="tellwire.cli.nouns.media",
        function="media",
        help="list, show, fetch again and delete the files of messages",
        example="tellwire media list --state failed",
    ),
    "templates": Command(
        module="tellwire.cli.nouns.templates",
        function="templates",
        help="list, show and synchronise message templates",
        example="tellwire templates list --status APPROVED",
    ),
    "agents": Command(
        module="tellwire.cli.nouns.agents",
        function="agents",
        help="create, list, show, change, try, pause and delete agents",
        example="tellwire agents list",
    ),
    "events": Command(
        module="tellwire.cli.nouns.events",
        function="events",
        help="list, show and follow what subscribers are told",
        example="tellwire events list --since 10m",
    ),
    "deliveries": Command(
        module="tellwire.cli.nouns.deliveries",
        function="deliveries",
        help="list, show and replay events on their way to endpoints",
        example="tellwire deliveries list --state failed --since 1h",
    ),
    "failures": Command(
        module="tellwire.cli.nouns.failures",
        function="failures",
        help="list what fails, by endpoint and reason; acknowledge, resolve and replay it",
        example="tellwire failures list --state open",
    ),
    "inbound": Command(
        module="tellwire.cli.nouns.inbound",
        function="inbound",
        help="list and show the POSTs that Meta made, and apply them again",
        example="tellwire inbound list --outcome unrouted",
    ),
    "sources": Command(
        module="tellwire.cli.nouns.sources",
        function="sources",
        help="create, list, show and delete other systems whose webhooks come in",
        example="tellwire sources list",
    ),
    "organizations": Command(
        module="tellwire.cli.nouns.organizations",
        function="organizations",
        help="create, list and show organizations",
        example="tellwire organizations list",
    ),
    "why": Command(
        module="tellwire.cli.why",
        function="why",
        help="tell what became of a message, step by step, and what to do",
        example="tellwire why +5215500000001",
    ),
    "tail": Command(
        module="tellwire.cli.tail",
        function="tail",
        help="follow what happens, one line an event",
        example="tellwire tail --event messages.insert",
    ),
    "replay": Command(
        module="tellwire.cli.replay",
        function="replay",
        help="send deliveries once more, and tell what became of them",
        example="tellwire replay --failed --since 1h --yes",
    ),
    "trigger": Command(
        module="tellwire.cli.trigger",
        function="trigger",
        help="post one of every kind of webhook that Meta makes, signed, and tell what came of it",
        example='tellwire trigger text --set text.body="Where is my order?"',
    ),
    "verify": Command(
        module="tellwire.cli.verify",
        function="verify",
        help="say why a signature fails: which key, which bytes, the clock",
        example="tellwire verify --secret @secret.txt --request request.txt",
    ),
    "compare": Command(
        module="tellwire.cli.compare",
        function="compare",
        help="list what one source had and the other had not, such as Meta and the system that you come from",
        example="tellwire compare --since 24h --a meta --b wakit",
    ),
    "simulate": Command(
        module="tellwire.cli.simulate",
        function="simulate",
        help="post to a webhook what Meta would; with --serve be Meta for code that sends",
        example="tellwire simulate --messages 20 --types text,image,status --duplicates, "
        "tellwire simulate --serve --url http://127.0.0.1:8000/webhook --secret s --knob throttle_rate=0.05",
    ),
    "completion": Command(
        module="tellwire.cli.completion",
        function="completion",
        help="print a script that completes commands and options in bash, zsh or fish",
        example="tellwire completion bash > tellwire.bash",
    ),
    "openapi": Command(
        module="tellwire.cli.openapi",
        function="openapi",
        help="print the OpenAPI document",
        example="tellwire openapi > openapi.json",
    ),
    "ready": Command(
        module="tellwire.cli.ready",
        function="ready",
        help="ask whether a server is ready: for health checks and scripts",
        example="tellwire ready --wait 30",
    ),
    "service": Command(
        module="tellwire.cli.service",
        function="service",
        help="print what systemd needs to run `serve`",
        example="tellwire service print > /etc/systemd/system/tellwire.service",
    ),
    "config": Command(
        module="tellwire.cli.config",
        function="config",
        help="print the settings in force and where each comes from",
        example="tellwire config --json",
    ),
}
"""The commands by name, in the order of the overview."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that `arguments` name (the process's own unless given), and return its exit code."""
    match list(sys.argv[1:] if arguments is None else arguments):
        case []:
            printing.err(overview())
            return MISUSED
        case ["--help" | "-h", *_]:
            printing.out(overview())
            return DONE
        case ["--version", *_]:
            printing.out(version())
            return DONE
        case [name, *rest] if name in COMMANDS:
            return _run(name, rest)
        case [name, *_]:
            close = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f"did you mean {close[0]}?" if close else "`tellwire --help` lists them"
            return _complain(f"there is no command {name}; {hint}", MISUSED)
        case _:
            raise AssertionError


def overview() -> str:
    """Return the text of `tellwire --help`."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.help}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "Usage: tellwire COMMAND [OPTIONS]",
            "",
            "A self-hosted webhook platform for WhatsApp Business.",
            "",
            "Commands:",
            *lines,
            "",
            "`tellwire COMMAND --help` says more, with an example. Also: --version.",
            "",
        ]
    )


def version() -> str:
    """Return the text of `tellwire --version`: its first line is the version and nothing else."""
    there = [extra for extra in EXTRAS if not lacking(extra)]
    extras = ", ".join(there) or f"none of {', '.join(EXTRAS)}"
    return f"tellwire {__version__}\nPython {platform.python_version()}; extras: {extras}\n"


def _run(name: str, rest: list[str]) -> int:
    gc.set_threshold(*_GARBAGE_THRESHOLDS)
    from typer.exceptions import Abort, TyperException  # noqa: PLC0415 - the overview does not need it

    try:
        code = _entry(name)(rest, prog_name=f"tellwire {name}", standalone_mode=False)
    except TyperException as error:
        message = error.format_message()
        if message.startswith("Usage:"):  # several commands under one name, and none was given
            printing.err(f"{message}\n")
            return error.exit_code
        return _complain(_meant(name, rest, error, message), error.exit_code)
    except BadSettings as error:
        return _complain(str(error), MISUSED)
    except TellwireError as error:
        return _complain(str(error), getattr(error, "exit_code", FAILED))
    except Abort:
        return _complain("aborted", FAILED)
    return code if isinstance(code, int) else DONE


def _meant(name: str, rest: Sequence[str], error: Exception, message: str) -> str:
    """Return the words for a wrong option or subcommand, with the nearest right one."""
    context: Any = getattr(error, "ctx", None)
    known: Sequence[str] = [*getattr(getattr(context, "command", None), "commands", {})]
    path = getattr(context, "command_path", "") or f"tellwire {name}"
    wrong = getattr(error, "option_name", "")
    if wrong:
        options = [each for every in context.command.params for each in every.opts if each.startswith("--")]
        said, known = f"`{path}` has no option {wrong}", [*dict.fromkeys([*options, "--help"])]
    elif known and message.startswith("No such command"):
        wrong = next((each for each in rest if not each.startswith("-")), "")
        said = f"there is no `{name} {wrong}`"
    else:
        return f"{message} (`{path} --help` says more)"
    close = difflib.get_close_matches(wrong, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
    return f"{said}; {hint}"


def _entry(name: str) -> Callable[..., object]:
    return cast("Callable[..., object]", loaded(name).main)


def loaded(name: str) -> Any:
    """Return a command as Typer's, with its options and what is below it."""
    from typer import Typer  # noqa: PLC0415
    from typer.main import get_command  # noqa: PLC0415

    command = COMMANDS[name]
    target = getattr(import_module(command.module), command.function)
    epilog = f"Example: {command.example}"
    if isinstance(target, Typer):
        app = target
        app.info.epilog = epilog
    else:
        app = Typer(add_completion=False, rich_markup_mode=None)
        app.command(name, epilog=epilog)(target)
    return get_command(app)


def _complain(message: str, code: int) -> int:
    printing.err(f"tellwire: {message}\n")
    return code
