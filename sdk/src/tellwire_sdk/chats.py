"""The `chat` format: incoming messages and statuses, as WappCloud sends them too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from tellwire_sdk.meta_errors import MetaError
from tellwire_sdk.records import Reader, Record, an_object, flag, several, text
from tellwire_sdk.times import unix_time


@dataclass(frozen=True, kw_only=True)
class Participants(Record):
    """The two sides of a message: `sender` is always the contact and `receiver` the business, in statuses too."""

    READERS: ClassVar[Mapping[str, Reader]] = {"sender": an_object, "receiver": an_object}

    sender: Mapping[str, Any]
    receiver: Mapping[str, Any]

    @property
    def contact(self) -> str:
        """The contact's number without `+`, or user id."""
        return _text(self.sender.get("from"))

    @property
    def name(self) -> str:
        """The contact's profile name, "" when unknown."""
        profile = self.sender.get("profile")
        return _text(profile.get("name")) if isinstance(profile, Mapping) else ""

    @property
    def business(self) -> str:
        """The business's number without `+`, or phone_number_id."""
        return _text(self.receiver.get("to"))


@dataclass(frozen=True, kw_only=True)
class Message(Record):
    """An incoming message; the object named by `type` and every other key of Meta's are in `extra`."""

    READERS: ClassVar[Mapping[str, Reader]] = {"conversation_id": text, "timestamp": text, "type": text}

    conversation_id: str
    timestamp: str
    type: str

    @property
    def content(self) -> dict[str, Any]:
        """The content as the `row` format has it: `{"type": T, T: {...}, ...}`."""
        return {"type": self.type, **self.extra}

    @property
    def sent(self) -> datetime | None:
        """`timestamp`, Meta's time of the message, as an aware datetime."""
        return unix_time(self.timestamp)


@dataclass(frozen=True, kw_only=True)
class Pricing(Record):
    """What Meta says about the price of a message."""

    READERS: ClassVar[Mapping[str, Reader]] = {"meta_billable": flag, "meta_category": text, "meta_type": text}

    meta_billable: bool | None = None
    meta_category: str | None = None
    meta_type: str | None = None


@dataclass(frozen=True, kw_only=True)
class Status(Record):
    """A status that an outgoing message reached; `errors` only when it is `failed`."""

    READERS: ClassVar[Mapping[str, Reader]] = {
        "conversation_id": text,
        "status": text,
        "timestamp": text,
        "errors": several(MetaError.read),
        "meta_pricing": Pricing.read,
    }

    conversation_id: str
    status: str
    timestamp: str
    errors: tuple[MetaError, ...] = ()
    meta_pricing: Pricing | None = None

    @property
    def reached(self) -> datetime | None:
        """`timestamp`, Meta's time of the status, as an aware datetime."""
        return unix_time(self.timestamp)


@dataclass(frozen=True, kw_only=True)
class ChatMessage(Record):
    """`incoming_message`: a contact wrote."""

    READERS: ClassVar[Mapping[str, Reader]] = {
        "messaging_product": text,
        "message_type": text,
        "participants": Participants.read,
        "message": Message.read,
    }

    messaging_product: str | None = None
    message_type: str
    participants: Participants
    message: Message


@dataclass(frozen=True, kw_only=True)
class ChatStatus(Record):
    """`status_update`: an outgoing message was sent, delivered, read, played, or failed."""

    READERS: ClassVar[Mapping[str, Reader]] = {
        "messaging_product": text,
        "message_type": text,
        "participants": Participants.read,
        "statuses": several(Status.read),
    }

    messaging_product: str | None = None
    message_type: str
    participants: Participants
    statuses: tuple[Status, ...]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
