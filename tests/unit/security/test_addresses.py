from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from tellwire.errors import Forbidden
from tellwire.security.addresses import (
    AllowedNetwork,
    ParsedTarget,
    Reach,
    check_resolved,
    check_url,
    is_allow_listed,
    why_refused,
)


def reach(*networks: IPv4Network | IPv6Network, **more: Any) -> Reach:
    return Reach(allow=tuple(map(AllowedNetwork, networks)), **more)


NONE = Reach()
LOOPBACK = reach(ip_network("127.0.0.0/8"), ip_network("::1/128"))
MAPPED = ip_network("::ffff:0:0/96")
"""Python 3.13 and later spell it ::ffff:0.0.0.0/96."""
V4 = st.integers(0, 2**32 - 1).map(IPv4Address)
V6 = st.integers(0, 2**128 - 1).map(IPv6Address)

REFUSED = {
    "0.0.0.0": "this network (0.0.0.0/8)",
    "0.255.255.255": "this network",
    "10.0.0.0": "private network (10.0.0.0/8)",
    "10.255.255.255": "private network",
    "100.64.0.0": "carrier-grade NAT",
    "100.100.100.200": "carrier-grade NAT",
    "100.127.255.255": "carrier-grade NAT",
    "127.0.0.1": "loopback (127.0.0.0/8)",
    "127.255.255.254": "loopback",
    "168.63.129.16": "a cloud's host agent",
    "169.254.0.1": "link-local",
    "169.254.169.254": "cloud metadata",
    "172.16.0.1": "private network (172.16.0.0/12)",
    "172.31.255.255": "private network",
    "192.0.0.8": "protocol assignments",
    "192.0.0.192": "protocol assignments",
    "192.0.2.1": "documentation",
    "192.88.99.1": "6to4 relays",
    "192.168.0.1": "private network",
    "192.168.255.255": "private network",
    "198.18.0.1": "benchmarking",
    "198.19.255.255": "benchmarking",
    "198.51.100.7": "documentation",
    "203.0.113.7": "documentation",
    "224.0.0.1": "multicast",
    "239.255.255.250": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.254": "reserved",
    "255.255.255.255": "broadcast",
    "::": "unspecified",
    "::1": "loopback (::1/128)",
    "::2": "IPv4-compatible",
    "::127.0.0.1": "IPv4-compatible",
    "::8.8.8.8": "IPv4-compatible",
    "::ffff:127.0.0.1": f"loopback (127.0.0.0/8) inside {MAPPED}",
    "::ffff:a9fe:a9fe": "cloud metadata",
    "::ffff:0:127.0.0.1": "not global unicast",
    "64:ff9b::7f00:1": "loopback (127.0.0.0/8) inside 64:ff9b::/96",
    "64:ff9b::10.1.2.3": "private network",
    "64:ff9b:1::1": "local NAT64",
    "64:ff9b:1:a00:1::8.8.8.8": "local NAT64",
    "100::1": "discard",
    "2001::1": "Teredo",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2": "Teredo",
    "2001:2::1": "protocol assignments",
    "2001:10::1": "ORCHID",
    "2001:20::1": "ORCHIDv2",
    "2001:db8::1": "documentation",
    "2002:7f00:1::": "loopback (127.0.0.0/8) inside 2002::/16",
    "2002:a9fe:a9fe::1": "cloud metadata",
    "2002:c0a8:101::1": "private network",
    "3fff::1": "documentation",
    "4000::1": "not global unicast",
    "5f00::1": "segment routing",
    "fc00::1": "unique local",
    "fd00:ec2::254": "unique local",
    "fe80::1": "link-local",
    "fe80::1%eth0": "an address with a scope",
    "2606:4700::1%1": "an address with a scope",
    "fec0::1": "site-local",
    "ff02::1": "multicast",
    "127.1": "not an IP address",
    "0177.0.0.1": "not an IP address",
    "": "not an IP address",
    "example.org": "not an IP address",
}
REACHED = (
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
    "168.63.129.15", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255",
    "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8",
    "2002:808:808::1", "2606:4700:4700::1111", "2a00:1450::1", "2001:200::1", "2001:4860:4860::8888",
)  # fmt: skip


@pytest.mark.parametrize(("address", "rule"), REFUSED.items())
def test_addresses_that_are_not_global_are_refused_by_name_of_their_rule(address, rule):
    reason = why_refused(address, 443, NONE)
    assert reason is not None
    assert rule in reason


