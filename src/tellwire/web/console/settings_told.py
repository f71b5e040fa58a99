"""Serve `/settings/effective` and `/settings/audit`: what is set, and who changed what."""

from __future__ import annotations

from typing import Any

from litestar import Response, get

from tellwire.web.console.login import VisitDependency

_ADMIN: dict[str, Any] = {"scopes": ("admin",)}


@get("/settings/effective", opt=_ADMIN, include_in_schema=False)
async def effective(visit: VisitDependency) -> Response[bytes]:
    """The settings in force, secrets masked, and where each came from; and how it goes with the channels of alerts."""
    settings, alerts = await visit.api.get("/settings"), await visit.api.part("/alerts")
    return visit.page("settings_effective.html", settings=settings, alerts=alerts)


@get("/settings/audit", opt=_ADMIN, include_in_schema=False)
async def audit(visit: VisitDependency) -> Response[bytes]:
    """Who changed what, newest first."""
    page = await visit.api.get("/audit", limit=50, cursor=visit.query.get("cursor", ""))
    people = {
        each["id"]: each["name"] or each["email"] for each in (await visit.api.get("/members", limit=200))["data"]
    }
    return visit.page("settings_audit.html", audit=page, people=people)


HANDLERS = (effective, audit)
