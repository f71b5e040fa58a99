"""The items of a POST from Meta, without any knowledge of what is stored."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from tellwire.model.messaging import Direction
from tellwire.model.units import Seconds

MOST_ITEMS = 10_000
"""How many items of a POST are read: Meta sends up to 1,000 updates in one, of which one may hold a long history."""


class Place(Struct, frozen=True, gc=False):
    """The place of an item in a POST: `pointer` is an RFC 6901 pointer into the body; a missing id is ""."""

    pointer: str
    field: str
    waba_id: str = ""
    phone_number_id: str = ""
    display_phone_number: str = ""


class WebhookContact(Struct, frozen=True, kw_only=True, gc=False):
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
    outgoing media of `history` that names no recipient: its wamid identifies it.
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
    who: WebhookContact | None
    timestamp: Seconds | None = None
    group_id: str = ""
    edits: str = ""
    edited_content: bytes = b""
    revokes: str = ""
    status: str = ""


class StatusUpdate(Struct, frozen=True, kw_only=True, gc=False):
    """A status of a message that went out. `participant` is "" outside groups; `errors` is Meta's array verbatim.

    `payment`: Meta's object of that name, verbatim, for the status of a payment, which is none of the message.
    """

    place: Place
    wamid: str
    name: str
    who: WebhookContact | None
    timestamp: Seconds | None = None
    group_id: str = ""
    participant: str = ""
    pricing: bytes = b""
    errors: bytes = b""
    callback_data: str = ""
    payment: bytes = b""


class AddressChange(Struct, frozen=True, kw_only=True, gc=False):
    """`user_id_update`: the person known by `who.aliases` has the new addresses `who.adds`."""

    place: Place
    who: WebhookContact
    timestamp: Seconds | None = None


class CallMade(Struct, frozen=True, kw_only=True, gc=False):
    """A person called the business: that opens the customer service window, as a message does."""

    place: Place
    who: WebhookContact
    timestamp: Seconds | None = None


class AccountProblem(Struct, frozen=True, kw_only=True, gc=False):
    """`value.errors`: a warning about the account, not a message; `errors` is Meta's array verbatim."""

    place: Place
    errors: bytes


class AccountNotice(Struct, frozen=True, kw_only=True, gc=False):
    """A notice about a business account or one of its numbers: limits, quality, reviews, restrictions.

    `event`: Meta's name for what happened, "" when it gave none. `facts`: what it says of the account, JSON by name.
    `warns`: something is wrong or may soon be. `value` is Meta's, verbatim; `timestamp` its own or its entry's.
    """

    place: Place
    event: str
    value: bytes
    facts: dict[str, bytes] = {}
    warns: bool = False
    timestamp: Seconds | None = None


class TemplateNotice(Struct, frozen=True, kw_only=True, gc=False):
    """A notice about a message template. `changes`: columns of its row and their new values; the rest is as in
    `AccountNotice`."""

    place: Place
    event: str
    value: bytes
    meta_id: str = ""
    name: str = ""
    language: str = ""
    changes: dict[str, str] = {}
    timestamp: Seconds | None = None


class PreferenceChange(Struct, frozen=True, kw_only=True, gc=False):
    """`user_preferences`: a person stops or resumes messages of a category. `choice` is Meta's word (`stop`,
    `resume`); `value` the whole entry, verbatim."""

    place: Place
    who: WebhookContact
    category: str
    choice: str
    value: bytes
    timestamp: Seconds | None = None


class StandbyCopy(Struct, frozen=True, kw_only=True, gc=False):
    """A copy of what happens in a thread that another responder owns: nothing to answer.

    `who`: the person in the thread; None in a group where nobody is named. `value` is Meta's, verbatim.
    """

    place: Place
    kind: Literal["message", "echo", "status"]
    wamid: str
    who: WebhookContact | None
    value: bytes
    timestamp: Seconds | None = None


class ControlChange(Struct, frozen=True, kw_only=True, gc=False):
    """`messaging_handovers`: a thread has another owner. `event` is Meta's word for it; `who` the person in the thread,
    where Meta names one; `value` is Meta's, verbatim."""

    place: Place
    event: Literal["control_passed", "control_taken"]
    who: WebhookContact | None
    value: bytes
    timestamp: Seconds | None = None


class Recorded(Struct, frozen=True, kw_only=True, gc=False):
    """What is understood, and of which nothing is made; `reason` says so in plain words."""

    place: Place
    kind: str
    reason: str


OF_A_MESSAGE = (MessageItem, StatusUpdate)
"""The kinds of item that are about one message and have its wamid for a key. A tuple: every item is checked for it."""

Notice = AccountNotice | TemplateNotice
"""A notice about a business account; as a rule it names no phone_number_id."""


class NotUnderstood(Struct, frozen=True, kw_only=True, gc=False):
    """Anything else, which is kept raw; `reason` says in plain words why it was not understood."""

    place: Place
    kind: str
    reason: str
    wamid: str = ""


Told = PreferenceChange | StandbyCopy | ControlChange
"""What is told as an operational event about a person, and is no row."""

Item = MessageItem | StatusUpdate | AddressChange | CallMade | AccountProblem | Notice | Told | Recorded | NotUnderstood
