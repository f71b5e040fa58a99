"""The sender over TLS: which certificates are trusted, and the causes given for others."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.contract.authority import DAY, NOW, Authority
from tests.contract.listening import OK, PATIENCE, Peer, answering, listening, on_both_loops, saying, sending

from tellwire.http_client.connection import ConnectionLimits
from tellwire.ports.http_out import Request

HOST = "hooks.example"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder: Path = tmp_path_factory.mktemp("authority")
    return Authority(folder)


async def here(_: str, __: str = "", /) -> Sequence[str]:
    return ["127.0.0.1"]


def url(port: int, host: str = HOST) -> str:
    return f"https://{host}:{port}/hook"


@on_both_loops
async def test_a_host_is_greeted_by_its_name_and_believed_by_its_certificate(authority):
    names: list[str | None] = []
    tls = authority.server("xn--bcher-kva.example")
    tls.sni_callback = lambda _, name, __: names.append(name)
    async with (
        listening(answering(OK), tls=tls) as server,
        sending(resolver=here, tls=authority.client) as sender,
    ):
        for number in (1, 2, 3):
            came = await sender.send(Request(url=url(server.port, "BÜCHER.example."), body=b"x" * number))
            assert (came.ok, came.cause, came.body) == (True, "", b"ok")
            phases = ["dns", "connect", "tls"] if number == 1 else []
            assert list(came.durations) == [*phases, "send", "first_byte", "body", "total"]
        assert server.connections == 1
        assert names == ["xn--bcher-kva.example"]
        assert b"\r\nHost: xn--bcher-kva.example:%d\r\n" % server.port in server.requests[0]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@on_both_loops
async def test_an_address_is_believed_by_a_certificate_for_it(authority, host):
    async with (
        listening(answering(OK), host=host, tls=authority.server(host)) as server,
        sending(tls=authority.client) as sender,
    ):
        came = await sender.send(Request(url=url(server.port, f"[{host}]" if ":" in host else host)))
    assert (came.ok, came.cause) == (True, "")


DOUBTFUL = {
    "another host": ({"hosts": ["other.example"]}, "certificate is not for this host"),
    "an address instead": ({"hosts": ["127.0.0.1"]}, "certificate is not for this host"),
    "self-signed": ({"self_signed": True}, "self-signed certificate"),
    "expired": (
        {"since": NOW - 9 * DAY, "until": NOW - 2 * DAY},
        f"certificate expired on {NOW - 2 * DAY:%Y-%m-%d}",
    ),
    "early": (
        {"since": NOW + 2 * DAY, "until": NOW + 9 * DAY},
        f"certificate is not valid before {NOW + 2 * DAY:%Y-%m-%d}",
    ),
}


@pytest.mark.parametrize(("made", "cause"), DOUBTFUL.values(), ids=DOUBTFUL)
@on_both_loops
async def test_a_doubtful_certificate_gets_no_request_and_its_fault_is_told(authority, made, cause):
    tls = authority.server(*made.get("hosts", [HOST]), **{key: value for key, value in made.items() if key != "hosts"})
    async with (
        listening(answering(OK), tls=tls) as server,
        sending(resolver=here, tls=authority.client) as sender,
    ):
        came = await sender.send(Request(url=url(server.port)))
        assert (came.status, came.failure, came.cause) == (0, "tls", cause)
        assert server.requests == []


@on_both_loops
async def test_a_certificate_for_a_name_is_not_one_for_its_address(authority):
    async with (
        listening(answering(OK), tls=authority.server(HOST)) as server,
        sending(tls=authority.client) as sender,
    ):
        came = await sender.send(Request(url=url(server.port, "127.0.0.1")))
        assert (came.failure, came.cause) == ("tls", "certificate is not for this host")


@on_both_loops
async def test_the_systems_authorities_are_the_default(authority):
    async with (
        listening(answering(OK), tls=authority.server(HOST)) as server,
        sending(resolver=here) as sender,
    ):
        came = await sender.send(Request(url=url(server.port)))
        assert (came.failure, came.cause) == ("tls", "certificate is not signed by an authority that is known here")
        assert server.requests == []


@on_both_loops
async def test_a_server_that_wants_a_certificate_of_ours(authority):
    tls = authority.server(HOST)
    tls.verify_mode = ssl.CERT_REQUIRED

    def serve() -> None:
        sock, _ = door.accept()
        with sock, tls.wrap_socket(sock.dup(), server_side=True, do_handshake_on_connect=False) as secured:
            with pytest.raises(ssl.SSLError):
                secured.do_handshake()
            while sock.recv(65536):  # so that no reset overtakes the alert
                pass

    with socket.create_server(("127.0.0.1", 0)) as door:
        server = asyncio.create_task(asyncio.to_thread(serve))
        async with sending(resolver=here, tls=authority.client) as sender:
            came = await sender.send(Request(url=url(door.getsockname()[1])))
        await server
    assert (came.failure, came.cause) == ("tls", "your server asks for a client certificate")


@on_both_loops
async def test_a_server_that_speaks_old_versions_only(authority):
    client = authority.client
    client.minimum_version = ssl.TLSVersion.TLSv1_3
    tls = authority.server(HOST)
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    async with listening(answering(OK), tls=tls) as server, sending(resolver=here, tls=client) as sender:
        came = await sender.send(Request(url=url(server.port)))
    assert came.failure == "tls"
    assert "TLS" in came.cause


@pytest.mark.parametrize("words", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n"])
@on_both_loops
async def test_a_port_that_does_not_speak_tls(words):
    async def script(peer: Peer) -> None:
        await peer.begun()
        await peer.say(words)
        await peer.gone()

    async with listening(script) as server, sending(resolver=here) as sender:
        came = await sender.send(Request(url=url(server.port)))
    assert (came.failure, came.cause) == ("tls", "this port does not speak TLS")


@pytest.mark.parametrize("how", ["close", "reset"])
@on_both_loops
async def test_a_server_that_hangs_up_during_the_handshake(how):
    async def script(peer: Peer) -> None:
        await peer.begun()
        if how == "reset":
            peer.reset()

    async with listening(script) as server, sending(resolver=here) as sender:
        came = await sender.send(Request(url=url(server.port)))
    assert (came.failure, came.cause) == ("tls", "your server closed the connection during the TLS handshake")


@on_both_loops
async def test_a_server_that_never_finishes_the_handshake():
    async def script(peer: Peer) -> None:
        await peer.gone()

    async with listening(script) as server, sending(resolver=here) as sender:
        came = await sender.send(Request(url=url(server.port), timeout=0.2))
        assert (came.failure, came.cause) == ("timeout", "no answer within 0.2 s (while agreeing on TLS)")
        await server.departed()


@on_both_loops
async def test_a_deadline_over_tls_strikes_while_waiting(authority):
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.gone()

    async with (
        listening(script, tls=authority.server(HOST)) as server,
        sending(resolver=here, tls=authority.client) as sender,
    ):
        came = await sender.send(Request(url=url(server.port), timeout=0.5))
        assert (came.failure, came.cause) == ("timeout", "no answer within 0.5 s (while waiting for the headers)")


@on_both_loops
async def test_bounds_and_ends_hold_over_tls(authority):
    scripts = {
        "long": saying(b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n" + b"x" * 900_000),
        "until close": saying(b"HTTP/1.1 200 OK\r\n\r\nall of it"),
        "silent": saying(b""),
    }
    came = {}
    for name, script in scripts.items():
        async with (
            listening(script, tls=authority.server(HOST)) as server,
            sending(resolver=here, tls=authority.client) as sender,
        ):
            came[name] = await sender.send(Request(url=url(server.port)))
    assert (came["long"].ok, came["long"].truncated, len(came["long"].body)) == (True, True, ConnectionLimits().body)
    assert (came["until close"].ok, came["until close"].body) == (True, b"all of it")
    assert came["silent"].failure == "broken"


@on_both_loops
async def test_a_large_body_goes_out_whole_over_tls(authority):
    body = bytes(range(256)) * 10_000
    async with (
        listening(answering(OK), tls=authority.server(HOST)) as server,
        sending(resolver=here, tls=authority.client) as sender,
    ):
        for _ in range(2):
            assert (await sender.send(Request(url=url(server.port), body=body))).ok
        assert server.connections == 1
        assert all(request.endswith(b"\r\n\r\n" + body) for request in server.requests)


@on_both_loops
async def test_an_idle_connection_over_tls_goes_after_its_time(authority):
    async with (
        listening(answering(OK), tls=authority.server(HOST)) as server,
        sending(resolver=here, tls=authority.client, limits=ConnectionLimits(idle_seconds=0.02)) as sender,
    ):
        assert (await sender.send(Request(url=url(server.port)))).ok
        await server.departed()


@on_both_loops
async def test_a_kept_connection_over_tls_that_turns_out_closed_is_replaced(authority):
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await peer.request()

    async with (
        listening(script, tls=authority.server(HOST)) as server,
        sending(resolver=here, tls=authority.client) as sender,
    ):
        for _ in range(2):
            assert (await sender.send(Request(url=url(server.port)))).ok
        assert server.connections == 2


@on_both_loops
async def test_cancelling_in_the_handshake_drops_the_connection():
    greeted = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.begun()
        greeted.set()
        await peer.gone()

    async with listening(script) as server, sending(resolver=here) as sender:
        task = asyncio.create_task(sender.send(Request(url=url(server.port))))
        async with asyncio.timeout(PATIENCE):
            await greeted.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.departed()
