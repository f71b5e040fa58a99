"""Serve `/v1/media`: files of messages, and files that were uploaded to be sent."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import HttpMethod, Request, Response, delete, get, post, route
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream
from msgspec import Struct
from sqlalchemy import Connection

from tellwire.errors import Conflict, NotFound, Problem
from tellwire.media import download_rules
from tellwire.model.messaging import Media
from tellwire.stores.queries import media as media_queries
from tellwire.stores.queries.audit import note
from tellwire.stores.queries.media import MediaFilter
from tellwire.web.api.media.file_bytes import answer_with
from tellwire.web.api.media.rows import MediaRead, media_read
from tellwire.web.api.media.upload import Upload
from tellwire.web.api.shapes import Id, NextCursor
from tellwire.web.parameters import AccountName, Cursor, Limit, Name, Since, choice, instant_of, our_id, page_request
from tellwire.web.request import ContextDependency, RequestContext
from tellwire.web.responses import json_response, page_response, raw_json_response

_READ = {"scopes": ("read", "inbox")}
_WRITE = {"scopes": ("messages:write",)}
_NOUN = "media"
STATES = ("waiting", "stored", "failed", "expired")
MediaState = Annotated[str, QueryParameter(name="state", schema_extra={"enum": STATES})]


class MediaList(Struct, kw_only=True):
    """A page of files, newest first."""

    data: list[MediaRead]
    next_cursor: NextCursor


class MediaDeleted(Struct, kw_only=True):
    """A file that was deleted here; `deleted_at_meta` is whether Meta deleted its copy too, null when it has none."""

    id: Id
    deleted_at_meta: bool | None
    cause: str | None


async def _one(context: RequestContext, media_id: str) -> Media:
    identifier = our_id(media_id, "file")
    media = await context.read(lambda c: media_queries.get(c, context.organization_id, identifier))
    if media is None or media.state == "erased":
        raise NotFound("There is no file with this id.")
    return media


@get("/media", summary="List media", opt=_READ)
async def list_media(
    context: ContextDependency,
    *,
    limit: Limit = 50,
    cursor: Cursor = "",
    account: AccountName = "",
    message_id: Name = "",
    state_: MediaState = "",
    since: Since = "",
) -> Response[MediaList]:
    """The files of the organization."""
    chosen = MediaFilter(
        account_id=context.account_id(account) if account else "",
        message_id=message_id,
        state=choice(state_, "state", *STATES),
        since=instant_of(since, "since"),
    )
    paging = page_request(_NOUN, limit, cursor)
    page = await context.read(lambda c: media_queries.page(c, context.organization_id, chosen, paging))
    return page_response(_NOUN, page, lambda media: msgspec.json.encode(media_read(context.services, media)), MediaList)


@get("/media/{media_id:str}", summary="Read a file's particulars", opt=_READ)
async def read_media(media_id: FromPath[str], context: ContextDependency) -> Response[MediaRead]:
    """What is known of one file."""
    return json_response(media_read(context.services, await _one(context, media_id)))


@route(
    "/media/{media_id:str}/content",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    summary="Download a file",
    opt={**_READ, "media_type": "application/octet-stream"},
)
async def media_content(request: Request[Any, Any, Any], media_id: FromPath[str], context: ContextDependency) -> Stream:
    """Its bytes, as its link gives them."""
    return await answer_with(request, context.services, await _one(context, media_id), context.still_allowed)


@post("/media", summary="Upload a file", opt={**_WRITE, "form": True}, request_max_body_size=None)
async def upload_media(request: Request[Any, Any, Any], context: ContextDependency) -> Response[MediaRead]:
    """A form (multipart/form-data): `account`; `file`; `type`, its MIME type, if the part `file` does not say it. The
    type must be one that Meta takes, and the size within Meta's limit for it. Meta gets it when it is first sent."""
    upload = Upload(context)
    media = await upload.read(request)
    try:
        async with context.once(request, upload.digest) as once:
            if once.kept:
                await upload.drop()
                return once.kept

            def work(connection: Connection) -> tuple[None, bytes]:
                upload.keep(connection, media)
                return None, msgspec.json.encode(media_read(context.services, media))

            _, body = await once.write(work)
    except Problem:  # after another error the row may exist; if it does not, the sweep removes the bytes
        await upload.drop()
        raise
    return raw_json_response(body, MediaRead, status=201)


@post("/media/{media_id:str}/retry", summary="Fetch a file again", opt=_WRITE, status_code=202)
async def retry_media(media_id: FromPath[str], context: ContextDependency) -> Response[MediaRead]:
    """Ask Meta once more for a file that could not be fetched, or at once for one that waits."""
    media = await _one(context, media_id)
    if media.state == "stored":
        raise Conflict("The file is here.", kind="media-stored")
    audit_change = context.audit_change()
    waiting = download_rules.requested_again(media, audit_change.at)

    def work(connection: Connection) -> bool:
        note(connection, audit_change, "media.retried", media.id)
        return media_queries.settle(connection, media, waiting)

    if not await context.write(work):
        raise Conflict("The file has just changed; read it again.")
    context.services.wake_downloads()
    return json_response(media_read(context.services, waiting), status=202)


@delete("/media/{media_id:str}", summary="Delete a file", opt=_WRITE, status_code=200)
async def delete_media(media_id: FromPath[str], context: ContextDependency) -> Response[MediaDeleted]:
    """Delete its bytes here, and at Meta if Meta will; a message that has it keeps its link, which is then 410."""
    media = await _one(context, media_id)
    audit_change = context.audit_change()

    def work(connection: Connection) -> None:
        media_queries.erase(connection, context.organization_id, media.id, audit_change.at)
        note(connection, audit_change, "media.deleted", media.id)

    await context.write(work)
    context.services.wake_downloads()
    gone, cause = await deleted_at_meta(context, media)
    return json_response(MediaDeleted(id=media.id, deleted_at_meta=gone, cause=cause or None))


async def deleted_at_meta(context: RequestContext, media: Media) -> tuple[bool | None, str]:
    """Delete Meta's copy of a file; return whether Meta did, None when it has none, and why it did not."""
    accounts = context.services.store.registry().accounts.values()
    account = next((each for each in accounts if each.id == media.account_id), None)
    if not download_rules.is_an_id(media.meta_id):
        return None, ""
    if account is None or not account.access_token:
        return False, "the account has no access token"
    query = {"phone_number_id": account.phone_number_id}
    answer = await context.services.graph.ask(account.access_token, media.meta_id, method="DELETE", query=query)
    return answer.ok, "" if answer.ok else answer.cause or f"Meta answered {answer.status}"


HANDLERS = (list_media, read_media, media_content, upload_media, retry_media, delete_media)
