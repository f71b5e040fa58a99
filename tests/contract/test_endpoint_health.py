"""The health of endpoints in the store: failing endpoints are disabled, with an event in the same transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.contract.test_endpoint_queries import run_sql, states, with_repository
from tests.world import HOUR, World, incoming, play

from tellwire.endpoints import disabling, lifecycle
from tellwire.endpoints.health_history import HealthRecorder, Report
from tellwire.endpoints.worker import EndpointWorker, report_health
from tellwire.model.deliveries import Attempt, Delivery, DeliveryState, Endpoint
from tellwire.model.routing import PARTITIONS
from tellwire.ports.storage import Outbox, Result
from tellwire.stores.health_store import SqlHealthStore
from tellwire.stores.queries import health
from tellwire.stores.recovery_store import SqlRecoveryStore

NEWS = ("endpoint.disabled", "endpoint.recovered", "delivery.exhausted")


pytestmark = pytest.mark.usefixtures("each_store")


def ignored(_: object) -> None:
    """Ignore what an outbox tells its subscriber."""


async def renewed(outbox: Outbox, owner: str) -> Mapping[int, int]:
    """Take all partitions for this owner; return their epochs."""
    lease = await outbox.renew(owner)
    assert len(lease.partitions) == PARTITIONS
    return lease.partitions


async def received_events(world: World, endpoint: Endpoint) -> list[dict[str, Any]]:
    """Return the operational events that an endpoint received, in order."""
    return [body for body in await world.delivered(endpoint) if "type" in body]


async def pair(world: World, **options: Any) -> tuple[Endpoint, Endpoint]:
    """Add an endpoint for messages, and another for operational events about it."""
    watched = await world.endpoint(events=("messages.insert", *NEWS), **options)
    return watched, await world.endpoint(events=NEWS)


async def fail(world: World, endpoint: Endpoint, *, hours: int) -> list[str]:
    """Report one failure an hour; return the endpoints that were disabled."""
    disabled: list[str] = []
    for _ in range(hours):
        world.clock.move(HOUR)
        now = world.clock.now()
        report = Report(
            endpoint_id=endpoint.id,
            organization_id=endpoint.organization_id,
            first_failure_at=now,
            last_failure_at=now,
            failures=1,
            cause="connection refused",
        )
        disabled += await SqlHealthStore(world.store).take_in([report], now)
    return disabled


async def succeed(world: World, endpoint: Endpoint) -> None:
    now = world.clock.now()
    report = Report(endpoint_id=endpoint.id, organization_id=endpoint.organization_id, last_success_at=now)
    await SqlHealthStore(world.store).take_in([report], now)


async def audit(world: World) -> list[tuple[Any, ...]]:
    return await world.query("SELECT actor, action, subject FROM audit ORDER BY id")


async def test_only_five_days_of_failure_disable_park_and_record_an_event(world: World) -> None:
    watched, hears = await pair(world)
    await world.post(incoming("wamid.1"))
    assert await fail(world, watched, hours=120) == []
    assert world.store.registry().endpoints[watched.id].state == "active"
    assert await fail(world, watched, hours=1) == [watched.id]
    await SqlHealthStore(world.store).park(watched.id, world.clock.now())
    known = world.store.registry().endpoints[watched.id]
    assert known.state == "disabled"
    assert known.disabled_reason == "nothing but failures for 5 days; the last: connection refused"
    assert await states(world, watched) == ["parked"]
    assert ("tellwire", "endpoint.disabled", watched.id) in await audit(world)
    (news,) = await received_events(world, hears)
    assert news["type"] == "endpoint.disabled"
    assert news["data"] == {
        "endpoint_id": watched.id,
        "url": watched.url,
        "reason": known.disabled_reason,
        "failing_since": "2026-05-06T04:39:23+00:00",
    }
    assert await fail(world, watched, hours=3) == []


async def test_one_success_within_the_days_and_it_stays(world: World) -> None:
    watched, hears = await pair(world)
    assert await fail(world, watched, hours=100) == []
    await succeed(world, watched)
    assert await fail(world, watched, hours=100) == []
    assert [news["type"] for news in await received_events(world, hears)] == ["endpoint.recovered"]


async def test_gone_disables_at_once_and_resuming_records_an_event_and_resets_health(world: World) -> None:
    watched, hears = await pair(world)
    await fail(world, watched, hours=119)
    for index in range(12):
        await world.post(incoming(f"wamid.{index}"))
    outbox = world.outbox
    await outbox.disable(watched.id, "it answered 410 Gone")
    await outbox.disable(watched.id, "it answered 410 Gone")
    assert set(await states(world, watched)) == {"parked"}
    assert [news["data"]["reason"] for news in await received_events(world, hears)] == ["it answered 410 Gone"]
    await with_repository(world, lambda s: lifecycle.resume(s, watched.id))
    last = (await received_events(world, hears))[-1]
    assert (last["type"], last["data"]["how"]) == ("endpoint.recovered", "it was resumed")
    assert await fail(world, watched, hours=119) == []
    assert [action for _, action, _ in await audit(world)] == ["endpoint.disabled", "endpoint.resumed"]


async def test_resuming_a_paused_endpoint_records_no_event(world: World) -> None:
    watched, hears = await pair(world)
    await with_repository(world, lambda s: lifecycle.pause(s, watched.id))
    await with_repository(world, lambda s: lifecycle.resume(s, watched.id))
    assert await received_events(world, hears) == []


async def test_events_go_in_order_only_to_subscribers_of_the_organization(world: World) -> None:
    watched, hears = await pair(world)
    everything = await world.endpoint()
    some_accounts = await world.endpoint(events=NEWS, accounts=("12345",))
    paused = await world.endpoint(events=NEWS, state="paused")
    await run_sql(world, "INSERT INTO organizations(id, name, created_at) VALUES ('o2', 'Another', 0)")
    stranger = await world.endpoint(events=NEWS)
    await run_sql(world, f"UPDATE endpoints SET organization_id = 'o2' WHERE id = '{stranger.id}'")
    outbox = world.outbox
    heard: list[str] = []
    outbox.subscribe(committed=ignored, changed=ignored, elsewhere=heard.extend, released=lambda: None)
    for _ in range(2):
        await outbox.disable(watched.id, "gone")
        await with_repository(world, lambda s: lifecycle.resume(s, watched.id))
    kinds = ["endpoint.disabled", "endpoint.recovered"] * 2
    for endpoint in (hears, some_accounts):
        assert [news["type"] for news in await received_events(world, endpoint)] == kinds
    rows = await world.query(f"SELECT sequence, order_key FROM deliveries WHERE endpoint_id = '{hears.id}' ORDER BY id")
    assert rows == [(n, watched.id) for n in (1, 2, 3, 4)]
    assert await states(world, paused) == ["parked"] * 4
    for endpoint in (watched, everything, stranger):
        assert await states(world, endpoint) == []
    assert set(heard) == {hears.id, some_accounts.id, paused.id}
    assert [event.name for event in await world.events()] == kinds


async def test_an_event_of_a_change_that_is_rolled_back_is_rolled_back_too(world: World) -> None:
    watched, hears = await pair(world)

    def disable(repository: Any) -> None:
        disabling.disable(repository, watched.id, "gone")
        raise LookupError

    with pytest.raises(LookupError):
        await with_repository(world, disable)
    assert await states(world, hears) == []
    assert await world.events() == []


async def test_parking_that_was_interrupted_is_finished_later(world: World) -> None:
    watched, _ = await pair(world)
    for index in range(5):
        await world.post(incoming(f"wamid.{index}"))
    await with_repository(world, lambda s: disabling.disable(s, watched.id, "gone"))
    assert await states(world, watched) == ["pending"] * 5
    await SqlHealthStore(world.store).park_left(world.clock.now())
    assert await states(world, watched) == ["parked"] * 5


async def test_what_a_process_saw_is_written_and_kept_when_it_cannot_be(world: World) -> None:
    watched, _ = await pair(world)
    witness = HealthRecorder()
    witness.note(watched.id, watched.organization_id, ok=True, cause="", now=world.clock.now())
    await report_health(SqlHealthStore(world.store), witness, world.clock)
    world.clock.move(1)
    witness.note(watched.id, watched.organization_id, ok=False, cause="refused", now=world.clock.now())
    world.clock.move(11_000_000)
    await report_health(SqlHealthStore(world.store), witness, world.clock)
    assert witness.reports(world.clock.now()) == []
    standings = await world.store.read(
        lambda c: health.of_endpoints(c, watched.organization_id, [watched.id, "another"])
    )
    assert set(standings) == {watched.id}
    assert standings[watched.id].failures == 1
    await with_repository(world, lambda s: lifecycle.delete(s, watched.id))
    assert await world.query("SELECT * FROM endpoint_health") == []


async def test_attempts_are_counted_but_for_those_that_went_elsewhere_and_written_at_the_end(world: World) -> None:
    watched, _ = await pair(world)
    counted: list[tuple[str, int, int]] = []
    worker = EndpointWorker(
        SqlHealthStore(world.store),
        SqlRecoveryStore(world.store, {}),
        world.clock,
        supplied=lambda: None,
        counted=lambda *each: counted.append(each),
    )
    delivery = Delivery(
        id="d", organization_id=watched.organization_id, event_id="e", endpoint_id=watched.id, order_key="k"
    )
    made = Attempt(
        delivery_id="d",
        organization_id=watched.organization_id,
        number=1,
        started_at=world.clock.now(),
        outcome="delivered",
        cause="",
        durations={"total": 12.5},
    )
    for attempt in (
        made,
        replace(made, durations={"total": 7.5}),
        replace(made, outcome="failed", cause="refused"),
        replace(made, edited=("url",)),
        replace(made, edited=("body",)),
    ):
        worker.attempted(attempt, delivery)
    worker.attempted(made, replace(delivery, endpoint_id="gone"))
    await worker.last_report()
    await worker.last_report()
    rows = await world.query(
        "SELECT endpoint_id, width, delivered, failed, took, slowest FROM endpoint_traffic ORDER BY width"
    )
    assert rows == [(watched.id, width, 3, 1, 32_500, 12_500) for width in (HOUR // 60, HOUR)]
    assert counted == [(watched.organization_id, 3, 1), (watched.organization_id, 1, 0)], "a deleted one's count too"


# --- delivery.exhausted -----------------------------------------------------------------------------------------------


def with_results(
    tmp_path: Path, scenario: Callable[[World, Outbox, Mapping[int, int], Endpoint, Endpoint], Awaitable[None]]
) -> None:
    async def run(world: World) -> None:
        watched, hears = await pair(world)
        outbox = world.outbox
        await world.post(incoming("wamid.1"), incoming("wamid.2"))
        await scenario(world, outbox, (await renewed(outbox, "us")), watched, hears)

    play(tmp_path, run)


async def ends(
    outbox: Outbox, epochs: Mapping[int, int], endpoint: Endpoint, state: DeliveryState = DeliveryState.FAILED
) -> list[Result]:
    """Return a tenth attempt's result, with this state, for every delivery that waits for an endpoint."""
    works = await outbox.backlog(endpoint.id, partitions=range(PARTITIONS), after="", limit=10)
    return [
        Result(
            replace(w.delivery, state=state, attempts=10, counted_attempts=10),
            Attempt(
                delivery_id=w.delivery.id,
                organization_id=w.delivery.organization_id,
                number=10,
                started_at=1,
                outcome="failed",
                cause="your server answered 500",
                response_body=b"no",
            ),
            epochs[w.delivery.partition],
        )
        for w in works
    ]


