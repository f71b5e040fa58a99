"""Split a byte stream into HTTP/1.1 messages that have a Content-Length, for the load and the sink."""

from __future__ import annotations

from collections.abc import Iterator

_END = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"


class MalformedError(Exception):
    """Raised when the stream is not HTTP/1.1 with lengths (chunked bodies are not supported)."""


class Messages:
    """A splitter of received bytes into messages: (head without the blank line, body)."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Add `data` and yield every message that is complete now; raises MalformedError."""
        self._buffer += data
        while (end := self._buffer.find(_END)) >= 0:
            start = end + len(_END)
            head = self._buffer[:end]
            stop = start + _content_length(head)
            if len(self._buffer) < stop:
                return
            body, self._buffer = self._buffer[start:stop], self._buffer[stop:]
            yield head, body


def status_of(head: bytes) -> int:
    """Return the status code of a response head; raises MalformedError."""
    code = head[9:12]
    if not head.startswith(b"HTTP/1.") or not code.isdigit():
        raise MalformedError("not a response")
    return int(code)


def _content_length(head: bytes) -> int:
    lower = head.lower()
    at = lower.find(_LENGTH)
    if at < 0:
        if b"\r\ntransfer-encoding:" in lower:
            raise MalformedError("chunked")
        return 0
    text = lower[at + len(_LENGTH) :].split(b"\r\n", 1)[0].strip()
    if not text.isdigit():
        raise MalformedError("bad Content-Length")
    return int(text)
