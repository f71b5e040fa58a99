"""USE CASE. Checks an endpoint over HTTP, now and outside of deliveries; nothing is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tellwire.delivery.attempt import Wire
from tellwire.endpoints import ping
from tellwire.endpoints.handshake import ask_for_consent
from tellwire.endpoints.samples import NewId
from tellwire.model.deliveries import Attempt, Endpoint
from tellwire.ports.clock import Clock
from tellwire.ports.formats import Format, Handshake, Registration
from tellwire.ports.http_out import Sender


class EndpointTester:
    """Asks the receivers of endpoints for their consent, and sends them test events.

    Args:
        sender, clock: what makes requests, address check included, and the time.
        formats, wire: the payload formats by name, and how an attempt is signed.
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
        origin: str,
        new_id: NewId,
        new_token: Callable[[], str],
    ) -> None:
        self._sender = sender
        self._clock = clock
        self._formats = formats
        self._wire = wire
        self._origin = origin
        self._new_id = new_id
        self._new_token = new_token

    async def ask_for_consent(self, endpoint: Endpoint, handshake: Handshake) -> None:
        """Do the registration handshake of an endpoint's format; raises `Invalid` when the receiver fails it."""
        asked = Registration(endpoint=endpoint, token=self._new_token(), origin=self._origin)
        await ask_for_consent(self._sender, handshake, asked, timeout=self._wire.timeout_seconds)

    async def send_test(self, endpoint: Endpoint, event_name: str) -> tuple[str, Attempt]:
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
