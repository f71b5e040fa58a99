"""PURE but for the `Random` that is passed in. Simulate a customer: each thing that they do, as the update that Meta
sends."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from tellwire.simulator.payloads import Business, Json, Person, Update, message, status, wamid

_MEDIA: dict[str, Json] = {
    "image": {"mime_type": "image/jpeg"},
    "video": {"mime_type": "video/mp4"},
    "audio": {"mime_type": "audio/ogg; codecs=opus", "voice": True},
    "document": {"filename": "order/2026-11.pdf", "mime_type": "application/pdf"},
    "sticker": {"mime_type": "image/webp", "animated": False},
}
_CAPTIONED = {"image", "video", "document"}
_FREE = {"billable": False, "pricing_model": "PMP", "category": "service", "type": "free_customer_service"}
_PRICED = {"sent", "delivered"}
_UNDELIVERABLE = {
    "code": 131026,
    "title": "Message undeliverable",
    "message": "Message undeliverable",
    "error_data": {"details": "Message Undeliverable."},
    "href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
}
_UNSUPPORTED = {
    "code": 131051,
    "title": "Message type unknown",
    "message": "Message type unknown",
    "error_data": {"details": "Message type is currently not supported."},
}


class Customer:
    """A person who chats with a business. Each method is a thing that they do at `at` (Unix seconds); it returns Meta's
    update about it and sends nothing. `sent_ids`: the messages that they wrote, `received_ids`: those that they got.
    """

    def __init__(self, person: Person, business: Business, random: Random) -> None:
        self.person = person
        self.business = business
        self.random = random
        self.sent_ids: list[str] = []
        self.received_ids: list[str] = []

    def text(self, body: str, *, at: int, reply_to: str = "") -> Update:
        """Write a text, perhaps in reply to the message `reply_to`."""
        return self._say("text", {"body": body}, at=at, reply_to=reply_to)

    def media(
        self, kind: str, *, at: int, caption: str = "", reply_to: str = "", file: Mapping[str, str] | None = None
    ) -> Update:
        """Send an image, video, audio, document or sticker; Meta's link to it works for five minutes.

        Args:
            file: `id`, `sha256`, `url` and perhaps more fields of a file that exists; invented when None.
        """
        content: Json = {"caption": caption} if caption and kind in _CAPTIONED else {}
        content |= {**_MEDIA[kind], **(self._made_up(at) if file is None else file)}
        return self._say(kind, content, at=at, reply_to=reply_to)

    def _made_up(self, at: int) -> Json:
        number = str(self.random.randrange(10**14, 10**15))
        digest = self.random.randbytes(32)
        link = f"https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid={number}&source=webhook&ext={at + 300}"
        return {"sha256": base64.b64encode(digest).decode(), "id": number, "url": link}

    def location(self, *, at: int) -> Update:
        """Send a location."""
        place = {"latitude": 19.432608, "longitude": -99.133209, "name": "Café Ñandú", "address": "Calle 1/2, Centro"}
        return self._say("location", place, at=at)

    def card(self, *, at: int) -> Update:
        """Send a contact card."""
        name = {"formatted_name": "Inés Ejemplo", "first_name": "Inés", "last_name": "Ejemplo"}
        phone = {"phone": "+52 1 55 0000 0099", "wa_id": "5215500000099", "type": "CELL"}
        return self._say("contacts", [{"name": name, "phones": [phone]}], at=at)

    def react(self, wamid: str, emoji: str, *, at: int) -> Update:
        """React to a message; "" as `emoji` removes the reaction."""
        return self._say("reaction", {"message_id": wamid} | ({"emoji": emoji} if emoji else {}), at=at)

    def choose(self, identifier: str, title: str, *, at: int, reply_to: str = "") -> Update:
        """Tap a reply button of an interactive message."""
        reply = {"type": "button_reply", "button_reply": {"id": identifier, "title": title}}
        return self._say("interactive", reply, at=at, reply_to=reply_to)

    def pick(self, identifier: str, title: str, description: str = "", *, at: int, reply_to: str = "") -> Update:
        """Pick a row of a list message."""
        row = {"id": identifier, "title": title} | ({"description": description} if description else {})
        return self._say("interactive", {"type": "list_reply", "list_reply": row}, at=at, reply_to=reply_to)

    def press(self, payload: str, text: str, *, at: int, reply_to: str = "") -> Update:
        """Press a quick reply button of a template message."""
        return self._say("button", {"payload": payload, "text": text}, at=at, reply_to=reply_to)

    def unsupported(self, kind: str, *, at: int) -> Update:
        """Do something that the Cloud API does not support, a poll for example."""
        update = self._say("unsupported", {"type": kind}, at=at)
        update.item["errors"] = [_UNSUPPORTED]
        return update

    def edit(self, wamid: str, body: str, *, at: int) -> Update:
        """Change the text of the customer's own message (numbers in coexistence only)."""
        content = {"original_message_id": wamid, "message": {"type": "text", "text": {"body": body}}}
        return self._say("edit", content, at=at, memorable=False)

    def revoke(self, wamid: str, *, at: int) -> Update:
        """Delete the customer's own message for everyone (numbers in coexistence only)."""
        return self._say("revoke", {"original_message_id": wamid}, at=at, memorable=False)

    def sent_message(self) -> str:
        """Return the id of a new message that the business sends to this customer with another program."""
        made = wamid(self.person.address, self._key(18), outgoing=True)
        self.received_ids.append(made)
        return made

    def status(self, wamid: str, name: str, *, at: int, callback_data: str = "") -> Update:
        """Return a status of a message to this customer: sent, delivered, read, played or failed."""
        failed = name == "failed"
        item = status(
            self.person,
            wamid=wamid,
            name=name,
            at=at,
            pricing=dict(_FREE) if name in _PRICED else None,
            errors=[_UNDELIVERABLE] if failed else [],
            callback_data=callback_data,
        )
        return self._update("statuses", item, introduced=not failed)

    def _say(self, kind: str, content: Any, *, at: int, reply_to: str = "", memorable: bool = True) -> Update:
        made = wamid(self.person.address, self._key(20))
        if memorable:
            self.sent_ids.append(made)
        context = {"from": self._author(reply_to), "id": reply_to} if reply_to else None
        return self._update(
            "messages", message(self.person, wamid=made, at=at, type=kind, content=content, context=context)
        )

    def _author(self, wamid: str) -> str:
        return self.person.address if wamid in self.sent_ids else self.business.display_phone_number

    def _update(self, kind: Any, item: Json, *, introduced: bool = True) -> Update:
        return Update(business=self.business, person=self.person, kind=kind, item=item, introduced=introduced)

    def _key(self, digits: int) -> str:
        return f"{self.random.getrandbits(4 * digits):0{digits}X}"


