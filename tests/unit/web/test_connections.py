"""Which connections are open, which makes room for a new one, and which is given up: by a clock of the test's."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.web.connection_world import SMALL, Wired, deaf

from tellwire.web.bounds import ConnectionCaps

HEAD = b"GET /a HTTP/1.1\r\nHost: x"
BODY = b"POST /a HTTP/1.1\r\nContent-Length: 20000\r\n\r\nx"
CAPS = ConnectionCaps(4, 3)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


async def stuck(scope: Any, receive: Any, send: Any) -> None:
    """Never answer."""
    await asyncio.Event().wait()


def statuses(wired: Wired) -> list[int]:
    return [status for status, _ in wired.answers()]


# --- deadlines --------------------------------------------------------------------------------------------------------


def test_a_head_has_ten_seconds() -> None:
    async def work() -> None:
        wired = Wired()
        wired.protocol.look(100.0)
        await wired.give(HEAD)
        wired.protocol.look(105.0)
        await wired.give(b"more")
        wired.protocol.look(109.9)
        assert not wired.wire.ended
        wired.protocol.look(110.0)
        assert statuses(wired) == [408]
        assert (wired.closed, wired.wire.ended) == ({"head_timeout": 1}, True)

    run(work())


def test_a_silent_connection_is_closed_without_an_answer() -> None:
    async def work() -> None:
        wired = Wired()
        wired.protocol.look(100.0)
        await wired.give(b"\r\n\r\n")
        wired.protocol.look(110.0)
        assert (bytes(wired.wire.out), wired.wire.closing, wired.closed) == (b"", True, {"head_timeout": 1})

    run(work())


def test_between_two_requests_there_is_more_time() -> None:
    async def work() -> None:
        wired = Wired()
        await wired.give(HEAD + b"\r\n\r\n")
        wired.protocol.look(100.0)
        wired.protocol.look(174.0)
        await wired.give(HEAD)
        wired.protocol.look(174.5)
        wired.protocol.look(184.0)
        assert not wired.wire.ended
        wired.protocol.look(184.5)
        assert statuses(wired) == [200, 408]

        wired = Wired()
        await wired.give(HEAD + b"\r\n\r\n")
        wired.protocol.look(100.0)
        wired.protocol.look(175.0)
        assert (wired.wire.closing, statuses(wired), wired.closed) == (True, [200], {})

    run(work())


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_drips_is_408_and_the_app_is_told(chunked: bool) -> None:
    async def work() -> None:
        wired = Wired()
        start = b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" if chunked else BODY
        await wired.give(start)
        wired.protocol.look(100.0)
        for second in range(1, 10):
            await wired.give(b"1\r\nx\r\n" if chunked else b"xxxxxx")
            wired.protocol.look(100.0 + second)
        assert not wired.wire.ended
        wired.protocol.look(110.0)
        assert (statuses(wired), wired.wire.ended, wired.closed) == ([408], True, {"body_timeout": 1})
        await wired.give(b"x" * 100)
        assert statuses(wired) == [408]

    run(work())


def test_a_body_that_is_not_read_here_is_not_late() -> None:
    async def work() -> None:
        wired = Wired(stuck, replace(SMALL, linger=10**6))
        await wired.give(b"POST /a HTTP/1.1\r\nContent-Length: 200000\r\n\r\n" + b"x" * 100_000)
        assert wired.wire.paused
        for second in range(100):
            wired.protocol.look(100.0 + second)
        assert not wired.wire.ended

    run(work())


def test_who_waits_for_100_continue_is_not_late() -> None:
    async def work() -> None:
        wired = Wired(stuck)
        await wired.give(b"POST /a HTTP/1.1\r\nContent-Length: 20\r\nExpect: 100-continue\r\n\r\n")
        for second in range(100):
            wired.protocol.look(100.0 + second)
        assert not wired.wire.ended

    run(work())


def test_a_body_that_drips_after_the_answer_ends_the_connection_without_another() -> None:
    async def work() -> None:
        wired = Wired(deaf)
        await wired.give(BODY)
        wired.protocol.look(100.0)
        wired.protocol.look(110.0)
        assert (statuses(wired), wired.wire.closing, wired.closed) == ([200], True, {"body_timeout": 1})

    run(work())


def test_a_request_in_progress_has_all_the_time_it_needs() -> None:
    async def work() -> None:
        wired = Wired(stuck)
        await wired.give(HEAD + b"\r\n\r\n" + HEAD)
        for second in range(0, 10_000, 100):
            wired.protocol.look(100.0 + second)
        assert not wired.wire.closing

    run(work())


def test_a_client_that_does_not_read_is_dropped() -> None:
    async def work() -> None:
        wired = Wired()
        wired.wire.stuck = 100_000
        wired.protocol.pause_writing()
        for second in range(29):
            wired.protocol.look(100.0 + second)
        wired.wire.stuck -= 2000
        wired.protocol.look(129.0)
        wired.protocol.look(158.0)
        assert not wired.wire.closing
        wired.protocol.look(159.0)
        assert (wired.wire.closing, wired.closed) == (True, {"slow_reader": 1})

    run(work())


def test_a_closed_connection_that_cannot_be_emptied_is_dropped() -> None:
    async def work() -> None:
        wired = Wired()
        wired.wire.stuck = 500
        wired.wire.close()
        wired.protocol.look(100.0)
        wired.protocol.look(130.0)
        assert wired.closed == {"slow_reader": 1}

    run(work())


def test_after_a_refusal_a_client_has_a_moment_to_read_it() -> None:
    async def work() -> None:
        wired = Wired()
        await wired.give(b"nonsense")
        wired.protocol.look(100.0)
        await wired.give(b"x" * SMALL.linger)
        wired.protocol.look(101.9)
        assert not wired.wire.closing
        wired.protocol.look(102.0)
        assert wired.wire.closing

        wired = Wired()
        await wired.give(b"nonsense", b"x" * SMALL.linger, b"x")
        assert wired.wire.closing

    run(work())


# --- caps -------------------------------------------------------------------------------------------------------------


def test_the_connection_that_is_idle_longest_makes_room() -> None:
    async def work() -> None:
        wired = Wired(caps=CAPS)
        others = [wired.connect(f"192.0.2.{number}") for number in range(2, 5)]
        await wired.give(HEAD + b"\r\n\r\n")  # its request makes it the youngest
        for wire, _ in others:
            assert wired.connections.make_room(wired.connections.peer("192.0.2.9")) is None
            assert wire.closing
            wired.connect("192.0.2.9")
        assert not wired.wire.closing
        assert wired.counters.http_connections == CAPS.total
        assert wired.closed == {"made_room": 3}

    run(work())


def test_where_every_connection_has_a_request_a_new_one_is_refused() -> None:
    async def work() -> None:
        wired = Wired(stuck, caps=CAPS)
        for number in range(2, 5):
            _, protocol = wired.connect(f"192.0.2.{number}")
            protocol.data_received(HEAD + b"\r\n\r\n")
        await wired.give(HEAD + b"\r\n\r\n")
        assert wired.connections.make_room(wired.connections.peer("192.0.2.9")) == "too_many_connections"
        wired.protocol.connection_lost(None)
        assert wired.connections.make_room(wired.connections.peer("192.0.2.9")) is None
        assert wired.closed == {}

    run(work())


def test_a_peer_makes_room_for_itself() -> None:
    async def work() -> None:
        wired = Wired(caps=CAPS)
        wire, protocol = wired.connect("192.0.2.2")
        for _ in range(CAPS.per_peer - 1):
            wired.connect("192.0.2.2")
        peer = wired.connections.peer("192.0.2.2")
        protocol.data_received(HEAD)  # a head that has begun is no request yet
        assert wired.connections.make_room(peer) is None
        assert (wire.closing, wired.wire.closing) == (True, False)

    run(work())


def test_a_peer_whose_connections_all_have_requests_is_refused() -> None:
    async def work() -> None:
        wired = Wired(stuck, caps=CAPS)
        for _ in range(CAPS.per_peer):
            _, protocol = wired.connect("192.0.2.2")
            protocol.data_received(HEAD + b"\r\n\r\n")
        assert wired.connections.make_room(wired.connections.peer("192.0.2.2")) == "too_many_from_peer"
        assert wired.connections.make_room(wired.connections.peer("192.0.2.3")) is None

    run(work())


@pytest.mark.parametrize("held_up", ["by the rest of a body", "by chunks", "by an answer", "by the answer before"])
def test_who_holds_its_request_up_makes_room(held_up: str) -> None:
    async def work() -> None:
        wired = Wired(stuck, caps=CAPS)
        slow, protocol = wired.connect("192.0.2.2")
        for number in range(3, 5):
            wired.connect(f"192.0.2.{number}")[1].data_received(HEAD + b"\r\n\r\n")
        match held_up:
            case "by the rest of a body":
                protocol.data_received(BODY)
            case "by chunks":
                protocol.data_received(b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
            case "by an answer":
                protocol.data_received(HEAD + b"\r\n\r\n")
                protocol.pause_writing()
            case _:
                protocol.pause_writing()
                protocol.data_received(HEAD + b"\r\n\r\n")
        await wired.give(HEAD + b"\r\n\r\n")
        assert wired.connections.make_room(wired.connections.peer("192.0.2.9")) is None
        assert (slow.closing, wired.closed) == (True, {"made_room": 1})
        protocol.connection_lost(None)

    run(work())


def test_a_connection_that_is_new_outlives_one_that_is_held_up() -> None:
    async def work() -> None:
        wired = Wired(stuck, caps=CAPS)
        slow = [wired.connect(f"192.0.2.{number}") for number in range(2, 4)]
        for _, protocol in slow:
            protocol.data_received(BODY)
        await wired.give(HEAD + b"\r\n\r\n")
        new, _ = wired.connect("192.0.2.8")  # its request is still on its way
        for wire, _ in slow:
            assert wired.connections.make_room(wired.connections.peer("192.0.2.9")) is None
            assert (wire.closing, new.closing) == (True, False)
            wired.connect("192.0.2.9")[1].data_received(BODY)

    run(work())


@pytest.mark.parametrize("done", ["a body", "an answer"])
def test_a_request_that_waits_for_this_server_again_makes_no_room(done: str) -> None:
    async def work() -> None:
        wired = Wired(stuck, caps=CAPS)
        for number in range(2, 5):
            wired.connect(f"192.0.2.{number}")[1].data_received(HEAD + b"\r\n\r\n")
        if done == "a body":
            await wired.give(BODY, b"x" * 19_999)
        else:
            await wired.give(HEAD + b"\r\n\r\n")
            wired.protocol.pause_writing()
            wired.protocol.resume_writing()
        assert wired.connections.make_room(wired.connections.peer("192.0.2.9")) == "too_many_connections"

    run(work())


def test_a_body_that_comes_well_makes_room_after_one_that_drips() -> None:
    async def work() -> None:
        wired = Wired(stuck, replace(SMALL, body_renews=1000), caps=CAPS)
        slow, dripping = wired.connect("192.0.2.2")
        await wired.give(BODY)
        dripping.data_received(BODY)
        for _ in range(3):
            wired.protocol.data_received(b"x" * 400)
            dripping.data_received(b"x")
        for number in range(3, 5):
            wired.connect(f"192.0.2.{number}")[1].data_received(HEAD + b"\r\n\r\n")
        assert wired.connections.make_room(wired.connections.peer("192.0.2.9")) is None
        assert (slow.closing, wired.wire.closing) == (True, False)

    run(work())


def test_nothing_is_left_of_connections_that_are_gone() -> None:
    async def work() -> None:
        wired = Wired()
        gone = [wired.connect(f"192.0.2.{number % 3}")[1] for number in range(9)]
        for protocol in (*gone, wired.protocol):
            protocol.connection_lost(None)
            protocol.connection_lost(None)
        assert wired.counters.http_connections == 0
        assert not wired.connections.drop_spare()
        assert wired.connections.peer("192.0.2.1").open == 0

    run(work())
