"""Files in a bucket of an S3-compatible store; credentials and region come from the standard AWS_* variables."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from tellwire.errors import BadSettings, Unavailable

_CHUNK = 256 * 1024
_PART = 8 * 1024 * 1024
_PARTS_AT_ONCE = 2
_RETRIES: Any = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}


class Bucket:
    """A `MediaStore` in a bucket; an interrupted upload leaves no object."""

    def __init__(self, store: S3Store) -> None:
        self._store = store

    async def write(self, name: str, chunks: AsyncIterator[bytes]) -> int:
        """Store an object, in parts when it is large."""
        source = _Source(chunks)
        try:
            with _translating_errors():
                await obstore.put_async(
                    self._store, _object_name(name), source, chunk_size=_PART, max_concurrency=_PARTS_AT_ONCE
                )
        except Exception:
            if source.error is not None:  # the library wraps what the source raised
                raise source.error from None
            raise
        return source.size

    async def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None] | None:
        """Return the bytes of an object from `start` to `end`; None when there is none."""
        options: dict[str, Any] = {}
        if end is not None:
            options["range"] = (start, end)
        elif start:
            options["range"] = {"offset": start}
        with _translating_errors():
            try:
                found = await obstore.get_async(self._store, _object_name(name), options=options)  # type: ignore[arg-type]
            except FileNotFoundError:
                return None
        return _pieces(found)

    async def delete(self, name: str) -> None:
        """Remove an object."""
        with _translating_errors():
            try:
                await obstore.delete_async(self._store, _object_name(name))
            except FileNotFoundError:
                return

    async def remove_leftovers(self, older_than_seconds: float) -> None:
        """Do nothing: an unfinished upload is no object, and the bucket's own rules remove it."""

    async def close(self) -> None:
        """Do nothing: connections end with the object."""


class _Source:
    """The chunks, counted; an error of their iterator is kept in `error`."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self.size = 0
        self.error: Exception | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await anext(self._chunks)
        except StopAsyncIteration:
            raise
        except Exception as error:
            self.error = error
            raise
        self.size += len(chunk)
        return chunk


def open_bucket(url: str) -> Bucket:
    """Open the bucket of a URL `s3://BUCKET/PREFIX?endpoint=URL`; without `endpoint` it is at Amazon.

    Raises:
        BadSettings: the URL names no bucket, or the AWS_* variables are wrong.
    """
    parts = urlsplit(url)
    endpoint = parse_qs(parts.query).get("endpoint", [""])[0]
    if not parts.hostname:
        raise BadSettings("MEDIA_URL names no bucket: s3://BUCKET/PREFIX?endpoint=URL")
    options: dict[str, Any] = {"prefix": parts.path.strip("/") or None, "retry_config": _RETRIES}
    if endpoint:
        options |= {"endpoint": endpoint, "virtual_hosted_style_request": False}
        options["client_options"] = {"allow_http": endpoint.startswith("http://")}
    try:
        return Bucket(S3Store(parts.netloc, **options))
    except BaseError as error:
        raise BadSettings(f"MEDIA_URL cannot be used: {error}") from None


@contextmanager
def _translating_errors() -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as error:
        # Only the type of the error: an answer of the store may quote the request.
        raise Unavailable(f"the bucket of media cannot be used ({type(error).__name__})") from None


def _object_name(name: str) -> str:
    return f"{name[-2:]}/{name}"


async def _pieces(found: Any) -> AsyncGenerator[bytes, None]:
    with _translating_errors():
        async for piece in found.stream(min_chunk_size=_CHUNK):
            yield bytes(piece)
