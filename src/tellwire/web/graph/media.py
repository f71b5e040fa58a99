"""Serve media as the Graph API does: upload, particulars with a link, bytes, deletion."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from litestar import Response
from litestar.response import Stream
from sqlalchemy import Connection

from tellwire.errors import Busy, Problem
from tellwire.model.messaging import Media
from tellwire.model.tenancy import Account
from tellwire.stores.queries import media as media_queries
from tellwire.stores.queries.audit import note
from tellwire.web.api.media.file_bytes import answer_with, check_there
from tellwire.web.api.media.routes import deleted_at_meta
from tellwire.web.api.media.upload import Form, Upload
from tellwire.web.graph.calls import Call
from tellwire.web.graph.errors import INVALID, JSON, GraphError, not_there
from tellwire.web.graph.media_ids import shown

_LONGEST_WAIT = 10.0
"""Seconds to wait for a customer's file that is still being fetched: clients ask as soon as they hear of it."""
_FIRST_LOOK, _LONGEST_LOOK = 0.05, 1.0
_SUCCESS = b'{"success":true}'
_FIELDS = frozenset(("messaging_product", "type", "access_token"))


async def upload(call: Call, account: Account) -> Response[Any]:
    """Store a file that is to be sent; Meta gets it when a message with it is first sent."""
    upload = Upload(call.context, Form("file", _FIELDS, account.id, call.query))
    media = await upload.read(call.request)
    try:
        if upload.given("messaging_product") != "whatsapp":
            raise GraphError(INVALID, "/messaging_product: must be whatsapp")
        async with call.once(upload.digest) as once:
            if once.kept:
                await upload.drop()
                return once.kept

            def work(connection: Connection) -> tuple[None, bytes]:
                upload.keep(connection, media)
                return None, msgspec.json.encode({"id": shown(media.id)})

            _, body = await once.write(work, status=200)
    except Problem:
        await upload.drop()
        raise
    return Response(body, media_type=JSON)


async def read(call: Call, media: Media) -> Response[bytes]:
    """Return the particulars of a file; its `url` takes the same token."""
    _check_number(call, media)
    media = await _there(call, media)
    whole = {
        "url": f"{call.base}/{shown(media.id)}/content",
        "mime_type": media.mime_type,
        "sha256": media.sha256,
        "file_size": media.size,
        "id": call.path.node,
        "messaging_product": "whatsapp",
    }
    wanted = {*call.fields, "id"} if call.fields else {*whole}
    return Response(msgspec.json.encode({k: v for k, v in whole.items() if k in wanted}), media_type=JSON)


async def content(call: Call, media: Media) -> Stream:
    """Return the bytes of a file."""
    media = await _there(call, media)
    return await answer_with(call.request, call.context.services, media, call.context.still_allowed)


async def delete(call: Call, media: Media) -> Response[bytes]:
    """Delete a file here, and at Meta if Meta will."""
    _check_number(call, media)
    context = call.context
    audit_change = context.audit_change()

    def work(connection: Connection) -> None:
        media_queries.erase(connection, context.organization_id, media.id, audit_change.at)
        note(connection, audit_change, "media.deleted", media.id)

    await context.write(work)
    context.services.wake_downloads()
    await deleted_at_meta(context, media)
    return Response(_SUCCESS, media_type=JSON)


def _check_number(call: Call, media: Media) -> None:
    """Raise Meta's error when the query names another number than the file's."""
    number = call.query.get("phone_number_id")
    account = next((each for each in call.accounts() if each.id == media.account_id), None)
    if number and (account is None or account.phone_number_id != number):
        raise not_there(call.path.node, call.method)


async def _there(call: Call, media: Media) -> Media:
    """Return the file once its bytes are here.

    Raises:
        Problem: they cannot be had, or not yet.
    """
    time = asyncio.get_running_loop().time
    ends, pause, context = time() + _LONGEST_WAIT, _FIRST_LOOK, call.context
    identifier = media.id

    def look(connection: Connection) -> Media | None:
        return media_queries.get(connection, context.organization_id, identifier)

    while media.state == "waiting" and time() < ends and not context.app_state.draining.is_set():
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_LOOK)
        known = await context.read(look)
        if known is None:
            raise not_there(call.path.node, call.method)
        media = known
    if media.state == "waiting":
        raise Busy("The file is still being fetched from Meta; try again.", kind="media-waiting")
    check_there(media)
    return media
