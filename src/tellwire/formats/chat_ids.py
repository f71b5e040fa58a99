"""The ids of the `chat` format: 24 hexadecimal digits that look like a document store's, made of ours."""

from __future__ import annotations

import hashlib


def chat_id(uuid_text: str) -> str:
    """The `conversation_id` under which the `chat` format shows one of our ids (a conversation's or a message's).

    Four bytes of the UUIDv7's own Unix seconds, then eight of the SHA-256 of its text: 24 lower-case digits, always
    the same for the same id, told apart like random ones.

    Args:
        uuid_text: a UUIDv7 in its canonical text.

    Raises:
        ValueError: the text does not begin like a UUID.

    Source: docs/reference/formats.md, "Our reading".
    """
    canonical = uuid_text.lower()
    seconds = int(canonical.replace("-", "")[:12], 16) // 1000
    return (seconds & 0xFFFF_FFFF).to_bytes(4).hex() + hashlib.sha256(canonical.encode()).hexdigest()[:16]
