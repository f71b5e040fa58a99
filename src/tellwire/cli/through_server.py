"""Have the running server make a call, where the settings that count are its own and not this command's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from tellwire.cli.api import Api
from tellwire.cli.dev.rest import Rest
from tellwire.errors import TellwireError

_KEY_LASTS = timedelta(minutes=3)
_KEYS, _ENDPOINTS = "api-keys", "webhook-endpoints"
_PROBE_SECONDS = 5.0


@contextlib.asynccontextmanager
async def server_of(api: Api) -> AsyncIterator[Rest | None]:
    """Provide a client of the server that runs on this database, where HOST and PORT say; None when there is none.

    It has a key of its own for as long as this lasts, made in this database: so a server that takes it is on this
    database, and no other is asked anything.
    """
    if not await _is_alive(api.server_url):
        yield None
        return
    until = (datetime.now(UTC) + _KEY_LASTS).isoformat(timespec="seconds")
    draft = {"name": "tellwire command line", "scopes": ["webhooks:manage"], "expires_at": until}
    made = await api.call("POST", _KEYS, body=draft)
    try:
        rest = Rest(api.server_url, made["key"])
        yield rest if await _takes(rest) else None
    finally:
        await api.call("DELETE", _KEYS, made["id"])


async def _is_alive(url: str) -> bool:
    with contextlib.suppress(TellwireError, msgspec.DecodeError, TimeoutError):
        async with asyncio.timeout(_PROBE_SECONDS):
            answer: Any = await Rest(url, "").call("GET", "/livez")
            return bool(answer == {"status": "ok"})
    return False


async def _takes(rest: Rest) -> bool:
    with contextlib.suppress(TellwireError, msgspec.DecodeError):
        await rest.call("GET", f"/v1/{_ENDPOINTS}?limit=1")
        return True
    return False