@pytest.mark.parametrize("address", REACHED)
def test_global_addresses_are_reached(address):
    assert why_refused(address, 443, NONE) is None


@given(V4 | V6)
@example(IPv6Address("2001:1::1"))
def test_whatever_the_standard_library_calls_not_global_is_refused(ip):
    carried = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None)
    if not ip.is_global and carried is None:
        assert why_refused(ip, 443, NONE) is not None
    if ip.is_multicast or ip.is_loopback or ip.is_link_local or ip.is_unspecified:
        assert why_refused(ip, 443, NONE) is not None


@given(V4, st.sampled_from(["::ffff:0:0", "64:ff9b::"]))
def test_an_address_that_carries_another_is_judged_by_it(inner, prefix):
    outer = IPv6Address(int(IPv6Address(prefix)) + int(inner))
    assert (why_refused(outer, 443, NONE) is None) == (why_refused(inner, 443, NONE) is None)
    assert why_refused(outer, 443, reach(IPv4Network(inner))) is None


@given(V4, st.integers(0, 2**80 - 1))
def test_a_6to4_address_is_judged_by_its_gateway(inner, rest):
    outer = IPv6Address((0x2002 << 112) | (int(inner) << 80) | rest)
    assert (why_refused(outer, 443, NONE) is None) == (why_refused(inner, 443, NONE) is None)


@given(V4 | V6)
def test_text_and_object_are_judged_alike(ip):
    assert why_refused(str(ip), 443, NONE) == why_refused(ip, 443, NONE)


@given(V4 | V6)
def test_the_allow_list_admits_exactly_what_it_names(ip):
    network = ip_network(ip)
    assert is_allow_listed(ip, 443, reach(network))
    assert why_refused(ip, 443, reach(network)) is None
    assert not is_allow_listed(ip, 443, NONE)


def test_the_allow_list_admits_nothing_of_its_neighbours():
    assert why_refused("127.0.0.1", 443, LOOPBACK) is None
    assert why_refused("::1", 443, LOOPBACK) is None
    assert why_refused("::ffff:127.0.0.1", 443, LOOPBACK) is None
    assert why_refused("10.0.0.1", 443, LOOPBACK) is not None
    assert why_refused("::2", 443, LOOPBACK) is not None
    assert why_refused("fe80::1%eth0", 443, reach(IPv6Network("fe80::/10"))) is not None


# --- URLs -------------------------------------------------------------------------------------------------------------

SPELLINGS_OF_LOOPBACK = (
    "127.0.0.1", "127.1", "127.0.1", "127.0.0.1.", "2130706433", "0x7f000001", "0x7F.1", "0x7f.0x0.0x0.0x1",
    "0177.0.0.1", "017700000001", "0177.0x0.1", "127.0.0.01", "0000177.1",
    "１２７.０.０.１", "127。0。0。1", "127．0．0．1",
    "127｡0｡0｡1", "①②⑦.⓪.⓪.①", "%31%32%37.0.0.1", "127%2e0%2E0.1", "%EF%BC%9127.0.0.1", "0x7f.1.",
)  # fmt: skip


@pytest.mark.parametrize("host", SPELLINGS_OF_LOOPBACK)
def test_every_spelling_of_an_address_is_judged_as_that_address(host):
    with pytest.raises(Forbidden, match=r"127\.0\.0\.1: loopback"):
        check_url(f"https://{host}:8080/hook", NONE)
    target = check_url(f"http://{host}:8080/hook", LOOPBACK)
    assert (target.host, target.address) == ("127.0.0.1", IPv4Address("127.0.0.1"))
    assert target.authority == "127.0.0.1:8080"


@pytest.mark.parametrize(
    "host",
    [
        "0", "0x", "0.0.0.0", "10.1", "0xa9fea9fe", "2852039166", "169.254.43518", "0251.0376.0251.0376",
        "192.168.257", "[::]", "[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::FFFF:7F00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]", "[fd00::1]", "[fe80::1]", "[ff02::1]", "localhost", "LOCALHOST",
        "localhost.", "a.localhost", "ｌｏｃａｌｈｏｓｔ", "loc%61lhost",
    ],
)  # fmt: skip
def test_refused_hosts_are_refused_over_https_too(host):
    with pytest.raises(Forbidden, match="deliveries may not reach"):
        check_url(f"https://{host}/", NONE)


