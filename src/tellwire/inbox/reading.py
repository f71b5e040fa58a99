"""PURE. Reading the items of a POST: of Meta's, and of a source's, which is translated into Meta's envelope first."""

from __future__ import annotations

import hashlib

from tellwire import meta
from tellwire.inbox import translators
from tellwire.inbox.posts import Post, room_of
from tellwire.meta.webhooks.items import Item, MessageItem, StatusUpdate
from tellwire.model.sources import Source

Read = tuple[tuple[Item, ...], str, bytes]
"""The items of a body; if one of them is neither a message nor a status, its SHA-256 in hex, else ""; and the body, as
it is kept."""


def read(body: bytes) -> Read:
    """Return the items of an envelope of Meta's.

    Raises:
        NotJson: it is not JSON.
    """
    return _with_digest(body, meta.parse(body))


def read_of(source: Source, body: bytes) -> Read:
    """Return the items of what a source sent.

    Raises:
        NotJson: it is not JSON.
    """
    found = translators.translate(source, body)
    return _with_digest(found.body, meta.parse(found.body) if found.untranslated is None else (found.untranslated,))


def post_of(source: Source, items: tuple[Item, ...], digest: str, body: bytes) -> Post:
    """Return the POST of a source, as it is applied."""
    return Post(body, items, source.speaks_for, digest, room_of(body), source.organization_id, source_id=source.id)


def _with_digest(body: bytes, items: tuple[Item, ...]) -> Read:
    keyless = any(not isinstance(item, MessageItem | StatusUpdate) for item in items)
    return items, hashlib.sha256(body).hexdigest() if keyless else "", body
