"""Housekeeping of the inbox: accounts that are new, or changed, get what waited for them, and each only once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.world import NUMBER, World, contact, incoming, play, text_message, value

from tellwire.conversations.changes import Options
from tellwire.inbox.housekeeping import Housekeeping
from tellwire.inbox.ingest import Ingest
from tellwire.stores.work_queues.held_items import SqlHeldItems


class Asked:
    """A store that keeps for what accounts it is asked what waited."""

    def __init__(self, world: World) -> None:
        self._store: Any = world.store
        self.names: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def unrouted(self, phone_number_id: str, *, after: str, limit: int) -> Any:
        self.names.append(phone_number_id)
        return await self._store.unrouted(phone_number_id, after=after, limit=limit)


def test_what_waited_for_an_account_is_applied_once_the_account_is_there_or_has_changed(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        store = Asked(world)
        housekeeping = Housekeeping(store, SqlHeldItems(world.store), world.ingest, world.clock, window=world.window)
        await world.post(incoming("wamid.1"))
        await housekeeping.route_new_accounts()
        assert (store.names, await world.names()) == ([], [])

        ingest = Ingest(world.store, Options(auto_accounts=True))
        world.ingest = ingest
        await world.post(value(contacts=[contact("1", "Zoe")], messages=[text_message("wamid.2", sender="1")]))
        await housekeeping.route_new_accounts()
        assert [row["wa_id"] for row in await world.rows("messages.insert")] == ["wamid.2", "wamid.1"]
        assert set(store.names) >= {NUMBER}

        store.names.clear()
        await housekeeping.route_new_accounts()
        assert store.names == [], "an account that is known is not asked for again"

        await world.set_account(waba_id="another")
        await housekeeping.route_new_accounts()
        assert set(store.names) == {NUMBER, "another"}

    play(tmp_path, scenario, auto_accounts=False)
