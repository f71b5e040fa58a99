"""Numbers that were left, user ids that contradict, and Meta's word that two addresses are one person, over each store.

Source: docs/reference/formats.md, "Who".
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.inbox.sends import HELLO, accepted, an_account, own, queued, send_of, stored, under_way
from tests.world import START, contact, incoming, status, statuses, text_message, value

from tellwire.conversations import outgoing, recipients
from tellwire.conversations.outgoing import Draft
from tellwire.conversations.recipients import Named
from tellwire.inbox import held_items
from tellwire.meta.webhooks.items import WebhookContact
from tellwire.model.inbound import Outcome
from tellwire.stores.queries import conversations, service_windows

NOW = START // 1_000_000
MONTHS = 90 * 86_400
PEOPLE = {
    "Colombia": ("573001118001", "573001118002"),
    "Brazil": ("5511987650001", "5511987650002"),
    "Mexico": ("5215512340001", "5215512340002"),
    "Argentina": ("5491123450001", "5491123450002"),
    "Benin": ("22997000001", "22997000002"),
}
OTHER_SPELLING = {"5511987650001": "551187650001", "5215512340001": "525512340001", "5491123450001": "541123450001"}


def wrote(wamid: str, at: int, sender: str | None, user_id: str = "", name: str = "Luz", **more: Any) -> dict[str, Any]:
    ids = {"from_user_id": user_id} if user_id else {}
    card = contact(sender, name, user_id or None)
    return value(contacts=[card], messages=[text_message(wamid, f"of {name}", sender=sender, at=at, **ids, **more)])


def changed(wamid: str, at: int, sender: str = "", **system: str) -> dict[str, Any]:
    told: dict[str, Any] = {"from": sender} if sender else {}
    kind = {"body": "changed", "type": "user_changed_number"} | system
    return value(messages=[told | {"id": wamid, "timestamp": str(at), "type": "system", "system": kind}])


async def who_wrote(world, wamid: str) -> tuple[str, str]:
    """The contact and the conversation of a message."""
    ((found, conversation),) = await world.query(
        "SELECT CASE WHEN c.merged_into = '' THEN c.id ELSE c.merged_into END, m.conversation_id FROM messages m"
        f" JOIN contacts c ON c.id = m.contact_id WHERE m.wamid = '{wamid}'"
    )
    return found, conversation


async def contacts_of(world, *wamids: str) -> list[str]:
    return [(await who_wrote(world, wamid))[0] for wamid in wamids]


# --- a number that was left -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ids", [("", ""), ("CO.1", "CO.999"), ("CO.1", ""), ("", "CO.999")], ids=str)
@pytest.mark.parametrize("country", PEOPLE)
async def test_the_next_owner_of_a_number_is_somebody_else(world, country: str, ids: tuple[str, str]):
    left, new = PEOPLE[country]
    await world.post(wrote("wamid.L1", NOW, left, ids[0]))
    await world.post(changed("wamid.RC", NOW, left, wa_id=new))
    await world.post(wrote("wamid.P1", NOW + MONTHS, left, ids[1], "Pedro"))
    await world.post(wrote("wamid.P2", NOW + MONTHS + 1, OTHER_SPELLING.get(left, left), ids[1], "Pedro"))
    await world.post(wrote("wamid.L2", NOW + MONTHS + 2, new, ids[0]))
    await world.post(wrote("wamid.L0", NOW - 60, left, ids[0]))
    luz, pedro, again, later, before = await contacts_of(
        world, "wamid.L1", "wamid.P1", "wamid.P2", "wamid.L2", "wamid.L0"
    )
    assert luz != pedro
    assert (again, later, before) == (pedro, luz, luz)
    names = dict(await world.query("SELECT id, name FROM contacts"))
    assert (names[luz], names[pedro]) == ("Luz", "Pedro")
    addresses = dict(await world.query("SELECT party, contact_address FROM conversations"))
    assert (addresses[luz], addresses[pedro]) == (new, left)


async def test_another_user_id_is_another_person_before_meta_tells_of_the_change_and_after(world):
    left, new = PEOPLE["Colombia"]
    await world.post(wrote("wamid.L1", NOW, left, "CO.1"))
    await world.post(wrote("wamid.P1", NOW + MONTHS, left, "CO.999", "Pedro"))
    await world.post(changed("wamid.RC", NOW + 60, left, wa_id=new))
    await world.post(wrote("wamid.L2", NOW + 120, new, "CO.1"))
    await world.post(wrote("wamid.P2", NOW + MONTHS + 1, left, "", "Pedro"))
    luz, pedro, later, again = await contacts_of(world, "wamid.L1", "wamid.P1", "wamid.L2", "wamid.P2")
    assert luz != pedro
    assert (later, again) == (luz, pedro)
    assert dict(await world.query("SELECT party, contact_address FROM conversations")) == {luz: new, pedro: left}


async def test_a_change_told_by_user_id_ends_the_number_that_it_does_not_name(world):
    left, new = PEOPLE["Colombia"]
    await world.post(wrote("wamid.L1", NOW, left, "CO.1"))
    told = changed("wamid.RC", NOW + 60, wa_id=new, user_id="CO.1")
    told["messages"][0]["from_user_id"] = "CO.1"
    await world.post(told)
    await world.post(wrote("wamid.P1", NOW + MONTHS, left, "", "Pedro"))
    luz, pedro = await contacts_of(world, "wamid.L1", "wamid.P1")
    assert luz != pedro
    assert dict(await world.query("SELECT party, contact_address FROM conversations")) == {luz: new, pedro: left}


@pytest.mark.parametrize("field", ["previous_user_id", "from_user_id"])
async def test_a_changed_user_id_names_the_old_one_in_either_place(world, field: str):
    await world.post(wrote("wamid.L1", NOW, None, "CO.1"))
    told = changed("wamid.RC", NOW + 60, type="user_changed_user_id", user_id="CO.2")
    message = told["messages"][0]
    (message if field == "from_user_id" else message["system"])[field] = "CO.1"
    assert (await world.post(told)).outcome == Outcome.APPLIED
    await world.post(wrote("wamid.L2", NOW + 120, None, "CO.2"))
    assert len(set(await contacts_of(world, "wamid.L1", "wamid.RC", "wamid.L2"))) == 1
    assert await world.query("SELECT user_id, merged_into FROM contacts") == [("CO.2", "")]
    assert (await world.names()).count("conversations.insert") == 1


async def test_a_change_that_several_of_our_numbers_are_told_of_is_one(world):
    left, new = PEOPLE["Mexico"]
    await world.post(wrote("wamid.L1", NOW, left))
    await world.post(changed("wamid.RC1", NOW + 60, left, wa_id=new))
    await world.post(wrote("wamid.P1", NOW + 61, left, "", "Pedro"))
    again = changed("wamid.RC2", NOW + 62, left, wa_id=new)
    again["metadata"]["phone_number_id"] = "375446602312882"
    await world.post(again)
    luz, told, pedro = await contacts_of(world, "wamid.L1", "wamid.RC2", "wamid.P1")
    assert luz == told != pedro


# --- what Meta ties ---------------------------------------------------------------------------------------------------


async def answer(world, message, *addresses: str) -> None:
    """Meta's answer to a send, which names its recipient."""
    account, named = await an_account(world), Named(WebhookContact(address=addresses[0], aliases=addresses), NOW)
    keys = recipients.keys_of_names(account, message.id, [named])
    await world.store.apply(keys, lambda ledger: recipients.name(ledger, message.id, named))


