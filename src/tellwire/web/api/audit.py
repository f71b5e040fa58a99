"""Serve `/v1/audit`: who changed keys, endpoints and accounts, and when."""

from __future__ import annotations

from litestar import Response, get
from msgspec import Struct
from msgspec.json import encode

from tellwire.model.row_json import instant
from tellwire.stores.queries import audit
from tellwire.stores.queries.audit import AuditEntry
from tellwire.web.api.shapes import Id, NextCursor, When
from tellwire.web.parameters import Cursor, Limit, page_request
from tellwire.web.request import ContextDependency
from tellwire.web.responses import page_response

_NOUN = "audit"


class AuditRead(Struct, kw_only=True):
    """A line of the audit: `actor` (`ADMIN_KEY`, or `api-key` and its id) did `action` to the row `subject`."""

    id: Id
    organization_id: Id
    actor: str
    action: str
    subject: str
    created_at: When


class AuditList(Struct, kw_only=True):
    """A page of the audit, newest first."""

    data: list[AuditRead]
    next_cursor: NextCursor


def _shown(entry: AuditEntry) -> bytes:
    return encode(
        AuditRead(
            id=entry.id,
            organization_id=entry.organization_id,
            actor=entry.actor,
            action=entry.action,
            subject=entry.subject,
            created_at=instant(entry.created_at),
        )
    )


@get("/audit", summary="List the audit", opt={"scopes": ("admin",)})
async def list_audit(context: ContextDependency, limit: Limit = 50, cursor: Cursor = "") -> Response[AuditList]:
    """Who changed keys, endpoints and accounts of the organization."""
    page = await context.read(lambda c: audit.page(c, context.organization_id, page_request(_NOUN, limit, cursor)))
    return page_response(_NOUN, page, _shown, AuditList)


HANDLERS = (list_audit,)
