"""Define what several nouns show: times, rows and pages, as OpenAPI describes them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from tellwire.model.row_json import instant
from tellwire.model.units import Micros

When = Annotated[str, Meta(extra_json_schema={"format": "date-time"}, description="RFC 3339, in UTC.")]
Id = Annotated[str, Meta(description="One of our ids (UUIDv7).")]
NextCursor = Annotated[str | None, Meta(description="Give it as `cursor` for the next page; null on the last one.")]
# One line of text, without characters that break a log, a header or PostgreSQL.
LINE = r"^(?![\s\S]*[\u0000-\u001f\u007f])"


class ContactShown(Struct):
    """A contact as a message row shows it."""

    name: str | UnsetType = UNSET
    username: str | UnsetType = UNSET
    phone: str | UnsetType = UNSET
    user_id: str | UnsetType = UNSET


class MediaShown(Struct):
    """A file as a message row shows it; `sha256` as Meta gave it."""

    id: Id
    url: str
    mime_type: str
    sha256: str
    filename: str | UnsetType = UNSET


class MessageRow(Struct, kw_only=True):
    """A row of `messages`, as in the `row` format. Keys without a value are left out."""

    id: Id
    conversation_id: Id
    organization_id: Id
    direction: Literal["incoming", "outgoing"]
    agent_id: str | UnsetType = UNSET
    content: dict[str, Any]
    status: dict[str, Any]
    wa_id: str | UnsetType = UNSET
    from_: str | UnsetType = field(name="from", default=UNSET)
    created_at: When
    updated_at: When
    to: str | UnsetType = UNSET
    timestamp: When | UnsetType = UNSET
    contact: ContactShown | UnsetType = UNSET
    pricing: Any | UnsetType = UNSET
    media: list[MediaShown] | UnsetType = UNSET


class ConversationRow(Struct, kw_only=True):
    """A row of `conversations`, as in the `row` format."""

    id: Id
    organization_id: Id
    organization_address: str
    contact_address: str
    service: str
    status: Literal["open", "closed"]
    created_at: When
    updated_at: When


def when(at: Micros | None) -> str | None:
    """Return a time as text; None for None and for 0."""
    return instant(at) if at else None
