"""Log in at the company's own provider (OIDC_ISSUER): a member whose address it has verified needs no password here."""

from __future__ import annotations

import hmac
import secrets
from typing import Any
from urllib.parse import quote, unquote

import msgspec
import structlog
from litestar import Request, Response, get
from litestar.datastructures import Cookie
from litestar.response import Redirect
from sqlalchemy import Connection

from tellwire.errors import BadSettings, LoginProviderFailed, NotFound
from tellwire.model.members import ConsoleSession, LoginAttempt
from tellwire.model.units import MICROS, Micros
from tellwire.ports.login_provider import LoginProvider
from tellwire.stores.queries import members
from tellwire.web.console.login import VisitDependency, begin, count_login, entering, local, login_answer, new_cookie
from tellwire.web.console.pages import Visit
from tellwire.web.console.sessions import digest_of, guarded_name, is_https
from tellwire.web.console.words import words
from tellwire.web.request import AppState, StateDependency

log = structlog.get_logger("tellwire")

_OPEN: dict[str, Any] = {"scopes": ()}
_PATH = "/login/oidc"
_COOKIE = "tellwire_oidc"
_SECONDS = 600
_CONTEXT = "a login at the provider"
_LONGEST_CODE = 4096


class _Begun(msgspec.Struct, frozen=True):
    attempt: LoginAttempt
    wanted: str
    at: Micros


@get(_PATH, opt=_OPEN, include_in_schema=False)
async def leave_for_provider(visit: VisitDependency, app_state: StateDependency) -> Response[Any]:
    """Lead to the provider. What the login is checked against travels in a cookie that only this server can read.

    It costs nothing and may be asked for by any page, so it is not counted."""
    provider, services = _provider(app_state), app_state.services
    attempt = LoginAttempt(
        redirect=f"{services.settings.base_url}{_PATH}/back",
        state=secrets.token_urlsafe(32),
        nonce=secrets.token_urlsafe(32),
        verifier=secrets.token_urlsafe(48),
    )
    try:
        where = await provider.address(attempt)
    except LoginProviderFailed as error:
        return await _not_in(visit, app_state, error)
    begun = msgspec.json.encode(_Begun(attempt, local(visit.query.get("next", "")), services.clock.now())).decode()
    answer = Redirect(where, status_code=303)
    _set(answer, app_state, services.store.vault.seal(begun, _CONTEXT), _SECONDS)
    return answer


@get(f"{_PATH}/back", opt=_OPEN, include_in_schema=False)
async def back_from_provider(
    request: Request[Any, Any, Any], visit: VisitDependency, app_state: StateDependency
) -> Response[Any]:
    """Let a member in whose address the provider has verified."""
    provider, services, query = _provider(app_state), app_state.services, visit.query
    begun = _begun(request, app_state)
    given = query.get("state", "").encode("utf-8", "replace")
    if begun is None or not hmac.compare_digest(given, begun.attempt.state.encode()):
        return await login_answer(visit, app_state, problem=words("login.provider_again"), status=400)
    if not (code := query.get("code", "")) or len(code) > _LONGEST_CODE:
        return await login_answer(visit, app_state, problem=words("login.provider_refused"), status=401)
    count_login(request, app_state.provider_logins, app_state)
    try:
        email = await provider.email(code, begun.attempt)
    except LoginProviderFailed as error:
        return await _not_in(visit, app_state, error)
    cookie, instead = new_cookie(), digest_of(request, app_state)

    def let_in(connection: Connection) -> ConsoleSession | None:
        member = members.of_email(connection, email)  # as it is now: deleted ones have no session
        return begin(connection, app_state, cookie, member, instead) if member is not None else None

    known = await services.store.read(lambda c: members.of_email(c, email)) is not None
    session = await services.store.write(let_in) if known else None
    if session is None:
        return await login_answer(visit, app_state, problem=words("login.no_member", email=email), status=403)
    answer = entering(visit, app_state, session, cookie, begun.wanted)
    _set(answer, app_state, "", 0)
    return answer


def _provider(app_state: AppState) -> LoginProvider:
    provider = app_state.services.login_provider
    if provider is None:
        raise NotFound("No provider is set to log in at (OIDC_ISSUER).")
    return provider


async def _not_in(visit: Visit, app_state: AppState, error: LoginProviderFailed) -> Response[Any]:
    log.warning("login_provider_failed", detail=str(error))
    return await login_answer(visit, app_state, problem=words("login.provider_failed", why=str(error)), status=502)


def _begun(request: Request[Any, Any, Any], app_state: AppState) -> _Begun | None:
    """Return what a login of this browser began with; None when it did not begin here within the last minutes."""
    services = app_state.services
    try:
        given = unquote(request.cookies.get(guarded_name(app_state, _COOKIE), ""))
        begun = msgspec.json.decode(services.store.vault.unseal(given, _CONTEXT), type=_Begun)
    except (BadSettings, ValueError, msgspec.MsgspecError):
        return None
    return begun if 0 <= services.clock.now() - begun.at <= _SECONDS * MICROS else None


def _set(answer: Response[Any], app_state: AppState, value: str, seconds: int) -> None:
    answer.set_cookie(
        Cookie(
            key=guarded_name(app_state, _COOKIE),
            value=quote(value, safe=""),
            max_age=seconds,
            httponly=True,
            samesite="lax",
            secure=is_https(app_state),
        )
    )


HANDLERS = (leave_for_provider, back_from_provider)
