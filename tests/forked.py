"""Start commands as processes that are forked from one that has imported the command line already.

They are processes like any other, with a pid, an environment, a working directory and streams of their own, to signal,
kill and wait for. Only the import is done once for all, because hundreds of them would spend most of the run's time on
it. What a start from nothing does is tested where `within` or a program of its own is started.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import IO, Any, NoReturn

_LARGEST = 1 << 17
_ROOT = Path(__file__).parents[1]
_COMMANDS = ("serve", "dev", "migrate", "keys", "accounts", "endpoints")
"""What these import is what all of the command line does, but for some small modules."""


class Forked:
    """A process as `subprocess.Popen` has it, as far as tests use it; its streams are text."""

    def __init__(self, pid: int, streams: Sequence[int]) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdin: IO[str] = os.fdopen(streams[0], "w", encoding="utf-8")
        self.stdout: IO[str] = os.fdopen(streams[1], encoding="utf-8")
        self.stderr: IO[str] = os.fdopen(streams[2], encoding="utf-8")
        self._ended = threading.Event()

    def poll(self) -> int | None:
        """The exit code, None while it runs; minus the signal's number for one that a signal ended."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; its exit code."""
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired(f"tellwire ({self.pid})", timeout or 0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)

    def ended(self, status: int) -> None:
        """Note how it ended."""
        self.returncode = os.waitstatus_to_exitcode(status)
        self._ended.set()


class _Forker:
    """The process that forks, one for each worker of the tests."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TELLWIRE_")}
        path = os.pathsep.join(str(_ROOT / folder) for folder in ("src", "sdk/src", "."))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.forked", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            cwd=_ROOT,
            env=environment | {"PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        self._news = threading.Condition()
        self._started: list[int] = []
        self._children: dict[int, Forked] = {}
        self._ends: dict[int, int] = {}
        threading.Thread(target=self._listen, daemon=True).start()
        atexit.register(self.close)

    def start(self, arguments: Sequence[str], *, cwd: Path, environment: Mapping[str, str]) -> Forked:
        """Start a command in a session of its own."""
        ours, theirs = zip(*(os.pipe() for _ in range(3)), strict=True)
        to_child, from_child = (ours[0], theirs[1], theirs[2]), (theirs[0], ours[1], ours[2])
        asked = json.dumps({"arguments": list(arguments), "cwd": str(cwd), "environment": dict(environment)})
        with self._news:
            socket.send_fds(self._socket, [asked.encode()], to_child)
            for each in to_child:
                os.close(each)
            while not self._started:
                if not self._news.wait(60):
                    raise RuntimeError("the process that forks does not answer")
            child = Forked(self._started.pop(), from_child)
            self._children[child.pid] = child
            if child.pid in self._ends:
                self._told(child.pid, self._ends.pop(child.pid))
        return child

    def close(self) -> None:
        """End it."""
        self._socket.close()
        self._process.terminate()
        self._process.wait()

    def _listen(self) -> None:
        while True:
            try:
                told = self._socket.recv(_LARGEST)
            except OSError:
                return
            if not told:
                return
            kind, pid, status = json.loads(told)
            with self._news:
                if kind == "started":
                    self._started.append(pid)
                elif pid in self._children:
                    self._told(pid, status)
                else:
                    self._ends[pid] = status
                self._news.notify_all()

    def _told(self, pid: int, status: int) -> None:
        self._children.pop(pid).ended(status)


_forker: list[_Forker] = []


def start(arguments: Sequence[str], *, cwd: Path, environment: Mapping[str, str]) -> Forked:
    """Start `tellwire` with arguments, in a session of its own, with pipes as its streams."""
    if not _forker:
        _forker.append(_Forker())
    return _forker[0].start(arguments, cwd=cwd, environment=environment)


def run(
    arguments: Sequence[str], *, cwd: Path, environment: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run `tellwire` with arguments to its end."""
    child = start(arguments, cwd=cwd, environment=environment)
    texts = ["", ""]

    def read(number: int, stream: IO[str]) -> None:
        with stream:
            texts[number] = stream.read()

    readers = [threading.Thread(target=read, args=(n, each)) for n, each in enumerate((child.stdout, child.stderr))]
    for reader in readers:
        reader.start()
    child.stdin.close()
    try:
        code = child.wait(timeout)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        raise
    finally:
        for reader in readers:
            reader.join()
    return subprocess.CompletedProcess(["tellwire", *arguments], code, *texts)


# --- the process that forks -------------------------------------------------------------------------------------------


def _fork_for(control: socket.socket) -> None:
    """Fork a process for each command that comes, and tell of its end, until the tests are gone."""
    from tellwire import cli  # noqa: PLC0415 - in this process only

    for name in _COMMANDS:
        import_module(cli.COMMANDS[name].module)
    import_module("typer.main")
    import_module("tellwire.cli.database_api")
    gc.collect()
    gc.freeze()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    chosen = selectors.DefaultSelector()
    chosen.register(control, selectors.EVENT_READ)
    chosen.register(woken, selectors.EVENT_READ)
    while True:
        for key, _ in chosen.select():
            if key.fileobj is control:
                told, streams, _, _ = socket.recv_fds(control, _LARGEST, 3)
                if not told:
                    return
                pid = os.fork()
                if not pid:
                    _be(json.loads(told), streams, [control.fileno(), woken, wake, chosen.fileno()])
                for each in streams:
                    os.close(each)
                control.send(json.dumps(["started", pid, 0]).encode())
            else:
                os.read(woken, 4096)
        _tell_of_ends(control)


def _tell_of_ends(control: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        control.send(json.dumps(["ended", pid, status]).encode())


def _be(asked: dict[str, Any], streams: Sequence[int], others: Sequence[int]) -> NoReturn:
    """Become a command: nothing of the process that forked is left but what it has imported."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    for number, each in enumerate(streams):
        os.dup2(each, number)
    for each in (*streams, *others):
        os.close(each)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    time.tzset()
    sys.argv = ["tellwire", *asked["arguments"]]
    from tellwire.cli import main  # noqa: PLC0415

    sys.exit(main())


if __name__ == "__main__":
    _fork_for(socket.socket(fileno=int(sys.argv[1])))
