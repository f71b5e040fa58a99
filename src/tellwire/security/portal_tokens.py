"""PURE. Makes and checks what a portal link ends in: organization, link and expiry, signed by the installation's key.

So a link that was tampered with is refused before anything is looked up. That it was not revoked, the store tells.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from uuid import UUID

from msgspec import Struct

from tellwire.model.units import Micros

_FORM = re.compile(r"[A-Za-z0-9_-]{96}")  # 72 bytes: two ids, a time, and a signature


class PortalToken(Struct, frozen=True):
    """What a portal link says of itself."""

    organization_id: str
    link_id: str
    expires_at: Micros


def token_of(key: bytes, token: PortalToken) -> str:
    """Return what a link ends in."""
    said = UUID(token.organization_id).bytes + UUID(token.link_id).bytes + token.expires_at.to_bytes(8)
    return base64.urlsafe_b64encode(said + _signature(key, said)).decode()


def read(key: bytes, text: str) -> PortalToken | None:
    """Return what a link says; None when it is not one that this installation signed."""
    if not key or not _FORM.fullmatch(text):
        return None
    try:
        raw = base64.b64decode(text, altchars=b"-_", validate=True)
    except binascii.Error:
        return None
    said, given = raw[:40], raw[40:]
    if not hmac.compare_digest(_signature(key, said), given):
        return None
    return PortalToken(str(UUID(bytes=said[:16])), str(UUID(bytes=said[16:32])), int.from_bytes(said[32:]))


def _signature(key: bytes, said: bytes) -> bytes:
    return hmac.digest(key, b"portal-link\0" + said, "sha256")
