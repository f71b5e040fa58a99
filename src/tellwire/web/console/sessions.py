"""Recognise who looks at a page by the session's cookie, and keep other sites from acting in their name."""

from __future__ import annotations

import hmac
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection
from msgspec import Struct

from tellwire.errors import NotAllowed, Unavailable
from tellwire.model.members import Access, ConsoleSession
from tellwire.model.units import DAY, HOUR, Micros
from tellwire.security.console_secrets import csrf_of, digest, has_form
from tellwire.stores.queries import console_sessions
from tellwire.web.auth import Caller
from tellwire.web.named_calls import Limits
from tellwire.web.request import AppState

LASTS = 14 * DAY
"""A session ends so long after the login, however much it is used; unused, it ends after `console_sessions.IDLE`."""
LASTS_WITHOUT_MEMBER = 12 * HOUR
"""The same for guests of a portal link, and for who runs the installation and came by a link: nobody can end theirs as
those of a member, and another link begins another one."""
WATCHING = "watching"
"""Under this name the state of a request says that nobody asked for the page: a stream looks whether it changed."""
_STRANGERS = ""
"""Whose turn it is when a cookie is looked up: nobody's yet."""

AnyConnection = ASGIConnection[Any, Any, Any, Any]


class LoginNeeded(Exception):  # noqa: N818 - named after what is wrong
    """A page was asked for and nobody is logged in; `path` is where they wanted to go, with its query."""

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
        limits = None if access.named is None else Limits(frozenset(access.named), access.endpoint_id)
        return Caller(
            self.stored.organization_id,
            frozenset(access.scopes),
            access.actor,
            operator=access.operator,
            session=self.stored.hash,
            member_id=self.stored.member_id,
            limits=limits,
        )


def is_https(app_state: AppState) -> bool:
    """Return whether browsers reach this installation by https."""
    return app_state.services.settings.base_url.startswith("https:")


def guarded_name(app_state: AppState, name: str) -> str:
    """Return the name of a cookie with the path `/`. With https it is one that plain http cannot set, and no subdomain
    either unless there is a sub-path, which such a cookie cannot have."""
    if not is_https(app_state):
        return name
    return f"__Secure-{name}" if app_state.services.settings.sub_path else f"__Host-{name}"


def cookie_name(app_state: AppState) -> str:
    """Return the name of the session's cookie."""
    return guarded_name(app_state, "tellwire_session")


def cookie_header(app_state: AppState, value: str, seconds: int, access: Access | None = None) -> str:
    """Return the header that sets the session's cookie for so long; 0 seconds take it away.

    Only the cookie of a portal that another site may frame is sent within that site's pages; the browser keeps it for
    them alone (`Partitioned`).
    """
    parts = [f"{cookie_name(app_state)}={value}", "Path=/", f"Max-Age={seconds}", "HttpOnly"]
    parts += ["Secure"] if is_https(app_state) else []
    framed = is_https(app_state) and access is not None and bool(access.origins)
    parts += ["SameSite=None", "Partitioned"] if framed else ["SameSite=Lax"]
    return "; ".join(parts)


def digest_of(connection: AnyConnection, app_state: AppState) -> str:
    """Return the SHA-256 (hex) of the cookie that came with a request, "" without one that can be of a session."""
    cookie = connection.cookies.get(cookie_name(app_state), "")
    return digest(cookie) if has_form(cookie) else ""


async def session_of(connection: AnyConnection, app_state: AppState) -> Session | None:
    """Return the session of a request, None when it brings no cookie of one that is valid."""
    cookie = connection.cookies.get(cookie_name(app_state), "")
    if not has_form(cookie):
        return None
    store, name, now = app_state.services.store, digest(cookie), app_state.services.clock.now()
    async with app_state.reads.place(_STRANGERS):
        stored = await store.read(lambda c: console_sessions.find(c, name, now))
    if stored is None:
        return None
    watching = connection.scope["state"].get(WATCHING) or connection.scope["path"] == "/live"
    if now - stored.seen_at >= console_sessions.SEEN_EVERY and not watching:
        with suppress(Unavailable):  # pages are shown also while nothing can be written
            await store.write(lambda c: console_sessions.seen(c, name, now))
    return Session(stored=stored, csrf=csrf_of(cookie))


def begun(
    organization_id: str,
    access: Access,
    cookie: str,
    now: Micros,
    expires_at: Micros,
    *,
    member_id: str = "",
    portal_link_id: str = "",
) -> ConsoleSession:
    """Return a new session, of a member or of a portal link if one is named."""
    return ConsoleSession(
        hash=digest(cookie),
        organization_id=organization_id,
        access=access,
        created_at=now,
        expires_at=expires_at,
        member_id=member_id,
        portal_link_id=portal_link_id,
    )


def check_origin(connection: AnyConnection, app_state: AppState) -> None:
    """Check that a form was sent by a page of ours.

    Raises:
        NotAllowed: a browser says that another site sent it.
    """
    headers = connection.headers
    ours = {headers.get("host", ""), urlsplit(app_state.services.settings.base_url).netloc}
    origin = headers.get("origin")
    same = origin is None or urlsplit(origin).netloc in ours - {""}
    if not same or headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise NotAllowed("This form was sent by another site.", kind="another-site")


def check_csrf(session: Session, given: str) -> None:
    """Check the token of a form.

    Raises:
        NotAllowed: it is not this session's.
    """
    if not hmac.compare_digest(given.encode("utf-8", "replace"), session.csrf.encode()):
        raise NotAllowed("This page is from before you logged in: load it again, then repeat it.", kind="stale-form")
