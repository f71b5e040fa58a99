"""PURE. Show ids of files as Meta's look: digits only, because clients take nothing else for an id.

An id of ours is a UUID, a number of 128 bits; here it is that number in decimal.
"""

from __future__ import annotations

import uuid

from tellwire.meta.outgoing.media import media_references, with_media_ids
from tellwire.meta.outgoing.types import content_of
from tellwire.meta.raw_json import verbatim

_LEAST, _MOST = 30, 39
"""How many digits a UUID has that was made in this century; Meta's ids are shorter."""


def shown(media_id: str) -> str:
    """Return our id of a file in digits."""
    return str(uuid.UUID(media_id).int)


def of_shown(digits: str) -> str:
    """Return the id of ours that is shown so; "" for what none is shown as."""
    if not (_LEAST <= len(digits) <= _MOST and digits.isascii() and digits.isdecimal() and int(digits) < 1 << 128):
        return ""
    return str(uuid.UUID(int=int(digits)))


def with_our_ids(kind: str, payload: bytes) -> bytes:
    """Return the object of a message that is named by its type, with our files under our ids."""
    content = content_of(kind, payload)
    ours = {each.id: of_shown(each.id) for each in media_references(content) if of_shown(each.id)}
    if not ours:
        return payload
    members = verbatim.members(with_media_ids(content, ours)) or {}
    return bytes(members.get(kind, payload))
