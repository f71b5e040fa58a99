"""Serve `/v1/portal-links`: links to the console for people who are no members, such as an agency's customers."""

from __future__ import annotations

import re
from typing import Annotated, Any

from litestar import Request, Response, delete, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct
from msgspec.json import encode
from sqlalchemy import Connection

from tellwire.errors import Invalid, NotFound
from tellwire.model.id_form import looks_like_id
from tellwire.model.members import Named, PortalLink
from tellwire.model.row_json import instant
from tellwire.model.units import DAY, Micros
from tellwire.security import portal_tokens
from tellwire.security.portal_tokens import PortalToken
from tellwire.stores.queries import portal_links
from tellwire.web.api.shapes import LINE, Id, NextCursor, When
from tellwire.web.parameters import Cursor, Limit, instant_of, our_id, page_request
from tellwire.web.request import ContextDependency, RequestContext
from tellwire.web.responses import joined, page_response, raw_json_response

_ADMIN = {"scopes": ("admin",)}
_NOUN = "portal-links"
_LASTS, _LONGEST = 7 * DAY, 365 * DAY
_ORIGIN = re.compile(
    r"https://(?=[^/]{1,253}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:[1-9][0-9]{0,4})?",
    re.ASCII,
)

_MAY = Annotated[
    tuple[Named, ...],
    Meta(
        max_length=6,
        description="What may be done beside seeing endpoints, numbers and deliveries: `replay` deliveries, `pause` "
        "and resume endpoints, `test` them, see `bodies` (texts and payloads), read or write in the inbox. "
        "`inbox:read` needs `bodies`, and `inbox:write` needs `inbox:read`.",
    ),
]


class PortalLinkDraft(Struct, kw_only=True, forbid_unknown_fields=True):
    """A portal link to create."""

    name: Annotated[
        str, Meta(min_length=1, max_length=100, pattern=LINE, description="Whom it is for; its guests see it.")
    ]
    may: _MAY = ()
    endpoint_id: (
        Annotated[
            str,
            Meta(max_length=64, pattern=LINE, description="The only webhook endpoint to show; every one unless given."),
        ]
        | None
    ) = None
    expires_at: (
        Annotated[
            str,
            Meta(
                max_length=64,
                description="In 7 days unless given, in 365 at the latest.",
                extra_json_schema={"format": "date-time"},
            ),
        ]
        | None
    ) = None
    origins: Annotated[
        tuple[Annotated[str, Meta(max_length=300)], ...],
        Meta(max_length=10, description="Sites that may show it in a frame, such as `https://agency.example`."),
    ] = ()


class PortalLinkRead(Struct, kw_only=True):
    """A portal link, without its URL."""

    id: Id
    organization_id: Id
    name: str
    may: tuple[Named, ...]
    endpoint_id: Id | None
    origins: tuple[str, ...]
    created_at: When
    expires_at: When
    expired: bool


class PortalLinkCreated(PortalLinkRead, kw_only=True):
    """A new portal link: `url` is shown this once."""

    url: str


class PortalLinkList(Struct, kw_only=True):
    """A page of portal links, newest first."""

    data: list[PortalLinkRead]
    next_cursor: NextCursor


def _shown(context: RequestContext, link: PortalLink) -> bytes:
    return encode(
        PortalLinkRead(
            id=link.id,
            organization_id=link.organization_id,
            name=link.name,
            may=link.named,
            endpoint_id=link.endpoint_id or None,
            origins=link.origins,
            created_at=instant(link.created_at),
            expires_at=instant(link.expires_at),
            expired=link.expires_at <= context.services.clock.now(),
        )
    )


@get("/portal-links", summary="List portal links", opt=_ADMIN)
async def list_portal_links(
    context: ContextDependency, limit: Limit = 50, cursor: Cursor = ""
) -> Response[PortalLinkList]:
    """The portal links of the organization, expired ones too."""
    paging = page_request(_NOUN, limit, cursor)
    page = await context.read(lambda c: portal_links.page(c, context.organization_id, paging))
    return page_response(_NOUN, page, lambda link: _shown(context, link), PortalLinkList)


