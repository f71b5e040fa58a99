"""`python -m bench SCENARIO`, from the root of the repository: any Python will do, the rest is made on demand."""

from __future__ import annotations

import signal
import sys
from importlib import import_module
from types import FrameType

from bench import environment
from bench.errors import BenchError
from bench.options import SCENARIOS, parse


def main(arguments: list[str]) -> int:
    """Run one scenario; returns the exit code: 0 done, 1 a run failed, 130 interrupted."""
    options = parse(arguments)
    try:
        if not environment.inside():
            environment.enter(arguments)
        signal.signal(signal.SIGTERM, _terminate)
        return int(import_module(SCENARIOS[options.scenario].module).run(options))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted; everything it started is stopped", file=sys.stderr)
        return 130


def _terminate(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
