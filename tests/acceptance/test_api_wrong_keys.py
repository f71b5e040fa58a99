"""Wrong API keys over HTTP: counted, slowed, never in the way of right ones, and never many queries."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs
from tests.served import ADMIN, SETTINGS, Outside, Served, served, services_of
from tests.world import World

from tellwire.errors import TooMany, Unauthorized
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.security import api_keys
from tellwire.security.wrong_keys import MOST_PER_MINUTE
from tellwire.stores.queries import organizations
from tellwire.stores.queries.audit import AuditChange
from tellwire.web.auth import Auth, Caller


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        yield running


def random_key() -> str:
    return api_keys.make(secrets.token_bytes(32))


@pytest.mark.parametrize("wrong", ["tw_short", "tw_" + "a" * 43])
@pytest.mark.parametrize("path", ["/v1/accounts", "/metrics"])
def test_wrong_keys_are_slowed_and_right_ones_are_not(app: Served, wrong: str, path: str) -> None:
    right = app.key("read")
    for _ in range(MOST_PER_MINUTE):
        app.call("GET", path, key=wrong).problem(401)
    refused = app.call("GET", path, key=wrong)
    assert refused.problem(429)["type"] == "urn:tellwire:problem:too-many-wrong-keys"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert wrong not in refused.body.decode()
    for key in (right, ADMIN, app.key("read")):
        assert app.call("GET", path, key=key).status == 200
    assert app.call("GET", "/livez", key=None).status == 200
    counts = app.world.store.counters.wrong_keys
    assert (counts["refused"], counts["throttled"]) == (MOST_PER_MINUTE, 1)
    app.clock.move(int(refused.headers["retry-after"]) * 1_000_000)
    app.call("GET", path, key=wrong).problem(401)


def test_readiness_is_told_whatever_the_key(app: Served) -> None:
    for _ in range(MOST_PER_MINUTE + 1):
        app.call("GET", "/v1/accounts", key="wrong")
    assert app.call("GET", "/readyz", key="wrong").status == 200


class Counting:
    """A store that counts what it is asked to read."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.reads = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def read(self, work: Any) -> Any:
        self.reads += 1
        return await self._store.read(work)


class Door:
    """What recognises callers, over a store that counts."""

    def __init__(self, world: World) -> None:
        self.store = Counting(world.store)
        self.auth = Auth(replace(services_of(world, Outside(), SETTINGS), store=self.store))
        self.world = world

    async def try_key(self, key: str, address: str = "192.0.2.7") -> Caller | Exception | None:
        headers = [(b"authorization", f"Bearer {key}".encode())]
        try:
            return await self.auth.caller({"headers": headers, "client": (address, 5000)})
        except (Unauthorized, TooMany) as problem:
            return problem

    async def new_key(self) -> str:
        key, store = random_key(), self.world.store
        record = api_keys.record(key, organization_id=DEFAULT_ORGANIZATION, name="", scopes=("read",), expires_at=None)
        change = AuditChange(DEFAULT_ORGANIZATION, "test", self.world.clock.now(), store.new_id)
        await store.write(lambda c: organizations.add_key(c, change, record))
        return key


async def test_keys_without_our_form_are_never_looked_up(world: World) -> None:
    door = Door(world)
    for key in ("x", "tw_short", "tw_" + "a" * 44, "sk-" + "a" * 43, "é", ADMIN + "x", "tw_" + "=" * 43):
        assert isinstance(await door.try_key(key), Unauthorized)
    assert isinstance(await door.try_key(ADMIN), Caller)
    assert door.store.reads == 0


@pytest.mark.parametrize("addresses", [1, 1000], ids=["one peer", "many peers"])
async def test_a_flood_of_wrong_keys_is_few_queries_and_holds_up_no_right_key(world: World, addresses: int) -> None:
    door = Door(world)
    known, unseen = await door.new_key(), await door.new_key()
    assert isinstance(await door.try_key(known), Caller)
    for number in range(1000):
        await asyncio.gather(door.try_key("tw_short", f"10.0.{number % addresses // 250}.{number % addresses % 250}"))
    before = door.store.reads
    flood = [door.try_key(random_key(), f"10.0.0.{number % min(addresses, 250)}") for number in range(1000)]
    *answers, seen, new = await asyncio.gather(
        *flood, door.try_key(known, "10.0.0.0"), door.try_key(unseen, "10.0.0.0")
    )
    assert isinstance(seen, Caller)
    assert isinstance(new, Caller)
    assert all(isinstance(each, (Unauthorized, TooMany)) for each in answers)
    assert door.store.reads - before <= 5
    before = door.store.reads
    assert isinstance(await door.try_key(unseen, "10.0.0.0"), Caller)
    assert door.store.reads == before


async def test_the_log_has_a_line_a_minute_and_never_a_key(world: World) -> None:
    door = Door(world)
    keys = [random_key() for _ in range(MOST_PER_MINUTE)] + ["an-invented-secret"] * 50
    with capture_logs() as lines:
        for key in keys:
            await door.try_key(key)
    (line,) = [each for each in lines if each["event"] == "too_many_wrong_keys"]
    assert (line["log_level"], line["peer"], line["keys"]) == ("warning", "192.0.2.7", 1)
    assert not any(key in str(lines) for key in keys)
