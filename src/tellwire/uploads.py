"""Files of ours for Meta: an outgoing message names one by our id, Meta wants its own, which lives for 30 days.

The courier asks `ready` right before it sends: a file that Meta does not know, or knew for 29 days, is uploaded then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from tellwire.errors import TellwireError
from tellwire.meta.outgoing.media import places
from tellwire.model import Account, Media, Micros
from tellwire.ports import Answer, Clock, MediaStore, MediaWire, Upload
from tellwire.stores import cold_media

T = TypeVar("T")

_DAY: Micros = 24 * 3600 * 1_000_000
FRESH: Micros = 29 * _DAY
"""How long an uploaded file's id is used: a day less than Meta keeps it."""


class Store(Protocol):
    """What of a store uploads need."""

    async def read(self, work: Callable[[Connection], T]) -> T: ...

    async def write(self, work: Callable[[Connection], T]) -> T: ...


class NotUploaded(TellwireError):  # noqa: N818 - named after what is wrong
    """Meta has not taken a file; `answer` says why, and the message that names the file has not been sent."""

    def __init__(self, detail: str, answer: Answer) -> None:
        super().__init__(detail)
        self.answer = answer


class Missing(TellwireError):  # noqa: N818 - the same
    """A file that a message names is not here (any more): no try will send the message."""


class _Uploaded(Struct):
    id: str


def media_ids(connection: Connection, organization_id: str, account_id: str, content: bytes) -> list[Media]:
    """The files of ours that a message's content names, in its order; ids that are none of ours may be Meta's own."""
    named = list(dict.fromkeys(place.id for place in places(content)))
    known = {media.id: media for media in cold_media.these(connection, organization_id, named)}
    return [known[each] for each in named if each in known and known[each].account_id == account_id]


class Uploads:
    """Brings files to Meta."""

    def __init__(self, store: Store, files: MediaStore, wire: MediaWire, clock: Clock) -> None:
        self._store = store
        self._files = files
        self._wire = wire
        self._clock = clock

    async def ready(self, account: Account, content: bytes) -> dict[str, str]:
        """Meta's id for each of our ids that a message names (`meta.outgoing.body_of` puts them in).

        Raises:
            NotUploaded: Meta did not take one; trying again is safe, no message was sent.
            Missing: one is not here.
            Unavailable: the bytes or the row cannot be reached just now.
        """
        if not places(content):
            return {}
        found = await self._store.read(lambda c: media_ids(c, account.organization_id, account.id, content))
        return {media.id: await self._known_to_meta(account, media) for media in found}

    async def _known_to_meta(self, account: Account, media: Media) -> str:
        now = self._clock.now()
        if media.state != "stored":
            raise Missing(f"the file {media.id} is {media.state}")
        ours = not media.message_id  # what came in a webhook has an id that is for fetching only
        if ours and media.meta_id and now - media.meta_id_at < FRESH:
            return media.meta_id
        chunks = await self._files.read(media.id)
        if chunks is None:
            raise Missing(f"the bytes of the file {media.id} are gone")
        file = Upload(mime_type=media.mime_type, filename=media.filename or media.id, size=media.size, chunks=chunks)
        answer = await self._wire.upload(account.access_token, account.phone_number_id, file)
        meta_id = _id_of(answer)
        if not meta_id:
            raise NotUploaded(answer.cause or f"Meta answered {answer.status} to the upload of a file", answer)
        if ours:
            after = replace(media, meta_id=meta_id, meta_id_at=now, updated_at=now)
            await self._store.write(lambda c: cold_media.settle(c, media, after))
        return meta_id


def _id_of(answer: Answer) -> str:
    if not answer.ok:
        return ""
    try:
        return msgspec.json.decode(answer.body, type=_Uploaded).id
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""
