"""PURE. Serve everything below a path such as `/tellwire`, that of PUBLIC_URL: a proxy shares a host with others.

The rest of the server knows its own paths alone. What comes in loses the sub-path, which a proxy may pass on or strip;
where addresses of ours go out, they get it: in `Location`, in the paths of cookies, and in pages.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any
from urllib.parse import unquote

from tellwire.errors import BadSettings

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

_ADDRESS = re.compile(r'(\s(?:href|src|action|formaction|data-raw)=")(?=/(?!/))')
"""Where an address of ours begins in a page. Quotes in text are escaped, so that nobody's text looks like one."""
PASSED_ON = "sub_path"
"""Under this name the state of a request says that its path had the sub-path."""
_COOKIE_PATH = re.compile(rb"(?i)(;\s*path=)/([^;]*)")


def check(sub_path: str, own: Collection[str]) -> None:
    """Check that a request of a proxy that strips the sub-path cannot be taken for one of a proxy that passes it on.

    Args:
        own: the first parts of our own paths.

    Raises:
        BadSettings: the sub-path begins like a path of ours.
    """
    first = unquote(sub_path).strip("/").partition("/")[0]
    if first in own:
        raise BadSettings(f"PUBLIC_URL has the path {sub_path}, but /{first} is a path of Tellwire's own: use another")


def enter(scope: MutableMapping[str, Any], sub_path: str) -> None:
    """Take the sub-path from the path of a request, where the proxy has passed it on."""
    path = scope["path"]
    plain = unquote(sub_path)
    if path == plain or path.startswith(f"{plain}/"):
        scope["path"] = path[len(plain) :] or "/"
        scope.setdefault("state", {})[PASSED_ON] = True
        raw = scope.get("raw_path") or b""
        given = next((each for each in (sub_path.encode(), plain.encode()) if raw.startswith(each)), b"")
        scope["raw_path"] = raw[len(given) :] or b"/"


def leaving(send: Send, sub_path: str) -> Send:
    """Return `send` for answers whose headers get the sub-path."""
    prefix = sub_path.encode()

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [(name, _header(name.lower(), value, prefix)) for name, value in message["headers"]]
        await send(message)

    return sent


def _header(name: bytes, value: bytes, prefix: bytes) -> bytes:
    if name == b"location" and value.startswith(b"/") and not value.startswith(b"//"):
        return prefix + value
    if name == b"set-cookie":
        return _COOKIE_PATH.sub(lambda found: found[1] + prefix + (b"/" + found[2] if found[2] else b""), value)
    return value


def in_page(page: str, sub_path: str) -> str:
    """Return a page whose links and forms lead below the sub-path."""
    return _ADDRESS.sub(rf"\g<1>{sub_path}", page) if sub_path else page
