"""The sender against servers that mean no good: nothing raises, nothing hangs, nothing grows."""

from __future__ import annotations

import asyncio
import socket

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.contract.listening import (
    BOTH_LOOPS,
    OK,
    PATIENCE,
    Peer,
    Script,
    answering,
    listening,
    on_both_loops,
    saying,
    sending,
)

from tellwire.http_client.connection import ConnectionLimits
from tellwire.ports.http_out import Answer, Request

BODY = ConnectionLimits().body
DEADLINE = 0.2
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def flooding(beginning: bytes, again: bytes) -> Script:
    """Answer one request with a beginning, and then the same for as long as the client takes it."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(beginning)
        while True:
            await peer.say(again * 100)

    return script


def late(answer: Answer, doing: str) -> bool:
    """Whether the deadline struck when it should, in the middle of what it should."""
    assert (answer.failure, answer.cause) == ("timeout", f"no answer within 0.2 s (while {doing})")
    assert not answer.ok
    return DEADLINE * 900 < answer.durations["total"] < 1000 * PATIENCE


# --- too slow ---------------------------------------------------------------------------------------------------------


@on_both_loops
async def test_a_server_that_never_answers():
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.gone()

    async with listening(script) as server, sending() as sender:
        came = await sender.send(Request(url=server.url, timeout=DEADLINE))
        assert late(came, "waiting for the headers")
        assert came.status == 0
        assert came.durations["first_byte"] > came.durations["total"] / 2
        await server.departed()


@pytest.mark.parametrize(
    ("beginning", "drops", "doing", "status"),
    [
        (b"", b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1000, "waiting for the headers", 0),
        (b"HTTP/1.1 200 OK\r\n", b"Content-Length: 1000\r\n" + b"X: y\r\n" * 100, "waiting for the headers", 0),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x" * 1000, "reading the body", 200),
        (CHUNKED, b"1\r\nx\r\n" * 1000, "reading the body", 200),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1000, "reading the body", 200),
    ],
)
@on_both_loops
async def test_a_server_that_drips(beginning, drops, doing, status):
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(beginning)
        await peer.drip(drops, DEADLINE / 20)

    async with listening(script) as server, sending() as sender:
        came = await sender.send(Request(url=server.url, timeout=DEADLINE))
        assert late(came, doing)
        assert came.status == status
        await server.departed()


@on_both_loops
async def test_a_server_that_takes_no_more_of_the_request():
    async def script(peer: Peer) -> None:
        await peer.begun()
        await asyncio.Event().wait()

    async with listening(script) as server, sending() as sender:
        came = await sender.send(Request(url=server.url, body=bytes(50_000_000), timeout=DEADLINE))
        assert late(came, "sending the request")


@on_both_loops
async def test_a_kept_connection_that_hangs_is_not_tried_twice():
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await peer.request()
        await peer.gone()

    async with listening(script) as server, sending() as sender:
        assert (await sender.send(Request(url=server.url))).ok
        assert late(await sender.send(Request(url=server.url, timeout=DEADLINE)), "waiting for the headers")
        assert (server.connections, len(server.requests)) == (1, 2)


@on_both_loops
async def test_a_server_that_takes_all_of_a_large_request_and_never_answers():
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.gone()

    async with listening(script) as server, sending() as sender:
        came = await sender.send(Request(url=server.url, body=bytes(9_000_000), timeout=2 * DEADLINE))
        assert (came.failure, came.cause) == ("timeout", "no answer within 0.4 s (while waiting for the headers)")
        assert len(server.requests) == 1


@on_both_loops
async def test_a_deadline_ends_with_its_own_request():
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await peer.request()
        await peer.drip(OK, DEADLINE / 20)  # for longer than the first request had

    async with listening(script) as server, sending() as sender:
        assert (await sender.send(Request(url=server.url, timeout=DEADLINE))).ok
        came = await sender.send(Request(url=server.url, timeout=PATIENCE))
        assert (came.ok, came.cause) == (True, "")
        assert came.durations["total"] > DEADLINE * 1000
        assert server.connections == 1


@on_both_loops
async def test_a_kept_connection_that_ends_within_an_answer_is_not_tried_twice():
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await peer.request()
        await peer.say(OK[:8])

    async with listening(script) as server, sending() as sender:
        assert (await sender.send(Request(url=server.url))).ok
        came = await sender.send(Request(url=server.url))
        assert (came.failure, came.cause) == (
            "broken",
            "your server closed the connection in the middle of its headers",
        )
        assert (server.connections, len(server.requests)) == (1, 2)


@on_both_loops
async def test_a_host_that_lets_nobody_in():
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    url = f"http://127.0.0.1:{full.getsockname()[1]}/"
    waiting = [socket.socket() for _ in range(8)]  # fill the queue of connections that nobody accepts
    for sock in waiting:
        sock.setblocking(False)
        sock.connect_ex(full.getsockname())
    async with sending() as sender:
        came = await sender.send(Request(url=url, timeout=DEADLINE))
    for sock in (full, *waiting):
        sock.close()
    assert late(came, "connecting")


@on_both_loops
async def test_a_name_server_that_hangs():
    async def resolver(host: str, _: str = "", /) -> list[str]:
        await asyncio.Event().wait()
        return [host]

    async with sending(resolver=resolver) as sender:
        assert late(
            await sender.send(Request(url="https://slow.example/", timeout=DEADLINE)), "resolving the host name"
        )


@pytest.mark.parametrize("seconds", [0.0, -1.0])
@on_both_loops
async def test_no_time_at_all(seconds):
    async with listening(answering(OK)) as server, sending() as sender:
        assert (await sender.send(Request(url=server.url, timeout=seconds))).failure == "timeout"


# --- too much ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("beginning", "again"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n", b"x" * 1000),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1000),
        (CHUNKED, b"3e8\r\n" + b"x" * 1000 + b"\r\n"),
        (CHUNKED, b"1\r\nx\r\n"),
    ],
)
@on_both_loops
async def test_of_an_endless_answer_16_kib_are_kept_and_its_status_counts(beginning, again):
    async with listening(flooding(beginning, again)) as server, sending() as sender:
        for number in (1, 2):
            came = await sender.send(Request(url=server.url))
            assert (came.status, came.failure, came.cause, came.ok) == (200, "", "", True)
            assert came.truncated
            assert came.body == b"x" * BODY
            assert server.connections == number


@pytest.mark.parametrize("again", [b"x" * 1000, b"1;" + b"x" * 50 + b"\r\nx\r\n"])
@on_both_loops
async def test_what_surrounds_the_body_is_bounded_too(again):
    async with listening(flooding(CHUNKED + b"1;", again)) as server, sending() as sender:
        came = await sender.send(Request(url=server.url))
        assert (came.status, came.truncated) == (200, True)
        assert len(came.body) <= BODY


@on_both_loops
async def test_endless_trailers_are_cut():
    async with listening(flooding(CHUNKED + b"1\r\nx\r\n0\r\n", b"X-Trailer: x\r\n")) as server, sending() as sender:
        came = await sender.send(Request(url=server.url))
        assert (came.status, came.body, came.truncated) == (200, b"x", True)
        assert len(came.headers) == 1


@pytest.mark.parametrize(("size", "truncated"), [(BODY - 1, False), (BODY, False), (BODY + 1, True)])
@on_both_loops
async def test_the_bound_is_exact(size, truncated):
    raw = b"HTTP/1.1 404 No\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size
    async with listening(answering(raw)) as server, sending() as sender:
        for _ in range(2):
            came = await sender.send(Request(url=server.url))
            assert (came.status, came.truncated, len(came.body)) == (404, truncated, min(size, BODY))
            assert came.cause == "your server answered 404"
        assert server.connections == (2 if truncated else 1)


@pytest.mark.parametrize(
    ("beginning", "again"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b"HTTP/1.1 103 Early\r\nX: y\r\n\r\n"),
        (b"", b"\r\n"),
    ],
)
@on_both_loops
async def test_endless_beginnings_are_refused(beginning, again):
    async with listening(flooding(beginning, again)) as server, sending() as sender:
        came = await sender.send(Request(url=server.url))
        assert (came.status, came.failure) == (0, "protocol")
        assert came.cause == "your server's answer has too many or too long headers"


@pytest.mark.parametrize(
    ("beginning", "again"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"HTTP/1.1 200 OK\n", b"X: y\n"),
        (b"HTTP/1.1 200 OK\r\n", b" folded\r\n"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x" * 100),
        (b"HTTP/1.1 200 OK\r\n", b"x" * 100),
        (b"HTTP/1.1 200 ", b"x" * 100),
        (b"HTTP/1.1 200 OK\n\r", b"x" * 100),
    ],
)
@on_both_loops
async def test_endless_headers_are_cut_and_the_status_counts(beginning, again):
    async with listening(flooding(beginning, again)) as server, sending() as sender:
        for number in (1, 2):
            came = await sender.send(Request(url=server.url))
            assert (came.status, came.failure, came.ok, came.truncated) == (200, "", True, True)
            assert len(came.headers) <= ConnectionLimits().headers
            assert server.connections == number


@pytest.mark.parametrize("headers", [b"X: y\r\n" * 129, b"X: " + b"y" * 33_000 + b"\r\n", b"X: " + b"y" * 250_000])
@on_both_loops
async def test_of_huge_headers_a_bounded_part_is_kept(headers):
    async with listening(saying(b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n\r\n")) as server, sending() as sender:
        came = await sender.send(Request(url=server.url))
        assert (came.status, came.failure) == (200, "")
        assert len(came.headers) <= ConnectionLimits().headers
        assert sum(len(name) + len(value) for name, value in came.headers) < 2 * ConnectionLimits().head


# --- nonsense ---------------------------------------------------------------------------------------------------------

GARBAGE = (
    b"<html>hello</html>",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"\x15\x03\x01\x00\x02\x02\x46",
    b"\x00" * 100,
    b"HTTP/1.1\r\n\r\n",
    b"HTTP/1.1 OK\r\n\r\n",
    b"HTTP/1.1 99 Low\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 000 Zero\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 2000 Long\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    b"HTTP/1.1 200OK\r\n\r\n",
    b"HTTP/1.1 2\r\n\r\n",
    b"HTTP/1.1 100 Continue\n\nnonsense\r\n\r\n",
    b"http/1.1 200 ok\n\n",
    b"X: HTTP/1.1 200 OK\n\n",
)


@pytest.mark.parametrize("raw", GARBAGE)
@on_both_loops
async def test_garbage_is_a_failure_of_the_protocol(raw):
    async with listening(saying(raw)) as server, sending() as sender:
        came = await sender.send(Request(url=server.url))
    assert came.failure == "protocol"
    assert came.cause.startswith("your server's answer is not")
    assert not came.ok


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        (b"", "before answering"),
        (b"HTT", "in the middle of its headers"),
        (b"HTTP/1.1 20", "in the middle of its headers"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "in the middle of its headers"),
    ],
)
@pytest.mark.parametrize("how", ["closed", "reset"])
@on_both_loops
async def test_a_connection_that_ends_before_a_status_can_be_read(raw, where, how):
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(raw)
        if how == "reset":
            peer.reset()

    async with listening(script) as server, sending() as sender:
        came = await sender.send(Request(url=server.url))
        assert (came.status, came.failure, came.ok) == (0, "broken", False)
        assert came.cause == f"your server {how} the connection {where}"
        assert server.connections == 1


@on_both_loops
async def test_a_close_delimited_body_that_ends_in_a_reset_is_marked_as_cut():
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        peer.reset()

    async with listening(script) as server, sending() as sender:
        came = await sender.send(Request(url=server.url))
    assert (came.ok, came.body, came.truncated) == (True, b"half", True)


@on_both_loops
async def test_nobody_listens():
    async with listening(answering(OK)) as server:
        pass
    async with sending() as sender:
        came = await sender.send(Request(url=server.url))
    assert (came.status, came.failure, came.cause) == (0, "refused", "connection refused")


@pytest.mark.parametrize("junk", [b"junk", OK, b"HTTP/1.1 302 Evil\r\nContent-Length: 0\r\n\r\n", b"\x00" * 9999])
@on_both_loops
async def test_what_follows_an_answer_is_never_the_next_answer(junk):
    async with listening(answering(OK[:-2] + b"no" + junk)) as server, sending() as sender:
        for number in (1, 2):
            came = await sender.send(Request(url=server.url))
            assert (came.status, came.failure, came.body) == (200, "", b"no")
            assert server.connections == number


@on_both_loops
async def test_what_comes_on_an_idle_connection_is_never_an_answer():
    more = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await more.wait()
        await peer.say(b"HTTP/1.1 500 Evil\r\nContent-Length: 0\r\n\r\n")
        await peer.gone()

    async with listening(script) as server, sending() as sender:
        assert (await sender.send(Request(url=server.url))).ok
        more.set()
        await server.departed()
        assert (await sender.send(Request(url=server.url))).status in (200, 500)
        assert server.connections == 2


@BOTH_LOOPS
def test_any_bytes_are_an_answer_or_a_failure(loop):
    said = b""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(said)

    with asyncio.Runner(loop_factory=loop) as runner:
        server_context, sender_context = listening(script), sending()
        server = runner.run(server_context.__aenter__())
        sender = runner.run(sender_context.__aenter__())

        @settings(max_examples=60)
        @given(
            st.binary()
            | st.builds(b"HTTP/1.1 %b\r\n%b\r\n\r\n%b".__mod__, st.tuples(st.binary(), st.binary(), st.binary()))
            | st.builds(CHUNKED.__add__, st.binary())
        )
        @example(OK)
        def check(raw: bytes) -> None:
            nonlocal said
            said = raw
            came = runner.run(sender.send(Request(url=server.url, timeout=PATIENCE)))
            assert came.failure in ("", "broken", "protocol")
            assert (came.failure == "") <= (100 < came.status <= 999)
            assert came.ok == (came.cause == "")

        check()
        runner.run(sender_context.__aexit__(None, None, None))
        runner.run(server_context.__aexit__(None, None, None))
