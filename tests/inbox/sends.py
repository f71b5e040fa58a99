"""Messages of ours, step by step, as the API and the loop that sends them take them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from tests.world import CUSTOMER, DISPLAY, NUMBER, World

from tellwire.conversations import outgoing
from tellwire.conversations.changes import Options
from tellwire.inbox import held_items
from tellwire.inbox.housekeeping import apply_held
from tellwire.meta.outgoing.types import content_of
from tellwire.model.keys import Keys
from tellwire.model.ledger import Ledger
from tellwire.model.messaging import Message, Send
from tellwire.model.tenancy import DEFAULT_ORGANIZATION, Account
from tellwire.stores.records import ledger_rows, sending_rows
from tellwire.stores.work_queues.held_items import SqlHeldItems

T = TypeVar("T")
HELLO = content_of("text", {"body": "Hello! How can I help you today?"})


async def an_account(world: World) -> Account:
    """The account that the payloads speak of, made if need be."""
    if NUMBER not in world.store.registry().accounts:

        def make(ledger: Ledger) -> None:
            ledger.put_account(
                Account(
                    id=ledger.new_id(),
                    organization_id=DEFAULT_ORGANIZATION,
                    phone_number_id=NUMBER,
                    display_phone_number=DISPLAY,
                    access_token="an-invented-token",
                )
            )

        await world.store.apply(Keys(), make)
    return world.store.registry().accounts[NUMBER]


async def queued(world: World, to: str = f"+{CUSTOMER}", **more: Any) -> Message:
    """A message of ours in the queue."""
    draft = outgoing.Draft(account=await an_account(world), to=to, **({"content": HELLO} | more))
    keys = outgoing.keys_of(draft)
    message, _ = await world.store.apply(keys, lambda ledger: outgoing.queue(ledger, draft, window=world.window))
    return message


async def under_way(world: World, to: str = f"+{CUSTOMER}", **more: Any) -> Message:
    """A message of ours that is just being sent."""
    message = await queued(world, to, **more)
    await claim(world, message)
    return message


async def claim(world: World, message: Message) -> None:
    """The start of an attempt."""
    account = await an_account(world)
    claimed = await own(
        world, message, lambda ledger: outgoing.claim(ledger, account, message.id, epoch=1, tries_until=2**60)
    )
    assert claimed is not None


async def own(world: World, message: Message, decide: Callable[[Ledger], T]) -> T:
    """Decide about a message of ours."""
    return await world.store.apply(Keys(own={(NUMBER, message.id)}), decide)


async def accepted(world: World, message: Message, wamid: str, **more: Any) -> None:
    """Meta's answer."""
    account, options = await an_account(world), Options(window=world.window)
    await world.store.apply(
        held_items.keys_of_acceptance(account, message.id, wamid),
        lambda ledger: held_items.accept(ledger, account, message.id, wamid, options, **more),
    )


async def stored(world: World, message: Message) -> Message:
    """The row as it now stands."""
    return await named(world, message.id)


async def named(world: World, message_id: str) -> Message:
    """A message by our id."""
    ((*row,),) = await world.query(f"SELECT {', '.join(ledger_rows.MESSAGE)} FROM messages WHERE id = '{message_id}'")
    return ledger_rows.message(row)


async def send_of(world: World, message: Message) -> Send:
    """Its way to Meta as it now stands."""
    names = ", ".join(f'"{name}"' for name in sending_rows.SEND)
    ((*row,),) = await world.query(f"SELECT {names} FROM sends WHERE message_id = '{message.id}'")
    return sending_rows.send(row)


async def waited(world: World) -> None:
    """What was held for a while is applied, as the background work does."""
    await apply_held(SqlHeldItems(world.store), world.ingest, world.clock)
