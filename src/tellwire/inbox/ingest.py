"""USE CASE. Turn a POST from Meta, or from another source, into row changes and events in one transaction.

Source: docs/reference/delivery.md, "From a POST to a delivery".

Each item is applied once and by itself: one that fails does not stop the others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial

from msgspec.structs import replace

from tellwire.conversations.changes import Options
from tellwire.inbox import meta_events, source_items
from tellwire.inbox.held_items import release
from tellwire.inbox.item_keys import keys_of, waits_for
from tellwire.inbox.items import apply_item
from tellwire.inbox.ownership import Owners, account_of, apply_notice, make_account, owners_before
from tellwire.inbox.posts import Applied, Post, room_of
from tellwire.inbox.reading import Read, post_of, read, read_of
from tellwire.inbox.waiting import report_of
from tellwire.meta.webhooks.items import OF_A_MESSAGE, Item, Notice, NotUnderstood
from tellwire.meta.webhooks.redaction import cut
from tellwire.model.inbound import (
    Inbound,
    ItemReport,
    ItemResult,
    Outcome,
    SpeaksFor,
    owned,
    owned_by,
    owners_of,
    sole_owner,
    with_reports,
    worst,
)
from tellwire.model.ledger import HeldItem, Ledger
from tellwire.model.sources import Source
from tellwire.model.units import MINUTE, Micros, Seconds
from tellwire.ports.storage import LedgerRunner
from tellwire.privacy import tombstones

__all__ = ["Ingest", "Options"]

_READ_AT_ONCE = 16 * 1024
"""Bytes of a body that is read on the event loop: nearly all are smaller, and none so small holds it for long."""
_APPLIED_AT_ONCE = 250
"""Items of one commit: a batch of Meta's has a few."""
_DELIVERED_AT_ONCE = 1000
"""Deliveries of one commit, that of the last item beside them: an item has one for each endpoint that subscribes."""
_TOO_MUCH = "what this POST changes is too large to be told at once; apply this item again to go on"
_MOST_HELD = 100
"""How many items may wait for one message: all of them are applied in the commit that brings it."""
_NOBODY: frozenset[str] = frozenset()
_NONE: frozenset[int] = frozenset()
_HELD_FOR: Micros = MINUTE
"""How long an edit waits for its message, and a status of an unknown message for the answer to a send that is under
way."""


class ItemFailed(Exception):  # noqa: N818
    """Raised when an item could not be applied; the transaction is then tried again without it."""

    def __init__(self, index: int, cause: Exception) -> None:
        super().__init__(f"item {index}: {type(cause).__name__}")
        self.index = index


class MetaWantedError(Exception):
    """Raised when a POST was not cut for endpoints of the format `meta`, and there are some by now."""


async def at_once(work: Callable[[], Read], organization_id: str) -> Read:  # noqa: ARG001
    """Do the work here and now."""
    return work()


def nowhere(_organization_id: str) -> AbstractAsyncContextManager[None]:
    """Return a place that nobody waits for."""
    return nullcontext()


