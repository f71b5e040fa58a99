"""The ids of the `chat` format: 24 hexadecimal digits that look like a document store's, made of ours."""

from __future__ import annotations

import hashlib
import re

from tellwire.model.units import Seconds

_SHOWN = re.compile(r"[0-9a-f]{24}")


def fits(text: str) -> bool:
    """Whether a text could be such an id."""
    return _SHOWN.fullmatch(text) is not None


def made_at(shown: str) -> Seconds:
    """The second that an id carries in its first four bytes."""
    return int(shown[:8], 16)


def shown(our_id: str) -> str:
    """The `conversation_id` under which the `chat` format shows one of our ids (a conversation's or a message's).

    Four bytes of the UUIDv7's own Unix seconds, then eight of the SHA-256 of its text: 24 lower-case digits, always
    the same for the same id, told apart like random ones.

    Args:
        our_id: a UUIDv7 in its canonical text.

    Raises:
        ValueError: the text does not begin like a UUID.

    Source: docs/reference/formats.md, "Our reading".
    """
    canonical = our_id.lower()
    seconds = int(canonical.replace("-", "")[:12], 16) // 1000
    return (seconds & 0xFFFF_FFFF).to_bytes(4).hex() + hashlib.sha256(canonical.encode()).hexdigest()[:16]
