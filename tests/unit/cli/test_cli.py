"""The command line itself: its table, its errors, its exit codes, and that it starts fast."""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import tellwire
from tellwire.cli import COMMANDS, main


def run(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A process of its own, with nothing of ours in its environment but `variables`."""
    return subprocess.run(
        [sys.executable, "-m", "tellwire", *arguments],
        cwd=cwd,
        env={"PYTHONPATH": str(Path(tellwire.__file__).parent.parent), "LC_ALL": "C.UTF-8", **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_overview_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    for name, command in COMMANDS.items():
        assert f"  {name}" in printed
        assert command.help in printed


def test_without_a_command_the_overview_is_the_complaint(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("Usage: tellwire COMMAND")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    first, more = capsys.readouterr().out.splitlines()
    assert first == f"tellwire {tellwire.__version__}"
    assert more == f"Python {platform.python_version()}; extras: agents, oidc, otel, s3"


@pytest.mark.parametrize("name", COMMANDS)
def test_row_leads_to_a_command_with_help_and_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = COMMANDS[name]
    assert getattr(import_module(command.module), command.function)
    assert command.example.startswith(f"tellwire {name}")
    assert main([name, "--help"]) == 0
    assert f"Example: {command.example}" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["keys", "create", "--days", "99999999"],
            (
                "tellwire: Invalid value for '--days': Input should be less than or equal to 36500 "
                "(`tellwire keys create --help` says more)\n"
            ),
        ),
        (["confg"], "tellwire: there is no command confg; did you mean config?\n"),
        (["zzz"], "tellwire: there is no command zzz; `tellwire --help` lists them\n"),
        (
            ["login-link", "--emial", "x"],
            "tellwire: `tellwire login-link` has no option --emial; did you mean --email?\n",
        ),
        (["migrate", "--zzz"], "tellwire: `tellwire migrate` has no option --zzz; there are --plan, --json, --help\n"),
        (["messages", "--zzz"], "tellwire: `tellwire messages` has no option --zzz; there are --help\n"),
        (["endpoints", "lst"], "tellwire: there is no `endpoints lst`; did you mean list?\n"),
        (["profiles", "zzz"], "tellwire: there is no `profiles zzz`; there are list, save, remove\n"),
    ],
)
def test_wrong_usage_is_one_line_and_2(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr() == ("", said)


def test_wrong_settings_are_one_line_and_2(tmp_path: Path) -> None:
    done = run("config", cwd=tmp_path, TELLWIRE_PROT="1")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "tellwire: TELLWIRE_PROT is not a setting; did you mean TELLWIRE_PORT?\n"


def test_config_prints_values_with_their_source_and_no_secret(tmp_path: Path) -> None:
    (tmp_path / "tellwire.toml").write_text('meta_app_secret = "hidden@12"')
    done = run("config", "--json", cwd=tmp_path, TELLWIRE_PORT="1234")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    told = json.loads(done.stdout)
    assert told["PORT"] == {"value": "1234", "source": "TELLWIRE_PORT"}
    assert told["META_APP_SECRET"] == {"value": "***@12", "source": "tellwire.toml"}
    assert told["ADMIN_KEY"] == {"value": None, "source": "default"}
    table = run("config", cwd=tmp_path, TELLWIRE_PORT="1234").stdout
    assert "hidden" not in table
    assert re.search(r"(?m)^TELLWIRE_PORT +TELLWIRE_PORT +1234$", table)


HEAVY = {"litestar", "sqlalchemy", "structlog", "uvicorn", "asyncio", "cryptography", "aiohttp", "rich"}
ENGINE = {"dev", "serve", "migrate", "simulate", "openapi"}
"""The commands that are the engine, or describe it: they need what it needs."""


def modules_after(*calls: list[str], home: Path) -> set[str]:
    """The modules that a process has imported once these commands have run."""
    program = f"import sys; from tellwire.cli import main; [main(each) for each in {[*calls]!r}]; "
    done = subprocess.run(
        [sys.executable, "-c", program + "print(*sys.modules, file=sys.stderr)"],
        env={"PYTHONPATH": str(Path(tellwire.__file__).parent.parent), "XDG_CONFIG_HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
        cwd=home,
    )
    return set(done.stderr.split())


def test_the_overview_imports_nothing_heavy(tmp_path: Path) -> None:
    assert modules_after(["--help"], home=tmp_path) & (HEAVY | {"typer", "pydantic"}) == set()


def test_commands_start_light(tmp_path: Path) -> None:
    """One that talks to a server imports nothing of the engine. Nobody listens where the last call goes."""
    calls = [*([name, "--help"] for name in COMMANDS if name not in ENGINE), ["profiles", "list"], ["config"]]
    called = ["accounts", "list", "--url", "http://127.0.0.1:9", "--key", "tw_x"]
    assert modules_after(*calls, called, home=tmp_path) & HEAVY == set()


def test_what_is_triggered_is_invented_without_http(tmp_path: Path) -> None:
    assert modules_after(["trigger", "--list"], home=tmp_path) & (HEAVY - {"asyncio"}) == set()


STARTS = """
import sys
from tellwire.cli import serve
from tellwire.web.asgi import _routed
_routed(probes_only=sys.argv[1] == "deliver")
print(*sys.modules)
"""
LATER = {"aiohttp", "alembic", "asyncpg", "cryptography.x509", "opentelemetry.sdk", "prometheus_client", "pydantic_ai"}
"""What a server needs only for a file of Meta's, a migration, PostgreSQL, a failure, or when somebody asks."""
FOR_PEOPLE = {"jinja2", "tellwire.web.api", "tellwire.web.console.routes", "tellwire.web.graph.dispatch"}


@pytest.mark.parametrize(("role", "unneeded"), [("all", LATER), ("deliver", LATER | FOR_PEOPLE)])
def test_a_server_loads_what_its_role_needs_at_the_start(role: str, unneeded: set[str]) -> None:
    done = subprocess.run([sys.executable, "-c", STARTS, role], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stdout.split())
    assert loaded & unneeded == set()
    assert ("tellwire.web.console.routes" in loaded) == (role == "all")
