"""Answer probes and machines: whether the process is alive and ready, its version, its metrics, its API."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import HttpMethod, Request, Response, get, route
from litestar.params import FromPath
from msgspec import Struct
from sqlalchemy.exc import OperationalError

from tellwire import __version__
from tellwire.errors import Busy, NotFound, Problem, Unauthorized, Unavailable
from tellwire.stores.migrate import HEAD, is_later
from tellwire.stores.queries import status_figures
from tellwire.verdict import rules
from tellwire.verdict.rules import Line
from tellwire.web.auth import Caller
from tellwire.web.commit_waits import CommitWaits
from tellwire.web.operations.metrics import MetricSources
from tellwire.web.request import AppState, StateDependency
from tellwire.web.responses import json_response, raw_json_response
from tellwire.web.services import Services
from tellwire.web.sub_path import PASSED_ON

_GET_HEAD = [HttpMethod.GET, HttpMethod.HEAD]
_LONGEST_WAIT_SECONDS = 5.0
_EXPOSITION = "text/plain; version=0.0.4"


class Alive(Struct, kw_only=True):
    """The process answers."""

    status: str


class Trouble(Struct, kw_only=True):
    """A kind of thing that does not work just now, without any name."""

    kind: str
    cause: str
    remedy: str


class Ready(Struct, kw_only=True, omit_defaults=True):
    """The process can take POSTs. `trouble`: what does not work all the same; not there when all does."""

    status: str
    trouble: list[Trouble] = []


class Version(Struct, kw_only=True):
    """What runs."""

    version: str
    python: str


class Visitor(Struct, frozen=True):
    """Who asks for the installation's figures.

    `sees_all`: an operator, or anybody where OPEN_OPERATIONS is set. Other callers see what is their organization's.
    """

    caller: Caller | None
    sees_all: bool

    def lines(self, lines: Sequence[Line]) -> list[Line]:
        """Return the lines of the verdict that may be shown: without names to strangers."""
        if self.sees_all:
            return list(lines)
        return rules.without_names(lines) if self.caller is None else rules.seen_by(lines, self.caller.organization_id)

    def may_see(self, organization_id: str) -> bool:
        """Return whether what belongs to this organization may be shown."""
        return self.sees_all or (self.caller is not None and self.caller.organization_id == organization_id)


async def visitor(request: Request[Any, Any, Any], app_state: AppState) -> Visitor:
    """Return who sent a request.

    Raises:
        Unauthorized: it brought a key that is not valid.
    """
    caller = await app_state.auth.caller(request.scope)
    # Behind a proxy that strips the sub-path, a path that still has it came with it twice, and no rule of the proxy for
    # /metrics fits that.
    is_open = app_state.services.settings.open_operations and PASSED_ON not in request.scope["state"]
    return Visitor(caller, is_open or (caller is not None and caller.operator))


async def _known(request: Request[Any, Any, Any], app_state: AppState) -> Visitor:
    who = await visitor(request, app_state)
    if who.caller is None and not who.sees_all:
        raise Unauthorized("Send an API key: `Authorization: Bearer tw_…`.")
    return who


async def _sees_all(request: Request[Any, Any, Any], app_state: AppState) -> bool:
    """Return whether the reason may be told in full; a key that cannot be checked just now counts as none."""
    try:
        return (await visitor(request, app_state)).sees_all
    except (Problem, Unavailable, OperationalError):
        return False


@route("/livez", http_method=_GET_HEAD, summary="Liveness", tags=["operations"])
async def livez() -> Response[Alive]:
    """200 as long as the process answers."""
    return json_response(Alive(status="ok"))


@route("/readyz", http_method=_GET_HEAD, summary="Readiness", tags=["operations"])
async def readyz(request: Request[Any, Any, Any], app_state: StateDependency) -> Response[Ready]:
    """200 when the database has this version's schema, or what a newer version added to it, can be read and takes
    commits, and POSTs don't pile up before it; else 503 with the reason, whose details only operators see. Ready again
    by itself. What does not work all the same, such as an endpoint that fails, is in `trouble` and changes no
    status."""
    services = app_state.services
    reason, detail = _unready(services, app_state.meters.waits)
    revision = HEAD if reason else await services.store.read(status_figures.revision)
    # A newer version may have migrated the database meanwhile: migrations only add, so this process goes on.
    if revision != HEAD and not is_later(revision):
        reason, detail = "The database has another version's schema", f"revision {revision or 'none'}, not {HEAD}"
    if reason:
        told = detail if await _sees_all(request, app_state) else "an operator's key shows more, and so does the log"
        raise Busy(f"{reason}: {told}.", kind="not-ready")
    lines = rules.without_names(await services.watch.lines())
    told_lines = [Trouble(kind=line.kind, cause=line.title, remedy=line.remedy) for line in lines]
    return json_response(Ready(status="ok", trouble=told_lines))


def _unready(services: Services, waits: CommitWaits) -> tuple[str, str]:
    """Return why this process is not ready, and what only operators are told of it; "" when it is ready."""
    if services.store.failing:
        return "The last commit failed", services.store.failing
    if services.engine is not None and services.engine.failing:
        return "Results of deliveries cannot be recorded", services.engine.failing
    if services.sending_worker is not None and services.sending_worker.failing:
        return "What Meta answers to messages cannot be recorded", services.sending_worker.failing
    if waits.longest > _LONGEST_WAIT_SECONDS:
        return "A POST from Meta waits too long for its commit", f"{waits.longest:.0f} s"
    if 0 < waits.most <= waits.count:
        return "Too many POSTs from Meta wait for their commit", f"{waits.count}; no more are taken"
    return "", ""


@get("/version", summary="Version", tags=["operations"])
async def version(request: Request[Any, Any, Any], app_state: StateDependency) -> Response[Version]:
    """What runs. With a key, or without one where OPEN_OPERATIONS is set."""
    await _known(request, app_state)
    return json_response(Version(version=__version__, python=platform.python_version()))


@get("/metrics", summary="Metrics", tags=["operations"], opt={"media_type": "text/plain"})
async def metrics(request: Request[Any, Any, Any], app_state: StateDependency) -> Response[bytes]:
    """Prometheus metrics: all of them for operators, and for everybody where OPEN_OPERATIONS is set; with another key
    those of its organization."""
    from tellwire.web.operations.exposition import exposition  # noqa: PLC0415 - many an installation is never scraped

    who = await _known(request, app_state)
    services = app_state.services
    registry = services.store.registry()
    now = MetricSources(
        counters=services.counters,
        figures=await app_state.meters.figures(),
        endpoints=[each for each in registry.endpoints.values() if who.may_see(each.organization_id)],
        accounts=[each for each in registry.accounts.values() if who.may_see(each.organization_id)],
        failing=services.store.failing,
        engine=services.engine,
        sending_worker=services.sending_worker,
        posts_waiting=app_state.meters.waits.count,
        lines=who.lines(await services.watch.lines()),
    )
    return Response(exposition(now, whole=who.sees_all), media_type=_EXPOSITION)


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