@post("/portal-links", summary="Create a portal link", opt=_ADMIN)
async def create_portal_link(
    request: Request[Any, Any, Any], context: ContextDependency, data: JSONBody[PortalLinkDraft]
) -> Response[PortalLinkCreated]:
    """The answer is the only one that shows the URL. Whoever has the URL comes in until it expires or is revoked."""
    async with context.once(request) as once:
        if once.kept:
            return once.kept
        audit_change = context.audit_change()
        draft = PortalLink(
            id="",
            organization_id=context.organization_id,
            name=data.name,
            named=_named(data.may, endpoint=data.endpoint_id is not None),
            endpoint_id=data.endpoint_id or "",
            origins=_origins(data.origins),
            expires_at=_expiry(data.expires_at, audit_change.at),
        )

        def work(connection: Connection) -> tuple[None, bytes]:
            context.check_quota(connection, "portal_links")
            _check_endpoint(context, connection, draft.endpoint_id)
            made = portal_links.add(connection, audit_change, draft)
            token = PortalToken(made.organization_id, made.id, made.expires_at)
            signed = portal_tokens.token_of(context.services.store.registry().media_key, token)
            url = f"{context.services.settings.base_url}/portal/{signed}"
            return None, joined(_shown(context, made), {"url": url})

        _, body = await once.write(work)
    return raw_json_response(body, PortalLinkCreated, status=201)


@get("/portal-links/{portal_link_id:str}", summary="Read a portal link", opt=_ADMIN)
async def read_portal_link(portal_link_id: FromPath[str], context: ContextDependency) -> Response[PortalLinkRead]:
    """One portal link, without its URL."""
    name = our_id(portal_link_id, "portal link")
    link = await context.read(lambda c: portal_links.get(c, context.organization_id, name))
    if link is None:
        raise NotFound("There is no portal link with this id.")
    return raw_json_response(_shown(context, link), PortalLinkRead)


@delete("/portal-links/{portal_link_id:str}", summary="Revoke a portal link", opt=_ADMIN, status_code=204)
async def revoke_portal_link(portal_link_id: FromPath[str], context: ContextDependency) -> None:
    """Revoke a link: nobody comes in by it any more, and the sessions that began by it end."""
    name, audit_change = our_id(portal_link_id, "portal link"), context.audit_change()
    if not await context.write(lambda c: portal_links.revoke(c, audit_change, name)):
        raise NotFound("There is no portal link with this id.")
    context.app_state.streams.wake()


def _named(may: tuple[Named, ...], *, endpoint: bool) -> tuple[Named, ...]:
    for one, needed in (("inbox:read", "bodies"), ("inbox:write", "inbox:read")):
        if one in may and needed not in may:
            raise Invalid("What may be done does not fit together.", ("/may", f"`{one}` needs `{needed}`"))
    if endpoint and "inbox:read" in may:
        raise Invalid("An endpoint has no inbox.", ("/may", "takes nothing of the inbox with an endpoint_id"))
    return tuple(dict.fromkeys(may))


def _origins(given: tuple[str, ...]) -> tuple[str, ...]:
    for index, origin in enumerate(given):
        if not _ORIGIN.fullmatch(origin):
            raise Invalid(
                "An origin is not valid.", (f"/origins/{index}", "must be like https://agency.example, in lower case")
            )
    return tuple(dict.fromkeys(given))


def _expiry(text: str | None, now: Micros) -> Micros:
    at = instant_of(text or "", "expires_at") or now + _LASTS
    if not now < at <= now + _LONGEST:
        raise Invalid("The link would not work so.", ("/expires_at", "must lie ahead, by 365 days at the most"))
    return at


def _check_endpoint(context: RequestContext, connection: Connection, endpoint_id: str) -> None:
    if not endpoint_id:
        return
    known = looks_like_id(endpoint_id) and context.endpoints(connection).get(endpoint_id) is not None
    if not known:
        raise Invalid("The endpoint is not known.", ("/endpoint_id", "there is no webhook endpoint with this id"))


HANDLERS = (list_portal_links, create_portal_link, read_portal_link, revoke_portal_link)
