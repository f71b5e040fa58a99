"""Fetches the files of messages from Meta, several at once, once their rows are committed; removes the bytes of erased
ones.

Only the row counts: a process that finds one `waiting` and due fetches it. Fetching a file twice stores the same bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import structlog
from msgspec import Struct

from tellwire.errors import Broken, TooLarge, Unavailable
from tellwire.loops import Loop, only_when
from tellwire.media import download_rules
from tellwire.media.download_rules import FetchRefused, MediaLink
from tellwire.media.hosts import may_see_token
from tellwire.model import operational_events
from tellwire.model.messaging import Media
from tellwire.model.shares import FairShare
from tellwire.model.tenancy import Account
from tellwire.observability.counters import Counters
from tellwire.ports.clock import Clock
from tellwire.ports.http_out import Graph
from tellwire.ports.media import MediaStore, MediaWire
from tellwire.ports.queues import Downloads
from tellwire.ports.storage import LedgerStore

log = structlog.get_logger("tellwire")

MAX_CONCURRENT = 8
"""Files that are fetched at a time, shared by organization."""
_POLL_SECONDS = 1.0
_BATCH = 50
_UNFINISHED_SECONDS = 3600.0


class DownloadSource(Struct, frozen=True, kw_only=True):
    """Where files are downloaded from, and how many bytes one may have. `graph_url` is META_GRAPH_URL."""

    graph: Graph
    wire: MediaWire
    graph_url: str
    most_bytes: int


class Mismatch(Exception):  # noqa: N818 - named after what is wrong
    """The hash of the bytes is not the one that Meta announced."""


class DownloadWorker:
    """Downloads the files that are due, while `owns` says that this process is the one that does.

    Args:
        store, due: the accounts, and the rows of files that are due.
        files, source: where bytes are kept, and where they are downloaded from.
        clock, counters: the time, and the count of files by outcome.
    """

    def __init__(
        self,
        store: LedgerStore,
        due: Downloads,
        files: MediaStore,
        clock: Clock,
        source: DownloadSource,
        *,
        owns: Callable[[], bool],
        counters: Counters,
    ) -> None:
        self._store = store
        self._due = due
        self._counters = counters
        self._files = files
        self._clock = clock
        self._source = source
        self._loop = Loop(
            "downloads",
            only_when(owns, self.round),
            seconds=_POLL_SECONDS,
            failed="media_round_failed",
            unavailable="media_unavailable",
        )
        store.on_due_work(self.wake)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._share = FairShare(MAX_CONCURRENT)
        self._tokens: dict[str, str] = {}
        self._leftovers_removed = False

    def wake(self) -> None:
        """Look for due files at once."""
        self._loop.wake()

    def start(self) -> None:
        """Begin to fetch what is due."""
        self._loop.start()

    async def stop(self) -> None:
        """Stop, and cancel the downloads under way; they are fetched again after the next start."""
        await self._loop.stop()
        for task in list(self._running.values()):
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def round(self) -> None:
        """Begin to fetch what is due, up to `MAX_CONCURRENT` at once; remove the bytes of what was erased."""
        if not self._leftovers_removed:
            await self._files.remove_leftovers(_UNFINISHED_SECONDS)
            self._leftovers_removed = True
        await self._resume_with_new_tokens()
        await self.sweep()
        now = self._clock.now()
        while (free := MAX_CONCURRENT - len(self._running)) > 0:
            found = await self._due.due(now, list(self._running), free, not_of=self._share.full)
            for media in found:
                if self._share.admits(media.organization_id):
                    self._begin(media)
            if not found:
                return

    def _begin(self, media: Media) -> None:
        self._share.take(media.organization_id)
        task = self._running[media.id] = asyncio.create_task(self._fetch(media))
        task.add_done_callback(partial(self._finished, media))

    async def settled(self) -> None:
        """Return once nothing is being fetched."""
        await asyncio.gather(*self._running.values())

    async def sweep(self) -> None:
        """Remove the bytes of everything that was erased, batch by batch; when interrupted, the rest keeps its rows and
        is removed later."""
        now = self._clock.now()
        while erased := await self._due.erased(now, _BATCH):
            for media in erased:
                await self._files.delete(media.id)
            await self._due.removed(erased, now)

    def _finished(self, media: Media, _: asyncio.Task[None]) -> None:
        self._running.pop(media.id, None)
        self._share.give_back(media.organization_id)
        self._loop.wake()

    async def _resume_with_new_tokens(self) -> None:
        """Make due at once what waits for an account whose access token has changed."""
        tokens = {account.id: account.access_token for account in self._store.registry().accounts.values()}
        changed = [each for each, token in tokens.items() if token != self._tokens.get(each, token)]
        if changed:
            await self._due.hurry(changed, self._clock.now())
        self._tokens = tokens

    async def _fetch(self, media: Media) -> None:
        try:
            token = self._token_of(media)
            after = await self._fetch_once(media)
            if self._token_of(media) != token:  # it came while the other one was asked with
                after = download_rules.with_new_token(after, self._clock.now())
            await self._settle(media, after)
        except Unavailable as error:
            log.warning("media_unavailable", media_id=media.id, detail=str(error))
        except Exception as error:
            log.exception("media_failed", media_id=media.id)
            cause = f"an error on our side ({type(error).__name__})"
            with contextlib.suppress(Unavailable):
                await self._settle(media, download_rules.try_again(media, cause, self._clock.now()))

    async def _settle(self, before: Media, after: Media) -> None:
        event = self._told(after) if after.state in ("failed", "expired") else None
        outcome: Any = "retried" if after.state == "waiting" else after.state
        if await self._due.settle(before, after, event):
            self._counters.downloads[outcome] += 1
        elif after.state == "stored":
            await self._discard_unless_stored(after)

    def _told(self, media: Media) -> operational_events.OperationalEvent:
        account = self._account(media)
        return operational_events.media_failed(media, phone_number_id=account.phone_number_id if account else "")

    async def _discard_unless_stored(self, after: Media) -> None:
        """Remove the bytes again when the file was erased meanwhile; keep them when another process stored it."""
        now = await self._due.get(after.organization_id, after.id)
        if now is None or now.state == "erased":
            await self._files.delete(after.id)

    async def _fetch_once(self, media: Media) -> Media:
        if not download_rules.is_an_id(media.meta_id):
            return download_rules.refused(media, download_rules.NOT_AN_ID, self._clock.now())
        account = self._account(media)
        if account is None or not account.access_token:
            cause = "the account has no access token"
            refusal = FetchRefused("token", cause)
            return download_rules.refused(media, refusal, self._clock.now())
        query = {"phone_number_id": account.phone_number_id}
        answer = await self._source.graph.ask(account.access_token, media.meta_id, query=query)
        match download_rules.read_media_link(answer):
            case FetchRefused() as refusal:
                return download_rules.refused(media, refusal, self._clock.now())
            case MediaLink() as found:
                return await self._download(media, account, found)

    async def _download(self, media: Media, account: Account, found: MediaLink) -> Media:
        if not may_see_token(found.url, self._source.graph_url):
            cause = "Meta's link to the file leads to a host that is not Meta's"
            return download_rules.give_up(media, "failed", cause, self._clock.now())
        expected = media.sha256 or found.sha256
        digest = hashlib.sha256()
        try:
            async with self._source.wire.open(found.url, account.access_token) as incoming:
                if incoming.status != 200:
                    cause = f"the link to the file answered {incoming.status}"
                    return download_rules.try_again(media, cause, self._clock.now())
                size = await self._files.write(media.id, self._checked(incoming.chunks, digest, expected))
        except Broken as error:
            return download_rules.try_again(media, str(error), self._clock.now())
        except Unavailable as error:
            return download_rules.try_again(media, str(error), self._clock.now())
        except Mismatch:
            cause = f"the bytes have the SHA-256 {digest.hexdigest()}, not {expected} as Meta announced"
            return download_rules.give_up(media, "failed", cause, self._clock.now())
        except TooLarge:
            cause = f"it is larger than MEDIA_MAX_BYTES, {self._source.most_bytes} bytes"
            return download_rules.give_up(media, "failed", cause, self._clock.now())
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

    def _token_of(self, media: Media) -> str:
        account = self._account(media)
        return account.access_token if account else ""

    def _account(self, media: Media) -> Account | None:
        accounts = self._store.registry().accounts.values()
        return next((account for account in accounts if account.id == media.account_id), None)
