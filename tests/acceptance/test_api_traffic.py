"""How much went through: counted where it happens, written down now and then, read in buckets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.served import Served, served
from tests.world import DAY, HOUR, envelope, incoming

from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.model.units import MINUTE

NAMES = ("received", "delivered", "failing", "sent")


@pytest.fixture
def app(tmp_path: Path, each_store: None) -> Iterator[Served]:
    with served(tmp_path) as running:
        yield running


def totals(app: Served, span: str, **options: Any) -> tuple[int, ...]:
    found = app.get(f"/v1/traffic?span={span}", **options)
    return tuple(sum(each[name] for each in found["buckets"]) for name in NAMES)


def test_what_goes_through_is_counted_by_minute_hour_and_day(app: Served) -> None:
    tally = app.watch.observed.tally
    for number in range(3):
        assert app.meta(envelope(incoming(f"wamid.{number}"))).status == 200
    tally.attempted(DEFAULT_ORGANIZATION, 1, 1)
    tally.sent(DEFAULT_ORGANIZATION)
    app.run(app.watch.round())
    app.clock.move(MINUTE)
    assert app.meta(envelope(incoming("wamid.later"))).status == 200
    app.run(app.watch.round())
    app.run(app.watch.round())  # nothing new is nothing more
    hour = app.get("/v1/traffic")
    assert (hour["span"], hour["bucket_seconds"], len(hour["buckets"])) == ("hour", 60, 60)
    assert [[each[name] for name in NAMES] for each in hour["buckets"][-2:]] == [[3, 1, 1, 1], [1, 0, 0, 0]]
    assert hour["buckets"][-1]["start"] == "2026-05-06T03:40:00+00:00"
    for span, count in (("hour", 60), ("day", 24), ("month", 30)):
        assert totals(app, span) == (4, 1, 1, 1)
        assert len(app.get(f"/v1/traffic?span={span}")["buckets"]) == count


def test_old_buckets_are_shown_no_more_and_forgotten(app: Served) -> None:
    tally = app.watch.observed.tally
    for passed, shown in ((0, (1, 1, 1)), (2 * HOUR, (1, 2, 2)), (DAY, (1, 1, 3)), (31 * DAY, (1, 1, 1))):
        app.clock.move(passed)
        tally.sent(DEFAULT_ORGANIZATION)
        app.run(app.watch.round())
        assert tuple(totals(app, span)[3] for span in ("hour", "day", "month")) == shown
    assert app.query("SELECT count(*) FROM traffic_counts") == [(3,)]


def test_an_organization_sees_its_own_only(app: Served) -> None:
    app.meta(envelope(incoming("wamid.1")))
    app.run(app.watch.round())
    theirs = app.organization()
    assert totals(app, "hour", key=app.key("read")) == (1, 0, 0, 0)
    assert totals(app, "hour", key=app.key("read", organization=theirs)) == (0, 0, 0, 0)
    assert totals(app, "hour", headers={"tellwire-organization": theirs}) == (0, 0, 0, 0)


def test_another_span_is_refused(app: Served) -> None:
    app.call("GET", "/v1/traffic?span=week").problem(422, "/span")
