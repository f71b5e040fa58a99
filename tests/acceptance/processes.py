"""The command line as real processes: started, read line by line, signalled; and HTTP to what they serve."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any, TypeVar

from tellwire.cli.dev.catcher import Catch, Catcher

ROOT = Path(__file__).parents[2]
SECONDS = 60
T = TypeVar("T")


def environment(home: Path | None = None, **settings: str) -> dict[str, str]:
    """The environment of a process: ours without any setting, and those that are named (without their prefix).

    What listens takes a port of the system's choice unless `PORT` is named. `home` is where profiles are kept, so that
    a command finds the servers of its own test alone; without it none are kept.
    """
    # The second would make every start compile everything; the third would hide output that is not flushed.
    dropped = ("TELLWIRE_", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    ours = {f"TELLWIRE_{name}": value for name, value in ({"PORT": "0"} | settings).items()}
    path = os.pathsep.join(str(ROOT / folder) for folder in ("src", "sdk/src"))
    config = str(home / ".config") if home else os.devnull
    return kept | ours | {"PYTHONPATH": path, "XDG_CONFIG_HOME": config}


def tellwire(*arguments: str, cwd: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "tellwire", *arguments],
        cwd=cwd,
        env=environment(cwd, **settings),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


class Running:
    """A command that goes on, in a process group of its own; both of its streams are read as they come.

    `within` is a command that runs another one, which it becomes.
    """

    def __init__(self, *arguments: str, cwd: Path, within: Sequence[str] = (), **settings: str) -> None:
        self.process = subprocess.Popen(
            [*within, sys.executable, "-m", "tellwire", *arguments],
            cwd=cwd,
            env=environment(cwd, **settings),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.out: list[str] = []
        self.err: list[str] = []
        self._news = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=(stream, lines), daemon=True)
            for stream, lines in ((self.process.stdout, self.out), (self.process.stderr, self.err))
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: Any, lines: list[str]) -> None:
        for line in stream:
            with self._news:
                lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def wait_for(self, found: Callable[[list[str]], T | None], *, stream: str = "out") -> T:
        """Return what `found` finds in the lines so far, once it finds something."""
        lines = self.out if stream == "out" else self.err
        with self._news:
            until = time.monotonic() + SECONDS
            while not (result := found(lines)):
                left = until - time.monotonic()
                if left <= 0 or not any(reader.is_alive() for reader in self._readers):
                    raise AssertionError(f"it never came\n--- out\n{_tail(self.out)}\n--- err\n{_tail(self.err)}")
                self._news.wait(min(left, 1))
            return result

    def type(self, line: str) -> None:
        """Give it a line of input."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal the whole group as a terminal does, and return the exit code."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)
        code = self.process.wait(SECONDS)
        for reader in self._readers:
            reader.join(SECONDS)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        return code

    def group_is_gone(self) -> bool:
        """Whether no process of the group is left."""
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return True
        return False


@contextmanager
def running(*arguments: str, cwd: Path, **settings: str) -> Iterator[Running]:
    """A command that goes on, killed at the end if it still does."""
    process = Running(*arguments, cwd=cwd, **settings)
    try:
        yield process
    finally:
        process.stop(signal.SIGKILL)


def logged_url(lines: list[str]) -> str | None:
    """The URL of `serve`, out of its log line "ready"."""
    for line in lines:
        if '"ready"' in line:
            return str(json.loads(line)["url"])
    return None


def request(
    url: str, *, key: str = "", method: str = "GET", body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    """An HTTP request: the status and the answer, decoded where it is JSON."""
    fields = (
        {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {}) | (headers or {})
    )
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data=data, headers=fields, method=method)
    try:
        with urllib.request.urlopen(asked, timeout=SECONDS) as answer:
            status, content, kind = answer.status, answer.read(), answer.headers.get("Content-Type", "")
    except urllib.error.HTTPError as error:
        status, content, kind = error.code, error.read(), error.headers.get("Content-Type", "")
    return status, json.loads(content) if "json" in kind and content else content.decode()


def every(url: str, noun: str, *, key: str) -> list[dict[str, Any]]:
    """All rows of a list of the REST API."""
    rows: list[dict[str, Any]] = []
    cursor = ""
    while True:
        status, page = request(f"{url}/v1/{noun}?limit=200{cursor}", key=key)
        assert status == 200, page
        rows += page["data"]
        if page["next_cursor"] is None:
            return rows
        cursor = f"&cursor={page['next_cursor']}"


@contextmanager
def catching(secrets: dict[str, str]) -> Iterator[tuple[str, list[Catch]]]:
    """A receiver of deliveries in a thread of its own: its URL, and everything that it has caught so far."""
    catches: list[Catch] = []
    started: Queue[str] = Queue()
    ended = threading.Event()

    async def catch() -> None:
        catcher = Catcher(secrets, on_catch=catches.append)
        started.put(f"http://127.0.0.1:{await catcher.start()}")
        await asyncio.to_thread(ended.wait)
        await catcher.stop()

    thread = threading.Thread(target=lambda: asyncio.run(catch()))
    thread.start()
    try:
        yield started.get(timeout=SECONDS), catches
    finally:
        ended.set()
        thread.join(SECONDS)


def until(ready: Callable[[], T | None], *, what: str) -> T:
    """Ask until there is an answer, a little later each time."""
    pause, end = 0.01, time.monotonic() + SECONDS
    waiting = threading.Event()
    while not (result := ready()):
        assert time.monotonic() < end, f"{what} never came"
        waiting.wait(pause)
        pause = min(pause * 1.5, 0.5)
    return result


def _tail(lines: list[str]) -> str:
    return "\n".join(lines[-40:])
