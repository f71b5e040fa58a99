"""Probes, version, metrics and schemas over HTTP."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Connection, text
from tests.served import ADMIN, HOOK, SETTINGS, Served, served
from tests.world import NUMBER, envelope, incoming

from tellwire import __version__
from tellwire.errors import Unavailable
from tellwire.formats import SCHEMAS
from tellwire.settings import DEV_DEFAULTS, Settings
from tellwire.stores.sqlite.store import SqliteStore, raw
from tellwire.web.operations.metrics import METRICS


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        yield running


# --- probes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_probes_need_no_key(app: Served, path: str, method: str) -> None:
    reply = app.call(method, path, key=None)
    assert reply.status == 200
    assert reply.body == (b'{"status":"ok"}' if method == "GET" else b"")


def test_not_ready_with_an_old_schema(app: Served) -> None:
    app.write(lambda c: _set_revision(c, "0000"))
    assert "revision 0000" in app.call("GET", "/readyz").problem(503)["detail"]
    assert "0000" not in app.call("GET", "/readyz", key=None).problem(503)["detail"]
    assert app.call("GET", "/livez", key=None).status == 200


def test_ready_when_a_newer_version_has_migrated_the_database(app: Served) -> None:
    app.write(lambda c: _set_revision(c, "9999_later"))
    assert app.get("/readyz", key=None) == {"status": "ok"}


def _set_revision(connection: Connection, revision: str) -> None:
    connection.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision})


def test_not_ready_while_commits_fail(app: Served, tmp_path: Path) -> None:
    assert app.call("GET", "/readyz", key=None).status == 200
    app.write(_limit_pages)
    while app.meta(envelope(incoming("wamid.big", "x" * 500_000))).status == 200:
        pass
    reply = app.call("GET", "/readyz", key=None)
    assert reply.problem(503)["type"] == "urn:tellwire:problem:not-ready"
    assert "full" not in reply.json["detail"]
    assert "full" in app.call("GET", "/readyz").problem(503)["detail"]
    assert "Not working" in app.call("GET", "/login", key=None).body.decode()
    [line] = app.get("/v1/verdict")["lines"]
    assert (line["kind"], "full" in line["cause"]) == ("store_failing", True)
    assert shutil.disk_usage(tmp_path).free > 0
    app.run(app.world.store.write(lambda _: None))
    app.call("GET", "/readyz", key=None).problem(503)  # a commit of nothing proves nothing
    with pytest.raises(Unavailable):
        app.run(app.world.store.refresh())
    app.run(app.world.store.write(_lift_the_limit))
    app.call("GET", "/readyz", key=None).problem(503)
    app.run(app.world.store.refresh())
    assert app.call("GET", "/readyz", key=None).status == 200
    assert app.query("SELECT count(*) FROM idempotency_keys") == [(0,)]
    assert app.meta(envelope(incoming("wamid.big", "x" * 500_000))).status == 200


def _limit_pages(connection: Connection) -> None:
    pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 10}")


def _lift_the_limit(connection: Connection) -> None:
    connection.exec_driver_sql("PRAGMA max_page_count = 1073741823")


def test_a_read_only_database_takes_nothing_and_is_ready_again_by_itself(app: Served) -> None:
    app.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row"})
    app.write(lambda c: c.exec_driver_sql("PRAGMA query_only = 1").close())
    assert app.meta(envelope(incoming("wamid.1"))).status == 503
    app.call("POST", "/v1/webhook-endpoints", {"url": HOOK, "format": "row"}).problem(503)
    assert "readonly" in app.call("GET", "/readyz").problem(503)["detail"]
    assert app.call("GET", "/livez", key=None).status == 200
    assert metrics(app)["tellwire_store_failing", ""] == 1
    assert isinstance(app.world.store, SqliteStore)
    raw(app.world.store._connection).execute("PRAGMA query_only = 0")
    app.run(app.world.store.refresh())
    assert app.call("GET", "/readyz", key=None).status == 200
    assert app.meta(envelope(incoming("wamid.1"))).status == 200
    assert app.query("SELECT count(*) FROM messages") == [(1,)]


# --- who may look -----------------------------------------------------------------------------------------------------


LOOKED_LOCAL = [{}, {"host": "127.0.0.1"}, {"host": "localhost:8700"}, {"x-forwarded-for": "127.0.0.1"}]
"""Headers with which a plain proxy on this machine passes a stranger's request on, and those of the machine itself."""


@pytest.mark.parametrize("path", ["/version", "/metrics"])
@pytest.mark.parametrize("headers", LOOKED_LOCAL)
def test_nobody_looks_without_a_key(app: Served, path: str, headers: dict[str, str]) -> None:
    app.call("GET", path, key=None, headers=headers).problem(401)
    app.call("GET", path, key="wrong", headers=headers).problem(401)
    assert app.call("GET", path, key=app.key("read"), headers=headers).status == 200


@pytest.mark.parametrize("path", ["/version", "/metrics"])
def test_a_setting_opens_them(tmp_path: Path, path: str) -> None:
    with served(tmp_path, settings=replace(SETTINGS, open_operations=True)) as app:
        reply = app.call("GET", path, key=None)
        assert reply.status == 200
        if path == "/metrics":
            assert len(list(text_string_to_metric_families(reply.body.decode()))) == len(METRICS)
        app.call("GET", path, key="wrong").problem(401)


