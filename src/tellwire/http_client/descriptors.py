"""Share the file descriptors that a process may have: every connection takes one."""

from __future__ import annotations

import contextlib
import resource

from msgspec import Struct

_PLENTY = 65_536


class Descriptors(Struct, frozen=True):
    """How many descriptors of a process are for what.

    `deliveries`: attempts at once. `meta`: calls to Meta at once. `other`: the database, files, models, tools, name
    servers and logs. `server`: connections of the HTTP server, of which what is left allows so many, because every
    second one may have a file open for its upload or download.
    """

    total: int
    deliveries: int
    meta: int
    other: int

    @property
    def server(self) -> int:
        return (self.total - self.deliveries - self.meta - self.other) * 2 // 3


def shared_out(total: int, *, delivers: bool) -> Descriptors:
    """Return how a process shares its descriptors out; one that does not deliver needs none for that."""
    deliveries, meta = (max(1, min(1024, total // 2)), max(1, min(512, total // 8))) if delivers else (0, 0)
    return Descriptors(total, deliveries, meta, 64)


def descriptor_limit() -> int:
    """Return how many descriptors this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _PLENTY if soft == resource.RLIM_INFINITY else soft


def raise_descriptor_limit() -> None:
    """Raise this process's limit of descriptors as far as it may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _PLENTY if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
