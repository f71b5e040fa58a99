"""Every page of the console, about something that is there."""

from __future__ import annotations

import re

from tests.acceptance.tenants import Tenant

from tellwire.web.console import routes

NO_PAGES = {
    "/live": "a stream of the parts of a page",
    "/static/{name:str}": "files",
    "/login/link/{secret:str}": "is opened before there is a session",
    "/portal/{token:str}": "the same",
    "/login": "the same",
    "/login/oidc": "leads to a provider, where one is set",
    "/login/oidc/back": "is where a provider leads to",
    "/phone": "there is one under `dev` only",
    "/endpoints/{endpoint_id:str}/secret": "shows a new secret once",
    "/endpoints/{endpoint_id:str}/test": "shows the result of a test once",
    "/settings": "leads to the first page of settings",
    "/failures/{failure_id:str}": "leads to the deliveries",
}
"""What a GET of the console answers beside pages, and why it is none of those that are looked at."""


def places() -> list[str]:
    """The paths of all pages; in braces the kinds of things that they are about."""
    found = {
        path
        for router in routes.HANDLERS
        for route in router.routes
        for path in [route.path]
        if "GET" in route.methods and path not in NO_PAGES and not path.startswith("/inbox/media")
    }
    return sorted(found)


def path_of(place: str, tenant: Tenant) -> str:
    """The address of a page about something that the organization has."""
    return re.sub(r"\{(\w+):str\}", lambda found: tenant.ids[found[1]][0], place)
