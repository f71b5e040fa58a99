"""Retention over a real store with a set clock: what goes, what stays, and how little each batch holds up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text
from tests.inbox.sends import accepted, an_account, own, queued, under_way
from tests.world import DAY, World, incoming, play, status, statuses, text_message, value

from tellwire.conversations import outgoing
from tellwire.model.deliveries import ReplayEdit
from tellwire.model.inbound import Outcome
from tellwire.model.marks import Label, Note
from tellwire.model.routing import PARTITIONS
from tellwire.model.sources import Source
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.observability.counters import Counters
from tellwire.privacy.retention import BATCH_SECONDS, DEDUPE, Retention, RetentionPeriods, next_size
from tellwire.stores.queries import conversation_marks, labels, notes, replays, retention, sources
from tellwire.stores.queries.audit import AuditChange
from tellwire.stores.sqlite.store import SqliteStore, raw
from tellwire.stores.work_queues.retention import SqlRetention

T = TypeVar("T")

pytestmark = pytest.mark.usefixtures("each_store")

KEEPING = RetentionPeriods(payloads=90 * DAY)
FORGETFUL = RetentionPeriods(payloads=90 * DAY, messages=30 * DAY)
OVER = ("delivered", "failed", "cancelled")
UNDELIVERED = ("pending", "delivering", "retrying", "parked")


class Rounds:
    """Retention over a world, with the rows that each batch touched."""

    def __init__(self, world: World, keeping: RetentionPeriods = KEEPING) -> None:
        self.world = world
        self.counters = Counters()
        self.touched: list[int] = []
        self.between: Callable[[], Awaitable[object]] | None = None
        self.retention = Retention(SqlRetention(self), world.clock, keeping, rest=self._rest, counters=self.counters)

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await self.world.store.read(work)

    async def write(self, work: Callable[[Connection], T]) -> T:
        most = self.retention._size

        def counted(connection: Connection) -> T:
            sqlite = isinstance(self.world.store, SqliteStore)
            before = raw(connection).total_changes if sqlite else 0
            done = work(connection)
            removed: Any = done
            after = raw(connection).total_changes if sqlite else sum(removed.by_table.values())
            self.touched.append(after - before)
            assert self.touched[-1] <= most
            return done

        return await self.world.store.write(counted)

    async def _rest(self, _seconds: float) -> None:
        if self.between is not None:
            await self.between()

    async def round(self) -> None:
        await self.retention.round()


async def counts(world: World) -> dict[str, int]:
    tables = (*retention.TABLES, "sequences", "contacts")
    return {table: (await world.query(f"SELECT count(*) FROM {table}"))[0][0] for table in tables}


async def become(world: World, state: str, *, attempts: int = 1, at: int | None = None, where: str = "1=1") -> None:
    """Let deliveries stand as if these attempts had been made."""
    at = world.clock.now() if at is None else at

    def work(connection: Connection) -> None:
        connection.execute(
            text(f"UPDATE deliveries SET state = :s, attempts = :a, updated_at = :at WHERE {where}"),
            {"s": state, "a": attempts, "at": at},
        )
        for number in range(1, attempts + 1):
            connection.execute(
                text(
                    "INSERT INTO attempts(delivery_id,number,organization_id,started_at,outcome,record,response_body)"
                    f" SELECT id, :n, organization_id, :at, 'failed', :r, :b FROM deliveries WHERE {where}"
                ),
                {"n": number, "at": at, "r": b"{}", "b": b""},
            )

    await world.store.write(work)


async def test_the_default_rounds_take_what_is_over_and_keep_the_rest(world: World) -> None:
    await world.endpoint()
    await world.post(incoming("wamid.1"))
    before = await counts(world)
    await become(world, "delivered", attempts=3)
    rounds = Rounds(world)
    world.clock.move(90 * DAY)
    await rounds.round()
    assert await counts(world) == before | {"attempts": 3 * before["deliveries"]}
    world.clock.move(1)
    await rounds.round()
    left = await counts(world)
    gone = {"attempts": 0, "deliveries": 0, "events": 0, "inbound": 0}
    assert left == before | gone
    assert rounds.counters.removed["attempts"] == 3 * before["deliveries"]
    assert rounds.counters.removed_until == world.clock.now() - 90 * DAY
    # The sequence goes on where it was, the message is known still.
    assert (await world.post(incoming("wamid.1"))).outcome is Outcome.DUPLICATE
    await world.post(incoming("wamid.2"))
    [(lowest, last)] = await world.query("SELECT min(sequence), max(sequence) FROM deliveries")
    assert (lowest, last) == (
        before["deliveries"] + 1,
        (await world.query("SELECT max(last) FROM sequences"))[0][0],
    )


@pytest.mark.parametrize("state", OVER)
@pytest.mark.parametrize(("age", "stays"), [(90 * DAY, True), (90 * DAY + 1, False)])
async def test_a_delivery_counts_from_its_last_change_to_the_microsecond(
    world: World, state: str, age: int, stays: bool
) -> None:
    await world.endpoint()
    await world.post(incoming("wamid.1"))
    world.clock.move(400 * DAY + 123_457)
    await become(world, state, at=world.clock.now() - age)
    await Rounds(world).round()
    assert bool((await counts(world))["deliveries"]) is stays
    assert bool((await counts(world))["attempts"]) is stays
    assert bool((await counts(world))["events"]) is stays


async def test_what_nobody_pulls_goes_and_what_waits_for_a_paused_endpoint_stays(world: World) -> None:
    pulled, paused = await world.endpoint(state="pulled"), await world.endpoint(state="paused")
    await world.post(incoming("wamid.1"))
    rounds = Rounds(world)
    world.clock.move(90 * DAY)
    await rounds.round()
    (before,) = await world.query(f"SELECT count(*) FROM deliveries WHERE endpoint_id = '{pulled.id}'")
    world.clock.move(1)
    await rounds.round()
    rest = await world.query("SELECT endpoint_id, state FROM deliveries")
    assert before[0]
    assert set(map(tuple, rest)) == {(paused.id, "parked")}


@pytest.mark.parametrize("state", UNDELIVERED)
async def test_what_is_to_be_delivered_stays_however_old(world: World, state: str) -> None:
    await world.endpoint()
    await world.post(incoming("wamid.1"))
    await become(world, state, attempts=2)
    before = await counts(world)
    world.clock.move(1000 * DAY)
    await Rounds(world).round()
    assert await counts(world) == before | {"inbound": 0}


async def test_an_event_stays_while_one_delivery_of_it_does(world: World) -> None:
    done, parked = await world.endpoint(), await world.endpoint()
    await world.post(incoming("wamid.1"))
    await become(world, "delivered", where=f"endpoint_id = '{done.id}'")
    await become(world, "parked", where=f"endpoint_id = '{parked.id}'")
    before = await counts(world)
    world.clock.move(91 * DAY)
    rounds = Rounds(world)
    await rounds.round()
    left = await counts(world)
    assert left["deliveries"] == before["deliveries"] // 2
    assert left["events"] == before["events"]
    await become(world, "cancelled", attempts=0)
    world.clock.move(91 * DAY)
    await rounds.round()
    assert (await counts(world))["events"] == 0


async def test_a_delivery_replayed_between_search_and_removal_stays(world: World) -> None:
    await world.endpoint()
    await world.post(incoming("wamid.1"))
    await become(world, "failed")
    world.clock.move(91 * DAY)
    cutoffs = KEEPING.cutoffs(world.clock.now())
    for kind in retention.ROW_KINDS[:2]:
        organization = DEFAULT_ORGANIZATION
        found = await world.store.read(lambda c: kind.find(c, organization, "", cutoffs, 100))  # noqa: B023
        if kind.name == "deliveries":
            assert found.keys
            await become(world, "pending", attempts=0)
        removed = await world.store.write(lambda c: kind.remove(c, organization, found.keys, cutoffs, 100))  # noqa: B023
        assert not any(removed.values())
    assert (await counts(world))["deliveries"] == 2


def test_items_that_wait_go_with_their_post(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await world.post(incoming("wamid.1"))  # nobody's account: unrouted
        world.clock.move(1)
        await world.post(incoming("wamid.2"))
        assert (await counts(world))["held_items"] == 2
        world.clock.move(90 * DAY)
        rounds = Rounds(world)
        await rounds.round()
        left = await counts(world)
        assert (left["held_items"], left["inbound"]) == (1, 1)
        [(inbound,)] = await world.query("SELECT inbound_id FROM held_items")
        assert await world.query("SELECT id FROM inbound") == [(inbound,)]

    play(tmp_path, scenario, auto_accounts=False)


# --- messages ---------------------------------------------------------------------------------------------------------


async def test_messages_are_kept_unless_a_setting_says_otherwise(world: World) -> None:
    await world.post(incoming("wamid.1"))
    world.clock.move(5000 * DAY)
    await Rounds(world).round()
    left = await counts(world)
    assert (left["messages"], left["conversations"], left["contacts"]) == (1, 1, 1)


async def test_old_messages_go_with_their_statuses_and_then_their_conversation(world: World) -> None:
    await world.post(incoming("wamid.1"))
    await world.post(statuses(status("wamid.out", "sent"), status("wamid.out", "delivered")))
    rounds = Rounds(world, FORGETFUL)
    world.clock.move(30 * DAY)
    await rounds.round()
    kept = await counts(world)
    assert (kept["messages"], kept["message_statuses"], kept["conversations"]) == (2, 2, 1)
    world.clock.move(1)
    await rounds.round()
    left = await counts(world)
    assert (left["messages"], left["message_statuses"], left["conversations"]) == (0, 0, 1), "it is open still"
    await world.store.write(lambda c: c.execute(text("UPDATE conversations SET status = 'closed'")))
    await rounds.round()
    assert (await counts(world))["conversations"] == 0
    await world.post(incoming("wamid.2"))  # the same person comes back
    assert (await counts(world))["contacts"] == 1


@pytest.mark.parametrize(("age", "stays"), [(DEDUPE, True), (DEDUPE + 1, False)])
async def test_a_message_whose_status_came_within_8_days_stays(world: World, age: int, stays: bool) -> None:
    await world.post(statuses(status("wamid.out", "sent")))
    world.clock.move(40 * DAY)
    await world.post(statuses(status("wamid.out", "read")))
    world.clock.move(age)
    await Rounds(world, FORGETFUL).round()
    left = await counts(world)
    assert (left["messages"], left["message_statuses"]) == ((1, 2) if stays else (0, 0))


async def test_messages_stay_until_they_are_sent_or_decided_and_go_with_their_sends(world: World) -> None:
    kept = {
        "scheduled": await queued(world, "+4915155500001", scheduled_at=world.clock.now() + 300 * DAY),
        "queued": await queued(world, "+4915155500002"),
        "sending": await under_way(world, "+4915155500003"),
        "unknown": await under_way(world, "+4915155500004"),
    }
    await own(world, kept["unknown"], lambda g: outgoing.mark_unknown(g, kept["unknown"].id, epoch=1, cause="?"))
    cancelled, done = await queued(world, "+4915155500005"), await under_way(world, "+4915155500006")
    account = await an_account(world)
    await own(world, cancelled, lambda g: outgoing.cancel(g, account, cancelled.id))
    await accepted(world, done, "wamid.done")
    world.clock.move(200 * DAY)
    await Rounds(world, FORGETFUL).round()
    left = {row[0] for row in await world.query("SELECT id FROM messages")}
    assert left == {message.id for message in kept.values()}
    assert {row[0] for row in await world.query("SELECT message_id FROM sends")} == left


async def test_what_dedupes_is_never_younger_than_8_days(world: World) -> None:
    await world.post(incoming("wamid.1"))
    world.clock.move(DEDUPE)
    rounds = Rounds(world, RetentionPeriods(payloads=1, messages=1))
    await rounds.round()
    assert (await counts(world))["events"] == 0
    assert (await world.post(incoming("wamid.1"))).outcome is Outcome.DUPLICATE
    world.clock.move(1)
    await rounds.round()
    assert (await counts(world))["messages"] == 0


def test_messages_stay_at_least_for_the_window_in_which_they_hold_a_conversation_open() -> None:
    assert RetentionPeriods(payloads=DAY, messages=9 * DAY, window=60 * DAY).cutoffs(100 * DAY).messages == 40 * DAY
    assert RetentionPeriods(payloads=DAY, messages=9 * DAY, window=DAY).cutoffs(100 * DAY).messages == 91 * DAY


async def test_answers_kept_for_repeated_requests_go_after_a_day(world: World) -> None:
    row = "INSERT INTO idempotency_keys VALUES (:o, :k, 'hash', 201, :b, :at)"
    for key, age in (("old", DAY), ("young", DAY - 1)):
        values = {"o": DEFAULT_ORGANIZATION, "k": key, "at": world.clock.now() - age, "b": b""}
        await world.store.write(lambda c: c.execute(text(row), values))  # noqa: B023
    await Rounds(world).round()
    assert await world.query("SELECT key FROM idempotency_keys") == [("young",)]


# --- batches ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "took", "expected"),
    [
        (128, BATCH_SECONDS * 1.01, 64),
        (128, BATCH_SECONDS / 2.01, 160),
        (128, BATCH_SECONDS * 0.7, 128),
        (16, 9.0, 16),
        (2_000, 0.0, 2_000),
    ],
)
def test_a_slow_stride_makes_the_next_one_smaller(size: int, took: float, expected: int) -> None:
    assert next_size(size, took) == expected


async def test_months_of_rows_go_in_bounded_strides_while_posts_come_in(world: World) -> None:
    endpoint = await world.endpoint()
    for number in range(60):
        await world.post(*[incoming(f"wamid.{number}.{each}") for each in range(20)])
    await become(world, "delivered", attempts=3)
    await become(world, "parked", attempts=0, where="id IN (SELECT id FROM deliveries ORDER BY id LIMIT 7)")
    world.clock.move(200 * DAY)
    rounds = Rounds(world)
    came = 0

    async def between() -> None:
        nonlocal came
        came += 1
        posted = await world.post(incoming(f"wamid.new.{came}"))
        assert posted.outcome is Outcome.APPLIED

    rounds.between = between
    await rounds.round()
    left = await counts(world)
    assert came >= 10
    assert max(rounds.touched) <= 2_000
    new = came + 2  # after so long the conversation was closed and another one opened
    assert left["deliveries"] == 7 + new
    assert left["attempts"] == 3 * 7
    assert left["inbound"] == came
    waiting = await world.outbox.backlog(endpoint.id, partitions=range(PARTITIONS), after="", limit=10_000)
    assert len(waiting) == new
    assert sum(rounds.counters.retention_batches.counts) == len(rounds.touched)


async def test_one_delivery_with_thousands_of_attempts_takes_several_strides(world: World) -> None:
    await world.endpoint()
    await world.post(incoming("wamid.1"))
    await become(world, "failed", attempts=1_500, where="id = (SELECT min(id) FROM deliveries)")
    await become(world, "failed", attempts=0, where="attempts = 0")
    world.clock.move(91 * DAY)
    rounds = Rounds(world)
    await rounds.round()
    left = await counts(world)
    assert (left["attempts"], left["deliveries"], left["events"]) == (0, 0, 0)
    assert len(rounds.touched) >= 5


async def test_a_round_that_is_cut_off_is_taken_up_by_the_next(world: World) -> None:
    await world.endpoint()
    for number in range(30):
        await world.post(*[incoming(f"wamid.{number}.{each}") for each in range(20)])
    await become(world, "delivered")
    world.clock.move(91 * DAY)
    rounds = Rounds(world)
    batches = 0

    async def between() -> None:
        nonlocal batches
        batches += 1
        if batches == 2:
            raise asyncio.CancelledError

    rounds.between = between
    with pytest.raises(asyncio.CancelledError):
        await rounds.round()
    some = await counts(world)
    assert 0 < some["deliveries"] < 600 or some["attempts"] < 600
    assert rounds.counters.rounds == 0
    again = Rounds(world)
    await again.round()
    left = await counts(world)
    assert (left["attempts"], left["deliveries"], left["events"], left["inbound"]) == (0, 0, 0, 0)


async def test_every_search_follows_a_key(world: World) -> None:
    seen: list[str] = []
    if not isinstance(world.store, SqliteStore):
        return  # PostgreSQL plans by what it knows of the rows, and there are none

    def plans(connection: Connection) -> None:
        db = raw(connection)
        statements: list[str] = []
        db.set_trace_callback(statements.append)
        cutoffs = FORGETFUL.cutoffs(world.clock.now())
        for kind in retention.ROW_KINDS:
            kind.find(connection, DEFAULT_ORGANIZATION, "", cutoffs, 10)
            of_several: dict[str, list[Any]] = {"held_items": [("a", "b")], "told": [("a", "b", "c")]}
            of_several["source_items"] = [("a", "b")]
            keys = of_several.get(kind.name, ["a", "b"])
            kind.remove(connection, DEFAULT_ORGANIZATION, keys, cutoffs, 10)
        db.set_trace_callback(None)
        for statement in statements:
            if statement.split()[0] in {"SELECT", "DELETE"}:
                seen.extend(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}"))

    await world.store.write(plans)
    scans = [plan for plan in seen if plan.startswith("SCAN")]
    assert [plan for plan in scans if "CONSTANT ROW" not in plan and "(subquery" not in plan] == []
    assert not [plan for plan in seen if "TEMP B-TREE" in plan]


async def test_what_only_says_that_something_was_told_goes_after_eight_days(world: World) -> None:
    copied = value(standby={"messages": [text_message("wamid.copy")]})
    await world.post(incoming("wamid.1"))
    await world.post(copied, field="standby")
    await world.post(statuses(status("wamid.out", "read")))
    for days, left in ((7, ["read", "standby.message"]), (2, ["read"])):
        world.clock.move(days * DAY)
        await Rounds(world).round()
        assert sorted(name for (name,) in await world.query("SELECT name FROM message_statuses")) == left


async def test_who_brought_what_goes_with_the_posts(world: World) -> None:
    def work(connection: Connection) -> None:
        change = AuditChange(DEFAULT_ORGANIZATION, "a test", world.clock.now(), world.store.new_id)
        source = Source(
            id=world.store.new_id(),
            organization_id=DEFAULT_ORGANIZATION,
            name="the other",
            kind="wakit",
            authentication="header",
        )
        sources.add(connection, change, world.store.vault, source)

    await world.store.write(work)
    await world.post(incoming("wamid.1"))
    world.clock.move(60 * DAY)
    await world.post(incoming("wamid.2"))
    assert len(await world.query("SELECT * FROM source_items")) == 2
    world.clock.move(31 * DAY)
    await Rounds(world).round()
    left = await world.query("SELECT s.inbound_id FROM source_items s JOIN inbound i ON i.id = s.inbound_id")
    assert len(left) == len(await world.query("SELECT * FROM source_items")) == 1


# --- any history ------------------------------------------------------------------------------------------------------

posts = st.lists(
    st.tuples(
        st.integers(0, 120),  # days after the start
        st.integers(1, 3),  # messages
        st.sampled_from([*OVER, *UNDELIVERED]),
        st.integers(0, 3),  # attempts
        st.integers(0, 60),  # days until the last change
    ),
    min_size=1,
    max_size=8,
)


@given(history=posts, later=st.integers(0, 200), micros=st.integers(0, 2_000), messages=st.none() | st.integers(1, 60))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_that_is_needed_goes(
    history: list[tuple[int, int, str, int, int]], later: int, micros: int, messages: int | None
) -> None:
    async def scenario(world: World) -> None:
        await world.endpoint()
        await world.endpoint("chat")
        start = world.clock.now()
        for number, (day, many, state, attempts, change) in enumerate(sorted(history)):
            world.clock.at = max(world.clock.at, start + day * DAY)
            highest = (await world.query("SELECT coalesce(max(id), '') FROM deliveries"))[0][0]
            await world.post(*[incoming(f"wamid.{number}.{each}") for each in range(many)])
            where = f"id > '{highest}' AND endpoint_id = (SELECT min(id) FROM endpoints)"
            await become(world, state, attempts=attempts, at=world.clock.at + change * DAY, where=where)
            await become(
                world, "delivered", attempts=0, where=f"id > '{highest}' AND attempts = 0 AND state = 'pending'"
            )
        world.clock.at = max(world.clock.at, start + later * DAY) + micros
        before = await _rows(world)
        sequences = await world.query("SELECT * FROM sequences ORDER BY 1, 2")
        keeping = RetentionPeriods(payloads=90 * DAY, messages=None if messages is None else messages * DAY)
        await Rounds(world, keeping).round()
        after = await _rows(world)
        old = world.clock.now() - 90 * DAY
        expected = {
            i for i, (_, state, made, changed) in before.items() if state not in OVER or changed >= old or made >= old
        }
        assert set(after) == expected
        events = {row[0] for row in await world.query("SELECT id FROM events")}
        assert {row[0] for row in after.values()} <= events
        ages = dict(await world.query("SELECT id, created_at FROM events"))
        assert all(at >= old for i, at in ages.items() if i not in {row[0] for row in after.values()})
        orphans = (
            "SELECT 1 FROM attempts a WHERE NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.id = a.delivery_id)",
            "SELECT 1 FROM held_items h WHERE NOT EXISTS (SELECT 1 FROM inbound i WHERE i.id = h.inbound_id)",
            "SELECT 1 FROM messages m WHERE NOT EXISTS (SELECT 1 FROM conversations c WHERE c.id = m.conversation_id)",
            "SELECT 1 FROM messages m WHERE NOT EXISTS (SELECT 1 FROM contacts c WHERE c.id = m.contact_id)",
            "SELECT 1 FROM inbound WHERE received_at < " + str(old),
        )
        for query in orphans:
            assert await world.query(query) == []
        [(attempts,)] = await world.query("SELECT count(*) FROM attempts")
        assert attempts == (await world.query("SELECT coalesce(sum(attempts), 0) FROM deliveries"))[0][0]
        assert await world.query("SELECT * FROM sequences ORDER BY 1, 2") == sequences

    with TemporaryDirectory() as folder:
        play(Path(folder), scenario)


async def _rows(world: World) -> dict[str, tuple[Any, ...]]:
    rows = await world.query("SELECT id, event_id, state, created_at, updated_at FROM deliveries")
    return {row[0]: row[1:] for row in rows}


async def test_what_was_other_about_a_replay_goes_with_its_delivery(world: World) -> None:
    await world.endpoint()
    await world.post(incoming("wamid.1"))
    audit_change = AuditChange(DEFAULT_ORGANIZATION, "a test", world.clock.now(), world.store.new_id)
    for (identifier,) in await world.query("SELECT id FROM deliveries"):
        edit = ReplayEdit(body=b"{}")
        await world.store.write(lambda c, i=identifier, e=edit: replays.replay(c, audit_change, i, edit=e) and 1)  # type: ignore[misc]
    await become(world, "delivered")
    rounds = Rounds(world)
    await rounds.round()
    assert (await counts(world))["replay_edits"] == 2
    world.clock.move(91 * DAY)
    await rounds.round()
    left = await counts(world)
    assert (left["deliveries"], left["replay_edits"]) == (0, 0)


async def test_what_people_noted_goes_with_its_conversation(world: World) -> None:
    await world.post(incoming("wamid.1"))
    ((conversation,),) = await world.query("SELECT id FROM conversations")
    change = AuditChange(DEFAULT_ORGANIZATION, "a test", world.clock.now(), world.store.new_id)
    note = Note(
        id="",
        organization_id=DEFAULT_ORGANIZATION,
        conversation_id=conversation,
        text="x",
        written_by="y",
        created_at=0,
    )

    def noted(connection: Connection) -> None:
        for _ in range(30):
            notes.add(connection, change, note)
        label = Label(id="", organization_id=DEFAULT_ORGANIZATION, name="Urgent")
        conversation_marks.put_label(connection, change, conversation, labels.add(connection, change, label).id)
        conversation_marks.assign(connection, change, conversation, "somebody")
        connection.execute(text("UPDATE conversations SET status = 'closed'"))

    await world.store.write(noted)
    world.clock.move(31 * DAY)
    await Rounds(world, FORGETFUL).round()
    left = await counts(world)
    gone = ("notes", "conversation_labels", "conversation_marks", "conversations")
    assert {name: left[name] for name in gone} == dict.fromkeys(gone, 0)
    assert (await world.query("SELECT count(*) FROM labels"))[0][0] == 1
