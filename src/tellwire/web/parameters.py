"""Read query parameters and bodies strictly: their names, their types and their limits."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar, get_args

import msgspec
from litestar.connection import ASGIConnection
from litestar.dto import AbstractDTO
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.openapi.spec import Reference, Schema
from litestar.params import QueryParameter
from litestar.typing import FieldDefinition

from tellwire.errors import BadRequest, Invalid, NotFound, WrongType
from tellwire.meta.raw_json import verbatim
from tellwire.model.deliveries import DeliveryState
from tellwire.model.id_form import looks_like_id
from tellwire.model.inbound import Outcome
from tellwire.model.messaging import SendState
from tellwire.model.units import Micros
from tellwire.stores.queries.paging import PageRequest
from tellwire.web.problems import invalid_body

T = TypeVar("T")

MOST_VALUES = 20_000
"""How many commas and opening brackets a body may have: the largest message that Meta takes has far fewer."""
ENTITIES = ("messages", "conversations", "operational", "meta")
ACTIONS = ("insert", "update", "item", "post")
DIRECTIONS = ("incoming", "outgoing")
STATUSES = ("open", "closed")
SEND_STATES = get_args(SendState)

Limit = Annotated[int, QueryParameter(ge=1, le=200, description="Rows per page.")]
Cursor = Annotated[
    str, QueryParameter(description="`next_cursor` of the page before; empty for the newest.", max_length=200)
]
Since = Annotated[
    str,
    QueryParameter(
        description="Only rows of this time or later (RFC 3339).",
        schema_extra={"format": "date-time"},
        max_length=64,
    ),
]
Until = Annotated[
    str,
    QueryParameter(
        description="Only rows before this time (RFC 3339).", schema_extra={"format": "date-time"}, max_length=64
    ),
]
AccountName = Annotated[str, QueryParameter(description="A phone_number_id or our id of an account.", max_length=64)]
Name = Annotated[str, QueryParameter(max_length=256)]
WebhookId = Annotated[
    str, QueryParameter(description="The `webhook-id` that your server got, of a replay too.", max_length=256)
]
EntityName = Annotated[str, QueryParameter(schema_extra={"enum": ENTITIES})]
ActionName = Annotated[str, QueryParameter(schema_extra={"enum": ACTIONS})]
DirectionName = Annotated[str, QueryParameter(schema_extra={"enum": DIRECTIONS})]
SendStateName = Annotated[str, QueryParameter(schema_extra={"enum": SEND_STATES})]
StatusName = Annotated[str, QueryParameter(schema_extra={"enum": STATUSES})]
OutcomeName = Annotated[str, QueryParameter(schema_extra={"enum": [*Outcome]})]
StateName = Annotated[  # Litestar reserves the name `state`
    str, QueryParameter(name="state", schema_extra={"enum": [*DeliveryState]})
]

_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,64}))?(?:[Zz]|([+ -])([01]\d|2[0-3]):([0-5]\d))", re.ASCII
)
_PLACE = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INJECTED = frozenset(("data", "context", "request"))


def our_id(text: str, noun: str) -> str:
    """Return an id from a path.

    Raises NotFound if it does not have the form of our ids.
    """
    if not looks_like_id(text):
        raise NotFound(f"There is no {noun} with this id.")
    return text


def instant_of(text: str, name: str) -> Micros | None:
    """Return a time of the query in micros, None when it is not given.

    A space is read as `+`: decoding the query turns an unescaped `+` into a space.
    """
    if not text:
        return None
    found = _INSTANT.fullmatch(text)
    try:
        at = _in_utc(found) if found else None
    except (ValueError, OverflowError):  # a day that does not exist, or is out of range
        at = None
    if found is None or at is None:
        raise Invalid("A time is not valid.", (f"/{name}", "must be RFC 3339, such as 2026-05-06T03:39:23+00:00"))
    return (at - _EPOCH) // timedelta(microseconds=1) + int((found[3] or "0").ljust(6, "0")[:6])


def _in_utc(found: re.Match[str]) -> datetime:
    day, time, _, sign, hours, minutes = found.groups()
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0)) * (-1 if sign == "-" else 1)
    return datetime.fromisoformat(f"{day}T{time}+00:00") - offset


def cursor_of(noun: str, identifier: str) -> str | None:
    """Return the opaque cursor of the page after the row `identifier`; None when there is no next page."""
    if not identifier:
        return None
    return base64.urlsafe_b64encode(f"{noun}:{identifier}".encode()).rstrip(b"=").decode()


def page_request(noun: str, limit: int, cursor: str) -> PageRequest:
    """Return the page that a list is asked for, from its `limit` and `cursor`.

    Raises:
        Invalid: the cursor does not come from this list.
    """
    if not cursor:
        return PageRequest(limit)
    identifier = _read_cursor(noun, cursor)
    if not looks_like_id(identifier):
        raise _bad_cursor()
    return PageRequest(limit, identifier)


def place_cursor(noun: str, place: int) -> str:
    """Return the opaque cursor of the page that begins at a place of a list without ids."""
    return cursor_of(noun, str(place)) or ""


def place_after(noun: str, cursor: str) -> int:
    """Return the place at which a page of a list without ids begins.

    Raises:
        Invalid: the cursor does not come from this list.
    """
    if not cursor:
        return 0
    place = _read_cursor(noun, cursor)
    if not _PLACE.fullmatch(place):
        raise _bad_cursor()
    return int(place)


def _read_cursor(noun: str, cursor: str) -> str:
    """Return what a cursor of this list holds, "" for any other."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii")
    except (ValueError, binascii.Error):
        text = ""
    of, _, held = text.partition(":")
    return held if of == noun else ""