class Ingest:
    """Applies POSTs over a `LedgerRunner`. `aside` does the work that reading a large body is; `place` is held by a
    large POST, by its organization, from its reading to its last commit; `on_newest` is given the newest of Meta's
    times in each new POST that a secret of META_APP_SECRET signed, and when we received it."""

    def __init__(
        self,
        store: LedgerRunner,
        options: Options,
        *,
        aside: Callable[[Callable[[], Read], str], Awaitable[Read]] = at_once,
        place: Callable[[str], AbstractAsyncContextManager[None]] = nowhere,
        on_newest: Callable[[Seconds, Micros], None] | None = None,
    ) -> None:
        self._store = store
        self._options = options
        self._aside = aside
        self._on_newest = on_newest
        self._place = place

    @property
    def options(self) -> Options:
        """Return the options that the settings decide."""
        return self._options

    async def receive(self, body: bytes, speaks_for: SpeaksFor, *, whose: str = "") -> Inbound:
        """Keep a verified POST and apply its items; both are durable when this returns.

        Args:
            body: the raw bytes that were signed.
            speaks_for: what the secrets that signed it may change.
            whose: the organization whose account's secret signed it, with which POSTs of others take turns; "" for a
                secret of the installation.

        Raises:
            NotJson: the body is not JSON; nothing was kept.
            Unavailable: the POST could not be made durable; nothing was applied.
        """
        if len(body) <= _READ_AT_ONCE:
            post = _post(read(body, cuts=self._cuts), speaks_for, whose)
            inbound = await self._in_parts(post, None)
        else:
            async with self._place(whose):
                post = _post(await self._read(body, whose, cuts=self._cuts), speaks_for, whose)
                inbound = await self._in_parts(post, None)
        if self._on_newest is not None and not speaks_for.account_ids:  # an account's own secret may be anybody's
            self._on_newest(_newest(post.items), inbound.received_at)
        return inbound

    async def receive_from(self, source: Source, body: bytes) -> Inbound:
        """Keep a POST of a source that has shown its secret, as an envelope of Meta's, and apply its items.

        Raises: as `receive`.
        """
        work, whose = partial(read_of, source, body), source.organization_id
        if len(body) <= _READ_AT_ONCE:
            return await self._in_parts(post_of(source, work()), None)
        async with self._place(whose):
            return await self._in_parts(post_of(source, await self._aside(work, whose)), None)

    @property
    def _cuts(self) -> bool:
        """Whether POSTs are cut for endpoints of the format `meta`."""
        return self._store.registry().meta.cuts

    async def reapply(self, inbound: Inbound, pointers: frozenset[str], *, whose: str = "") -> Inbound:
        """Apply some items of a kept POST again: what they waited for has arrived, or we can now read more of them.
        `whose`: the organization that asks for it."""
        gone, body = pointers, inbound.body
        pointers -= {report.pointer for report in inbound.items if report.outcome == Outcome.ERASED}
        async with (self._place if len(body) > _READ_AT_ONCE else nowhere)(whose):
            # What another source sent is no word of Meta's.
            found = await self._read(body, whose, cuts=self._cuts and not inbound.source_id)
            items = tuple(item for item in found.items if item.place.pointer in pointers)
            gone -= {item.place.pointer for item in items}
            post = _post(replace(found, items=items), inbound.speaks_for, whose, gone, inbound.source_id)
            if post.verbatim is not None:
                post = replace(post, verbatim=meta_events.again(post.verbatim, items, inbound))
            return await self._in_parts(post, inbound)

    async def _in_parts(self, post: Post, kept: Inbound | None) -> Inbound:
        """Apply the items in parts, one after the other, so that other POSTs are committed in between.

        Until the last part is durable Meta gets no 200. If the process ends before, Meta sends all of it again, and
        what was applied is a duplicate.
        """
        items, most = post.items, _APPLIED_AT_ONCE
        while True:
            part = post if len(items) <= most else replace(post, items=items[:most], more=True)
            done = await self._applied(part, kept)
            items = items[done.count :]
            if not items:
                return done.inbound
            kept, post = done.inbound, replace(post, body=done.inbound.body, items=items, room=post.room - done.size)
            most = min(_APPLIED_AT_ONCE, 2 * done.count)  # what a commit does not get to would be loaded in vain

    async def _read(self, body: bytes, organization_id: str, *, cuts: bool) -> Read:
        """Return the items of a body and its digest; a large one is read aside, so that others are answered
        meanwhile."""
        if len(body) <= _READ_AT_ONCE:
            return read(body, cuts=cuts)
        return await self._aside(partial(read, body, cuts=cuts), organization_id)

    async def _applied(self, post: Post, kept: Inbound | None) -> Applied:
        skip = _NONE
        while True:
            keys = keys_of(post.items, post.digest)
            keys.whose = post.whose
            if post.verbatim is not None:
                meta_events.add_keys(keys, post.items, post.verbatim)
            decide = partial(_decided, post=post, options=self._options, skip=skip, kept=kept)
            try:
                return await self._store.apply(keys, decide)
            except ItemFailed as failed:
                skip |= {failed.index}
            except MetaWantedError:
                whole = meta_events.read(post.body, post.items)
                post = replace(post, verbatim=whole if kept is None else meta_events.again(whole, post.items, kept))


def _newest(items: Sequence[Item]) -> Seconds:
    """Return the newest of Meta's times of messages and statuses, 0 for none."""
    newest = 0
    for item in items:
        if isinstance(item, OF_A_MESSAGE) and item.timestamp is not None and item.timestamp > newest:
            newest = item.timestamp
    return newest


