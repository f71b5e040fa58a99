"""Our own REST API, called from outside as a user's script would."""

from __future__ import annotations

import asyncio
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tellwire.errors import TellwireError

_SECONDS = 30


class Rest:
    """Calls to one server with one key."""

    def __init__(self, url: str, key: str) -> None:
        self._place = urlsplit(url).netloc
        self._key = key

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """Return the JSON of an answer (None when it has no content).

        Raises:
            TellwireError: no answer, or one that is not 2xx, with what it says.
        """
        status, content = await asyncio.to_thread(self._exchange, method, path, body)
        answer: Any = msgspec.json.decode(content) if content else None
        if not 200 <= status < 300:
            said = answer.get("detail", "") if isinstance(answer, dict) else ""
            raise TellwireError(f"{method} {path} was answered {status}: {said}")
        return answer

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
