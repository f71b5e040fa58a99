"""Meta's side: signed POSTs of messages and statuses, made again until they are answered 200; that is what is owed."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from tests.contract.listening import sending
from tests.proofs.news import PATIENCE, OperationalEvent
from tests.proofs.reconciler import Lane
from tests.world import START, envelope, incoming, status, statuses

import tellwire_sdk
from tellwire.ports.http_out import Request, Sender

APP_SECRET = "an-app-secret-for-the-proofs"
CONTACTS = 20
ANSWERED = 3
_BEGINNING = START // 1_000_000
_STEP_SECONDS = 10
_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 0.5


def contact(number: int) -> str:
    """A contact's phone number."""
    return f"5215500{number:05}"


class Load:
    """Contacts that write in bursts, each one's POSTs one after the other, so that their order is known.

    Args:
        urls: of the servers; each try of a contact goes to the next one.
        seed: of bursts and pauses.
        contacts: how many.
        pause: how long a contact rests between bursts, at most.
        answered: one of so many steps of a contact is statuses of an answer.
    """

    def __init__(
        self, *urls: str, seed: int, contacts: int = CONTACTS, pause: float = 0.6, answered: int = ANSWERED
    ) -> None:
        self.accepted: dict[str, list[str]] = {contact(number): [] for number in range(contacts)}
        self.answers: Counter[int] = Counter()
        """By status; 0: no answer came."""
        self._urls = [f"{url}/meta/webhook" for url in urls]
        self._seed = seed
        self._pause = pause
        self._answered = answered
        self._steps: Counter[int] = Counter()
        self._tries: Counter[int] = Counter()
        self._ending = asyncio.Event()
        self._news = OperationalEvent()

    def owed(self, endpoints: Iterable[str]) -> dict[Lane, list[str]]:
        """What every endpoint must be told: `row` also of each conversation, before its first message."""
        return {
            (name, who): [*(["conversation"] if name.startswith("row") and facts else []), *facts]
            for name in endpoints
            for who, facts in self.accepted.items()
        }

    @property
    def facts(self) -> int:
        """How many facts were accepted."""
        return sum(map(len, self.accepted.values()))

    async def post(self, sender: Sender, body: Any, *, turn: int = 0) -> int:
        """One POST; the status of its answer, 0 when none came."""
        raw = json.dumps(body).encode()
        headers = (
            ("Content-Type", "application/json"),
            ("X-Hub-Signature-256", tellwire_sdk.hub_signature(raw, APP_SECRET)),
        )
        answer = await sender.send(Request(url=self._urls[turn % len(self._urls)], headers=headers, body=raw))
        self.answers[answer.status] += 1
        self._news.tell()
        return answer.status

    def end(self) -> None:
        """Begin nothing new; `loading` ends when all that was begun is accepted."""
        self._ending.set()

    async def more(self, status: int, number: int, *, seconds: float = PATIENCE) -> None:
        """Return once so many more POSTs were answered with this status."""
        goal = self.answers[status] + number
        await self._news.until(lambda: self.answers[status] >= goal, what=f"{number} more {status}s", seconds=seconds)

    async def write_for(self, sender: Sender, number: int) -> None:
        """One contact's life until the end."""
        rng = random.Random(f"{self._seed}/{number}")
        while not self._ending.is_set():
            for _ in range(rng.randint(1, 4)):
                await self._insist(sender, number)
            await self._rest(rng.uniform(0, self._pause))

    async def _insist(self, sender: Sender, number: int) -> None:
        """POST the next step of a contact until it is accepted, as Meta does for days."""
        pause = _FIRST_PAUSE
        while not await self.write(sender, number):
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def write(self, sender: Sender, number: int) -> list[str]:
        """POST the next step of a contact; return the facts that it told, none if it was not accepted."""
        body, facts = posted(number, self._steps[number], answered=self._answered)
        self._tries[number] += 1
        if await self.post(sender, body, turn=number + self._tries[number]) != 200:
            return []
        self._steps[number] += 1
        self.accepted[contact(number)] += facts
        return facts

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._ending.wait()
        except TimeoutError:
            pass


def posted(number: int, step: int, *, answered: int = ANSWERED) -> tuple[Any, list[str]]:
    """A step of a contact: the body, and the facts that it tells. One of so many is two statuses of an answer."""
    who, at = contact(number), _BEGINNING + step * _STEP_SECONDS
    if step % answered == answered - 1:
        wamid = f"wamid.out.{number}.{step}"
        items = [status(wamid, "sent", at, to=who), status(wamid, "delivered", at + 1, to=who)]
        return envelope(statuses(*items)), [f"sent at {at}", f"delivered at {at + 1}"]
    text = f"message {step}"
    return envelope(incoming(f"wamid.in.{number}.{step}", text, sender=who, name="Ann", at=at)), [text]


@asynccontextmanager
async def loading(load: Load) -> AsyncIterator[Load]:
    """Let all contacts write until `end`; what is under way then is accepted before this is left."""
    async with sending() as sender, asyncio.TaskGroup() as writing:
        for number in range(len(load.accepted)):
            writing.create_task(load.write_for(sender, number))
        try:
            yield load
        finally:
            load.end()
