"""Answer probes and machines: whether the process is alive and ready, its version, its metrics, its API."""

from __future__ import annotations

import platform
from typing import Any

import msgspec
from litestar import HttpMethod, Request, Response, get, route
from litestar.params import FromPath
from msgspec import Struct

from tellwire import __version__
from tellwire.errors import Busy, NotFound, Unauthorized
from tellwire.stores.migrate import HEAD
from tellwire.stores.queries import status_figures
from tellwire.web.auth import Caller
from tellwire.web.edge import is_local
from tellwire.web.operations.exposition import exposition
from tellwire.web.operations.figures import Waits
from tellwire.web.operations.metrics import MetricSources
from tellwire.web.request import AppState, StateDependency, json_response, raw_json_response
from tellwire.web.services import Services

_GET_HEAD = [HttpMethod.GET, HttpMethod.HEAD]
_LONGEST_WAIT_SECONDS = 5.0
_EXPOSITION = "text/plain; version=0.0.4"


class Alive(Struct, kw_only=True):
    """The process answers."""

    status: str


class Version(Struct, kw_only=True):
    """What runs."""

    version: str
    python: str


async def visitor(request: Request[Any, Any, Any], app_state: AppState) -> tuple[bool, Caller | None]:
    """Return whether a request may see this installation's figures, and the caller if it brought a key."""
    caller = await app_state.auth.caller(request.scope["headers"])
    return caller is not None or is_local(request.scope), caller


async def _only_known(request: Request[Any, Any, Any], app_state: AppState) -> None:
    allowed, _ = await visitor(request, app_state)
    if not allowed:
        raise Unauthorized("Send an API key, or ask from the machine itself.")


@route("/livez", http_method=_GET_HEAD, summary="Liveness", tags=["operations"])
async def livez() -> Response[Alive]:
    """200 as long as the process answers."""
    return json_response(Alive(status="ok"))


@route("/readyz", http_method=_GET_HEAD, summary="Readiness", tags=["operations"])
async def readyz(app_state: StateDependency) -> Response[Alive]:
    """200 when the database has the newest schema, can be read and takes commits, and POSTs don't pile up before it;
    else 503 with the reason. Ready again by itself."""
    services = app_state.services
    if reason := _unready(services, app_state.meters.waits):
        raise Busy(reason, kind="not-ready")
    revision = await services.store.read(status_figures.revision)
    if revision != HEAD:
        raise Busy(f"The database is at revision {revision or 'none'}, not {HEAD}.", kind="not-ready")
    return json_response(Alive(status="ok"))


def _unready(services: Services, waits: Waits) -> str:
    if services.store.failing:
        return f"The last commit failed: {services.store.failing}"
    if services.engine is not None and services.engine.failing:
        return f"Results of deliveries cannot be recorded: {services.engine.failing}"
    if services.sending_worker is not None and services.sending_worker.failing:
        return f"What Meta answers to messages cannot be recorded: {services.sending_worker.failing}"
    if waits.longest > _LONGEST_WAIT_SECONDS:
        return f"A POST from Meta has waited {waits.longest:.0f} s for its commit."
    if 0 < waits.most <= waits.count:
        return f"{waits.count} POSTs from Meta wait for their commit; no more are taken."
    return ""


@get("/version", summary="Version", tags=["operations"])
async def version(request: Request[Any, Any, Any], app_state: StateDependency) -> Response[Version]:
    """What runs. With a key, or from the machine itself."""
    await _only_known(request, app_state)
    return json_response(Version(version=__version__, python=platform.python_version()))


@get("/metrics", summary="Metrics", tags=["operations"], opt={"media_type": "text/plain"})
async def metrics(request: Request[Any, Any, Any], app_state: StateDependency) -> Response[bytes]:
    """Prometheus metrics. With a key, or from the machine itself."""
    await _only_known(request, app_state)
    services = app_state.services
    now = MetricSources(
        counters=services.counters,
        figures=await app_state.meters.figures(),
        store=services.store,
        engine=services.engine,
        sending_worker=services.sending_worker,
        posts_waiting=app_state.meters.waits.count,
    )
    return Response(exposition(now), media_type=_EXPOSITION)


@get("/openapi.json", include_in_schema=False)
async def openapi_document(app_state: StateDependency) -> Response[bytes]:
    """Return the OpenAPI 3.1 document of this API."""
    return Response(await app_state.openapi(), media_type="application/json")


@get("/schemas/{name:str}", summary="A JSON Schema", tags=["operations"])
async def schema(name: FromPath[str], app_state: StateDependency) -> Response[dict[str, Any]]:
    """`<name>.json`: the JSON Schema (2020-12) of a body that Tellwire sends."""
    found = app_state.services.schemas.get(name.removesuffix(".json")) if name.endswith(".json") else None
    if found is None:
        known = ", ".join(f"{each}.json" for each in app_state.services.schemas)
        raise NotFound(f"There is no such schema; there are {known}.")
    return raw_json_response(msgspec.json.encode(found), dict[str, Any])


PROBES = (livez, readyz, metrics)
"""The routes of a process that only delivers."""
HANDLERS = (*PROBES, version, openapi_document, schema)
