"""Hosts and request ids."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellwire.errors import Busy
from tellwire.web.edge import LARGEST_BODY, Edge, host_of, request_id_of
from tellwire.web.places import PIECE, Places


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    """An app that is never called."""


def scope(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http", "path": "/livez", "headers": list(headers)}


@pytest.mark.parametrize(
    ("given_host", "host"),
    [
        (b"localhost", "localhost"),
        (b"LocalHost:8700", "localhost"),
        (b"127.0.0.1:8700", "127.0.0.1"),
        (b"[::1]:8700", "::1"),
        (b"[::1]", "::1"),
        (b"::1", ""),
        (b"a:b:c", ""),
        (b"a:123456", ""),
        (b"", ""),
        (b"[x]", ""),
    ],
)
def test_host_without_port(given_host: bytes, host: str) -> None:
    assert host_of(scope((b"host", given_host))) == host


def test_no_host_and_two_hosts_are_none() -> None:
    assert host_of(scope()) == ""
    assert host_of(scope((b"host", b"a"), (b"host", b"a"))) == ""


@given(st.binary(max_size=50))
def test_any_host_header_is_read(value: bytes) -> None:
    assert isinstance(host_of(scope((b"host", value))), str)


@pytest.mark.parametrize(
    ("allowed", "host", "admitted"),
    [
        (["localhost"], "localhost", True),
        (["Localhost"], "localhost", True),
        (["localhost"], "localhost.evil.example", False),
        (["*.example.org"], "a.example.org", True),
        (["*.example.org"], "a.b.example.org", True),
        (["*.example.org"], "example.org", False),
        (["*.example.org"], "badexample.org", False),
        (["::1"], "::1", True),
        (["[::1]"], "::1", True),
        (["*"], "anything", True),
        (["*"], "", True),
        (["localhost"], "", False),
        ([], "localhost", False),
    ],
)
def test_admitted_hosts(allowed: list[str], host: str, admitted: bool) -> None:
    assert Edge(_nothing, allowed).admits(host) == admitted


@given(st.text(max_size=30))
def test_nobody_else_is_admitted(host: str) -> None:
    assert Edge(_nothing, ["api.example.com"]).admits(host) == (host == "api.example.com")


@given(st.binary(max_size=200))
def test_any_request_id_is_kept_or_replaced(value: bytes) -> None:
    found = request_id_of(scope((b"x-request-id", value)))
    assert found == value.decode("latin-1") or found.startswith("req_")
    assert found.isascii()
    assert found.isprintable()
    assert 1 <= len(found) <= 128


def test_bodies_of_all_requests_have_a_bound_together_which_organizations_share() -> None:
    """A file counts as much as is collected of a body, because it is stored as it comes."""
    refused: list[tuple[str, int]] = []
    shared = Places()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        shared.take(scope, scope["who"])
        try:
            await receive()
        except Busy:
            refused.append((scope["who"], scope["size"]))
        await scope["until"].wait()

    async def request(edge: Edge, who: str, size: int, until: asyncio.Event) -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": bytes(size), "more_body": True}

        made = {"type": "http", "path": "/livez", "headers": [], "who": who, "size": size, "until": until}
        await edge(made, receive, _nothing_sent)

    async def work() -> None:
        edge, later, now = Edge(app, ["*"], most_held=4 * LARGEST_BODY), asyncio.Event(), asyncio.Event()
        now.set()
        held = [asyncio.ensure_future(request(edge, "greedy", size * LARGEST_BODY, later)) for size in (1, 5)]
        await asyncio.sleep(0)
        assert refused == []
        await request(edge, "greedy", 1, now)
        assert refused == [("greedy", 1)]
        await request(edge, "another", LARGEST_BODY, now)
        assert refused == [("greedy", 1)]
        later.set()
        await asyncio.gather(*held)
        await request(edge, "greedy", LARGEST_BODY, now)
        assert refused == [("greedy", 1)]
        assert shared.requests.admits("greedy")
        assert not shared.requests.has("greedy")

    asyncio.run(work())


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 7])
def test_an_answer_is_sent_in_pieces_and_whole(size: int) -> None:
    body, sent = bytes(range(256)) * (size // 256 + 1), list[Any]()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body[:size], "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Edge(app, ["*"])(scope(), _nothing_received, send))
    start, *pieces = sent
    assert start["status"] == 200
    assert b"".join(each.get("body", b"") for each in pieces) == body[:size]
    assert all(len(each.get("body", b"")) <= PIECE for each in pieces)
    assert [each.get("more_body", False) for each in pieces] == [True] * (len(pieces) - 1) + [False]


def test_answers_that_wait_for_their_clients_have_a_bound_which_organizations_share() -> None:
    shared, statuses, free = Places(answers=4 * PIECE), list[int](), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        shared.take(scope, scope["who"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": bytes(scope["size"])})

    async def slow(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])
        else:
            await free.wait()

    async def request(edge: Edge, who: str, size: int) -> None:
        made = {"type": "http", "path": "/livez", "headers": [], "who": who, "size": size}
        await edge(made, _nothing_received, slow)

    async def work() -> None:
        edge = Edge(app, ["*"])
        asked = [("greedy", 3 * PIECE), ("greedy", 2 * PIECE), ("greedy", PIECE), ("another", 2 * PIECE)]
        waiting = [asyncio.ensure_future(request(edge, who, size)) for who, size in asked]
        await asyncio.sleep(0)
        assert statuses == [200, 503, 200, 200]
        free.set()
        await asyncio.gather(*waiting)
        await request(edge, "greedy", 3 * PIECE)
        assert statuses[4:] == [200]

    asyncio.run(work())


def test_a_body_that_stalls_gives_way_to_another() -> None:
    ended: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            while (await receive())["more_body"]:
                pass
        except Busy:
            ended.append(f"{scope['name']} is given up")
            return
        ended.append(f"{scope['name']} is there")

    async def request(edge: Edge, name: str, *, stalls: bool) -> None:
        pieces = 0

        async def receive() -> dict[str, Any]:
            nonlocal pieces
            pieces += 1
            if stalls and pieces > 1:
                await asyncio.Event().wait()
            return {"type": "http.request", "body": bytes(LARGEST_BODY // 2), "more_body": pieces < 2}

        made = {"type": "http", "path": "/livez", "headers": [], "name": name}
        await edge(made, receive, _nothing_sent)

    async def work() -> None:
        edge = Edge(app, ["*"], most_held=LARGEST_BODY)
        stalled = [asyncio.ensure_future(request(edge, name, stalls=True)) for name in ("the first", "the second")]
        await asyncio.sleep(0)
        await request(edge, "the third", stalls=False)
        await asyncio.wait_for(asyncio.gather(*stalled), 5)
        assert sorted(ended) == ["the first is given up", "the second is given up", "the third is there"]

    asyncio.run(work())


def test_requests_of_an_organization_that_are_under_way_have_a_bound() -> None:
    shared, made = Places(requests=4), list[dict[str, Any]]()

    def take(who: str) -> None:
        made.append({"state": {}})
        shared.take(made[-1], who)

    take("greedy")
    take("greedy")
    with pytest.raises(Busy):
        take("greedy")
    take("another")


async def _nothing_received() -> Any:
    """Where a request would come from."""
    return {"type": "http.disconnect"}


async def _nothing_sent(message: Any) -> None:
    """Where an answer would go."""
