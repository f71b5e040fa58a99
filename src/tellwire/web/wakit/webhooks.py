"""wakit's registration of webhooks by table and operations, over webhook endpoints in the format `row`.

An endpoint counts as such a webhook if it is in that format and all its events are those of one table.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from typing import Any

from litestar import Request, Response
from msgspec import Struct
from msgspec.json import encode
from sqlalchemy import Connection

from tellwire.endpoints import lifecycle
from tellwire.endpoints.lifecycle import EndpointDraft
from tellwire.errors import Invalid, NotAllowed
from tellwire.model.deliveries import Endpoint
from tellwire.model.id_form import looks_like_id
from tellwire.model.row_json import instant
from tellwire.web.imitation import body_of
from tellwire.web.request import RequestContext
from tellwire.web.responses import JSON
from tellwire.web.wakit import given

TABLES = ("messages", "conversations")
OPERATIONS = ("insert", "update")
_LONGEST_URL = 2048


class Filter(Struct, frozen=True, kw_only=True):
    """Which webhooks are meant; "" filters nothing."""

    id: str = ""
    table_name: str = ""
    limit: int = given.MOST


class _Given(Struct):
    organization_id: Any = None
    table_name: Any = None
    operations: Any = None
    url: Any = None
    token: Any = None


FIELDS = _Given.__struct_fields__


def shown(endpoint: Endpoint) -> dict[str, Any]:
    """Return the row of a webhook; its token is never shown."""
    table_name = endpoint.events[0].partition(".")[0]
    return {
        "id": endpoint.id,
        "organization_id": endpoint.organization_id,
        "table_name": table_name,
        "operations": [each.partition(".")[2] for each in endpoint.events],
        "url": endpoint.url,
        "has_token": bool(endpoint.token),
        "created_at": instant(endpoint.created_at),
        "updated_at": instant(endpoint.updated_at),
    }


def by_table(endpoint: Endpoint) -> bool:
    """Return whether an endpoint is what this interface registers."""
    tables = {each.partition(".")[0] for each in endpoint.events}
    return endpoint.format == "row" and len(tables) == 1 and tables <= {*TABLES}


def found(context: RequestContext, chosen: Filter) -> list[Endpoint]:
    """Return the organization's webhooks, newest first."""
    endpoints = context.services.store.registry().endpoints.values()
    mine = [each for each in endpoints if each.organization_id == context.organization_id and by_table(each)]
    named = [each for each in mine if chosen.id in ("", each.id)]
    wanted = [each for each in named if not chosen.table_name or each.events[0].startswith(f"{chosen.table_name}.")]
    return sorted(wanted, key=lambda each: each.id, reverse=True)[: chosen.limit]


async def create(context: RequestContext, request: Request[Any, Any, Any], *, listed: bool) -> Response[bytes]:
    """Register a webhook. The answer is its row, `listed` in an array.

    Raises:
        Invalid, NotAllowed: a field is wrong; the organization is another's.
    """
    body = await body_of(request, _Given)
    async with context.once(request) as once:
        if once.kept is not None:
            return once.kept
        endpoint = _endpoint(context, body)
        await lifecycle.admit(context.services, endpoint)
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()

        def work(connection: Connection) -> tuple[None, bytes]:
            context.check_quota(connection, "webhook_endpoints")
            made = shown(lifecycle.create(context.endpoints(connection), endpoint, secret=secret))
            return None, encode([made] if listed else made)

        _, answer = await once.write(work)
        return Response(answer, status_code=201, media_type=JSON)


def _endpoint(context: RequestContext, body: _Given) -> Endpoint:
    if given.text(body.organization_id, "organization_id") not in ("", context.organization_id):
        raise NotAllowed("This key acts only in its own organization.")
    url, table = given.text(body.url, "url"), given.text(body.table_name, "table_name")
    if not url:
        raise Invalid("url is required.")
    if len(url) > _LONGEST_URL:
        raise Invalid(f"url must have at most {_LONGEST_URL} characters.")
    if table not in TABLES:
        raise Invalid(f"table_name must be one of {', '.join(TABLES)}.")
    operations = body.operations
    if not isinstance(operations, list) or not operations or any(each not in OPERATIONS for each in operations):
        raise Invalid(f"operations must be a list of {' and '.join(OPERATIONS)}.")
    events = tuple(f"{table}.{each}" for each in dict.fromkeys(operations))
    token = given.text(body.token, "token")
    return lifecycle.drafted(EndpointDraft(url=url, format="row", events=events, token=token or None))


async def delete(context: RequestContext, chosen: Filter) -> list[Endpoint]:
    """Delete the webhook that is meant, and return it.

    Raises:
        Invalid: no id is given, which would mean all of them.
    """
    if not chosen.id:
        raise Invalid("id is required.")
    gone = found(context, chosen)
    for endpoint in gone:

        def work(connection: Connection, name: str = endpoint.id) -> bool:
            return lifecycle.delete(context.endpoints(connection), name)[1]

        while not await context.write(work):
            pass
    return gone


def filter_of(query: Mapping[str, str], *, operator: str = "") -> Filter:
    """Return which webhooks a query means: `id`, `table_name` and `limit`.

    Args:
        operator: what stands before each value that is compared.

    Raises:
        Invalid: a value is not compared in this way.
    """
    values = {}
    for name in ("id", "table_name"):
        value = query.get(name, "")
        if value and not value.startswith(operator):
            raise Invalid(f"{name} can only be compared as {name}={operator}<value>.")
        values[name] = value.removeprefix(operator)
    if values["id"] and not looks_like_id(values["id"]):
        values["id"] = "-"  # nothing has this id
    return Filter(**values, limit=given.limit(dict(query), given.MOST))
