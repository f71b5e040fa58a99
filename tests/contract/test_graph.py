"""Meta's Graph API as it is asked: one host, one try, JSON both ways."""

from __future__ import annotations

import asyncio

import pytest
from tests.contract.listening import OK, Listener, Peer, answering, listening, on_both_loops, sending

from tellwire.http_client.connection import ConnectionLimits
from tellwire.http_client.graph import open_graph
from tellwire.ports.http_out import Request


def base(server: Listener) -> str:
    return f"http://127.0.0.1:{server.port}/v24.0"


@on_both_loops
async def test_a_call_carries_the_token_the_path_and_the_body():
    async with listening(answering(OK)) as server:
        graph = open_graph(base(server))
        came = await graph.ask("EAAtoken", "106/messages", method="POST", body=b'{"a":1}')
        await graph.ask("EAAtoken", "106/../../x?y#z", query={"fields": "id,name", "q": "a&b"})
        await graph.ask("EAAtoken", "5", method="DELETE")
        await graph.close()
    sent, read, removed = (request.split(b"\r\n") for request in server.requests)
    assert (came.status, came.body, came.written) == (200, b"ok", True)
    assert sent[0] == b"POST /v24.0/106/messages HTTP/1.1"
    assert {b"Authorization: Bearer EAAtoken", b"Content-Type: application/json"} <= set(sent)
    assert sent[-1] == b'{"a":1}'
    assert read[0] == b"GET /v24.0/106/../../x%3Fy%23z?fields=id%2Cname&q=a%26b HTTP/1.1"
    assert not any(line.startswith(b"Content-Type") for line in read)
    assert removed[0] == b"DELETE /v24.0/5 HTTP/1.1"


@on_both_loops
async def test_a_redirect_is_an_answer_and_the_token_stays_at_home():
    async with listening(answering(OK)) as elsewhere:
        there = f"HTTP/1.1 307 Away\r\nLocation: {elsewhere.url}\r\nContent-Length: 0\r\n\r\n".encode()
        async with listening(answering(there)) as server:
            graph = open_graph(base(server))
            came = await graph.ask("EAAtoken", "106/messages", method="POST", body=b"{}")
            await graph.close()
        assert elsewhere.connections == 0
    assert came.status == 307


@on_both_loops
async def test_causes_speak_of_meta():
    async def closing(peer: Peer) -> None:
        await peer.request()

    async with listening(closing) as server:
        graph = open_graph(base(server))
        came = await graph.ask("EAAtoken", "106/messages", method="POST", body=b"{}")
        await graph.close()
    assert came.cause == "Meta closed the connection before answering"


@on_both_loops
async def test_a_large_answer_is_read_whole():
    body = b"x" * 3_000_000
    async with listening(answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)) as server:
        graph = open_graph(base(server))
        came = await graph.ask("EAAtoken", "1/message_templates")
        await graph.close()
    assert len(came.body) == 3_000_000
    assert not came.truncated


def closing_after_the_first(counted: list[int]):
    """Answer one request; the second on the same connection is read, and the connection closed."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        if await peer.request():
            counted.append(1)

    return script


@pytest.mark.parametrize(("once", "seen", "failure"), [(True, 2, "broken"), (False, 3, "")])
@on_both_loops
async def test_what_may_have_been_read_on_a_kept_connection_is_written_again_only_without_once(once, seen, failure):
    read: list[int] = []
    async with listening(closing_after_the_first(read)) as server, sending() as sender:
        await sender.send(Request(url=server.url))
        came = await sender.send(Request(url=server.url, body=b"{}", once=once))
    assert len(server.requests) == seen
    assert (came.failure, came.written) == (failure, True)
    assert read == [1]


@on_both_loops
async def test_once_opens_a_fresh_connection_when_the_other_side_has_closed_the_kept_one():
    hung_up = asyncio.Semaphore(0)

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        peer._writer.write_eof()
        hung_up.release()
        await peer.gone()

    async with listening(script) as server, sending() as sender:
        for _ in range(3):
            assert (await sender.send(Request(url=server.url, once=True))).ok
            await hung_up.acquire()
    assert server.connections == 3


async def _hang(peer: Peer) -> None:
    await peer.request()
    await peer.gone()


@on_both_loops
async def test_written_says_whether_the_other_side_may_have_acted():
    async with listening(_hang) as server, sending(limits=ConnectionLimits()) as sender:
        hung = await sender.send(Request(url=server.url, once=True, timeout=0.2))
        withheld = await sender.send(Request(url=server.url, once=True, may_send=lambda: False))
    async with sending() as sender:
        refused = await sender.send(Request(url=server.url, once=True))
        forbidden = await sender.send(Request(url="ftp://example.org", once=True))
    assert (hung.failure, hung.written) == ("timeout", True)
    assert (withheld.withheld, withheld.written) == (True, False)
    assert (refused.failure, refused.written) == ("refused", False)
    assert (forbidden.failure, forbidden.written) == ("forbidden", False)
