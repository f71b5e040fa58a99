"""Which addresses and URLs a request of ours may reach: the rules of the SSRF guard, without any I/O.

A URL is checked when it is set and again before every connection. Whatever spelling `inet_aton` and
browsers take for an address (`127.1`, `0x7f000001`, `0177.0.0.1`, full-width digits, `%31`) is taken for one here too,
so that no spelling slips past as a "name".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, Literal
from urllib.parse import quote, unquote

from msgspec import Struct

from tellwire.errors import Forbidden

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Origin = tuple[str, str, int]
"""Scheme, host and port."""

# IANA special-purpose registries (RFC 6890 and its updates), multicast, and what deliveries have no reason to reach.
_REFUSED_V4: Final = tuple(
    (IPv4Network(network), words)
    for network, words in (
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private network"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "a cloud's host agent"),  # global by number, yet answered by the machine's own host
        ("169.254.0.0/16", "link-local, cloud metadata"),
        ("172.16.0.0/12", "private network"),
        ("192.0.0.0/24", "protocol assignments"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relays"),
        ("192.168.0.0/16", "private network"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("240.0.0.0/4", "reserved"),
    )
)
_REFUSED_V6: Final = tuple(
    (IPv6Network(network), words)
    for network, words in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::/96", "IPv4-compatible"),
        ("64:ff9b:1::/48", "local NAT64"),
        ("100::/64", "discard"),
        ("2001::/32", "Teredo"),
        ("2001:10::/28", "ORCHID"),
        ("2001:20::/28", "ORCHIDv2"),
        ("2001::/23", "protocol assignments"),
        ("2001:db8::/32", "documentation"),
        ("3fff::/20", "documentation"),
        ("5f00::/16", "segment routing"),
        ("fc00::/7", "unique local"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_NAT64: Final = IPv6Network("64:ff9b::/96")
_LAST_32_BITS: Final = (_MAPPED, _NAT64, IPv6Network("64:ff9b:1::/48"), IPv6Network("::/96"))
_6TO4: Final = IPv6Network("2002::/16")
_LOOPBACK: Final = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
_LOOPBACK_NAME: Final = re.compile(r"(?:.+\.)?localhost")  # RFC 6761, section 6.3

_URL: Final = re.compile(r"(?i:(https?))://([^/?#]*)([^?#]*)(\?[^#]*)?(?:#.*)?")
_PORT: Final = re.compile(r"[0-9]{1,5}")
_NUMBER: Final = re.compile(r"0x[0-9a-f]*|[0-9]+")
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_AS_IS: Final = "/%:@!$&'()*+,;=~-._?"
_LONGEST_URL: Final = 4096
_OWN_PORT: Final = "Tellwire's own port"
_HTTP_RULE: Final = "http is only for addresses on the allow list: use https"
# Characters that the two versions of IDNA spell as different hosts.
_DEVIATIONS: Final = frozenset("ßẞς\u200c\u200d")


class AllowedNetwork(Struct, frozen=True):
    """An entry of an allow list: a network, and the ports in it from the first to the last."""

    network: Network
    first_port: int = 1
    last_port: int = 65535

    def __str__(self) -> str:
        if (self.first_port, self.last_port) == (1, 65535):
            return str(self.network)
        host = self.network.network_address
        named = f"[{host}]/{self.network.prefixlen}" if isinstance(host, IPv6Address) else str(self.network)
        ports = f"{self.first_port}" if self.first_port == self.last_port else f"{self.first_port}-{self.last_port}"
        return f"{named}:{ports}"


def _is_no_other(_address: Address) -> bool:
    return False


class Reach(Struct, frozen=True, kw_only=True):
    """Which addresses the requests of one purpose may reach beside the global ones, and what is told of their answers.

    `what` and `setting` are for messages: who may not go there, and what could admit it. `own_port` is the port that
    this process listens on, on its own addresses never to be reached, 0 for none; `is_own` says whether an address
    other than loopback is this machine's. `shows_answers`: what allow-listed addresses answer may be shown to tenants.
    `anywhere` is for URLs that the operator chooses: every address may be reached, and its answers be shown.
    """

    what: str = "deliveries"
    setting: str = "DELIVERY_ALLOW_CIDRS"
    allow: tuple[AllowedNetwork, ...] = ()
    own_port: int = 0
    is_own: Callable[[Address], bool] = _is_no_other
    shows_answers: bool = False
    anywhere: bool = False


ANYWHERE: Final = Reach(what="requests", anywhere=True, shows_answers=True)


class ParsedTarget(Struct, frozen=True):
    """Where a URL leads. `host` is an ASCII name without a trailing dot, or the canonical text of `address`.

    `path` is the request target (path and query, ASCII), `authority` the value of the Host header.
    """

    scheme: Literal["http", "https"]
    host: str
    port: int
    address: Address | None
    path: str
    authority: str

    @property
    def origin(self) -> Origin:
        """Scheme, host and port: what a connection may be kept for, and what an allow list of origins names."""
        return self.scheme, self.host, self.port


def why_refused(address: str | Address, port: int, reach: Reach) -> str | None:
    """Return the rule by which an address may not be reached at a port, in plain words; None when it may.

    Our own port on this machine is always refused, and every range that is not globally reachable unless the allow
    list has the address with this port. Addresses that carry an IPv4 address (mapped, NAT64, 6to4) are checked by it.
    """
    ip = _parsed(address)
    if ip is None:
        return "not an IP address"
    if isinstance(ip, IPv6Address) and ip.scope_id is not None:
        return "an address with a scope"
    if reach.own_port == port and port and any(_is_this_machine(form, reach) for form in _forms(ip)):
        return _OWN_PORT
    return None if reach.anywhere or is_allow_listed(ip, port, reach) else _rule(ip)


def is_allow_listed(address: str | Address, port: int, reach: Reach) -> bool:
    """Return whether the allow list has an address with a port, as it stands or by the IPv4 address in it."""
    if not reach.allow:
        return False
    ip = _parsed(address)
    return ip is not None and any(
        entry.first_port <= port <= entry.last_port and form in entry.network
        for entry in reach.allow
        for form in _forms(ip)
    )


def check_url(url: str, reach: Reach) -> ParsedTarget:
    """Return where a URL leads, as far as the text tells; a name's addresses are for `check_resolved`.

    Raises:
        Forbidden: not an http or https URL with a plain host, or one that may not be reached.
    """
    if len(url) > _LONGEST_URL:
        raise Forbidden(f"the URL is longer than {_LONGEST_URL} characters")
    if not url.isprintable() or " " in url or "\\" in url:
        raise Forbidden("the URL contains a space, a backslash or an invisible character")
    match = _URL.fullmatch(url)
    if match is None:
        raise Forbidden("the URL must start with https:// (or http:// for allow-listed addresses)")
    scheme: Literal["http", "https"] = "https" if match[1].lower() == "https" else "http"
    if "@" in match[2]:
        raise Forbidden("the URL must not contain a user name or password: set a token or a header instead")
    host, port = _split(match[2], 443 if scheme == "https" else 80)
    target = _target(scheme, host, port, match[3], match[4] or "")
    _check_text(target, reach)
    return target


def check_resolved(target: ParsedTarget, addresses: Iterable[str], reach: Reach) -> list[Address]:
    """Return the addresses that a target's name resolved to, ready to connect to, without repetitions, in their order.

    Raises:
        Forbidden: one of the addresses may not be reached; then none may.
    """
    found: dict[Address, None] = {}
    for address in addresses:
        rule = why_refused(address, target.port, reach)
        if rule is not None:
            raise Forbidden(f"{target.host} resolves to an address that {reach.what} may not reach: {rule}")
        if target.scheme == "http" and not _takes_http(address, target.port, reach):
            raise Forbidden(_HTTP_RULE)
        ip = ip_address(address)
        found[(ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip] = None
    return list(found)


def _check_text(target: ParsedTarget, reach: Reach) -> None:
    if target.address is not None:
        rule = why_refused(target.address, target.port, reach)
        if rule is not None:
            raise _refusal(target, rule, reach)
        if target.scheme == "http" and not _takes_http(target.address, target.port, reach):
            raise Forbidden(_HTTP_RULE)
    elif _LOOPBACK_NAME.fullmatch(target.host):
        rules = [why_refused(address, target.port, reach) for address in _LOOPBACK]
        if all(rules):
            raise _refusal(target, _OWN_PORT if reach.own_port == target.port else "loopback", reach)
    elif target.scheme == "http" and not (reach.allow or reach.anywhere):
        raise Forbidden(_HTTP_RULE)


def _refusal(target: ParsedTarget, rule: str, reach: Reach) -> Forbidden:
    hint = "" if rule == _OWN_PORT else f"; {reach.setting} can admit it"
    return Forbidden(f"{reach.what} may not reach {target.host}: {rule}{hint}")


def _takes_http(address: str | Address, port: int, reach: Reach) -> bool:
    return reach.anywhere or is_allow_listed(address, port, reach)


def _is_this_machine(ip: Address, reach: Reach) -> bool:
    return ip.is_loopback or ip.is_unspecified or reach.is_own(ip)


def _parsed(address: str | Address) -> Address | None:
    if not isinstance(address, str):
        return address
    try:
        return ip_address(address)
    except ValueError:
        return None


def _embedded(ip: IPv6Address) -> IPv4Address | None:
    if any(ip in network for network in _LAST_32_BITS):
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.sixtofour


def _forms(ip: Address) -> tuple[Address, ...]:
    inner = _embedded(ip) if isinstance(ip, IPv6Address) else None
    return (ip,) if inner is None else (ip, inner)


def _rule(ip: Address) -> str | None:
    if isinstance(ip, IPv4Address):
        return next((f"{words} ({network})" for network, words in _REFUSED_V4 if ip in network), None)
    for network in (_MAPPED, _NAT64, _6TO4):
        if ip in network:
            inner = _embedded(ip)
            rule = None if inner is None else _rule(inner)
            return rule and f"{rule} inside {network}"
    for network, words in _REFUSED_V6:
        if ip in network:
            return f"{words} ({network})"
    return None if ip in _GLOBAL_UNICAST else f"not global unicast ({_GLOBAL_UNICAST})"


# --- the text of a URL ------------------------------------------------------------------------------------------------


def _split(authority: str, default: int) -> tuple[str, int]:
    """Return the host (brackets kept) and the port of an authority."""
    if authority.startswith("["):
        host, bracket, rest = authority.partition("]")
        host += bracket
    else:
        host, colon, digits = authority.partition(":")
        rest = colon + digits
    if rest in ("", ":"):
        return host, default
    if not rest.startswith(":") or not _PORT.fullmatch(rest, 1) or not 1 <= int(rest[1:]) <= 65535:
        raise Forbidden("the URL's port must be a number between 1 and 65535")
    return host, int(rest[1:])


def _target(scheme: Literal["http", "https"], host: str, port: int, path: str, query: str) -> ParsedTarget:
    address: Address | None
    if host.startswith("["):
        address = _bracketed(host)
        name = str(address)
        shown = f"[{name}]"
    else:
        shown = name = _ascii(host)
        address = _aton(name)
        if address is not None:
            shown = name = str(address)
    authority = shown if port == (443 if scheme == "https" else 80) else f"{shown}:{port}"
    return ParsedTarget(scheme, name, port, address, quote((path or "/") + query, safe=_AS_IS), authority)


def _bracketed(host: str) -> IPv6Address:
    if "%" in host:
        raise Forbidden("deliveries may not reach an address with a scope")
    try:
        return IPv6Address(host[1:-1] if host.endswith("]") else host)
    except ValueError:
        raise Forbidden("the URL's host in brackets is not an IPv6 address") from None


def _ascii(host: str) -> str:
    """Return a host as resolvers and receivers see it: percent-decoded, IDNA-encoded, lower case, no trailing dot."""
    try:
        host = unicodedata.normalize("NFKC", unquote(host, errors="strict"))
        if not host.isascii():
            if not _DEVIATIONS.isdisjoint(host):
                raise Forbidden("write this host name in its xn-- form: two spellings of it exist")
            host = host.encode("idna").decode("ascii")
    except UnicodeError:
        raise Forbidden("the URL's host is not a host name") from None
    host = host.lower().removesuffix(".")
    if len(host) > 253 or not _NAME.fullmatch(host):
        raise Forbidden("the URL's host is not a host name")
    return host


def _aton(host: str) -> IPv4Address | None:
    """Return the address that `inet_aton` and browsers read in a host, None for a name.

    Raises:
        Forbidden: it ends in a number, so that it is no name, and yet is no address (WHATWG URL, "ends in a number").
    """
    parts = host.split(".")
    if not _NUMBER.fullmatch(parts[-1]):
        return None
    numbers = [_number(part) for part in parts]
    *heads, last = numbers
    if len(parts) > 4 or min(numbers) < 0 or max(heads, default=0) > 255 or last >= 256 ** (4 - len(heads)):
        raise Forbidden("the URL's host is neither a host name nor an address")
    return IPv4Address(last + sum(number << (24 - 8 * place) for place, number in enumerate(heads)))


def _number(text: str) -> int:
    """Return a part of an address as a number: decimal, octal after 0, hexadecimal after 0x; -1 when it is none."""
    if not _NUMBER.fullmatch(text):
        return -1
    if text.startswith("0x"):
        return int(text[2:] or "0", 16)
    if text.startswith("0"):
        return -1 if "8" in text or "9" in text else int(text, 8)
    return int(text)