def _post(
    found: Read, speaks_for: SpeaksFor, whose: str, gone: frozenset[str] = frozenset(), source_id: str = ""
) -> Post:
    items, room, told = found.items, room_of(found.body), found.verbatim
    return Post(found.body, items, speaks_for, found.digest, room, whose, gone, source_id=source_id, verbatim=told)


def _decided(ledger: Ledger, *, post: Post, options: Options, skip: frozenset[int], kept: Inbound | None) -> Applied:
    if post.verbatim is None and ledger.registry.meta.cuts and not post.source_id:
        raise MetaWantedError
    return decide_post(ledger, post, options, skip, kept)


def decide_post(
    ledger: Ledger, post: Post, options: Options, skip: frozenset[int] = _NONE, kept: Inbound | None = None
) -> Applied:
    """Apply the items of a POST to the ledger, until they have made many deliveries, and record a report of each.

    Args:
        skip: the places of items that could not be applied before.
        kept: the POST, if it was stored before: some of its items are applied again, or these follow the first ones.
    """
    inbound_id = kept.id if kept else ledger.new_id()
    ledger.trace = inbound_id if options.tracing else ""
    ledger.source = post.source_id
    if kept:
        ledger.forget_held(kept.id, {item.place.pointer for item in post.items})
        for pointer in post.gone:
            ledger.settle_held(kept.id, pointer)
    received_at = kept.received_at if kept else ledger.now
    held_until = received_at + _HELD_FOR
    reports: list[ItemReport] = []
    before = {each.pointer: frozenset(owners_of(kept, each)) for each in kept.items} if kept else {}
    owners: list[tuple[str, ...]] = []
    told = ledger.told_bytes
    for index, item in enumerate(_few(ledger, post.items)):
        whose = owners_before(ledger, before.get(item.place.pointer, _NOBODY))
        if index in skip:
            account_of(ledger, item, post, whose)
            result = ItemResult(Outcome.NOT_UNDERSTOOD, "this item could not be applied; see the server's log")
        else:
            try:
                room = post.room + told - ledger.told_bytes
                result = _told(ledger, item, post, options, whose, held_until=held_until, room=room)
            except Exception as error:
                raise ItemFailed(index, error) from error
        report = report_of(item, result)
        owners.append(tuple(sorted(whose.now)) if len(whose.now) > 1 else tuple(whose.now))
        reports.append(report)
        source_items.note(ledger, item, report, owners=whose.now, inbound_id=inbound_id, received_at=received_at)
        _settle(ledger, inbound_id, item, result, post, known=kept is not None)
        if kept:
            ledger.put_report(inbound_id, replace(report, owners=owners[-1]))
    if len(reports) < len(post.items):
        post = replace(post, items=post.items[: len(reports)], more=True)
    body = _without_the_erased(post, reports)
    if kept:
        if body is not post.body:
            ledger.new_bodies[inbound_id] = body
        inbound = _reported(ledger, replace(kept, body=body), more=post.more)
        return _ended(ledger, post, inbound, told, len(reports))
    reports = _latest(ledger, inbound_id, reports)
    inbound = Inbound(
        id=inbound_id,
        received_at=ledger.now,
        body=body,
        outcome=worst(report.outcome for report in reports),
        items=tuple(reports),
        organization_id=sole_owner(owners),
        speaks_for=post.speaks_for,
        source_id=post.source_id,
    )
    inbound = owned_by(inbound, owners)
    ledger.keep(inbound)
    return _ended(ledger, post, inbound, told, len(reports))


def _ended(ledger: Ledger, post: Post, inbound: Inbound, told: int, count: int) -> Applied:
    """Tell, after its last part, what of a POST is told as a whole; `told`: `told_bytes` before this part."""
    if post.verbatim is not None and not post.more:
        meta_events.tell_rest(ledger, post.verbatim, post.speaks_for, inbound)
    ledger.trace = ledger.source = ""
    return Applied(inbound, ledger.told_bytes - told, count)


def _few(ledger: Ledger, items: Iterable[Item]) -> Iterator[Item]:
    """Yield items until those before have made many deliveries."""
    had = len(ledger.work)
    for item in items:
        if len(ledger.work) - had >= _DELIVERED_AT_ONCE:
            return
        yield item


