"""PURE. Reading the items of a POST: of Meta's, and of a source's, which is translated into Meta's envelope first."""

from __future__ import annotations

import hashlib

from msgspec import Struct

from tellwire import meta
from tellwire.inbox import meta_events, translators
from tellwire.inbox.meta_events import Verbatim
from tellwire.inbox.posts import Post, room_of
from tellwire.meta.webhooks.items import OF_A_MESSAGE, Item
from tellwire.model.sources import Source


class Read(Struct, frozen=True):
    """The items of a `body`, which is as it is kept; `digest`: its SHA-256 in hex if one of the items is neither a
    message nor a status, else ""; `verbatim`: what endpoints of the format `meta` are told, where there are any."""

    items: tuple[Item, ...]
    digest: str
    body: bytes
    verbatim: Verbatim | None = None


def read(body: bytes, *, cuts: bool = False) -> Read:
    """Return the items of an envelope of Meta's. `cuts`: there are endpoints of the format `meta`.

    Raises:
        NotJson: it is not JSON.
    """
    items = meta.parse(body)
    return _with_digest(body, items, meta_events.read(body, items) if cuts else None)


def read_of(source: Source, body: bytes) -> Read:
    """Return the items of what a source sent.

    Raises:
        NotJson: it is not JSON.
    """
    found = translators.translate(source, body)
    return _with_digest(found.body, meta.parse(found.body) if found.untranslated is None else (found.untranslated,))


def post_of(source: Source, found: Read) -> Post:
    """Return the POST of a source, as it is applied."""
    body, whose = found.body, source.organization_id
    return Post(body, found.items, source.speaks_for, found.digest, room_of(body), whose, source_id=source.id)


def _with_digest(body: bytes, items: tuple[Item, ...], verbatim: Verbatim | None = None) -> Read:
    digest = ""
    for item in items:
        if not isinstance(item, OF_A_MESSAGE):
            digest = hashlib.sha256(body).hexdigest()
            break
    return Read(items, digest, body, verbatim)
