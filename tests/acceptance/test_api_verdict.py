"""The verdict by API: each line with since when, whom it hurts, and the call or the command that mends it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, text
from tests.served import HOOK, SETTINGS, Served, served
from tests.world import NUMBER, envelope, incoming

from tellwire.endpoints.health_history import EndpointHealth
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.model.units import MINUTE, micros
from tellwire.stores.queries import health
from tellwire.verdict.figures import Disk

GIB = 1024**3


@pytest.fixture
def app(tmp_path: Path, each_store: None) -> Iterator[Served]:
    with served(tmp_path) as running:
        yield running


def line(app: Served, **options: Any) -> Any:
    [found] = app.get("/v1/verdict", **options)["lines"]
    return found


def failing(app: Served, endpoint_id: str, **changes: Any) -> None:
    now = app.clock.now()
    standing = EndpointHealth(
        endpoint_id=endpoint_id,
        organization_id=DEFAULT_ORGANIZATION,
        failing_since=now,
        last_failure_at=now,
        failures=3,
        cause="it answered 500",
    )
    app.write(lambda c: health.put(c, [replace(standing, **changes)]))


def test_all_works(app: Served) -> None:
    assert app.get("/v1/verdict") == {"works": True, "lines": [], "waiting": []}


def test_a_failing_endpoint(app: Served) -> None:
    made = app.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row", "description": "shop-crm"})["id"]
    failing(app, made)
    app.meta(envelope(incoming("wamid.1")))
    app.clock.move(MINUTE)
    found = line(app)
    assert found["cause"] == f"{made} has failed for 1 minute: it answered 500."
    assert (found["id"], found["endpoint_id"]) == (f"endpoint_failing.{made}", made)
    assert found["since"] == "2026-05-06T03:39:23+00:00"
    assert (found["hurts"], found["count"]) == ("2 deliveries wait for shop-crm.", 2)
    assert found["command"] == f"tellwire endpoints test {made}"
    action = found["action"]
    assert (action["method"], action["path"]) == ("POST", f"/v1/webhook-endpoints/{made}/test")
    assert action["scope"] == "webhooks:manage"
    assert app.post(action["path"], status=200)["ok"]
    [waiting] = app.get("/v1/verdict")["waiting"]
    assert (waiting["endpoint_id"], waiting["oldest_at"][:19]) == (made, "2026-05-06T03:39:23")


def test_a_disabled_endpoint_is_resumed_by_its_action(app: Served) -> None:
    made = app.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row"})["id"]
    app.meta(envelope(incoming("wamid.1")))
    app.run(app.world.outbox.disable(made, "it answered 410"))
    found = line(app)
    assert (found["kind"], found["count"]) == ("endpoint_disabled", 2)
    assert app.post(found["action"]["path"], status=200)["state"] == "active"
    assert app.get("/v1/verdict")["works"]


def test_a_paused_account_is_resumed_by_its_action(app: Served) -> None:
    account = app.post("/v1/accounts", {"phone_number_id": NUMBER, "access_token": "a-token"})["id"]
    template = {"name": "hello", "language": {"code": "en_US"}}
    draft = {"account": NUMBER, "to": "+5215588392274", "type": "template", "template": template}
    app.post("/v1/messages", draft, status=202)
    app.write(lambda c: _pause(c, account))
    found = line(app)
    assert (found["kind"], found["hurts"], found["count"]) == ("account_paused", "1 message waits to be sent.", 1)
    assert app.post(found["action"]["path"], status=200)["sending_paused"] is None
    assert app.get("/v1/verdict")["works"]


def _pause(connection: Connection, account: str) -> None:
    connection.execute(text("UPDATE accounts SET sending_paused = 'Meta refuses it' WHERE id = :i"), {"i": account})
    connection.execute(text("UPDATE facts SET value = value + 1 WHERE name = 'registry'"))


def test_an_unknown_number_has_a_command_only_where_it_can_be_a_word_of_one(tmp_path: Path) -> None:
    with served(tmp_path, settings=replace(SETTINGS, auto_accounts=False)) as app:
        app.meta(envelope(incoming("wamid.1")))
        found = line(app)
        assert (found["kind"], found["count"], found["command"]) == (
            "number_unknown",
            1,
            f"tellwire accounts create {NUMBER}",
        )
        assert found["action"] is None


def test_each_sees_its_own_and_is_offered_nothing_that_would_not_work(app: Served) -> None:
    app.outside.disks = [Disk("media", "/srv/media", 100 * GIB, 0)]
    made = app.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row"})["id"]
    app.run(app.world.outbox.disable(made, "it answered 410"))
    theirs = app.organization()
    kinds = {
        "operator": [each["kind"] for each in app.get("/v1/verdict")["lines"]],
        "mine": [each["kind"] for each in app.get("/v1/verdict", key=app.key("read"))["lines"]],
        "theirs": [each["kind"] for each in app.get("/v1/verdict", key=app.key("read", organization=theirs))["lines"]],
    }
    assert kinds == {
        "operator": ["disk_nearly_full", "endpoint_disabled"],
        "mine": ["endpoint_disabled"],
        "theirs": [],
    }
    elsewhere = app.get("/v1/verdict", headers={"tellwire-organization": theirs})["lines"]
    assert [each["action"] for each in elsewhere] == [None, None]
    assert elsewhere[1]["organization_id"] == DEFAULT_ORGANIZATION


def test_since_when_is_known_of_what_came_while_the_process_ran(app: Served) -> None:
    app.outside.disks = [Disk("media", "/srv/media", 100 * GIB, 0)]
    assert line(app)["since"] is None, "it was there when the process began to look"
    app.outside.disks = []
    app.clock.move(micros(10))
    assert app.get("/v1/verdict")["works"]
    app.outside.disks = [Disk("media", "/srv/media", 100 * GIB, 0)]
    app.clock.move(micros(10))
    first = line(app)["since"]
    assert first == "2026-05-06T03:39:43+00:00"
    app.clock.move(MINUTE)
    assert line(app)["since"] == first
