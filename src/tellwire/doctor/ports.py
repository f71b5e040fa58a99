"""What the doctor asks of the outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from msgspec import Struct


class Reached(Struct, frozen=True, kw_only=True):
    """What a request to our own URL came to. `failure`: where it ended, "" when there is an answer; `cause`: why, in
    words. `expires_at`: when the certificate ends (seconds since 1970), 0 without one."""

    failure: Literal["", "connect", "tls", "answer"] = ""
    cause: str = ""
    status: int = 0
    location: str = ""
    body: bytes = b""
    expires_at: float = 0.0


class Probe(Protocol):
    """Requests to our own URLs, from this machine, by the addresses that names have outside."""

    async def addresses(self, host: str) -> Sequence[str]:
        """Return what a name resolves to, nothing when it does not."""
        ...

    async def ask(
        self,
        url: str,
        *,
        method: Literal["GET", "POST"] = "GET",
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> Reached:
        """Make one request, follow no redirect, and verify the certificate; whatever happens is a `Reached`."""
        ...
