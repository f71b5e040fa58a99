"""What web pages that are open on the same machine may ask of the simulator: nothing."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from tellwire.simulator import Simulator

CALLS = [("GET", "/_simulator/accepted"), ("POST", "/_simulator/clear"), ("POST", "/oauth/access_token")]


def statuses(*, url: str = "", **fields: str) -> list[int]:
    """The status of each call with these header fields."""

    async def work() -> list[int]:
        simulator = Simulator()
        await simulator.start()
        here, simulator.state.url = simulator.url, url or simulator.url
        try:
            async with aiohttp.ClientSession() as client:
                found = []
                for method, path in CALLS:
                    async with client.request(method, f"{here}{path}", headers=fields) as answer:
                        found.append(answer.status)
                return found
        finally:
            await simulator.stop()

    return asyncio.run(work())


@pytest.mark.parametrize("origin", ["https://page.example", "null", "http://127.0.0.1:8702"])
def test_a_page_is_refused(origin: str) -> None:
    assert statuses(Origin=origin) == [403] * len(CALLS)


@pytest.mark.parametrize("host", ["page.example", "page.example:8702", "localhost.page.example", "[", ""])
def test_other_names_for_this_machine_are_refused(host: str) -> None:
    assert set(statuses(Host=host)) <= {400, 403}


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8702", "[::1]:8702", "192.0.2.1"])
def test_localhost_and_addresses_are_not(host: str) -> None:
    assert statuses(Host=host) == [200] * len(CALLS)


def test_the_name_by_which_others_reach_it_is_not() -> None:
    assert statuses(url="http://meta.test:8702", Host="meta.test:8702") == [200] * len(CALLS)
