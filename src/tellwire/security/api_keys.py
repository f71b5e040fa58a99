"""PURE. API keys: what they look like, what they allow (docs/reference/rest-api.md, "Authentication")."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Literal, get_args

from tellwire.model.tenancy import ApiKey
from tellwire.model.units import Micros

Scope = Literal[
    "admin",
    "read",
    "inbox",
    "messages:write",
    "webhooks:manage",
    "webhooks:operate",
    "deliveries:replay",
    "accounts:manage",
    "contacts:manage",
    "agents:manage",
    "templates:manage",
]

SCOPES: dict[Scope, str] = {
    "admin": "everything in its organization, API keys included",
    "read": "every read",
    "inbox": "read conversations, messages, contacts, media and templates",
    "messages:write": "send messages, upload files; open, close, label, assign and note conversations, pause agents",
    "webhooks:manage": "create, change, test, pause, resume, recover, pull and delete webhook endpoints, and read them",
    "webhooks:operate": "pause, resume, test and recover webhook endpoints, and read them",
    "deliveries:replay": "replay deliveries and apply received items again, deal with failures, and read all three",
    "accounts:manage": "create, change and delete accounts, and read them",
    "contacts:manage": "change, export and erase contacts",
    "agents:manage": "create, change and delete agents, and read them",
    "templates:manage": "synchronise, create and delete message templates, and read them",
}
"""What a key may do, by scope."""

DEFAULT_SCOPES: tuple[Scope, ...] = tuple(scope for scope in get_args(Scope) if scope != "admin")
"""The scopes of a key for which none were named."""

_KEY = re.compile(r"tw_[A-Za-z0-9_-]{43}")
_PREFIX = 10


def make(random: bytes) -> str:
    """Return a key of 32 random bytes: `tw_` and 43 URL-safe characters."""
    return "tw_" + base64.urlsafe_b64encode(random).rstrip(b"=").decode()


def has_key_form(text: str) -> bool:
    """Return whether a text has the form of one of our keys."""
    return _KEY.fullmatch(text) is not None


def digest(key: str) -> str:
    """Return what is stored of a key: its SHA-256 in hex. A key has 256 random bits, so nothing slower is needed."""
    return hashlib.sha256(key.encode()).hexdigest()


def record(
    key: str,
    *,
    organization_id: str,
    name: str,
    scopes: tuple[str, ...],
    expires_at: Micros | None,
    operator: bool = False,
) -> ApiKey:
    """Return the record of a key, without an id and a time of creation yet."""
    return ApiKey(
        id="",
        organization_id=organization_id,
        name=name,
        prefix=key[:_PREFIX],
        hash=digest(key),
        scopes=scopes,
        created_at=0,
        expires_at=expires_at,
        operator=operator,
    )


def is_valid(key: ApiKey, now: Micros) -> bool:
    """Return whether a key is neither revoked nor expired."""
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > now)
