"""Read forms with a file (multipart/form-data) as they arrive, never as a whole in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from litestar import Request
from msgspec import Struct
from multipart import (  # type: ignore[import-untyped]
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    parse_options_header,
)

from tellwire.errors import BadRequest, Invalid, WrongType

_MOST_FIELD = 4096
_MOST_PARTS = 8
_LONGEST_BOUNDARY = 70

Taking = Callable[["FormFile", AsyncIterator[bytes]], Awaitable[None]]


class FormFile(Struct, frozen=True):
    """The fields that a form states about its file."""

    filename: str
    mime_type: str


def boundary_of(request: Request[Any, Any, Any]) -> str:
    """Return the boundary of a form's parts.

    Raises:
        WrongType: the body is not a multipart form.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get("boundary", "")
    if kind != "multipart/form-data" or not 0 < len(boundary) <= _LONGEST_BOUNDARY:
        raise WrongType("Send a form: Content-Type: multipart/form-data.")
    return str(boundary)


async def read_form(
    request: Request[Any, Any, Any], boundary: str, take: Taking, *, file: str, fields: dict[str, str] | None = None
) -> dict[str, str]:
    """Read a form to its end; `take` gets the part that is named `file`. Return the other fields, which are put into
    `fields` as they come.

    Raises:
        BadRequest, Invalid: the form is malformed; it has no file, or two.
    """
    try:
        return await _read(_events(request, boundary), take, file, {} if fields is None else fields)
    except MultipartError as error:
        raise BadRequest(f"The form could not be read: {error}.", kind="bad-form") from None


async def _read(events: AsyncIterator[Any], take: Taking, file: str, fields: dict[str, str]) -> dict[str, str]:
    files = 0
    async for event in events:
        if not isinstance(event, MultipartSegment):
            continue
        if event.name == file:
            files += 1
            if files > 1:
                raise Invalid("The form is not valid.", (f"/{file}", "is given more than once"))
            await take(FormFile(event.filename or "", event.content_type or ""), _bytes(events))
        elif event.name in fields:
            raise Invalid("The form is not valid.", (f"/{event.name}", "is given more than once"))
        else:
            fields[event.name] = await _field(event.name, events)
    if not files:
        raise Invalid("The form is not valid.", (f"/{file}", "is required"))
    return fields


async def _events(request: Request[Any, Any, Any], boundary: str) -> AsyncIterator[Any]:
    with PushMultipartParser(boundary, max_segment_count=_MOST_PARTS) as parser:
        async for chunk in request.stream():
            if chunk:
                for event in parser.parse(chunk):
                    yield event


async def _bytes(events: AsyncIterator[Any]) -> AsyncIterator[bytes]:
    async for event in events:
        if event is None:
            return
        yield bytes(event)


async def _field(name: str, events: AsyncIterator[Any]) -> str:
    value = b""
    async for piece in _bytes(events):
        value += piece
        if len(value) > _MOST_FIELD:
            raise Invalid("The form is not valid.", (f"/{name}", f"has more than {_MOST_FIELD} bytes"))
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Invalid("The form is not valid.", (f"/{name}", "is not UTF-8")) from None
