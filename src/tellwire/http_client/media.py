"""The `MediaWire` port, over aiohttp, which is loaded for the first file: that takes a tenth of a second, and most
processes never need it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tellwire.ports.http_out import Answer
from tellwire.ports.media import Download, MediaWire, Upload


class HttpMediaWire:
    """Files over HTTP; the proxies and credentials of the environment are ignored."""

    def __init__(self, graph_url: str) -> None:
        """`graph_url`: META_GRAPH_URL, where files are uploaded to."""
        self._graph_url = graph_url
        self._made: MediaWire | None = None

    @asynccontextmanager
    async def open(self, url: str, token: str) -> AsyncIterator[Download]:
        """GET a file; see `MediaWire.open`."""
        wire = self._made or await self._load()
        async with wire.open(url, token) as download:
            yield download

    async def upload(self, token: str, phone_number_id: str, file: Upload) -> Answer:
        """POST a file as a form; see `MediaWire.upload`."""
        wire = self._made or await self._load()
        return await wire.upload(token, phone_number_id, file)

    async def close(self) -> None:
        """Drop every connection."""
        if self._made is not None:
            await self._made.close()

    async def _load(self) -> MediaWire:
        made = await asyncio.to_thread(_make, self._graph_url)
        self._made = self._made or made  # several may have waited; one that was not used holds nothing open
        return self._made


def _make(graph_url: str) -> MediaWire:
    from tellwire.http_client.aiohttp_media import AiohttpMediaWire  # noqa: PLC0415

    return AiohttpMediaWire(graph_url)
