"""Files from and to Meta over aiohttp, piece by piece (decision 0012); `media` loads it for the first one."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import quote

import aiohttp
from yarl import URL

from tellwire.errors import Broken, TellwireError
from tellwire.ports.http_out import Answer
from tellwire.ports.media import Download, Upload

_CHUNK: Final = 256 * 1024
_MOST_ANSWER: Final = 64 * 1024
_TIMEOUT: Final = aiohttp.ClientTimeout(total=900, connect=20, sock_read=60)
_LINE = re.compile(r"[\x00-\x1f\x7f]")


class AiohttpMediaWire:
    """The `MediaWire` port over aiohttp; the proxies and credentials of the environment are ignored."""

    def __init__(self, graph_url: str) -> None:
        """`graph_url`: META_GRAPH_URL, where files are uploaded to."""
        self._graph_url = graph_url
        self._made: aiohttp.ClientSession | None = None

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._made is None:  # a session belongs to the running loop
            self._made = aiohttp.ClientSession(
                timeout=_TIMEOUT,
                auto_decompress=False,  # the hash is that of the bytes as they are
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "Tellwire", "Accept-Encoding": "identity"},
            )
        return self._made

    @asynccontextmanager
    async def open(self, url: str, token: str) -> AsyncIterator[Download]:
        """GET a file; see `MediaWire.open`."""
        try:
            answer = await self._session.get(URL(url, encoded=True), headers=_bearer(token), allow_redirects=False)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Broken(_why(error)) from None
        try:
            yield Download(answer.status, _pieces(answer))
        finally:
            answer.close()

    async def upload(self, token: str, phone_number_id: str, file: Upload) -> Answer:
        """POST a file as a form; see `MediaWire.upload`."""
        boundary = secrets.token_hex(16)
        head = _head(boundary, file)
        tail = f"\r\n--{boundary}--\r\n".encode()
        headers = {
            **_bearer(token),
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(head) + file.size + len(tail)),
        }
        url = URL(f"{self._graph_url}/{quote(phone_number_id, safe='')}/media", encoded=True)
        try:
            body = _form(head, file.chunks, tail)
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                return Answer(status=answer.status, body=await _beginning(answer), written=True)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return Answer(failure="broken", cause=_why(error), written=True)

    async def close(self) -> None:
        """Drop every connection."""
        if self._made is not None:
            await self._made.close()
            await asyncio.sleep(0)  # its transports close in the loop's next turn


async def _pieces(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for piece in answer.content.iter_chunked(_CHUNK):
            yield piece
    except TellwireError:
        raise
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Broken(_why(error)) from None


def _head(boundary: str, file: Upload) -> bytes:
    quoted = _LINE.sub("_", file.filename).replace("\\", "_").replace('"', "%22") or "file"
    mime_type = _LINE.sub("_", file.mime_type)  # of a file that is passed on, the customer chose it
    parts = [("messaging_product", "whatsapp"), ("type", mime_type)]
    fields = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in parts
    )
    named = f'Content-Disposition: form-data; name="file"; filename="{quoted}"'
    return f"{fields}--{boundary}\r\n{named}\r\nContent-Type: {mime_type}\r\n\r\n".encode()


async def _form(head: bytes, chunks: AsyncIterator[bytes], tail: bytes) -> AsyncIterator[bytes]:
    yield head
    async for chunk in chunks:
        yield chunk
    yield tail


async def _beginning(answer: aiohttp.ClientResponse) -> bytes:
    body = b""
    async for piece in answer.content.iter_chunked(_MOST_ANSWER):
        body += piece
        if len(body) >= _MOST_ANSWER:
            break
    return body[:_MOST_ANSWER]


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _why(error: BaseException) -> str:
    """Return the cause in plain words, without the URL: a URL of Meta's carries a secret."""
    if isinstance(error, TimeoutError):
        return "no answer came in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection came about ({error.os_error.strerror or type(error.os_error).__name__})"
    return f"the connection broke ({type(error).__name__})"
