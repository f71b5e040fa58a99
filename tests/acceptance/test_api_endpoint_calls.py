"""Testing an endpoint, recovering what it missed, and its health, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.served import HOOK, MISSING, Served, served
from tests.world import NAMES, envelope, incoming

from tellwire.endpoints.health_history import HealthRecorder
from tellwire.endpoints.worker import RecoveryRunner, report_health
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.ports.http_out import Answer, without_what_was_said
from tellwire.stores.health_store import SqlHealthStore
from tellwire.stores.recovery_store import SqlRecoveryStore

PATH = "/v1/webhook-endpoints"
LONG_AGO = "2020-01-01T00:00:00Z"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        yield running


def made(app: Served, **more: Any) -> str:
    draft = {"url": HOOK, "format": "row", "events": ["messages.insert"], **more}
    return f"{PATH}/{app.post(PATH, draft)['id']}"


def go_on(app: Served) -> None:
    """What a serving process does every second."""
    recovering = RecoveryRunner(SqlRecoveryStore(app.world.store, NAMES), app.clock, lambda: None)
    app.run(recovering.go_on())


# --- test -------------------------------------------------------------------------------------------------------------


def test_a_test_event_is_sent_at_once_and_leaves_nothing(app: Served) -> None:
    endpoint = made(app, token="a-secret-token")
    app.outside.answer = Answer(
        status=500, cause="your server answered 500", body=b"oh no", headers=(("x-a", "b"),), durations={"total": 3.0}
    )
    answer = app.post(f"{endpoint}/test", status=200)
    assert (answer["ok"], answer["cause"], answer["response_status"]) == (False, "your server answered 500", 500)
    assert (answer["event"], answer["response_body"]) == ("messages.insert", "oh no")
    assert answer["response_headers"] == [["x-a", "b"]]
    assert answer["durations"] == {"total": 3.0}
    assert ["tellwire-test", "true"] in answer["request_headers"]
    assert ["Authorization", "Bearer ****"] in answer["request_headers"]
    (sent,) = app.outside.sent
    assert dict(sent.headers)["Authorization"] == "Bearer a-secret-token"
    assert json.loads(sent.body)["entity"] == "messages"
    for noun in ("deliveries", "events", "messages", "conversations"):
        assert app.get(f"/v1/{noun}")["data"] == []


def test_other_events_and_paused_endpoints_can_be_tested(app: Served) -> None:
    endpoint = made(app)
    app.post(f"{endpoint}/pause", status=200)
    answer = app.post(f"{endpoint}/test", {"event": "endpoint.disabled"}, status=200)
    assert (answer["ok"], answer["cause"], answer["event"]) == (True, "", "endpoint.disabled")
    app.call("POST", f"{endpoint}/test", {"event": "nonsense"}).problem(422, "/event")
    app.call("POST", f"{endpoint}/test", {"other": 1}).problem(422, "/other")


def test_what_an_allow_listed_address_says_is_not_shown(app: Served) -> None:
    app.outside.answer = without_what_was_said(Answer(status=200, body=b"inside", headers=(("x-a", "b"),)))
    answer = app.post(f"{made(app)}/test", status=200)
    assert (answer["response_body"], answer["response_headers"]) == ("", [])


def test_a_body_that_is_no_text_comes_in_base64(app: Served) -> None:
    app.outside.answer = Answer(status=200, body=b"\xff\xfe")
    answer = app.post(f"{made(app)}/test", status=200)
    assert (answer["response_body"], answer["response_body_base64"]) == (None, "//4=")


@pytest.mark.parametrize("call", ["test", "recover"])
def test_endpoints_that_are_not_there(app: Served, call: str) -> None:
    body = {} if call == "test" else {"since": LONG_AGO, "include": "failed"}
    endpoint = made(app)
    assert app.call("DELETE", endpoint).status == 204
    stranger = {"Tellwire-Organization": app.organization()}
    app.call("POST", f"{endpoint}/{call}", body).problem(404)
    app.call("POST", f"{PATH}/{MISSING}/{call}", body).problem(404)
    app.call("POST", f"{made(app)}/{call}", body, headers=stranger).problem(404)
    app.call("POST", f"{made(app)}/{call}", body, key=app.key("read")).problem(403)


# --- recover ----------------------------------------------------------------------------------------------------------


def test_a_recovery_is_a_job_that_can_be_followed(app: Served) -> None:
    endpoint = made(app)
    for name in ("one", "two", "three"):
        app.meta(envelope(incoming(f"wamid.{name}")))
    app.run(app.world.store.write(lambda c: c.exec_driver_sql("UPDATE deliveries SET state = 'failed'").rowcount))
    app.clock.move(1_000_000)
    once = {"Idempotency-Key": "recover"}
    wanted = {"since": LONG_AGO, "include": "failed", "new_id": True}
    job = app.post(f"{endpoint}/recover", wanted, status=202, headers=once)
    assert app.post(f"{endpoint}/recover", wanted, status=202, headers=once) == job
    assert (job["state"], job["done"], job["progress"], job["reached"]) == ("queued", 0, 0.0, None)
    assert app.call("POST", f"{endpoint}/recover", wanted).problem(409)["type"].endswith("recovery-under-way")
    go_on(app)
    after = app.get(f"{endpoint}/recover/{job['id']}")
    assert (after["state"], after["done"], after["looked_at"], after["progress"]) == ("done", 3, 3, 1.0)
    assert after["reached"] == after["until"] == job["created_at"]
    assert app.get(f"{endpoint}/recover")["data"] == [after]
    rows = app.get("/v1/deliveries")["data"]
    assert [(row["state"], row["lane"], row["replay"]) for row in rows] == [("pending", "replay", 1)] * 3
    assert ("ADMIN_KEY", "endpoint.recover") in {
        (line["actor"], line["action"]) for line in app.get("/v1/audit")["data"]
    }


def test_a_recovery_can_be_cancelled_and_waits_for_a_paused_endpoint(app: Served) -> None:
    endpoint = made(app)
    app.post(f"{endpoint}/pause", status=200)
    job = app.post(f"{endpoint}/recover", {"since": LONG_AGO, "include": "all"}, status=202)
    go_on(app)
    assert app.get(f"{endpoint}/recover/{job['id']}")["detail"] == "waits until the endpoint is resumed: it is paused"
    path = f"{endpoint}/recover/{job['id']}/cancel"
    assert [app.post(path, status=200)["state"] for _ in range(2)] == ["cancelled"] * 2
    app.post(f"{endpoint}/resume", status=200)
    go_on(app)
    assert app.get(f"{endpoint}/recover/{job['id']}")["state"] == "cancelled"


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"since": "yesterday"}, "/since"),
        ({"since": "2099-01-01T00:00:00Z"}, "/since"),
        ({"until": LONG_AGO}, "/until"),
        ({"until": "soon"}, "/until"),
        ({"include": "some"}, "/include"),
        ({"new_id": "yes"}, "/new_id"),
        ({"other": 1}, "/other"),
    ],
)
def test_bad_recoveries(app: Served, more: dict[str, Any], pointer: str) -> None:
    wanted = {"since": LONG_AGO, "include": "failed"} | more
    app.call("POST", f"{made(app)}/recover", wanted).problem(422, pointer)


def test_a_recovery_is_its_endpoints_and_its_organizations(app: Served) -> None:
    first, second = made(app), made(app)
    job = app.post(f"{first}/recover", {"since": LONG_AGO, "include": "failed"}, status=202)
    stranger = {"Tellwire-Organization": app.organization()}
    for method, suffix in (("GET", ""), ("POST", "/cancel")):
        app.call(method, f"{second}/recover/{job['id']}{suffix}").problem(404)
        app.call(method, f"{first}/recover/{job['id']}{suffix}", headers=stranger).problem(404)
        app.call(method, f"{first}/recover/{MISSING}{suffix}").problem(404)
    app.call("GET", f"{first}/recover", headers=stranger).problem(404)
    app.call("GET", f"{first}/recover?cursor=bad").problem(422, "/cursor")


# --- health -----------------------------------------------------------------------------------------------------------


def test_health_is_shown(app: Served) -> None:
    endpoint, witness = made(app), HealthRecorder()
    name = endpoint.rpartition("/")[2]

    def report(*, ok: bool) -> Any:
        app.clock.move(1_000_000)
        witness.note(name, DEFAULT_ORGANIZATION, ok=ok, cause="" if ok else "connection refused", now=app.clock.now())
        app.clock.move(20_000_000)
        app.run(report_health(SqlHealthStore(app.world.store), witness, app.clock))
        return app.get(endpoint)["health"]

    healthy = report(ok=True)
    assert (healthy["state"], healthy["failing_since"], healthy["consecutive_failures"]) == ("healthy", None, 0)
    failing = report(ok=False)
    assert (failing["state"], failing["cause"], failing["consecutive_failures"]) == ("failing", "connection refused", 1)
    assert failing["last_success_at"] == healthy["last_success_at"]
    assert failing["failing_since"] == failing["last_failure_at"] > failing["last_success_at"]
    assert [row["health"] for row in app.get(PATH)["data"]] == [failing]
    assert report(ok=True)["state"] == "healthy"
