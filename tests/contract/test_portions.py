"""What a tenant can make large is gone through in portions: an export, a search in POSTs, and each step of an erasure.

Source: docs/reference/delivery.md, "What one step may cost".
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, select
from tests.world import CUSTOMER, World, contact, envelope, text_message, value

from tellwire.accounts.templates import Listed, SyncCounts
from tellwire.model.erasures import Erasure
from tellwire.model.ledger import KeptAnswer
from tellwire.model.messaging import Message
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.stores.queries import erasures, exports, idempotency, person_in_payloads, person_rows
from tellwire.stores.queries.audit import AuditChange
from tellwire.stores.queries.exports import Portion
from tellwire.stores.queries.person_in_payloads import PersonSearch
from tellwire.stores.query_runner import QueryRunner
from tellwire.stores.schema.tables import contacts, inbound
from tellwire.stores.template_repository import SqlTemplateRepository
from tellwire.stores.work_queues.erasures import SqlErasures

pytestmark = pytest.mark.usefixtures("each_store")

KIB = 1024
T = TypeVar("T")
LARGE = "x" * 100 * KIB


class Counted:
    """A store whose transactions that write are counted."""

    def __init__(self, store: QueryRunner) -> None:
        self._store = store
        self.writes = 0
        self.vault, self.registry, self.new_id = store.vault, store.registry, store.new_id
        self.read, self.purge_erased = store.read, store.purge_erased

    async def write(self, work: Callable[[Connection], T]) -> T:
        self.writes += 1
        return await self._store.write(work)


async def write_to(world: World, count: int, text: str = "hello") -> None:
    """Messages of the customer, each in a POST of its own."""
    for number in range(count):
        await world.post(value(contacts=[contact()], messages=[text_message(f"wamid.{number}", text)]))


async def begun(world: World) -> tuple[SqlErasures, Erasure]:
    """The erasure of the customer, of which nothing is done yet."""
    change = AuditChange(DEFAULT_ORGANIZATION, "a test", world.clock.now(), world.store.new_id)
    ((contact_id,),) = await world.query("SELECT id FROM contacts")
    erasure = await world.store.write(lambda c: erasures.begin(c, change, world.store.vault, contact_id))
    assert erasure is not None
    return SqlErasures(world.store), erasure


def messages_behind(connection: Connection, *, conversation_id: str, after: str) -> Portion[Message]:
    return exports.messages_of(connection, [conversation_id], after, 200)


async def test_an_export_reads_large_messages_in_small_portions(world: World) -> None:
    await write_to(world, 20, LARGE)
    ((conversation_id,),) = await world.query("SELECT id FROM conversations")
    found, after = list[str](), ""
    while True:
        portion = await world.store.read(partial(messages_behind, conversation_id=conversation_id, after=after))
        assert sum(len(each.content) for each in portion.rows) < 700 * KIB
        found += [each.id for each in portion.rows]
        if not (after := portion.after):
            break
    assert found == sorted(name for (name,) in await world.query("SELECT id FROM messages"))


async def test_large_posts_are_searched_in_small_portions(world: World) -> None:
    await write_to(world, 8, LARGE)
    wanted, registry = PersonSearch(DEFAULT_ORGANIZATION, (CUSTOMER,)), world.store.registry()
    found, after = list[str](), ""
    while True:
        matches = await world.store.read(
            partial(person_in_payloads.search, registry=registry, wanted=wanted, after=after, until="~")
        )
        assert len(matches.ids) <= 3
        found += matches.ids
        if not (after := matches.after):
            break
    assert found == sorted(name for (name,) in await world.query("SELECT id FROM inbound"))


async def test_events_with_many_deliveries_are_erased_in_small_batches(world: World) -> None:
    for _ in range(40):
        await world.endpoint(events=["messages.insert"])
    await write_to(world, 60)
    work, erasure = await begun(world)
    cancelled = list[int]()
    while erasure.phase == "direct":
        batch = await work.erase_some(erasure, "conversations", world.clock.now())
        cancelled.append(len(batch.cancelled))
        erasure = batch.erasure
    assert sum(cancelled) == 60 * 40
    assert max(cancelled) <= 1000 + 40
    assert (erasure.counts.events, erasure.counts.messages) == (61, 60)
    assert await world.query("SELECT id FROM events") == []


async def test_kept_answers_are_gone_through_in_batches(world: World) -> None:
    await write_to(world, 1)
    ((name,),) = await world.query("SELECT id FROM contacts")
    vault, now = world.store.vault, world.clock.now()
    for number in range(9):
        said = json.dumps({"id": name if number % 2 else "another", "text": LARGE}).encode()
        answer = KeptAnswer("hash", 201, said)
        keep = partial(idempotency.keep, vault=vault, organization_id=DEFAULT_ORGANIZATION, answer=answer, now=now)
        await world.store.write(partial(keep, key=f"{number}"))
    work, erasure = await begun(world)
    batches, erasure = 0, (await work.go_to(erasure, "answers", "")).erasure
    while erasure.phase == "answers":
        erasure = (await work.erase_some(erasure, "answers", world.clock.now())).erasure
        batches += 1
    assert 3 <= batches <= 9
    kept = await world.query("SELECT key, answer FROM idempotency_keys ORDER BY key")
    assert [bool(answer) for _, answer in kept] == [number % 2 == 0 for number in range(9)]


async def test_a_post_that_changes_while_the_person_is_cut_out_is_cut_anew(world: World) -> None:
    other = value(number="7", contacts=[contact("5215500000099")], messages=[text_message("wamid.o", "other")])
    await world.post(value(contacts=[contact()], messages=[text_message("wamid.1", "of the person")]), other)
    person = await world.store.read(
        lambda c: person_rows.get(c, DEFAULT_ORGANIZATION, c.execute(select(contacts.c.id)).scalar_one())
    )
    assert person is not None
    wanted, registry = PersonSearch(DEFAULT_ORGANIZATION, tuple(person.addresses)), world.store.registry()
    ((post,),) = await world.query("SELECT id FROM inbound")
    done = await world.store.read(lambda c: person_in_payloads.cuts(c, registry, wanted, [post]))
    assert len(done) == 1
    changed = json.dumps(
        envelope(value(contacts=[contact()], messages=[text_message("wamid.1", "of the person")]), other) | {"new": 1}
    ).encode()
    await world.store.write(lambda c: c.execute(inbound.update().values(body=changed)))
    await world.store.write(lambda c: person_in_payloads.erase(c, registry, wanted, done, world.clock.now()))
    ((body,),) = await world.query("SELECT body FROM inbound")
    assert b"of the person" not in bytes(body)
    assert json.loads(bytes(body))["new"] == 1
    again = [replace(each) for each in done]
    assert await world.store.write(lambda c: person_in_payloads.erase(c, registry, wanted, again, 0)) == 0


async def test_templates_are_kept_in_small_transactions(world: World) -> None:
    await write_to(world, 1)
    (account,) = world.store.registry().accounts.values()
    store = Counted(world.store)
    repository, account = SqlTemplateRepository(store), replace(account, waba_id="900")

    async def keep(text: str, count: int) -> tuple[SyncCounts, int]:
        listed = [
            Listed(meta_id=f"{n}", name=f"t{n}", language="en", status="APPROVED", reason=text) for n in range(count)
        ]
        before, now = store.writes, world.clock.now()
        counts = await repository.keep(account, listed, started=now, now=now, due_at=now)
        return counts, store.writes - before

    assert await keep("first", 250) == (SyncCounts(added=250, changed=0, removed=0, total=250), 4)
    world.clock.move(1)
    assert await keep("then", 250) == (SyncCounts(added=0, changed=250, removed=0, total=250), 4)
    world.clock.move(1)
    assert await keep("then", 3) == (SyncCounts(added=0, changed=0, removed=247, total=3), 2)
    assert await world.query("SELECT count(*) FROM templates WHERE status = 'DELETED'") == [(247,)]
