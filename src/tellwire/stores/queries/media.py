"""Media as rows: read, listed, settled and erased; their bytes are elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import Connection, and_, delete, insert, select, update

from tellwire.model.messaging import Media
from tellwire.model.units import Micros
from tellwire.stores.queries.paging import Page, PageRequest, columns, newest, since
from tellwire.stores.schema.sending import media

_KEPT_ERASED: Micros = 3600 * 1_000_000
"""How long a row stays behind its bytes: a download that was under way may write them once more."""


class MediaFilter(Struct, frozen=True):
    """Which media a list shows; "" and None for any."""

    account_id: str = ""
    message_id: str = ""
    state: str = ""
    since: Micros | None = None


def get(connection: Connection, organization_id: str, media_id: str) -> Media | None:
    """One of an organization."""
    row = connection.execute(select(media).where(_this(organization_id, media_id))).one_or_none()
    return None if row is None else _media(row)


def find(connection: Connection, media_id: str) -> Media | None:
    """One by its id alone, for who holds a link."""
    row = connection.execute(select(media).where(media.c.id == media_id)).first()
    return None if row is None else _media(row)


def these(connection: Connection, organization_id: str, ids: Collection[str]) -> list[Media]:
    """Those of an organization among these ids."""
    if not ids:
        return []
    mine = media.c.organization_id == organization_id
    return [_media(row) for row in connection.execute(select(media).where(mine, media.c.id.in_(ids)))]


def page(connection: Connection, organization_id: str, chosen: MediaFilter, request: PageRequest) -> Page[Media]:
    """A page of an organization's, newest first; what was erased is not there."""
    query = select(media).where(media.c.organization_id == organization_id, media.c.state != "erased")
    for name in ("account_id", "message_id", "state"):
        if value := getattr(chosen, name):
            query = query.where(media.c[name] == value)
    query = since(query, media.c.id, media.c.created_at, chosen.since)
    return newest(connection, query, media.c.id, request, _media)


def of_messages(connection: Connection, message_ids: Sequence[str]) -> list[Media]:
    """The files of messages."""
    query = select(media).where(media.c.message_id.in_(message_ids)).order_by(media.c.id)
    return [_media(row) for row in connection.execute(query)]


def add(connection: Connection, new: Media) -> None:
    """Write a new row."""
    connection.execute(insert(media).values(asdict(new)))


def due(connection: Connection, now: Micros, without: Collection[str], limit: int) -> list[Media]:
    """Files whose turn to be fetched has come, longest due first."""
    query = select(media).where(media.c.state == "waiting", media.c.due_at <= now)
    if without:
        query = query.where(media.c.id.not_in(without))
    return [_media(row) for row in connection.execute(query.order_by(media.c.due_at, media.c.id).limit(limit))]


def settle(connection: Connection, before: Media, after: Media) -> bool:
    """Write how a row now stands, unless it stands otherwise than before; whether it was written."""
    unchanged = and_(*(media.c[name] == getattr(before, name) for name in ("state", "meta_id", "attempts")))
    mine = _this(before.organization_id, before.id)
    return connection.execute(update(media).where(mine, unchanged).values(asdict(after))).rowcount == 1


def wake(connection: Connection, account_ids: Collection[str], now: Micros) -> None:
    """What these accounts wait for is due at once: they have other tokens."""
    theirs = media.c.account_id.in_(account_ids)
    connection.execute(update(media).where(media.c.state == "waiting", theirs, media.c.due_at > now).values(due_at=now))


def erase(connection: Connection, organization_id: str, media_id: str, now: Micros) -> None:
    """Forget a file; its bytes go soon."""
    connection.execute(update(media).where(_this(organization_id, media_id)).values(_erased(now)))


def erase_of(connection: Connection, organization_id: str, message_ids: Sequence[str], now: Micros) -> int:
    """Forget the files of messages; their bytes go soon. Returns how many there were."""
    theirs = (media.c.organization_id == organization_id) & media.c.message_id.in_(message_ids)
    done = connection.execute(update(media).where(theirs, media.c.state != "erased").values(_erased(now)))
    return done.rowcount


def erased(connection: Connection, now: Micros, limit: int) -> list[Media]:
    """Forgotten files whose bytes are to be removed, perhaps once more."""
    query = select(media).where(media.c.state == "erased", media.c.due_at <= now)
    return [_media(row) for row in connection.execute(query.order_by(media.c.due_at, media.c.id).limit(limit))]


def removed(connection: Connection, gone: Media, now: Micros) -> None:
    """The bytes of a forgotten file are removed: the first time it is looked after again later, then the row goes."""
    mine = _this(gone.organization_id, gone.id)
    if gone.attempts:
        connection.execute(delete(media).where(mine, media.c.state == "erased"))
    else:
        connection.execute(update(media).where(mine).values(attempts=1, due_at=now + _KEPT_ERASED))


def _erased(now: Micros) -> dict[str, Any]:
    gone = {"meta_id": "", "sha256": "", "filename": "", "mime_type": "", "cause": "", "size": 0}
    return {"state": "erased", "attempts": 0, "due_at": now, "updated_at": now, **gone}


def _this(organization_id: str, media_id: str) -> Any:
    return (media.c.organization_id == organization_id) & (media.c.id == media_id)


def _media(row: Any) -> Media:
    return Media(**columns(row))
