"""The SSRF guard where it acts: only addresses that were checked are ever connected to."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence

import pytest
from tests.contract.listening import (
    OK,
    PATIENCE,
    answering,
    listening,
    on_both_loops,
    sending,
)

from tellwire.endpoints.handshake import ask_for_consent
from tellwire.errors import Invalid
from tellwire.formats.chat.handshake import Challenge
from tellwire.http_client.connection import ConnectionLimits
from tellwire.http_client.connector import Resolve, SystemResolver, look_up
from tellwire.model.deliveries import Endpoint
from tellwire.ports.formats import Registration
from tellwire.ports.http_out import Request


def resolving(*answers: Sequence[str]) -> tuple[Resolve, list[str]]:
    """A resolver that gives these answers in turn, the last one for ever, and the names it was asked for."""
    asked: list[str] = []

    async def resolve(host: str, _: str = "", /) -> Sequence[str]:
        asked.append(host)
        return answers[min(len(asked), len(answers)) - 1]

    return resolve, asked


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "0x7f000001", "[::ffff:127.0.0.1]", "localhost", "a.localhost"])
@on_both_loops
async def test_without_an_allow_list_loopback_is_out_of_reach(scheme, host):
    async with listening(answering(OK)) as server, sending("10.0.0.0/8") as sender:
        came = await sender.send(Request(url=f"{scheme}://{host}:{server.port}/"))
        assert came.failure == "forbidden"
        assert "loopback" in came.cause
        assert await server.untouched()


OUTSIDE_THE_LIST = [
    ("127.0.0.2", "127.0.0.2"),
    ("127.0.0.2", "127.2"),
    ("127.0.0.2", "0x7f000002"),
    ("127.0.0.2", "0x7f.2"),
    ("127.0.0.2", "2130706434"),
    ("127.0.0.2", "0177.0.0.2"),
    ("127.0.0.2", "127.0.0.2."),
    ("127.0.0.2", "127。0。0。2"),
    ("127.0.0.2", "%31%32%37.0.0.2"),
    ("127.0.0.2", "[::ffff:127.0.0.2]"),
    ("127.0.0.2", "[::ffff:7f00:2]"),
    ("::1", "[::1]"),
    ("::1", "[0:0:0:0:0:0:0:1]"),
    ("0.0.0.0", "0.0.0.0"),
    ("0.0.0.0", "0"),
    ("0.0.0.0", "[::ffff:0.0.0.0]"),
]


@pytest.mark.parametrize(("bound", "host"), OUTSIDE_THE_LIST)
@pytest.mark.parametrize("scheme", ["http", "https"])
@on_both_loops
async def test_loopback_outside_the_allow_list_sees_nothing_however_it_is_spelled(bound, host, scheme):
    async with listening(answering(OK), host=bound) as server, sending("127.0.0.1/32") as sender:
        url = f"{scheme}://{host}:{server.port}/hook"
        came = await sender.send(Request(url=url))
        assert came.failure == "forbidden"
        assert came.cause.startswith("deliveries may not reach ")
        endpoint = Endpoint(id="", organization_id="", url=url, format="chat")
        asked = Registration(endpoint=endpoint, token="token", origin="https://us.example")
        with pytest.raises(Invalid, match="deliveries may not reach"):
            await ask_for_consent(sender, Challenge(), asked, timeout=5.0)
        assert await server.untouched()


@pytest.mark.parametrize(("bound", "answer"), [("127.0.0.2", "127.0.0.2"), ("::1", "::1"), ("0.0.0.0", "0.0.0.0")])
@on_both_loops
async def test_loopback_outside_the_allow_list_sees_nothing_of_names_that_lead_there(bound, answer):
    resolve, _ = resolving([answer])
    async with listening(answering(OK), host=bound) as server, sending("127.0.0.1/32", resolver=resolve) as sender:
        for scheme in ("http", "https"):
            came = await sender.send(Request(url=f"{scheme}://inside.example:{server.port}/"))
            assert came.failure == "forbidden"
        assert await server.untouched()


@pytest.mark.parametrize(
    "answer", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], ["fe80::1%1"]]
)
@on_both_loops
async def test_a_name_that_leads_inside_is_refused(answer):
    resolve, _ = resolving(answer)
    async with listening(answering(OK)) as server, sending("10.0.0.0/8", resolver=resolve) as sender:
        came = await sender.send(Request(url=f"https://evil.example:{server.port}/"))
        assert came.failure == "forbidden"
        assert came.cause.startswith("evil.example resolves to an address that deliveries may not reach: ")
        assert list(came.durations) == ["dns", "total"]
        assert await server.untouched()


@pytest.mark.parametrize("answer", [["127.0.0.1", "10.0.0.1"], ["10.0.0.1", "127.0.0.1"], ["127.0.0.1", "fe80::1%lo"]])
@on_both_loops
async def test_one_refused_address_among_good_ones_spoils_them_all(answer):
    resolve, _ = resolving(answer)
    async with listening(answering(OK)) as server, sending(resolver=resolve) as sender:
        came = await sender.send(Request(url=f"http://mixed.example:{server.port}/"))
        assert came.failure == "forbidden"
        assert await server.untouched()


@on_both_loops
async def test_http_to_a_name_wants_every_address_on_the_allow_list():
    resolve, _ = resolving(["127.0.0.1", "8.8.8.8"])
    async with listening(answering(OK)) as server, sending(resolver=resolve) as sender:
        came = await sender.send(Request(url=f"http://mixed.example:{server.port}/"))
        assert (came.failure, came.cause) == ("forbidden", "http is only for addresses on the allow list: use https")
        assert await server.untouched()


@on_both_loops
async def test_a_name_is_resolved_once_for_a_connection_and_only_what_was_judged_is_connected_to():
    resolve, asked = resolving(["127.0.0.1"], ["127.0.0.2"])
    web = answering(OK)
    async with (
        listening(web) as first,
        listening(web, host="127.0.0.2", port=first.port) as second,
        sending("127.0.0.1/32", resolver=resolve, limits=ConnectionLimits(idle_per_host=0)) as sender,
    ):
        came = await sender.send(Request(url=f"http://rebinding.example:{first.port}/"))
        assert came.ok
        assert asked == ["rebinding.example"]
        assert (first.connections, second.connections) == (1, 0)
        came = await sender.send(Request(url=f"http://rebinding.example:{first.port}/"))
        assert came.failure == "forbidden"
        assert (first.connections, second.connections) == (1, 0)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", ["127.0.0.1", "127.2", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]", "localhost", "0"])
@on_both_loops
async def test_our_own_port_is_out_of_reach_whatever_the_list_admits(host, scheme):
    async with (
        listening(answering(OK)) as server,
        sending("0.0.0.0/0", "::/0", own_port=server.port) as sender,
    ):
        came = await sender.send(Request(url=f"{scheme}://{host}:{server.port}/v1/accounts"))
        assert came.failure == "forbidden"
        assert came.cause.endswith("Tellwire's own port")
        assert await server.untouched()


@on_both_loops
async def test_a_name_that_turns_to_our_own_port_is_refused_at_the_connection():
    resolve, asked = resolving(["127.0.0.2"], ["127.0.0.1", "8.8.8.8"], ["8.8.8.8", "10.1.2.3"])
    async with (
        listening(answering(OK)) as own,
        sending(
            "127.0.0.0/8",
            "10.0.0.0/8",
            resolver=resolve,
            own_port=own.port,
            is_own=lambda address: str(address) == "10.1.2.3",
        ) as sender,
    ):
        for _ in range(3):
            came = await sender.send(Request(url=f"https://rebinding.example:{own.port}/"))
            assert came.failure == "forbidden"
            assert came.cause.endswith("Tellwire's own port")
        assert len(asked) == 3
        assert await own.untouched()


@on_both_loops
async def test_an_entry_with_a_port_admits_that_port_alone():
    async with (
        listening(answering(OK)) as listed,
        listening(answering(OK)) as other,
        sending(f"127.0.0.1/32:{listed.port}") as sender,
    ):
        assert (await sender.send(Request(url=listed.url))).ok
        came = await sender.send(Request(url=other.url))
        assert (came.failure, "loopback" in came.cause) == ("forbidden", True)
        assert await other.untouched()


@on_both_loops
async def test_a_kept_connection_and_an_address_ask_no_resolver():
    resolve, asked = resolving(["127.0.0.1"], [])
    async with listening(answering(OK)) as server, sending(resolver=resolve) as sender:
        for _ in range(3):
            assert (await sender.send(Request(url=f"http://kept.example:{server.port}/"))).ok
        assert (await sender.send(Request(url=server.url))).ok
        assert asked == ["kept.example"]
        assert server.connections == 2
        assert b"\r\nHost: kept.example:%d\r\n" % server.port in server.requests[0]


@pytest.mark.parametrize("deaf", ["::1", "127.0.0.2"])
@on_both_loops
async def test_the_next_address_is_tried_when_one_refuses(deaf):
    resolve, _ = resolving([deaf, "127.0.0.1"])
    async with listening(answering(OK)) as server, sending(resolver=resolve) as sender:
        assert (await sender.send(Request(url=f"http://two.example:{server.port}/"))).ok
        assert server.connections == 1


@on_both_loops
async def test_the_next_address_is_tried_when_one_is_silent():
    resolve, _ = resolving(["127.0.0.2", "127.0.0.1"])
    async with (
        listening(answering(OK)) as server,
        sending(resolver=resolve, limits=ConnectionLimits(connect_seconds=0.1)) as sender,
    ):
        full = socket.socket()
        full.bind(("127.0.0.2", server.port))
        full.listen(0)
        waiting = [socket.socket() for _ in range(8)]  # fill the queue of connections that nobody accepts
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
        came = await sender.send(Request(url=f"http://two.example:{server.port}/"))
        for sock in (full, *waiting):
            sock.close()
        assert came.ok
        assert came.durations["connect"] > 90


@on_both_loops
async def test_when_all_refuse_that_is_said_once():
    resolve, _ = resolving(["127.0.0.2", "127.0.0.3", "::1"])
    async with listening(answering(OK)) as server:
        pass
    async with sending(resolver=resolve) as sender:
        came = await sender.send(Request(url=f"http://three.example:{server.port}/"))
    assert (came.failure, came.cause) == ("refused", "connection refused")


@on_both_loops
async def test_ipv6_and_mapped_addresses_are_connected_to():
    async with (
        listening(answering(OK), host="::1") as six,
        listening(answering(OK)) as four,
        sending() as sender,
    ):
        assert (await sender.send(Request(url=f"http://[::1]:{six.port}/"))).ok
        assert (await sender.send(Request(url=f"http://[::ffff:127.0.0.1]:{four.port}/"))).ok
        assert b"\r\nHost: [::1]:%d\r\n" % six.port in six.requests[0]


def failing(error: Exception) -> Callable[[str], Awaitable[Sequence[str]]]:
    async def resolve(_: str, __: str = "", /) -> Sequence[str]:
        raise error

    return resolve


@pytest.mark.parametrize(
    "resolve",
    [failing(socket.gaierror(socket.EAI_NONAME, "no such name")), failing(OSError()), resolving([])[0]],
)
@on_both_loops
async def test_a_name_without_addresses(resolve):
    async with sending(resolver=resolve) as sender:
        came = await sender.send(Request(url="https://nowhere.example/"))
    assert (came.status, came.failure, came.cause) == (0, "dns", "could not resolve the host name")


# --- the system's resolver --------------------------------------------------------------------------------------------


@on_both_loops
async def test_localhost_is_resolved_by_the_system():
    async with listening(answering(OK)) as server, sending() as sender:
        assert (await sender.send(Request(url=f"http://localhost:{server.port}/"))).ok


def test_a_look_up_gives_addresses_or_the_error():
    found = look_up("localhost")
    assert not isinstance(found, OSError)
    assert {"127.0.0.1", "::1"} & set(found)
    assert isinstance(look_up("a" * 64 + ".localhost"), OSError)


@on_both_loops
async def test_a_name_server_that_hangs_delays_no_other_name():
    hanging = threading.Event()
    asked: list[str] = []

    def ask(host: str) -> list[str] | OSError:
        asked.append(host)
        if host == "slow.example":
            hanging.wait(PATIENCE)
        return ["192.0.2.1"] if host != "lost.example" else OSError("no such name")

    resolver = SystemResolver(ask, threads=4)
    slow = [asyncio.create_task(resolver("slow.example")) for _ in range(10)]
    for number in range(5):
        assert await resolver(f"quick{number}.example") == ["192.0.2.1"]
    with pytest.raises(OSError, match="no such name"):
        await resolver("lost.example")
    slow[0].cancel()
    hanging.set()
    assert await asyncio.gather(*slow[1:]) == [["192.0.2.1"]] * 9
    assert asked.count("slow.example") == 1
    assert await resolver("slow.example") == ["192.0.2.1"]
    assert asked.count("slow.example") == 2


@on_both_loops
async def test_an_organization_whose_names_all_hang_leaves_threads_to_others():
    hanging = threading.Event()

    def ask(host: str) -> list[str] | OSError:
        if host.endswith(".hangs.example"):
            hanging.wait(PATIENCE)
        return ["192.0.2.1"]

    resolver = SystemResolver(ask, threads=8)
    slow = [asyncio.create_task(resolver(f"{number}.hangs.example", "greedy")) for number in range(100)]
    for number in range(20):
        assert await resolver(f"quick{number}.example", "quiet") == ["192.0.2.1"]
    slow[50].cancel()
    hanging.set()
    for task in slow[:50] + slow[51:]:
        assert await task == ["192.0.2.1"]


@on_both_loops
async def test_an_attempt_is_resolved_for_its_organization():
    for_whom: list[str] = []

    async def resolve(_: str, organization_id: str = "", /) -> Sequence[str]:
        for_whom.append(organization_id)
        return ["127.0.0.1"]

    async with listening(answering(OK)) as server, sending(resolver=resolve) as sender:
        url = f"http://hooks.example:{server.port}/"
        assert (await sender.send(Request(url=url, organization_id="whose"))).ok
    assert for_whom == ["whose"]
