"""Call Meta's Graph API from a command: synchronous, a few calls, tokens in a header only."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from tellwire.doctor.meta_answers import Told
from tellwire.errors import BadSettings

_SECONDS = 30.0


class GraphCalls:
    """Graph at one URL, with its version.

    Raises:
        BadSettings: the URL is none.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadSettings(f"META_GRAPH_URL is like https://graph.facebook.com/v24.0; not {url}")
        self._secure, self._place, self._base = parts.scheme == "https", parts.netloc, parts.path.rstrip("/")

    def get(self, token: str, path: str, **query: str) -> Told:
        """Return what Graph answers; whatever happens is a `Told`, which quotes no token."""
        return self._ask("GET", token, path, query, None)

    def post(self, token: str, path: str, **body: object) -> Told:
        """Return what Graph answers to a POST; once sent, it is not sent again."""
        return self._ask("POST", token, path, {}, msgspec.json.encode(body) if body else b"{}")

    def _ask(self, method: str, token: str, path: str, query: Mapping[str, str], body: bytes | None) -> Told:
        if not (token.isascii() and token.isprintable()):  # said here: http.client would quote it
            return Told(0, None, "an access token has letters, digits and signs only, no line breaks and no others")
        connection = (
            HTTPSConnection(self._place, timeout=_SECONDS, context=ssl.create_default_context())
            if self._secure
            else HTTPConnection(self._place, timeout=_SECONDS)
        )
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json", "Connection": "close"}
        headers |= {"Content-Type": "application/json"} if body is not None else {}
        target = f"{self._base}/{quote(path, safe='/')}" + (f"?{urlencode(query)}" if query else "")
        try:
            connection.request(method, target, body, headers)
            with connection.getresponse() as answer:
                status, said = answer.status, answer.read(4 * 1024 * 1024)
        except (OSError, HTTPException, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            return Told(0, None, f"Meta's Graph API does not answer: {str(why).lower()}")
        finally:
            connection.close()
        try:
            return Told(status, msgspec.json.decode(said.decode("utf-8", "replace").replace(token, "…")))
        except msgspec.MsgspecError:
            return Told(status, None, f"it answered {status} with something that is no JSON")
