"""Run child processes: start them with a log, wait for them, and stop them with their own process group."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.environment import ROOT
from bench.errors import BenchError

_POLL_SECONDS = 0.05
_LOG_LINES = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """The user and group that a process runs as."""

    uid: int
    gid: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Child:
    """A running process and its log file."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_until(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Return once `ready()`; raises BenchError with the end of the log if the process ends or takes too long."""
        end = time.monotonic() + seconds
        while not ready():
            if self.process.poll() is not None:
                raise BenchError(f"{self.name} ended with {self.process.returncode}:\n{tail(self.log)}")
            if time.monotonic() > end:
                raise BenchError(f"{self.name} was not ready after {seconds:g} s:\n{tail(self.log)}")
            time.sleep(_POLL_SECONDS)


@contextmanager
def running(
    command: Sequence[str],
    *,
    name: str,
    folder: Path,
    env: Mapping[str, str] | None = None,
    account: Account | None = None,
    stop: signal.Signals = signal.SIGTERM,
    patience: float = 10,
) -> Iterator[Child]:
    """Run `command` in a process group of its own until the block ends: `stop`, then after `patience` seconds SIGKILL.

    The output goes to `folder/name.log`; only root may set `account`. Raises BenchError when it does not start.
    """
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                command,
                cwd=ROOT if account is None else folder,
                env=clean_environment(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                user=None if account is None else account.uid,
                group=None if account is None else account.gid,
                extra_groups=None if account is None else [],
            )
        except OSError as error:
            raise BenchError(f"{name} does not start: {error}") from error
    try:
        yield Child(name=name, process=process, log=log)
    finally:
        _stop(process, stop, patience)


def finish(
    command: Sequence[str],
    *,
    name: str,
    folder: Path,
    env: Mapping[str, str] | None = None,
    account: Account | None = None,
    seconds: float = 60,
) -> None:
    """Run `command` to its end; raises BenchError with the end of its output if it fails or takes too long."""
    with running(command, name=name, folder=folder, env=env, account=account) as child:
        try:
            code = child.process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise BenchError(f"{name} took more than {seconds:g} s:\n{tail(child.log)}") from error
    if code:
        raise BenchError(f"{name} ended with {code}:\n{tail(child.log)}")


def clean_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without proxies and Tellwire's settings, plus `more`."""
    kept = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and not k.startswith("TELLWIRE_")}
    return kept | dict(more or {})


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 on which no process listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Return whether a process listens on this port of 127.0.0.1."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def tail(log: Path) -> str:
    """Return the last lines of a log, indented."""
    lines = log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
    return "\n".join(f"    {line}" for line in lines) or "    (it wrote nothing)"


def _stop(process: subprocess.Popen[bytes], stop: signal.Signals, patience: float) -> None:
    """Signal the process, then kill what is left of its group. The group's id is the process's, so no other process is
    in it."""
    if process.poll() is None:
        process.send_signal(stop)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
