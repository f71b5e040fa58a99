"""Serve REST `/v1`: one module per noun, and the table of them."""

from __future__ import annotations

from types import ModuleType

from tellwire.web.api import (
    accounts,
    agents,
    alerts,
    api_keys,
    audit,
    contacts,
    conversations,
    deliveries,
    doctor,
    events,
    failures,
    inbound_posts,
    labels,
    login_links,
    members,
    organizations,
    portal_links,
    settings_in_force,
    sources,
    templates,
    traffic,
    verdict,
    webhook_endpoints,
    why,
)
from tellwire.web.api.media import routes
from tellwire.web.api.messages import read

NOUNS: dict[str, ModuleType] = {
    "organizations": organizations,
    "api-keys": api_keys,
    "accounts": accounts,
    "agents": agents,
    "webhook-endpoints": webhook_endpoints,
    "events": events,
    "deliveries": deliveries,
    "failures": failures,
    "conversations": conversations,
    "messages": read,
    "media": routes,
    "contacts": contacts,
    "templates": templates,
    "inbound": inbound_posts,
    "sources": sources,
    "audit": audit,
    "members": members,
    "login-links": login_links,
    "why": why,
    "verdict": verdict,
    "doctor": doctor,
    "alerts": alerts,
    "traffic": traffic,
    "settings": settings_in_force,
    "portal-links": portal_links,
    "labels": labels,
}
"""By the first part of their paths under `/v1`; each module has `HANDLERS`."""
