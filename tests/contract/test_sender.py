"""The sender against servers that behave, and what it keeps between requests."""

from __future__ import annotations

import asyncio

import pytest
from tests.contract.listening import OK, PATIENCE, Peer, answering, listening, on_both_loops, saying, sending

from tellwire import __version__
from tellwire.http_client.connection import ConnectionLimits
from tellwire.ports.http_out import Request


def answer(status: str, *headers: str, body: str = "") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", body]).encode()


@on_both_loops
async def test_a_post_goes_out_as_it_was_given():
    async with (
        listening(answering(answer("200 OK", "X-One: 1", "x-one: 2", body="thanks"))) as server,
        sending() as sender,
    ):
        came = await sender.send(
            Request(url=f"{server.url}?a=b#c", headers=(("webhook-id", "msg_1"), ("X-Name", "ü")), body=b'{"a":1}')
        )
        assert server.requests == [
            b"POST /hook?a=b HTTP/1.1\r\n"
            b"Host: 127.0.0.1:%d\r\n"
            b"webhook-id: msg_1\r\n"
            b"X-Name: \xc3\xbc\r\n"
            b"User-Agent: Tellwire/%s\r\n"
            b"Content-Length: 7\r\n"
            b"\r\n"
            b'{"a":1}' % (server.port, __version__.encode())
        ]
    assert (came.status, came.failure, came.cause, came.body, came.ok) == (200, "", "", b"thanks", True)
    assert came.headers == (("x-one", "1"), ("x-one", "2"), ("content-length", "6"))
    assert not came.truncated
    assert came.hidden is None


@on_both_loops
async def test_a_get_has_no_length_and_a_given_user_agent_stays():
    async with listening(answering(OK)) as server, sending() as sender:
        await sender.send(Request(url=server.url, method="GET", headers=(("user-agent", "me"),)))
        await sender.send(Request(url=server.url))
        first, second = server.requests
    assert first == b"GET /hook HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nuser-agent: me\r\n\r\n" % server.port
    assert b"\r\nContent-Length: 0\r\n" in second


@on_both_loops
async def test_phases_are_timed_and_a_kept_connection_skips_the_first_ones():
    async with listening(answering(OK)) as server, sending() as sender:
        fresh = (await sender.send(Request(url=server.url))).durations
        kept = (await sender.send(Request(url=server.url))).durations
    assert list(fresh) == ["connect", "send", "first_byte", "body", "total"]
    assert list(kept) == ["send", "first_byte", "body", "total"]
    for durations in fresh, kept:
        total = durations.pop("total")
        assert 0 < sum(durations.values()) <= total + 0.01
        assert min(durations.values()) >= 0


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "202 Accepted", "204 No Content", "299 Odd"])
@on_both_loops
async def test_any_2xx_is_a_delivery(status):
    async with listening(answering(answer(status))) as server, sending() as sender:
        came = await sender.send(Request(url=server.url))
    assert came.ok
    assert (came.status, came.cause) == (int(status[:3]), "")


@pytest.mark.parametrize("status", [301, 302, 303, 304, 307, 308])
@on_both_loops
async def test_redirects_are_not_followed(status):
    async with listening(answering(OK)) as elsewhere, sending() as sender:
        redirect = answer(f"{status} Elsewhere", f"Location: {elsewhere.url}")
        async with listening(answering(redirect)) as server:
            came = await sender.send(Request(url=server.url))
        assert elsewhere.connections == 0
    assert not came.ok
    assert (came.status, came.failure, came.cause) == (status, "", "redirects are not followed")
    assert ("location", elsewhere.url) in came.headers


@pytest.mark.parametrize("status", [400, 401, 404, 410, 429, 500, 503, 600, 999])
@on_both_loops
async def test_other_statuses_are_told(status):
    async with (
        listening(answering(answer(f"{status} No", "Retry-After: 7", body="why"))) as server,
        sending() as sender,
    ):
        came = await sender.send(Request(url=server.url))
    assert not came.ok
    assert (came.status, came.failure, came.cause) == (status, "", f"your server answered {status}")
    assert came.body == b"why"
    assert ("retry-after", "7") in came.headers


