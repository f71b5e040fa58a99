"""PURE. Turns a model's call of a tool into one HTTP request to an allowed origin, or refuses it.

A customer may have made the model give any parameters. So every value is encoded, none may change the path in which it
stands, and the origin is checked on the parsed URL after everything is filled in. The sender decides which addresses
may be reached; only the origin is checked here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from tellwire.errors import Forbidden
from tellwire.ports.http_out import Answer, Request
from tellwire.security.addresses import ANYWHERE, Origin, ParsedTarget, check_url

TIMEOUT_SECONDS = 10.0
MASK = "********"

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]*)\}")
_UNSAFE_IN_PATH = re.compile(r"[/\\%?#\x00-\x20\x7f]|^\.{0,2}$")
_DOT_SEGMENT = re.compile(r"(?i)(?:^|/)(?:\.|%2e){1,2}(?=/|$)")
_UNTOLD = "what addresses on the allow list answer is not shown"
_encode = msgspec.json.Encoder().encode


def placeholders(url: str) -> set[str]:
    """Return the parameters that a tool's URL names."""
    return set(_PLACEHOLDER.findall(url))


def with_samples(url: str) -> str:
    """Return a tool's URL with a sample in every placeholder, so that it can be checked before it is called."""
    return _PLACEHOLDER.sub("x", url)


def origin_of(text: str) -> Origin | None:
    """Return the scheme, host and port of an entry of the allow list (a bare host means https); None when it is no
    origin."""
    given = text if "://" in text else f"https://{text}"
    if not re.fullmatch(r"https?://[^/?#@\s]+/?", given):
        return None
    try:
        return check_url(given, ANYWHERE).origin
    except Forbidden:
        return None


def same_origin(one: str, other: str) -> bool:
    """Return whether two URLs, perhaps with placeholders, lead to the same server."""
    try:
        first, second = (check_url(with_samples(each), ANYWHERE).origin for each in (one, other))
    except Forbidden:
        return False
    return first == second


def check_origin(url: str, allowed: Sequence[str]) -> ParsedTarget:
    """Return the parsed URL when its origin is allowed.

    Raises:
        Forbidden: it is no URL, its path has a dot segment, or its origin is not one of those allowed.
    """
    target = check_url(url, ANYWHERE)
    if _DOT_SEGMENT.search(target.path.partition("?")[0]):
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
    """Return the request that a call of a tool makes.

    Args:
        url: with `{name}` where a parameter goes.
        arguments: as the model gave them.
        known: the names of the tool's parameters.
        headers: with their values.
        allowed: the origins that tools may reach.

    Raises:
        Forbidden: a parameter is unknown, missing or not allowed in its position, or the origin is not allowed.
    """
    if unknown := arguments.keys() - known:
        raise Forbidden(f"there is no parameter {min(unknown)!r}")
    template = url.partition("#")[0]
    path, mark, query = template.partition("?")
    in_url = placeholders(template)
    filled = _PLACEHOLDER.sub(lambda found: _in_path(found[1], arguments), path)
    if mark:
        filled += mark + _PLACEHOLDER.sub(lambda found: _in_query(found[1], arguments), query)
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
    if _UNSAFE_IN_PATH.search(text):
        raise Forbidden(f"the parameter {name!r} must not be empty, dots, or have slashes, %, ?, # or spaces")
    return quote(text, safe="")


def _in_query(name: str, arguments: Mapping[str, Any]) -> str:
    value = arguments.get(name, "")
    return quote(value if isinstance(value, str) else _encode(value).decode(), safe="")


def result_for_model(answer: Answer, secrets: Sequence[str]) -> str:
    """Return what the model is shown of an answer: JSON, cut as the sender cuts, without the secrets that were sent.

    Whoever chose the tool's URL may have chosen the model too, so that the model is shown no more than they are.
    """
    if answer.failure:
        return _encode({"error": "the tool could not be reached", "failure": answer.failure}).decode()
    if answer.hidden:
        return _encode({"status": answer.status, "body": "", "cut": False, "note": _UNTOLD}).decode()
    text = answer.body.decode("utf-8", "replace")
    for secret in secrets:
        text = text.replace(secret, MASK) if secret else text
    return _encode({"status": answer.status, "body": text, "cut": answer.truncated}).decode()