async def test_the_answer_to_a_send_makes_one_contact_of_two_addresses(world):
    await world.post(wrote("wamid.IN1", NOW, "22997000001"))
    message = await under_way(world, "+2290197000001")
    assert len(await world.query("SELECT id FROM contacts WHERE merged_into = ''")) == 2
    await answer(world, message, "22997000001")
    await accepted(world, message, "wamid.K1")
    account = await an_account(world)
    ((survivor,),) = await world.query("SELECT id FROM contacts WHERE merged_into = ''")
    for spelling in ("+2290197000001", "22997000001"):
        found = await world.store.read(lambda c, spelling=spelling: service_windows.party_of(c, account, spelling, NOW))
        assert found == survivor
        named = await world.store.read(
            lambda c, spelling=spelling: conversations.party_of(c, account.organization_id, spelling)
        )
        assert named == survivor
    written = await world.store.read(
        lambda c: service_windows.last_incoming_at(c, account.organization_id, account.id, survivor)
    )
    assert written == NOW
    again = await queued(world, "+2290197000001")
    ((status_of,),) = await world.query(f"SELECT status FROM conversations WHERE id = '{again.conversation_id}'")
    assert status_of == "open"
    assert await world.query("SELECT count(*) FROM conversations WHERE status = 'open'") == [(1,)]


