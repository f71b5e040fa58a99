"""Replaying a delivery, and doing so once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.served import HOOK, MISSING, Served, served
from tests.world import envelope, incoming


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
