"""PURE. The random values that let somebody into the console: of a session's cookie, and of a login link."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

_FORM = re.compile(r"[A-Za-z0-9_-]{43}")


def secret_of(random: bytes) -> str:
    """Return a new cookie's value, or what a link ends in, of 32 random bytes."""
    return base64.urlsafe_b64encode(random).rstrip(b"=").decode()


def has_form(text: str) -> bool:
    """Return whether a text has the form of one of these values, so that nothing else is looked up."""
    return _FORM.fullmatch(text) is not None


def digest(secret: str) -> str:
    """Return what is stored of a value: its SHA-256 in hex. It has 256 random bits, so nothing slower is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def csrf_of(cookie: str) -> str:
    """Return the token that forms carry. Whoever does not know the cookie's value cannot make it."""
    return hmac.digest(cookie.encode(), b"csrf", "sha256").hex()
