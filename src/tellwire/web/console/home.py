"""Serve `/`: is it working?"""

from __future__ import annotations

from litestar import Response, get

from tellwire.web.console.login import VisitDependency


@get("/", opt={"scopes": ("read",)}, include_in_schema=False)
async def home(visit: VisitDependency) -> Response[bytes]:
    """The verdict first, then endpoints and numbers."""
    endpoints = await visit.api.part("/webhook-endpoints", limit=100)
    accounts = await visit.api.part("/accounts", limit=100)
    return visit.page("home.html", endpoints=endpoints, accounts=accounts)


HANDLERS = (home,)