@pytest.mark.parametrize(
    "url",
    [
        "", "/hook", "hooks.example.org/x", "ftp://example.org/", "file:///etc/passwd", "gopher://example.org:70/",
        "javascript:alert(1)", "https:example.org", "https:/example.org", "https://", "https:///path", "https://:443/",
        "https://user@example.org/", "https://user:pass@example.org/", "https://@example.org/",
        "https://example.org@127.0.0.1/", "https://example.org\\@127.0.0.1/", "https://example.org\\.evil/",
        "https://example.org /", " https://example.org/", "https://example.org/a b", "https://example.org/\r\nX: y",
        "https://example.org/\n", "https://example.org/\x00", "https://exam\tple.org/", "https://example.org/\u2028",
        "https://exa\u00admple.org/", "https://example.org/\ud800", "https://example.org:0/", "https://example.org:65536/",
        "https://example.org:-1/", "https://example.org:+1/", "https://example.org:8_0/", "https://example.org:４４３/",
        "https://example.org:443:443/", "https://::1/", "https://[::1/", "https://[::1]x/", "https://[::1]x:80/",
        "https://[127.0.0.1]/", "https://[fe80::1%25eth0]/", "https://[v1.x]/", "https://[]/", "https://1.2.3.4.5/",
        "https://256.256.256.256/", "https://4294967296/", "https://09.1.1.1/", "https://1.2.3.08/",
        "https://example.1/", "https://a..example/", "https://.example.org/", "https://example.org../",
        "https://-a.example/", "https://a%00.example/", "https://a%2f.example/", "https://a%40b.example/",
        "https://%zz.example/", "https://%ff.example/", "https://%2531.example/", "https://fa\u00df.example/",
        "https://a\u2100b.example/", f"https://{'a' * 64}.example/", f"https://{'a.' * 127}example/",
        f"https://example.org/{'a' * 4096}", "https://127.0.0.1..\u3002/", "https://[::1]:/\x7f",
    ],
)  # fmt: skip
def test_what_is_no_plain_url_is_refused(url):
    with pytest.raises(Forbidden):
        check_url(url, LOOPBACK)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://example.org", ("https", "example.org", 443, "/", "example.org")),
        ("HTTPS://Example.ORG./A?b=C#d", ("https", "example.org", 443, "/A?b=C", "example.org")),
        ("https://example.org:443/", ("https", "example.org", 443, "/", "example.org")),
        ("https://example.org:/", ("https", "example.org", 443, "/", "example.org")),
        ("https://example.org:8443?x", ("https", "example.org", 8443, "/?x", "example.org:8443")),
        ("https://a_b.example/%7Ea/ü/<x>", ("https", "a_b.example", 443, "/%7Ea/%C3%BC/%3Cx%3E", "a_b.example")),
        ("https://bücher.example/", ("https", "xn--bcher-kva.example", 443, "/", "xn--bcher-kva.example")),
        ("https://BÜCHER。example/", ("https", "xn--bcher-kva.example", 443, "/", "xn--bcher-kva.example")),
        ("https://8.8.8.8/", ("https", "8.8.8.8", 443, "/", "8.8.8.8")),
        ("https://[2606:4700:0::1]:65535/", ("https", "2606:4700::1", 65535, "/", "[2606:4700::1]:65535")),
        ("http://[::1]:1/", ("http", "::1", 1, "/", "[::1]:1")),
        ("http://127.0.0.1", ("http", "127.0.0.1", 80, "/", "127.0.0.1")),
        ("http://localhost:8700/x", ("http", "localhost", 8700, "/x", "localhost:8700")),
        ("https://0x7f.example.org/", ("https", "0x7f.example.org", 443, "/", "0x7f.example.org")),
        ("https://1.example/", ("https", "1.example", 443, "/", "1.example")),
    ],
)  # fmt: skip
def test_a_url_is_taken_apart(url, target):
    found = check_url(url, LOOPBACK)
    assert (found.scheme, found.host, found.port, found.path, found.authority) == target


