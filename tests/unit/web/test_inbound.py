"""The hot path's limits, over bare ASGI: how much waits at once, how long, and what is let go of."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.served import SETTINGS, Outside, services_of, sign
from tests.world import DAY, SetClock, World

from tellwire.errors import Unavailable
from tellwire.model.inbound import Inbound, Outcome, SpeaksFor
from tellwire.model.registry import Registry
from tellwire.model.tenancy import Account
from tellwire.web.inbound import AccountSecrets, InboundRoute, Signer
from tellwire.web.operations.figures import Meters
from tellwire.web.post_intake import BodyLimits

BODY = b'{"entry": []}'
HEADERS = [(b"x-hub-signature-256", b"sha256=" + sign(BODY).encode())]
SCOPE = {
    "type": "http",
    "method": "POST",
    "path": "/meta/webhook",
    "query_string": b"",
    "headers": HEADERS,
}


class Stalling:
    """An ingest that waits until it is let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.came = asyncio.Event()
        self.error: Exception | None = None

    async def receive(self, body: bytes, speaks_for: SpeaksFor, *, whose: str = "") -> Inbound:
        self.came.set()
        await self.go.wait()
        if self.error is not None:
            raise self.error
        return Inbound(id="", received_at=0, body=body, outcome=Outcome.RECORDED, speaks_for=speaks_for)


