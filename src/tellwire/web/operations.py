"""What operators and machines ask first: is it alive, is it ready, what runs, how does it go, what can be called."""

from __future__ import annotations

import platform
from typing import Any

import msgspec
from litestar import HttpMethod, Request, Response, get, route
from litestar.params import FromPath
from msgspec import Struct

from tellwire import __version__
from tellwire.errors import NotFound, Unauthorized
from tellwire.stores import cold_figures
from tellwire.stores.migrate import HEAD
from tellwire.web.auth import Caller
from tellwire.web.desk import InOffice, Office, shown, told
from tellwire.web.edge import is_local
from tellwire.web.problems import Busy

_GET_HEAD = [HttpMethod.GET, HttpMethod.HEAD]
_EXPOSITION = "text/plain; version=0.0.4"


class Alive(Struct, kw_only=True):
    """The process answers."""

    status: str


class Version(Struct, kw_only=True):
    """What runs."""

    version: str
    python: str


async def visitor(request: Request[Any, Any, Any], office: Office) -> tuple[bool, Caller | None]:
    """Whether a request may see how this installation goes, and who it is when it brought a key."""
    caller = await office.auth.caller(request.scope["headers"])
    return caller is not None or is_local(request.scope), caller


async def _only_known(request: Request[Any, Any, Any], office: Office) -> None:
    allowed, _ = await visitor(request, office)
    if not allowed:
        raise Unauthorized("Send an API key, or ask from the machine itself.")


@route("/livez", http_method=_GET_HEAD, summary="Liveness", tags=["operations"])
async def livez() -> Response[Alive]:
    """200 as long as the process answers."""
    return told(Alive(status="ok"))


@route("/readyz", http_method=_GET_HEAD, summary="Readiness", tags=["operations"])
async def readyz(office: InOffice) -> Response[Alive]:
    """200 when the database has the newest schema, can be read, and took the last commit; else 503 with the reason."""
    store = office.services.store
    if store.failing:
        raise Busy(f"The last commit failed: {store.failing}", kind="not-ready")
    revision = await store.read(cold_figures.revision)
    if revision != HEAD:
        raise Busy(f"The database is at revision {revision or 'none'}, not {HEAD}.", kind="not-ready")
    return told(Alive(status="ok"))


@get("/version", summary="Version", tags=["operations"])
async def version(request: Request[Any, Any, Any], office: InOffice) -> Response[Version]:
    """What runs. With a key, or from the machine itself."""
    await _only_known(request, office)
    return told(Version(version=__version__, python=platform.python_version()))


@get("/metrics", summary="Metrics", tags=["operations"], opt={"media_type": "text/plain"})
async def metrics(request: Request[Any, Any, Any], office: InOffice) -> Response[bytes]:
    """Prometheus metrics. With a key, or from the machine itself."""
    await _only_known(request, office)
    return Response(await office.meters.exposition(), media_type=_EXPOSITION)


@get("/openapi.json", include_in_schema=False)
async def openapi_document(office: InOffice) -> Response[bytes]:
    """This API, as OpenAPI 3.1."""
    return Response(await office.openapi(), media_type="application/json")


@get("/schemas/{name:str}", summary="A JSON Schema", tags=["operations"])
async def schema(name: FromPath[str], office: InOffice) -> Response[dict[str, Any]]:
    """`<name>.json`: the JSON Schema (2020-12) of a body that Tellwire sends."""
    found = office.services.schemas.get(name.removesuffix(".json")) if name.endswith(".json") else None
    if found is None:
        known = ", ".join(f"{each}.json" for each in office.services.schemas)
        raise NotFound(f"There is no such schema; there are {known}.")
    return shown(msgspec.json.encode(found), dict[str, Any])


PROBES = (livez, readyz, metrics)
"""What a process answers that only delivers."""
HANDLERS = (*PROBES, version, openapi_document, schema)
