"""Lines of the standard input, whether they are typed or piped."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import suppress

_PIECE = 64 * 1024


async def typed(handle: int = 0) -> AsyncIterator[str]:
    """The lines of a file descriptor as they come, until it ends. One beyond 64 KiB is taken in pieces.

    They are read in a thread that ends with the process, because a read from a terminal cannot be given up.
    """
    loop, lines = asyncio.get_running_loop(), asyncio.Queue[bytes | None](maxsize=1)

    def put(line: bytes | None) -> None:
        asyncio.run_coroutine_threadsafe(lines.put(line), loop).result()

    def read() -> None:
        rest = b""
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            with suppress(OSError):  # no input at all, or a terminal that another job has
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
