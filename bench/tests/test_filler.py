"""A made-up past is one that the product takes for its own: read over the API, continued by ingest, delivered."""

from __future__ import annotations

import dataclasses
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import pytest
from bench import lists
from bench.driver import Driver
from bench.load_process import driver
from bench.options import Options
from bench.past import Past
from bench.protocol import Batch, Fill, FilledEndpoint
from bench.rounds import workspace_for
from bench.stage import SECRET, filled_databases, plan_of
from msgspec.structs import replace

OPTIONS = Options(
    scenario="", messages=10, contacts=5, connections=2, limit_seconds=20, tellwire_python=Path(sys.executable)
)
PLAN = Fill(
    secret=SECRET,
    accounts=2,
    contacts=5,
    endpoints=[
        FilledEndpoint(url="http://127.0.0.1:9/"),
        FilledEndpoint(url="http://127.0.0.1:9/", first_account=1, state="paused"),
    ],
    batches=[
        Batch(messages=20, endpoint=0, state="delivered"),
        Batch(messages=10, endpoint=1, state="parked"),
        Batch(messages=5, endpoint=0, state="late"),
        Batch(messages=5, endpoint=0, state="waiting"),
    ],
)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_the_product_reads_continues_and_delivers_it(database: Literal["sqlite", "postgresql"]) -> None:
    options = dataclasses.replace(OPTIONS, database=database)
    with ExitStack() as stack:
        workspace = stack.enter_context(workspace_for(options))
        databases = stack.enter_context(filled_databases(options, workspace.folder))
        load = stack.enter_context(driver(workspace.folder))
        plan = replace(PLAN, endpoints=[replace(PLAN.endpoints[0], url=load.sink), PLAN.endpoints[1]])
        kept = databases.keep("past", plan)
        filled = kept.filled
        assert filled.rows["events"] == filled.rows["messages"] == filled.rows["inbound"] == 40
        assert (filled.rows["deliveries"], filled.rows["attempts"]) == (40, 20)
        served = stack.enter_context(kept.serving(workspace.folder, fresh=True))
        load.aim(served.aim(SECRET))
        load.prepare(plan_of(OPTIONS))
        seen = load.go()
        assert (seen.delivered, seen.lost, seen.reordered) == (10, 0, 0)

        assert len(served.get("/v1/contacts")["data"]) == 5
        assert len(served.get("/v1/conversations")["data"]) == 10
        assert len(served.get("/v1/messages?limit=200")["data"]) == 50
        assert {each["outcome"] for each in served.get("/v1/inbound")["data"]} == {"applied"}
        active, paused = filled.endpoints
        deliveries = served.get(f"/v1/deliveries?limit=200&endpoint_id={active}")["data"]
        assert Counter(each["state"] for each in deliveries)["delivered"] >= 30
        assert {each["state"] for each in served.get(f"/v1/deliveries?endpoint_id={paused}")["data"]} == {"parked"}
        newest = max(each["sequence"] for each in deliveries)
        assert newest == (20 + 5 + 5 + 10) // 5, "ingest goes on where the past ended"
        oldest = deliveries[-1]["id"]
        [attempt] = served.get(f"/v1/deliveries/{oldest}/attempts")["data"]
        assert attempt["response_status"] == 200
        figures, each = lists.timed(served, active)
        assert 0 < figures["list_p95_ms"] == max(value for name, value in each.items() if not name.startswith("page "))


def test_what_comes_later_has_a_higher_id() -> None:
    records = list(Past(PLAN, now=1_800_000_000_000_000).messages())
    for ids in ([each.message.id for each in records], [each.delivery.id for each in records]):
        assert ids == sorted(set(ids))
    times = [each.event.created_at for each in records]
    assert times == sorted(times)
    assert times[-1] < 1_800_000_000_000_000


def test_a_batch_for_no_endpoint_is_refused() -> None:
    plan = replace(PLAN, batches=[Batch(messages=1, endpoint=2, state="parked")])
    with pytest.raises(ValueError, match="no endpoint 2"):
        Past(plan, now=1_800_000_000_000_000)


def test_a_subscriber_does_what_it_is_told() -> None:
    assert Driver().receive(b"", b"{}").startswith(b"HTTP/1.1 200")
