"""Log in with a password or by a link that works once, and log out."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy import Connection

from tellwire.errors import TooMany
from tellwire.model.members import ConsoleSession, Member, email_of
from tellwire.model.units import MICROS
from tellwire.security import roles
from tellwire.security.console_secrets import digest, has_form, secret_of
from tellwire.security.wrong_keys import WrongKeys, peer_of
from tellwire.stores.queries import console_sessions, members
from tellwire.verdict import rules
from tellwire.web.console.pages import Visit
from tellwire.web.console.sessions import (
    LASTS,
    LASTS_WITHOUT_MEMBER,
    begun,
    check_origin,
    cookie_header,
    digest_of,
    session_of,
)
from tellwire.web.console.words import words
from tellwire.web.request import AppState, StateDependency

VisitDependency = NamedDependency[Visit]
_OPEN: dict[str, Any] = {"scopes": ()}
_LONGEST_TRIED = 512


@get("/login", opt=_OPEN, include_in_schema=False)
async def login_page(visit: VisitDependency, app_state: StateDependency) -> Response[bytes]:
    """Ask who it is; strangers learn only whether it works."""
    return await login_answer(visit, app_state)


@post("/login", opt=_OPEN, include_in_schema=False, status_code=200)
async def log_in(request: Request[Any, Any, Any], visit: VisitDependency, app_state: StateDependency) -> Response[Any]:
    """Take an address and a password. Every failure is answered alike, and takes as long."""
    check_origin(request, app_state)
    form = await request.form()
    typed, wanted = str(form.get("email", ""))[:254], str(form.get("next", ""))
    password = str(form.get("password", ""))[:_LONGEST_TRIED]
    count_login(request, app_state.logins, app_state)
    services, now = app_state.services, app_state.services.clock.now()
    member = await services.store.read(lambda c: members.of_email(c, email_of(typed)))
    stored = member.password_hash if member is not None else ""
    checked = app_state.passwords.is_right(password, stored)
    if member is None:
        right = await checked
    else:  # counted while it is checked, so that a member's address takes no longer than one of nobody
        known = member
        counts, fits = await asyncio.gather(
            services.store.write(lambda c: members.password_tried(c, known, now)), checked
        )
        right = counts and fits

    def begun_if_right(connection: Connection) -> ConsoleSession | None:
        current = members.password_was_right(connection, member) if member is not None else None
        if current is None:
            return None  # deleted, or given another password since it was read
        return begin(connection, app_state, cookie, current, instead)

    cookie, instead = new_cookie(), digest_of(request, app_state)
    session = await services.store.write(begun_if_right) if right else None
    if session is None:
        return await login_answer(
            visit, app_state, problem=words("login.wrong"), email=typed, wanted=wanted, status=401
        )
    return entering(visit, app_state, session, cookie, wanted)


def count_login(request: Request[Any, Any, Any], tries: WrongKeys, app_state: AppState) -> None:
    """Count a try to log in, among others of its kind, before anything is done for it.

    Raises:
        TooMany: too many came from this peer, or from all together.
    """
    now, peer = app_state.services.clock.now(), peer_of(request.client.host) if request.client else ""
    if tries.too_many(peer, now):
        raise TooMany(words("login.too_many"), retry_after=60, kind="too-many-logins")
    tries.wrong(peer, now)


@get("/login/link/{secret:str}", opt=_OPEN, include_in_schema=False)
async def link_page(
    secret: FromPath[str], request: Request[Any, Any, Any], visit: VisitDependency, app_state: StateDependency
) -> Response[bytes]:
    """Ask for one click, because programs that look at links before people do would use them up. A script makes it,
    unless somebody is logged in: a link on another site replaces no session by itself."""
    session, wanted = await session_of(request, app_state), local(visit.query.get("next", ""))
    who = session.access.name if session else ""
    return visit.page("login_link.html", secret=secret, wanted=wanted, who=who)


@post("/login/link/{secret:str}", opt=_OPEN, include_in_schema=False, status_code=200)
async def enter_by_link(
    secret: FromPath[str], request: Request[Any, Any, Any], visit: VisitDependency, app_state: StateDependency
) -> Response[Any]:
    """Let somebody in by a link, once."""
    check_origin(request, app_state)
    form = await request.form()
    services, now, name = app_state.services, app_state.services.clock.now(), digest(secret)
    cookie, instead = new_cookie(), digest_of(request, app_state)

    def taken(connection: Connection) -> ConsoleSession | None:
        link = console_sessions.take_link(connection, name, now)
        if link is None:
            return None
        if not link.member_id:
            access, until = roles.access_of_operator(), now + LASTS_WITHOUT_MEMBER
            session = begun(link.organization_id, access, cookie, now, until)
            console_sessions.begin(connection, session, instead=instead)
            return session
        member = members.get(connection, link.organization_id, link.member_id)
        if member is None:
            return None
        return begin(connection, app_state, cookie, member, instead)

    waits = has_form(secret) and await services.store.read(lambda c: console_sessions.link_waits(c, name, now))
    session = await services.store.write(taken) if waits else None
    if session is None:
        return visit.page("login_link.html", secret="", wanted="", who="", status=410)
    return entering(visit, app_state, session, cookie, str(form.get("next", "")))


@post("/logout", opt=_OPEN, include_in_schema=False, status_code=303)
async def log_out(visit: VisitDependency, app_state: StateDependency) -> Response[Any]:
    """End the session."""
    name = visit.session.stored.hash
    await app_state.services.store.write(lambda c: console_sessions.end(c, name))
    app_state.streams.wake()
    answer = visit.back("/login")
    answer.headers["set-cookie"] = cookie_header(app_state, "", 0, visit.session.access)
    return answer


async def login_answer(
    visit: Visit,
    app_state: AppState,
    *,
    problem: str = "",
    email: str = "",
    wanted: str = "",
    status: int = 200,
) -> Response[bytes]:
    """Return the page that asks who it is, with why the last try did not let them in."""
    provider = app_state.services.login_provider
    lines = rules.without_names(await app_state.services.watch.lines())
    return visit.page(
        "login.html",
        status=status,
        problem=problem,
        email=email,
        wanted=wanted or local(visit.query.get("next", "")),
        failing=bool(app_state.services.store.failing),
        trouble=bool(lines),
        provider=provider.name if provider is not None else "",
    )


def new_cookie() -> str:
    """Return a new cookie's value. Every session begins with one, whatever cookie came with the request."""
    return secret_of(secrets.token_bytes(32))


def begin(connection: Connection, app_state: AppState, cookie: str, member: Member, instead: str) -> ConsoleSession:
    """Begin a session of a member, as the member is in this transaction, instead of another one of the browser."""
    now = app_state.services.clock.now()
    members.entered(connection, member, now)
    access = roles.access_of(member)
    session = begun(member.organization_id, access, cookie, now, now + LASTS, member_id=member.id)
    console_sessions.begin(connection, session, instead=instead)
    return session


def entering(visit: Visit, app_state: AppState, session: ConsoleSession, cookie: str, wanted: str = "") -> Redirect:
    """Lead to the page that was wanted, with the cookie of a session that was begun."""
    answer = visit.back(local(wanted) or "/")
    seconds = (session.expires_at - session.created_at) // MICROS
    answer.headers["set-cookie"] = cookie_header(app_state, cookie, seconds, session.access)
    return answer


def local(path: str) -> str:
    """Return a path of ours, "" for anything that would lead elsewhere."""
    plain = path.startswith("/") and not path.startswith("//") and path.isprintable() and "\\" not in path
    return path if plain else ""


HANDLERS = (login_page, log_in, link_page, enter_by_link)
INSIDE = (log_out,)
