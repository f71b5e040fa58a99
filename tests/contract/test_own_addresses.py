"""Which addresses are this machine's own."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from tests.hostile.test_answers import own_hosts

from tellwire.http_client.own_addresses import is_own_address

INTERFACES = [each for each in own_hosts() if each.replace(".", "").isdigit() and each.count(".") == 3]


@pytest.mark.parametrize("address", [each for each in INTERFACES if each != "0.0.0.0"])
def test_an_address_of_an_interface_is(address: str) -> None:
    # 127.0.0.2 and its like are told by their range, not by this: their requests come from 127.0.0.1
    assert is_own_address(ip_address(address)) or ip_address(address).is_loopback


@pytest.mark.parametrize("address", ["8.8.8.8", "10.255.255.1", "2606:4700::1", "fd00::5", "::ffff:8.8.8.8"])
def test_another_is_not(address: str) -> None:
    assert not is_own_address(ip_address(address))