def test_dev_opens_them_and_serve_does_not() -> None:
    assert (Settings().open_operations, DEV_DEFAULTS["open_operations"]) == (False, True)


def test_another_organizations_key_sees_nothing_of_others(app: Served) -> None:
    app.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row"})
    app.meta(envelope(incoming("wamid.1")))
    app.clock.move(3 * 3600 * 1_000_000)
    theirs = app.organization()
    for key in (app.key("read", organization=theirs), app.key("admin", organization=theirs)):
        found = metrics(app, key=key)
        assert {name for name, _ in found} == {
            "tellwire_info",
            "tellwire_trouble",
            "tellwire_endpoints",
            "tellwire_accounts_paused",
        }
        assert sum(value for (name, _), value in found.items() if name == "tellwire_endpoints") == 0
        assert app.call("GET", "/v1/verdict", key=key).json["works"]


def test_version(app: Served) -> None:
    assert app.get("/version")["version"] == __version__


# --- metrics ----------------------------------------------------------------------------------------------------------


def metrics(app: Served, *, key: str = ADMIN) -> dict[tuple[str, str], float]:
    reply = app.call("GET", "/metrics", key=key)
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = text_string_to_metric_families(reply.body.decode())
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


def test_metrics_count(app: Served) -> None:
    app.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row"})
    paused = app.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row"})["id"]
    app.post(f"/v1/webhook-endpoints/{paused}/pause", status=200)
    app.meta(envelope(incoming("wamid.1")))
    app.meta(envelope(incoming("wamid.1")))
    app.meta(b"nonsense")
    app.meta(b"{}", "wrong")
    app.clock.move(90_000_000)
    found = metrics(app)
    assert found["tellwire_inbound_posts_total", "200"] == 2
    assert found["tellwire_inbound_posts_total", "400"] == 1
    assert found["tellwire_inbound_posts_total", "401"] == 1
    assert found["tellwire_inbound_items_total", "applied"] == 1
    assert found["tellwire_inbound_items_total", "duplicate"] == 1
    assert found["tellwire_deliveries", "pending"] == 2
    assert found["tellwire_deliveries", "parked"] == 2
    assert found["tellwire_deliveries", "failed"] == 0
    assert found["tellwire_endpoints", "active"] == 1
    assert found["tellwire_endpoints", "paused"] == 1
    assert found["tellwire_oldest_due_seconds", "active"] == 90
    assert found["tellwire_oldest_due_seconds", "paused"] == 90
    assert found["tellwire_oldest_due_seconds", "disabled"] == 0
    assert found["tellwire_commits_total", ""] > 4
    assert found["tellwire_commit_jobs_count", ""] == found["tellwire_commits_total", ""]
    assert found["tellwire_commit_seconds_sum", ""] > 0
    assert found["tellwire_held_items", "unrouted"] == 0
    assert found["tellwire_store_failing", ""] == 0
    assert found["tellwire_info", __version__] == 1
    assert NUMBER not in app.call("GET", "/metrics").body.decode()


def test_every_metric_is_shown_as_the_reference_says(app: Served) -> None:
    app.meta(envelope(incoming("wamid.1")))
    counters = app.world.store.counters
    counters.attempts["retried", "timeout"] += 2
    counters.removed["events"] += 7
    counters.sent.add(0.02)
    counters.alerts["mail", "sent"] += 1
    text = app.call("GET", "/metrics").body.decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert len(families) == len(METRICS)
    for metric in METRICS:
        family = families[metric.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (metric.kind, metric.help.replace("`", ""))
        labels = {name for sample in family.samples for name in sample.labels} - {"le"}
        assert labels == set(metric.labels), metric.name
        assert len(family.samples) < 30
    found = metrics(app)
    assert found["tellwire_attempts_total", "timeout,retried"] == 2
    assert found["tellwire_retention_removed_total", "events"] == 7
    assert found["tellwire_delivery_sent_seconds_bucket", "0.01"] == 0
    assert found["tellwire_delivery_sent_seconds_bucket", "0.025"] == 1
    assert found["tellwire_delivery_sent_seconds_bucket", "+Inf"] == 1


# --- schemas ----------------------------------------------------------------------------------------------------------


def test_schemas(app: Served) -> None:
    for name in SCHEMAS:
        schema = app.get(f"/schemas/{name}.json", key=None)
        Draft202012Validator.check_schema(schema)
        assert schema == SCHEMAS[name]
    for path in ("nope.json", "row-messages", ".json", "..%2f..%2fetc%2fpasswd.json"):
        app.call("GET", f"/schemas/{path}", key=None).problem(404)


# --- figures ----------------------------------------------------------------------------------------------------------


def test_figures_are_asked_for_at_most_every_few_seconds(app: Served) -> None:
    assert metrics(app)["tellwire_deliveries", "pending"] == 0
    app.meta(envelope(incoming("wamid.1")))
    app.clock.move(4_000_000)
    assert metrics(app)["tellwire_deliveries", "pending"] == 0
    app.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row"})
    app.meta(envelope(incoming("wamid.2")))
    app.clock.move(1_000_000)
    assert metrics(app)["tellwire_deliveries", "pending"] == 1
