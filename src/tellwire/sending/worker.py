"""The loop: finds outgoing messages whose turn it is, claims them, has them sent, and goes on with what is next.

Rows are the truth: hints only save the reading of them, and a sweep finds what they missed. A claim is durable before
the first byte is written, so that whoever finds one later knows that Meta may have the message. Only what this process
has a lease on is sent. Messages of one conversation go one after the other, because the rows show the next one as
first only when the result of the one before it is durable.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal

import structlog

from tellwire.conversations import recipients
from tellwire.conversations.outgoing import partition_of
from tellwire.errors import TellwireError
from tellwire.leases import Leases
from tellwire.model.shares import FairShare
from tellwire.model.tenancy import Account
from tellwire.model.units import MICROS, Micros, micros
from tellwire.observability.counters import Counters
from tellwire.ports.clock import Clock
from tellwire.ports.queues import DueSend, DueSends
from tellwire.ports.storage import LedgerStore
from tellwire.sending import outcomes, rate_limits
from tellwire.sending.attempt import MessageSender, keys_of_pair
from tellwire.sending.outcomes import Claimed, SendTurn
from tellwire.sending.rate_limits import AccountLimits

log = structlog.get_logger("tellwire.sending")

Hindrance = Literal["", "rate", "pair"]
"""A limit that is reached: of the account, or of the recipient."""

_SWEEP_SECONDS = 5.0
_PAUSE_SECONDS = 0.5
_BREATH = 0.01
_PAGE = 128
_LAST_WORDS = 2.0
_FORGET_SECONDS = 60.0


class _AccountQueue:
    """The limits of one account, as known under the lease with this epoch."""

    def __init__(self, account: Account, epoch: int, pace: AccountLimits) -> None:
        self.account = account
        self.epoch = epoch
        self.pace = pace


class SendingWorker:
    """Sends the messages of the accounts whose partitions this process owns.

    Args:
        store, due, clock: decisions, rows, and the time of every decision.
        leases: what this process may send.
        sender: sends the messages that are claimed.
        counters: counts.
        most: calls at the same time, shared by organization.
    """

    def __init__(
        self,
        store: LedgerStore,
        due: DueSends,
        clock: Clock,
        leases: Leases,
        sender: MessageSender,
        *,
        counters: Counters,
        most: int,
    ) -> None:
        self._store = store
        self._due = due
        self._clock = clock
        self._leases = leases
        self._sender = sender
        self._share = FairShare(most)
        self._counters = counters
        self._epochs: Mapping[int, int] = {}
        self._taken_over: dict[int, int] = {}
        self._queues: dict[str, _AccountQueue] = {}
        self._under_way: Counter[int] = Counter()
        self._carried: dict[str, asyncio.Task[None]] = {}  # by message
        self._doubtful: dict[str, tuple[int, set[str]]] = {}  # account → epoch and ids whose claim may be durable
        self._woken = asyncio.Event()
        self._running = False
        self._loop: asyncio.Task[None] | None = None
        self._forget_at = 0
        self.rounds = 0
        leases.join(under_way=self._under_way.__getitem__, moved=self._moved)
        store.on_due_work(self.wake)
        store.on_changed(lambda _: self.wake())

    # --- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start sending."""
        self._running = True
        self._loop = asyncio.create_task(self._run())

    async def stop(self, timeout_seconds: float) -> None:
        """Claim no more messages, let those in flight end within the bound, and record what is known of the rest."""
        self._running = False
        self.wake()
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        if self._loop is not None:
            await asyncio.wait({self._loop}, timeout=timeout_seconds)
        if self._carried:
            await asyncio.wait(
                set(self._carried.values()), timeout=max(deadline - asyncio.get_running_loop().time(), 0.0)
            )
        if self._carried:
            await self._sender.close()
            await asyncio.wait(set(self._carried.values()), timeout=_LAST_WORDS)
        left = {*self._carried.values(), *([self._loop] if self._loop else [])}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def wake(self) -> None:
        """Read the rows now."""
        self._woken.set()

    @property
    def in_flight(self) -> int:
        """The number of messages that were claimed and whose result is not durable."""
        return len(self._carried)

    @property
    def unrecorded(self) -> int:
        """The number of Meta's answers that wait for the store; above zero for long when it cannot commit (`failing`
        says why)."""
        return self._sender.unrecorded

    @property
    def failing(self) -> str:
        """Why answers cannot be recorded at the moment; "" when they can."""
        return self._sender.failing

    def sends_for(self, account_id: str) -> bool:
        """Return whether this process is the one that sends for an account."""
        return partition_of(account_id) in self._taken_over

    def hindrance(self, account_id: str, recipient: str) -> Hindrance:
        """Return which limit keeps a message to an address from being sent now, "" for none that is known here."""
        line, now = self._queues.get(account_id), self._clock.now()
        if line is None or not self.sends_for(account_id):
            return ""
        if line.pace.pairs.ready_at((rate_limits.address_key(account_id, recipient),), now) > now:
            return "pair"
        return "" if line.pace.room(now) else "rate"

    def _moved(self, epochs: Mapping[int, int]) -> None:
        self._epochs = dict(epochs)
        self._taken_over = {p: e for p, e in self._taken_over.items() if epochs.get(p) == e}
        self.wake()

    # --- rounds -------------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        failing = False
        while self._running:
            self._woken.clear()
            began = asyncio.get_running_loop().time()
            try:
                seconds = await self._round()
                failing = False
                self.rounds += 1
            except Exception as error:
                if not failing and isinstance(error, TellwireError):
                    log.warning("sending_waits", reason=str(error))
                elif not failing:
                    log.exception("round_failed")
                failing, seconds = True, _PAUSE_SECONDS
            # A burst of hints is one look, and a long queue, which makes looks long, makes them rare.
            await asyncio.sleep(max(_BREATH, asyncio.get_running_loop().time() - began))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._woken.wait()

    async def _round(self) -> float:
        """Start what may be started; return after how many seconds to look again without a hint."""
        if not self._leases.live():
            self._leases.nudge()
            return _PAUSE_SECONDS
        await self._take_over()
        epochs = dict(self._taken_over)
        if not epochs:
            return _SWEEP_SECONDS
        accounts = {account.id: account for account in self._store.registry().accounts.values()}
        await self._requeue_uncertain_claims(accounts)
        now = self._clock.now()
        self._forget(now, epochs)
        mine = [a.id for a in accounts.values() if partition_of(a.id) in epochs and _may_send(a)]
        found = await self._due.by_account(mine, now) if mine else ()
        lines = [
            await self._queue_of(accounts[one.account_id], epochs[partition_of(one.account_id)])
            for one in found
            if one.due
        ]
        turn = self.rounds % max(len(lines), 1)  # when there are more accounts than calls, others go first each time
        lines = lines[turn:] + lines[:turn]
        times = [now + micros(_SWEEP_SECONDS), *(one.following for one in found if one.following)]
        if shares := self._shares_of(lines):
            served = await asyncio.gather(*(self._serve(*each) for each in shares), return_exceptions=True)
            for one in served:
                if isinstance(one, BaseException):
                    raise one
                times.append(one)
        return max(min(times) - self._clock.now(), 0) / MICROS

    def _shares_of(self, lines: Sequence[_AccountQueue]) -> list[tuple[_AccountQueue, int]]:
        """Return which accounts may start calls now, and how many: first organizations share what there is, then the
        accounts of each share its part."""
        by_organization: dict[str, list[_AccountQueue]] = {}
        for line in lines:
            by_organization.setdefault(line.account.organization_id, []).append(line)
        shares = []
        for organization_id, places in self._share.divided(by_organization).items():
            theirs = by_organization[organization_id]
            shares += [(line, max(places // len(theirs), 1)) for line in theirs[:places]]
        return shares

    async def _serve(self, line: _AccountQueue, share: int) -> Micros:
        """Start what an account may send now; return when to look again."""
        account, pace, now = line.account, line.pace, self._clock.now()
        never = now + micros(_SWEEP_SECONDS)
        limit = min(pace.room(now), share, _PAGE)
        if not limit:
            return pace.more_at(now) or never
        partition = partition_of(account.id)
        found = await self._due.first_of_each(account.id, now, limit)
        turns = self._turns(line, found, now)
        if turns:
            await self._claim(line, partition, turns, {due.send.message_id: due for due in found})
        if len(found) < limit:
            return never
        now = self._clock.now()
        return now if pace.room(now) else pace.more_at(now) or never

    def _turns(self, line: _AccountQueue, found: Sequence[DueSend], now: Micros) -> list[SendTurn]:
        turns = []
        for due in found:
            send = due.send
            if send.message_id in self._carried:
                continue
            keys = keys_of_pair(send)
            ready_at = line.pace.pairs.ready_at(keys, now)
            if not due.refused and ready_at <= now:
                line.pace.begin(keys, now)
            turns.append(
                SendTurn(message_id=send.message_id, refused=due.refused, not_before=0 if ready_at <= now else ready_at)
            )
        return turns

    async def _claim(
        self, line: _AccountQueue, partition: int, turns: Sequence[SendTurn], found: Mapping[str, DueSend]
    ) -> None:
        """Claim messages in one commit and send those that were claimed; the others give their place back."""
        begun = {turn.message_id for turn in turns if not turn.refused and not turn.not_before}
        claimed: list[Claimed] = []
        self._under_way[partition] += 1
        try:
            ids = [turn.message_id for turn in turns]
            claimed = await self._store.apply(
                recipients.keys_of_sends(line.account, [found[each].send for each in ids]),
                lambda ledger: outcomes.claim(ledger, line.account, turns, epoch=line.epoch),
            )
        except Exception:
            known = self._doubtful.get(line.account.id, (line.epoch, set()))[1]
            self._doubtful[line.account.id] = line.epoch, known | begun
            raise
        finally:
            self._under_way[partition] -= 1
            for identifier in begun - {one.send.message_id for one in claimed}:
                line.pace.undo(keys_of_pair(found[identifier].send), self._clock.now())
        for one in claimed:
            asked, given = keys_of_pair(found[one.send.message_id].send), keys_of_pair(one.send)
            if asked != given:  # its recipient has another address by now
                now = self._clock.now()
                line.pace.undo(asked, now)
                line.pace.begin(given, now)
            self._under_way[partition] += 1
            self._share.take(one.send.organization_id)
            task = asyncio.create_task(self._carry(one, line.pace))
            self._carried[one.send.message_id] = task

    async def _carry(self, claimed: Claimed, pace: AccountLimits) -> None:
        send = claimed.send
        try:
            settled = await self._sender.carry(claimed, pace)
            if settled.word == "paused":
                log.warning("account_paused", account_id=send.account_id)
        finally:
            del self._carried[send.message_id]
            self._share.give_back(send.organization_id)
            self._under_way[send.partition] -= 1
            self._leases.finished()
            self.wake()

    # --- what is known of before --------------------------------------------------------------------------------------

    async def _take_over(self) -> None:
        """Mark as unknown what processes were sending under older leases, because they are gone."""
        gained = {p: e for p, e in self._epochs.items() if self._taken_over.get(p) != e}
        if not gained:
            return
        left = await self._due.left_behind(gained)
        accounts = {account.id: account for account in self._store.registry().accounts.values()}
        theirs: dict[str, list[str]] = {}
        for send in left:
            if send.message_id not in self._carried and send.account_id in accounts:
                theirs.setdefault(send.account_id, []).append(send.message_id)
        for account_id, ids in theirs.items():
            epoch = gained[partition_of(account_id)]
            abandon = partial(outcomes.abandon, message_ids=ids, epoch=epoch)
            count = await self._store.apply(outcomes.keys_of(accounts[account_id], ids), abandon)
            self._counters.sends["abandoned"] += count
            log.warning("sends_abandoned", account_id=account_id, count=count)
        self._taken_over.update({p: e for p, e in gained.items() if self._epochs.get(p) == e})

    async def _queue_of(self, account: Account, epoch: int) -> _AccountQueue:
        """Return the account's limits, with what was sent under earlier leases taken into account."""
        line = self._queues.get(account.id)
        if line is None or line.epoch != epoch:
            now, pace = self._clock.now(), line.pace if line else AccountLimits(account.send_rate)
            later, since = now + rate_limits.LINGER, now - rate_limits.MEMORY
            before, ended = await self._due.sent_lately(
                account.id,
                since=since,
                ended_after=now - rate_limits.SECOND - rate_limits.LINGER,
                later=later,
                linger=rate_limits.LINGER,
            )
            for each in sorted(before, key=lambda each: each.last):
                keys = rate_limits.keys_of(account.id, each.order_key, each.recipient)
                pace.pairs.restore(keys, each.count, each.last)
            pace.rate.restore(ended, later)
            line = self._queues[account.id] = _AccountQueue(account, epoch, pace)
        line.account = account
        line.pace.rate.rate = account.send_rate
        return line

    async def _requeue_uncertain_claims(self, accounts: Mapping[str, Account]) -> None:
        """Queue messages again whose claim failed in the store but may have been committed: nothing of these was
        sent."""
        for account_id, (epoch, ids) in list(self._doubtful.items()):
            if account_id in accounts:
                forget = partial(outcomes.forget_claims, message_ids=sorted(ids), epoch=epoch)
                await self._store.apply(outcomes.keys_of(accounts[account_id], sorted(ids)), forget)
            del self._doubtful[account_id]

    def _forget(self, now: Micros, epochs: Mapping[int, int]) -> None:
        """Forget limits that no longer matter."""
        if now < self._forget_at:
            return
        self._forget_at = now + micros(_FORGET_SECONDS)
        for account_id, line in list(self._queues.items()):
            line.pace.pairs.forget(now)
            if partition_of(account_id) not in epochs and not line.pace.rate.in_flight:
                del self._queues[account_id]


def _may_send(account: Account) -> bool:
    return bool(account.access_token) and not account.sending_paused
