"""Whatever a signed body of 4 MiB holds, it stops nobody: everybody else is answered meanwhile, and Meta is never told
to send it again."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.hostile.bodies import LARGEST, NUMBER, SHAPES, WABA, envelope
from tests.hostile.hostile_world import APP_SECRET, MIB, Target, serving
from tests.postgres_server import fresh_database

pytestmark = pytest.mark.alone

_STALLED = 0.1
"""Seconds that the loop may be held. A machine that is busy otherwise adds to it: the best of a few runs counts."""
_TRIES = 4
_WRONGLY_SIGNED = 0.02
"""Seconds of CPU that a body with a signature of nobody may cost; the best of as many tries counts."""
_ON_DISK = 40
"""How many times its own size a body may take on disk."""


ON_POSTGRES = (
    "zeros for messages",
    "the same message again and again",
    "messages of many people",
    "reactions to one message",
    "revokes of one message",
    "statuses of one message",
    "statuses of many messages",
    "history of one thread",
)
"""What is read is read alike over every store; these are what a store has to do most for."""


def post(target: Target, body: bytes, *, secret: str = APP_SECRET) -> tuple[int, bytes]:
    """Send a POST as Meta does."""
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=60)
    try:
        connection.request("POST", "/meta/webhook", body, {"X-Hub-Signature-256": f"sha256={signature}"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


class Probe:
    """Asks `/livez` all the time over one connection, and knows the longest that an answer took."""

    def __init__(self, target: Target) -> None:
        self.longest = 0.0
        self._connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=60)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def _ask(self) -> None:
        while not self._stopped.is_set():
            began = time.perf_counter()
            self._connection.request("GET", "/livez")
            assert self._connection.getresponse().read()
            self.longest = max(self.longest, time.perf_counter() - began)
            self._stopped.wait(0.001)
        self._connection.close()

    @contextmanager
    def running(self) -> Iterator[Probe]:
        self._thread.start()
        try:
            yield self
        finally:
            self._stopped.set()
            self._thread.join()


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with serving(tmp_path_factory.mktemp("bodies")) as found:
        yield with_account(found)


@pytest.fixture(scope="module")
def target_on_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    key = base64.b64encode(bytes(32)).decode()
    with serving(tmp_path_factory.mktemp("bodies"), DATABASE_URL=fresh_database(), MASTER_KEY=key) as found:
        yield with_account(found)


def with_account(target: Target) -> Target:
    """The same, with the account that the bodies are for."""
    status, _ = target.call("/v1/accounts", method="POST", body={"phone_number_id": NUMBER, "waba_id": WABA})
    assert status == 201
    return target


@pytest.mark.parametrize("name", SHAPES)
def test_a_signed_body_holds_nobody_up(target: Target, name: str) -> None:
    _holds_nobody_up(target, name)


@pytest.mark.parametrize("name", ON_POSTGRES)
def test_a_signed_body_holds_nobody_up_on_postgres(target_on_postgres: Target, name: str) -> None:
    _holds_nobody_up(target_on_postgres, name)


def _holds_nobody_up(target: Target, name: str) -> None:
    body = SHAPES[name]()
    assert len(body) <= LARGEST
    longest: list[float] = []
    while len(longest) < _TRIES and (not longest or min(longest) > _STALLED):
        with Probe(target).running() as probe:
            status, answer = post(target, body)
        assert status in (200, 400), answer
        longest.append(probe.longest)
    assert min(longest) <= _STALLED, longest


def test_a_wrongly_signed_body_costs_little_however_many_accounts_hold_secrets(target: Target) -> None:
    for number in range(200):
        account = {"phone_number_id": f"2{number:05d}", "app_secret": f"the secret of account {number}"}
        assert target.call("/v1/accounts", method="POST", body=account)[0] == 201
    names = b",".join(b'"2%05d"' % number for number in range(200))
    body = envelope(b'"messages":[%b]' % names).ljust(LARGEST)
    assert post(target, body, secret="nobody's")[0] == 401
    seconds: list[float] = []
    while len(seconds) < _TRIES and (not seconds or min(seconds) > _WRONGLY_SIGNED):
        before, sent = target.cpu(), 20
        for _ in range(sent):
            assert post(target, body, secret="nobody's")[0] == 401
        seconds.append((target.cpu() - before) / sent)
    assert min(seconds) <= _WRONGLY_SIGNED, seconds
    assert post(target, body, secret="the secret of account 1")[0] == 200


def test_what_follows_the_first_items_is_one_that_is_not_understood(tmp_path: Path) -> None:
    body = SHAPES["a message, then zeros"]()
    with serving(tmp_path, AUTO_ACCOUNTS="true") as target:
        assert post(target, body)[0] == 200
        (message,) = target.call("/v1/messages")[1]["data"]
        assert message["content"]["text"] == {"body": "hello"}
        status, listed = target.call("/v1/inbound?outcome=not_understood")
        assert status == 200
        assert len(json.dumps(listed)) < MIB
        folder = sum(each.stat().st_size for each in tmp_path.iterdir() if each.is_file())
        assert folder < _ON_DISK * LARGEST
