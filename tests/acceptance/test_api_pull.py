"""Endpoints without a URL: their deliveries wait until they are pulled, and are answered."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Connection, text
from tests.served import HOOK, MISSING, Reply, Served, served
from tests.world import KIND, NAMES, START, envelope, incoming

import tellwire_sdk
from tellwire.endpoints.validation import OF_SENDING
from tellwire.endpoints.worker import RecoveryRunner
from tellwire.model.row_json import instant
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.stores.failure_store import SqlFailureStore
from tellwire.stores.queries import pulled
from tellwire.stores.recovery_store import SqlRecoveryStore

PATH = "/v1/webhook-endpoints"
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


@pytest.fixture(scope="module")
def app(each_store: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("pull")) as running:
        yield running


@pytest.fixture
def made(app: Served) -> Iterator[str]:
    """A pulled endpoint of its own, which is gone after the test."""
    endpoint = app.post(PATH, {"pull": True, "format": "row", "events": ["messages.insert"], "secret": SECRET})
    yield endpoint["id"]
    app.call("DELETE", f"{PATH}/{endpoint['id']}")


def say(app: Served, *wamids: str) -> None:
    for wamid in wamids:
        assert app.meta(envelope(incoming(f"wamid.{wamid}.{time.monotonic_ns()}"))).status == 200


def pull(app: Served, endpoint_id: str, **query: Any) -> list[Any]:
    asked = "&".join(f"{name}={given}" for name, given in query.items())
    rows: list[Any] = app.get(f"{PATH}/{endpoint_id}/pull?{asked}")["data"]
    return rows


def answer(app: Served, endpoint_id: str, *answers: dict[str, Any], **more: Any) -> Reply:
    return app.call("POST", f"{PATH}/{endpoint_id}/pull/answers", {"answers": list(answers)}, **more)


def of(row: Any, **answered: Any) -> dict[str, Any]:
    """The answer to a pulled delivery."""
    return {"delivery_id": row["delivery_id"], "receipt": row["receipt"], "status": 200, "milliseconds": 7} | answered


def delivery(app: Served, row: Any) -> Any:
    return app.get(f"/v1/deliveries/{row['delivery_id']}")


# --- endpoints --------------------------------------------------------------------------------------------------------


def test_an_endpoint_without_url_is_pulled_and_asks_nobody(app: Served) -> None:
    asked = len(app.outside.sent)
    for name in ("row", "chat", "meta", "cloudevents", "openbsp"):
        endpoint = app.post(PATH, {"pull": True, "format": name})
        assert (endpoint["state"], endpoint["url"], endpoint["health"]["state"]) == ("pulled", "", "unknown")
        assert "verify_token" not in endpoint
        assert app.call("DELETE", f"{PATH}/{endpoint['id']}").status == 204
    assert len(app.outside.sent) == asked
    app.call("POST", PATH, {"format": "row"}).problem(422, "/url")
    app.call("POST", PATH, {"format": "row", "pull": False, "url": None}).problem(422, "/url")


OTHERS = {
    "url": HOOK,
    "token": "a-token",
    "verify_token": "a-token",
    "headers": {"x-mine": "1"},
    "buffer": {"seconds": 1, "most": 2},
    "ordering": "none",
    "timeout_seconds": 1,
    "head_of_line_seconds": 1,
    "max_in_flight": 1,
    "rate_limit_per_second": 1,
    "retry_schedule": [1],
}


@pytest.mark.parametrize("name", OF_SENDING)
def test_what_is_about_sending_is_refused(app: Served, made: str, name: str) -> None:
    given = {name: OTHERS[name]}
    form = "meta" if name == "verify_token" else "row"
    answered = app.call("POST", PATH, {"pull": True, "format": form} | given)
    assert f"/{name}" in [error["pointer"] for error in answered.json["errors"]], answered.body
    if name != "verify_token":
        app.call("PATCH", f"{PATH}/{made}", given).problem(422, f"/{name}")


@pytest.mark.parametrize("call", ["pause", "resume", "test"])
def test_calls_about_sending_are_refused(app: Served, made: str, call: str) -> None:
    assert app.call("POST", f"{PATH}/{made}/{call}").problem(409)["type"].endswith(":endpoint-pulled")
    assert app.get(f"{PATH}/{made}")["state"] == "pulled"


def test_the_secret_of_another_signs_and_is_not_shown(app: Served) -> None:
    lender = app.post(PATH, {"url": HOOK, "format": "row", "secret": SECRET})
    made = app.post(PATH, {"pull": True, "format": "row", "secret_of": lender["id"]})
    assert "secret" not in made
    assert "whsec_secret" not in made
    say(app, "lent")
    (row,) = pull(app, made["id"], limit=1)
    tellwire_sdk.verify(row["body"].encode(), dict(row["headers"]), SECRET, now=START / 1_000_000)
    app.post(f"{PATH}/{lender['id']}/rotate-secret", {"overlap_seconds": 0}, status=200)
    changed = app.call("PATCH", f"{PATH}/{made['id']}", {"secret_of": lender["id"]})
    assert (changed.status, len(changed.json["secrets"])) == (200, 1)
    (row,) = pull(app, made["id"], limit=1)
    with pytest.raises(tellwire_sdk.WebhookError):
        tellwire_sdk.verify(row["body"].encode(), dict(row["headers"]), SECRET, now=START / 1_000_000)
    for wrong in ({"secret_of": MISSING}, {"secret_of": lender["id"], "secret": SECRET}):
        app.call("POST", PATH, {"pull": True, "format": "row"} | wrong).problem(422, "/secret_of")
    app.call("POST", PATH, {"url": HOOK, "format": "row", "secret_of": lender["id"]}).problem(422, "/secret_of")
    app.call("PATCH", f"{PATH}/{lender['id']}", {"secret_of": lender["id"]}).problem(422, "/secret_of")
    for each in (lender, made):
        app.call("DELETE", f"{PATH}/{each['id']}")


# --- pulling ----------------------------------------------------------------------------------------------------------


def test_what_waits_comes_in_order_signed_until_it_is_answered(app: Served, made: str) -> None:
    say(app, "one", "two", "three")
    rows = pull(app, made)
    assert [row["delivery_id"] for row in rows] == sorted(row["delivery_id"] for row in rows)
    assert len(rows) == 3
    assert [row["delivery_id"] for row in pull(app, made, limit=2)] == [row["delivery_id"] for row in rows[:2]]
    for row in rows:
        headers = dict(row["headers"])
        tellwire_sdk.verify(row["body"].encode(), headers, SECRET, now=START / 1_000_000)
        assert (row["event"], headers["webhook-id"]) == ("messages.insert", row["webhook_id"])
        assert delivery(app, row)["state"] == "parked"
    settled = answer(app, made, *map(of, rows)).json["data"]
    assert [(each["state"], each["counted"]) for each in settled] == [("delivered", True)] * 3
    assert pull(app, made) == []
    known = delivery(app, rows[0])
    (attempt,) = known["attempts"]
    assert (known["state"], attempt["response_status"], attempt["durations"]) == ("delivered", 200, {"total": 7.0})
    sent = app.get(f"/v1/deliveries/{rows[0]['delivery_id']}/sent")
    assert (sent["body"], sent["verified"]) == (rows[0]["body"], True)
    assert app.get(f"{PATH}/{made}/figures")["delivered"] == 3


def test_an_answer_counts_once_and_only_for_the_attempt_it_is_about(app: Served, made: str) -> None:
    say(app, "once")
    (row,) = pull(app, made)
    assert [answer(app, made, of(row)).json["data"][0]["counted"] for _ in range(2)] == [True, False]
    assert [each["counted"] for each in answer(app, made, of(row), of(row)).json["data"]] == [False, False]
    assert app.post(f"/v1/deliveries/{row['delivery_id']}/replay", status=202)["state"] == "parked"
    assert answer(app, made, of(row)).json["data"] == [
        {"delivery_id": row["delivery_id"], "state": "parked", "counted": False}
    ]
    (again,) = pull(app, made)
    assert (again["delivery_id"], dict(again["headers"])["tellwire-replay"]) == (row["delivery_id"], "1")
    assert answer(app, made, of(again), of(again)).json["data"][1]["counted"] is False
    assert (delivery(app, row)["state"], delivery(app, row)["attempt_count"]) == ("delivered", 2)


def test_an_answer_to_what_was_replayed_meanwhile_leaves_the_replay_waiting(app: Served, made: str) -> None:
    say(app, "meanwhile")
    (row,) = pull(app, made)
    app.post(f"/v1/deliveries/{row['delivery_id']}/replay", {"body": {"other": 1}}, status=202)
    assert answer(app, made, of(row)).json["data"][0] == {
        "delivery_id": row["delivery_id"],
        "state": "parked",
        "counted": True,
    }
    (again,) = pull(app, made)
    assert json.loads(again["body"]) == {"other": 1}
    assert answer(app, made, of(again)).json["data"][0]["state"] == "delivered"


@pytest.mark.parametrize(
    ("answered", "failure"),
    [({"status": 500, "response_body": "no\n"}, "500"), ({"status": 0, "failure": "timeout"}, "timeout")],
)
def test_what_fails_ends_is_seen_and_can_be_replayed(
    app: Served, made: str, answered: dict[str, Any], failure: str
) -> None:
    say(app, "fails", "goes on")
    first, second = pull(app, made)
    url = "http://localhost:3000/webhook"
    answer(app, made, of(first, url=url, **answered), of(second))
    known = delivery(app, first)
    assert (known["state"], known["attempts"][0]["url"]) == ("failed", url)
    assert failure in known["cause"] or known["cause"] == failure
    assert app.call("POST", f"/v1/deliveries/{first['delivery_id']}/replay", {"url": HOOK}).problem(409)
    app.post(f"/v1/deliveries/{first['delivery_id']}/replay", status=202)
    (again,) = pull(app, made)
    answer(app, made, of(again))
    assert delivery(app, first)["state"] == "delivered"


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"receipt": "1.0"}, "receipt"),
        ({"receipt": "1.0.x"}, "receipt"),
        ({"receipt": "٣.0.1"}, "receipt"),
        ({"failure": "bored", "status": 0}, "failure"),
        ({"status": 0}, "status"),
        ({"delivery_id": MISSING}, "delivery_id"),
        ({"delivery_id": "nonsense"}, "delivery_id"),
    ],
)
def test_one_wrong_answer_and_none_counts(app: Served, made: str, wrong: dict[str, Any], pointer: str) -> None:
    say(app, "wrong")
    (row,) = pull(app, made)
    answer(app, made, of(row), of(row) | wrong).problem(422, f"/answers/1/{pointer}")
    assert delivery(app, row)["state"] == "parked"


def test_an_invented_receipt_counts_for_nothing(app: Served, made: str) -> None:
    say(app, "invented")
    (row,) = pull(app, made)
    attempt, replay, at = row["receipt"].split(".")
    for receipt in (f"{attempt}.{replay}.{10**17}", f"{attempt}.{replay}.1", f"{attempt}.7.{at}", f"9.{replay}.{at}"):
        assert answer(app, made, of(row, receipt=receipt)).json["data"][0]["counted"] is False
    assert delivery(app, row)["attempts"] == []


def test_a_recovery_and_the_replay_of_a_failure_reach_it(app: Served, made: str) -> None:
    app.clock.move(1_000_000)  # what other tests made is before
    since = instant(app.clock.now())
    say(app, "one", "two")
    first, second = pull(app, made)
    answer(app, made, of(first), of(second, status=500))
    app.clock.move(1_000_000)
    app.post(f"{PATH}/{made}/recover", {"since": since, "include": "all"}, status=202)
    app.clock.move(1_000_000)
    app.run(RecoveryRunner(SqlRecoveryStore(app.world.store, NAMES), app.clock, lambda: None).go_on())
    rows = pull(app, made)
    assert [row["delivery_id"] for row in rows] == [first["delivery_id"], second["delivery_id"]]
    answer(app, made, *(of(row, status=404) for row in rows))
    app.run(SqlFailureStore(app.world.store).take_stock(app.clock.now()))
    (failure,) = app.get(f"/v1/failures?endpoint_id={made}&state=open")["data"]
    assert (failure["failed"], failure["endpoint_state"]) == (2, "pulled")
    app.post(f"/v1/failures/{failure['id']}/replay", status=202)
    app.clock.move(1_000_000)
    app.run(RecoveryRunner(SqlRecoveryStore(app.world.store, NAMES), app.clock, lambda: None).go_on())
    assert len(pull(app, made)) == 2


@pytest.mark.parametrize(
    ("form", "ended"), [("chat", ("cancelled", "")), ("openbsp", ("failed", "the request could not be made"))]
)
def test_what_cannot_be_handed_out_is_ended_and_holds_up_nothing(app: Served, form: str, ended: Any) -> None:
    other = app.post(PATH, {"pull": True, "format": form})["id"]
    say(app, "broken", "whole")
    first, *others = pull(app, other)
    broken = b'{"order_key":"k","snapshot":{"row":{}}}'
    sql = "UPDATE events SET body = :body WHERE id = (SELECT event_id FROM deliveries WHERE id = :id)"
    app.write(lambda c: c.execute(text(sql), {"body": broken, "id": first["delivery_id"]}).rowcount)
    rest = [row["delivery_id"] for row in pull(app, other, wait=25)]
    assert rest
    assert set(rest) <= {row["delivery_id"] for row in others}
    known = delivery(app, first)
    assert (known["state"], known["cause"].split(" (")[0]) == ended
    app.call("DELETE", f"{PATH}/{other}")


def test_what_is_skipped_is_cancelled_and_what_comes_then_is_not(app: Served, made: str) -> None:
    say(app, "skipped")
    (row,) = pull(app, made)
    assert app.call("POST", f"{PATH}/{made}/pull/skip").status == 204
    assert delivery(app, row)["state"] == "cancelled"
    assert answer(app, made, of(row)).json["data"][0]["counted"] is False
    say(app, "next")
    assert len(pull(app, made)) == 1


def test_it_is_no_trouble_that_nobody_pulls_and_its_way_says_so(app: Served, made: str) -> None:
    say(app, "waits")
    (row,) = pull(app, made)
    app.clock.move(3 * 3_600_000_000)
    assert [line for line in app.get("/v1/verdict")["lines"] if line["endpoint_id"] == made] == []
    told = json.dumps(app.get(f"/v1/why?q={row['webhook_id']}"))
    assert "nobody has asked for this one yet" in told


def test_the_search_finds_its_index(app: Served, made: str) -> None:
    if KIND.get() != "sqlite":
        pytest.skip("PostgreSQL chooses by statistics")

    def work(connection: Connection) -> str:
        statements: list[str] = []
        raw: Any = connection.connection.driver_connection
        raw.set_trace_callback(statements.append)
        pulled.waiting(connection, DEFAULT_ORGANIZATION, made, 10)
        raw.set_trace_callback(None)
        plans = [row for each in statements for row in raw.execute(f"EXPLAIN QUERY PLAN {each}").fetchall()]
        return "\n".join(map(str, plans))

    say(app, "found")
    plan = app.run(app.world.store.read(work))
    assert "INDEX deliveries_parked (endpoint_id=?)" in plan
    assert "PRIMARY KEY (organization_id=? AND id=?)" in plan
    assert "SCAN" not in plan
    assert "TEMP B-TREE" not in plan.splitlines()[0]


# --- waiting ----------------------------------------------------------------------------------------------------------


def test_a_pull_waits_for_what_comes_and_the_newest_caller_ends_the_one_before(app: Served, made: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(app.call, "GET", f"{PATH}/{made}/pull?wait=25") for _ in range(2)]
        done, (last,) = futures.wait(both, return_when=futures.FIRST_COMPLETED)
        assert done.pop().result().problem(409)["type"].endswith(":pulled-elsewhere")
        say(app, "comes")
        assert len(last.result().json["data"]) == 1
    assert len(pull(app, made, wait=25)) == 1
    app.call("GET", f"{PATH}/{made}/pull?wait=26").problem(422, "/wait")
    app.call("GET", f"{PATH}/{made}/pull?limit=101").problem(422, "/limit")


def test_a_pull_that_waits_is_woken_by_a_replay(app: Served, made: str) -> None:
    say(app, "again")
    (row,) = pull(app, made)
    answer(app, made, of(row))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(pull, app, made, wait=25)
        app.post(f"/v1/deliveries/{row['delivery_id']}/replay", status=202)
        assert [each["delivery_id"] for each in waiting.result()] == [row["delivery_id"]]


# --- others -----------------------------------------------------------------------------------------------------------


def test_another_organization_finds_nothing(app: Served, made: str) -> None:
    say(app, "mine")
    (row,) = pull(app, made)
    key = app.key("admin", organization=app.organization("another"))
    app.call("GET", f"{PATH}/{made}/pull", key=key).problem(404)
    answer(app, made, of(row), key=key).problem(404)
    theirs = app.post(PATH, {"pull": True, "format": "row"}, key=key)["id"]
    answer(app, theirs, of(row), key=key).problem(422, "/answers/0/delivery_id")
    app.call("POST", PATH, {"pull": True, "format": "row", "secret_of": made}, key=key).problem(422, "/secret_of")
    other = app.post(PATH, {"pull": True, "format": "row"})["id"]
    answer(app, other, of(row)).problem(422, "/answers/0/delivery_id")
    assert delivery(app, row)["state"] == "parked"
    app.call("DELETE", f"{PATH}/{other}")


def test_pulling_takes_the_scope_that_endpoints_take(app: Served, made: str) -> None:
    for scope, status in (("read", 403), ("webhooks:operate", 403), ("deliveries:replay", 403)):
        app.call("GET", f"{PATH}/{made}/pull", key=app.key(scope)).problem(status)
        answer(app, made, {"delivery_id": MISSING, "receipt": "1.0.1"}, key=app.key(scope)).problem(status)
    assert app.call("GET", f"{PATH}/{made}/pull", key=app.key("webhooks:manage")).status == 200


def test_an_endpoint_that_is_sent_to_cannot_be_pulled(app: Served) -> None:
    made = app.post(PATH, {"url": HOOK, "format": "row"})["id"]
    assert app.call("GET", f"{PATH}/{made}/pull").problem(409)["type"].endswith(":endpoint-not-pulled")
    app.call("DELETE", f"{PATH}/{made}")
