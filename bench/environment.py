"""Make the benchmark's own virtual environment, `.venv-bench` beside the code, from `bench/requirements.lock`."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from bench.errors import BenchError

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "bench" / "requirements.lock"
FOLDER = ROOT / ".venv-bench"
LAUNCHER = "TELLWIRE_BENCH_LAUNCHER"
"""The environment variable with the interpreter that the person started, which may be the product's own."""

_PYTHON = FOLDER / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
_STAMP = FOLDER / "installed"
_INSTALL_LIMIT = 900


def inside() -> bool:
    """Return whether this process runs in the benchmark's environment already."""
    return Path(sys.prefix).resolve() == FOLDER


def enter(arguments: list[str]) -> None:
    """Replace this process by `python -m bench ARGUMENTS` in the benchmark's environment, made when needed.

    Raises BenchError when the environment cannot be made.
    """
    wanted = _fingerprint()
    if not _STAMP.is_file() or _STAMP.read_text() != wanted:
        _make()
        _STAMP.write_text(wanted)
    os.environ[LAUNCHER] = sys.executable
    os.chdir(ROOT)
    sys.stdout.flush()
    os.execv(_PYTHON, [str(_PYTHON), "-m", "bench", *arguments])


def _fingerprint() -> str:
    return hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()


def _make() -> None:
    print(f"installing {LOCK.relative_to(ROOT)} into {FOLDER.name} …", file=sys.stderr)
    shutil.rmtree(FOLDER, ignore_errors=True)
    uv = shutil.which("uv")
    if uv is not None:
        _install([uv, "venv", "--quiet", "--no-python-downloads", "--python", sys.executable, str(FOLDER)])
        _install([uv, "pip", "sync", "--quiet", "--require-hashes", "--python", str(_PYTHON), str(LOCK)])
        return
    try:
        venv.create(FOLDER, with_pip=True, symlinks=os.name != "nt")
    except subprocess.CalledProcessError as error:
        raise BenchError("this Python has no ensurepip: on Debian, `apt-get install python3-venv`") from error
    _install([str(_PYTHON), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(LOCK)])


def _install(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, stdout=sys.stderr, timeout=_INSTALL_LIMIT)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"could not make {FOLDER.name}: {error}") from error
