"""Check the files that a message names: whether they can be sent with it, and the column that shows them."""

from __future__ import annotations

from tellwire.media import attachments
from tellwire.media.uploads import is_ours
from tellwire.meta.media_limits import can_be_sent_as
from tellwire.meta.outgoing.media import MediaReference, media_references
from tellwire.model.messaging import Media
from tellwire.model.tenancy import Account
from tellwire.stores.queries import media as media_queries
from tellwire.web.request import RequestContext


async def column_of(
    context: RequestContext, account: Account | None, content: bytes, faults: list[tuple[str, str]]
) -> bytes:
    """Return the column `media` of a message, b"" when it names no file of ours; problems are added to `faults`."""
    named = [place for place in media_references(content) if is_ours(place.id)] if account else []
    if account is None or not named:
        return b""
    found = await context.read(
        lambda c: media_queries.get_many(c, account.organization_id, [place.id for place in named])
    )
    known = {media.id: media for media in found if media.account_id == account.id}
    judged = [(place.pointer, _why_not(place, known.get(place.id))) for place in named]
    faults += [fault for fault in judged if fault[1]]
    if faults:
        return b""
    services = context.services
    files = [known[each] for each in dict.fromkeys(place.id for place in named)]
    return attachments.column(files, services.settings.base_url, services.store.registry().media_key)


def _why_not(place: MediaReference, media: Media | None) -> str:
    if media is None or media.state == "erased":
        return "there is no file of this account with this id"
    if media.state != "stored":
        return f"the file is {media.state}, its bytes are not here"
    if not can_be_sent_as(media.mime_type, place.kind):
        return f"Meta does not take a file of type {media.mime_type} as {place.kind}"
    return ""
