"""PURE. Decides what becomes of a file of Meta's after an answer, and when the next try is."""

from __future__ import annotations

import re
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tellwire.media.attachments import hex_of
from tellwire.meta.codes import kind_of_code
from tellwire.model.messaging import Media
from tellwire.model.units import DAY, MICROS, Micros
from tellwire.ports.http_out import Answer

ID_LIFETIME: Micros = 7 * DAY
"""How long the id of a file in a webhook is valid. Source: Meta, "Media"."""
RETRY_GAPS = (10, 60, 300, 1800, 3600)
"""Seconds between tries; the last one is for all further tries."""
NO_TOKEN_RETRY_SECONDS = 3600


class MediaLink(Struct, frozen=True):
    """What Meta answers about a file: a link that works for 5 minutes, its hash in hex, and its type."""

    url: str
    sha256: str
    mime_type: str


class FetchRefused(Struct, frozen=True):
    """Why there is no link. `missing`: Meta says that it has no such file, or that this token may not see it, which it
    words alike; `token`: the account's token does not work; `never`: nobody can be asked; else `later`."""

    what: Literal["missing", "token", "later", "never"]
    cause: str


NOT_AN_ID = FetchRefused("never", "what Meta gave as the id of the file is no id")
_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")


class _Link(Struct):
    url: str = ""
    sha256: str = ""
    mime_type: str = ""


class _Error(Struct, frozen=True):
    code: int = 0
    error_subcode: int = 0
    message: str = ""


class _Failure(Struct):
    error: _Error = _Error()


_THERE_IS_NONE = 33
_INVALID = 100


def is_an_id(meta_id: str) -> bool:
    """Return whether Meta can be asked for this id, which becomes a part of the path."""
    return _ID.fullmatch(meta_id) is not None


def read_media_link(answer: Answer) -> MediaLink | FetchRefused:
    """Read the answer to `GET /{media_id}`. One without an error object of Meta's may be a proxy's, whatever its
    status."""
    if answer.ok:
        try:
            link = msgspec.json.decode(answer.body, type=_Link)
        except (msgspec.MsgspecError, ValueError):
            link = _Link()
        if not link.url:
            return FetchRefused("later", "Meta's answer about the file could not be read")
        return MediaLink(link.url, hex_of(link.sha256), link.mime_type)
    if not answer.status:
        return FetchRefused("later", answer.cause)
    try:
        error = msgspec.json.decode(answer.body, type=_Failure).error
    except (msgspec.MsgspecError, ValueError):
        error = _Error()
    said = f"Meta answered {answer.status}" + (f" with code {error.code}" if error.code else "")
    if answer.status == 401 or (error.code and kind_of_code(error.code) == "pause"):
        return FetchRefused("token", f"{said}: the account's access token does not work")
    if (error.code, error.error_subcode) == (_INVALID, _THERE_IS_NONE):
        return FetchRefused("missing", f"{said}: it has no such file, or none for this token")
    return FetchRefused("later", said)


def stored(media: Media, *, size: int, sha256: str, mime_type: str, now: Micros) -> Media:
    """Return the row of a file whose bytes are stored now. `size` in bytes, `sha256` in hex."""
    known_type = media.mime_type or mime_type
    return replace(
        media, state="stored", size=size, sha256=sha256, mime_type=known_type, cause="", due_at=0, updated_at=now
    )


def refused(media: Media, refusal: FetchRefused, now: Micros) -> Media:
    """Return the row of a file for which there was no link."""
    match refusal.what:
        case "never":
            return give_up(media, "failed", refusal.cause, now)
        case "missing" if now - media.meta_id_at >= ID_LIFETIME:
            return give_up(media, "expired", refusal.cause, now)
        case "token":
            return try_again(media, refusal.cause, now, seconds=NO_TOKEN_RETRY_SECONDS)
        case _:
            return try_again(media, refusal.cause, now)


def try_again(media: Media, cause: str, now: Micros, *, seconds: int = 0) -> Media:
    """Return the row with its next try, after `seconds` or the next gap; given up once Meta's id is no longer valid."""
    if now - media.meta_id_at >= ID_LIFETIME:
        return give_up(media, "failed", f"{cause}; given up after 7 days", now)
    gap = seconds or RETRY_GAPS[min(media.attempts, len(RETRY_GAPS) - 1)]
    return replace(media, cause=cause, attempts=media.attempts + 1, due_at=now + gap * MICROS, updated_at=now)


def give_up(media: Media, state: Literal["failed", "expired"], cause: str, now: Micros) -> Media:
    """Return the row in a final state: only a request to retry it has it fetched again."""
    return replace(media, state=state, cause=cause, attempts=media.attempts + 1, due_at=0, updated_at=now)


def with_new_token(media: Media, now: Micros) -> Media:
    """Return the row of a file that waits, due at once: its account has another token than was refused."""
    return replace(media, due_at=now) if media.state == "waiting" else media


def requested_again(media: Media, now: Micros) -> Media:
    """Return the row of a file that is to be fetched once more, as was asked through the API."""
    return replace(media, state="waiting", cause="", attempts=0, due_at=now, updated_at=now)