@pytest.mark.parametrize("held", [False, True], ids=["known", "before the answer"])
async def test_a_status_of_our_message_ties_the_addresses_that_it_names(world, *, held: bool):
    message = await under_way(world, "+12025550177")
    told = statuses(status("wamid.K1", "delivered", to="12025550177", recipient_user_id="US.779"))
    if held:
        await world.post(told)
    account = await an_account(world)
    left: list[Named] = await world.store.apply(
        held_items.keys_of_acceptance(account, message.id, "wamid.K1"),
        lambda ledger: held_items.accept(ledger, account, message.id, "wamid.K1", world.ingest.options),
    )
    assert bool(left) == held
    for named in left:
        keys = recipients.keys_of_names(account, message.id, [named])
        await world.store.apply(keys, lambda ledger, named=named: recipients.name(ledger, message.id, named))
    if not held:
        await world.post(told)
    await world.post(wrote("wamid.IN1", NOW + 60, None, "US.779", "Ana"))
    assert await world.query("SELECT phone, user_id FROM contacts") == [("12025550177", "US.779")]
    assert (await world.names()).count("conversations.insert") == 1


async def test_a_status_with_another_user_id_makes_nobody_of_two_people(world):
    await world.post(wrote("wamid.L1", NOW, "573001118001", "CO.1"))
    message = await under_way(world, "+573001118001")
    await accepted(world, message, "wamid.K1")
    await world.post(statuses(status("wamid.K1", "delivered", NOW + 5, to="573001118001", recipient_user_id="CO.9")))
    await world.post(wrote("wamid.P1", NOW + 60, None, "CO.9", "Pedro"))
    luz, pedro = await contacts_of(world, "wamid.L1", "wamid.P1")
    assert luz != pedro


# --- what waits -------------------------------------------------------------------------------------------------------


async def claimed_to(world, message):
    account, send = await an_account(world), await send_of(world, message)
    keys = recipients.keys_of_sends(account, [send])
    world.clock.move(1)

    def claim(ledger):
        if recipients.has_left(ledger, message.id):
            return ""
        claimed = outgoing.claim(ledger, account, message.id, epoch=1, tries_until=1 << 60)
        return claimed and claimed.recipient

    return await world.store.apply(keys, claim)


@pytest.mark.parametrize("by_conversation", [False, True])
async def test_what_waits_goes_to_the_number_that_its_recipient_has_now(world, *, by_conversation: bool):
    left, new = PEOPLE["Colombia"]
    await world.post(wrote("wamid.L1", NOW, left))
    ((name,),) = await world.query("SELECT id FROM conversations")
    account = await an_account(world)
    conversation = await world.store.read(lambda c: conversations.get(c, account.organization_id, name))
    draft = Draft(
        account=account, content=HELLO, **({"conversation": conversation} if by_conversation else {"to": f"+{left}"})
    )
    message, _ = await world.store.apply(outgoing.keys_of(draft), lambda led: outgoing.queue(led, draft, window=0))
    await world.post(changed("wamid.RC", NOW + 60, left, wa_id=new))
    await world.post(wrote("wamid.P1", NOW + MONTHS, left, "", "Pedro"))
    assert await claimed_to(world, message) == f"+{new}"
    assert (await stored(world, message)).to == new
    assert (await world.rows("messages.update"))[-1]["to"] == new


async def test_what_waits_for_who_lost_the_number_goes_to_their_user_id_or_nowhere(world):
    for user_id, sender, wanted in (("CO.1", "573001118001", "CO.1"), ("", "573001118005", "")):
        await world.post(wrote(f"wamid.L{sender}", NOW, sender, user_id))
        message = await queued(world, f"+{sender}")
        if user_id:
            await world.post(wrote(f"wamid.P{sender}", NOW + MONTHS, sender, "CO.999", "Pedro"))
        else:
            await world.post(wrote("wamid.M1", NOW, "573001118009", "", "Mia"))
            await world.post(changed("wamid.MC", NOW + MONTHS, "573001118009", wa_id=sender))
        assert await claimed_to(world, message) == wanted


async def test_the_other_spelling_that_was_asked_for_is_kept(world):
    await world.post(incoming("wamid.1", sender="551187654321"))
    message = await queued(world, "+5511987654321")
    assert await claimed_to(world, message) == "+5511987654321"


async def test_messages_that_wait_are_in_one_line_after_a_merge(world):
    await world.post(wrote("wamid.1", NOW, "12025550177"))
    world.clock.move(1_000_000)
    await world.post(wrote("wamid.2", NOW, None, "US.1"))
    older, younger = await queued(world, "+12025550177"), await queued(world, "US.1")
    await world.post(wrote("wamid.3", NOW + 1, "12025550177", "US.1"))
    assert (await send_of(world, older)).order_key == (await send_of(world, younger)).order_key
    account = await an_account(world)
    await own(world, younger, lambda ledger: outgoing.cancel(ledger, account, younger.id))
    assert (await send_of(world, older)).order_key == (await send_of(world, younger)).order_key
