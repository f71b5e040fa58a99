"""Log in with a password or by a link that works once, and log out."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec.structs import replace
from sqlalchemy import Connection

from tellwire.errors import TooMany
from tellwire.model.members import Access, Member
from tellwire.model.units import MINUTE, Micros
from tellwire.security import passwords, roles
from tellwire.security.wrong_keys import peer_of
from tellwire.stores.queries import console_sessions, members
from tellwire.verdict import rules
from tellwire.web.console.pages import Visit
from tellwire.web.console.sessions import COOKIE, LASTS, begun, check_origin, digest, secret_of
from tellwire.web.console.words import words
from tellwire.web.request import AppState, StateDependency

VisitDependency = NamedDependency[Visit]
_OPEN = {"scopes": ()}

MOST_FAILED = 8
"""So many wrong passwords in a row lock a member out."""
LOCKED_FOR = 15 * MINUTE


@get("/login", opt=_OPEN, include_in_schema=False)
async def login_page(visit: VisitDependency, app_state: StateDependency) -> Response[bytes]:
    """Ask who it is; strangers learn only whether it works."""
    return await _login_page(visit, app_state)


@post("/login", opt=_OPEN, include_in_schema=False, status_code=200)
async def log_in(request: Request[Any, Any, Any], visit: VisitDependency, app_state: StateDependency) -> Response[Any]:
    """Take an address and a password. Every failure is answered alike, and takes as long."""
    check_origin(request)
    form = await request.form()
    email, password = str(form.get("email", "")).strip().lower()[:320], str(form.get("password", ""))[:1024]
    wanted = str(form.get("next", ""))
    services, now = app_state.services, app_state.services.clock.now()
    peer = peer_of(request.client.host) if request.client else ""
    if app_state.logins.too_many(peer, now):
        raise TooMany(words("login.too_many"), retry_after=60, kind="too-many-logins")
    member = await services.store.read(lambda c: members.of_email(c, email))
    locked = member is not None and member.locked_until > now
    stored = member.password_hash if member is not None and not locked else ""
    right = await asyncio.to_thread(passwords.is_right, password, stored)
    if member is None or not right:
        app_state.logins.wrong(peer, now)
        if member is not None and not locked:
            failed = _failed(member, now)
            await services.store.write(lambda c: members.login_tried(c, failed))
        return await _login_page(visit, app_state, problem=words("login.wrong"), email=email, wanted=wanted, status=401)
    entered = replace(member, failed_logins=0, locked_until=0, last_login_at=now)
    access = roles.access_of(member)
    return await _begin(
        visit,
        app_state,
        member.organization_id,
        access,
        wanted,
        work=lambda c: members.login_tried(c, entered),
        member_id=member.id,
    )


@get("/login/link/{secret:str}", opt=_OPEN, include_in_schema=False)
async def link_page(secret: FromPath[str], visit: VisitDependency) -> Response[bytes]:
    """Ask for one click, because programs that look at links before people do would use them up."""
    return visit.page("login_link.html", secret=secret, wanted=_local(visit.query.get("next", "")))


@post("/login/link/{secret:str}", opt=_OPEN, include_in_schema=False, status_code=200)
async def enter_by_link(
    secret: FromPath[str], request: Request[Any, Any, Any], visit: VisitDependency, app_state: StateDependency
) -> Response[Any]:
    """Let somebody in by a link, once."""
    check_origin(request)
    form = await request.form()
    services, now = app_state.services, app_state.services.clock.now()

    def taken(connection: Connection) -> tuple[str, str, Access] | None:
        link = console_sessions.take_link(connection, digest(secret), now)
        if link is None:
            return None
        if not link.member_id:
            return link.organization_id, "", roles.access_of_operator()
        member = members.get(connection, link.organization_id, link.member_id)
        return None if member is None else (link.organization_id, member.id, roles.access_of(member))

    found = await services.store.write(taken)
    if found is None:
        return visit.page("login_link.html", secret="", wanted="", status=410)
    organization_id, member_id, access = found
    return await _begin(visit, app_state, organization_id, access, str(form.get("next", "")), member_id=member_id)


@post("/logout", opt=_OPEN, include_in_schema=False, status_code=303)
async def log_out(visit: VisitDependency, app_state: StateDependency) -> Response[Any]:
    """End the session."""
    name = visit.session.stored.hash
    await app_state.services.store.write(lambda c: console_sessions.end(c, name))
    answer = visit.back("/login")
    answer.delete_cookie(COOKIE)
    return answer


async def _login_page(
    visit: Visit,
    app_state: AppState,
    *,
    problem: str = "",
    email: str = "",
    wanted: str = "",
    status: int = 200,
) -> Response[bytes]:
    lines = rules.without_names(await app_state.services.watch.lines())
    return visit.page(
        "login.html",
        status=status,
        problem=problem,
        email=email,
        wanted=wanted or _local(visit.query.get("next", "")),
        failing=bool(app_state.services.store.failing),
        trouble=bool(lines),
    )


def _failed(member: Member, now: Micros) -> Member:
    failures = member.failed_logins + 1
    if failures < MOST_FAILED:
        return replace(member, failed_logins=failures)
    return replace(member, failed_logins=0, locked_until=now + LOCKED_FOR)


async def _begin(
    visit: Visit,
    app_state: AppState,
    organization_id: str,
    access: Access,
    wanted: str,
    *,
    work: Any = None,
    member_id: str = "",
) -> Response[Any]:
    """Begin a session with a new cookie, whatever cookie came, and lead to the page that was wanted."""
    services = app_state.services
    cookie = secret_of(secrets.token_bytes(32))
    session = begun(organization_id, access, cookie, services.clock.now(), member_id=member_id)

    def begin(connection: Connection) -> None:
        if work is not None:
            work(connection)
        console_sessions.begin(connection, session)

    await services.store.write(begin)
    answer = visit.back(_local(wanted) or "/")
    answer.set_cookie(
        Cookie(
            key=COOKIE,
            value=cookie,
            max_age=LASTS // 1_000_000,
            httponly=True,
            samesite="lax",
            secure=services.settings.base_url.startswith("https:"),
        )
    )
    return answer


def _local(path: str) -> str:
    """Return a path of ours, "" for anything that would lead elsewhere."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() and "\\" not in path
    return path if plain else ""


HANDLERS = (login_page, log_in, link_page, enter_by_link)
INSIDE = (log_out,)
