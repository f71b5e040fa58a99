"""Call our own REST API from outside, as a user's script would, without blocking the loop."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from tellwire.cli.client import Client, rejected


class Rest:
    """A client of one server with one key."""

    def __init__(self, url: str, key: str) -> None:
        self._client = Client(url, key)

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """Return the JSON of an answer (None when it has no content); `path` may have a query.

        Raises:
            Rejected: the answer is not 2xx.
            NoServer: there is no answer.
        """
        parts, content = urlsplit(path), None if body is None else msgspec.json.encode(body)
        status, answer = await asyncio.to_thread(
            self._client.exchange, method, parts.path, query=dict(parse_qsl(parts.query)), body=content
        )
        document: Any = msgspec.json.decode(answer) if answer else None
        if not 200 <= status < 300:
            raise rejected(status, document)
        return document

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
