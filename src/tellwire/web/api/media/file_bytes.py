"""Serve `GET /media/{id}?signature=…`: a file's bytes to the holder of its link; and answer with bytes elsewhere."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Annotated, Any
from urllib.parse import quote

from litestar import HttpMethod, Request, route
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from tellwire.errors import Busy, NotFound, Problem, Unauthorized
from tellwire.media.links import verifies
from tellwire.meta.media_limits import plain_type
from tellwire.model.id_form import looks_like_id
from tellwire.model.messaging import Media
from tellwire.stores.queries import media as media_queries
from tellwire.web.api.media.ranges import Part, names_tag, part_of
from tellwire.web.problems import problem_of
from tellwire.web.request import StateDependency
from tellwire.web.services import Services

_INLINE = re.compile(r"image/(jpeg|png|gif|webp)|audio/(?!.*xml)[\w.+-]+|video/(?!.*xml)[\w.+-]+|application/pdf")
_KEPT = re.compile(r"application/(msword|zip|vnd\.[\w.+-]+)|text/(plain|csv)")
_PLAIN = re.compile(r"[^\x20-\x7e]|[\"\\%]")
_CODECS = re.compile(r"; *codecs=\"?[\w.,-]{1,40}\"?")

Signature = Annotated[str, QueryParameter(description="As the link has it.", max_length=64)]


@route(
    "/media/{media_id:str}",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    summary="The bytes of a file",
    tags=["media"],
    opt={"media_type": "application/octet-stream"},
)
async def media_bytes(
    request: Request[Any, Any, Any], media_id: FromPath[str], app_state: StateDependency, signature: Signature = ""
) -> Stream:
    """For who holds the link, without a key. While the file is still being fetched from Meta: 503 with `Retry-After`;
    404 for a link that is none and for a file that could not be fetched, 410 for one that Meta no longer had or that
    was erased. Takes `Range` and `If-None-Match`."""
    services = app_state.services
    if not verifies(services.store.registry().media_key, media_id, signature) or not looks_like_id(media_id):
        raise NotFound("There is no such file.")
    media = await services.store.read(lambda c: media_queries.find(c, media_id))
    if media is None:
        raise NotFound("There is no such file.")
    app_state.places.take(request.scope, media.organization_id)  # type: ignore[arg-type]
    return await answer_with(request, services, media)


async def answer_with(
    request: Request[Any, Any, Any],
    services: Services,
    media: Media,
    still_allowed: Callable[[], Awaitable[bool]] | None = None,
) -> Stream:
    """Return the answer with a file, or with the part of it that is asked for; it is cut off once `still_allowed`
    says so."""
    check_there(media)
    headers, tag = request.headers, f'"{media.sha256}"'
    if names_tag(headers.get("if-none-match", ""), tag):
        return Stream(_nothing(), status_code=304, headers={"etag": tag, "cache-control": _CACHED})
    part = _part(request, media, tag)
    start, end = (part.start, part.end) if part else (0, media.size)
    given = {**_headers_of(media), "etag": tag, "content-length": str(end - start)}
    if part:
        given["content-range"] = f"bytes {start}-{end - 1}/{media.size}"
    chunks: AsyncGenerator[bytes, None] | None = _nothing()
    if request.method != "HEAD" and media.size:
        chunks = await services.files.read(media.id, start, end)
    if chunks is None:
        raise NotFound("The bytes of this file are gone.")
    if still_allowed is not None:
        chunks = _while_allowed(chunks, still_allowed)
    return Stream(chunks, status_code=206 if part else 200, media_type=shown_type(media.mime_type), headers=given)


async def _while_allowed(
    chunks: AsyncGenerator[bytes, None], still_allowed: Callable[[], Awaitable[bool]]
) -> AsyncGenerator[bytes, None]:
    async with aclosing(chunks):
        async for chunk in chunks:
            if not await still_allowed():
                raise Unauthorized("The API key of a download was revoked or expired meanwhile.", kind="invalid-key")
            yield chunk


_CACHED = "private, max-age=31536000, immutable"


def check_there(media: Media) -> None:
    """Raise the problem that says why a file cannot be had; do nothing when it can."""
    match media.state:
        case "stored":
            return
        case "waiting":
            said = f" So far: {media.cause}." if media.cause else ""
            raise Busy(f"The file is still being fetched from Meta; try again.{said}", kind="media-waiting")
        case "failed":
            raise NotFound(f"The file could not be fetched from Meta: {media.cause}.", kind="media-failed")
        case "expired":
            raise problem_of(410, "media-expired", f"Meta no longer has the file: {media.cause}.")
        case _:
            raise problem_of(410, "media-erased", "The file was erased.")


def shown_type(mime_type: str) -> str:
    """Return the media type that a file is answered with: never one that a browser would run."""
    plain = plain_type(mime_type)
    if not _INLINE.fullmatch(plain) and not _KEPT.fullmatch(plain):
        return "application/octet-stream"
    more = mime_type.partition(";")[2]
    return f"{plain};{more}" if more and _CODECS.fullmatch(f";{more}") else plain


def disposition(media: Media) -> str:
    """Return `Content-Disposition` with the name in both spellings (RFC 6266); only a type that is safe is shown
    inline."""
    how = "inline" if _INLINE.fullmatch(plain_type(media.mime_type)) else "attachment"
    if not media.filename:
        return how
    name = media.filename.replace("/", "_")
    fallback = _PLAIN.sub("_", name)
    return f"{how}; filename=\"{fallback}\"; filename*=UTF-8''{quote(name.encode('utf-8', 'replace'), safe='')}"


def _headers_of(media: Media) -> dict[str, str]:
    return {
        "accept-ranges": "bytes",
        "cache-control": _CACHED,
        "content-disposition": disposition(media),
        "content-security-policy": "sandbox; default-src 'none'",
    }


def _part(request: Request[Any, Any, Any], media: Media, tag: str) -> Part | None:
    if request.headers.get("if-range", tag) != tag:
        return None
    try:
        return part_of(request.headers.get("range", ""), media.size)
    except ValueError:
        raise _beyond(media.size) from None


def _beyond(size: int) -> Problem:
    return problem_of(416, "range-not-satisfiable", f"The file has {size} bytes.")


async def _nothing() -> AsyncGenerator[bytes, None]:
    return
    yield b""


HANDLERS = (media_bytes,)