def _reported(ledger: Ledger, kept: Inbound, *, more: bool) -> Inbound:
    """Return the POST with its new reports. They are stored with its last part: each time rewrites its row."""
    kept = with_reports(kept, ledger.new_reports.pop(kept.id, {}))
    if not more:
        ledger.new_reports[kept.id] = {each.pointer: owned(kept, each) for each in kept.items}
    return kept


def _latest(ledger: Ledger, inbound_id: str, reports: list[ItemReport]) -> list[ItemReport]:
    """Return the reports, with the newer one where a later item of the same POST released a held item."""
    released = ledger.new_reports.get(inbound_id)
    if released is None:
        return reports
    return [released.get(report.pointer, report) for report in reports]


def _without_the_erased(post: Post, reports: list[ItemReport]) -> bytes:
    """Return the body to keep: the items of erased people are cut out."""
    if not any(report.outcome == Outcome.ERASED for report in reports):
        return post.body
    outcomes = [(item, report.outcome == Outcome.ERASED) for item, report in zip(post.items, reports, strict=True)]
    gone = [item for item, erased in outcomes if erased]
    return cut(post.body, gone, [item for item, erased in outcomes if not erased])


def _told(
    ledger: Ledger, item: Item, post: Post, options: Options, whose: Owners, *, held_until: Micros, room: int
) -> ItemResult:
    """Apply an item, and tell it to endpoints of the format `meta`."""
    result = _one(ledger, item, post, options, whose, held_until=held_until, room=room)
    if post.verbatim is not None and room >= 0:
        account, forbidden = account_of(ledger, item, post, whose)
        meta_events.tell_item(ledger, post.verbatim, item, result, None if forbidden else account)
    return result


def _one(
    ledger: Ledger, item: Item, post: Post, options: Options, whose: Owners, *, held_until: Micros, room: int
) -> ItemResult:
    place = item.place
    account, forbidden = account_of(ledger, item, post, whose)
    if account is not None and tombstones.is_erased(ledger, item, account):
        tombstones.mark_messages(ledger, item, account)
        return ItemResult(Outcome.ERASED, "of a person who was erased")
    if isinstance(item, NotUnderstood) or room < 0:
        return ItemResult(Outcome.NOT_UNDERSTOOD, item.reason if isinstance(item, NotUnderstood) else _TOO_MUCH)
    if not place.phone_number_id:
        if isinstance(item, Notice):
            return apply_notice(ledger, item, post, whose)
        return ItemResult(Outcome.NOT_UNDERSTOOD, "metadata.phone_number_id is missing")
    if account is None or forbidden:
        if forbidden:
            return ItemResult(Outcome.UNROUTED, "the secret that signed this POST does not speak for the account")
        creates = options.auto_accounts and post.speaks_for.may_create(place.phone_number_id, place.waba_id)
        if whose.before or not creates:
            return ItemResult(Outcome.UNROUTED, f"no account has the phone_number_id {place.phone_number_id}")
        account = make_account(ledger, item, options)
        whose.now.add(account.organization_id)
    only_compared = source_items.only_compared(ledger) if ledger.source else None
    result = only_compared or apply_item(ledger, item, account, options, post.digest, held_until=held_until)
    if result.outcome == Outcome.HELD:
        return _held(ledger, item, result)
    if result.message_id and result.outcome == Outcome.APPLIED and isinstance(item, OF_A_MESSAGE):
        release(ledger, account, item.wamid, options)
    return result


def _held(ledger: Ledger, item: Item, result: ItemResult) -> ItemResult:
    """Return the result of an item that waits, unless too many wait for the same message."""
    if len(ledger.held.get((item.place.phone_number_id, waits_for(item)), ())) < _MOST_HELD:
        return result
    return ItemResult(Outcome.NOT_UNDERSTOOD, f"{_MOST_HELD} items wait for this message already")


def _settle(ledger: Ledger, inbound_id: str, item: Item, result: ItemResult, post: Post, *, known: bool) -> None:
    """Store an item that waits where it will be found again; remove one of a `known` POST that waits no longer."""
    place, outcome = item.place, result.outcome
    if outcome in (Outcome.HELD, Outcome.UNROUTED) or result.waits:
        wamid = "" if outcome == Outcome.UNROUTED else waits_for(item)
        held = HeldItem(inbound_id, place.pointer, outcome, post.body, result.retry_at)
        ledger.put_held(place.phone_number_id or place.waba_id, wamid, held)
    elif known:
        ledger.settle_held(inbound_id, place.pointer)
