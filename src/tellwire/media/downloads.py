"""Fetches the files of messages from Meta, several at once, after their rows are there; and removes what was erased.

A row that is `waiting` is the truth: whoever finds it due fetches it. Bytes that were written twice are the same bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, Protocol, TypeVar

import structlog
from msgspec import Struct
from sqlalchemy import Connection

from tellwire.errors import Broken, TooLarge, Unavailable
from tellwire.media import download_rules
from tellwire.media.download_rules import Described, FetchRefused
from tellwire.media.hosts import may_see_token
from tellwire.model import operational_events
from tellwire.model.messaging import Media
from tellwire.model.registry import Registry
from tellwire.model.tenancy import Account
from tellwire.observability.counters import Counters
from tellwire.ports.clock import Clock
from tellwire.ports.http_out import Graph
from tellwire.ports.media import MediaStore, MediaWire
from tellwire.stores.queries import media as media_queries
from tellwire.stores.queries import operational
from tellwire.stores.queries.audit import OURSELVES, AuditChange

log = structlog.get_logger("tellwire")
T = TypeVar("T")

AT_ONCE = 4
_POLL_SECONDS = 1.0
_STRIDE = 50
_UNFINISHED_SECONDS = 3600.0


class Store(Protocol):
    """What of a store downloads need."""

    counters: Counters

    def registry(self) -> Registry: ...

    def new_id(self) -> str: ...

    async def read(self, work: Callable[[Connection], T]) -> T: ...

    async def write(self, work: Callable[[Connection], T]) -> T: ...


class Source(Struct, frozen=True, kw_only=True):
    """Where files come from, and how large one may be. `graph_url` is META_GRAPH_URL."""

    graph: Graph
    wire: MediaWire
    graph_url: str
    most_bytes: int


class Mismatch(Exception):  # noqa: N818 - named after what is wrong
    """The bytes are not those that Meta announced."""


class DownloadWorker:
    """Makes rounds while `owns` says that this process is the one that does."""

    def __init__(self, store: Store, files: MediaStore, clock: Clock, source: Source, owns: Callable[[], bool]) -> None:
        self._store = store
        self._files = files
        self._clock = clock
        self._source = source
        self._owns = owns
        self._wake = asyncio.Event()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._tokens: dict[str, str] = {}
        self._tidied = False

    def wake(self) -> None:
        """There may be something to fetch."""
        self._wake.set()

    async def run(self) -> None:
        """Fetch until cancelled."""
        try:
            while True:
                self._wake.clear()
                try:
                    if self._owns():
                        await self.round()
                except Unavailable as error:
                    log.warning("media_unavailable", detail=str(error))
                except Exception:
                    log.exception("media_round_failed")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_SECONDS):
                        await self._wake.wait()
        finally:
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def round(self) -> None:
        """Begin to fetch what is due, as far as there is room; remove the bytes of what was erased."""
        if not self._tidied:
            await self._files.remove_leftovers(_UNFINISHED_SECONDS)
            self._tidied = True
        await self._heed_tokens()
        await self.sweep()
        room = AT_ONCE - len(self._running)
        if room <= 0:
            return
        now, under_way = self._clock.now(), list(self._running)
        for media in await self._store.read(lambda c: media_queries.due(c, now, under_way, room)):
            task = self._running[media.id] = asyncio.create_task(self._fetch(media))
            task.add_done_callback(partial(self._over, media.id))

    async def settled(self) -> None:
        """Return once nothing is being fetched."""
        await asyncio.gather(*self._running.values())

    async def sweep(self) -> None:
        """Remove the bytes of everything that was erased, stride by stride; a cut leaves rows to go on with."""
        now = self._clock.now()

        def look(connection: Connection) -> list[Media]:
            return media_queries.erased(connection, now, _STRIDE)

        while gone := await self._store.read(look):
            for media in gone:
                await self._files.delete(media.id)

            def work(connection: Connection, gone: list[Media] = gone) -> None:
                for media in gone:
                    media_queries.removed(connection, media, now)

            await self._store.write(work)

    def _over(self, media_id: str, _: asyncio.Task[None]) -> None:
        self._running.pop(media_id, None)
        self._wake.set()

    async def _heed_tokens(self) -> None:
        """What waits for an account whose token is another one now is due at once."""
        tokens = {account.id: account.access_token for account in self._store.registry().accounts.values()}
        changed = [each for each, token in tokens.items() if token != self._tokens.get(each, token)]
        if changed:
            now = self._clock.now()
            await self._store.write(lambda c: media_queries.wake(c, changed, now))
        self._tokens = tokens

    async def _fetch(self, media: Media) -> None:
        try:
            after = await self._fetched(media)
            await self._settle(media, after)
        except Unavailable as error:
            log.warning("media_unavailable", media_id=media.id, detail=str(error))
        except Exception as error:
            log.exception("media_failed", media_id=media.id)
            cause = f"an error on our side ({type(error).__name__})"
            with contextlib.suppress(Unavailable):
                await self._settle(media, download_rules.again(media, cause, self._clock.now()))

    async def _settle(self, before: Media, after: Media) -> None:
        def work(connection: Connection) -> bool:
            written = media_queries.settle(connection, before, after)
            if written and after.state in ("failed", "expired"):
                deed = AuditChange(after.organization_id, OURSELVES, self._clock.now(), self._store.new_id)
                operational.tell(connection, deed, operational_events.media_failed(after))
            return written

        outcome: Any = "retried" if after.state == "waiting" else after.state
        if await self._store.write(work):
            self._store.counters.downloads[outcome] += 1
        elif after.state == "stored":
            await self._leave(after)

    async def _leave(self, after: Media) -> None:
        """It was erased, or fetched by somebody else, meanwhile."""
        now = await self._store.read(lambda c: media_queries.get(c, after.organization_id, after.id))
        if now is None or now.state == "erased":
            await self._files.delete(after.id)

    async def _fetched(self, media: Media) -> Media:
        if not download_rules.is_an_id(media.meta_id):
            return download_rules.refused(media, download_rules.NOT_AN_ID, self._clock.now())
        account = self._account(media)
        if account is None or not account.access_token:
            cause = "the account has no access token"
            refusal = FetchRefused("token", cause)
            return download_rules.refused(media, refusal, self._clock.now())
        query = {"phone_number_id": account.phone_number_id}
        answer = await self._source.graph.ask(account.access_token, media.meta_id, query=query)
        match download_rules.described(answer):
            case FetchRefused() as refusal:
                return download_rules.refused(media, refusal, self._clock.now())
            case Described() as found:
                return await self._taken(media, account, found)

    async def _taken(self, media: Media, account: Account, found: Described) -> Media:
        if not may_see_token(found.url, self._source.graph_url):
            cause = "Meta's link to the file leads to a host that is not Meta's"
            return download_rules.over(media, "failed", cause, self._clock.now())
        expected = media.sha256 or found.sha256
        digest = hashlib.sha256()
        try:
            async with self._source.wire.open(found.url, account.access_token) as incoming:
                if incoming.status != 200:
                    cause = f"the link to the file answered {incoming.status}"
                    return download_rules.again(media, cause, self._clock.now())
                size = await self._files.write(media.id, self._checked(incoming.chunks, digest, expected))
        except Broken as error:
            return download_rules.again(media, str(error), self._clock.now())
        except Unavailable as error:
            return download_rules.again(media, str(error), self._clock.now())
        except Mismatch:
            cause = f"the bytes have the SHA-256 {digest.hexdigest()}, not {expected} as Meta announced"
            return download_rules.over(media, "failed", cause, self._clock.now())
        except TooLarge:
            cause = f"it is larger than MEDIA_MAX_BYTES, {self._source.most_bytes} bytes"
            return download_rules.over(media, "failed", cause, self._clock.now())
        return download_rules.stored(
            media, size=size, sha256=digest.hexdigest(), mime_type=found.mime_type, now=self._clock.now()
        )

    async def _checked(self, chunks: AsyncIterator[bytes], digest: Any, expected: str) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in chunks:
            size += len(chunk)
            if size > self._source.most_bytes:
                raise TooLarge
            digest.update(chunk)
            yield chunk
        if expected and digest.hexdigest() != expected:
            raise Mismatch

    def _account(self, media: Media) -> Account | None:
        accounts = self._store.registry().accounts.values()
        return next((account for account in accounts if account.id == media.account_id), None)
