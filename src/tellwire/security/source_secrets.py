"""How a source shows, with a POST, that it has the secret (docs/reference/rest-api.md, "Sources")."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from urllib.parse import parse_qsl

from tellwire.model.sources import Source

_BEARER = re.compile(rb"Bearer +", re.IGNORECASE)
_UNKNOWN = Source(id="", organization_id="", name="", kind="wakit", authentication="header", header="authorization")

Headers = Sequence[tuple[bytes, bytes]]


def made() -> str:
    """Return a new secret, of characters that any header and query takes."""
    return secrets.token_urlsafe(32)


def is_shown(source: Source | None, headers: Headers, query: bytes, body: bytes) -> bool:
    """Return whether a POST shows the secret of a source; never for None, in about the same time."""
    asked = source or _UNKNOWN
    given = _given(asked, headers, query)
    expected = asked.secret.encode()
    if asked.authentication == "hmac":
        expected = hmac.digest(expected, body, hashlib.sha256).hex().encode()
    same = hmac.compare_digest(given, expected)
    return same and source is not None and bool(source.secret)


def _given(source: Source, headers: Headers, query: bytes) -> bytes:
    """Return what stands where the secret, or the HMAC, is to stand; b"" when that is not there exactly once."""
    if source.authentication == "query":
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, errors="surrogateescape")
        tokens = [value for name, value in pairs if name == "token"]
        return tokens[0].encode("utf-8", "surrogateescape") if len(tokens) == 1 else b""
    name = source.header.lower().encode("latin-1", "replace")
    values = [value for key, value in headers if key == name]
    if len(values) != 1:
        return b""
    value = values[0].strip()
    if source.authentication == "hmac":
        return value.removeprefix(b"sha256=").lower()
    if name == b"authorization" and not _BEARER.match(source.secret.encode()):
        return _BEARER.sub(b"", value, count=1)
    return value
