"""Serve `/v1/templates`: message templates of business accounts, as Meta has them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from litestar import Request, Response, delete, get, post
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, Raw, Struct, UnsetType
from msgspec.json import encode
from msgspec.structs import asdict
from sqlalchemy import Connection

from tellwire.accounts.templates import Template
from tellwire.errors import Invalid, NotFound
from tellwire.model.row_json import instant
from tellwire.model.tenancy import Account
from tellwire.stores.queries import audit, templates
from tellwire.stores.queries.paging import PageRequest
from tellwire.stores.queries.templates import TemplateFilter
from tellwire.web.api.shapes import Id, NextCursor, When
from tellwire.web.parameters import AccountName, Cursor, Limit, Name, page_request
from tellwire.web.request import ContextDependency, RequestContext
from tellwire.web.responses import json_response, page_response, raw_json_response

_READ = {"scopes": ("read", "inbox", "templates:manage")}
_MANAGE = {"scopes": ("templates:manage",)}
_NOUN = "templates"
_ALL = PageRequest(200)

AccountText = Annotated[
    str, Meta(max_length=64, description="A phone_number_id or our id; it needs a waba_id and an access token.")
]
Status = Annotated[str, Meta(description="Meta's word (APPROVED, PENDING, PAUSED …); DELETED: Meta lists it no more.")]


class TemplateDraft(Struct, kw_only=True, forbid_unknown_fields=True):
    """A template to create; `components` as Meta's API takes them, which checks them."""

    account: AccountText
    name: Annotated[str, Meta(min_length=1, max_length=512, pattern=r"^[a-z0-9_]+(?![\s\S])")]
    language: Annotated[str, Meta(pattern=r"^[A-Za-z]{2,3}([_-][A-Za-z0-9]{2,8})*(?![\s\S])")]
    category: Literal["AUTHENTICATION", "MARKETING", "UTILITY"]
    components: Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=20)]
    parameter_format: Literal["POSITIONAL", "NAMED"] | UnsetType = UNSET
    allow_category_change: bool | UnsetType = UNSET


class TemplateSync(Struct, kw_only=True, forbid_unknown_fields=True):
    """Whose templates to synchronise."""

    account: AccountText


class TemplateRead(Struct, kw_only=True):
    """A template in one language."""

    id: Id
    organization_id: Id
    waba_id: str
    meta_id: str
    name: str
    language: str
    category: str
    status: Status
    quality: Annotated[str, Meta(description="Meta's score: GREEN, YELLOW, RED or UNKNOWN.")]
    reason: Annotated[str, Meta(description="Why it was rejected, paused …, in Meta's words.")]
    parameter_format: str
    components: Annotated[Any, Meta(description="As Meta lists them.")]
    synchronised_at: When | None
    created_at: When
    updated_at: When


class TemplateList(Struct, kw_only=True):
    """A page of templates, newest first."""

    data: list[TemplateRead]
    next_cursor: NextCursor


class TemplateCounts(Struct, kw_only=True):
    """What a synchronisation did; `total` is what Meta lists."""

    added: int
    changed: int
    removed: int
    total: int


def _shown(template: Template) -> bytes:
    values = asdict(template)
    at = values["synchronised_at"]
    values |= {name: instant(values[name]) for name in ("created_at", "updated_at")}
    values |= {"synchronised_at": instant(at) if at else None, "components": Raw(template.components)}
    return encode(TemplateRead(**values))


@get("/templates", summary="List templates", opt=_READ)
async def list_templates(
    context: ContextDependency,
    *,
    limit: Limit = 50,
    cursor: Cursor = "",
    account: AccountName = "",
    waba_id: Name = "",
    status: Name = "",
    name: Name = "",
    language: Name = "",
    category: Name = "",
    quality: Name = "",
) -> Response[TemplateList]:
    """The templates of the organization, one a language."""
    waba_id = waba_id or (_waba_of(context, account) if account else "")
    chosen = TemplateFilter(
        waba_id=waba_id, status=status, name=name, language=language, category=category, quality=quality
    )
    paging = page_request(_NOUN, limit, cursor)
    page = await context.read(lambda c: templates.page(c, context.organization_id, chosen, paging))
    return page_response(_NOUN, page, _shown, TemplateList)


