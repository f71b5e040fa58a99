"""Which account an item belongs to, and who is told of it, over a real store."""

from __future__ import annotations

from tests.world import NUMBER, incoming


async def test_an_endpoint_that_names_a_number_not_known_yet_gets_that_numbers_very_first_events(world):
    named, other = await world.endpoint(accounts=(NUMBER,)), await world.endpoint(accounts=("1",))
    await world.post(incoming("wamid.1"))
    await world.post(incoming("wamid.2"))
    delivered = await world.delivered(named)
    assert [f"{body['entity']}/{body['action']}" for body in delivered] == [
        "conversations/insert",
        "messages/insert",
        "messages/insert",
    ]
    assert await world.delivered(other) == []
