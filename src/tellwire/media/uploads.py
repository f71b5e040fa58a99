"""Uploads stored files to Meta: an outgoing message names a file by our id, Meta wants its own, which is valid for 30
days.

The sending worker asks `ready` right before it sends: a file that Meta does not know, or has known for 29 days, is
uploaded then.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tellwire.errors import TellwireError, Unavailable
from tellwire.meta.outgoing.answers import NotSent, Refused, read_answer
from tellwire.meta.outgoing.media import media_references
from tellwire.model.messaging import Media, StatusError
from tellwire.model.tenancy import Account
from tellwire.model.units import DAY, Micros
from tellwire.ports.clock import Clock
from tellwire.ports.http_out import Answer
from tellwire.ports.media import MediaStore, MediaWire, Upload
from tellwire.ports.queues import UploadedFiles

FRESH: Micros = 29 * DAY
"""How long the id of an uploaded file is used: a day less than Meta keeps it."""


class NotUploaded(TellwireError):  # noqa: N818 - named after what is wrong
    """A file that a message names is not at Meta, so the message is not sent; `outcome` is what becomes of it."""

    def __init__(self, outcome: Refused | NotSent) -> None:
        super().__init__(outcome.cause if isinstance(outcome, NotSent) else str(outcome.code))
        self.outcome = outcome


class _Uploaded(Struct):
    id: str


Ready = Callable[[Account, bytes], Awaitable[Mapping[str, str]]]
"""`Uploads.ready`, as the sending worker calls it."""


async def nothing_to_upload(_account: Account, _content: bytes) -> Mapping[str, str]:
    """Return no ids: a stand-in for `Uploads.ready` where no message names a stored file."""
    return {}


def is_ours(media_id: str) -> bool:
    """Return whether an id that a message names could be one of ours; Meta's are digits."""
    return "-" in media_id


class Uploads:
    """Uploads the files that outgoing messages name."""

    def __init__(self, rows: UploadedFiles, files: MediaStore, wire: MediaWire, clock: Clock) -> None:
        self._rows = rows
        self._files = files
        self._wire = wire
        self._clock = clock

    async def ready(self, account: Account, content: bytes) -> dict[str, str]:
        """Return Meta's id for each of our ids that a message names (`meta.outgoing.body_of` puts them in).

        Raises:
            NotUploaded: one is not here, or not at Meta; no message was sent.
        """
        named = list(dict.fromkeys(reference.id for reference in media_references(content)))
        if not any(map(is_ours, named)):
            return {}
        try:
            found = await self._rows.these(account.organization_id, named)
            known = {media.id: media for media in found if media.account_id == account.id}  # others may be Meta's own
            return {each: await self._known_to_meta(account, known[each]) for each in named if each in known}
        except Unavailable as error:
            raise NotUploaded(NotSent(f"the file could not be read: {error}")) from None

    async def _known_to_meta(self, account: Account, media: Media) -> str:
        now = self._clock.now()
        if media.state != "stored":
            raise NotUploaded(_missing(f"the file {media.id} is {media.state}"))
        ours = not media.message_id  # what came in a webhook has an id that is for fetching only
        if ours and media.meta_id and now - media.meta_id_at < FRESH:
            return media.meta_id
        chunks = await self._files.read(media.id)
        if chunks is None:
            raise NotUploaded(_missing(f"the bytes of the file {media.id} are gone"))
        file = Upload(mime_type=media.mime_type, filename=media.filename or media.id, size=media.size, chunks=chunks)
        async with aclosing(chunks):  # Meta may answer before it has read all
            answer = await self._wire.upload(account.access_token, account.phone_number_id, file)
        meta_id = _id_of(answer)
        if not meta_id:
            raise NotUploaded(_refusal(answer))
        if ours:
            after = replace(media, meta_id=meta_id, meta_id_at=now, updated_at=now)
            await self._rows.settle(media, after)
        return meta_id


def _missing(cause: str) -> Refused:
    return Refused("fail", None, (StatusError(131053, "Media upload error", "Media upload error", cause),))


def _refusal(answer: Answer) -> Refused | NotSent:
    """Return what becomes of the message, which was not sent, whatever the answer to the upload was."""
    came = read_answer(answer.status, answer.body, written=False, cause=answer.cause)
    if isinstance(came, Refused):
        return came
    return NotSent(answer.cause or f"Meta answered {answer.status} to the upload of a file")


def _id_of(answer: Answer) -> str:
    if not answer.ok:
        return ""
    try:
        return msgspec.json.decode(answer.body, type=_Uploaded).id
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""
