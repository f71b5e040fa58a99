"""Serve `/phone`: the simulated customer's phone beside what subscribers get. There is one under `dev` only."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get, post

from tellwire.errors import Invalid, NotAllowed, NotFound
from tellwire.model.row_json import instant
from tellwire.web.console.login import VisitDependency
from tellwire.web.console.pages import Visit
from tellwire.web.console.words import words
from tellwire.web.request import AppState, StateDependency
from tellwire.web.services import Phone

ACTS = ("reply", "reaction", "image", "audio", "video", "document", "sticker", "location", "contacts")
"""What the customer can do with one click, beside writing."""
KNOBS = ("refuse", "stop", "resume")
"""What they can do that the business will not like."""


@get("/phone", opt={"scopes": ("read",)}, include_in_schema=False)
async def phone_page(visit: VisitDependency, app_state: StateDependency) -> Response[bytes]:
    """The chat as the customer sees it, and every webhook that left because of it."""
    return _page(visit, _phone(visit, app_state))


@post("/phone", opt={"scopes": ("messages:write",)}, include_in_schema=False, status_code=303)
async def act(request: Request[Any, Any, Any], visit: VisitDependency, app_state: StateDependency) -> Response[Any]:
    """Let the customer do something."""
    phone, form = _phone(visit, app_state), await request.form()
    text = str(form.get("text", ""))[:4096]
    try:
        await phone.act(str(form.get("act", "text")), text.strip())
    except Invalid as problem:
        return _page(visit, phone, problem=problem.detail, text=text, status=422)
    return visit.back("/phone")


def _phone(visit: Visit, app_state: AppState) -> Phone:
    """Return the phone; it belongs to nobody's organization, so only who runs the installation uses it."""
    phone = app_state.services.phone
    if phone is None:
        raise NotFound(words("phone.only_dev"))
    if not visit.session.access.operator:
        raise NotAllowed(words("errors.not_yours"))
    return phone


def _page(visit: Visit, phone: Phone, *, problem: str = "", text: str = "", status: int = 200) -> Response[bytes]:
    messages = [(instant(each.at), each) for each in phone.messages()]
    return visit.page(
        "phone.html",
        status=status,
        name=phone.name,
        messages=messages,
        catches=phone.catches(),
        acts=ACTS,
        knobs=KNOBS,
        problem=problem,
        text=text,
    )


HANDLERS = (phone_page, act)
