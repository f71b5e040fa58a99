"""`/v1/failures`: what fails by endpoint and reason, what people say of it, and replaying all of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from tests.failing import attempted, stock
from tests.served import HOOK, MISSING, Served, served
from tests.world import KIND, envelope, incoming

from tellwire.endpoints.worker import RecoveryRunner
from tellwire.formats import FORMATS
from tellwire.model.routing import PARTITIONS
from tellwire.model.units import MINUTE
from tellwire.stores.failure_store import SqlFailureStore
from tellwire.stores.queries import failures
from tellwire.stores.recovery_store import SqlRecoveryStore

NAMES = {name: module.names for name, module in FORMATS.items()}


@pytest.fixture
def app(tmp_path: Path, each_store: None) -> Iterator[Served]:
    """Two endpoints, and three messages for each."""
    with served(tmp_path) as running:
        for name in ("shop-crm", ""):
            draft = {"url": HOOK, "format": "row", "events": ["messages.insert"], "description": name}
            running.post("/v1/webhook-endpoints", draft)
        for number in range(3):
            running.meta(envelope(incoming(f"wamid.{number}")))
        yield running


def ids_of(app: Served, name: str = "shop-crm") -> list[str]:
    """The deliveries to an endpoint, oldest first."""
    rows = app.get("/v1/deliveries")["data"]
    return [row["id"] for row in reversed(rows) if row["endpoint_name"] == name]


def test_deliveries_are_grouped_by_endpoint_and_reason(app: Served) -> None:
    ours, others = ids_of(app), ids_of(app, HOOK)
    assert stock(app) == []
    attempted(app, ours[0])
    app.clock.move(MINUTE)
    attempted(app, ours[1], given_up=False)
    attempted(app, ours[2], "timeout", cause="nothing came within 15 s")
    attempted(app, others[0])
    found = {(row["endpoint_name"], row["failure"]): row for row in stock(app)}
    assert found.keys() == {("shop-crm", "503"), ("shop-crm", "timeout"), (HOOK, "503")}
    row = found["shop-crm", "503"]
    assert (row["failed"], row["waiting"], row["at_least"]) == (1, 1, False)
    assert (row["state"], row["cause"]) == ("open", "your server answered 503")
    assert (row["first_at"], row["last_at"]) == ("2026-05-06T03:39:23+00:00", "2026-05-06T03:40:23+00:00")
    assert found["shop-crm", "timeout"]["cause"] == "nothing came within 15 s"
    assert app.get(f"/v1/failures/{row['id']}") == row
    of_it = app.get(f"/v1/deliveries?failure_id={row['id']}")["data"]
    assert [(each["id"], each["failure"], each["last_status"]) for each in of_it] == [
        (ours[1], "503", 503),
        (ours[0], "503", 503),
    ]
    assert app.get(f"/v1/deliveries?failure_id={MISSING}")["data"] == []


def test_a_failure_is_over_when_nothing_of_it_is_left_and_open_when_it_comes_again(app: Served) -> None:
    first, second, _ = ids_of(app)
    attempted(app, first)
    (row,) = stock(app)
    path = f"/v1/failures/{row['id']}"
    noted = app.post(f"{path}/acknowledge", {"note": "their deploy"}, status=200)
    assert (noted["state"], noted["note"]) == ("acknowledged", "their deploy")
    assert noted["acknowledged_by"]
    app.clock.move(MINUTE)
    attempted(app, second)
    (row,) = stock(app)
    assert (row["state"], row["last_at"]) == ("acknowledged", "2026-05-06T03:40:23+00:00")
    for each in (first, second):
        app.post(f"/v1/deliveries/{each}/replay", status=202)
    (row,) = stock(app)
    assert (row["state"], row["failed"], row["waiting"]) == ("acknowledged", 0, 2), "they are only on their way"
    for each in (first, second):
        attempted(app, each, "")
    (row,) = stock(app)
    assert (row["state"], row["resolved_by"], row["resolved_at"]) == ("resolved", None, "2026-05-06T03:40:23+00:00")
    assert app.get("/v1/failures?state=open")["data"] == []
    app.clock.move(MINUTE)
    app.post(f"/v1/deliveries/{first}/replay", status=202)
    attempted(app, first)
    (row,) = stock(app)
    assert (row["state"], row["note"], row["resolved_at"]) == ("open", None, None)


def test_what_somebody_resolves_stays_so_until_the_next_attempt_fails(app: Served) -> None:
    first, second, _ = ids_of(app)
    attempted(app, first)
    (row,) = stock(app)
    done = app.post(f"/v1/failures/{row['id']}/resolve", status=200)
    assert (done["state"], done["failed"]) == ("resolved", 1)
    assert done["resolved_by"]
    assert app.post(f"/v1/failures/{row['id']}/acknowledge", {"note": "late"}, status=200) == done
    assert stock(app)[0]["state"] == "resolved"
    app.clock.move(1)
    attempted(app, second)
    assert stock(app)[0]["state"] == "open"


def test_a_failure_is_replayed_as_a_whole_and_nothing_else(app: Served) -> None:
    ours, others = ids_of(app), ids_of(app, HOOK)
    for each in (*ours[:2], others[0]):
        attempted(app, each)
    attempted(app, ours[2], "timeout")
    row = next(r for r in stock(app) if (r["endpoint_name"], r["failure"]) == ("shop-crm", "503"))
    once = {"Idempotency-Key": "all-of-it"}
    begun = app.post(f"/v1/failures/{row['id']}/replay", {"new_id": False}, status=202, headers=once)
    assert app.post(f"/v1/failures/{row['id']}/replay", {"new_id": False}, status=202, headers=once) == begun
    assert (begun["replay"]["state"], begun["replay"]["done"]) == ("queued", 0)
    (job,) = app.get(f"/v1/webhook-endpoints/{row['endpoint_id']}/recover")["data"]
    assert (job["id"], job["failure"], job["since"]) == (begun["replay"]["id"], "503", row["first_at"])
    app.call("POST", f"/v1/failures/{row['id']}/replay").problem(409)
    runner = RecoveryRunner(SqlRecoveryStore(app.world.store, NAMES), app.clock, lambda: None)
    app.run(runner.go_on())
    after = app.get(f"/v1/failures/{row['id']}")
    assert (after["replay"]["state"], after["replay"]["done"], after["failed"], after["waiting"]) == ("done", 2, 0, 2)
    due = app.run(app.world.outbox.due(app.clock.now() + 10, partitions=range(PARTITIONS), limit=10))
    assert [work.delivery.id for work in due] == ours[:2]
    (note, *_) = [e for e in app.get("/v1/audit")["data"] if e["action"] == "failure.replayed"]
    assert note["subject"] == row["id"]


def test_stock_of_many_kinds_is_taken_in_rounds(app: Served) -> None:
    ours, others = ids_of(app), ids_of(app, HOOK)
    for delivery, failure in zip((*ours, *others), ("500", "503", "timeout", "dns", "tls", "404"), strict=True):
        attempted(app, delivery, failure)
    in_rounds = SqlFailureStore(app.world.store, most=2)

    def states(rounds: int) -> list[str]:
        for _ in range(rounds):
            app.run(in_rounds.take_stock(app.clock.now()))
        return [row["state"] for row in app.get("/v1/failures")["data"]]

    assert [len(states(1)) for _ in range(4)] == [2, 4, 6, 6]
    for delivery in (*ours, *others):
        app.post(f"/v1/deliveries/{delivery}/replay", status=202)
        attempted(app, delivery, "")
    assert states(4) == ["resolved"] * 6


def test_the_failures_of_an_endpoint_go_with_it(app: Served) -> None:
    attempted(app, ids_of(app)[0])
    (row,) = stock(app)
    app.call("DELETE", f"/v1/webhook-endpoints/{row['endpoint_id']}")
    assert stock(app) == []
    app.call("GET", f"/v1/failures/{row['id']}").problem(404)


@pytest.mark.parametrize(
    ("query", "pointer"), [("state=failed", "/state"), ("limit=0", "/limit"), ("cursor=x", "/cursor"), ("a=b", "/a")]
)
def test_bad_queries(app: Served, query: str, pointer: str) -> None:
    app.call("GET", f"/v1/failures?{query}").problem(422, pointer)


@pytest.mark.parametrize("body", [{"note": 5}, {"note": "x" * 501}, {"note": "a\nb"}, {"notes": ""}])
def test_bad_notes(app: Served, body: Any) -> None:
    attempted(app, ids_of(app)[0])
    (row,) = stock(app)
    app.call("POST", f"/v1/failures/{row['id']}/acknowledge", body).problem(422, f"/{next(iter(body))}")


def test_every_search_finds_its_index(app: Served) -> None:
    if KIND.get() != "sqlite":
        pytest.skip("PostgreSQL chooses by statistics")
    attempted(app, ids_of(app)[0])
    (row,) = stock(app)

    def work(connection: Connection) -> str:
        statements: list[str] = []
        raw: Any = connection.connection.driver_connection
        raw.set_trace_callback(statements.append)
        SqlFailureStore(app.world.store)._look(connection)
        known = failures.get(connection, row["organization_id"], row["id"])
        assert known is not None
        failures.count(connection, known, 10)
        raw.set_trace_callback(None)
        asked = [each for each in statements if "FROM deliveries" in each]
        assert len(asked) >= 4
        return "\n".join(str(row) for each in asked for row in raw.execute(f"EXPLAIN QUERY PLAN {each}").fetchall())

    plan = app.run(app.world.store.read(work))
    lines = [line for line in plan.splitlines() if "deliveries" in line]
    assert lines
    bounded = ("deliveries_failing", "PRIMARY KEY (organization_id=? AND id=?)")
    assert all(any(each in line for each in bounded) for line in lines), plan
    assert "TEMP B-TREE FOR ORDER BY" not in plan
