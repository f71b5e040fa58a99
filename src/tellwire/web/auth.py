"""Authenticate callers: API keys, their scopes, and the organization that a call acts in."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, cast

import structlog
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from msgspec import Struct

from tellwire.errors import NotAllowed, NotFound, Problem, TooMany, Unauthorized, Unavailable
from tellwire.model.tenancy import DEFAULT_ORGANIZATION, ApiKey
from tellwire.model.units import MINUTE, micros
from tellwire.security import api_keys
from tellwire.security.wrong_keys import WrongKeys, peer_of
from tellwire.stores.queries import console_sessions, organizations
from tellwire.web import named_calls
from tellwire.web.named_calls import Limits
from tellwire.web.services import Services

log = structlog.get_logger("tellwire.web")

_FRESH = micros(5)
_USED_EVERY = MINUTE
_MOST_CACHED = 10_000
_TOGETHER_SECONDS = 0.1
_BEARER = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([\x21-\x7e]{1,512})")
_HEADER = b"tellwire-organization"
KNOWN_CALLER = "known_caller"
"""Under this name the state of a request that a page of the console makes holds its caller. Clients cannot set it."""


class Caller(Struct, frozen=True):
    """The caller of a request, and the organization that the call acts in.

    `operator`: whether the caller runs the installation, by ADMIN_KEY or a key that was made for that. Only operators
    may act in another organization, create organizations, claim a number without proof and see what belongs to none.
    No scope gives any of this. `session`: the SHA-256 (hex) of the console session by which the caller is known, and
    `member_id` the member whose it is. `limits`: what the caller is limited to beside its scopes, None for nothing.
    """

    organization_id: str
    scopes: frozenset[str]
    actor: str
    key: ApiKey | None = None
    operator: bool = False
    session: str = ""
    member_id: str = ""
    limits: Limits | None = None

    @property
    def sees_bodies(self) -> bool:
        """Return whether the caller is shown texts and payloads."""
        return self.limits is None or "bodies" in self.limits.named

    def may(self, scopes: Iterable[str]) -> bool:
        """Return whether the caller has one of these scopes, or `admin`."""
        return "admin" in self.scopes or not self.scopes.isdisjoint(scopes)


class KeyRing:
    """A cache of API keys by hash, for some seconds. A key that this process revokes stops working at once, one that
    another process revokes as soon as the store tells."""

    def __init__(self, services: Services) -> None:
        self._store = services.store
        self._clock = services.clock
        self._known: dict[str, tuple[ApiKey, int, int]] = {}
        self._used: dict[str, int] = {}
        self._revocations = 0
        self._writing: set[asyncio.Task[None]] = set()
        self._asked: set[str] = set()
        self._asking: asyncio.Task[Mapping[str, ApiKey]] | None = None

    async def find(self, digest: str, *, together: bool = False) -> ApiKey | None:
        """Return the record of the key with this SHA-256 if it is valid now, else None.

        `together`: a key that was not known before is looked up with all others that come within a tenth of a second,
        so that a flood of wrong keys is a few queries a second. Keys that were known are never held up.
        """
        now, revocations = self._clock.now(), self._revocations
        record, read_at, read_when = self._known.get(digest, (None, 0, 0))
        if record is None or read_when != revocations or not 0 <= now - read_at < _FRESH:
            found = await (self._together(digest) if together and record is None else self._look_up([digest]))
            record = found.get(digest)
            if record is None:
                self._known.pop(digest, None)
            else:
                if len(self._known) >= _MOST_CACHED:
                    self._known.clear()
                self._known[digest] = (record, now, revocations)
        return record if record is not None and api_keys.is_valid(record, self._clock.now()) else None

    async def _together(self, digest: str) -> Mapping[str, ApiKey]:
        self._asked.add(digest)
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_together())
        return await asyncio.shield(self._asking)

    async def _ask_together(self) -> Mapping[str, ApiKey]:
        await asyncio.sleep(_TOGETHER_SECONDS)
        asked, self._asked, self._asking = self._asked, set(), None
        return await self._look_up(asked)

    async def _look_up(self, digests: Collection[str]) -> Mapping[str, ApiKey]:
        return await self._store.read(lambda c: organizations.keys_of_hashes(c, digests))

    def forget(self) -> None:
        """Read every key anew before it is used again, because one was revoked."""
        self._revocations += 1

    def used(self, record: ApiKey) -> None:
        """Record that a key was used; the store is written at most once a minute."""
        now = self._clock.now()
        last = self._used.get(record.id, record.last_used_at or 0)
        if 0 <= now - last < _USED_EVERY:
            return
        if len(self._used) >= _MOST_CACHED:
            self._used.clear()
        self._used[record.id] = now
        task = asyncio.get_running_loop().create_task(self._write_use(record.id, now))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write_use(self, key_id: str, now: int) -> None:
        try:
            await self._store.write(lambda c: organizations.key_used(c, key_id, now))
        except Unavailable:
            self._used.pop(key_id, None)

    async def settle(self) -> None:
        """Wait until the pending records are written."""
        await asyncio.gather(*self._writing)


class Auth:
    """Recognises callers by the `Authorization` header, and counts wrong keys by peer."""

    def __init__(self, services: Services) -> None:
        self.ring = KeyRing(services)
        self._store = services.store
        self._clock = services.clock
        self._counters = services.counters
        self._wrong_keys = WrongKeys()
        given = ((services.settings.admin_key, "ADMIN_KEY"), (services.local_key, "command line"))
        self._operators = tuple((hashlib.sha256(key.encode()).digest(), actor) for key, actor in given if key)

    async def guard(self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        """Authenticate the caller and check the handler's scopes (`opt["scopes"]`), as a guard of Litestar's.

        Litestar answers OPTIONS itself; any valid key may ask it.
        """
        caller = await self.caller(connection.scope)
        if caller is None:
            raise Unauthorized("Send an API key: `Authorization: Bearer tw_…`.")
        if connection.scope.get("method") != "OPTIONS":
            wanted: tuple[str, ...] = handler.opt["scopes"]
            if not caller.may(wanted):
                raise NotAllowed(f"This key lacks the scope {' or '.join(wanted)}.", kind="insufficient-scope")
        if caller.limits is not None:
            await named_calls.check(
                caller.limits, caller.organization_id, connection.scope, connection.query_params, self._store
            )
        connection.scope["auth"] = caller

    async def caller(self, scope: Mapping[str, Any]) -> Caller | None:
        """Return the caller who sent a request; None when it has no key.

        Raises:
            Unauthorized: the key is malformed, unknown, expired or revoked.
            TooMany: the same, and its peer has sent too many such keys.
            NotAllowed, NotFound: the named organization is not the caller's to act in, or does not exist.
        """
        if (known := scope.get("state", {}).get(KNOWN_CALLER)) is not None:
            return cast("Caller", known)
        headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
        given = [value for name, value in headers if name == b"authorization"]
        if not given:
            return None
        found = _BEARER.fullmatch(given[0])
        if len(given) > 1 or found is None:
            raise self._wrong(_peer(scope), "The Authorization header is not `Bearer tw_…`.")
        return await self.holder(scope, found[1].decode("ascii"))

    async def holder(self, scope: Mapping[str, Any], key: str) -> Caller:
        """Return the caller who sent a request with this key, wherever it stood.

        Raises:
            Unauthorized, TooMany, NotAllowed, NotFound: as `caller` does.
        """
        caller = await self._of_key(key, _peer(scope))
        named = [value for name, value in scope["headers"] if name == _HEADER]
        return await self._acting_in(caller, named) if named else caller

    async def still_valid(self, caller: Caller) -> bool:
        """Return whether the key or the session of a request that takes long is still valid."""
        if caller.session:
            now = self._clock.now()
            return await self._store.read(lambda c: console_sessions.find(c, caller.session, now)) is not None
        return caller.key is None or await self.ring.find(caller.key.hash) is not None

    async def _of_key(self, key: str, peer: str) -> Caller:
        digest = hashlib.sha256(key.encode()).digest()
        for known, actor in self._operators:
            if hmac.compare_digest(digest, known):
                return Caller(DEFAULT_ORGANIZATION, frozenset(("admin",)), actor, operator=True)
        record = None
        if api_keys.has_key_form(key):
            together = self._wrong_keys.too_many(peer, self._clock.now())
            record = await self.ring.find(api_keys.digest(key), together=together)
        if record is None:
            raise self._wrong(peer, "This API key is unknown, expired or revoked.")
        self.ring.used(record)
        return Caller(record.organization_id, frozenset(record.scopes), f"api-key {record.id}", record, record.operator)

    def _wrong(self, peer: str, words: str) -> Problem:
        """Count a wrong key, and return how it is answered. Everybody behind a proxy is one peer, so this never keeps
        a right key from working."""
        verdict = self._wrong_keys.wrong(peer, self._clock.now())
        if verdict.tell:
            log.warning("too_many_wrong_keys", peer=peer, keys=verdict.tell)
        if not verdict.retry_after:
            self._counters.wrong_keys["refused"] += 1
            return Unauthorized(words, kind="invalid-key")
        self._counters.wrong_keys["throttled"] += 1
        words = f"{words} Too many wrong keys came from this address; right ones still work."
        return TooMany(words, retry_after=verdict.retry_after, kind="too-many-wrong-keys")

    async def _acting_in(self, caller: Caller, named: list[bytes]) -> Caller:
        name = named[0].decode("latin-1")
        if len(named) == 1 and name == caller.organization_id:
            return caller
        if not caller.operator:
            raise NotAllowed("This key acts only in its own organization.")
        if len(named) > 1 or await self._store.read(lambda c: organizations.get(c, name)) is None:
            raise NotFound("There is no organization with this id.")
        return Caller(name, caller.scopes, caller.actor, caller.key, caller.operator)


def _peer(scope: Mapping[str, Any]) -> str:
    return peer_of(scope["client"][0]) if scope.get("client") else ""
