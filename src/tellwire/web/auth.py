"""Authenticate callers: API keys, their scopes, and the organization that a call acts in."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from msgspec import Struct

from tellwire.errors import NotAllowed, NotFound, Unauthorized, Unavailable
from tellwire.model.tenancy import DEFAULT_ORGANIZATION, ApiKey
from tellwire.model.units import MINUTE, micros
from tellwire.security import api_keys
from tellwire.stores.queries import organizations
from tellwire.web.services import Services

_FRESH = micros(5)
_USED_EVERY = MINUTE
_MOST_CACHED = 10_000
_BEARER = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([\x21-\x7e]{1,512})")
_HEADER = b"tellwire-organization"


class Caller(Struct, frozen=True):
    """The caller of a request, and the organization that the call acts in.

    `operator`: whether the caller runs the installation, by ADMIN_KEY or a key that was made for that. Only operators
    may act in another organization, create organizations, claim a number without proof and see what belongs to none.
    No scope gives any of this.
    """

    organization_id: str
    scopes: frozenset[str]
    actor: str
    key: ApiKey | None = None
    operator: bool = False

    def may(self, scopes: Iterable[str]) -> bool:
        """Return whether the caller has one of these scopes, or `admin`."""
        return "admin" in self.scopes or not self.scopes.isdisjoint(scopes)


class KeyRing:
    """A cache of API keys by hash, for some seconds; a key that this process revokes stops working at once."""

    def __init__(self, services: Services) -> None:
        self._store = services.store
        self._clock = services.clock
        self._known: dict[str, tuple[ApiKey, int]] = {}
        self._used: dict[str, int] = {}
        self._revocations = 0
        self._writing: set[asyncio.Task[None]] = set()

    async def find(self, key: str) -> ApiKey | None:
        """Return the record of a key that is valid now, else None."""
        digest, now = api_keys.digest(key), self._clock.now()
        record, read_at = self._known.get(digest, (None, 0))
        if record is None or not 0 <= now - read_at < _FRESH:
            revocations = self._revocations
            record = await self._store.read(lambda c: organizations.key_of_hash(c, digest))
            if record is not None and revocations == self._revocations:
                if len(self._known) >= _MOST_CACHED:
                    self._known.clear()
                self._known[digest] = (record, now)
        return record if record is not None and api_keys.is_valid(record, now) else None

    def forget(self) -> None:
        """Forget all keys, because one was revoked."""
        self._revocations += 1
        self._known.clear()

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
    """Recognises callers by the `Authorization` header."""

    def __init__(self, services: Services) -> None:
        self.ring = KeyRing(services)
        self._store = services.store
        self._admin = (
            hashlib.sha256(services.settings.admin_key.encode()).digest() if services.settings.admin_key else b""
        )

    async def guard(self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        """Authenticate the caller and check the handler's scopes (`opt["scopes"]`), as a guard of Litestar's.

        Litestar answers OPTIONS itself; any valid key may ask it.
        """
        headers = connection.scope["headers"]
        caller = await self.caller(headers)
        if caller is None:
            raise Unauthorized("Send an API key: `Authorization: Bearer tw_…`.")
        if connection.scope.get("method") != "OPTIONS":
            wanted: tuple[str, ...] = handler.opt["scopes"]
            if not caller.may(wanted):
                raise NotAllowed(f"This key lacks the scope {' or '.join(wanted)}.", kind="insufficient-scope")
        connection.scope["auth"] = caller

    async def caller(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller | None:
        """Return the caller who sent these headers; None when they have no key.

        Raises:
            Unauthorized: the key is malformed, unknown, expired or revoked.
            NotAllowed, NotFound: the named organization is not the caller's to act in, or does not exist.
        """
        given = [value for name, value in headers if name == b"authorization"]
        if not given:
            return None
        found = _BEARER.fullmatch(given[0])
        if len(given) > 1 or found is None:
            raise Unauthorized("The Authorization header is not `Bearer tw_…`.", kind="invalid-key")
        caller = await self._of_key(found[1].decode("ascii"))
        named = [value for name, value in headers if name == _HEADER]
        return await self._acting_in(caller, named) if named else caller

    async def _of_key(self, key: str) -> Caller:
        if self._admin and hmac.compare_digest(hashlib.sha256(key.encode()).digest(), self._admin):
            return Caller(DEFAULT_ORGANIZATION, frozenset(("admin",)), "ADMIN_KEY", operator=True)
        record = await self.ring.find(key) if api_keys.has_key_form(key) else None
        if record is None:
            raise Unauthorized("This API key is unknown, expired or revoked.", kind="invalid-key")
        self.ring.used(record)
        return Caller(record.organization_id, frozenset(record.scopes), f"api-key {record.id}", record, record.operator)

    async def _acting_in(self, caller: Caller, named: list[bytes]) -> Caller:
        name = named[0].decode("latin-1")
        if len(named) == 1 and name == caller.organization_id:
            return caller
        if not caller.operator:
            raise NotAllowed("This key acts only in its own organization.")
        if len(named) > 1 or await self._store.read(lambda c: organizations.get(c, name)) is None:
            raise NotFound("There is no organization with this id.")
        return Caller(name, caller.scopes, caller.actor, caller.key, caller.operator)
