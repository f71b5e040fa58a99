"""What an organization can make without end has a bound: below it, at it and above it, over both stores."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace
from tests.served import ADMIN, HOOK, SETTINGS, Reply, Served, served
from tests.world import CUSTOMER

from tellwire.model.quotas import NAMES, QuotaName, Quotas
from tellwire.settings import Settings
from tellwire.web import streams

BOUND = 3
LATER = "2026-05-08T01:39:23Z"
FEW = replace(SETTINGS, **{f"quota_{name}": BOUND for name in NAMES})


class Case(Struct, frozen=True):
    """How one more is made, by its number, and how one that was made is taken away again."""

    make: Callable[[Served, str, int], Reply]
    remove: Callable[[Served, str, str], Reply]


def posting(path: str, body: Callable[[int], Any]) -> Callable[[Served, str, int], Reply]:
    return lambda app, key, number: app.call("POST", path, body(number), key=key)


def deleting(path: str, method: str = "DELETE", after: str = "") -> Callable[[Served, str, str], Reply]:
    return lambda app, key, made: app.call(method, f"{path}/{made}{after}", key=key)


def schedule(app: Served, key: str, number: int) -> Reply:
    owner = next(account for account in app.world.store.registry().accounts.values() if account.access_token)
    message = {"account": owner.phone_number_id, "to": f"+{CUSTOMER}", "type": "text", "text": {"body": str(number)}}
    return app.call("POST", "/v1/messages", message | {"scheduled_at": LATER}, key=key)


CASES: dict[QuotaName, Case] = {
    "accounts": Case(posting("/v1/accounts", lambda n: {"phone_number_id": f"9{n}"}), deleting("/v1/accounts")),
    "agents": Case(posting("/v1/agents", lambda n: {"name": f"Agent {n}", "kind": "human"}), deleting("/v1/agents")),
    "api_keys": Case(posting("/v1/api-keys", lambda n: {"name": f"key {n}"}), deleting("/v1/api-keys")),
    "members": Case(
        posting("/v1/members", lambda n: {"email": f"person-{n}@example.com", "role": "viewer"}),
        deleting("/v1/members"),
    ),
    "portal_links": Case(posting("/v1/portal-links", lambda n: {"name": f"guests {n}"}), deleting("/v1/portal-links")),
    "scheduled_messages": Case(schedule, deleting("/v1/messages", "POST", "/cancel")),
    "sources": Case(posting("/v1/sources", lambda n: {"name": f"other {n}", "kind": "wakit"}), deleting("/v1/sources")),
    "webhook_endpoints": Case(
        posting("/v1/webhook-endpoints", lambda n: {"url": f"{HOOK}/{n}", "format": "row"}),
        deleting("/v1/webhook-endpoints"),
    ),
}


@pytest.fixture(scope="module")
def app(each_store: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("quotas"), settings=FEW) as running:
        yield running


def refused(reply: Reply, name: QuotaName, status: int = 409) -> None:
    problem = reply.problem(status)
    assert problem["type"] == "urn:tellwire:problem:quota-exceeded"
    assert f"QUOTA_{name.upper()}" in problem["detail"]
    assert str(BOUND) in problem["detail"]


def counted(app: Served, name: QuotaName) -> float:
    lines = app.call("GET", "/metrics").body.decode().splitlines()
    return next(
        float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith(f'tellwire_quota_refusals_total{{quota="{name}"')
    )


def test_each_quota_has_a_case() -> None:
    assert {*CASES, "event_streams"} == set(NAMES)


def test_quotas_are_those_of_the_settings() -> None:
    assert Settings().quotas == Quotas()
    assert FEW.quotas == Quotas(**dict.fromkeys(NAMES, BOUND))


@pytest.mark.parametrize("name", CASES)
def test_a_quota_is_kept_below_at_and_above_its_bound(app: Served, name: QuotaName) -> None:
    """An operator acts under it as well; another organization has its own; whoever takes one away has room again."""
    case, key = CASES[name], ADMIN
    if name == "scheduled_messages":
        app.call("POST", "/v1/accounts", {"phone_number_id": "sends", "access_token": "an-invented-token"})
    before = counted(app, name)
    had = {"accounts": len(app.world.store.registry().accounts)}.get(name, 0)
    made = [case.make(app, key, number) for number in range(BOUND - had)]
    assert {reply.status for reply in made} <= {201, 202}, [reply.body for reply in made]
    refused(case.make(app, key, BOUND), name)
    refused(case.make(app, key, BOUND + 1), name)
    assert counted(app, name) == before + 2
    another = app.organization()
    if name == "api_keys":
        assert app.call("POST", "/v1/api-keys", {"organization_id": another}).status == 201
        refused(app.call("POST", "/v1/api-keys", {}), name)
    assert case.remove(app, key, made[0].json["id"]).status < 300
    again = case.make(app, key, BOUND + 2)
    assert again.status in (201, 202), again.body
    refused(case.make(app, key, BOUND + 3), name)
    for reply in (*made[1:], again):
        assert case.remove(app, key, reply.json["id"]).status < 300


@pytest.mark.parametrize("name", CASES)
def test_no_race_goes_past_a_bound(app: Served, name: QuotaName) -> None:
    case = CASES[name]
    if name == "scheduled_messages":
        app.call("POST", "/v1/accounts", {"phone_number_id": "sends", "access_token": "an-invented-token"})
    had = {"accounts": len(app.world.store.registry().accounts)}.get(name, 0)
    with ThreadPoolExecutor(10) as pool:
        replies = list(pool.map(partial(case.make, app, ADMIN), range(100, 110)))
    made = [reply for reply in replies if reply.status in (201, 202)]
    assert len(made) == BOUND - had
    for reply in replies:
        if reply not in made:
            refused(reply, name)
    for reply in made:
        assert case.remove(app, ADMIN, reply.json["id"]).status < 300


def test_an_answer_that_was_kept_is_given_though_the_quota_is_used_up(app: Served) -> None:
    once = {"idempotency-key": "kept"}
    replies = [app.call("POST", "/v1/agents", {"name": "A", "kind": "human"}, headers=once) for _ in range(2)]
    others = [CASES["agents"].make(app, ADMIN, number) for number in range(BOUND)]
    refused(others[-1], "agents")
    assert app.call("POST", "/v1/agents", {"name": "A", "kind": "human"}, headers=once).json == replies[0].json
    for reply in (replies[0], *others[:-1]):
        app.call("DELETE", f"/v1/agents/{reply.json['id']}")


def test_keys_that_work_no_longer_do_not_count(app: Served) -> None:
    soon = {"name": "soon", "expires_at": "2026-05-06T03:40:00Z"}
    replies = [app.call("POST", "/v1/api-keys", soon) for _ in range(BOUND)]
    assert [reply.status for reply in replies] == [201] * BOUND
    refused(app.call("POST", "/v1/api-keys", {}), "api_keys")
    app.clock.move(3600 * 1_000_000)
    assert app.call("POST", "/v1/api-keys", {}).status == 201


# --- streams ----------------------------------------------------------------------------------------------------------


@contextmanager
def stream(app: Served, key: str = ADMIN) -> Iterator[http.client.HTTPResponse]:
    connection = app.connection()
    connection.request("GET", "/v1/events/stream", None, {"authorization": f"Bearer {key}"})
    answer = connection.getresponse()
    assert answer.status == 200
    answer.readline()
    try:
        yield answer
    finally:
        answer.close()
        connection.close()


def until(ready: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not ready():
        assert time.monotonic() < end


def test_streams_of_an_organization_have_a_quota_and_others_have_theirs(tmp_path: Path) -> None:
    with served(tmp_path, settings=FEW) as app:
        another = app.key("read", organization=app.organization())
        with ExitStack() as stack:
            for _ in range(BOUND):
                stack.enter_context(stream(app))
            reply = app.call("GET", "/v1/events/stream")
            refused(reply, "event_streams", 429)
            assert int(reply.headers["retry-after"]) > 0
            assert counted(app, "event_streams") == 1
            with stream(app, another):
                pass
        until(lambda: app.call("GET", "/v1/events/stream?last_event_id=nonsense").status == 404)
        with stream(app):
            pass


def test_all_share_the_servers_streams(tmp_path: Path) -> None:
    """One organization gets half of them, and the next one finds room."""
    with served(tmp_path, settings=replace(SETTINGS, quota_event_streams=1000)) as app, ExitStack() as stack:
        another = app.key("read", organization=app.organization())
        for _ in range(streams.MOST // 2):
            stack.enter_context(stream(app))
        assert app.call("GET", "/v1/events/stream").problem(503)
        stack.enter_context(stream(app, another))
