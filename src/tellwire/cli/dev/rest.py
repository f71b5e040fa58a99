"""Call our own REST API from outside, as a user's script would."""

from __future__ import annotations

import asyncio
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tellwire.errors import TellwireError

_SECONDS = 30


class Rejected(TellwireError):  # noqa: N818 - an answer of the server
    """An answer that is not 2xx: its status, and its problem in words."""

    def __init__(self, call: str, status: int, said: str) -> None:
        super().__init__(f"{call} was answered {status}: {said}")
        self.status = status
        self.said = said


class Rest:
    """A client of one server with one key."""

    def __init__(self, url: str, key: str) -> None:
        self._place = urlsplit(url).netloc
        self._key = key

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """Return the JSON of an answer (None when it has no content).

        Raises:
            Rejected: the answer is not 2xx.
            TellwireError: there is no answer.
        """
        status, content = await asyncio.to_thread(self._exchange, method, path, body)
        answer: Any = msgspec.json.decode(content) if content else None
        if not 200 <= status < 300:
            raise Rejected(f"{method} {path}", status, _words(answer))
        return answer

    async def every(self, path: str) -> list[dict[str, Any]]:
        """Return all rows of a list; the pages are followed."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = await self.call("GET", f"{path}?limit=200{cursor}")
            found += page["data"]
            if not page["next_cursor"]:
                return found
            cursor = f"&cursor={page['next_cursor']}"

    def _exchange(self, method: str, path: str, body: object) -> tuple[int, bytes]:
        connection = HTTPConnection(self._place, timeout=_SECONDS)
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, None if body is None else msgspec.json.encode(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, HTTPException) as error:
            raise TellwireError(f"{method} {path}: {error}") from None
        finally:
            connection.close()


def _words(answer: Any) -> str:
    """Return a problem in words: its detail, and each field that is wrong."""
    if not isinstance(answer, dict):
        return ""
    fields = [f"{each['pointer']}: {each['message']}" for each in answer.get("errors") or ()]
    return "; ".join([str(answer.get("detail", "")), *fields])
