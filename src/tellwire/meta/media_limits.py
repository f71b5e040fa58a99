"""PURE. What files Meta takes for sending, and how large each may be. Source: Meta, "Media"."""

from __future__ import annotations

import re
from collections.abc import Mapping

_KB, _MB = 1024, 1024 * 1024
MAX_BYTES = 100 * _MB
"""The largest file of any type."""
DOCUMENTS = (
    "text/plain",
    "application/pdf",
    "application/msword",
    "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
)
"""The types that go out as documents."""
LIMITS: Mapping[str, int] = {
    **dict.fromkeys(("image/jpeg", "image/png"), 5 * _MB),
    **dict.fromkeys(("video/mp4", "video/3gpp"), 16 * _MB),
    **dict.fromkeys(("audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg", "audio/opus"), 16 * _MB),
    "image/webp": 500 * _KB,
    **dict.fromkeys(DOCUMENTS, MAX_BYTES),
}
"""The largest file in bytes by type; WebP is for stickers, of which one that does not move may have 100 KB only."""
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")


def plain_type(mime_type: str) -> str:
    """Return the type without parameters, in lower case; "" for a text that is no type."""
    found = mime_type.partition(";")[0].strip().lower()
    return found if _TYPE.fullmatch(found) else ""


def can_be_sent_as(mime_type: str, kind: str) -> bool:
    """Return whether a file of this type can be sent as this kind of media (`image`, `sticker`, `gif`, `document`,
    …)."""
    plain = plain_type(mime_type)
    if plain not in LIMITS:
        return False
    match kind:
        case "document":
            return True
        case "sticker":
            return plain == "image/webp"
        case "gif":
            return plain == "video/mp4"
        case _:
            return plain.startswith(f"{kind}/") and plain != "image/webp"
