"""USE CASE. Checks an endpoint over HTTP, now and outside of deliveries; nothing is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from tellwire.delivery.attempt import Wire
from tellwire.endpoints import ping
from tellwire.endpoints.handshake import ask_for_consent
from tellwire.endpoints.samples import NewId
from tellwire.errors import Forbidden
from tellwire.model.deliveries import Attempt, Endpoint
from tellwire.ports.clock import Clock
from tellwire.ports.formats import Format, Handshake, Registration
from tellwire.ports.http_out import Answer, Sender
from tellwire.security import addresses

_LOOK_UP_SECONDS = 5.0


class EndpointTester:
    """Checks whether a URL may be reached and whether its receiver consents, and sends test events to endpoints.

    Args:
        sender, clock: what makes requests, address check included, and the time.
        formats, wire: the payload formats by name, and how an attempt is signed.
        allow: the networks that deliveries may reach beside the public ones.
        resolve: a host's addresses, `OSError` when there are none.
        origin: the address under which this server is known.
        new_id, new_token: make ids of things that are not there, and what a receiver has to echo.
    """

    def __init__(
        self,
        sender: Sender,
        clock: Clock,
        *,
        formats: Mapping[str, Format],
        wire: Wire,
        allow: Sequence[addresses.Network],
        resolve: Callable[[str], Awaitable[Sequence[str]]],
        origin: str,
        new_id: NewId,
        new_token: Callable[[], str],
    ) -> None:
        self._sender = sender
        self._clock = clock
        self._formats = formats
        self._wire = wire
        self._allow = allow
        self._resolve = resolve
        self._origin = origin
        self._new_id = new_id
        self._new_token = new_token

    async def check_url(self, url: str) -> None:
        """Raise `Forbidden` when deliveries may not reach this URL.

        A name behind http is looked up: it must lead to the allow list. One behind https is judged when connecting.
        """
        target = addresses.check_url(url, self._allow)
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
        addresses.check_resolved(target, found, self._allow)

    async def ask_for_consent(self, endpoint: Endpoint, handshake: Handshake) -> None:
        """Do the registration handshake of an endpoint's format; raises `Invalid` when the receiver fails it."""
        asked = Registration(endpoint=endpoint, token=self._new_token(), origin=self._origin)
        await ask_for_consent(self._sender, handshake, asked, timeout=self._wire.timeout_seconds)

    async def send_test(self, endpoint: Endpoint, event_name: str) -> tuple[str, Attempt, Answer]:
        """Send a test event to an endpoint; raises `Invalid` when its format has no such event."""
        return await ping.send_test(
            self._sender,
            endpoint,
            event_name,
            formats=self._formats,
            wire=self._wire,
            now=self._clock.now(),
            new_id=self._new_id,
        )
