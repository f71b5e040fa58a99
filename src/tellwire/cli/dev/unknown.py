"""Tell of messages of which nobody knows whether Meta took them: they wait for a person to decide."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tellwire.cli.dev.rest import Rest
from tellwire.errors import TellwireError

_SECONDS = 5.0


async def tell_of_unknown(rest: Rest, told: Callable[[str], None]) -> None:
    """Look every few seconds, until cancelled, and call `told` once with the id of each such message."""
    known: set[str] = set()
    while True:
        try:
            page = await rest.call("GET", "/v1/messages?send_state=unknown&limit=50")
        except TellwireError:
            page = {"data": []}  # the server ends, or is busy: the next look tells
        for row in page["data"]:
            if row["id"] not in known:
                known.add(row["id"])
                told(row["id"])
        await asyncio.sleep(_SECONDS)
