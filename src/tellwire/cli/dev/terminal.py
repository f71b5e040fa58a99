"""Read lines of the standard input, typed or piped."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import suppress

_PIECE = 64 * 1024


async def typed(handle: int = 0) -> AsyncIterator[str]:
    """Give the lines of a file descriptor as they come, until it ends. A line longer than 64 KiB is given in pieces.

    A thread reads them and ends with the process, because a read from a terminal cannot be cancelled.
    """
    loop, lines = asyncio.get_running_loop(), asyncio.Queue[bytes | None](maxsize=1)

    def put(line: bytes | None) -> None:
        asyncio.run_coroutine_threadsafe(lines.put(line), loop).result()

    def read() -> None:
        rest = b""
        with suppress(RuntimeError):  # the loop is closed: the lines have no reader any more
            with suppress(OSError):  # no input at all, or a terminal that belongs to another job
                while piece := os.read(handle, _PIECE):
                    *whole, rest = (rest + piece).split(b"\n")
                    for line in whole:
                        put(line)
                    if len(rest) >= _PIECE:
                        put(rest)
                        rest = b""
            if rest:
                put(rest)
            put(None)

    signal.signal(signal.SIGTTIN, signal.SIG_IGN)  # in the background reading fails instead of stopping the process
    threading.Thread(target=read, name="typed", daemon=True).start()
    while (line := await lines.get()) is not None:
        yield line.decode("utf-8", "replace").strip()
