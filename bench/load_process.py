"""Start the driver process and send it commands, on the runner's side."""

from __future__ import annotations

import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from bench.environment import ROOT
from bench.errors import BenchError
from bench.processes import clean_environment, tail
from bench.protocol import Aim, Command, Done, Failed, Go, Hello, PhaseResult, Prepare

_ANSWER_SECONDS = 60
_STOP_SECONDS = 5

Said = Hello | Done | PhaseResult | Failed
Answer = TypeVar("Answer", Hello, Done, PhaseResult)


class LoadProcess:
    """A running driver process. Every call raises BenchError when the driver fails, does not answer or has ended."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log
        self._limit = 0.0
        self.sink = f"http://127.0.0.1:{self._read(Hello, seconds=_ANSWER_SECONDS).sink_port}/hook"

    def aim(self, aim: Aim) -> None:
        """Set the system that the next phases load."""
        self._ask(aim, Done, seconds=_ANSWER_SECONDS)

    def prepare(self, plan: Prepare) -> None:
        """Make the messages and the connections of the next phase."""
        self._limit = plan.limit_seconds
        self._ask(plan, Done, seconds=_ANSWER_SECONDS)

    def go(self) -> PhaseResult:
        """Run the prepared phase and return its result."""
        self.begin()
        return self.end()

    def begin(self) -> None:
        """Start the prepared phase; `end` waits for it."""
        self._tell(Go())

    def end(self) -> PhaseResult:
        """Wait for the started phase and return its result."""
        return self._read(PhaseResult, seconds=self._limit + _ANSWER_SECONDS)

    def _ask(self, command: Command, kind: type[Answer], *, seconds: float) -> Answer:
        self._tell(command)
        return self._read(kind, seconds=seconds)

    def _tell(self, command: Command) -> None:
        pipe = self._process.stdin
        if pipe is None:
            raise BenchError("the driver has no input")
        try:
            pipe.write(msgspec.json.encode(command) + b"\n")
            pipe.flush()
        except OSError as error:
            raise BenchError(f"the driver is gone:\n{tail(self._log)}") from error

    def _read(self, kind: type[Answer], *, seconds: float) -> Answer:
        pipe = self._process.stdout
        if pipe is None:
            raise BenchError("the driver has no output")
        if not select.select([pipe], [], [], seconds)[0]:
            raise BenchError(f"the driver said nothing for {seconds:g} s:\n{tail(self._log)}")
        line = pipe.readline()
        if not line:
            raise BenchError(f"the driver ended:\n{tail(self._log)}")
        answer: Hello | Done | PhaseResult | Failed = msgspec.json.decode(
            line, type=Hello | Done | PhaseResult | Failed
        )
        if isinstance(answer, kind):
            return answer
        raise BenchError(f"the driver: {answer.error if isinstance(answer, Failed) else 'answered something else'}")


@contextmanager
def driver(folder: Path, name: str = "driver") -> Iterator[LoadProcess]:
    """Give a driver process with its sink listening, until the block ends."""
    log = folder / f"{name}.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.driver"],
            cwd=ROOT,
            env=clean_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    try:
        yield LoadProcess(process, log)
    finally:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
