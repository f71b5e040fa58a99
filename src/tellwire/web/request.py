"""Give handlers what they work with: the caller, the store as the caller may use it, and idempotency."""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec
from litestar import Request, Response
from litestar.di import NamedDependency
from sqlalchemy import Connection

from tellwire.errors import BadRequest, Conflict, Invalid, NotFound, Problem, QuotaExceeded, Unauthorized
from tellwire.loops import FairSlots
from tellwire.model.id_form import looks_like_id
from tellwire.model.keys import Keys
from tellwire.model.ledger import KeptAnswer, Ledger
from tellwire.model.quotas import QuotaName
from tellwire.model.tenancy import DEFAULT_ORGANIZATION, Account
from tellwire.ports.formats import ShownIds
from tellwire.security.wrong_keys import WrongKeys
from tellwire.stores.queries import conversations, idempotency, quotas
from tellwire.stores.queries.audit import AuditChange
from tellwire.stores.queries.endpoints import SqlEndpointRepository
from tellwire.web.auth import Auth, Caller
from tellwire.web.operations.figures import Meters
from tellwire.web.parameters import our_id
from tellwire.web.password_work import PasswordWork
from tellwire.web.places import Places
from tellwire.web.problems import problem_of
from tellwire.web.pulls import Pulls
from tellwire.web.responses import JSON
from tellwire.web.services import Services
from tellwire.web.streams import Streams

T = TypeVar("T")

