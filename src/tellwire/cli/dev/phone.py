"""The customer's phone of `dev`, for the page `/phone`: what they wrote and got, and what they can do."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from itertools import islice

from tellwire.cli.dev.catcher import Catcher
from tellwire.cli.dev.chat import AfterPost, BeforePost, act, customer_of
from tellwire.cli.dev.words import text_of
from tellwire.errors import Invalid
from tellwire.simulator import BUSINESS, Customer, Person, Poster, State, Update
from tellwire.simulator.payloads import notice
from tellwire.web.services import PhoneCatch, PhoneMessage

_MOST = 200
_SHOWN = 40
_LONGEST = 4000
_UNDELIVERABLE = 131026
_ACTS = ("text", "image", "audio", "video", "document", "sticker", "location", "contacts")


class DevPhone:
    """The phone of the customer who acts in `dev`.

    Args:
        before, after: called with each update that the customer causes, before and after it is posted.
    """

    def __init__(self, state: State, catcher: Catcher) -> None:
        self._state = state
        self._catcher = catcher
        self._customer = customer_of(state)
        self._written: deque[tuple[str, PhoneMessage]] = deque(maxlen=_MOST)
        """with the address of who wrote it"""
        self._poster: Poster | None = None
        self._before: BeforePost = lambda _: None
        self._after: AfterPost = lambda _update, _answer: None

    def connect(self, poster: Poster, *, before: BeforePost, after: AfterPost) -> None:
        """Let the customer act, from now on."""
        self._poster, self._before, self._after = poster, before, after

    def become(self, person: Person) -> None:
        """Be the phone of another customer, from now on."""
        self._customer = self._state.customer(BUSINESS, person)

    @property
    def name(self) -> str:
        """Return the customer's name."""
        return self._customer.person.name

    def noted(self, update: Update) -> None:
        """Remember what the customer did, whoever made them do it."""
        if update.kind == "messages":
            item = update.item
            kind, content = item["type"], item.get(item["type"], {})
            at = int(item["timestamp"]) * 1_000_000
            message = PhoneMessage(at, mine=True, kind=kind, text=text_of(kind, content))
            self._written.append((update.person.address, message))

    def messages(self) -> Sequence[PhoneMessage]:
        """Return the newest messages of the chat, oldest first."""
        address = self._customer.person.address
        got = [
            PhoneMessage(each.at, mine=False, kind=each.type, text=text_of(each.type, each.body.get(each.type, {})))
            for each in islice(reversed(self._state.journal.accepted), _MOST)
            if each.recipient in {address, self._customer.person.user_id}
        ]
        written = [message for by, message in self._written if by == address]
        return sorted([*written, *got], key=lambda each: each.at)[-_SHOWN:]

    def catches(self) -> Sequence[PhoneCatch]:
        """Return what the subscribers got, newest first."""
        return [
            PhoneCatch(
                each.format, each.event, each.error, each.body.decode("utf-8", "replace")[:4000], each.message_id
            )
            for each in islice(reversed(self._catcher.recent), _SHOWN)
        ]

    async def act(self, what: str, text: str) -> None:
        """Let the customer do something: a message type, `reply`, `reaction`, `refuse`, `stop` or `resume`.

        Raises:
            Invalid: they cannot do that just now.
        """
        if self._poster is None:
            raise Invalid("The phone is not connected yet: wait a second.")
        at = int(time.time())
        match what:
            case "refuse":
                self._state.fail_next(_UNDELIVERABLE, how="status")
            case "stop" | "resume":
                await self._poster.post(_preference(self._customer, what, at))
            case "reply" | "reaction":
                last = next(reversed(self._customer.received_ids), "")
                if not last:
                    raise Invalid("The business has not written yet, so there is nothing to answer.")
                update = (
                    self._customer.react(last, text or "👍", at=at)
                    if what == "reaction"
                    else self._customer.text(text or "Yes", at=at, reply_to=last)
                )
                await self._post(update)
            case "text":
                if not text:
                    raise Invalid("Write something first.")
                await self._post(self._customer.text(text, at=at))
            case _ if what in _ACTS:
                for update in act(self._state, self._customer, what, **({"caption": text} if text else {})):
                    await self._post(update)
            case _:
                raise Invalid("The phone cannot do this.")

    async def _post(self, update: Update) -> None:
        assert self._poster is not None  # noqa: S101 - `act` has asked
        self._before(update)
        self._state.open_window(self._customer)
        self._after(update, await self._poster.post_updates(update))


def _preference(customer: Customer, choice: str, at: int) -> bytes:
    """Return Meta's POST about a customer who wants no marketing messages, or wants them again."""
    person, business = customer.person, customer.business
    told = {"wa_id": person.wa_id, "category": "marketing_messages", "value": choice, "timestamp": at}
    value = {
        "messaging_product": "whatsapp",
        "metadata": {
            "display_phone_number": business.display_phone_number,
            "phone_number_id": business.phone_number_id,
        },
        "contacts": [{"profile": {"name": person.name}, "wa_id": person.wa_id, "user_id": person.user_id}],
        "user_preferences": [told],
    }
    return notice(business.waba_id, "user_preferences", value, at=at)