@pytest.mark.parametrize(
    ("raw", "status", "body"),
    [
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\nT: x\r\n\r\n",
            200,
            b"abc",
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 103 Early\r\nX: y\r\n\r\n" + OK, 200, b"ok"),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
        (b"\r\nHTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
    ],
)
@on_both_loops
async def test_answers_of_every_form_are_read_and_the_connection_kept(raw, status, body):
    async with listening(answering(raw)) as server, sending() as sender:
        for _ in range(3):
            came = await sender.send(Request(url=server.url))
            assert (came.status, came.failure, came.body) == (status, "", body)
        assert server.connections == 1
    assert not any(name in ("x", "t") for name, _ in came.headers)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.0 200 OK\r\n\r\nall of it",
        b"HTTP/1.1 200 OK\r\n\r\nall of it",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: x-odd\r\n\r\nall of it",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\nall of it",
    ],
)
@on_both_loops
async def test_a_body_may_end_with_its_connection(raw):
    async with listening(saying(raw)) as server, sending() as sender:
        for number in (1, 2):
            came = await sender.send(Request(url=server.url))
            assert (came.ok, came.body, came.truncated) == (True, b"all of it", False)
            assert server.connections == number


@on_both_loops
async def test_an_answer_is_read_byte_by_byte():
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.drip(OK, 0.0)

    async with listening(script) as server, sending() as sender:
        assert (await sender.send(Request(url=server.url))).body == b"ok"


@on_both_loops
async def test_a_large_body_goes_out_whole():
    body = bytes(range(256)) * 20_000
    async with listening(answering(OK)) as server, sending() as sender:
        for _ in range(2):
            assert (await sender.send(Request(url=server.url, body=body))).ok
        assert server.connections == 1
        assert all(request.endswith(b"\r\n\r\n" + body) for request in server.requests)


@on_both_loops
async def test_an_answer_before_the_whole_request_was_taken_counts():
    async def script(peer: Peer) -> None:
        await peer.begun()
        await peer.say(answer("413 Too large"))
        await peer.gone()

    async with listening(script) as server, sending() as sender:
        came = await sender.send(Request(url=server.url, body=bytes(50_000_000)))
        assert came.status == 413
        await server.departed()


# --- connections kept -------------------------------------------------------------------------------------------------


@on_both_loops
async def test_one_connection_carries_one_request_after_the_other():
    async with listening(answering(OK)) as server, sending() as sender:
        for _ in range(20):
            assert (await sender.send(Request(url=server.url))).ok
        assert server.connections == 1
        assert len(server.requests) == 20


@on_both_loops
async def test_requests_at_once_have_connections_of_their_own_and_the_surplus_goes():
    async with listening(answering(OK)) as server, sending(limits=ConnectionLimits(idle_per_host=2)) as sender:
        came = await asyncio.gather(*[sender.send(Request(url=server.url)) for _ in range(5)])
        assert all(one.ok for one in came)
        assert server.connections == 5
        await server.departed(3)
        await asyncio.gather(*[sender.send(Request(url=server.url)) for _ in range(2)])
        assert server.connections == 5


@on_both_loops
async def test_an_idle_connection_goes_after_its_time():
    async with listening(answering(OK)) as server, sending(limits=ConnectionLimits(idle_seconds=0.02)) as sender:
        for number in (1, 2):
            assert (await sender.send(Request(url=server.url))).ok
            await server.departed()
            assert server.connections == number


@on_both_loops
async def test_above_the_total_the_longest_idle_goes():
    web = answering(OK)
    async with (
        sending(limits=ConnectionLimits(connections=2)) as sender,
        listening(web) as first,
        listening(web) as second,
        listening(web) as third,
    ):
        for server in first, second, third:
            assert (await sender.send(Request(url=server.url))).ok
        await first.departed()
        for server in second, third:
            await sender.send(Request(url=server.url))
            assert server.connections == 1


@on_both_loops
async def test_a_connection_that_turns_out_closed_is_replaced_within_the_attempt():
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await peer.request()  # and close without a word

    async with listening(script) as server, sending() as sender:
        assert (await sender.send(Request(url=server.url))).ok
        came = await sender.send(Request(url=server.url, body=b"again"))
        assert (came.ok, came.failure, came.cause) == (True, "", "")
        assert "connect" in came.durations
        assert server.connections == 2
        assert [request.endswith(b"again") for request in server.requests] == [False, True, True]


@on_both_loops
async def test_it_is_replaced_once_only():
    open_for_business = True

    async def script(peer: Peer) -> None:
        await peer.request()
        if open_for_business:
            await peer.say(OK)
            await peer.request()

    async with listening(script) as server, sending() as sender:
        assert (await sender.send(Request(url=server.url))).ok
        open_for_business = False
        came = await sender.send(Request(url=server.url))
        assert (came.failure, came.cause) == ("broken", "your server closed the connection before answering")
        assert (server.connections, len(server.requests)) == (2, 3)


