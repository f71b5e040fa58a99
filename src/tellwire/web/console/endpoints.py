"""Serve `/endpoints` and `/endpoints/new`: is each consumer well, and the form for another one."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get, post

from tellwire.web.console import endpoint_charts, endpoint_form, shown_once, snippets
from tellwire.web.console.api_calls import ApiProblem
from tellwire.web.console.endpoint_form import Refused, Typed
from tellwire.web.console.login import VisitDependency
from tellwire.web.console.pages import Visit
from tellwire.web.request import AppState, StateDependency

READ = {"scopes": ("read", "webhooks:manage", "webhooks:operate")}
MANAGE = {"scopes": ("webhooks:manage",)}
MANAGES = "webhooks:manage"
OPERATES = ("webhooks:manage", "webhooks:operate")

STATES = {
    "paused": "waiting",
    "disabled": "bad",
    "failing": "bad",
    "healthy": "good",
    "unknown": "none",
    "pulled": "none",
}
"""How an endpoint is → how that looks (`state` of the templates' macros)."""
_PAGE = 40
MOST_LISTED = 200
"""Where the API stops counting what waits for each endpoint of a list."""


def standing(endpoint: dict[str, Any]) -> str:
    """Return how an endpoint is, in a word of `STATES`: who paused it matters more than how its attempts went."""
    state: str = endpoint["state"]
    return state if state != "active" else endpoint["health"]["state"]


@get("/endpoints", opt=READ, include_in_schema=False)
async def endpoints_page(visit: VisitDependency, app_state: StateDependency) -> Response[bytes]:
    """Every endpoint with its health; without any, the form for the first one."""
    cursor = visit.query.get("cursor", "")
    listed = await visit.api.get("/webhook-endpoints", limit=_PAGE, cursor=cursor)
    if not listed["data"] and not cursor:
        return await form_page(visit, app_state, endpoint_form.empty(list(app_state.services.formats)), first=True)
    figures = await visit.api.part("/webhook-endpoints/figures", limit=_PAGE, cursor=cursor)
    of = {each["id"]: each for each in figures.data["data"]} if figures.data else {}
    return visit.page(
        "endpoints.html",
        endpoints=listed["data"],
        figures=of,
        problem=figures.problem,
        next_cursor=listed["next_cursor"],
        standing=standing,
        looks=STATES,
        charts=endpoint_charts,
        most=MOST_LISTED,
        manages=visit.may(MANAGES),
    )


@get("/endpoints/new", opt=MANAGE, include_in_schema=False)
async def new_endpoint_page(visit: VisitDependency, app_state: StateDependency) -> Response[bytes]:
    """The form for another endpoint."""
    return await form_page(visit, app_state, endpoint_form.empty(list(app_state.services.formats)))


@post("/endpoints/new", opt=MANAGE, include_in_schema=False, status_code=200)
async def create_endpoint(
    request: Request[Any, Any, Any], visit: VisitDependency, app_state: StateDependency
) -> Response[Any]:
    """Create an endpoint, and lead to the page that shows its secret once."""
    form = await request.form()
    typed = endpoint_form.typed_of(form)
    try:
        made = await visit.api.send(
            "POST", "/webhook-endpoints", endpoint_form.draft(typed), once=str(form.get("once", ""))
        )
    except Refused as refused:
        return await form_page(visit, app_state, typed, errors=refused.errors)
    except ApiProblem as problem:
        errors = endpoint_form.field_errors(problem.errors)
        return await form_page(visit, app_state, typed, errors=errors, problem=problem)
    shown = {"secret": made["secret"], "whsec_secret": made["whsec_secret"]}
    if made.get("verify_token") and not typed["verify_token"]:
        shown["verify_token"] = made["verify_token"]
    return with_secret(visit, app_state, made["id"], shown)


def with_secret(visit: Visit, app_state: AppState, endpoint_id: str, shown: dict[str, str]) -> Response[Any]:
    """Return the way to the page that shows an endpoint's new secret once."""
    path = f"/endpoints/{endpoint_id}/secret"
    answer = visit.back(path)
    shown_once.give(answer, app_state.services, visit, path, shown)
    return answer


async def form_page(
    visit: Visit,
    app_state: AppState,
    typed: Typed,
    *,
    endpoint: dict[str, Any] | None = None,
    errors: dict[str, str] | None = None,
    problem: ApiProblem | None = None,
    first: bool = False,
) -> Response[bytes]:
    """Return the form of an endpoint, with what was typed into it and what was wrong with that.

    Args:
        endpoint: the one that is edited, None for a new one.
        first: whether the organization has none yet.
    """
    found = errors or {}
    accounts = await visit.api.part("/accounts", limit=200)
    forms, names = app_state.services.formats, app_state.services.event_names
    fields = set(typed) | set(endpoint_form.SECRETS)
    status = 200 if errors is None and problem is None else problem.status if problem else 422
    return visit.page(
        "endpoint_form.html",
        status=status,
        endpoint=endpoint,
        typed=typed,
        errors=found,
        detail=problem.detail if problem else "",
        elsewhere=[message for name, message in found.items() if name not in fields],
        first=first,
        formats=list(forms),
        messages=[name for name in names if name.startswith(("messages.", "conversations."))],
        operational=[name for name in names if not name.startswith(("messages.", "conversations."))],
        own={name: own for name, form in forms.items() if (own := [e for e in form.EVENTS if e not in names])},
        options=endpoint_form.OPTIONS,
        accounts=accounts,
        subscriber=snippets.SUBSCRIBER,
        manages=visit.may(MANAGES),
    )


HANDLERS = (endpoints_page, new_endpoint_page, create_endpoint)
