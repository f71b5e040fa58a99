"""Keep an open page as it is now: one stream of Server-Sent Events, with each part of the page that has changed.

A part is what stands between `{% call live("name") %}` and its end in a template. The page is made again every two
seconds, as for anybody who loads it, and compared with what was sent.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from litestar import Request, get
from litestar.params import FromQuery
from litestar.response import Stream

from tellwire.errors import NotFound
from tellwire.web.console.api_calls import fetched
from tellwire.web.console.login import VisitDependency
from tellwire.web.console.sessions import WATCHING
from tellwire.web.request import StateDependency

EVERY_SECONDS = 2.0
_PART = re.compile(rb'<div data-live="([a-z0-9_-]+)">(.*?)</div><!--/live-->', re.DOTALL)


@get("/live", opt={"scopes": ()}, include_in_schema=False)
async def live(
    request: Request[Any, Any, Any], visit: VisitDependency, app_state: StateDependency, of: FromQuery[str]
) -> Stream:
    """The parts of the page `of` (a path with its query) that change, as long as somebody looks at it."""
    path, _, query = of.partition("?")
    path = path.removeprefix(app_state.services.settings.sub_path) or "/"
    if not path.startswith("/") or request.scope["state"].get(WATCHING):
        raise NotFound("There is no page at this path.")
    stored = visit.session.stored  # guests of a link share places of their own, so that they take none from the others
    place = app_state.streams.take_place(stored.portal_link_id or stored.organization_id)
    state = {name: request.scope["state"][name] for name in ("app_state", "request_id")} | {WATCHING: True}
    cookie = request.headers.get("cookie", "").encode("latin-1")

    async def frames() -> AsyncIterator[bytes]:
        sent: dict[bytes, bytes] = {}
        try:
            yield b": tellwire\nretry: 2000\n\n"
            while not app_state.draining.is_set():
                status, body = await fetched(
                    request.app, state, "GET", path, query=query.encode(), headers=[(b"cookie", cookie)]
                )
                if status != 200:
                    return  # the session has ended, or the page is gone: loading it tells
                for name, html in _PART.findall(body):
                    if sent.get(name) != html:
                        sent[name] = html
                        part = msgspec.json.encode({"name": name.decode(), "html": html.decode()})
                        yield b"event: part\ndata: " + part + b"\n\n"
                try:
                    async with asyncio.timeout(EVERY_SECONDS):
                        await app_state.draining.wait()
                except TimeoutError:
                    continue
        finally:
            place.leave()

    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return Stream(frames(), media_type="text/event-stream", headers=headers)


HANDLERS = (live,)