@on_both_loops
async def test_a_connection_closed_while_idle_is_not_used():
    hang_up = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await hang_up.wait()

    async with listening(script) as server, sending() as sender:
        assert (await sender.send(Request(url=server.url))).ok
        hang_up.set()
        assert (await sender.send(Request(url=server.url))).ok
        assert server.connections == 2


@on_both_loops
async def test_a_cancelled_request_takes_its_connection_with_it():
    asked = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.gone()

    async with listening(script) as server, sending() as sender:
        task = asyncio.create_task(sender.send(Request(url=server.url)))
        async with asyncio.timeout(PATIENCE):
            await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.departed()


@on_both_loops
async def test_closing_ends_what_runs_and_what_is_kept():
    asked = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await peer.request()
        asked.set()
        await peer.gone()

    async with listening(script) as server, listening(answering(OK)) as other, sending() as sender:
        for one in server, other:
            assert (await sender.send(Request(url=one.url))).ok
        task = asyncio.create_task(sender.send(Request(url=server.url)))
        async with asyncio.timeout(PATIENCE):
            await asked.wait()
            await sender.close()
            came = await task
        assert (came.failure, came.cause) == ("broken", "Tellwire is stopping")
        await server.departed()
        await other.departed()
        assert server.connections == 1
        with pytest.raises(RuntimeError, match="closed"):
            await sender.send(Request(url=server.url))
        await sender.close()


# --- requests that cannot be ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        ("X-A", "b\r\nX-Evil: 1"), ("X-A", "b\nX-Evil: 1"), ("X-A", "b\r"), ("X-A", "\x00"), ("X-A", "\x7f"),
        ("X-A", "\ud800"), ("X-A\r\nX-Evil", "1"), ("X-A: b\r\nX-Evil", "1"), ("X A", "1"), ("", "1"), (":", "1"),
        ("X-Ä", "1"), ("X-A\n", "1"), ("Host", "evil.example"), ("content-length", "0"),
        ("Transfer-Encoding", "chunked"), ("CONNECTION", "close"), ("Expect", "100-continue"), ("Upgrade", "h2c"),
    ],
)  # fmt: skip
@on_both_loops
async def test_headers_that_would_break_out_are_refused(header):
    async with listening(answering(OK)) as server, sending() as sender:
        came = await sender.send(Request(url=server.url, headers=(header,)))
        assert (came.status, came.failure) == (0, "forbidden")
        assert "cannot be" in came.cause
        assert "\n" not in came.cause
        assert server.connections == 0


@pytest.mark.parametrize("path", ["/a b", "/a\r\nX-Evil: 1", "/\x00", " HTTP/1.1\r\nX: y", "/\t"])
@on_both_loops
async def test_urls_that_would_break_out_are_refused(path):
    async with listening(answering(OK)) as server, sending() as sender:
        came = await sender.send(Request(url=f"http://127.0.0.1:{server.port}{path}"))
        assert came.failure == "forbidden"
        assert server.connections == 0


@on_both_loops
async def test_a_tab_in_a_value_and_letters_beyond_ascii_in_a_path_go_out():
    async with listening(answering(OK)) as server, sending() as sender:
        assert (await sender.send(Request(url=f"{server.url}/é?ü", headers=(("X-A", "b\tc"),)))).ok
        assert server.requests[0].startswith(b"POST /hook/%C3%A9?%C3%BC HTTP/1.1\r\n")
        assert b"\r\nX-A: b\tc\r\n" in server.requests[0]


@on_both_loops
async def test_no_proxy_is_taken_from_the_environment(monkeypatch):
    async with listening(answering(OK)) as proxy, listening(answering(OK)) as server, sending() as sender:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert (await sender.send(Request(url=server.url))).ok
        assert (proxy.connections, server.connections) == (0, 1)


# --- leave to send ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [False, True])
@on_both_loops
async def test_nothing_is_written_when_the_leave_to_send_is_gone(kept):
    asked = []

    def may_send() -> bool:
        asked.append(server.connections)
        return False

    async with listening(answering(OK)) as server, sending() as sender:
        if kept:
            await sender.send(Request(url=server.url))
        came = await sender.send(Request(url=server.url, body=b"late", may_send=may_send))
        assert (came.withheld, came.ok, came.status, came.failure) == (True, False, 0, "")
        assert (await sender.send(Request(url=server.url, may_send=lambda: True))).ok
        assert not any(b"late" in each for each in server.requests)
        if kept:
            assert asked == [1]
