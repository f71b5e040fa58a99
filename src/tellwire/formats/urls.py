"""URLs of receivers, with what a handshake asks added to their query."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode


def with_query(url: str, asked: Mapping[str, str]) -> str:
    """Return the URL with more in its query; what is there stays, a fragment goes."""
    address, _, _ = url.partition("#")
    _, mark, query = address.partition("?")
    joint = "?" if not mark else "&" if query and not query.endswith("&") else ""
    return f"{address}{joint}{urlencode(asked, safe='', quote_via=quote)}"
