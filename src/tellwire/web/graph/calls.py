"""Read a request of a Graph client: its path, its token, its query, and its body as JSON or as a form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from litestar import Request
from msgspec import Struct

from tellwire.errors import BadRequest, TooBig, Unauthorized
from tellwire.meta.raw_json import verbatim
from tellwire.model.tenancy import Account
from tellwire.web.edge import LARGEST_BODY
from tellwire.web.graph.errors import INVALID, GraphError, no_such_path
from tellwire.web.parameters import MOST_VALUES
from tellwire.web.request import AppState, IdempotentRequest, RequestContext

Ask = Request[Any, Any, Any]
Body = Mapping[str, bytes]
"""The members of a body, each as JSON text."""

_VERSION = re.compile(r"v[0-9]{1,3}\.[0-9]{1,3}")
_TOKEN = re.compile(r"(?:bearer|oauth) +([\x21-\x7e]{1,512})", re.IGNORECASE)
_FORM = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"


class Path(Struct, frozen=True):
    """A path under `/graph`: its version as written, the id of an object, and the edge ("" for the object itself)."""

    version: str
    node: str
    edge: str


class Call(Struct, frozen=True, kw_only=True):
    """An authenticated call. `body`: {} of a call without one, and of an upload, which is read as it comes."""

    request: Ask
    context: RequestContext
    path: Path
    query: Mapping[str, str]
    body: Body
    raw: bytes

    @property
    def method(self) -> str:
        return str(self.request.method)

    @property
    def trace(self) -> str:
        """Return the id of the request, which is the `fbtrace_id` of its errors."""
        return str(self.request.scope["state"].get("request_id", ""))

    @property
    def fields(self) -> list[str]:
        """Return the names that `fields` asks for, without what stands in brackets behind them."""
        given = re.sub(r"\{[^{}]*\}", "", self.query.get("fields", ""))
        return [name.partition(".")[0].strip() for name in given.split(",") if name.strip()]

    @property
    def base(self) -> str:
        """Return the URL of this version of the API, as the caller reaches it."""
        services, request = self.context.services, self.request
        root = services.settings.public_url or f"{request.url.scheme}://{request.headers.get('host', '')}"
        return f"{root}/graph/{self.path.version}"

    def once(self, digest: bytes | None = None) -> IdempotentRequest:
        """Return the call as one that is done once under its `Idempotency-Key`."""
        return self.context.once(self.request, self.raw if digest is None else digest)

    def text(self, name: str) -> str:
        """Return a member of the body as text, "" when it is missing or none."""
        value = value_of(self.body.get(name, b"null"))
        return value if isinstance(value, str) else ""

    def accounts(self, waba_id: str = "") -> list[Account]:
        """Return the caller's accounts, or those of one business account."""
        mine = self.context.accounts
        return [each for each in mine if each.waba_id == waba_id] if waba_id else mine


def read_path(request: Ask) -> Path:
    """Return the parts of a path; any version of the form `vNN.N` is one.

    Raises:
        GraphError: it has no version, or more parts than any object has.
    """
    given = request.url.path.removeprefix("/graph").strip("/")
    version, _, rest = given.partition("/")
    node, _, edge = rest.partition("/")
    if not _VERSION.fullmatch(version) or not node or "/" in edge:
        raise no_such_path(f"/{rest if _VERSION.fullmatch(version) else given}")
    return Path(version, node, edge)


def query_of(request: Ask) -> dict[str, str]:
    """Return the query's parameters; of one that is given twice the last counts, as at Meta."""
    return dict(request.query_params.multi_items())


async def read_body(request: Ask) -> tuple[Body, bytes]:
    """Return the members of a body and its bytes; an upload is left unread.

    Raises:
        Problem: it is too large, or neither JSON nor a form.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method in ("GET", "HEAD") or kind == _MULTIPART:
        return {}, b""
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > LARGEST_BODY:
            raise TooBig("The body is larger than 1 MiB.")
    if not raw.strip():
        return {}, raw
    return (_form(raw) if kind == _FORM else _object(raw)), raw


def _object(raw: bytes) -> Body:
    if len(raw) > MOST_VALUES and verbatim.most_values(raw) > MOST_VALUES:
        raise GraphError(INVALID, f"The body holds more than {MOST_VALUES:,} values.")
    value, wrong = verbatim.read(raw)
    if wrong:
        raise BadRequest(f"The body is not JSON that can be read: {wrong}.")
    if not isinstance(value, dict):
        raise GraphError(INVALID, "The body must be a JSON object or a form.")
    return {name: bytes(member) for name, member in (verbatim.members(raw) or {}).items()}


def _form(raw: bytes) -> Body:
    """Return a form's fields as JSON: what is an object or a list there is given as JSON in a field."""
    try:
        pairs = parse_qsl(raw.decode(), keep_blank_values=True, max_num_fields=100, errors="strict")
    except ValueError:
        raise BadRequest("The form could not be read.", kind="bad-form") from None
    return {name: unfolded(msgspec.json.encode(value)) for name, value in pairs}


def unfolded(member: bytes) -> bytes:
    """Return a member as JSON, out of the text that some clients put an object or a list in."""
    text = value_of(member)
    if isinstance(text, str) and text.lstrip().startswith(("{", "[")):
        inner = text.encode("utf-8", "surrogatepass")
        value, wrong = verbatim.read(inner)
        if not wrong and isinstance(value, dict | list):
            return inner
    return member


def without_nulls(member: bytes) -> bytes:
    """Return a member without keys whose value is null: to Meta these are missing, and some clients name every key."""
    return msgspec.json.encode(_without_nulls(value_of(member))) if b"null" in member else member


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


def value_of(member: bytes) -> Any:
    """Return the value of a member; None for what cannot be read."""
    value, wrong = verbatim.read(member)
    return None if wrong else value


async def authenticate(request: Ask, app_state: AppState, query: Mapping[str, str], body: Body) -> RequestContext:
    """Return the context of the caller, whose key is the token, and take a place for the request.

    Raises:
        Problem: there is no such key; its organization has too many requests under way.
    """
    given = request.headers.getall("authorization", [])
    found = _TOKEN.fullmatch(given[0].strip()) if len(given) == 1 else None
    token = found[1] if found else ""
    if not given:
        member = value_of(body.get("access_token", b"null"))
        token = query.get("access_token") or (member if isinstance(member, str) else "")
    if not token and not given:
        raise Unauthorized("Send an API key: `Authorization: Bearer tw_…`, or `access_token`.")
    caller = await app_state.auth.holder(request.scope, token)
    request.scope["auth"] = caller
    app_state.places.take(request.scope, caller.organization_id)  # type: ignore[arg-type]
    return RequestContext(app_state, caller, request.scope["state"]["request_id"])
