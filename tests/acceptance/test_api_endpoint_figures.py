"""What `/v1/webhook-endpoints` says of its endpoints over time: attempts by bucket, latency, and what waits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import text
from tests.served import HOOK, MISSING, Served, served
from tests.world import DAY, HOUR, START, SetClock, envelope, incoming

from tellwire.endpoints.traffic import Traffic, TrafficCounter
from tellwire.endpoints.worker import add_traffic
from tellwire.model.units import MINUTE
from tellwire.stores.health_store import SqlHealthStore

pytestmark = pytest.mark.usefixtures("each_store")


@pytest.fixture(scope="module")
def app(each_store: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("figures")) as running:
        yield running


def endpoint(app: Served, **fields: Any) -> str:
    return str(app.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row"} | fields)["id"])


def count(app: Served, endpoint_id: str, *attempts: tuple[bool, float]) -> None:
    """Attempts of an endpoint that end now: whether each was delivered, and how many milliseconds it took."""
    organization_id = app.world.store.registry().endpoints[endpoint_id].organization_id
    counter = TrafficCounter()
    for ok, milliseconds in attempts:
        took = int(milliseconds * 1000)
        counter.note(endpoint_id, organization_id, ok=ok, took=took, now=app.clock.now())
    app.run(add_traffic(SqlHealthStore(app.world.store), counter, app.clock))


def figures(app: Served, endpoint_id: str, span: str = "day", **options: Any) -> Any:
    return app.get(f"/v1/webhook-endpoints/{endpoint_id}/figures?span={span}", **options)


def busy(shown: Any) -> list[tuple[str, int, int]]:
    return [
        (each["since"], each["delivered"], each["failed"])
        for each in shown["buckets"]
        if each["delivered"] + each["failed"]
    ]


def test_attempts_stand_in_the_bucket_in_which_they_ended(app: Served) -> None:
    one = endpoint(app)
    count(app, one, (True, 20.0), (True, 40.0), (False, 5000.0))
    app.clock.move(2 * HOUR)
    count(app, one, (True, 60.0))
    count(app, one, (False, 1.0))
    shown = figures(app, one)
    assert (shown["id"], shown["span"], shown["bucket_seconds"], len(shown["buckets"])) == (one, "day", 3600, 24)
    assert [each[1:] for each in busy(shown)] == [(2, 1), (1, 1)]
    assert (shown["delivered"], shown["failed"]) == (3, 2)
    assert (shown["mean_milliseconds"], shown["slowest_milliseconds"]) == (40.0, 60.0)
    first, last = (datetime.fromisoformat(shown["buckets"][at]["since"]) for at in (0, -1))
    assert (last - first).total_seconds() == 23 * 3600
    hour = figures(app, one, "hour")
    assert (len(hour["buckets"]), [each[1:] for each in busy(hour)]) == (60, [(1, 1)])
    month = figures(app, one, "month")
    assert (len(month["buckets"]), sum(each[1] for each in busy(month))) == (30, 3)


def test_what_is_past_its_time_goes(app: Served) -> None:
    one = endpoint(app)
    count(app, one, (True, 1.0))
    app.clock.move(3 * HOUR)
    count(app, one, (True, 1.0))
    rows = f"SELECT width, COUNT(*) FROM endpoint_traffic WHERE endpoint_id = '{one}' GROUP BY width ORDER BY width"
    assert app.query(rows) == [(MINUTE, 1), (HOUR, 2)]
    app.clock.move(33 * DAY)
    count(app, one, (True, 1.0))
    assert app.query(rows) == [(MINUTE, 1), (HOUR, 1)]
    app.call("DELETE", f"/v1/webhook-endpoints/{one}")
    assert app.query(rows) == []


def test_an_endpoint_without_attempts_has_no_latency(app: Served) -> None:
    one = endpoint(app)
    shown = figures(app, one)
    assert (shown["delivered"], shown["mean_milliseconds"], shown["waiting_since"]) == (0, None, None)
    count(app, one, (False, 9.0))
    assert figures(app, one)["mean_milliseconds"] is None


def test_what_waits_is_counted_wherever_it_waits(app: Served) -> None:
    one, other = endpoint(app, events=["messages.insert"]), endpoint(app, events=["messages.insert"])
    since = app.clock.now()
    for index in range(4):
        app.clock.move(1_000_000)
        assert app.meta(envelope(incoming(f"wamid.figures.{index}"))).status == 200
    late, replayed = app.query(f"SELECT id FROM deliveries WHERE endpoint_id = '{one}' ORDER BY id")[:2]
    app.write(lambda c: c.execute(text(f"UPDATE deliveries SET lane = 'late' WHERE id = '{late[0]}'")).rowcount)
    app.write(lambda c: c.execute(text(f"UPDATE deliveries SET lane = 'replay' WHERE id = '{replayed[0]}'")).rowcount)
    shown = figures(app, one)
    assert (shown["waiting"], shown["parked"]) == (4, 0)
    assert datetime.fromisoformat(shown["waiting_since"]).timestamp() * 1_000_000 == since + 1_000_000
    app.post(f"/v1/webhook-endpoints/{other}/pause", status=200)
    shown = figures(app, other)
    assert (shown["waiting"], shown["waiting_since"], shown["parked"]) == (0, None, 4)
    listed = {each["id"]: each for each in app.get("/v1/webhook-endpoints/figures?limit=200")["data"]}
    assert [(listed[each]["waiting"], listed[each]["parked"]) for each in (one, other)] == [(4, 0), (0, 4)]


def test_figures_are_listed_page_by_page_as_the_endpoints_are(app: Served) -> None:
    for _ in range(3):
        endpoint(app)
    wanted = [each["id"] for each in app.get("/v1/webhook-endpoints?limit=200")["data"]]
    found, cursor = [], ""
    while True:
        page = app.get(f"/v1/webhook-endpoints/figures?limit=2&cursor={cursor}")
        found += [each["id"] for each in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == wanted


def test_what_is_wrong(app: Served) -> None:
    one = endpoint(app)
    for path in (f"/v1/webhook-endpoints/{one}/figures", "/v1/webhook-endpoints/figures"):
        app.call("GET", f"{path}?span=year").problem(422, "/span")
        app.call("GET", path, key=app.key("messages:write")).problem(403)
    app.call("GET", f"/v1/webhook-endpoints/{MISSING}/figures").problem(404)
    elsewhere = app.key("read", organization=app.organization())
    app.call("GET", f"/v1/webhook-endpoints/{one}/figures", key=elsewhere).problem(404)
    assert app.get("/v1/webhook-endpoints/figures", key=elsewhere)["data"] == []


def test_counts_that_could_not_be_stored_are_counted_again() -> None:
    counter, clock = TrafficCounter(), SetClock(START)
    for _ in range(2):
        counter.note("e", "o", ok=True, took=1000, now=clock.now())
        taken = counter.take()
        counter.note("e", "o", ok=False, took=0, now=clock.now())
        counter.give_back(taken)
    (left,) = counter.take()
    assert left == Traffic(
        organization_id="o",
        endpoint_id="e",
        width=MINUTE,
        since=left.since,
        delivered=2,
        failed=2,
        took=2000,
        slowest=1000,
    )


def test_a_sample_is_rendered_in_every_format_and_stays_the_same(app: Served) -> None:
    for form, name in (("row", "messages.insert"), ("chat", "incoming_message"), ("meta", "meta.messages")):
        first, again = (app.call("GET", f"/v1/events/samples/{form}?name={name}") for _ in range(2))
        assert (first.status, first.body) == (200, again.body)
        assert b"Nobody wrote this" in first.body
    assert app.get("/v1/events/samples/row")["data"]["direction"] == "incoming"
    app.call("GET", "/v1/events/samples/row?name=meta.messages").problem(404)
    app.call("GET", "/v1/events/samples/row?name=no.such").problem(404)
    app.call("GET", "/v1/events/samples/xml").problem(404)
    app.call("GET", "/v1/events/samples/row", key=app.key("webhooks:manage")).problem(403)
