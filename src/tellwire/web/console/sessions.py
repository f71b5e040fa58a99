"""Recognise who looks at a page by the session's cookie, and keep other sites from acting in their name."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection
from msgspec import Struct

from tellwire.errors import NotAllowed
from tellwire.model.members import Access, ConsoleSession
from tellwire.model.units import DAY, HOUR, Micros
from tellwire.stores.queries import console_sessions
from tellwire.web.auth import Caller
from tellwire.web.request import AppState

COOKIE = "tellwire_session"
LASTS = 14 * DAY
LINK_LASTS = HOUR // 4

AnyConnection = ASGIConnection[Any, Any, Any, Any]


class LoginNeeded(Exception):  # noqa: N818 - named after what is wrong
    """Nobody is logged in; `path` is where they wanted to go."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class Session(Struct, frozen=True, kw_only=True):
    """A session whose cookie came with a request; `csrf` stands in every form that its pages show."""

    stored: ConsoleSession
    csrf: str

    @property
    def access(self) -> Access:
        """Return what it may do."""
        return self.stored.access

    @property
    def caller(self) -> Caller:
        """Return the caller that its calls of the API have."""
        access = self.access
        return Caller(
            self.stored.organization_id,
            frozenset(access.scopes),
            access.actor,
            operator=access.operator,
            session=self.stored.hash,
        )


def digest(secret: str) -> str:
    """Return what is stored of a cookie's value or of a link: its SHA-256 in hex. Both have 256 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def secret_of(random: bytes) -> str:
    """Return a new cookie's value, or what a link ends in, of 32 random bytes."""
    return base64.urlsafe_b64encode(random).rstrip(b"=").decode()


def csrf_of(cookie: str) -> str:
    """Return the token that forms carry. Whoever does not know the cookie's value cannot make it."""
    return hmac.digest(cookie.encode(), b"csrf", "sha256").hex()


async def session_of(connection: AnyConnection, app_state: AppState) -> Session | None:
    """Return the session of a request, None when it brings no cookie of one that is valid."""
    cookie = connection.cookies.get(COOKIE, "")
    if not 40 <= len(cookie) <= 64:
        return None
    services = app_state.services
    name, now = digest(cookie), services.clock.now()
    stored = await services.store.read(lambda c: console_sessions.find(c, name, now))
    return None if stored is None else Session(stored=stored, csrf=csrf_of(cookie))


def begun(organization_id: str, access: Access, cookie: str, now: Micros, **of: str) -> ConsoleSession:
    """Return a new session; `of` names the member or the portal link that it is of."""
    return ConsoleSession(
        hash=digest(cookie),
        organization_id=organization_id,
        access=access,
        created_at=now,
        expires_at=now + LASTS,
        **of,
    )


def check_origin(connection: AnyConnection) -> None:
    """Check that a form was sent by a page of ours.

    Raises:
        NotAllowed: a browser says that another site sent it.
    """
    headers = connection.headers
    origin = headers.get("origin")
    same = origin is None or urlsplit(origin).netloc == headers.get("host")
    if not same or headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise NotAllowed("This form was sent by another site.", kind="another-site")


def check_csrf(session: Session, given: str) -> None:
    """Check the token of a form.

    Raises:
        NotAllowed: it is not this session's.
    """
    if not hmac.compare_digest(given.encode(), session.csrf.encode()):
        raise NotAllowed("This page is from before you logged in: load it again, then repeat it.", kind="stale-form")