_READS = 4
"""Queries at a time, shared by organization: as many as a store has readers, and one of them is always left."""
_LOGINS_PER_MINUTE, _LOGINS_OF_ALL_PER_MINUTE = 30, 120
"""How many passwords a minute one peer, and all peers together, may try in the console."""
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class AppState:
    """The state that all requests of one app share."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.auth = Auth(services)
        self.in_flight: set[tuple[str, str]] = set()
        self.places = Places()
        self.logins = WrongKeys(most=_LOGINS_PER_MINUTE, most_of_all=_LOGINS_OF_ALL_PER_MINUTE)
        self.provider_logins = WrongKeys(most=_LOGINS_OF_ALL_PER_MINUTE, most_of_all=_LOGINS_OF_ALL_PER_MINUTE)
        self.passwords = PasswordWork()
        self.reads = FairSlots(_READS)
        self.streams = Streams(services, self.reads)
        self.pulls = Pulls(self.streams)
        self.meters = Meters(services)
        self.draining = asyncio.Event()
        self.describe: Callable[[], dict[str, Any]] = dict
        self._openapi = b""
        self._running: set[asyncio.Future[Any]] = set()
        services.store.on_changed(lambda _: self.check_keys())

    def check_keys(self) -> None:
        """Read every key anew, and end the streams of those that are not valid any more."""
        self.auth.ring.forget()
        self.streams.wake()

    async def openapi(self) -> bytes:
        """Return the OpenAPI document as JSON, made in a thread when it is first asked for."""
        self._openapi = self._openapi or msgspec.json.encode(await asyncio.to_thread(self.describe))
        return self._openapi

    def keep_running(self, task: asyncio.Future[Any]) -> None:
        """Keep a reference to a task that continues after its answer."""
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """End all streams, and wait for the tasks that continue after answers."""
        self.streams.stop()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self.auth.ring.settle()


class RequestContext:
    """The context of one request, whose id the caller gave or was given."""

    def __init__(self, app_state: AppState, caller: Caller, request_id: str) -> None:
        self.app_state = app_state
        self.services = app_state.services
        self.caller = caller
        self.organization_id = caller.organization_id
        self.request_id = request_id

    @property
    def sees_nobodys(self) -> bool:
        """Return whether what is nobody's counts as this organization's: for an operator in the default one."""
        return self.caller.operator and self.organization_id == DEFAULT_ORGANIZATION

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run a query, in the organization's turn."""
        async with self.app_state.reads.place(self.organization_id):
            return await self.services.store.read(work)

    async def aside(self, work: Callable[[], T]) -> T:
        """Do in a thread, in the organization's turn, what takes long."""
        async with self.app_state.reads.place(self.organization_id):
            return await asyncio.to_thread(work)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run a change; a problem that it raises rolls back only this change, not others of the same commit.

        Raises:
            Unauthorized: the key was revoked or expired while the request came in.
        """

        def guarded(connection: Connection) -> T | Problem:
            try:
                with connection.begin_nested():
                    return work(connection)
            except Problem as problem:
                return problem

        await self.check_key()
        return await self.unless_refused(self.services.store.write(guarded))

    async def apply(self, keys: Keys, decide: Callable[[Ledger], T]) -> T:
        """Run a decision over a ledger, as the store does.

        Raises:
            Unauthorized: the key was revoked or expired while the request came in.
        """
        await self.check_key()
        return await self.services.store.apply(keys, decide)

    async def unless_refused(self, change: Awaitable[T | Problem]) -> T:
        """Return what a change of the store results in; count it if it is refused because of a quota.

        Raises:
            Problem: the change results in this problem.
        """
        try:
            done = await change
            if isinstance(done, Problem):
                raise done
        except QuotaExceeded as full:
            self.services.counters.quota_refusals[full.quota] += 1
            raise
        return done

    def check_quota(self, connection: Connection, name: QuotaName, organization_id: str = "") -> None:
        """Check, in the transaction that makes one more, that an organization, by default the caller's, may have it.

        Raises:
            QuotaExceeded: it has all that its quota allows.
        """
        whose = organization_id or self.organization_id
        count = quotas.count(connection, name, whose, self.services.clock.now())
        if (refusal := self.services.settings.quotas.refusal(name, count)) is not None:
            raise refusal

    async def still_allowed(self) -> bool:
        """Return whether the key of this request is still valid."""
        return await self.app_state.auth.still_valid(self.caller)

    async def check_key(self) -> None:
        """Raise `Unauthorized` if the key of this request is not valid any more: a body may take long to come."""
        if not await self.still_allowed():
            raise Unauthorized("This API key or session ended meanwhile.", kind="invalid-key")

    def audit_change(self) -> AuditChange:
        """Return the audit record of a change that this caller makes now."""
        return AuditChange(
            self.organization_id, self.caller.actor, self.services.clock.now(), self.services.store.new_id
        )

    def endpoints(self, connection: Connection) -> SqlEndpointRepository:
        """Return the organization's endpoints within a transaction."""
        return SqlEndpointRepository(connection, self.audit_change(), self.services.store.vault)

    def once(
        self, request: Request[Any, Any, Any], digest: bytes | None = None, *, named: tuple[str, str] = ("", "")
    ) -> IdempotentRequest:
        """Return a request that is done once, however often it is sent with the same `Idempotency-Key`.

        Args:
            digest: replaces a body that was read already.
            named: another field that names the request, and its value; with "" the header counts.
        """
        return IdempotentRequest(self, request, digest, named)

    def account_id(self, name: str) -> str:
        """Return our id of an account given by id or phone_number_id, or `name` itself, which matches nothing, if there
        is none."""
        account = self.account(name)
        return name if account is None else account.id

    def account(self, name: str) -> Account | None:
        """Return the organization's account with this id or phone_number_id, None if there is none."""
        return next((account for account in self.accounts if name in (account.id, account.phone_number_id)), None)

    @property
    def accounts(self) -> list[Account]:
        """Return the organization's accounts, oldest first."""
        accounts = self.services.store.registry().accounts.values()
        mine = (account for account in accounts if account.organization_id == self.organization_id)
        return sorted(mine, key=lambda account: account.id)

    async def conversation_filter(self, name: str) -> str:
        """Return our id of a conversation for a filter: "" when none is given, and `name` itself, which matches
        nothing, when there is none."""
        if not name:
            return ""
        try:
            return await self.conversation_id(name)
        except NotFound:
            return name

    def shown_ids(self, name: str) -> ShownIds | None:
        """Return the ids of a payload format of which `name` has the form, None when it has that of none."""
        every = (form.IDS for form in self.services.formats.values())
        return next((ids for ids in every if ids is not None and ids.fits(name)), None)

    async def conversation_id(self, name: str) -> str:
        """Return our id of a conversation given by our id or by that of a payload format.

        Raises:
            NotFound: there is no such conversation.
        """
        if looks_like_id(name):
            return name
        ids, owner = self.shown_ids(name), self.organization_id
        found = "" if ids is None else await self.read(lambda c: conversations.of_shown_id(c, owner, name, ids))
        if not found:
            raise NotFound("There is no conversation with this id.")
        return found

    async def message_id(self, name: str) -> str:
        """Return our id of a message given by our id or by that of a payload format.

        Raises:
            NotFound: `name` does not have the form of an id.
        """
        ids, owner, found = self.shown_ids(name), self.organization_id, name
        if ids is not None:
            found = await self.read(lambda c: conversations.message_of_shown_id(c, owner, name, ids))
        return our_id(found, "message")


ContextDependency = NamedDependency[RequestContext]
StateDependency = NamedDependency[AppState]


