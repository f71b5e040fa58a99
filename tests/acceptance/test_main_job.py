"""From Meta's webhook to both payloads, delivered: the promises of the main job, with real processes.

The harness (`processes`) is shared with the command line's tests; payloads are of `tests.world`'s invented people.
"""

from __future__ import annotations

import base64
import json
import resource
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.processes import ROOT, Running, catching, every, logged_url, request, running, until
from tests.postgres_server import drop_database, fresh_database
from tests.world import contact, envelope, incoming, text_message, value

import tellwire_sdk
from tellwire.cli.dev.catcher import Catch

ADMIN = "an-invented-admin-key-for-these-tests"
SECRET = "an-app-secret-for-tests"
SECRETS = {"row": "a row secret of ours", "chat": "a chat secret of ours"}
CORPUS = ROOT.parent / "shared" / "corpus"


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The settings of a fresh database of each kind."""
    if request.param == "sqlite":
        yield {}
        return
    url = fresh_database(migrated=False)
    yield {"DATABASE_URL": url, "MASTER_KEY": base64.b64encode(bytes(32)).decode()}
    drop_database(url)


@contextmanager
def serving(folder: Path, *more: str, **settings: str) -> Iterator[tuple[str, Running]]:
    ours = {
        "PORT": "0",
        "ADMIN_KEY": ADMIN,
        "META_APP_SECRET": SECRET,
        "AUTO_ACCOUNTS": "true",
        "DELIVERY_ALLOW_CIDRS": "127.0.0.0/8",
    }
    with running("serve", "--migrate", *more, cwd=folder, **{**ours, **settings}) as server:
        yield server.wait_for(logged_url, stream="err"), server


def post(url: str, body: Any) -> tuple[int, Any]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"X-Hub-Signature-256": tellwire_sdk.hub_signature(raw, SECRET)}
    return request(f"{url}/meta/webhook", method="POST", body=raw, headers=headers)


def subscribe(url: str, target: str) -> None:
    for name, secret in SECRETS.items():
        draft = {"url": f"{target}/{name}", "format": name, "secret": secret}
        status, answer = request(f"{url}/v1/webhook-endpoints", key=ADMIN, method="POST", body=draft)
        assert status == 201, answer


def inserts(catches: list[Catch], name: str) -> Counter[str]:
    """How often each message row came as an insert, with distinct webhook-ids."""
    seen = {
        (catch.message_id, catch.webhook_id)
        for catch in list(catches)
        if catch.format == name and catch.event == "messages.insert"
    }
    return Counter(message_id for message_id, _ in seen)


def test_a_thousand_updates_two_hundred_first_messages_and_three_megabytes_then_kill_9(
    tmp_path: Path, store: dict[str, str]
) -> None:
    batch = envelope(value(contacts=[contact("111", "One")], messages=[
        text_message(f"wamid.batch.{n}", f"update {n}", sender="111") for n in range(1000)
    ]))  # fmt: skip
    large = envelope(incoming("wamid.large", "x" * 3_000_000, sender="333", name="Three"))
    with catching(SECRETS) as (target, catches):
        with serving(tmp_path, **store) as (url, server):
            subscribe(url, target)
            assert post(url, batch)[0] == 200
            with ThreadPoolExecutor(50) as pool:
                bodies = [envelope(incoming(f"wamid.first.{n}", sender="222", name="Two")) for n in range(200)]
                assert {status for status, _ in pool.map(lambda body: post(url, body), bodies)} == {200}
            assert post(url, large)[0] == 200
            server.process.send_signal(signal.SIGKILL)
            server.process.wait(60)
        with serving(tmp_path, **store) as (url, _):
            until(lambda: all(len(inserts(catches, name)) == 1201 for name in SECRETS), what="every message")
            conversations = every(url, "conversations", key=ADMIN)
    assert Counter(row["contact_address"] for row in conversations) == {"111": 1, "222": 1, "333": 1}
    assert [catch.error for catch in catches if catch.error] == []
    for name in SECRETS:
        assert set(inserts(catches, name).values()) == {1}, "one event a message and endpoint, whatever the repeats"
    numbers = [
        catch.payload.to_payload()["data"]["content"]["text"]["body"]
        for catch in catches
        if catch.format == "row" and catch.payload and b"wamid.batch" in catch.body
    ]
    assert list(dict.fromkeys(numbers)) == [f"update {n}" for n in range(1000)], "in order"


def test_a_disk_that_is_full_answers_503_and_recovers_without_a_restart(tmp_path: Path) -> None:
    with catching(SECRETS) as (target, catches), serving(tmp_path) as (url, server):
        subscribe(url, target)
        assert post(url, envelope(incoming("wamid.before")))[0] == 200
        limits = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (1024, limits[1]))
        refused, problem = post(url, envelope(incoming("wamid.refused")))
        assert refused == 503
        assert problem["status"] == 503
        assert request(f"{url}/readyz")[0] == 503
        server.wait_for(lambda lines: [line for line in lines if "store_cannot_commit" in line] or None, stream="err")
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, limits)
        until(lambda: post(url, envelope(incoming("wamid.after")))[0] == 200, what="a 200 once there is space")
        until(lambda: request(f"{url}/readyz")[0] == 200, what="readiness")
        until(lambda: len(inserts(catches, "chat")) == 2, what="both accepted messages")
        wamids = {row["wa_id"] for row in every(url, "messages", key=ADMIN)}
    assert wamids == {"wamid.before", "wamid.after"}


def distinct(body: bytes, number: int) -> bytes:
    """The same POST with wamids of its own: many in the collection repeat."""
    return body.replace(b'"wamid.', b'"wamid.%03d.' % number)


def nothing_waits(url: str) -> bool:
    """Whether every item whose account was made has been applied."""
    accounts = every(url, "accounts", key=ADMIN)
    known = {account[name] for account in accounts for name in ("phone_number_id", "waba_id") if account[name]}
    for kept in every(url, "inbound", key=ADMIN):
        waiting = [item for item in kept["items"] if item["outcome"] == "unrouted"]
        entries = request(f"{url}/v1/inbound/{kept['id']}", key=ADMIN)[1]["body"]["entry"] if waiting else []
        for item in waiting:
            if known & {item["phone_number_id"], str(entries[int(item["pointer"].split("/")[2])].get("id"))}:
                return False
    return True


@pytest.mark.skipif(not CORPUS.is_dir(), reason="no collection of real payloads beside the checkout")
def test_real_payloads_reach_both_formats_exactly_once_and_a_second_round_changes_nothing(
    tmp_path: Path, store: dict[str, str]
) -> None:
    bodies = [distinct(path.read_bytes(), n) for n, path in enumerate(sorted(CORPUS.rglob("*.json")))]
    with catching(SECRETS) as (target, catches), serving(tmp_path, **store) as (url, _):
        subscribe(url, target)
        assert {post(url, body)[0] for body in bodies} == {200}
        until(lambda: nothing_waits(url), what="what came before its account was made")
        rows = every(url, "messages", key=ADMIN)
        events = every(url, "events", key=ADMIN)
        expected = {row["id"] for row in rows}
        until(lambda: set(inserts(catches, "row")) == expected, what="every message as a row")
        chats = {c.message_id for c in catches if c.format == "chat"}
        until(lambda: {c.message_id for c in list(catches) if c.format == "chat"} == expected, what="every chat")
        assert chats <= expected
        deliveries = every(url, "deliveries", key=ADMIN)
        until(lambda: len(catches) == len(deliveries), what="every delivery")
        assert {post(url, body)[0] for body in bodies} == {200}
        assert len(every(url, "events", key=ADMIN)) == len(events)
        assert len(every(url, "deliveries", key=ADMIN)) == len(deliveries)
        assert every(url, "messages", key=ADMIN) == rows
    wamids = Counter((row["organization_id"], row["wa_id"]) for row in rows)
    assert set(wamids.values()) == {1}
    assert set(inserts(catches, "row").values()) == set(inserts(catches, "chat").values()) == {1}
    assert [catch.error for catch in catches if catch.error] == []
    assert len(catches) == len(deliveries)


def test_the_second_server_finds_what_the_first_one_left(tmp_path: Path, store: dict[str, str]) -> None:
    """A receiver that is down keeps its deliveries waiting, in order, over a restart."""
    with catching(SECRETS) as (target, _):
        pass
    with serving(tmp_path, RETRY_SCHEDULE="0.2,0.2,0.2,60", **store) as (url, server):
        draft = {"url": f"{target}/row", "format": "row", "secret": SECRETS["row"]}
        assert request(f"{url}/v1/webhook-endpoints", key=ADMIN, method="POST", body=draft)[0] == 201
        for n in range(5):
            assert post(url, envelope(incoming(f"wamid.{n}")))[0] == 200
        until(
            lambda: [d for d in every(url, "deliveries", key=ADMIN) if d["attempt_count"]] or None,
            what="a first attempt",
        )
        assert server.stop(signal.SIGTERM) == 0
    with serving(tmp_path, **store) as (url, _):
        waiting = [d for d in every(url, "deliveries", key=ADMIN) if d["state"] in ("pending", "retrying")]
        assert len(waiting) == 6
