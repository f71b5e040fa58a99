"""Show a page: templates, what every template can use, and the headers of every page."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Response
from litestar.response import Redirect
from markupsafe import Markup

from tellwire import __version__
from tellwire.web.auth import Caller
from tellwire.web.console.api_calls import Api
from tellwire.web.console.causes import grouped, sentence
from tellwire.web.console.sessions import Session
from tellwire.web.console.words import has_words, words
from tellwire.web.sub_path import in_page

_HERE = Path(__file__).parent
STATIC = _HERE / "static"
HTML = "text/html"

PLACES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("/", "home", ("read",)),
    ("/inbox", "inbox", ("read", "inbox")),
    ("/deliveries", "deliveries", ("read", "deliveries:replay")),
    ("/failures", "failures", ("read", "deliveries:replay")),
    ("/endpoints", "endpoints", ("read", "webhooks:manage", "webhooks:operate")),
    ("/numbers", "numbers", ("read", "accounts:manage")),
    ("/agents", "agents", ("read", "agents:manage")),
    ("/templates", "templates", ("read", "inbox", "templates:manage")),
    ("/settings", "settings", ("read", "inbox")),
)
"""What the navigation shows: path, name of its text, and the scopes of which one is enough."""
_UNNAMED = {"home", "deliveries", "endpoints", "numbers"}
"""The places of somebody for whom calls are named (`web.named_calls`), beside the inbox where that is named."""


def places_of(caller: Caller) -> list[tuple[str, str]]:
    """Return the places of a caller: paths and names of texts."""
    limits = caller.limits
    if limits is not None and limits.endpoint_id:
        one = limits.endpoint_id
        return [(f"/endpoints/{one}", "endpoint"), (f"/deliveries?endpoint_id={one}", "deliveries")]
    places = [(path, name) for path, name, scopes in PLACES if caller.may(scopes)]
    if limits is None:
        return places
    named = _UNNAMED | ({"inbox", "templates"} if "inbox:read" in limits.named else set())
    return [(path, name) for path, name in places if name in named | ({"settings"} if caller.member_id else set())]


def policy(origins: Sequence[str] = ()) -> str:
    """Return the content security policy of every page; `origins` may show it in a frame."""
    frames = " ".join(origins) or "'none'"
    return (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; media-src 'self'; "
        f"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors {frames}"
    )


def moment(text: str | None) -> Markup:
    """Return a time of the API (RFC 3339) as an element; the reader's browser shows it in the reader's zone."""
    if not text:
        return Markup('<span class="none">–</span>')
    at = datetime.fromisoformat(text)
    return Markup('<time datetime="{}" title="{}">{:%Y-%m-%d %H:%M:%S}</time>').format(text, text, at)


def short(identifier: str) -> Markup:
    """Return an id, shortened to its end, which tells ids apart; a click copies all of it."""
    return Markup('<span class="id" data-copy="{}" title="{}">…{}</span>').format(
        identifier, identifier, identifier[-8:]
    )


@cache
def asset(name: str) -> str:
    """Return the address of a file of `static`; it changes with the file's bytes."""
    return f"/static/{name}?v={hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(words=words, has_words=has_words, asset=asset, version=__version__, once=_once)
    environment.filters.update(moment=moment, short=short, grouped=grouped, sentence=sentence)
    return environment


def _once() -> str:
    """Return an idempotency key for a form, so that a second click does nothing twice."""
    return secrets.token_urlsafe(16)


class Visit:
    """A person who looks at a page.

    `session` is None where nobody is logged in; then there is no `api` to ask. `has_phone`: whether there is a
    simulated customer whose phone may be shown. `sub_path`: what the addresses in its pages begin with.
    """

    def __init__(
        self,
        path: str,
        query: dict[str, str],
        session: Session | None,
        api: Api | None,
        *,
        has_phone: bool = False,
        sub_path: str = "",
    ) -> None:
        self.path = path
        self._sub_path = sub_path
        self.query = query
        self.has_phone = has_phone and session is not None and session.access.operator
        self._session = session
        self._api = api

    @property
    def session(self) -> Session:
        """Return the session, which pages behind the login have."""
        assert self._session is not None  # noqa: S101 - the guard of these pages asks for it
        return self._session

    @property
    def api(self) -> Api:
        """Return the REST API as this person may use it."""
        assert self._api is not None  # noqa: S101 - as above
        return self._api

    def may(self, *scopes: str) -> bool:
        """Return whether the person may make calls that take one of these scopes."""
        return self._session is not None and self._session.caller.may(scopes)

    @property
    def finds(self) -> bool:
        """Return whether the person may look for anything; guests may not."""
        return self.may("read") and self.session.access.named is None

    @property
    def csrf(self) -> str:
        """Return the token that the forms of this page carry."""
        return self.session.csrf

    def with_query(self, **changed: object) -> str:
        """Return this page's path with other parameters; those that are empty are left out."""
        given = {name: str(value) for name, value in {**self.query, **changed}.items() if value not in ("", None)}
        given.pop("done", None)
        return self.path + (f"?{urlencode(given)}" if given else "")

    @property
    def places(self) -> list[tuple[str, str]]:
        """Return what the navigation shows this person: paths and names of texts."""
        return [] if self._session is None else places_of(self._session.caller)

    def page(
        self, template: str, /, *, status: int = 200, frames: Sequence[str] = (), **values: Any
    ) -> Response[bytes]:
        """Return a page. Its template finds `visit` and what is given here; `?done=…` is said at its top.

        `frames`: the sites that may show it in a frame, beside those that the session allows.
        """
        places = [
            (path, name, self.path == path.partition("?")[0] or (path != "/" and self.path.startswith(path + "/")))
            for path, name in self.places
        ]
        done = self.query.get("done", "")
        notice = words(f"done.{done}") if has_words(f"done.{done}") else ""
        html = _templates().get_template(template).render(visit=self, places=places, notice=notice, **values)
        origins = self._session.access.origins if self._session else frames
        headers = {"content-security-policy": policy(origins), "cache-control": "no-store"}
        if not origins:
            headers["x-frame-options"] = "DENY"
        return Response(in_page(html, self._sub_path).encode(), status_code=status, media_type=HTML, headers=headers)

    def back(self, path: str, done: str = "", **query: str) -> Redirect:
        """Return an answer that leads to a page after a form; `done` names the text that is said there."""
        given = {name: value for name, value in {**query, "done": done}.items() if value}
        target = path + (f"?{urlencode(given)}" if given else "")
        return Redirect(target, status_code=303, headers={"cache-control": "no-store"})
