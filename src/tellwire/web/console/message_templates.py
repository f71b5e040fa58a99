"""Serve `/templates`: message templates as Meta has them, with a preview."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from litestar import Request, Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from msgspec import Struct

from tellwire.web.console.api_calls import ApiProblem, Part
from tellwire.web.console.fields import Typed, faults_of, lines, typed
from tellwire.web.console.login import VisitDependency
from tellwire.web.console.pages import Visit

_READ = {"scopes": ("read", "inbox", "templates:manage")}
_MANAGE = {"scopes": ("templates:manage",)}
_FILTERS = ("status", "category", "quality", "name")

AnyRequest = Request[Any, Any, Any]


class Preview(Struct, frozen=True, kw_only=True):
    """What a customer sees of a template, its parameters unfilled. `media`: what stands above it instead of a text."""

    header: str = ""
    media: str = ""
    body: str = ""
    footer: str = ""
    buttons: tuple[str, ...] = ()


@get("/templates", opt=_READ, include_in_schema=False)
async def list_templates(visit: VisitDependency) -> Response[bytes]:
    """The templates, by status, category and quality."""
    chosen = {name: visit.query.get(name, "") for name in _FILTERS}
    templates = await visit.api.part("/templates", limit=50, cursor=visit.query.get("cursor", ""), **chosen)
    return visit.page("templates.html", templates=templates, chosen=chosen, accounts=await _businesses(visit))


@post("/templates/sync", opt=_MANAGE, include_in_schema=False, status_code=303)
async def synchronise(request: AnyRequest, visit: VisitDependency) -> Redirect:
    """Make the templates those that Meta lists now."""
    account = typed(await request.form()).get("account", "")
    await visit.api.send("POST", "/templates/sync", {"account": account})
    return visit.back("/templates", done="templates_synced")


@get("/templates/new", opt=_MANAGE, include_in_schema=False)
async def new_template(visit: VisitDependency) -> Response[bytes]:
    """The form for a template of text."""
    given = {"category": "UTILITY", "language": "en_US"}
    return visit.page("template_new.html", accounts=await _businesses(visit), given=given, faults={})


@post("/templates/new", opt=_MANAGE, include_in_schema=False, status_code=303)
async def create(request: AnyRequest, visit: VisitDependency) -> Response[bytes] | Redirect:
    """Create a template at Meta."""
    form = await request.form()
    given = typed(form)
    draft = {name: given.get(name, "") for name in ("account", "name", "language", "category")}
    try:
        made = await visit.api.send(
            "POST", "/templates", draft | {"components": components_of(given)}, once=str(form.get("once", ""))
        )
    except ApiProblem as problem:
        return visit.page(
            "template_new.html",
            status=problem.status,
            accounts=await _businesses(visit),
            given=given,
            faults=faults_of(problem),
        )
    return visit.back(f"/templates/{made['id']}", done="template_created")


@get("/templates/{template_id:str}", opt=_READ, include_in_schema=False)
async def one_template(template_id: FromPath[str], visit: VisitDependency) -> Response[bytes]:
    """One template as a customer sees it."""
    template = await visit.api.get(f"/templates/{template_id}")
    return visit.page("template.html", template=template, preview=preview_of(template["components"]))


@post("/templates/{template_id:str}/delete", opt=_MANAGE, include_in_schema=False, status_code=303)
async def delete(template_id: FromPath[str], visit: VisitDependency) -> Redirect:
    """Delete a template, in one language, at Meta."""
    await visit.api.send("DELETE", f"/templates/{template_id}")
    return visit.back("/templates", done="template_deleted")


async def _businesses(visit: Visit) -> Sequence[tuple[str, str]]:
    """Return an account of each business account that has a token, with what it is called."""
    accounts: Part = await visit.api.part("/accounts", limit=200)
    found: dict[str, tuple[str, str]] = {}
    for each in accounts.data["data"] if accounts.data else ():
        if each["waba_id"] and each["has_access_token"]:
            found.setdefault(each["waba_id"], (each["id"], each["name"] or each["phone_number_id"]))
    return list(found.values())


def preview_of(components: object) -> Preview:
    """Return what a template shows, whatever Meta has sent of it."""
    given = components if isinstance(components, list) else []
    of = {str(each.get("type")).upper(): each for each in given if isinstance(each, dict)}
    header, buttons = of.get("HEADER", {}), of.get("BUTTONS", {}).get("buttons")
    kind = _text(header, "format")
    return Preview(
        header=_text(header, "text"),
        media=kind if kind not in ("", "TEXT") else "",
        body=_text(of.get("BODY", {}), "text"),
        footer=_text(of.get("FOOTER", {}), "text"),
        buttons=tuple(
            _text(each, "text") for each in (buttons if isinstance(buttons, list) else ()) if isinstance(each, dict)
        ),
    )


def components_of(given: Typed) -> list[dict[str, Any]]:
    """Return the components that a form describes, as Meta takes them."""
    body: dict[str, Any] = {"type": "BODY", "text": given.get("body", "").strip()}
    if examples := lines(given.get("examples", "")):
        body["example"] = {"body_text": [examples]}
    found = [body]
    if header := given.get("header", "").strip():
        found.insert(0, {"type": "HEADER", "format": "TEXT", "text": header})
    if footer := given.get("footer", "").strip():
        found.append({"type": "FOOTER", "text": footer})
    if buttons := lines(given.get("buttons", "")):
        found.append({"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": each} for each in buttons]})
    return found


def _text(of: Mapping[str, Any], name: str) -> str:
    found = of.get(name)
    return found if isinstance(found, str) else ""


HANDLERS = (list_templates, synchronise, new_template, create, one_template, delete)
