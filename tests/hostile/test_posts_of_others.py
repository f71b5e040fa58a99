"""A tenant whose account has an app secret of its own posts as much as it can: the others' POSTs do not wait for it,
and a few bytes of it do not fill the disk."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.processes import request
from tests.hostile.hostile_world import ADMIN_KEY, MIB, Target, serving
from tests.hostile.test_bodies import post
from tests.postgres_server import fresh_database

pytestmark = pytest.mark.alone

THEIRS, OURS = "900000000000001", "900000000000002"
_LONGEST = 3.0
"""Seconds that another tenant's POST may take beside a flood, on a machine that is busy otherwise; behind it they were
10 and a 503."""


@pytest.fixture(params=["sqlite", "postgres"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    key = base64.b64encode(bytes(32)).decode()
    url = fresh_database() if request.param == "postgres" else f"sqlite:///{tmp_path}/tellwire.db"
    with serving(tmp_path, DATABASE_URL=url, MASTER_KEY=key) as found:
        for number in (THEIRS, OURS):
            account(found, number)
        yield found


def account(target: Target, number: str) -> None:
    """An organization with one account, whose secret is its number."""
    status, made = target.call("/v1/organizations", method="POST", body={"name": number})
    assert status == 201, made
    status, answer = request(
        f"{target.url}/v1/accounts",
        key=ADMIN_KEY,
        method="POST",
        body={"phone_number_id": number, "app_secret": f"the secret of {number}"},
        headers={"Tellwire-Organization": made["id"]},
    )
    assert status == 201, answer


def body(number: str, *, field: str = "messages", **inside: Any) -> bytes:
    metadata = {"display_phone_number": "15550001111", "phone_number_id": number}
    value = {"messaging_product": "whatsapp", "metadata": metadata, **inside}
    entry = {"id": "1", "changes": [{"field": field, "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


def message(wamid: str, sender: str, text: str = "hello", **more: Any) -> dict[str, Any]:
    return {
        "from": sender,
        "id": wamid,
        "timestamp": "1790000000",
        "type": "text",
        "text": {"body": text},
        **more,
    }


def signed(target: Target, number: str, raw: bytes) -> int:
    return post(target, raw, secret=f"the secret of {number}")[0]


@contextmanager
def flooding(target: Target, bodies: Callable[[int], bytes], *, at_once: int) -> Iterator[None]:
    """So many POSTs of the other tenant at a time, until it is enough."""
    enough, made = threading.Event(), [bodies(number) for number in range(at_once)]

    def flood(raw: bytes) -> None:
        while not enough.is_set():
            signed(target, THEIRS, raw)

    with ThreadPoolExecutor(at_once) as pool:
        floods = [pool.submit(flood, raw) for raw in made]
        try:
            yield
        finally:
            enough.set()
            for each in floods:
                each.result()


FLOODS: dict[str, tuple[int, Callable[[int], bytes]]] = {
    "many people": (
        12,
        lambda n: body(THEIRS, messages=[message(f"wamid.{n}.{k}", f"1555{n:03d}{k:05d}") for k in range(3_000)]),
    ),
    "what is not understood": (12, lambda n: body(THEIRS, messages=[0] * 400_000)),
    "small POSTs": (
        100,
        lambda n: body(THEIRS, messages=[message(f"wamid.{n}.{k}", f"1555{n:03d}{k:05d}") for k in range(100)]),
    ),
}


@pytest.mark.parametrize("name", FLOODS)
def test_posts_of_one_organization_do_not_wait_for_those_of_another(target: Target, name: str) -> None:
    at_once, bodies = FLOODS[name]
    took: dict[str, list[float]] = {"small": [], "large": []}
    with flooding(target, bodies, at_once=at_once):
        until = time.monotonic() + 3
        while time.monotonic() < until:
            for kind, text in (("small", "x"), ("large", "x" * 20_000)):
                began = time.monotonic()
                wamid = f"wamid.{kind}.{len(took[kind])}"
                assert signed(target, OURS, body(OURS, messages=[message(wamid, "15557770001", text)])) == 200
                took[kind].append(time.monotonic() - began)
    assert max(took["small"]) <= _LONGEST, took
    assert max(took["large"]) <= _LONGEST, took


def test_small_posts_about_a_large_message_write_little(tmp_path: Path) -> None:
    with serving(tmp_path) as target:
        account(target, THEIRS)
        for size in (200_000, 3_900_000):
            echo = message(f"wamid.{size}", "15550001111", "x" * size, to="15551230001")
            assert signed(target, THEIRS, body(THEIRS, field="smb_message_echoes", message_echoes=[echo])) == 200
        before = on_disk(tmp_path)
        for number in range(40):
            status = {"timestamp": "1790000001", "recipient_id": "15551230001"}
            statuses = [
                {"id": f"wamid.{size}", "status": f"s{number}.{k}"} | status
                for size in (200_000, 3_900_000)
                for k in range(10)
            ]
            assert signed(target, THEIRS, body(THEIRS, statuses=statuses)) == 200
        assert on_disk(tmp_path) - before < 40 * 8 * MIB, (
            "a POST tells of one large row, in the file and its journal, not of ten"
        )


def test_a_message_that_large_posts_wait_for_holds_no_commit_up(target: Target) -> None:
    for number in range(30):
        taken_back: dict[str, Any] = {"from": "15551230001", "id": f"wamid.r{number}", "timestamp": "1790000001"}
        taken_back |= {"type": "revoke", "revoke": {"original_message_id": "wamid.1"}}
        assert signed(target, THEIRS, body(THEIRS, messages=[taken_back], pad="x" * 3_900_000)) == 200
    began = time.monotonic()
    assert signed(target, THEIRS, body(THEIRS, messages=[message("wamid.1", "15551230001")])) == 200
    assert time.monotonic() - began <= 0.5


def on_disk(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())