class Post:
    """A POST whose body comes piece by piece."""

    def __init__(self, route: InboundRoute, *pieces: bytes, ends: bool = True) -> None:
        self._pieces: Iterator[bytes] = iter(pieces)
        self._left = len(pieces)
        self._ends = ends
        self.sent: list[Any] = []
        self.stuck = asyncio.Event()
        self.task = asyncio.ensure_future(route(dict(SCOPE), self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        piece = next(self._pieces, None)
        if piece is None:
            self.stuck.set()
            await asyncio.Event().wait()
        self._left -= 1
        return {"type": "http.request", "body": piece, "more_body": self._left > 0 or not self._ends}

    async def _send(self, message: Any) -> None:
        self.sent.append(message)

    async def status(self) -> int:
        await asyncio.wait_for(self.task, 20)
        return int(self.sent[0]["status"])

    @property
    def detail(self) -> str:
        return str(json.loads(self.sent[1]["body"])["detail"])


def over(tmp_path: Path, limits: BodyLimits, scenario: Callable[[InboundRoute, Stalling], Awaitable[None]]) -> None:
    """Run a scenario over a route whose ingest stalls."""

    async def run() -> None:
        world = World(tmp_path / "world.db", SetClock(), DAY, auto_accounts=True)
        await world.store.open()
        try:
            ingest = Stalling()
            services = replace(services_of(world, Outside(), SETTINGS), ingest=ingest)
            await scenario(InboundRoute(services, Meters(services), limits), ingest)
        finally:
            await world.store.close()

    asyncio.run(run())


def test_too_many_waiting_is_503_until_some_are_done(tmp_path: Path) -> None:
    async def scenario(route: InboundRoute, ingest: Stalling) -> None:
        first = Post(route, BODY)
        await ingest.came.wait()
        second = Post(route, BODY)
        assert await second.status() == 503
        assert second.detail == "Too many POSTs are waiting."
        ingest.go.set()
        assert await first.status() == 200
        assert await Post(route, BODY).status() == 200

    over(tmp_path, BodyLimits(waiting=1), scenario)


def test_too_many_bytes_is_503_until_some_are_done(tmp_path: Path) -> None:
    async def scenario(route: InboundRoute, ingest: Stalling) -> None:
        first = Post(route, BODY)
        await ingest.came.wait()
        second = Post(route, BODY)
        assert await second.status() == 503
        assert second.detail == "Too many bytes are waiting."
        ingest.go.set()
        assert await first.status() == 200
        assert await Post(route, BODY).status() == 200

    over(tmp_path, BodyLimits(held=2 * len(BODY) - 1, small=0), scenario)


def test_slow_large_bodies_keep_no_usual_post_out(tmp_path: Path) -> None:
    async def scenario(route: InboundRoute, ingest: Stalling) -> None:
        ingest.go.set()
        slow = Post(route, b"x" * 2 * len(BODY), ends=False)
        await slow.stuck.wait()
        assert await Post(route, BODY).status() == 200
        assert await slow.status() == 408

    over(tmp_path, BodyLimits(seconds=0.2, waiting=1, held=len(BODY), small=len(BODY)), scenario)


def test_the_body_that_stalls_for_longest_gives_way(tmp_path: Path) -> None:
    async def scenario(route: InboundRoute, ingest: Stalling) -> None:
        ingest.go.set()
        stalled = [Post(route, BODY, ends=False) for _ in range(3)]
        for each in stalled:
            await each.stuck.wait()
        assert await Post(route, BODY[:1], BODY[1:]).status() == 200
        assert await stalled[0].status() == 503
        assert stalled[0].detail == "Too many bytes are waiting."
        assert await route.accept_complete(HEADERS, BODY) is None
        assert [each.task.done() for each in stalled] == [True, False, False]
        for each in stalled[1:]:
            each.task.cancel()

    over(tmp_path, BodyLimits(held=3 * len(BODY), small=0), scenario)


def test_body_that_does_not_come_is_given_up_and_let_go_of(tmp_path: Path) -> None:
    async def scenario(route: InboundRoute, ingest: Stalling) -> None:
        slow = Post(route, b"x" * len(BODY), ends=False)
        assert await slow.status() == 408
        assert (b"connection", b"close") in slow.sent[0]["headers"]
        ingest.go.set()
        assert await Post(route, BODY).status() == 200

    over(tmp_path, BodyLimits(seconds=0.05, waiting=1, held=len(BODY), small=0), scenario)


def test_post_that_is_not_durable_in_time_is_503_and_no_longer_waited_for(tmp_path: Path) -> None:
    async def scenario(route: InboundRoute, ingest: Stalling) -> None:
        late = Post(route, BODY)
        assert await late.status() == 503
        assert late.detail == "This was not durable within 0.05 s."
        assert route._meters.waits.count == 0
        ingest.go.set()
        assert await Post(route, BODY).status() == 200

    over(tmp_path, BodyLimits(commit_seconds=0.05, waiting=1, held=len(BODY), small=0), scenario)


def test_what_waits_is_known_by_number_and_age(tmp_path: Path) -> None:
    async def scenario(route: InboundRoute, ingest: Stalling) -> None:
        waits = route._meters.waits
        assert (waits.count, waits.longest, waits.most) == (0, 0.0, 7)
        first = Post(route, BODY)
        await ingest.came.wait()
        one = waits.longest
        await asyncio.sleep(0)
        assert waits.count == 1
        assert waits.longest >= one >= 0
        ingest.go.set()
        assert await first.status() == 200
        assert waits.count == 0

    over(tmp_path, BodyLimits(waiting=7), scenario)


@pytest.mark.parametrize("pieces", [[BODY], [BODY[:1], BODY[1:]], [b"", BODY, b""], [bytes([b]) for b in BODY]])
def test_body_may_come_in_pieces(tmp_path: Path, pieces: list[bytes]) -> None:
    async def scenario(route: InboundRoute, ingest: Stalling) -> None:
        ingest.go.set()
        assert await Post(route, *pieces).status() == 200

    over(tmp_path, BodyLimits(), scenario)


def test_body_above_the_limit_is_413_though_it_comes_in_pieces(tmp_path: Path) -> None:
    async def scenario(route: InboundRoute, ingest: Stalling) -> None:
        assert await Post(route, *[b"x"] * 30).status() == 413

    over(tmp_path, BodyLimits(largest=29), scenario)


def test_failing_ingest_lets_go_too(tmp_path: Path) -> None:
    async def scenario(route: InboundRoute, ingest: Stalling) -> None:
        ingest.go.set()
        ingest.error = Unavailable("full")
        assert await Post(route, BODY).status() == 503
        ingest.error = None
        assert await Post(route, BODY).status() == 200

    over(tmp_path, BodyLimits(waiting=1, held=len(BODY)), scenario)


# --- secrets of accounts ----------------------------------------------------------------------------------------------


def _secrets(*accounts: Account) -> AccountSecrets:
    secrets = AccountSecrets()
    secrets.update(Registry(version=1, accounts={a.phone_number_id: a for a in accounts}, endpoints={}))
    return secrets


def _account(number: str, secret: str, waba: str = "") -> Account:
    return Account(
        id=f"id-{number}", organization_id=f"of-{number}", phone_number_id=number, app_secret=secret, waba_id=waba
    )


@pytest.mark.parametrize("others", [0, 100], ids=["few", "many"])
def test_only_secrets_of_accounts_that_a_body_names_are_tried(others: int) -> None:
    more = [_account(f"9{index:05}", "x") for index in range(others)]
    secrets = _secrets(_account("111", "a"), _account("222", "b", "77"), _account("333", "b", "77"), *more)
    assert secrets.named_in(b'{"phone_number_id":"111"}') == [
        ("a", Signer(SpeaksFor(account_ids=("id-111",)), "of-111"))
    ]
    ((secret, signer),) = secrets.named_in(b'{"entry":[{"id":"77"}]}')
    assert (secret, sorted(signer.speaks_for.account_ids)) == ("b", ["id-222", "id-333"])
    assert secrets.named_in(b'{"entry":[]}') == []
    assert secrets.named_in(b"\xff\x00") == []


def test_few_secrets_are_tried_for_a_large_body() -> None:
    accounts = [
        Account(id=f"id-{n}", organization_id="o", phone_number_id=f"{n}", app_secret=f"s{n}") for n in range(200)
    ]
    for some in (accounts[:8], accounts):
        secrets = _secrets(*some)
        ids = [account.phone_number_id.encode() for account in some]
        names = b",".join(b'"%b"' % each for each in ids)
        assert len(secrets.named_in(b"[%b]" % names)) == len(some)
        assert [secret for secret, _ in secrets.named_in(b"[%b]" % names + b" " * 4_000_000)] == ["s0", "s1"]
        assert secrets.named_in(b" " * 2_000_000 + b'"5"' + b" " * 2_000_000) == []
        assert [secret for secret, _ in secrets.named_in(b" " * 4_000_000 + b'"5"')] == ["s5"]


def test_a_small_body_that_names_very_many_accounts_is_not_tried_with_all_their_secrets() -> None:
    secrets = _secrets(*[_account(f"{number}", f"s{number}", "77") for number in range(5000)])
    assert len(secrets.named_in(b'"77"')) == 8 * 1024 // 8


def test_accounts_without_a_secret_have_none() -> None:
    assert not _secrets(_account("111", "")).any
    assert _secrets(_account("111", "a")).any
