"""Reads an answer that breaks HTTP's grammar as most clients read it, so that a status that was plainly said counts.

Only what the strict parser refuses comes here, and the connection is never used again: whoever reads such an answer may
be wrong about where it ends, and what follows must not become the next answer.
"""

from __future__ import annotations

import re
from typing import Final, Literal

from msgspec import Struct

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[0-9][ \t]{1,16}([0-9]{3})(?![^ \t\r\n])")
_BEGINNING: Final = re.compile(rb"HTTP/1\.([0-9]([ \t]{1,16}[0-9]{0,3})?)?")
_LENGTH: Final = re.compile(r"[0-9]{1,18}")
_CHUNK: Final = re.compile(rb"[ \t]*([0-9a-fA-F]{1,15})[ \t]*(?:;.*)?", re.DOTALL)
_VERSION: Final = b"HTTP/1."
_LONGEST_BEGINNING: Final = len("HTTP/1.1") + 16 + len("200")
_BLANK: Final = " \t\r"
_WITHOUT_BODY: Final = frozenset((204, 304))

_Part = Literal["head", "length", "chunk", "data", "after_data", "until_close"]


class ReadLimits(Struct, frozen=True):
    """How much is kept: bytes of the body, and headers beside those that say how long the body is."""

    body: int
    headers: int


class TolerantReader:
    """Reads one answer, its interim answers skipped. `unreadable`: it has no status line of HTTP/1.

    `complete`: nothing more is to come. `truncated`: the body is not the whole one, or nobody can say whether it is.

    Source: RFC 9112, sections 2.2, 4, 5 and 6.3.
    """

    def __init__(self, limits: ReadLimits) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._searched = 0  # how much of the buffer holds no end of a line or head
        self._recognised = False  # it begins with a status line
        self._part: _Part = "head"
        self._left = 0
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.body = bytearray()
        self.complete = self.truncated = self.unreadable = False

    def feed(self, data: bytes) -> None:
        """Read on; what comes after the end is left."""
        if not self._over:
            self._buffer += data
            while not self._over and self._step():
                pass

    def end(self, *, orderly: bool) -> None:
        """Take note that nothing more comes. `orderly`: the connection was closed, and neither reset nor cut."""
        if self._over:
            return
        if self._part == "head":
            head = bytes(self._buffer)
            self._buffer.clear()
            self._begin_body(head)
        self.truncated = self.truncated or not (orderly and self._part == "until_close")
        self.complete = not self.unreadable

    @property
    def _over(self) -> bool:
        return self.complete or self.unreadable

    def _step(self) -> bool:
        """Read one part; False when more bytes are needed for it."""
        match self._part:
            case "head":
                return self._read_head()
            case "chunk":
                return self._read_size()
            case "after_data":
                return self._read_end_of_chunk()
            case _:
                return self._read_body()

    # --- the head -----------------------------------------------------------------------------------------------------

    def _read_head(self) -> bool:
        buffer = self._buffer
        if not self._recognised:
            del buffer[: len(buffer) - len(buffer.lstrip(b"\r\n"))]  # empty lines before the status line
            self._recognised = _STATUS_LINE.match(buffer) is not None and len(buffer) > _LONGEST_BEGINNING
            if not self._recognised and not _may_begin(buffer):
                self.unreadable = True
                return False
        end = _end_of_head(buffer, self._searched)
        if end is None:
            self._searched = max(0, len(buffer) - 2)
            return False
        head = bytes(buffer[:end])
        del buffer[:end]
        self._searched, self._recognised = 0, False
        self._begin_body(head)
        return True

    def _begin_body(self, head: bytes) -> None:
        found = _STATUS_LINE.match(head)
        status = int(found[1]) if found else 0
        if status < 100 or status == 101:
            self.unreadable = True
        elif status >= 200:  # else an interim answer: the one that counts is still to come
            self.status = status
            framing = self._read_headers(head)
            self._frame(framing.get("transfer-encoding", []), framing.get("content-length", []))

    def _read_headers(self, head: bytes) -> dict[str, list[str]]:
        """Keep the headers, and return those that say how long the body is."""
        framing: dict[str, list[str]] = {}
        for name, value in _headers(head):
            if name in ("transfer-encoding", "content-length"):
                framing.setdefault(name, []).extend(item.strip(_BLANK).lower() for item in value.split(","))
            if len(self.headers) < self._limits.headers:
                self.headers.append((name, value))
        return framing

    def _frame(self, codings: list[str], lengths: list[str]) -> None:
        codings = [each for each in codings if each not in ("", "identity")]
        if self.status in _WITHOUT_BODY:
            self.complete = True
        elif codings:
            self._part = "chunk" if codings[-1] == "chunked" else "until_close"
        elif not lengths:
            self._part = "until_close"
        elif len(set(lengths)) == 1 and _LENGTH.fullmatch(lengths[0]):
            self._part, self._left = "length", int(lengths[0])
            self.complete = not self._left
        else:
            self._give_up()

    # --- the body -----------------------------------------------------------------------------------------------------

    def _read_size(self) -> bool:
        line = self._line()
        if line is None:
            return False
        size = _CHUNK.fullmatch(line)
        if size is None:
            self._give_up(keep=False)
        elif left := int(size[1], 16):
            self._part, self._left = "data", left
        else:
            self.complete = True  # trailers tell nothing that we ask for
        return True

    def _read_end_of_chunk(self) -> bool:
        if not self._buffer or (len(self._buffer) == 1 and self._buffer.startswith(b"\r")):
            return False
        if not self._buffer.startswith((b"\r\n", b"\n")):
            self._give_up(keep=False)
            return True
        self._line()
        self._part = "chunk"
        return True

    def _read_body(self) -> bool:
        buffer = self._buffer
        if not buffer:
            return False
        taken = len(buffer) if self._part == "until_close" else min(len(buffer), self._left)
        self._keep(buffer[:taken])
        del buffer[:taken]
        self._left -= taken
        if self._part == "data" and not self._left:
            self._part = "after_data"
        elif self._part == "length" and not self._left:
            self.complete = True
        return True

    def _keep(self, data: bytearray) -> None:
        left = self._limits.body - len(self.body)
        self.body += data[:left]
        if len(data) > left:
            self.complete = self.truncated = True

    def _give_up(self, *, keep: bool = True) -> None:
        """End where nobody can say how the answer goes on; `keep` what has come as its body."""
        if keep:
            self._keep(self._buffer)
        self.complete = self.truncated = True

    def _line(self) -> bytes | None:
        """Take the next line without its end; None when it has not come whole."""
        at = self._buffer.find(b"\n", self._searched)
        if at < 0:
            self._searched = len(self._buffer)
            return None
        line = bytes(self._buffer[:at])
        del self._buffer[: at + 1]
        self._searched = 0
        return line.removesuffix(b"\r")


