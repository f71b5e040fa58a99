"""Serve `/v1/sources`: other systems that send to `POST /sources/{id}` what they get from Meta."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.json import encode
from msgspec.structs import replace
from sqlalchemy import Connection

from tellwire.errors import Invalid, NotFound
from tellwire.model.row_json import instant
from tellwire.model.sources import META, Authentication, Mode, Source, SourceKind
from tellwire.security import source_secrets
from tellwire.stores.queries import sources
from tellwire.web.api import source_comparison
from tellwire.web.api.shapes import LINE, Id, NextCursor, When
from tellwire.web.parameters import Cursor, Limit, our_id, page_request
from tellwire.web.request import ContextDependency, RequestContext
from tellwire.web.responses import joined, page_response, raw_json_response

_READ = {"scopes": ("read", "accounts:manage")}
_MANAGE = {"scopes": ("accounts:manage",)}
_NOUN = "sources"
_HEADERS: dict[SourceKind, str] = {"wappcloud": "X-Wappcloud-Signature"}
"""The headers that kinds show their secret in, where it is not `Authorization`."""

SourceLabel = Annotated[
    str, Meta(min_length=1, max_length=64, pattern=LINE, description="What you call it; one of each name.")
]
Kind = Annotated[
    SourceKind,
    Meta(
        description="What it sends: `360dialog` and `gupshup` (v3) Meta's own envelope, `wakit` its rows, `wappcloud` "
        "its chats."
    ),
]
AccountOf = Annotated[
    str,
    Meta(
        max_length=64,
        pattern=LINE,
        description="A phone_number_id or our id of the account that it speaks for; every account of the organization "
        "unless given. `wappcloud` needs one: its chats name no phone_number_id.",
    ),
]
ShownBy = Annotated[
    Authentication,
    Meta(
        description="How it shows the secret: as the value of a `header`, as `?token=` of a `query`, or as the `hmac` "
        "(SHA-256, hex) of the body in a header. `hmac` for `wappcloud` unless given, `header` for all others."
    ),
]
HeaderName = Annotated[
    str,
    Meta(
        max_length=64,
        pattern=r"^[A-Za-z0-9_-]+$",
        description="The header; `Authorization` unless given, where `Bearer` before the secret is understood.",
    ),
]
Secret = Annotated[
    str,
    Meta(
        min_length=16,
        max_length=512,
        pattern=r"^[!-~]([ -~]*[!-~])?$",
        description="One is made unless given. Kept encrypted, never shown again.",
    ),
]
Use = Annotated[
    Mode,
    Meta(
        description="`rows`: what it brings becomes rows and events, as what Meta sends. `compare`: it is kept and "
        "compared only; the default for `wappcloud`, whose messages cannot be told from the same ones of Meta's."
    ),
]


class SourceDraft(Struct, kw_only=True, forbid_unknown_fields=True):
    """A source to create."""

    name: SourceLabel
    kind: Kind
    account: AccountOf | None = None
    authentication: ShownBy | UnsetType = UNSET
    header: HeaderName | None = None
    secret: Secret | None = None
    mode: Use | UnsetType = UNSET


class SourceChange(Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change of a source. What is left out stays; null takes the default again. The kind stays."""

    name: SourceLabel | UnsetType = UNSET
    account: AccountOf | UnsetType | None = UNSET
    authentication: ShownBy | UnsetType = UNSET
    header: HeaderName | UnsetType | None = UNSET
    secret: Secret | UnsetType = UNSET
    mode: Use | UnsetType = UNSET


class SourceRead(Struct, kw_only=True):
    """A source, without its secret."""

    id: Id
    organization_id: Id
    name: str
    kind: SourceKind
    url: Annotated[str, Meta(description="Where it is to POST.")]
    account_id: str | None
    authentication: Authentication
    header: str | None
    has_secret: bool
    mode: Mode
    created_at: When
    updated_at: When


class SourceCreated(SourceRead, kw_only=True):
    """A new source: `secret` is shown this once."""

    secret: str


class SourceList(Struct, kw_only=True):
    """A page of sources, newest first."""

    data: list[SourceRead]
    next_cursor: NextCursor


def _shown(context: RequestContext, source: Source) -> bytes:
    return encode(
        SourceRead(
            id=source.id,
            organization_id=source.organization_id,
            name=source.name,
            kind=source.kind,
            url=f"{context.services.settings.base_url}/sources/{source.id}",
            account_id=source.account_id or None,
            authentication=source.authentication,
            header=source.header or None,
            has_secret=bool(source.secret),
            mode=source.mode,
            created_at=instant(source.created_at),
            updated_at=instant(source.updated_at),
        )
    )


