"""Ask the system about sockets."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import struct
import termios


def unsent(transport: asyncio.Transport) -> int:
    """Return how many bytes that were written to a connection its other side has not acknowledged, as far as the system
    tells."""
    left = transport.get_write_buffer_size()
    sock = transport.get_extra_info("socket")
    with contextlib.suppress(OSError, ValueError, AttributeError):
        (queued,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))
        left += queued
    return left
