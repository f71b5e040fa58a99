"""PURE. Decides which URLs of files may be sent an account's token: Meta's media hosts over https, and META_GRAPH_URL's
own."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_BELOW = (".fbsbx.com", ".whatsapp.net")
"""The media hosts that Meta names are below these."""
# One spelling only, so that no two parsers can find different hosts in it: no user, no backslash, ASCII only, and below
# Meta's hosts no name that some parsers decode ("xn--").
_URL = re.compile(r"(https?)://([A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::([0-9]{1,5}))?(/[!-\[\]-~]*)?")
_PORTS = {"http": 80, "https": 443}


def may_see_token(url: str, graph_url: str) -> bool:
    """Return whether a file's URL, as Meta gave it, is one that the token may be sent to.

    Args:
        url: of the file.
        graph_url: META_GRAPH_URL, the operator's own setting: its host and port are trusted as they are.

    Source: docs/reference/delivery.md, "Where tokens go".
    """
    found = _URL.fullmatch(url)
    if found is None or ".." in found[2]:
        return False
    scheme, host, port = found[1], found[2].lower(), int(found[3] or _PORTS[found[1]])
    if (scheme, host, port) == _origin(graph_url):
        return True
    return scheme == "https" and port == 443 and host.endswith(_BELOW) and "xn--" not in host


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme, 0)
