"""USE CASE. Keeps templates as Meta lists them: synchronises them from time to time and after notices, creates and
deletes them there."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from typing import Literal, Protocol

import msgspec
from msgspec import Struct

from tellwire.accounts import facts
from tellwire.accounts.templates import FIELDS, Listed, SyncCounts, TemplateStatus, read_page
from tellwire.errors import MetaRefused, MetaUnreachable, Problem
from tellwire.meta.errors import status_errors
from tellwire.model.registry import Registry
from tellwire.model.tenancy import Account
from tellwire.model.units import HOUR, MINUTE, Micros
from tellwire.ports.clock import Clock
from tellwire.ports.http_out import Answer, Graph

_EVERY = HOUR
_FIRST_GAP = MINUTE
MAX_CONCURRENT = 4
"""Synchronisations at a time, shared by organization."""
_MOST_PAGES = 200
_LIMITS = ("100", "20", "5")
"""Templates per page: fewer when the answer is too large to be read."""

_TOKEN_CODES = (0, 190)

Method = Literal["GET", "POST", "DELETE"]


class CreatedTemplate(Struct, frozen=True):
    """What Meta answers about a template that it created: its id at Meta, its status and its category."""

    meta_id: str
    status: str
    category: str


class TemplateRepository(Protocol):
    """Stores the templates that Meta lists (`stores.template_repository`)."""

    def registry(self) -> Registry: ...

    async def sync_statuses(self) -> list[TemplateStatus]: ...

    async def keep(
        self, account: Account, listed: Sequence[Listed], *, started: Micros, now: Micros, due_at: Micros
    ) -> SyncCounts: ...

    async def failed(
        self, account: Account, cause: str, *, now: Micros, due_at: Micros, token_refused: bool = False
    ) -> None: ...


class TemplateSync:
    """Synchronises the templates of business accounts with Meta. `random` in [0, 1) spreads the times; `turn` is held
    while those of an organization are synchronised."""

    def __init__(
        self,
        repository: TemplateRepository,
        graph: Graph,
        clock: Clock,
        random: Callable[[], float],
        turn: Callable[[str], AbstractAsyncContextManager[None]] = lambda _: nullcontext(),
    ) -> None:
        self._repository = repository
        self._graph = graph
        self._clock = clock
        self._random = random
        self._turn = turn

    async def synchronise_due(self) -> int:
        """Synchronise every business account that is due, and return how many; a failure is recorded and tried again
        later."""
        done: set[tuple[str, str]] = set()
        while due := await self._due(done):
            for account, attempts in due:
                with suppress(Problem):  # its cause is recorded
                    await self.synchronise(account, attempts=attempts)
                done.add((account.organization_id, account.waba_id))
        return len(done)

    async def _due(self, done: Container[tuple[str, str]]) -> list[tuple[Account, int]]:
        """Return one business account of each organization that has some due and not `done`, with its failed attempts:
        whoever has many waits for others, and who comes meanwhile has the next turn."""
        now = self._clock.now()
        statuses = {(each.organization_id, each.waba_id): each for each in await self._repository.sync_statuses()}
        found: dict[str, tuple[Account, int]] = {}
        for key, account in self._wanted().items():
            known = statuses.get(key)
            if key not in done and (known is None or known.due_at <= now):
                found.setdefault(account.organization_id, (account, known.attempts if known else 0))
        return list(found.values())

    def _wanted(self) -> Mapping[tuple[str, str], Account]:
        """Return an account with a token per organization and business account, if possible one whose token Meta did
        not refuse."""
        found: dict[tuple[str, str], Account] = {}
        for account in sorted(self._repository.registry().accounts.values(), key=_preference):
            if account.waba_id and account.access_token:
                found.setdefault((account.organization_id, account.waba_id), account)
        return found

    async def synchronise(self, account: Account, *, attempts: int = 0) -> SyncCounts:
        """Make the stored templates of a business account those that Meta lists, in the organization's turn.

        Raises:
            MetaRefused, MetaUnreachable: Meta gave no list; the cause is recorded, and another try follows later.
        """
        async with self._turn(account.organization_id):
            return await self._synchronise(account, attempts)

    async def _synchronise(self, account: Account, attempts: int) -> SyncCounts:
        started = self._clock.now()
        listed = await self._list(account, attempts)
        now = self._clock.now()
        return await self._repository.keep(account, listed, started=started, now=now, due_at=self._spread(now, _EVERY))

    async def _list(self, account: Account, attempts: int) -> list[Listed]:
        listed: list[Listed] = []
        after, limits = "", list(_LIMITS)
        for _ in range(_MOST_PAGES):
            query = {"fields": FIELDS, "limit": limits[0]} | ({"after": after} if after else {})
            answer = await self._ask(account, "GET", query=query)
            if answer.ok and answer.truncated and len(limits) > 1:
                limits.pop(0)
                continue
            page = read_page(answer.body) if answer.ok and not answer.truncated else None
            if page is None:
                raise await self._failed(account, answer, attempts)
            found, after = page
            listed += found
            if not after:
                return listed
        raise await self._failed(account, Answer(cause="Meta's list does not end"), attempts)

    async def _failed(self, account: Account, answer: Answer, attempts: int) -> Problem:
        problem, now = refusal(account, answer), self._clock.now()
        gap = min(_FIRST_GAP << min(attempts, 6), _EVERY)
        await self._repository.failed(
            account,
            problem.detail,
            now=now,
            due_at=self._spread(now, gap),
            token_refused=token_refused(answer),
        )
        return problem

    def _spread(self, now: Micros, gap: Micros) -> Micros:
        return now + gap + int(gap * self._random() / 10)

    async def create(self, account: Account, draft: Mapping[str, object]) -> CreatedTemplate:
        """Create a template at Meta.

        Raises:
            MetaRefused, MetaUnreachable: Meta did not do so, or its answer does not say that it did.
        """
        answer = await self._ask(account, "POST", body=msgspec.json.encode(draft))
        if not answer.ok:
            raise refusal(account, answer)
        try:
            made = msgspec.json.decode(answer.body, type=_Created)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise MetaUnreachable("Meta's answer does not say what it created; the template may exist.") from None
        return CreatedTemplate(str(made.id), made.status or "PENDING", made.category or str(draft["category"]))

    async def delete(self, account: Account, name: str, meta_id: str = "") -> None:
        """Delete a template at Meta: the one language with the id `meta_id`, or all languages when that is "".

        Raises:
            MetaRefused, MetaUnreachable: Meta did not do so, or its answer does not say that it did.
        """
        answer = await self._ask(account, "DELETE", query={"name": name} | ({"hsm_id": meta_id} if meta_id else {}))
        if not answer.ok:
            raise refusal(account, answer)

    async def _ask(
        self, account: Account, method: Method, *, query: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        path = f"{account.waba_id}/message_templates"
        return await self._graph.ask(account.access_token, path, method=method, query=query, body=body)


def _preference(account: Account) -> tuple[bool, str]:
    return facts.token_refused(facts.known(account.about)), account.id


class _Created(Struct):
    id: str | int
    status: str = ""
    category: str = ""


def refusal(account: Account, answer: Answer) -> Problem:
    """Return the problem that an unsuccessful answer amounts to, in Meta's words, without the token, which Meta may
    quote."""
    errors = () if answer.failure else status_errors(answer.body)
    if answer.failure or not errors or not 400 <= answer.status < 500:
        cause = answer.cause or f"it answered {answer.status}"
        return MetaUnreachable(f"Meta did not answer as it should: {cause}.")
    error = errors[0]
    words = ": ".join(word for word in (error.message, error.details) if word) or "without a reason"
    if account.access_token:
        words = words.replace(account.access_token, "…")
    return MetaRefused(f"Meta refuses it, code {error.code}: {words}")


def token_refused(answer: Answer) -> bool:
    """Return whether an answer says that the token is not valid."""
    errors = () if answer.failure or answer.ok else status_errors(answer.body)
    return answer.status == 401 and bool(errors) and errors[0].code in _TOKEN_CODES
