"""Real Node, for tests of what receivers in JavaScript see; they are skipped, in words, where it is not installed."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import pytest

WHY = "there is no `node` on PATH: what JavaScript makes of it is not compared with the real one"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason=WHY)

_LOOP = """
const lines = require("readline").createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const answers = JSON.parse(line).map((given) => {
    try {
      return work(Buffer.from(given, "base64"));
    } catch (error) {
      return null;
    }
  });
  process.stdout.write(JSON.stringify(answers) + "\\n");
});
"""


class Worker:
    """A Node process that answers batches: a line with an array of texts in base64, answered by one with an array of
    what `work(buffer)` returned, null where it threw."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def answers(self, given: Sequence[str]) -> list[Any]:
        """Return what `work` gives for each text in base64."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(list(given)) + "\n")
        self._process.stdin.flush()
        answered: list[Any] = json.loads(self._process.stdout.readline())
        return answered

    @classmethod
    @contextmanager
    def of(cls, work: str) -> Iterator[Self]:
        """Run a process that knows the function `work`, whose source is given, until the end of the block."""
        assert NODE is not None
        command = [NODE, "-e", f"{work}\n{_LOOP}"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield cls(process)
            finally:
                process.kill()
