"""PURE. Read the head of a request: llhttp says whether it is HTTP, the length of its body is decided here.

What two parsers might read in two ways is refused, so that a proxy in front never takes other requests for sent than
this server does (RFC 9112, 6.3 and 11.2).
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, parse_url
from msgspec import Struct

from tellwire.web import bounds as rules
from tellwire.web.bounds import Bounds, Refusal

Field = tuple[bytes, bytes]

_FRAMING = frozenset((b"connection", b"content-length", b"expect", b"transfer-encoding"))
_LONGEST_LENGTH = 15
"""Digits of a Content-Length."""
_NEEDLESS = re.compile(r"%(?:2[DEF]|3\d|[46][1-9A-F]|5[\dAF]|7[\dA])", re.IGNORECASE)
"""A slash, or what RFC 3986, 2.3 says is not to be percent-encoded."""
_SPACES = 2
"""Of a first line."""
_VERSIONS = frozenset(("1.0", "1.1"))
_NOT_HTTP = rules.malformed("This is not HTTP/1.1.")


class _Heard:
    """What llhttp tells of a head."""

    __slots__ = ("fields", "is_complete", "url")

    def __init__(self) -> None:
        self.url = b""
        self.fields: list[Field] = []
        self.is_complete = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.is_complete = True


class Head(Struct):
    """The head of a request.

    `path` is decoded, unless it encodes what needs no encoding: then it is as it came, and nothing is there, so that a
    proxy's rule for a path holds for all that is served there. `length`: of its body, None where none is given.
    """

    method: str
    version: str
    raw_path: bytes
    path: str
    query: bytes
    fields: list[Field]
    length: int | None = None
    is_chunked: bool = False
    closes: bool = False
    expects_100: bool = False


def read_head(data: bytes, bounds: Bounds) -> Head | Refusal:
    """Return the head that these bytes are, from its first line to the empty one, or why it is refused."""
    if data.count(b"\n") - 2 > bounds.fields:
        return fault_of_line(data) or rules.too_many_fields(bounds)
    heard = _Heard()
    parser = HttpRequestParser(heard)
    if refusal := _fault_of_bytes(parser, data):
        return fault_of_line(data) or refusal  # the same words wherever the head was cut
    version = parser.get_http_version()
    if not heard.is_complete or version not in _VERSIONS:
        return _NOT_HTTP
    if len(heard.url) > bounds.url:
        return rules.url_too_long(bounds)
    try:
        url = parse_url(heard.url)
        path = url.path.decode("ascii")
    except (HttpParserError, UnicodeDecodeError, AttributeError):
        return rules.malformed("The URL has no path that can be read.")
    head = Head(
        parser.get_method().decode("ascii"),
        version,
        url.path,
        unquote(path) if "%" in path and not _NEEDLESS.search(path) else path,
        url.query or b"",
        heard.fields,
    )
    for name, value in heard.fields:
        if name in _FRAMING and (fault := _fault_of_framing(head, name, value.lower())):
            return fault
    if head.is_chunked and (head.length is not None or version != "1.1"):
        return rules.malformed("Transfer-Encoding stands beside Content-Length, or before HTTP/1.1.")
    return head


def _fault_of_framing(head: Head, name: bytes, value: bytes) -> Refusal | None:
    """Note what a field says of the body's length or of the connection; return why it cannot be so."""
    if name == b"content-length":
        if head.length is not None or not value.isdigit() or len(value) > _LONGEST_LENGTH:
            return rules.malformed("Content-Length takes one number.")
        head.length = int(value)
    elif name == b"connection":
        head.closes = head.closes or b"close" in [token.strip() for token in value.split(b",")]
    elif name == b"expect":
        head.expects_100 = value == b"100-continue"
    elif head.is_chunked or value != b"chunked":
        return rules.malformed("Transfer-Encoding takes `chunked`, once.")
    else:
        head.is_chunked = True
    return None


def refusal_of_part(data: bytes, bounds: Bounds, *, looked_at: int) -> Refusal | None:
    """Return why a head without its end is refused already; its first `looked_at` bytes have been here before."""
    if len(data) >= bounds.head:
        allowed = data[: bounds.head]
        return fault_of_line(allowed) or rules.oversized(allowed, bounds)
    if looked_at and b"\n" not in data[looked_at:]:
        return None
    return fault_of_line(data)


def fault_of_line(data: bytes) -> Refusal | None:
    """Return why a head cannot be one of HTTP/1.1, as its first byte says, and its first line once that is there."""
    if not data[:1].isupper():
        return _NOT_HTTP
    end = data.find(b"\n") + 1
    if not end:
        return None
    parser = HttpRequestParser(_Heard())
    refusal = _fault_of_bytes(parser, data[:end])
    return refusal or (None if parser.get_http_version() in _VERSIONS else _NOT_HTTP)


def _fault_of_bytes(parser: HttpRequestParser, data: bytes) -> Refusal | None:
    if not data[:1].isupper():
        return _NOT_HTTP
    try:
        parser.feed_data(data)
    except HttpParserUpgrade:
        pass  # RFC 9110, 7.8: an upgrade may be ignored
    except HttpParserError as error:
        return rules.malformed(f"This is not HTTP/1.1: {error}.")
    line = data[: data.find(b"\n")]
    if line.count(b" ") != _SPACES or b"#" in line:
        return rules.malformed(
            "The first line is a method, a URL without a fragment, and a version, one space between."
        )
    return None