def test_a_delivery_that_is_given_up_has_one_event(tmp_path: Path) -> None:
    async def scenario(
        world: World, outbox: Outbox, epochs: Mapping[int, int], watched: Endpoint, hears: Endpoint
    ) -> None:
        results = await ends(outbox, epochs, watched)
        for _ in range(2):
            assert not await outbox.record(results)
        assert await states(world, watched) == ["failed"] * 2
        news = await received_events(world, hears)
        assert [each["type"] for each in news] == ["delivery.exhausted"] * 2
        assert news[0]["data"]["delivery_id"] == results[0].delivery.id
        assert news[0]["data"]["cause"] == "your server answered 500"
        assert news[0]["data"]["attempts"] == 10
        (count, body) = (await world.query("SELECT (SELECT count(*) FROM attempts), response_body FROM attempts"))[0]
        assert (count, bytes(body)) == (2, b"no")

    with_results(tmp_path, scenario)


def test_an_old_owner_writes_neither_results_nor_events(tmp_path: Path) -> None:
    async def scenario(
        world: World, outbox: Outbox, epochs: Mapping[int, int], watched: Endpoint, hears: Endpoint
    ) -> None:
        results = await ends(outbox, epochs, watched)
        await outbox.release("us")
        await renewed(outbox, "them")
        assert set(await outbox.record(results)) == {result.delivery.id for result in results}
        assert await states(world, watched) == ["pending"] * 2
        assert await received_events(world, hears) == []

    with_results(tmp_path, scenario)


