"""What a sender hands out of the answers of allow-listed addresses, whatever the other side does."""

from __future__ import annotations

import pytest
from tests.contract.authority import Authority
from tests.contract.listening import OK, Peer, answering, listening, on_both_loops, saying, sending, tunnelling
from tests.contract.test_sender_guard import resolving

from tellwire.http_client.proxy import Proxy
from tellwire.ports.http_out import UNTOLD, Answer, Request

SECRET = b"planted"
HEAD = b"X-Secret: " + SECRET + b"\r\nContent-Length: %d\r\n\r\n"
WHOLE = b"HTTP/1.1 %d Said\r\n" + HEAD + SECRET


def seen(came: Answer) -> tuple[int, str, str, tuple[tuple[str, str], ...], bytes, bool]:
    return came.status, came.failure, came.cause, came.headers, came.body, came.truncated


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (200, ""),
        (302, "redirects are not followed"),
        (401, "your server answered 401"),
        (500, "your server answered 500"),
    ],
)
@on_both_loops
async def test_of_a_whole_answer_its_status_is_left(status, cause):
    async with listening(answering(WHOLE % (status, len(SECRET)))) as server, sending(shows_answers=False) as sender:
        for _ in range(2):  # on a fresh connection, and on the same once more
            came = await sender.send(Request(url=server.url))
            assert seen(came) == (status, "", cause, (), b"", False)
            assert came.actual.body == SECRET
            assert ("x-secret", "planted") in came.actual.headers
        assert server.connections == 1


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (SECRET + b"\r\n\r\n", 0),
        (b"HTTP/1.1 101 Switching Protocols\r\nX-Secret: planted\r\n\r\n", 0),
        (b"HTTP/1.1 200 OK\r\nX-Secret: " + SECRET * 9999 + b"\r\n\r\n", 0),
        (b"HTTP/1.1 200 OK\r\n" + HEAD % 99 + SECRET, 200),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nplanted\r\n", 200),
        (b"", 0),
    ],
)
@on_both_loops
async def test_without_a_whole_answer_it_is_not_told_why(said, status):
    async with listening(saying(said)) as server, sending(shows_answers=False) as sender:
        came = await sender.send(Request(url=server.url))
        assert seen(came) == (status, "broken", UNTOLD, (), b"", False)
        assert list(came.durations) == ["total"]
        assert came.actual.failure in ("protocol", "broken")


@on_both_loops
async def test_a_closed_port_a_silent_one_and_one_that_speaks_no_tls_look_alike():
    async def greeting(peer: Peer) -> None:
        await peer.say(b"220 planted.internal ready\r\n")

    async def silent(peer: Peer) -> None:
        await peer.request()
        await peer.gone()

    async with listening(answering(OK)) as closed:
        pass
    async with (
        listening(greeting) as plain,
        listening(silent) as quiet,
        sending(shows_answers=False) as sender,
    ):
        urls = [f"http://127.0.0.1:{closed.port}/", f"https://127.0.0.1:{plain.port}/", quiet.url]
        came = [await sender.send(Request(url=url, timeout=0.2)) for url in urls]
        assert [seen(each) for each in came] == [(0, "broken", UNTOLD, (), b"", False)] * 3
        assert [each.actual.failure for each in came] == ["refused", "tls", "timeout"]
        assert [list(each.durations) for each in came] == [["total"]] * 3


@on_both_loops
async def test_a_certificate_inside_is_not_described(tmp_path):
    authority = Authority(tmp_path)
    resolve, _ = resolving(["127.0.0.1"])
    async with (
        listening(answering(OK), tls=authority.server("planted.internal")) as server,
        sending(shows_answers=False, resolver=resolve) as sender,
    ):
        came = await sender.send(Request(url=f"https://hooks.example:{server.port}/"))
        assert seen(came) == (0, "broken", UNTOLD, (), b"", False)
        assert came.actual.failure == "tls"


@on_both_loops
async def test_of_a_proxy_that_makes_no_tunnel_nothing_is_told_either():
    async with (
        listening(tunnelling([], status=b"403 Forbidden")) as proxy,
        sending(shows_answers=False, proxy=Proxy("127.0.0.1", proxy.port)) as sender,
    ):
        came = await sender.send(Request(url="http://127.0.0.1:9/"))
        assert seen(came) == (0, "broken", UNTOLD, (), b"", False)
        assert "403" in came.actual.cause


@on_both_loops
async def test_what_never_left_is_told_in_full():
    resolve, _ = resolving([])
    async with sending(shows_answers=False, resolver=resolve) as sender:
        came = await sender.send(Request(url="https://nowhere.example/"))
        assert (came.failure, came.cause, came.hidden) == ("dns", "could not resolve the host name", None)
        came = await sender.send(Request(url="https://10.0.0.1/"))
        assert (came.failure, came.hidden) == ("forbidden", None)
