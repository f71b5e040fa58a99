"""PURE. Decode `Transfer-Encoding: chunked`, strictly and within bounds; trailers are dropped (RFC 9112, 7.1).

The body's end is found here and nowhere else, so that no two parsers can disagree about where the next request begins.
"""

from __future__ import annotations

import re

_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t\x20-\x7e\x80-\xff]*)?")
_TRAILER_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*")
_LONGEST_LINE = 256
_MOST_TRAILERS = 8 * 1024
_FREE_CHUNKS = 1024
_LEAST_CHUNK = 64
"""Beyond the first `_FREE_CHUNKS` chunks have at least so many bytes on average: each costs as much as a big one."""


class NotChunked(ValueError):  # noqa: N818 - it says what the bytes are
    """Raised for bytes that are not a chunked body, or one made to cost more than it brings."""


class ChunkedBody:
    """A body that arrives in pieces; it does not matter how it is cut."""

    __slots__ = ("_chunks", "_left", "_line", "_read", "_received", "_trailers")

    def __init__(self) -> None:
        self._line = b""
        self._left = 0
        self._chunks = self._received = self._trailers = 0
        self._read = ChunkedBody._size_line  # not bound: the body would refer to itself

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        """Return the bytes of the body in this piece, and what comes after the body's end, None before it ends.

        Raises:
            NotChunked: this is not a chunked body.
        """
        if self._line:
            data, self._line = self._line + data, b""
        body: list[bytes] = []
        at, size = 0, len(data)
        while True:
            if self._left:
                piece = data[at : at + self._left]
                body.append(piece)
                at += len(piece)
                self._left -= len(piece)
                self._received += len(piece)
            if at == size:
                return b"".join(body), None
            end = data.find(b"\r\n", at, at + _LONGEST_LINE)
            if end < 0:
                self._line = data[at:]
                if len(self._line) >= _LONGEST_LINE:
                    raise NotChunked("a line of the chunked body is too long")
                return b"".join(body), None
            if self._read(self, data[at:end]):
                return b"".join(body), data[end + 2 :]
            at = end + 2

    def _size_line(self, line: bytes) -> bool:
        found = _SIZE_LINE.fullmatch(line)
        if found is None:
            raise NotChunked("the size of a chunk is malformed")
        self._left = int(found[1], 16)
        self._chunks += 1
        if self._chunks > _FREE_CHUNKS + self._received // _LEAST_CHUNK:
            raise NotChunked("the chunks are too small")
        self._read = ChunkedBody._chunk_end if self._left else ChunkedBody._trailer
        return False

    def _chunk_end(self, line: bytes) -> bool:
        if line:
            raise NotChunked("a chunk is longer than it says")
        self._read = ChunkedBody._size_line
        return False

    def _trailer(self, line: bytes) -> bool:
        self._trailers += len(line)
        if line and (self._trailers > _MOST_TRAILERS or not _TRAILER_LINE.fullmatch(line)):
            raise NotChunked("the trailers are malformed, or too many")
        return not line