def test_what_was_replayed_or_cancelled_meanwhile_is_not_given_up(tmp_path: Path) -> None:
    async def scenario(
        world: World, outbox: Outbox, epochs: Mapping[int, int], watched: Endpoint, hears: Endpoint
    ) -> None:
        first, second = await ends(outbox, epochs, watched)
        await run_sql(world, f"UPDATE deliveries SET replay=1, lane='replay' WHERE id='{first.delivery.id}'")
        await run_sql(world, f"UPDATE deliveries SET state='cancelled' WHERE id='{second.delivery.id}'")
        await outbox.record([first, second])
        assert await states(world, watched) == ["pending", "cancelled"]
        assert (await world.query(f"SELECT attempts FROM deliveries WHERE id='{first.delivery.id}'"))[0] == (10,)
        assert await received_events(world, hears) == []

    with_results(tmp_path, scenario)


def test_an_operational_event_that_is_given_up_leads_to_no_other(tmp_path: Path) -> None:
    async def scenario(
        world: World, outbox: Outbox, epochs: Mapping[int, int], watched: Endpoint, hears: Endpoint
    ) -> None:
        await outbox.record(await ends(outbox, epochs, watched))
        news = await ends(outbox, epochs, hears)
        assert len(news) == 2
        await outbox.record(news)
        assert await states(world, watched) == ["failed"] * 2
        assert await states(world, hears) == ["failed"] * 2

    with_results(tmp_path, scenario)


async def test_nobody_subscribed_costs_nothing(world: World) -> None:
    watched = await world.endpoint(events=("messages.insert", *NEWS))
    outbox = world.outbox
    await world.post(incoming("wamid.1"))
    epochs = await renewed(outbox, "us")
    before = len(await world.events())
    await outbox.record(await ends(outbox, epochs, watched))
    assert len(await world.events()) == before
    assert await states(world, watched) == ["failed"]
