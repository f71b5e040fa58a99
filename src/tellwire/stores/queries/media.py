"""Media as rows; their bytes are in the media store."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import Connection, and_, delete, insert, select, update

from tellwire.model.messaging import Media
from tellwire.model.units import HOUR, Micros
from tellwire.stores.queries.paging import Page, PageRequest, columns, newest, since
from tellwire.stores.schema.sending import media

_KEPT_ERASED: Micros = HOUR
"""How long the row outlives its bytes: a download that is still running may write them again."""


class MediaFilter(Struct, frozen=True):
    """Filters of a list of media; "" and None filter nothing."""

    account_id: str = ""
    message_id: str = ""
    state: str = ""
    since: Micros | None = None


def get(connection: Connection, organization_id: str, media_id: str) -> Media | None:
    """Return a file of an organization, None when there is none."""
    row = connection.execute(select(media).where(_this(organization_id, media_id))).one_or_none()
    return None if row is None else _media(row)


def of_meta_id(connection: Connection, organization_id: str, meta_id: str) -> Media | None:
    """Return the newest file of an organization that Meta knows under an id, None when there is none."""
    mine = media.c.organization_id == organization_id
    known = (media.c.meta_id == meta_id) & (media.c.meta_id != "")  # as the index says it
    row = connection.execute(select(media).where(known, mine).order_by(media.c.id.desc()).limit(1)).first()
    return None if row is None else _media(row)


def find(connection: Connection, media_id: str) -> Media | None:
    """Return a file by its id alone, for a signed link; None when there is none."""
    row = connection.execute(select(media).where(media.c.id == media_id)).first()
    return None if row is None else _media(row)


def get_many(connection: Connection, organization_id: str, ids: Collection[str]) -> list[Media]:
    """Return the files of an organization with these ids, leaving out unknown ids."""
    if not ids:
        return []
    mine = media.c.organization_id == organization_id
    return [_media(row) for row in connection.execute(select(media).where(mine, media.c.id.in_(ids)))]


def page(connection: Connection, organization_id: str, chosen: MediaFilter, request: PageRequest) -> Page[Media]:
    """Return a page of an organization's files without the erased ones."""
    query = select(media).where(media.c.organization_id == organization_id, media.c.state != "erased")
    for name in ("account_id", "message_id", "state"):
        if value := getattr(chosen, name):
            query = query.where(media.c[name] == value)
    query = since(query, media.c.id, media.c.created_at, chosen.since)
    return newest(connection, query, media.c.id, request, _media)


def of_messages(connection: Connection, message_ids: Sequence[str]) -> list[Media]:
    """Return the files of messages."""
    query = select(media).where(media.c.message_id.in_(message_ids)).order_by(media.c.id)
    return [_media(row) for row in connection.execute(query)]


def add(connection: Connection, new: Media) -> None:
    """Write a new row."""
    connection.execute(insert(media).values(asdict(new)))


def due(
    connection: Connection, now: Micros, without: Collection[str], limit: int, *, not_of: Collection[str] = ()
) -> list[Media]:
    """Return the files that are due to be downloaded, longest due first, without those of the organizations
    `not_of`."""
    query = select(media).where(media.c.state == "waiting", media.c.due_at <= now)
    if without:
        query = query.where(media.c.id.not_in(without))
    if not_of:
        query = query.where(media.c.organization_id.not_in(not_of))
    return [_media(row) for row in connection.execute(query.order_by(media.c.due_at, media.c.id).limit(limit))]


def settle(connection: Connection, before: Media, after: Media) -> bool:
    """Write a changed row unless it has changed since `before`; return whether it was written."""
    unchanged = and_(*(media.c[name] == getattr(before, name) for name in ("state", "meta_id", "attempts")))
    mine = _this(before.organization_id, before.id)
    return connection.execute(update(media).where(mine, unchanged).values(asdict(after))).rowcount == 1


def make_due(connection: Connection, account_ids: Collection[str], now: Micros) -> None:
    """Make the waiting files of these accounts due at once, because the accounts have new tokens."""
    theirs = media.c.account_id.in_(account_ids)
    connection.execute(update(media).where(media.c.state == "waiting", theirs, media.c.due_at > now).values(due_at=now))


def erase(connection: Connection, organization_id: str, media_id: str, now: Micros) -> None:
    """Mark a file as erased; its bytes are removed soon."""
    connection.execute(update(media).where(_this(organization_id, media_id)).values(_erased(now)))


def erase_of_messages(connection: Connection, organization_id: str, message_ids: Sequence[str], now: Micros) -> int:
    """Mark the files of messages as erased and return how many there were; their bytes are removed soon."""
    theirs = (media.c.organization_id == organization_id) & media.c.message_id.in_(message_ids)
    done = connection.execute(update(media).where(theirs, media.c.state != "erased").values(_erased(now)))
    return done.rowcount


def erased(connection: Connection, now: Micros, limit: int) -> list[Media]:
    """Return the erased files whose bytes are due to be removed, some of them for a second time."""
    query = select(media).where(media.c.state == "erased", media.c.due_at <= now)
    return [_media(row) for row in connection.execute(query.order_by(media.c.due_at, media.c.id).limit(limit))]


def bytes_removed(connection: Connection, file: Media, now: Micros) -> None:
    """Record that the bytes of an erased file were removed.

    After the first time the removal is due once more, later; after the second the row is deleted."""
    mine = _this(file.organization_id, file.id)
    if file.attempts:
        connection.execute(delete(media).where(mine, media.c.state == "erased"))
    else:
        connection.execute(update(media).where(mine).values(attempts=1, due_at=now + _KEPT_ERASED))


def _erased(now: Micros) -> dict[str, Any]:
    cleared = {"meta_id": "", "sha256": "", "filename": "", "mime_type": "", "cause": "", "size": 0}
    return {"state": "erased", "attempts": 0, "due_at": now, "updated_at": now, **cleared}


def _this(organization_id: str, media_id: str) -> Any:
    return (media.c.organization_id == organization_id) & (media.c.id == media_id)


def _media(row: Any) -> Media:
    return Media(**columns(row))