def _may_begin(buffer: bytearray) -> bool:
    """Return whether these bytes are, or may become, a status line."""
    line, newline, _ = buffer.partition(b"\n")
    if _STATUS_LINE.match(line + newline):
        return True
    return not newline and (_VERSION.startswith(line) or _BEGINNING.fullmatch(line) is not None)


def _end_of_head(buffer: bytearray, start: int) -> int | None:
    """Return where the body begins, that is, after the first empty line; None when it has not come."""
    at = buffer.find(b"\n", start)
    while at >= 0:
        for empty in (b"\n", b"\r\n"):
            if buffer.startswith(empty, at + 1):
                return at + 1 + len(empty)
        at = buffer.find(b"\n", at + 1)
    return None


def _headers(head: bytes) -> list[tuple[str, str]]:
    """Return the headers below a status line: names in lower case, folded values joined, lines that are none left
    out."""
    found: list[tuple[str, str]] = []
    for line in head.decode("latin-1").split("\n")[1:]:
        if line[:1] in (" ", "\t") and found:
            name, value = found[-1]
            found[-1] = name, f"{value} {line.strip(_BLANK)}".strip(_BLANK)
            continue
        given, colon, value = line.partition(":")
        if colon and (name := given.strip(_BLANK).lower()):
            found.append((name, value.strip(_BLANK)))
    return found
