"""The answers of the REST API: JSON as it was encoded, and pages of lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar, cast

import msgspec
from litestar import Response

from tellwire.stores.queries.paging import Page
from tellwire.web.parameters import cursor_of

T = TypeVar("T")
A = TypeVar("A")

JSON = "application/json"


def raw_json_response(body: bytes, kind: type[A], *, status: int = 200) -> Response[A]:  # noqa: ARG001
    """Return an answer from encoded JSON; `kind` is the type of its value, for readers and for OpenAPI."""
    return cast("Response[A]", Response(body, status_code=status, media_type=JSON))


def json_response(value: A, *, status: int = 200) -> Response[A]:
    """Return an answer with a value as JSON."""
    return cast("Response[A]", Response(msgspec.json.encode(value), status_code=status, media_type=JSON))


def page_response(noun: str, page: Page[T], render: Callable[[T], bytes], kind: type[A]) -> Response[A]:
    """Return an answer with a page of a list."""
    return raw_json_response(page_body(map(render, page.items), cursor_of(noun, page.after)), kind)


def page_body(rows: Iterable[bytes], next_cursor: str | None) -> bytes:
    """Return the body `{"data": […], "next_cursor": …}`."""
    return b'{"data":[' + b",".join(rows) + b'],"next_cursor":' + msgspec.json.encode(next_cursor) + b"}"


def joined(row: bytes, more: object) -> bytes:
    """Return a JSON object with the keys of another object appended."""
    extra = msgspec.json.encode(more)
    return row if extra == b"{}" else row[:-1] + b"," + extra[1:]
