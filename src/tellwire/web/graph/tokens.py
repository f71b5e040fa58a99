"""Serve what clients ask of their own token, which is a key of ours."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response

from tellwire.errors import Problem
from tellwire.model.units import MICROS
from tellwire.web.auth import Caller
from tellwire.web.graph.calls import Call
from tellwire.web.graph.errors import INVALID, JSON, TOKEN, GraphError

_SCOPES = {
    "whatsapp_business_messaging": ("messages:write",),
    "whatsapp_business_management": ("templates:manage", "read"),
}
"""Meta's scopes, and those of ours of which one is enough."""


async def me(call: Call) -> Response[bytes]:
    """Return whose token it is."""
    caller = call.context.caller
    whole = {"id": caller.key.id if caller.key else caller.organization_id, "name": _name(caller)}
    wanted = {*call.fields, "id"} if call.fields else {*whole}
    return Response(msgspec.json.encode({k: v for k, v in whole.items() if k in wanted}), media_type=JSON)


async def debug(call: Call) -> Response[bytes]:
    """Return what a token may do; one of another organization is as unknown as a wrong one."""
    token = call.query.get("input_token", "")
    if not token:
        raise GraphError(INVALID, message="(#100) The parameter input_token is required")
    mine = call.context.caller
    try:
        caller = await call.context.app_state.auth.holder(call.request.scope, token)
    except Problem:
        caller = None
    if caller is None or caller.organization_id != mine.organization_id:
        invalid = {"code": TOKEN, "message": "Invalid OAuth access token."}
        data: dict[str, Any] = {"is_valid": False, "scopes": [], "error": invalid}
    else:
        data = _described(call, caller)
    return Response(msgspec.json.encode({"data": data}), media_type=JSON)


def _described(call: Call, caller: Caller) -> dict[str, Any]:
    scopes = [name for name, ours in _SCOPES.items() if caller.may(ours)]
    targets = sorted({each.waba_id for each in call.accounts() if each.waba_id})
    key = caller.key
    return {
        "app_id": caller.organization_id,
        "application": "Tellwire",
        "type": "SYSTEM_USER",
        "is_valid": True,
        "issued_at": key.created_at // MICROS if key else 0,
        "expires_at": key.expires_at // MICROS if key and key.expires_at else 0,
        "scopes": scopes,
        "granular_scopes": [{"scope": scope, "target_ids": targets} for scope in scopes],
        "user_id": key.id if key else caller.organization_id,
    }


def _name(caller: Caller) -> str:
    return caller.key.name if caller.key else "Tellwire"
