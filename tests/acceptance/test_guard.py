"""The SSRF guard through the whole product: deliveries, replays and challenges reach judged addresses only."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from sqlalchemy import Connection
from tests.contract.listening import OK, PATIENCE, answering, listening
from tests.world import envelope, incoming

from tellwire.app import App
from tellwire.errors import Forbidden, Invalid
from tellwire.formats.chat.handshake import Challenge
from tellwire.model.deliveries import Attempt, Delivery, Endpoint, Secret
from tellwire.model.inbound import EVERYTHING
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.settings import Settings
from tellwire.settings.values import allowed_network
from tellwire.stores.queries import replays
from tellwire.stores.queries.audit import AuditChange
from tellwire.stores.queries.endpoints import SqlEndpointRepository

SPELLINGS = {
    "127.0.0.2": ("127.0.0.2", "127.2", "0x7f000002", "2130706434", "[::ffff:127.0.0.2]"),
    "::1": ("[::1]",),
    "0.0.0.0": ("0.0.0.0",),
}


def deed(app: App) -> AuditChange:
    return AuditChange(DEFAULT_ORGANIZATION, "a test", app.clock.now(), app.store.new_id)


@pytest.mark.parametrize("bound", SPELLINGS)
def test_a_listener_outside_the_allow_list_sees_nothing_of_deliveries_replays_and_challenges(
    tmp_path: Path, bound: str
) -> None:
    async def scenario() -> None:
        made: asyncio.Queue[tuple[Attempt, Delivery]] = asyncio.Queue()
        settings = Settings(
            database_url=f"sqlite:///{tmp_path}/x.db",
            auto_accounts=True,
            delivery_allow_cidrs=(allowed_network("127.0.0.1/32"),),
        )
        app = await App.open(settings, on_attempt=lambda attempt, delivery: made.put_nowait((attempt, delivery)))
        async with listening(answering(OK), host=bound) as server:
            urls = [
                f"{scheme}://{host}:{server.port}/hook" for scheme in ("http", "https") for host in SPELLINGS[bound]
            ]

            def add(connection: Connection) -> None:
                """Past the check at creation, as a database that an older version wrote might hold it."""
                shelf = SqlEndpointRepository(connection, deed(app), app.store.vault)
                for url in urls:
                    shelf.add(
                        Endpoint(
                            id=shelf.new_id(),
                            organization_id=DEFAULT_ORGANIZATION,
                            url=url,
                            format="row",
                            events=("messages.insert",),
                            secrets=(Secret("an invented secret of 32 characters"),),
                        )
                    )

            try:
                await app.store.write(add)
                await app.start()
                await app.ingest.receive(json.dumps(envelope(incoming("wamid.1"))).encode(), EVERYTHING)
                for url in urls:
                    with pytest.raises(Forbidden):
                        await app.check_url(url)
                    asked = Endpoint(id="", organization_id="", url=url, format="chat")
                    with pytest.raises(Invalid, match="deliveries may not reach"):
                        await app.endpoint_tester.ask_for_consent(asked, Challenge())
                async with asyncio.timeout(PATIENCE):
                    first = [await made.get() for _ in urls]
                for _, delivery in first:
                    await app.store.write(lambda c, id_=delivery.id: replays.replay(c, deed(app), id_))  # type: ignore[misc]
                app.dispatcher.wake()
                seen: set[str] = set()
                async with asyncio.timeout(PATIENCE):
                    while len(seen) < len(urls):
                        attempt, delivery = await made.get()
                        seen |= {delivery.id} if delivery.replay else set()
                        first.append((attempt, delivery))
                for attempt, _ in first:
                    assert attempt.outcome == "failed"
                    assert attempt.cause.startswith("deliveries may not reach "), attempt.cause
            finally:
                await app.stop(grace_seconds=1)
            assert await server.untouched()

    asyncio.run(scenario())