def _checked(source: Source) -> Source:
    """Return a source whose fields fit each other.

    Raises:
        Invalid: they do not.
    """
    if source.name == META:
        raise Invalid("The source is not valid.", ("/name", "is the name of Meta itself"))
    if source.kind == "wappcloud" and not source.account_id:
        raise Invalid("The source is not valid.", ("/account", "is needed: chats name no phone_number_id"))
    if source.authentication == "query":
        if source.header:
            raise Invalid("The source is not valid.", ("/header", "is for the authentication header or hmac"))
        return source
    return replace(source, header=source.header or _HEADERS.get(source.kind, "Authorization"))


def _account_id(context: RequestContext, name: str | None) -> str:
    if not name:
        return ""
    account = context.account(name)
    if account is None:
        raise Invalid("The account is not known.", ("/account", "is no id or phone_number_id of an account"))
    return account.id


@get("/sources", summary="List sources", opt=_READ)
async def list_sources(context: ContextDependency, limit: Limit = 50, cursor: Cursor = "") -> Response[SourceList]:
    """The other systems that send for the organization; Meta itself is not listed."""
    vault, paging = context.services.store.vault, page_request(_NOUN, limit, cursor)
    page = await context.read(lambda c: sources.page(c, vault, context.organization_id, paging))
    return page_response(_NOUN, page, lambda each: _shown(context, each), SourceList)


@post("/sources", summary="Create a source", opt=_MANAGE)
async def create_source(
    request: Request[Any, Any, Any], context: ContextDependency, data: JSONBody[SourceDraft]
) -> Response[SourceCreated]:
    """The answer has the `url` that the other system is to POST to, and is the only one that shows the secret."""
    async with context.once(request) as once:
        if once.kept:
            return once.kept
        audit_change, vault = context.audit_change(), context.services.store.vault
        secret = data.secret or source_secrets.made()
        without_ids = data.kind == "wappcloud"
        draft = Source(
            id="",
            organization_id=context.organization_id,
            name=data.name,
            kind=data.kind,
            account_id=_account_id(context, data.account),
            authentication=data.authentication or ("hmac" if without_ids else "header"),
            header=data.header or "",
            secret=secret,
            mode=data.mode or ("compare" if without_ids else "rows"),
            created_at=audit_change.at,
            updated_at=audit_change.at,
        )
        checked = _checked(draft)

        def work(connection: Connection) -> tuple[Source, bytes]:
            context.check_quota(connection, "sources")
            made = sources.add(connection, audit_change, vault, replace(checked, id=audit_change.new_id()))
            return made, joined(_shown(context, made), {"secret": secret})

        _, body = await once.write(work)
    return raw_json_response(body, SourceCreated, status=201)


@get("/sources/{source_id:str}", summary="Read a source", opt=_READ)
async def read_source(source_id: FromPath[str], context: ContextDependency) -> Response[SourceRead]:
    """One source."""
    found = await context.read(lambda c: _known(c, context, source_id))
    return raw_json_response(_shown(context, found), SourceRead)


@patch("/sources/{source_id:str}", summary="Change a source", opt=_MANAGE)
async def change_source(
    source_id: FromPath[str], context: ContextDependency, data: JSONBody[SourceChange]
) -> Response[SourceRead]:
    """Change what is given, leave the rest. What came before stays as it was read then."""
    audit_change, vault = context.audit_change(), context.services.store.vault
    changes: dict[str, Any] = {
        name: value
        for name in ("name", "authentication", "secret", "mode")
        if (value := getattr(data, name)) is not UNSET
    }
    if data.header is not UNSET or data.authentication is not UNSET:
        changes["header"] = data.header or ""
    if data.account is not UNSET:
        changes["account_id"] = _account_id(context, data.account)

    def work(connection: Connection) -> Source:
        before = _known(connection, context, source_id)
        later = max(audit_change.at, before.updated_at + 1)
        after = _checked(replace(before, **changes, updated_at=later))
        return sources.change(connection, audit_change, vault, after)

    return raw_json_response(_shown(context, await context.write(work)), SourceRead)


@delete("/sources/{source_id:str}", summary="Delete a source", opt=_MANAGE, status_code=204)
async def delete_source(source_id: FromPath[str], context: ContextDependency) -> None:
    """Forget a source; what it brought stays. Its URL is answered 401 from then on."""
    audit_change = context.audit_change()
    await context.write(lambda c: sources.remove(c, audit_change, _known(c, context, source_id).id))


def _known(connection: Connection, context: RequestContext, source_id: str) -> Source:
    name = our_id(source_id, "source")
    source = sources.get(connection, context.services.store.vault, context.organization_id, name)
    if source is None:
        raise NotFound("There is no source with this id.")
    return source


HANDLERS = (
    list_sources,
    create_source,
    read_source,
    change_source,
    delete_source,
    source_comparison.compare_sources,
)
