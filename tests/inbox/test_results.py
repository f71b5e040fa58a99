"""What results of attempts make of deliveries whose rows have moved on meanwhile, over a real store."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.world import incoming

from tellwire.model.deliveries import DeliveryState
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.ports.storage import Result
from tellwire.stores.queries import replays
from tellwire.stores.queries.audit import AuditChange


@pytest.mark.parametrize("state", [DeliveryState.DELIVERED, DeliveryState.RETRYING, DeliveryState.FAILED])
async def test_a_replay_asked_for_while_an_attempt_is_in_flight_is_made(world, state):
    endpoint = await world.endpoint()
    outbox = world.outbox
    lease = await outbox.renew("us")
    every = lease.partitions.keys()
    await world.post(incoming("wamid.1"))
    work = (await outbox.backlog(endpoint.id, partitions=every, after="", limit=1))[0]
    epoch = lease.partitions[work.delivery.partition]
    deed = AuditChange(
        organization_id=DEFAULT_ORGANIZATION, actor="a test", at=world.clock.now(), new_id=world.store.new_id
    )
    await world.store.write(lambda c: replays.replay(c, deed, work.delivery.id, new_id=True))
    after = replace(work.delivery, state=state, attempts=1, counted_attempts=1, updated_at=world.clock.now() + 5)
    assert not await outbox.record([Result(after, None, epoch)])
    (due,) = await outbox.due(world.clock.now(), partitions=every, limit=10)
    assert due.delivery.id == work.delivery.id
    assert due.delivery.webhook_id != work.delivery.webhook_id
    assert due.delivery.replay == 1
    assert (due.delivery.attempts, due.delivery.counted_attempts) == (1, 0)
    done = replace(due.delivery, state=DeliveryState.DELIVERED, attempts=2)
    await outbox.record([Result(done, None, epoch)])
    assert await outbox.due(world.clock.now(), partitions=every, limit=10) == []