def test_http_is_only_for_the_allow_list():
    with pytest.raises(Forbidden, match="use https"):
        check_url("http://8.8.8.8/", LOOPBACK)
    with pytest.raises(Forbidden, match="use https"):
        check_url("http://example.org/", NONE)
    assert check_url("http://example.org/", LOOPBACK).address is None  # for its addresses to decide
    assert check_url("http://8.8.8.8/", reach(ip_network("8.8.8.0/24"))).port == 80


def parsed(url: str) -> ParsedTarget:
    return check_url(url, LOOPBACK)


def test_resolved_addresses_are_kept_in_order_without_repetitions():
    target = parsed("https://example.org/")
    found = check_resolved(target, ["2606:4700::1", "8.8.8.8", "8.8.8.8", "::ffff:8.8.8.8"], NONE)
    assert found == [IPv6Address("2606:4700::1"), IPv4Address("8.8.8.8")]


@pytest.mark.parametrize(
    "addresses", [["8.8.8.8", "10.0.0.1"], ["fd00::1", "8.8.8.8"], ["fe80::1%eth0"], ["8.8.8.8", "nonsense"]]
)
def test_one_refused_address_spoils_the_answer_and_is_not_told(addresses):
    with pytest.raises(
        Forbidden, match=r"example\.org resolves to an address that deliveries may not reach"
    ) as refusal:
        check_resolved(parsed("https://example.org/"), addresses, NONE)
    assert not any(address in str(refusal.value) for address in addresses)


def test_http_to_a_name_needs_every_address_on_the_allow_list():
    target = parsed("http://example.org/")
    assert check_resolved(target, ["127.0.0.1", "::1"], LOOPBACK)
    with pytest.raises(Forbidden, match="use https"):
        check_resolved(target, ["127.0.0.1", "8.8.8.8"], LOOPBACK)


@given(st.text())
@example("[" * 100)
def test_any_host_is_parsed_or_refused_and_never_smuggles(text):
    try:
        target = check_url(f"https://{text}/hook", NONE)
    except Forbidden:
        return
    line = f"{target.authority}{target.path}"
    assert line.isascii()
    assert line.isprintable()
    assert " " not in line
    assert target.address is None or why_refused(target.address, 443, NONE) is None


@given(st.text())
def test_any_text_is_a_url_or_refused(text):
    try:
        target = check_url(text, LOOPBACK)
    except Forbidden:
        return
    assert 1 <= target.port <= 65535
    assert target.path.startswith("/")


@given(
    V4,
    st.sampled_from(
        ["{0}.{1}.{2}.{3}", "{0}.{1}.{low}", "{0}.{mid}", "{all}", "{all:#x}", "0{all:o}", "{0:#x}.{mid:#x}"]
    ),
)
def test_spellings_of_any_address_are_read_as_inet_aton_reads_them(ip, spelling):
    number = int(ip)
    host = spelling.format(*ip.packed, all=number, mid=number & 0xFFFFFF, low=number & 0xFFFF)
    assert check_url(f"https://{host}/", reach(ip_network("0.0.0.0/0"))).address == ip


PORT = 8700
EVERYTHING = reach(ip_network("0.0.0.0/0"), ip_network("::/0"), own_port=PORT)


@given(V4 | V6, st.sampled_from([443, 8701]))
def test_of_this_machine_only_our_own_port_is_refused_for_it(ip, port):
    assert why_refused(ip, port, EVERYTHING) is None


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1", "::127.0.0.1", "::ffff:0.0.0.0"]
)
def test_our_own_port_by_every_form_of_this_machines_addresses(address):
    assert why_refused(address, PORT, EVERYTHING) == "Tellwire's own port"
    assert why_refused(address, PORT, replace(EVERYTHING, own_port=0)) is None


@given(V4 | V6)
def test_an_address_of_an_interface_is_this_machine_as_well(ip):
    own = replace(EVERYTHING, is_own=lambda address: address == ip)
    assert why_refused(ip, PORT, own) == "Tellwire's own port"
    assert why_refused(ip, PORT, replace(own, allow=())) == "Tellwire's own port"


@given(V4 | V6, st.integers(1, 65535), st.integers(1, 65535), st.integers(1, 65535))
def test_an_entry_admits_its_ports_and_no_other(ip, port, one, other):
    first, last = sorted((one, other))
    listed = Reach(allow=(AllowedNetwork(ip_network(ip), first, last),))
    assert is_allow_listed(ip, port, listed) == (first <= port <= last)