# --- what a customer may do -------------------------------------------------------------------------------------

_LINES = (
    "Hello! Is the blue one still available?",
    "¿Tienen envío a domicilio? 🚚",
    "Thanks 🙏",
    "Do you open on Sundays / holidays?",
    "Could you send me the invoice?",
    "Perfeito, até amanhã!",
    "What does delivery to the centre cost?",
)
_EMOJI = ("👍", "❤️", "😂", "🙏")


def _line(customer: Customer) -> str:
    return customer.random.choice(_LINES)


def _earlier(customer: Customer, at: int) -> tuple[list[Update], str]:
    """Return the update of a new message, if one had to be written, and the id of a message of the customer's."""
    if customer.sent_ids:
        return [], customer.random.choice(customer.sent_ids)
    first = customer.text(_line(customer), at=at)
    return [first], first.wamid


def _text(customer: Customer, at: int) -> list[Update]:
    return [customer.text(_line(customer), at=at)]


def _reply(customer: Customer, at: int) -> list[Update]:
    before, wamid = _earlier(customer, at)
    return [*before, customer.text(_line(customer), at=at, reply_to=wamid)]


def _media(kind: str) -> Happening:
    def happen(customer: Customer, at: int) -> list[Update]:
        return [customer.media(kind, at=at, caption=_line(customer))]

    return happen


def _location(customer: Customer, at: int) -> list[Update]:
    return [customer.location(at=at)]


def _contacts(customer: Customer, at: int) -> list[Update]:
    return [customer.card(at=at)]


def _reaction(customer: Customer, at: int) -> list[Update]:
    before, wamid = _earlier(customer, at)
    return [*before, customer.react(wamid, customer.random.choice(_EMOJI), at=at)]


def _interactive(customer: Customer, at: int) -> list[Update]:
    return [customer.choose("yes", "Yes, please", at=at, reply_to=customer.sent_message())]


def _unsupported(customer: Customer, at: int) -> list[Update]:
    return [customer.unsupported("poll", at=at)]


def _edit(customer: Customer, at: int) -> list[Update]:
    written = customer.text(_line(customer), at=at)
    return [written, customer.edit(written.wamid, _line(customer), at=at + 1)]


def _revoke(customer: Customer, at: int) -> list[Update]:
    written = customer.text(_line(customer), at=at)
    return [written, customer.revoke(written.wamid, at=at + 1)]


def _statuses(*names: str) -> Happening:
    def happen(customer: Customer, at: int) -> list[Update]:
        wamid = customer.sent_message()
        return [customer.status(wamid, name, at=at + second) for second, name in enumerate(names)]

    return happen


Happening = Callable[[Customer, int], list[Update]]
"""Something that a customer does at a time (Unix seconds), with random words and ids; it returns Meta's updates."""

HAPPENINGS: dict[str, Happening] = {
    "text": _text,
    "reply": _reply,
    "image": _media("image"),
    "video": _media("video"),
    "audio": _media("audio"),
    "document": _media("document"),
    "sticker": _media("sticker"),
    "location": _location,
    "contacts": _contacts,
    "reaction": _reaction,
    "interactive": _interactive,
    "unsupported": _unsupported,
    "edit": _edit,
    "revoke": _revoke,
    "status": _statuses("sent", "delivered", "read"),
    "failure": _statuses("sent", "failed"),
}
"""What `tellwire simulate --types` takes, by name. `status` and `failure` are of messages that another program sent."""
