"""Ask the system about sockets and descriptors."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import resource
import struct
import termios

_PLENTY = 65_536


def unsent(transport: asyncio.Transport) -> int:
    """Return how many bytes that were written to a connection its other side has not acknowledged, as far as the system
    tells."""
    left = transport.get_write_buffer_size()
    sock = transport.get_extra_info("socket")
    with contextlib.suppress(OSError, ValueError, AttributeError):
        (queued,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))
        left += queued
    return left


def raise_descriptor_limit() -> int:
    """Raise this process's limit of descriptors as far as it may be; return how many it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _PLENTY if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _PLENTY if soft == resource.RLIM_INFINITY else soft
