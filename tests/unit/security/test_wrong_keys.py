"""Wrong API keys, counted by peer."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellwire.model.units import MICROS, MINUTE
from tellwire.security.wrong_keys import WrongKeys, peer_of

PEERS = st.sampled_from(["a", "b", "c", "d", "e"])
STEPS = st.lists(st.tuples(PEERS, st.integers(min_value=-MINUTE, max_value=2 * MINUTE)), max_size=200)
FORWARD = st.lists(st.tuples(PEERS, st.integers(min_value=0, max_value=MINUTE // 4)), max_size=200)


def test_a_peer_may_send_so_many_and_no_more() -> None:
    wrong_keys = WrongKeys(most=3, most_of_all=100)
    assert [wrong_keys.wrong("a", 0).retry_after for _ in range(5)] == [0, 0, 0, 40, 40]
    assert wrong_keys.too_many("a", 0)
    assert not wrong_keys.too_many("b", 0)
    assert wrong_keys.wrong("b", 0).retry_after == 0
    assert not wrong_keys.too_many("a", 40 * MICROS)
    assert wrong_keys.wrong("a", 40 * MICROS).retry_after == 0
    assert wrong_keys.wrong("a", 40 * MICROS).retry_after > 0


@given(FORWARD)
def test_within_any_minute_there_is_a_bound(steps: list[tuple[str, int]]) -> None:
    wrong_keys, now, refused = WrongKeys(most=5, most_of_all=1000), 0, []
    for peer, later in steps:
        now += later
        expected = wrong_keys.too_many(peer, now)
        verdict = wrong_keys.wrong(peer, now)
        assert (verdict.retry_after > 0) == expected
        if not verdict.retry_after:
            refused.append((peer, now))
    for peer, at in refused:
        within = [other for name, other in refused if name == peer and at <= other < at + MINUTE]
        assert len(within) <= 2 * 5


@given(STEPS, st.integers(min_value=1, max_value=4))
def test_the_table_is_bounded_and_any_clock_is_survived(steps: list[tuple[str, int]], peers: int) -> None:
    wrong_keys, now = WrongKeys(most=2, most_of_all=7, peers=peers), 10 * MINUTE
    for peer, later in steps:
        now += later
        verdict = wrong_keys.wrong(peer, now)
        assert len(wrong_keys) <= peers
        assert 0 <= verdict.retry_after <= 60
        assert verdict.tell >= 0
    assert not wrong_keys.too_many("a", now + 2 * MINUTE)


@given(st.lists(st.integers(min_value=0, max_value=MINUTE // 10), min_size=1, max_size=300))
def test_who_waits_as_told_is_within_the_bound_again(gaps: list[int]) -> None:
    wrong_keys, now = WrongKeys(most=4, most_of_all=1000), 0
    for gap in gaps:
        now += gap
        verdict = wrong_keys.wrong("a", now)
    assert not wrong_keys.too_many("a", now + max(verdict.retry_after, 60 * MICROS // 4) * MICROS)


def test_peers_together_have_a_bound_too() -> None:
    wrong_keys = WrongKeys(most=2, most_of_all=10)
    for number in range(10):
        assert not wrong_keys.too_many("new", 0), number
        assert wrong_keys.wrong(f"peer {number}", 0).retry_after == 0
    assert wrong_keys.too_many("new", 0)
    assert wrong_keys.wrong("new", 0).retry_after == 0  # it is told 401 all the same: it has done nothing yet


def test_the_log_is_told_once_a_minute_and_of_all() -> None:
    wrong_keys = WrongKeys(most=1, most_of_all=1000)
    assert [wrong_keys.wrong("a", at).tell for at in (0, 0, 1, 2, MINUTE + 1, MINUTE + 2)] == [0, 1, 0, 0, 3, 0]


@pytest.mark.parametrize(
    ("address", "peer"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", ""),
        ("", ""),
    ],
)
def test_peers(address: str, peer: str) -> None:
    assert peer_of(address) == peer


@given(st.one_of(st.text(max_size=50), st.ip_addresses().map(str)))
def test_any_address_is_a_peer(address: str) -> None:
    if peer := peer_of(address):
        assert str(ipaddress.ip_network(peer)).removesuffix("/32") == peer
