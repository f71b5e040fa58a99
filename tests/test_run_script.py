"""`./run` as a stranger meets it, in checkouts with empty locks so that nothing is downloaded.

A stand-in for `uv` writes down how it was called; the pip that comes with Python is the real one.
"""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYTHON = str(getattr(sys, "_base_executable", sys.executable))
TOOLS = ("sh", "dirname", "readlink", "cksum", "rm", "cat")
PROGRAM = """
import json, os, sys
import tellwire
print(json.dumps({"arguments": sys.argv[1:], "cwd": os.getcwd(), "pid": os.getpid(), "prefix": sys.prefix,
                  "code": os.path.dirname(tellwire.__file__)}))
"""


class Checkout:
    """A checkout with our `run`, a program that tells how it was started, and a PATH of its own."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a check out"
        self.bin = folder / "bin"
        self.home = folder / "home"
        for made in (self.root / "src/tellwire", self.root / "sdk/src", self.bin, self.home):
            made.mkdir(parents=True)
        shutil.copy(ROOT / "run", self.root / "run")
        self.write("src/tellwire/__init__.py", "")
        self.write("src/tellwire/__main__.py", PROGRAM)
        self.write("requirements.lock", "# nothing\n")
        self.write("requirements-dev.lock", "# nothing either\n")
        for tool in TOOLS:
            (self.bin / tool).symlink_to(str(shutil.which(tool)))
        (self.bin / "python3").symlink_to(PYTHON)

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text)

    def command(self, name: str, script: str) -> None:
        """Put a shell script on PATH."""
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def uv(self, *, then: str = "exit 0") -> Path:
        """Put a `uv` on PATH that writes down its calls, one a line."""
        calls = self.home / "calls"
        self.command(
            "uv",
            f'[ "$1" = --version ] && exit\necho "$* downloads=$UV_PYTHON_DOWNLOADS" >>"{calls}"\n{then}',
        )
        return calls

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": str(self.bin), "HOME": str(self.home), "LC_ALL": "C.UTF-8"}

    def run(
        self, *arguments: str, script: Path | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(script or self.root / "run"), *arguments],
            cwd=cwd or self.home,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.root / "run"), *arguments],
            cwd=self.home,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def lacking(module: str) -> str:
    """The script of a Python from which Debian left `module` out."""
    return (
        f'case "$*" in *_base_executable*) echo "$0" ;; *"import {module}"*) exit 1 ;; *) exec "{PYTHON}" "$@" ;; esac'
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_script_is_plain_sh() -> None:
    for script in ("run", ".ci/run"):
        assert (ROOT / script).read_text().startswith("#!/bin/sh\n")
        assert os.access(ROOT / script, os.X_OK)
        subprocess.run(["sh", "-n", str(ROOT / script)], check=True)


def test_with_pip_alone_from_elsewhere_through_a_link(checkout: Checkout) -> None:
    link = checkout.home / "linked"
    link.symlink_to(os.path.relpath(checkout.root / "run", checkout.home))
    done = checkout.run("say", "two words", "*", script=link)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["arguments"] == ["say", "two words", "*"]
    assert told["cwd"] == str(checkout.home)
    assert told["prefix"] == str(checkout.root / ".venv")
    assert told["code"] == str(checkout.root / "src/tellwire")
    assert done.stderr.splitlines()[0] == "run: Making the environment in .venv (once, about a minute)…"
    again = checkout.run("say")
    assert (again.returncode, again.stderr) == (0, "")


def test_uv_fills_where_it_is_and_never_fetches_a_python(checkout: Checkout) -> None:
    calls = checkout.uv()
    assert checkout.run("say").returncode == 0
    python = checkout.root / ".venv/bin/python"
    assert calls.read_text() == (
        f"pip sync --quiet --python {python} --require-hashes --compile-bytecode "
        f"{checkout.root / 'requirements.lock'} downloads=never\n"
    )


def on_a_terminal(checkout: Checkout, *arguments: str) -> tuple[int, str]:
    """Run it with a terminal as standard error; return the exit code and what came there."""
    ours, theirs = pty.openpty()
    command = [str(checkout.root / "run"), *arguments]
    done = subprocess.run(
        command, cwd=checkout.home, env=checkout.environment, stdout=subprocess.PIPE, stderr=theirs, check=False
    )
    os.close(theirs)
    said = b""
    with suppress(OSError):  # the end of a terminal
        while piece := os.read(ours, 65536):
            said += piece
    os.close(ours)
    return done.returncode, said.decode()


@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_on_a_terminal_one_line_tells_of_the_installer(checkout: Checkout, tool: str) -> None:
    checkout.write("requirements.lock", "" if tool == "pip" else "one==1 \\\n    --hash=x\n# via\ntwo==2\n")
    if tool == "uv":
        checkout.uv(then="echo 140 lines; exit 0")
    for name in ("grep", "sleep"):
        (checkout.bin / name).symlink_to(str(shutil.which(name)))
    code, said = on_a_terminal(checkout, "say")
    assert code == 0, said
    assert said.count("\n") == 1, said
    packages = 2 if tool == "uv" else 0
    assert said.split("\r")[1] == f"run: Making the environment in .venv: {packages} packages, 0 s"
    assert "140 lines" not in said
    assert on_a_terminal(checkout, "say") == (0, "")


def test_on_a_terminal_a_failed_installer_is_shown_whole(checkout: Checkout) -> None:
    checkout.uv(then="echo no luck; echo at all >&2; exit 1")
    checkout.command("python3", lacking("ensurepip"))
    for name in ("grep", "sleep"):
        (checkout.bin / name).symlink_to(str(shutil.which(name)))
    code, said = on_a_terminal(checkout, "say")
    assert code == 1
    lines = said.replace("\r\n", "\n").splitlines()
    assert lines[-5:-1][0:3] == ["no luck", "at all", "run: uv could not do it (see above); trying pip."]
    assert lines[-1].startswith("run: the environment is not complete")
    assert not (checkout.root / ".venv.output").exists()


def test_the_process_becomes_python(checkout: Checkout) -> None:
    checkout.uv()
    checkout.run("say")
    process = checkout.start("say")
    out, _ = process.communicate(timeout=60)
    assert json.loads(out)["pid"] == process.pid


def test_tools_of_the_tests_are_added_once_and_stay(checkout: Checkout) -> None:
    calls = checkout.uv()
    checkout.write("pytest.py", PROGRAM)
    checkout.run("say")
    done = checkout.run("test", "-k", "two words")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["arguments"], told["cwd"]) == (["-k", "two words"], str(checkout.root))
    checkout.run("say")
    checkout.run("test")
    locks = [line.split("/")[-1].split()[0] for line in calls.read_text().splitlines()]
    assert locks == ["requirements.lock", "requirements-dev.lock"]
    checkout.write("requirements-dev.lock", "# another\n")
    checkout.run("say")
    assert calls.read_text().splitlines()[-1].endswith("requirements-dev.lock downloads=never")


def test_both_projects_are_packed_into_one_folder_with_the_time_that_is_given(checkout: Checkout) -> None:
    checkout.uv()
    checkout.write("hatchling.py", PROGRAM.replace('"pid"', '"epoch": os.environ.get("SOURCE_DATE_EPOCH"), "pid"'))
    shutil.copy(checkout.root / "hatchling.py", checkout.root / "sdk/hatchling.py")
    done = checkout.run("build")
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["cwd"] for each in told] == [str(checkout.root / "sdk"), str(checkout.root)]
    assert [each["arguments"] for each in told] == [["build", "-d", str(checkout.root / "dist")]] * 2
    assert [each["epoch"] for each in told] == [None, None]
    checkout.command("git", f'[ "$*" = "-C {checkout.root} log -1 --format=%ct" ] && echo 1796083200')
    assert {json.loads(line)["epoch"] for line in checkout.run("build").stdout.splitlines()} == {"1796083200"}


@pytest.mark.parametrize("event", ["lock changed", "interrupted", "python gone"])
def test_an_environment_that_is_not_right_is_made_anew(checkout: Checkout, event: str) -> None:
    calls = checkout.uv()
    checkout.run("say")
    leftover = checkout.root / ".venv/leftover"
    leftover.write_text("")
    match event:
        case "lock changed":
            checkout.write("requirements.lock", "# another\n")
        case "interrupted":
            (checkout.root / ".venv/requirements.stamp").unlink()
        case _:
            (checkout.root / ".venv/bin/python").unlink()
            (checkout.root / ".venv/bin/python").symlink_to("/nowhere/python3")
    done = checkout.run("say")
    assert done.returncode == 0, done.stderr
    assert not leftover.exists()
    assert len(calls.read_text().splitlines()) == 2
    assert checkout.run("say").stderr == ""


def test_a_failed_fill_is_not_believed(checkout: Checkout) -> None:
    checkout.uv(then="echo no luck >&2; exit 1")
    checkout.command("python3", lacking("ensurepip"))
    for _ in range(2):
        done = checkout.run("say")
        assert (done.returncode, done.stdout) == (1, "")
        told = done.stderr.splitlines()
        assert told[:3] == [
            "run: Making the environment in .venv (once, about a minute)…",
            "no luck",
            "run: uv could not do it (see above); trying pip.",
        ]
        assert told[-1].startswith("run: the environment is not complete")


def test_two_at_once_fill_once(checkout: Checkout) -> None:
    gate = checkout.home / "gate"
    os.mkfifo(gate)
    calls = checkout.uv(then=f'cat "{gate}"')
    processes = [checkout.start("say"), checkout.start("say")]
    announced = {process: process.stderr.readline() for process in processes if process.stderr}
    assert sorted(announced.values()) == [
        "run: Making the environment in .venv (once, about a minute)…\n",
        "run: waiting for another ./run that is making the environment…\n",
    ]
    gate.write_text("go on\n")
    for process in processes:
        out, _ = process.communicate(timeout=60)
        assert json.loads(out)["arguments"] == ["say"]
    assert len(calls.read_text().splitlines()) == 1


def test_a_moved_checkout_goes_on(checkout: Checkout) -> None:
    checkout.uv()
    checkout.run("say")
    checkout.root = checkout.root.rename(checkout.root.parent / "elsewhere")
    done = checkout.run("say")
    assert done.stderr == ""
    assert json.loads(done.stdout)["code"] == str(checkout.root / "src/tellwire")


def test_without_python_it_says_what_is_needed(checkout: Checkout) -> None:
    (checkout.bin / "python3").unlink()
    assert "needs Python 3.11 or newer; found no python3" in checkout.run("say").stderr
    checkout.command("python3", '[ "$1" = -V ] && echo Python 3.9.2 || exit 1')
    done = checkout.run("say")
    assert done.returncode == 1
    assert "needs Python 3.11 or newer; found Python 3.9.2" in done.stderr
    (checkout.bin / "python3.13").symlink_to(PYTHON)
    checkout.uv()
    assert checkout.run("say").returncode == 0


def test_another_python_has_an_environment_beside_the_usual_one(checkout: Checkout) -> None:
    calls = checkout.uv()
    (checkout.bin / "python3.13").symlink_to(PYTHON)
    done = checkout.run("--python", "3.13", "say")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["prefix"] == str(checkout.root / ".venv-3.13")
    assert done.stderr.splitlines()[0] == "run: Making the environment in .venv-3.13 (once, about a minute)…"
    assert not (checkout.root / ".venv").exists()
    assert "--compile-bytecode" not in calls.read_text()
    assert "no Python 3.12, neither on PATH nor among pyenv's" in checkout.run("--python", "3.12", "say").stderr


def test_the_pure_part_runs_on_every_other_python_and_missing_ones_are_told(checkout: Checkout) -> None:
    checkout.uv()
    checkout.write("pytest.py", PROGRAM)
    usual = f"{sys.version_info.major}.{sys.version_info.minor}"
    others = [version for version in ("3.11", "3.12", "3.13", "3.14") if version != usual]
    (checkout.bin / f"python{others[0]}").symlink_to(PYTHON)
    pyenv = checkout.home / f".pyenv/versions/{others[1]}.7/bin"
    pyenv.mkdir(parents=True)
    (pyenv / "python").symlink_to(PYTHON)
    done = checkout.run("pythons")
    assert done.returncode == 0, done.stderr
    ran = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["prefix"] for each in ran] == [str(checkout.root / f".venv-{version}") for version in others[:2]]
    assert all("tests/unit" in each["arguments"] for each in ran)
    told = f"run: the pure part passed on Python: {others[0]} {others[1]}; not found here: {others[2]}"
    assert done.stderr.splitlines()[-1] == told
    checkout.write("pytest.py", "raise SystemExit(1)")
    done = checkout.run("pythons")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"run: the pure part FAILED on Python {others[0]}"


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_where_debian_left_something_out_the_package_is_named(checkout: Checkout, module: str) -> None:
    checkout.command("python3", lacking(module))
    done = checkout.run("say")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"comes without {module}" in done.stderr
    assert f"apt install python{sys.version_info.major}.{sys.version_info.minor}-venv" in done.stderr


def test_check_stops_at_the_first_thing_that_fails(checkout: Checkout) -> None:
    checkout.uv()
    checkout.write("ruff.py", "import sys\nsys.exit(sys.argv[1] == 'check')\n")
    done = checkout.run("check")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-3:] == ["run: check: format", "run: check: lint", "run: check FAILED: lint"]
