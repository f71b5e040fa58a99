"""Deliveries by way of an egress proxy: tunnels to judged addresses, and plain words for a proxy that makes none."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.contract.authority import DAY, NOW, Authority
from tests.contract.listening import OK, answering, listening, on_both_loops, saying, sending, tunnelling
from tests.contract.test_sender_guard import resolving

from tellwire.http_client.proxy import Proxy
from tellwire.ports.http_out import Request

HOST = "hooks.example"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder: Path = tmp_path_factory.mktemp("authority")
    return Authority(folder)


async def here(_: str, __: str = "", /) -> Sequence[str]:
    return ["127.0.0.1"]


@pytest.mark.parametrize("proxy_host", ["127.0.0.1", "localhost"])
@on_both_loops
async def test_https_goes_through_a_tunnel_to_the_judged_address_with_name_and_host_kept(authority, proxy_host):
    asked: list[str] = []
    names: list[str | None] = []
    tls = authority.server(HOST)
    tls.sni_callback = lambda _, name, __: names.append(name)
    async with (
        listening(answering(OK), tls=tls) as server,
        listening(tunnelling(asked)) as proxy,
        sending(resolver=here, tls=authority.client, proxy=Proxy(proxy_host, proxy.port)) as sender,
    ):
        for _ in range(3):
            came = await sender.send(Request(url=f"https://{HOST}:{server.port}/hook", body=b"x"))
            assert (came.ok, came.cause) == (True, "")
        assert asked == [f"CONNECT 127.0.0.1:{server.port}"]
        assert names == [HOST]
        assert b"\r\nHost: %b:%d\r\n" % (HOST.encode(), server.port) in server.requests[0]
        assert proxy.connections == 1


@on_both_loops
async def test_http_and_ipv6_go_through_a_tunnel_too():
    asked: list[str] = []
    async with (
        listening(answering(OK), host="::1") as server,
        listening(tunnelling(asked)) as proxy,
        sending(proxy=Proxy("127.0.0.1", proxy.port)) as sender,
    ):
        assert (await sender.send(Request(url=f"http://[::1]:{server.port}/hook"))).ok
        assert asked == [f"CONNECT [::1]:{server.port}"]


@on_both_loops
async def test_what_is_refused_never_reaches_the_proxy_and_answers_that_change_are_pinned():
    asked: list[str] = []
    resolve, _ = resolving(["127.0.0.1"], ["127.0.0.2"])
    async with (
        listening(answering(OK)) as server,
        listening(tunnelling(asked)) as proxy,
        sending("127.0.0.1/32", resolver=resolve, proxy=Proxy("127.0.0.1", proxy.port)) as sender,
    ):
        for host in ("127.0.0.2", "[::1]", "10.0.0.1", "127.2"):
            came = await sender.send(Request(url=f"http://{host}:{server.port}/"))
            assert came.failure == "forbidden"
        assert asked == []
        async with sending(own_port=server.port, proxy=Proxy("127.0.0.1", proxy.port)) as careful:
            came = await careful.send(Request(url=server.url))
            assert (came.failure, came.cause.endswith("Tellwire's own port")) == ("forbidden", True)
        assert asked == []
        assert (await sender.send(Request(url=f"http://rebinding.example:{server.port}/"))).ok
        came = await sender.send(Request(url=f"http://rebinding.example:{server.port + 1}/"))
        assert came.failure == "forbidden"
        assert asked == [f"CONNECT 127.0.0.1:{server.port}"]


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        (tunnelling([], status=b"403 Forbidden"), "the egress proxy refused the connection: 403"),
        (tunnelling([], status=b"407 Proxy Authentication Required"), "the egress proxy refused the connection: 407"),
        (tunnelling([], status=b"502 Bad Gateway"), "the egress proxy refused the connection: 502"),
        (saying(b""), "the egress proxy closed the connection"),
        (saying(b"HTTP/1.1 200 OK\r\n"), "the egress proxy closed the connection"),
        (saying(b"SSH-2.0-OpenSSH\r\n\r\n"), "the egress proxy's answer is not HTTP"),
        (saying(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 4000), "the egress proxy's answer is too long"),
        (saying(b"HTTP/1.1 200 OK\r\n\r\nearly"), "the egress proxy said something before it was asked"),
    ],
)
@on_both_loops
async def test_a_proxy_that_makes_no_tunnel_is_told_of_in_plain_words(script, cause):
    async with (
        listening(answering(OK)) as server,
        listening(script) as proxy,
        sending(proxy=Proxy("127.0.0.1", proxy.port)) as sender,
    ):
        came = await sender.send(Request(url=server.url))
        assert (came.status, came.failure, came.cause) == (0, "refused", cause)
        assert await server.untouched()


@on_both_loops
async def test_a_proxy_that_is_not_there():
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    async with sending(proxy=Proxy("127.0.0.1", port)) as sender:
        came = await sender.send(Request(url="http://127.0.0.1:9/"))
    assert (came.failure, came.cause) == ("refused", "the egress proxy cannot be reached: connection refused")


@on_both_loops
async def test_a_proxy_without_an_address():
    async with sending(proxy=Proxy("no-such-host.invalid.localhost." + "a" * 64, 1)) as sender:
        came = await sender.send(Request(url="http://127.0.0.1:9/"))
    assert (came.failure, came.cause) == ("refused", "the egress proxy's name could not be resolved")


@on_both_loops
async def test_a_proxy_that_hangs_costs_the_deadline_and_no_more():
    async def silent(peer):
        await peer.gone()

    async with listening(silent) as proxy, sending(proxy=Proxy("127.0.0.1", proxy.port)) as sender:
        came = await sender.send(Request(url="http://127.0.0.1:9/", timeout=0.2))
        assert (came.failure, came.cause) == ("timeout", "no answer within 0.2 s (while connecting)")


@on_both_loops
async def test_dates_of_certificates_are_told_through_the_proxy_as_well(authority):
    tls = authority.server(HOST, since=NOW - 9 * DAY, until=NOW - 2 * DAY)
    async with (
        listening(answering(OK), tls=tls) as server,
        listening(tunnelling([])) as proxy,
        sending(resolver=here, tls=authority.client, proxy=Proxy("127.0.0.1", proxy.port)) as sender,
    ):
        came = await sender.send(Request(url=f"https://{HOST}:{server.port}/"))
        assert (came.failure, came.cause) == ("tls", f"certificate expired on {NOW - 2 * DAY:%Y-%m-%d}")


@on_both_loops
async def test_the_environment_names_no_proxy(monkeypatch):
    async with listening(answering(OK)) as server, listening(saying(b"")) as proxy, sending() as sender:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert (await sender.send(Request(url=server.url))).ok
        assert await proxy.untouched()
