"""PURE. Makes a row for each file of a message, whose bytes are fetched later, and the column `media` that shows the
files at once."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import json
from msgspec.structs import replace

from tellwire.media.links import link
from tellwire.meta import scalars
from tellwire.meta.outgoing.media import media_references
from tellwire.meta.raw_json import verbatim
from tellwire.model.ledger import Ledger
from tellwire.model.messaging import Media, Message

TYPES = frozenset(("image", "video", "audio", "voice", "document", "sticker", "interactive", "template"))
"""The types of messages that may have files; the last two as a header or a parameter, in echoes."""
_NESTED = frozenset(("interactive", "template"))
_HEX = re.compile(r"[0-9a-fA-F]{64}")


def attach(ledger: Ledger, message: Message, base: str) -> Message:
    """Return the message with the column `media`, and add a row for each of its files, which waits for its bytes.
    `base` is PUBLIC_URL."""
    shown = []
    for file in _files(message.content):
        meta_id = scalars.ident(file.get("id"))
        if not meta_id:
            continue
        given = _text(file.get("sha256"))
        media = Media(
            id=ledger.new_id(),
            organization_id=message.organization_id,
            account_id=message.account_id,
            message_id=message.id,
            meta_id=meta_id,
            meta_id_at=ledger.now,
            mime_type=_text(file.get("mime_type")),
            sha256=hex_of(given),
            filename=_text(file.get("filename")),
            due_at=ledger.now,
            created_at=ledger.now,
            updated_at=ledger.now,
        )
        ledger.changed_media[media.id] = media
        shown.append(_shown(media, given, base, ledger.registry.media_key))
    return replace(message, media=json.encode(shown) if shown else b"")


def attach_anew(ledger: Ledger, message: Message, base: str) -> Message:
    """Return a message whose content was replaced with the files that it has now; those of before stay when it names
    the same ones."""
    given = [_text(file.get("sha256")) for file in _files(message.content)]
    known = [each.get("sha256") for each in _column(message)]
    return message if given == known and any(given) else attach(ledger, message, base)


def detach(ledger: Ledger, message: Message) -> Message:
    """Return the message without its files, and mark their rows as erased, so that bytes and metadata are removed."""
    for each in _column(message):
        media = Media(
            id=each["id"],
            organization_id=message.organization_id,
            account_id=message.account_id,
            message_id=message.id,
            state="erased",
            due_at=ledger.now,
            created_at=ledger.now,
            updated_at=ledger.now,
        )
        ledger.changed_media[media.id] = media
    return replace(message, media=b"")


def column(files: Iterable[Media], base: str, key: bytes) -> bytes:
    """Return the column `media` of a message that sends stored files; b"" for none. `base` is PUBLIC_URL, `key` signs
    the links."""
    shown = [_shown(media, media.sha256, base, key) for media in files]
    return json.encode(shown) if shown else b""


def hex_of(sha256: str) -> str:
    """Return a SHA-256 that Meta gives as base64 or hex as lower-case hex; "" when it is neither."""
    if _HEX.fullmatch(sha256):
        return sha256.lower()
    try:
        digest = base64.b64decode(sha256.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return ""
    return digest.hex() if len(digest) == 32 else ""


def _files(content: bytes) -> Iterator[dict[str, Any]]:
    value, _ = verbatim.read(content)
    kind = value.get("type") if isinstance(value, dict) else None
    if kind in _NESTED:
        for reference in media_references(content):
            file: Any = value
            for step in reference.pointer.split("/")[1:-1]:
                file = file[int(step)] if isinstance(file, list) else file[step]
            yield file
    elif isinstance(kind, str) and kind in TYPES and isinstance(file := value.get(kind), dict):
        yield file


def _column(message: Message) -> list[dict[str, str]]:
    return json.decode(message.media, type=list[dict[str, str]]) if message.media else []


def _shown(media: Media, sha256: str, base: str, key: bytes) -> dict[str, str]:
    shown = {"id": media.id, "url": link(base, key, media.id), "mime_type": media.mime_type, "sha256": sha256}
    return shown | ({"filename": media.filename} if media.filename else {})


def _text(value: object) -> str:
    return scalars.name(value) or ""