def _bad_cursor() -> Invalid:
    return Invalid("The cursor is not valid.", ("/cursor", "must be the next_cursor of a page of this list"))


def choice(value: str, name: str, *allowed: str) -> str:
    """Return the value of a filter that takes certain words only; "" when it is not given."""
    if value and value not in allowed:
        raise Invalid("A filter is not valid.", (f"/{name}", f"must be one of {', '.join(allowed)}"))
    return value


class Strict(AbstractDTO[T]):
    """A reader of bodies as msgspec reads them: nothing unknown, nothing converted, errors with a JSON pointer."""

    @classmethod
    def generate_field_definitions(cls, model_type: type[Any]) -> Any:  # noqa: ARG003
        """Give nothing: bodies are decoded whole."""
        yield from ()

    @classmethod
    def detect_nested_field(cls, field_definition: FieldDefinition) -> bool:  # noqa: ARG003
        """Return False: bodies are decoded whole."""
        return False

    @classmethod
    def create_for_field_definition(
        cls, field_definition: FieldDefinition, handler_id: str, backend_cls: Any = None
    ) -> None:
        """Prepare nothing: bodies are decoded whole."""

    @classmethod
    def create_openapi_schema(
        cls,
        field_definition: FieldDefinition,  # noqa: ARG003
        handler_id: str,  # noqa: ARG003
        schema_creator: Any,  # noqa: ARG003
    ) -> Reference | Schema:
        """Return an empty schema: `web.docs.openapi` replaces it by msgspec's own."""
        return Schema()

    def decode_bytes(self, value: bytes) -> Any:
        """Return the body as the type that the handler declares.

        Raises:
            BadRequest, Invalid: the body is not JSON; it is not of that type.
        """
        return decode_body(value, body_type(self.asgi_connection.route_handler))


def body_type(handler: Any) -> Any:
    """Return the declared type of a handler's body, None when the handler takes none."""
    field = handler.parsed_data_field if isinstance(handler, HTTPRouteHandler) else None
    return None if field is None else field.annotation


def decode_body(value: bytes, declared: Any) -> Any:
    """Return a body as a value of the declared type.

    Raises:
        BadRequest, Invalid: the body is not JSON; it holds too much, or is not of that type.
    """
    if len(value) > MOST_VALUES and verbatim.most_values(value) > MOST_VALUES:
        raise Invalid(f"The body holds more than {MOST_VALUES:,} values.", kind="too-many-values")
    try:
        try:
            return msgspec.json.decode(value, type=declared)
        except msgspec.ValidationError:
            with suppress(msgspec.ValidationError):
                msgspec.json.decode(value)  # raises when it is not JSON at all, which is the better message
            raise
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise invalid_body(error) from None
    except RecursionError:
        raise BadRequest("The body is nested too deeply.", kind="not-json") from None


async def known_parameters(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Refuse a query parameter that the handler does not know or that is given twice, as a guard of Litestar's."""
    given = [name for name, _ in connection.query_params.multi_items()]
    if not given:
        return
    known = query_names(handler, connection.path_params)
    faults = [(f"/{name}", "is not a query parameter here") for name in dict.fromkeys(given) if name not in known]
    faults += [(f"/{name}", "is given more than once") for name in known if given.count(name) > 1]
    if faults:
        raise Invalid("The query is not valid.", *faults)


def query_names(handler: BaseRouteHandler, path: Mapping[str, Any]) -> list[str]:
    """Return the names of a handler's query parameters."""
    fields = handler.parsed_fn_signature.parameters if isinstance(handler, HTTPRouteHandler) else {}
    return [
        getattr(field.kwarg_definition, "name", None) or name
        for name, field in fields.items()
        if name not in _INJECTED and name not in path
    ]


async def json_body(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Refuse a missing body where one is needed, and one that is not JSON, as a guard of Litestar's."""
    field = handler.parsed_data_field if isinstance(handler, HTTPRouteHandler) else None
    if field is None:
        return
    headers = connection.headers
    if headers.get("content-length", "0").strip("0") == "" and "transfer-encoding" not in headers:
        if not field.is_optional:
            raise BadRequest("This call needs a JSON body.", kind="no-body")
        return
    media_type = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise WrongType("Send the body as Content-Type: application/json.")
