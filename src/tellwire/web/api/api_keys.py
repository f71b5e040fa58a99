"""Serve `/v1/api-keys`. A key is shown once, when it is created."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from litestar import Request, Response, delete, get, post
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.json import encode

from tellwire.errors import Invalid, NotAllowed, NotFound
from tellwire.model.row_json import instant
from tellwire.model.tenancy import ApiKey
from tellwire.model.units import Micros
from tellwire.security import api_keys
from tellwire.security.api_keys import Scope
from tellwire.stores.queries import organizations
from tellwire.web.api.shapes import LINE, Id, NextCursor, When, when
from tellwire.web.parameters import Cursor, Limit, instant_of, our_id, page_request
from tellwire.web.request import ContextDependency, RequestContext
from tellwire.web.responses import joined, page_response, raw_json_response

_ADMIN = {"scopes": ("admin",)}
_NOUN = "api-keys"

_SCOPES = Annotated[
    tuple[Scope, ...],
    Meta(
        min_length=1,
        max_length=len(api_keys.SCOPES),
        description="What the key may do; every scope but `admin` unless given, `admin` for an operator's. "
        + " ".join(f"`{name}`: {words}." for name, words in api_keys.SCOPES.items()),
    ),
]


class ApiKeyDraft(Struct, kw_only=True, forbid_unknown_fields=True):
    """An API key to create."""

    name: Annotated[str, Meta(max_length=256, pattern=LINE)] = ""
    scopes: _SCOPES | UnsetType = UNSET
    expires_at: Annotated[str, Meta(max_length=64, extra_json_schema={"format": "date-time"})] | None = None
    organization_id: (
        Annotated[str, Meta(max_length=64, description="Whose key it is; the caller's organization unless given.")]
        | None
    ) = None
    operator: Annotated[
        bool, Meta(description="It runs the installation: its scopes count in every organization. Only operators may.")
    ] = False


class ApiKeyRead(Struct, kw_only=True):
    """An API key, without the key itself: `prefix` is how it begins."""

    id: Id
    organization_id: Id
    name: str
    prefix: str
    scopes: tuple[str, ...]
    operator: Annotated[bool, Meta(description="Whether it runs the installation; only operators see such keys.")]
    created_at: When
    expires_at: When | None
    last_used_at: When | None
    revoked_at: When | None


class ApiKeyCreated(ApiKeyRead, kw_only=True):
    """A new API key: `key` is shown this once."""

    key: str


class ApiKeyList(Struct, kw_only=True):
    """A page of API keys, newest first."""

    data: list[ApiKeyRead]
    next_cursor: NextCursor


def _shown(key: ApiKey) -> bytes:
    return encode(
        ApiKeyRead(
            id=key.id,
            organization_id=key.organization_id,
            name=key.name,
            prefix=key.prefix,
            scopes=key.scopes,
            operator=key.operator,
            created_at=instant(key.created_at),
            expires_at=when(key.expires_at),
            last_used_at=when(key.last_used_at),
            revoked_at=when(key.revoked_at),
        )
    )


@get("/api-keys", summary="List API keys", opt=_ADMIN)
async def list_api_keys(context: ContextDependency, limit: Limit = 50, cursor: Cursor = "") -> Response[ApiKeyList]:
    """The keys of the organization, revoked ones too; operators' keys only for an operator."""
    paging, operators = page_request(_NOUN, limit, cursor), context.caller.operator
    page = await context.read(
        lambda c: organizations.keys_page(c, context.organization_id, paging, operators=operators)
    )
    return page_response(_NOUN, page, _shown, ApiKeyList)


@post("/api-keys", summary="Create an API key", opt=_ADMIN)
async def create_api_key(
    request: Request[Any, Any, Any], context: ContextDependency, data: JSONBody[ApiKeyDraft]
) -> Response[ApiKeyCreated]:
    """The answer is the only one that shows the key: Tellwire keeps its SHA-256."""
    if data.operator and not context.caller.operator:
        raise NotAllowed("Only who runs the installation makes operators' keys.")
    async with context.once(request) as once:
        if once.kept:
            return once.kept
        audit_change = context.audit_change()
        key = api_keys.make(secrets.token_bytes(32))
        record = api_keys.record(
            key,
            organization_id=await _owner(context, data.organization_id),
            name=data.name,
            scopes=_scopes(data),
            operator=data.operator,
            expires_at=_expiry(data.expires_at, audit_change.at),
        )

        def work(connection: Any) -> tuple[ApiKey, bytes]:
            context.check_quota(connection, "api_keys", record.organization_id)
            made = organizations.add_key(connection, audit_change, record)
            return made, joined(_shown(made), {"key": key})

        _, body = await once.write(work)
    return raw_json_response(body, ApiKeyCreated, status=201)


def _scopes(data: ApiKeyDraft) -> tuple[str, ...]:
    if data.scopes is UNSET:
        return ("admin",) if data.operator else api_keys.DEFAULT_SCOPES
    return tuple(dict.fromkeys(data.scopes))


def _expiry(text: str | None, now: Micros) -> Micros | None:
    at = instant_of(text or "", "expires_at")
    if at is not None and at <= now:
        raise Invalid("The key would never work.", ("/expires_at", "must lie ahead"))
    return at


async def _owner(context: RequestContext, organization_id: str | None) -> str:
    if organization_id is None or organization_id == context.organization_id:
        return context.organization_id
    organization = None
    if context.caller.operator:
        organization = await context.read(lambda c: organizations.get(c, organization_id))
    if organization is None:
        raise Invalid("The organization is not known.", ("/organization_id", "there is no organization with this id"))
    return organization_id


@get("/api-keys/{key_id:str}", summary="Read an API key", opt=_ADMIN)
async def read_api_key(key_id: FromPath[str], context: ContextDependency) -> Response[ApiKeyRead]:
    """One key, without the key itself."""
    name = our_id(key_id, "API key")
    operators = context.caller.operator
    key = await context.read(lambda c: organizations.get_key(c, context.organization_id, name, operators=operators))
    if key is None:
        raise NotFound("There is no API key with this id.")
    return raw_json_response(_shown(key), ApiKeyRead)


@delete("/api-keys/{key_id:str}", summary="Revoke an API key", opt=_ADMIN, status_code=200)
async def revoke_api_key(key_id: FromPath[str], context: ContextDependency) -> Response[ApiKeyRead]:
    """Revoke a key for good; it is listed on. In this process it works no longer at once and its streams end, in others
    within two seconds."""
    name, audit_change = our_id(key_id, "API key"), context.audit_change()
    operators = context.caller.operator
    key = await context.write(lambda c: organizations.revoke_key(c, audit_change, name, operators=operators))
    if key is None:
        raise NotFound("There is no API key with this id.")
    context.app_state.check_keys()
    return raw_json_response(_shown(key), ApiKeyRead)


HANDLERS = (list_api_keys, create_api_key, read_api_key, revoke_api_key)
