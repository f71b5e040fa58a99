"""Show a file's row as the API and exports do."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from tellwire.media.links import link
from tellwire.model.messaging import Media
from tellwire.model.row_json import instant
from tellwire.web.api.shapes import Id, When, when
from tellwire.web.services import Services


class MediaRead(Struct, kw_only=True):
    """A file. `state`: `waiting` for its bytes, `stored` here, `failed` (see `cause`), or `expired` at Meta. `sha256`
    is hex: of the bytes once they are here, before then as Meta announced it. `meta_id` is Meta's own id of it."""

    id: Id
    organization_id: Id
    account_id: Id
    message_id: str | None
    state: Literal["waiting", "stored", "failed", "expired"]
    cause: str | None
    mime_type: str
    filename: str | None
    sha256: str | None
    size: int | None
    url: str
    meta_id: str | None
    attempts: int
    due_at: When | None
    created_at: When
    updated_at: When


def media_read(services: Services, media: Media) -> MediaRead:
    """Return a file as the API shows it."""
    state: Any = media.state
    return MediaRead(
        id=media.id,
        organization_id=media.organization_id,
        account_id=media.account_id,
        message_id=media.message_id or None,
        state=state,
        cause=media.cause or None,
        mime_type=media.mime_type,
        filename=media.filename or None,
        sha256=media.sha256 or None,
        size=media.size if media.state == "stored" else None,
        url=link(services.settings.base_url, services.store.registry().media_key, media.id),
        meta_id=media.meta_id or None,
        attempts=media.attempts,
        due_at=when(media.due_at if media.state == "waiting" else None),
        created_at=instant(media.created_at),
        updated_at=instant(media.updated_at),
    )
