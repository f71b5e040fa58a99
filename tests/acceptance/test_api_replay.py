"""Replaying a delivery, and doing so once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.served import HOOK, MISSING, Served, served
from tests.world import envelope, incoming

from tellwire.model.deliveries import ReplayEdit
from tellwire.model.routing import PARTITIONS


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        running.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row", "events": ["messages.insert"]})
        assert running.meta(envelope(incoming("wamid.one"))).status == 200
        yield running


def delivery_of(app: Served) -> Any:
    (delivery,) = app.get("/v1/deliveries")["data"]
    return delivery


def test_replay_with_an_idempotency_key_happens_once(app: Served) -> None:
    path, once = f"/v1/deliveries/{delivery_of(app)['id']}/replay", {"Idempotency-Key": "again"}
    first = app.call("POST", path, {"new_id": True}, headers=once)
    second = app.call("POST", path, {"new_id": True}, headers=once)
    assert (first.status, second.status) == (202, 202)
    assert first.body == second.body
    assert second.headers["idempotency-replayed"] == "true"
    assert delivery_of(app)["replay"] == 1
    app.call("POST", path, {"new_id": False}, headers=once).problem(422)


def test_replay_without_one_happens_every_time(app: Served) -> None:
    path = f"/v1/deliveries/{delivery_of(app)['id']}/replay"
    assert [app.post(path, status=202)["replay"] for _ in range(2)] == [1, 2]
    assert app.outside.woken >= 2


def test_replay_of_nothing_is_404_and_leaves_the_key_free(app: Served) -> None:
    once = {"Idempotency-Key": "again"}
    app.call("POST", f"/v1/deliveries/{MISSING}/replay", headers=once).problem(404)
    app.post(f"/v1/deliveries/{delivery_of(app)['id']}/replay", status=202, headers=once)


def test_a_replay_may_go_elsewhere_with_another_body(app: Served) -> None:
    path = f"/v1/deliveries/{delivery_of(app)['id']}"
    made = app.post(f"{path}/replay", {"url": "https://b.example.com/in", "body": {"fixed": True}}, status=202)
    assert (made["replay_url"], made["replay_edited"]) == ("https://b.example.com/in", True)
    (work,) = app.run(app.world.outbox.due(app.clock.now(), partitions=range(PARTITIONS), limit=10))
    edit = app.run(app.world.outbox.replay_edit(work.delivery))
    assert edit == ReplayEdit(url="https://b.example.com/in", body=b'{"fixed":true}')
    assert app.get("/v1/deliveries")["data"][0]["replay_url"] == "https://b.example.com/in"
    plain = app.post(f"{path}/replay", status=202)
    assert (plain["replay"], plain["replay_url"], plain["replay_edited"]) == (2, None, False)


def test_another_url_or_body_takes_the_scope_that_endpoints_take(app: Served) -> None:
    path, key = f"/v1/deliveries/{delivery_of(app)['id']}/replay", app.key("deliveries:replay")
    edits: tuple[dict[str, Any], ...] = ({"url": HOOK}, {"body": {}})
    for body in edits:
        app.call("POST", path, body, key=key).problem(403)
    assert app.call("POST", path, {"new_id": True}, key=key).status == 202
    both = app.key("deliveries:replay", "webhooks:manage")
    assert app.call("POST", path, {"url": HOOK}, key=both).status == 202


def test_a_selection_is_replayed_in_its_order_or_not_at_all(app: Served) -> None:
    for name in ("two", "three"):
        app.meta(envelope(incoming(f"wamid.{name}")))
    ids = [row["id"] for row in app.get("/v1/deliveries")["data"]]
    app.call("POST", "/v1/deliveries/replay", {"ids": [ids[0], MISSING]}).problem(422, "/ids/1")
    app.call("POST", "/v1/deliveries/replay", {"ids": [ids[0], ids[0]]}).problem(422, "/ids/1")
    app.call("POST", "/v1/deliveries/replay", {"ids": []}).problem(422, "/ids")
    app.call("POST", "/v1/deliveries/replay", {"ids": ids * 67}).problem(422, "/ids")
    assert {row["replay"] for row in app.get("/v1/deliveries")["data"]} == {0}
    once = {"Idempotency-Key": "these"}
    made = app.post("/v1/deliveries/replay", {"ids": ids, "new_id": True}, status=202, headers=once)
    assert app.post("/v1/deliveries/replay", {"ids": ids, "new_id": True}, status=202, headers=once) == made
    assert [(row["id"], row["replay"]) for row in made["data"]] == [(each, 1) for each in ids]
    due = app.run(app.world.outbox.due(app.clock.now() + 10, partitions=range(PARTITIONS), limit=10))
    assert [work.delivery.id for work in due] == ids
