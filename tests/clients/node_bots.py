"""Clients of Meta's from npm as processes: what a script is told, and what its webhook server has understood."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.processes import SECONDS

CLIENTS = ("whatsapp_api_js", "kapso")
PACKAGES = Path(__file__).parent / "node"
needs_packages = pytest.mark.skipif(
    shutil.which("node") is None or not (PACKAGES / "node_modules").is_dir(),
    reason="Node or the npm packages of tests/clients/node are not there",
)


def environment_of(settings: dict[str, Any]) -> dict[str, str]:
    """The environment of a script that is told `settings`."""
    return {"CLIENT": json.dumps(settings), "PATH": str(Path(str(shutil.which("node"))).parent)}


class Bot:
    """A client's webhook server, and what it has understood so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.lines: list[dict[str, Any]] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        self._reader.start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if not line.endswith("\n"):
                return  # the process was killed while it wrote
            with self._news:
                self.lines.append(json.loads(line))
                self._news.notify_all()

    def ended(self) -> None:
        """Wait until everything is read that the process wrote before it was killed."""
        self._reader.join()

    def until(self, condition: Callable[[list[dict[str, Any]]], Any]) -> Any:
        """What `condition` finds once it finds something."""
        with self._news:
            assert self._news.wait_for(lambda: condition(self.lines), timeout=SECONDS), self.lines
            return condition(self.lines)


@contextmanager
def bot(client: str, **settings: Any) -> Iterator[tuple[Bot, str]]:
    """A client's webhook server and its address."""
    command = ["node", f"{client}.mjs", "receive"]
    environment = environment_of(settings)
    with subprocess.Popen(command, cwd=PACKAGES, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            running = Bot(process)
            port = running.until(lambda lines: lines and lines[0].get("port"))
            yield running, f"http://127.0.0.1:{port}/webhook"
        finally:
            process.kill()
            running.ended()
