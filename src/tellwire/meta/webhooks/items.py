"""What a POST from Meta says, item by item, before anybody knows what we have stored."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from tellwire.model.messaging import Direction
from tellwire.model.units import Seconds


class Place(Struct, frozen=True, gc=False):
    """Where an item stood: `pointer` is an RFC 6901 pointer into the body; ids are "" when Meta gave none."""

    pointer: str
    field: str
    waba_id: str = ""
    phone_number_id: str = ""
    display_phone_number: str = ""


class Who(Struct, frozen=True, kw_only=True, gc=False):
    """The contact of an item (docs/reference/formats.md, "Who").

    `address` is the first non-empty of the sources in their order, as Meta gave it. `aliases` are all phone numbers
    and user ids that the payload ties to this one person, `address` first. `adds` are the new addresses that a
    system message or a user_id_update brings. Names are None when the payload gives none.
    """

    address: str
    aliases: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()
    name: str | None = None
    username: str | None = None


class MessageItem(Struct, frozen=True, kw_only=True, gc=False):
    """A message: from a customer, an echo of the phone app's, or one of `history`.

    `content` is `{"type": T, T: {...}, ...}`, values verbatim (docs/reference/formats.md, "Content").
    `group_id` is "" outside groups; `who` is the participant then, None when the business itself wrote; also None for
    outgoing media of `history` that names no recipient, to be known by its wamid.
    `edits`/`revokes` name the original's wamid; for an edit `edited_content` is
    `edit.message` in the same shape as `content`. `timestamp` is None when Meta's time is unusable.
    `status` is what history or an echo says the message had reached, "" when nothing.
    """

    place: Place
    origin: Literal["customer", "echo", "history"]
    direction: Direction
    wamid: str
    type: str
    content: bytes
    who: Who | None
    timestamp: Seconds | None = None
    group_id: str = ""
    edits: str = ""
    edited_content: bytes = b""
    revokes: str = ""
    status: str = ""


class StatusUpdate(Struct, frozen=True, kw_only=True, gc=False):
    """A status of a message that went out. `participant` is "" outside groups; `errors` is Meta's array verbatim."""

    place: Place
    wamid: str
    name: str
    who: Who | None
    timestamp: Seconds | None = None
    group_id: str = ""
    participant: str = ""
    pricing: bytes = b""
    errors: bytes = b""
    callback_data: str = ""


class AddressChange(Struct, frozen=True, kw_only=True, gc=False):
    """`user_id_update`: the person known by `who.aliases` has the new addresses `who.adds`."""

    place: Place
    who: Who
    timestamp: Seconds | None = None


class CallMade(Struct, frozen=True, kw_only=True, gc=False):
    """A person called the business: that opens the customer service window, as a message does."""

    place: Place
    who: Who
    timestamp: Seconds | None = None


class AccountProblem(Struct, frozen=True, kw_only=True, gc=False):
    """`value.errors`: a warning about the account, not a message; `errors` is Meta's array verbatim."""

    place: Place
    errors: bytes


class AccountNotice(Struct, frozen=True, kw_only=True, gc=False):
    """News of a business account or of one of its numbers: limits, quality, reviews, restrictions.

    `event`: Meta's word for what happened, "" when it gave none. `facts`: what it says of the account, JSON by name.
    `warns`: something is wrong or may soon be. `value` is Meta's, verbatim; `timestamp` its own or its entry's.
    """

    place: Place
    event: str
    value: bytes
    facts: dict[str, bytes] = {}
    warns: bool = False
    timestamp: Seconds | None = None


class TemplateNotice(Struct, frozen=True, kw_only=True, gc=False):
    """News of a message template. `changes`: columns of its row and what they now hold; the rest as `AccountNotice`."""

    place: Place
    event: str
    value: bytes
    meta_id: str = ""
    name: str = ""
    language: str = ""
    changes: dict[str, str] = {}
    timestamp: Seconds | None = None


Notice = AccountNotice | TemplateNotice
"""What is told of a business account: it names no phone_number_id, as a rule."""


class NotUnderstood(Struct, frozen=True, kw_only=True, gc=False):
    """Anything else: kept raw; `reason` says in plain words why nothing more was made of it."""

    place: Place
    kind: str
    reason: str
    wamid: str = ""


Item = MessageItem | StatusUpdate | AddressChange | CallMade | AccountProblem | Notice | NotUnderstood