class IdempotentRequest:
    """A request that is done once. Use `async with context.once(request) as once`; if `once.kept` is None, change with
    `once.write`.

    `kept` is the answer of an earlier run. The answer is stored in the commit of the change, so that neither exists
    without the other. The key and the request are stored as keyed hashes, because both may name a person who is erased.
    """

    def __init__(
        self,
        context: RequestContext,
        request: Request[Any, Any, Any],
        digest: bytes | None = None,
        named: tuple[str, str] = ("", ""),
    ) -> None:
        self._context = context
        self._request = request
        self._digest = digest
        self._named = named
        self._key = ""
        self._hash = ""
        self.kept: Response[Any] | None = None

    async def __aenter__(self) -> Self:
        name = self._name()
        if not name:
            return self
        key = self._hashed(name)
        place = (self._context.organization_id, key)
        if place in self._context.app_state.in_flight:
            raise _in_flight()
        self._key = key
        self._context.app_state.in_flight.add(place)
        try:
            await self._look()
        except BaseException:
            self._context.app_state.in_flight.discard(place)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._key:
            self._context.app_state.in_flight.discard((self._context.organization_id, self._key))

    def _name(self) -> bytes:
        """Return what names the request, b"" for nothing."""
        field, value = self._named
        if value:
            return f"{field} {value}".encode()  # no header's value has a blank
        given = self._request.headers.getall("idempotency-key", [])
        if len(given) > 1 or (given and not _KEY.fullmatch(given[0])):
            raise BadRequest("Idempotency-Key takes 1 to 255 visible ASCII characters.")
        return given[0].encode() if given else b""

    async def _look(self) -> None:
        body = await self._request.body() if self._digest is None else self._digest
        reach = "operator " if self._context.caller.operator else ""  # what an operator was told is for operators
        head = f"{reach}{self._request.method} {self._request.url.path}\n".encode()
        self._hash = self._hashed(head + body)
        vault, now = self._context.services.store.vault, self._context.services.clock.now()
        kept = await self._context.read(
            lambda c: idempotency.find(c, vault, self._context.organization_id, self._key, now=now)
        )
        if kept is None:
            return
        if kept.request_hash != self._hash:
            field = self._named[0] if self._named[1] else "Idempotency-Key"
            raise Invalid(f"This {field} came with another request before.", kind="idempotency-mismatch")
        if not kept.body:
            words = "This request was done before, and its answer has been erased with the person whom it was about."
            raise problem_of(410, "answer-erased", words)
        self.kept = Response(
            kept.body, status_code=kept.status, media_type=JSON, headers={"idempotency-replayed": "true"}
        )

    def _hashed(self, data: bytes) -> str:
        key = self._context.services.store.registry().media_key
        return hmac.digest(key, b"idempotency\0" + data, "sha256").hex()

    async def write(self, work: Callable[[Connection], tuple[T, bytes]], *, status: int = 201) -> tuple[T, bytes]:
        """Run a change that returns its result and the JSON answer; return both."""
        store, now = self._context.services.store, self._context.services.clock.now()

        def job(connection: Connection) -> tuple[T, bytes]:
            made, body = work(connection)
            if self._key:
                answer = KeptAnswer(self._hash, status, body)
                idempotency.keep(connection, store.vault, self._context.organization_id, self._key, answer, now=now)
            return made, body

        return await self._context.write(job)

    async def amend(self, body: bytes, *, status: int) -> None:
        """Replace the kept answer, which was kept before the final one was known."""
        if self._key:
            store, answer = self._context.services.store, KeptAnswer(self._hash, status, body)
            owner = self._context.organization_id
            await store.write(lambda c: idempotency.amend(c, store.vault, owner, self._key, answer))

    async def forget(self) -> None:
        """Drop the kept answer, because nothing came of the request, which may now be made anew."""
        owner = self._context.organization_id
        await self._context.services.store.write(lambda c: idempotency.forget(c, owner, self._key))
        self.kept = None

    async def apply(
        self, keys: Keys, decide: Callable[[Ledger], T | Problem], render: Callable[[T], bytes], *, status: int
    ) -> tuple[T, bytes]:
        """Run a decision over a ledger; `render` makes the JSON answer of its result. Return both.

        Raises:
            Problem: the decision returned this problem and changed nothing.
        """

        place = (self._context.organization_id, self._key)
        if self._key:
            keys.answers.add(place)

        def job(ledger: Ledger) -> tuple[T, bytes] | Problem:
            if self._key and ledger.answered.get(place, 0) > ledger.now - idempotency.DAY:
                return _in_flight()  # another process has just done it: a repeat gets the answer
            made = decide(ledger)
            if isinstance(made, Problem):
                return made
            body = render(made)
            if self._key:
                ledger.new_answers[place] = KeptAnswer(self._hash, status, body)
            return made, body

        return await self._context.unless_refused(self._context.apply(keys, job))


def _in_flight() -> Conflict:
    return Conflict("A request with this Idempotency-Key is in flight.", kind="idempotency-in-flight")
