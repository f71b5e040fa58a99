"""Checks a URL when somebody sets it, so that a wrong one is refused at once and not only by its first request."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tellwire.errors import Forbidden
from tellwire.http_client.connector import Resolve
from tellwire.security.addresses import Reach, check_resolved, check_url

_LOOK_UP_SECONDS = 5.0


class UrlCheck:
    """Says whether the requests of one purpose may go to a URL.

    Args:
        reach: what they may reach.
        resolve: a host's addresses, `OSError` when there are none.
    """

    def __init__(self, reach: Reach, resolve: Resolve) -> None:
        self._reach = reach
        self._resolve = resolve

    async def __call__(self, url: str) -> None:
        """Raise `Forbidden` when requests may not go to this URL.

        A name behind http is looked up: it must lead to the allow list. One behind https is judged when connecting.
        """
        target = check_url(url, self._reach)
        if target.scheme == "https" or target.address is not None:
            return
        found: Sequence[str] = ()
        try:
            async with asyncio.timeout(_LOOK_UP_SECONDS):
                found = await self._resolve(target.host)
        except OSError:  # TimeoutError is one
            pass
        if not found:
            raise Forbidden("http is only for addresses on the allow list, and this name leads to none just now")
        check_resolved(target, found, self._reach)
