"""Serve message templates as the Graph API does: they are listed from our rows, created and deleted at Meta."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from litestar import Response
from msgspec import Raw, Struct
from sqlalchemy import Connection

from tellwire.accounts.templates import DELETED, Template
from tellwire.model.tenancy import Account
from tellwire.model.units import MICROS
from tellwire.stores.queries import audit, templates
from tellwire.stores.queries.paging import PageRequest
from tellwire.stores.queries.templates import TemplateFilter
from tellwire.web.graph.calls import Call, unfolded, value_of
from tellwire.web.graph.errors import INVALID, JSON, GraphError, not_there
from tellwire.web.graph.relay import asked
from tellwire.web.parameters import place_after, place_cursor

_NOUN = "graph-templates"
_LIMIT, _LARGEST = 25, 1000
_PAGE = PageRequest(200)
_MOST_TEMPLATES = 250
"""What Meta allows an unverified business; it is not known here what it allows this one."""
_LIMITS = re.compile(r"[1-9][0-9]{0,5}")
_DEFAULT = frozenset(("id", "name", "language", "status", "category", "components", "parameter_format"))
_SUCCESS = b'{"success":true}'


class _Created(Struct):
    id: str | int = ""
    status: str = ""
    category: str = ""


async def list_templates(call: Call, waba_id: str) -> Response[bytes]:
    """Return a page of a business account's templates; they are synchronised first if they never were."""
    context, query = call.context, call.query
    owner = context.organization_id
    known = await context.read(lambda c: templates.sync_status(c, owner, waba_id))
    usable = next((each for each in call.accounts(waba_id) if each.access_token), None)
    if (known is None or not known.synchronised_at) and usable is not None:
        await context.services.template_sync.synchronise(usable)
    every = [each for each in await _every(call, waba_id) if _wanted(each, query)]
    given = query.get("limit", "")
    if given and not _LIMITS.fullmatch(given):
        raise GraphError(INVALID, "/limit: must be a whole number above 0")
    limit = min(int(given or _LIMIT), _LARGEST)
    start = place_after(_NOUN, query.get("after", ""))
    if query.get("before"):
        start = max(place_after(_NOUN, query["before"]) - 1 - limit, 0)
    rows = every[start : start + limit]
    shown: dict[str, Any] = {"data": [_shown(call, each) for each in rows]}
    if rows:
        after = place_cursor(_NOUN, start + len(rows))
        shown["paging"] = {"cursors": {"before": place_cursor(_NOUN, start + 1), "after": after}}
        if start + len(rows) < len(every):
            shown["paging"]["next"] = f"{call.base}/{waba_id}/message_templates?limit={limit}&after={after}"
    if query.get("summary"):
        shown["summary"] = {
            "total_count": len(every),
            "message_template_count": len(every),
            "message_template_limit": _MOST_TEMPLATES,
            "are_translations_complete": True,
        }
    return Response(msgspec.json.encode(shown), media_type=JSON)


async def read(call: Call, template: Template) -> Response[bytes]:
    """Return one template."""
    return Response(msgspec.json.encode(_shown(call, template)), media_type=JSON)


async def create(call: Call, waba_id: str) -> Response[Any]:
    """Create a template at Meta, and its row."""
    account = _account(call, waba_id)
    members = {name: unfolded(member) for name, member in call.body.items() if name != "access_token"}
    name, language, category = (value_of(members.get(each, b"null")) for each in ("name", "language", "category"))
    if not isinstance(name, str) or not isinstance(language, str) or not isinstance(category, str):
        raise GraphError(INVALID, "/name, /language and /category: are required, and texts")
    components = members.get("components", b"[]")
    context = call.context
    async with call.once() as once:
        if once.kept:
            return once.kept
        body = msgspec.json.encode({key: Raw(member) for key, member in members.items()})
        answer = await asked(call, account, f"{waba_id}/message_templates", body=body)
        try:
            created = msgspec.json.decode(answer, type=_Created)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            created = _Created()
        audit_change = context.audit_change()
        given = value_of(members.get("parameter_format", b'""'))

        def work(connection: Connection) -> tuple[None, bytes]:
            made = Template(
                id=audit_change.new_id(),
                organization_id=context.organization_id,
                waba_id=waba_id,
                meta_id=str(created.id),
                name=name,
                language=language,
                category=created.category or category,
                status=created.status or "PENDING",
                parameter_format=given.upper() if isinstance(given, str) else "",
                components=components if isinstance(value_of(components), list) else b"[]",
                created_at=audit_change.at,
                updated_at=audit_change.at,
            )
            made = templates.put(connection, made)
            audit.note(connection, audit_change, "template.created", made.id)
            return None, answer

        _, kept = await once.write(work, status=200)
    return Response(kept, media_type=JSON)


async def delete(call: Call, waba_id: str) -> Response[bytes]:
    """Delete a name in every language, or only the language with the id `hsm_id`, at Meta and here."""
    account = _account(call, waba_id)
    given = {name: call.query.get(name) or call.text(name) for name in ("name", "hsm_id")}
    query = {name: value for name, value in given.items() if value}
    if "name" not in query:
        raise GraphError(INVALID, "/name: is required", message="(#100) The parameter name is required")
    answer = await asked(call, account, f"{waba_id}/message_templates", query=query)
    context = call.context
    audit_change = context.audit_change()
    gone = [
        each
        for each in await _every(call, waba_id)
        if each.name == query["name"] and query.get("hsm_id", each.meta_id) == each.meta_id
    ]

    def work(connection: Connection) -> None:
        for template in gone:
            templates.forget(connection, template)
            audit.note(connection, audit_change, "template.deleted", template.id)

    await context.write(work)
    return Response(answer or _SUCCESS, media_type=JSON)


async def _every(call: Call, waba_id: str) -> list[Template]:
    """Return every template of a business account, newest first."""
    context, chosen = call.context, TemplateFilter(waba_id=waba_id)
    found: list[Template] = []
    paging = _PAGE
    while True:
        request = paging
        page = await context.read(lambda c: templates.page(c, context.organization_id, chosen, request))  # noqa: B023
        found += [each for each in page.items if each.status != DELETED]
        if not page.after:
            return found
        paging = PageRequest(_PAGE.limit, page.after)


def _wanted(template: Template, query: Any) -> bool:
    if query.get("name", "") not in template.name:
        return False
    return all(
        getattr(template, name).upper() in query.get(name, getattr(template, name)).upper().split(",")
        for name in ("status", "category", "language")
    )


def _shown(call: Call, template: Template) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "name": template.name,
        "parameter_format": template.parameter_format or "POSITIONAL",
        "components": Raw(template.components),
        "language": template.language,
        "status": template.status,
        "category": template.category,
        "quality_score": {"score": template.quality or "UNKNOWN", "date": template.updated_at // MICROS},
        "rejected_reason": template.reason or "NONE",
        "id": template.meta_id,
    }
    wanted = {*call.fields, "id"} if call.fields else _DEFAULT
    return {name: value for name, value in whole.items() if name in wanted}


def _account(call: Call, waba_id: str) -> Account:
    account = next((each for each in call.accounts(waba_id) if each.access_token), None)
    if account is None:
        raise not_there(waba_id, call.method)
    return account
