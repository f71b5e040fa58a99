"""PURE. Makes and checks links to media: `{PUBLIC_URL}/media/{id}?signature=…`, valid as long as the file exists."""

from __future__ import annotations

import base64
import hashlib
import hmac


def signature(key: bytes, media_id: str) -> str:
    """Return the HMAC-SHA256 of the id, as URL-safe base64 without padding."""
    digest = hmac.new(key, media_id.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def link(base: str, key: bytes, media_id: str) -> str:
    """Return the link to a file; `base` is PUBLIC_URL."""
    return f"{base}/media/{media_id}?signature={signature(key, media_id)}"


def verifies(key: bytes, media_id: str, given: str) -> bool:
    """Return whether `given` is the signature of the id, in constant time; always False while there is no key."""
    return bool(key) and hmac.compare_digest(signature(key, media_id).encode(), given.encode("utf-8", "replace"))
