"""Let a handler that imitates another system's interface work as ours do: with a key of ours, its scopes, its
organization, and a place among the requests that are under way."""

from __future__ import annotations

from typing import Any, TypeVar

from litestar import Request

from tellwire.errors import NotAllowed, Unauthorized
from tellwire.web.parameters import decode_body
from tellwire.web.request import AppState, RequestContext

T = TypeVar("T")


async def enter(request: Request[Any, Any, Any], app_state: AppState, *headers: str, missing: str) -> RequestContext:
    """Authenticate a request by the first of these headers that it has, and give it a place.

    Args:
        headers: `authorization`, which holds `Bearer <key>`, and others, which hold the key alone.
        missing: what is said to who sends none.

    Raises:
        Unauthorized, TooMany, NotAllowed, NotFound: as `Auth.caller`.
        Busy: the organization has as many requests under way as it may.
    """
    scope = request.scope
    name = next((each for each in headers if each in request.headers), "")
    if name not in ("", "authorization"):
        given = [(b"authorization", b"Bearer " + v) for n, v in scope["headers"] if n == name.encode()]
        others = [pair for pair in scope["headers"] if pair[0] != b"authorization"]
        scope = {**scope, "headers": [*others, *given]}
    caller = await app_state.auth.caller(scope) if name else None
    if caller is None:
        raise Unauthorized(missing)
    app_state.places.take(request.scope, caller.organization_id)  # type: ignore[arg-type]
    return RequestContext(app_state, caller, scope["state"]["request_id"])


def allow(context: RequestContext, scopes: tuple[str, ...]) -> None:
    """Raise `NotAllowed` if the key of this request has none of these scopes."""
    if not context.caller.may(scopes):
        raise NotAllowed(f"This key lacks the scope {' or '.join(scopes)}.", kind="insufficient-scope")


async def body_of(request: Request[Any, Any, Any], kind: type[T]) -> T:
    """Return the JSON body, whatever its media type is said to be; fields that nobody knows are left alone.

    Raises:
        BadRequest, Invalid: it is not JSON; it holds too much, or is not of that type.
    """
    return decode_body(await request.body(), kind)  # type: ignore[no-any-return]