@post("/templates", summary="Create a template", opt=_MANAGE)
async def create_template(
    request: Request[Any, Any, Any], context: ContextDependency, data: JSONBody[TemplateDraft]
) -> Response[TemplateRead]:
    """It is created at Meta, which reviews it; until then its status is PENDING."""
    account = _usable(context, data.account)
    async with context.once(request) as once:
        if once.kept:
            return once.kept
        draft = {name: value for name, value in asdict(data).items() if name != "account" and value is not UNSET}
        created = await context.services.template_sync.create(account, draft)
        audit_change = context.audit_change()

        def work(connection: Connection) -> tuple[Template, bytes]:
            made = Template(
                id=audit_change.new_id(),
                organization_id=context.organization_id,
                waba_id=account.waba_id,
                meta_id=created.meta_id,
                name=data.name,
                language=data.language,
                category=created.category,
                status=created.status,
                parameter_format="" if data.parameter_format is UNSET else data.parameter_format,
                components=encode(data.components),
                created_at=audit_change.at,
                updated_at=audit_change.at,
            )
            made = templates.put(connection, made)
            audit.note(connection, audit_change, "template.created", made.id)
            return made, _shown(made)

        _, body = await once.write(work)
    return raw_json_response(body, TemplateRead, status=201)


@post("/templates/sync", summary="Synchronise templates", opt=_MANAGE, status_code=200)
async def synchronise_templates(context: ContextDependency, data: JSONBody[TemplateSync]) -> Response[TemplateCounts]:
    """Make the templates of the account's business account those that Meta lists now; it happens by itself every hour,
    and soon after Meta told of a change."""
    counts = await context.services.template_sync.synchronise(_usable(context, data.account))
    return json_response(TemplateCounts(**asdict(counts)))


@get("/templates/{template_id:str}", summary="Read a template", opt=_READ)
async def read_template(template_id: FromPath[str], context: ContextDependency) -> Response[TemplateRead]:
    """One template, by our id or Meta's."""
    return raw_json_response(_shown(await _known(context, template_id)), TemplateRead)


@delete("/templates/{template_id:str}", summary="Delete a template", opt=_MANAGE, status_code=204)
async def delete_template(template_id: FromPath[str], context: ContextDependency, *, account: AccountName = "") -> None:
    """Delete at Meta what our id or Meta's names, which is one language; or every language of a name."""
    one = await context.read(lambda c: templates.get(c, context.organization_id, template_id))
    chosen = TemplateFilter(name=template_id, waba_id=_waba_of(context, account) if account else "")
    gone = (
        [one] if one else (await context.read(lambda c: templates.page(c, context.organization_id, chosen, _ALL))).items
    )
    if not gone:
        raise NotFound("There is no template with this id or name.")
    if len({template.waba_id for template in gone}) > 1:
        raise Invalid(
            "Several business accounts have a template of this name.", ("/account", "must say whose is meant")
        )
    name, waba_id = gone[0].name, gone[0].waba_id
    owner = next((each for each in context.accounts if each.waba_id == waba_id and each.access_token), None)
    if owner is None:
        raise Invalid("No account of its business account has an access token, without which Meta deletes nothing.")
    await context.services.template_sync.delete(owner, name, one.meta_id if one else "")
    audit_change = context.audit_change()

    def work(connection: Connection) -> None:
        for template in gone:
            templates.forget(connection, template)
            audit.note(connection, audit_change, "template.deleted", template.id)

    await context.write(work)


async def _known(context: RequestContext, name: str) -> Template:
    template = await context.read(lambda c: templates.get(c, context.organization_id, name))
    if template is None:
        raise NotFound("There is no template with this id.")
    return template


def _waba_of(context: RequestContext, name: str) -> str:
    """Return the business account id of an account; an id that matches nothing when there is no such account."""
    return next((a.waba_id for a in context.accounts if name in (a.id, a.phone_number_id)), "") or "-"


def _usable(context: RequestContext, name: str) -> Account:
    account = next((a for a in context.accounts if name in (a.id, a.phone_number_id)), None)
    if account is None:
        raise Invalid("There is no such account.", ("/account", "is not an account of the organization"))
    if not account.waba_id or not account.access_token:
        lacks = "waba_id" if not account.waba_id else "access_token"
        raise Invalid(f"The account has no {lacks}.", ("/account", f"needs a {lacks}; change the account to set it"))
    return account


HANDLERS = (
    list_templates,
    create_template,
    synchronise_templates,
    read_template,
    delete_template,
)
