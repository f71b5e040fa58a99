"""Let the simulated customer of `dev` act: a short varied chat, then a slower one that goes on, and answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from itertools import chain, cycle

from tellwire.ports.http_out import Answer
from tellwire.simulator import BUSINESS, HAPPENINGS, PEOPLE, Customer, Person, Poster, State, Update
from tellwire.simulator.acts import ACTS
from tellwire.simulator.checks import MEDIA_TYPES

_OPENING = ("text", "status", "reply", "image", "reaction")
_THEN = ("text", "location", "status", "audio", "edit", "document", "failure", "sticker", "contacts", "interactive")
_FIRST_SECONDS, _PAUSE_SECONDS, _LATER_SECONDS = 1.0, 3.0, 15.0
_LIVELY = 30
_ANSWERS = ("Thanks, that helps! 🙏", "Perfect, thank you!", "Great, see you then 👋")

BeforePost = Callable[[Update], None]
AfterPost = Callable[[Update, Answer], None]


class ChattingCustomer:
    """A simulated customer who chats. The webhooks are posted here, not by the simulator, so that answers are seen.

    Args:
        state: the simulator's state, which holds the customer.
        poster: posts the webhooks.
        before, after: called with each update, before and after it is posted.
    """

    def __init__(self, state: State, poster: Poster, *, before: BeforePost, after: AfterPost) -> None:
        self._state = state
        self._poster = poster
        self._before = before
        self._after = after
        self._customer = customer_of(state)
        self._thanks = cycle(_ANSWERS)

    async def converse(self) -> None:
        """Chat until cancelled. The statuses in it are of messages that other code would have sent."""
        pause = _FIRST_SECONDS
        for number, name in enumerate(chain(_OPENING, cycle(_THEN))):
            await asyncio.sleep(pause)
            for update in act(self._state, self._customer, name):
                await self._post(update)
                await asyncio.sleep(_FIRST_SECONDS)
            pause = _PAUSE_SECONDS if number < _LIVELY else _LATER_SECONDS

    def become(self, person: Person) -> None:
        """Be another customer, from now on."""
        self._customer = self._state.customer(BUSINESS, person)

    async def write(self, text: str) -> None:
        """Write a text."""
        await self._post(self._customer.text(text, at=int(time.time())))

    async def send(self, kind: str) -> None:
        """Send a file of a kind (image, video, audio, document, sticker) that can be downloaded."""
        for update in act(self._state, self._customer, kind):
            await self._post(update)

    async def answer(self, wamid: str) -> None:
        """Answer a person's message with a text, if it was sent to one of the customers who can chat here."""
        customers = (self._state.customer(BUSINESS, person) for person in PEOPLE)
        customer = next((each for each in customers if wamid in each.received_ids), None)
        if customer is None:
            return
        await asyncio.sleep(_FIRST_SECONDS)
        await self._post(customer.text(next(self._thanks), at=int(time.time()), reply_to=wamid))

    async def _post(self, update: Update) -> None:
        self._before(update)
        if update.kind == "messages":
            self._state.open_window(self._state.customer(BUSINESS, update.person))
        self._after(update, await self._poster.post_updates(update))


def both(first: BeforePost, second: BeforePost) -> BeforePost:
    """Return what calls both with each update."""

    def call(update: Update) -> None:
        first(update)
        second(update)

    return call


def customer_of(state: State) -> Customer:
    """Return the customer who chats in `dev`."""
    return state.customer(BUSINESS, PEOPLE[0])


def act(state: State, customer: Customer, name: str, **given: str) -> list[Update]:
    """Let a happening happen, with files that can be downloaded; return its updates."""
    at = int(time.time())
    if name in MEDIA_TYPES:
        return [ACTS[name](state, customer, {**given, "type": name}, at)]
    return HAPPENINGS[name](customer, at)
