"""PURE. What a model's call of a tool becomes: one HTTP request to an origin that is allowed, or a refusal.

What a model gives as parameters may have been put into its mouth by a customer. So every value is encoded, none may
change the path it stands in, and the origin is judged on the parsed URL once everything is filled in. Which addresses
may be reached is the sender's to say: here only the origin counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from tellwire.errors import Forbidden
from tellwire.ports.http_out import Answer, Request
from tellwire.security.addresses import EVERY_ADDRESS, Origin, ParsedTarget, check_url

TIMEOUT_SECONDS = 10.0
MASK = "********"

_PLACE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]*)\}")
_NO_PATH = re.compile(r"[/\\%?#\x00-\x20\x7f]|^\.{0,2}$")
_DOTS = re.compile(r"(?i)(?:^|/)(?:\.|%2e){1,2}(?=/|$)")
_encode = msgspec.json.Encoder().encode


def placeholders(url: str) -> set[str]:
    """The parameters that a tool's URL names."""
    return set(_PLACE.findall(url))


def with_samples(url: str) -> str:
    """A tool's URL with something in every place, to be looked at before it is ever called."""
    return _PLACE.sub("x", url)


def origin_of(text: str) -> Origin | None:
    """Scheme, host and port that an origin of the allow list names (a bare host means https); None when it is none."""
    given = text if "://" in text else f"https://{text}"
    if not re.fullmatch(r"https?://[^/?#@\s]+/?", given):
        return None
    try:
        return check_url(given, EVERY_ADDRESS).origin
    except Forbidden:
        return None


def same_origin(one: str, other: str) -> bool:
    """Whether two URLs, perhaps with places for parameters, lead to one server."""
    try:
        first, second = (check_url(with_samples(each), EVERY_ADDRESS).origin for each in (one, other))
    except Forbidden:
        return False
    return first == second


def check_origin(url: str, allowed: Sequence[str]) -> ParsedTarget:
    """Where a URL leads.

    Raises:
        Forbidden: it is none, its path climbs, or its origin is not one of those allowed.
    """
    target = check_url(url, EVERY_ADDRESS)
    if _DOTS.search(target.path.partition("?")[0]):
        raise Forbidden("the path of a tool's URL has a dot segment")
    if target.origin not in {origin_of(each) for each in allowed}:
        raise Forbidden("its origin (scheme, host and port) is not in allowed_tool_origins")
    return target


def request(
    url: str,
    method: Literal["GET", "POST", "DELETE"],
    arguments: Mapping[str, Any],
    *,
    known: frozenset[str],
    headers: Mapping[str, str],
    allowed: Sequence[str],
) -> Request:
    """The request that a call makes.

    Args:
        url: with `{name}` where a parameter goes.
        arguments: as the model gave them.
        known: the names of the tool's parameters.
        headers: with their values.
        allowed: the origins that tools may reach.

    Raises:
        Forbidden: a parameter is unknown, missing or not fit for its place, or the URL leads elsewhere.
    """
    if unknown := arguments.keys() - known:
        raise Forbidden(f"there is no parameter {min(unknown)!r}")
    template = url.partition("#")[0]
    path, mark, query = template.partition("?")
    in_url = placeholders(template)
    filled = _PLACE.sub(lambda found: _in_path(found[1], arguments), path)
    if mark:
        filled += mark + _PLACE.sub(lambda found: _in_query(found[1], arguments), query)
    rest = {name: value for name, value in arguments.items() if name not in in_url}
    body, sent = b"", [*headers.items()]
    if method == "POST":
        body = _encode(rest)
        sent.append(("Content-Type", "application/json"))
    elif rest:
        pairs = "&".join(f"{quote(name, safe='')}={_in_query(name, rest)}" for name in rest)
        filled += ("&" if mark else "?") + pairs
    check_origin(filled, allowed)
    return Request(url=filled, method=method, headers=tuple(sent), body=body, timeout=TIMEOUT_SECONDS)


def _in_path(name: str, arguments: Mapping[str, Any]) -> str:
    value = arguments.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Forbidden(f"the parameter {name!r} must be a text or a number")
    text = str(value)
    if _NO_PATH.search(text):
        raise Forbidden(f"the parameter {name!r} must not be empty, dots, or have slashes, %, ?, # or spaces")
    return quote(text, safe="")


def _in_query(name: str, arguments: Mapping[str, Any]) -> str:
    value = arguments.get(name, "")
    return quote(value if isinstance(value, str) else _encode(value).decode(), safe="")


def told(answer: Answer, secrets: Sequence[str]) -> str:
    """What the model is told of an answer: JSON, cut as the sender cuts, without the secrets that were sent."""
    if answer.failure:
        return _encode({"error": "the tool could not be reached", "failure": answer.failure}).decode()
    text = answer.body.decode("utf-8", "replace")
    for secret in secrets:
        text = text.replace(secret, MASK) if secret else text
    return _encode({"status": answer.status, "body": text, "cut": answer.truncated}).decode()
