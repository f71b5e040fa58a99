"""Upload and download media over HTTP, in pieces, never as a whole in memory."""

from __future__ import annotations

from aiohttp import BodyPartReader, web

from tellwire.model.units import DAY, micros
from tellwire.simulator import media
from tellwire.simulator.payloads import Business
from tellwire.simulator.refusals import Refusal, not_there
from tellwire.simulator.state import State

_FIELD = 4096


async def upload(state: State, business: Business, request: web.Request) -> dict[str, str]:
    """Answer `POST /{phone_number_id}/media`: a form with `file`, `type` and `messaging_product`; all but the
    file may stand in the query instead.

    Raises:
        Refusal: the form lacks one of them, or Meta would not accept the file.
    """
    if not request.content_type.startswith("multipart/"):
        raise Refusal(100, "a multipart form with a file is required")
    fields = {name: request.query[name] for name in ("messaging_product", "type") if name in request.query}
    draft: media.FileDraft | None = None
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                raise Refusal(100, "the form has a form in it")
            if part.name == "file" and draft is None:
                draft = state.media_files.draft()
                fields["file"] = part.headers.get("Content-Type", "")
                while chunk := await part.read_chunk(media.CHUNK):
                    draft.write(bytes(chunk))
            elif part.name:
                fields[part.name] = bytes(await part.read_chunk(_FIELD)).decode("utf-8", "replace")
        return {"id": _keep(state, business, fields, draft)}
    except ValueError as error:
        raise Refusal(100, f"not a multipart form: {error}") from None
    finally:
        if draft is not None and "kept" not in fields:
            draft.drop()


def _keep(state: State, business: Business, fields: dict[str, str], draft: media.FileDraft | None) -> str:
    if fields.get("messaging_product") != "whatsapp":
        raise Refusal(100, "messaging_product must be whatsapp")
    if draft is None:
        raise Refusal(100, "file is missing")
    mime_type = fields.get("type") or fields["file"]
    if "/" not in mime_type:
        mime_type = fields["file"]
    media.check_upload(mime_type, draft.size)
    until = state.clock.now() + state.knobs.upload_days * DAY
    kept = state.media_files.keep(draft, mime_type, phone_number_id=business.phone_number_id, until=until)
    fields["kept"] = kept.id
    return kept.id


def describe(state: State, media_id: str, phone_number_id: str, base: str) -> dict[str, object]:
    """Answer `GET /{media_id}`: the file's properties, and a link to it, below the URL `base`, that works for a while.

    Raises:
        Refusal: there is no such file, its id has expired, or it belongs to another number.
    """
    found = state.media_files.find(media_id, state.clock.now(), phone_number_id)
    if found is None:
        raise not_there(media_id, "get")
    until = state.clock.now() + micros(state.knobs.link_seconds)
    return media.shown(found, base + state.media_files.link(found, until))


def download(state: State, request: web.Request) -> web.StreamResponse:
    """Return the response with the bytes that a link leads to; 404 once the link has expired."""
    found = state.media_files.follow(request.query.get("hash", ""), state.clock.now())
    if found is None:
        return web.Response(status=404, text="Not Found")
    return web.FileResponse(found.path, chunk_size=media.CHUNK, headers={"Content-Type": found.mime_type})
