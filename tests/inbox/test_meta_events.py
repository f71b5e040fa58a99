"""What Meta sent, told to endpoints of the format `meta`: each thing once, whatever becomes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import text
from tests.inbox.sends import HELLO, accepted, under_way
from tests.world import (
    CUSTOMER,
    DISPLAY,
    NUMBER,
    WABA,
    World,
    contact,
    envelope,
    incoming,
    play,
    status,
    statuses,
    text_message,
    value,
)

from tellwire.formats import FORMATS
from tellwire.inbox.housekeeping import route_unrouted
from tellwire.model.deliveries import Endpoint, SentAs
from tellwire.model.inbound import Outcome, SpeaksFor
from tellwire.model.routing import PARTITIONS, order_key

OTHER, OTHERS_WABA = "900000000000002", "900000000000009"
ORGANIZATION = "0000ffff-0000-7000-8000-000000000002"


def text_of(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()


async def told(world: World, endpoint: Endpoint) -> list[bytes]:
    """The bodies that an endpoint would get, in order."""
    work = await world.outbox.backlog(endpoint.id, partitions=range(PARTITIONS), after="", limit=10_000)
    bodies = [FORMATS[endpoint.format].encode(each.event, endpoint, SentAs("an id")) for each in work]
    return [body for body in bodies if body is not None]


def items(bodies: list[bytes]) -> list[Any]:
    """The ids of the messages and statuses in them, or else their fields."""
    found = []
    for body in bodies:
        for entry in json.loads(body)["entry"]:
            for change in entry["changes"]:
                value = change["value"]
                arrays = [*value.get("messages", ()), *value.get("message_echoes", ())]
                found += [each["id"] for each in arrays]
                found += [(each["id"], each["status"]) for each in value.get("statuses", ())]
                if not (arrays or "statuses" in value):
                    found.append(change["field"])
    return found


async def other_organization(world: World) -> None:
    """Give the other number to another organization."""

    def work(connection: Any) -> None:
        names = {"o": ORGANIZATION, "n": OTHER, "w": OTHERS_WABA}
        connection.execute(text("INSERT INTO organizations(id, name, created_at) VALUES (:o, 'Theirs', 0)"), names)
        moved = "UPDATE accounts SET organization_id = :o, waba_id = :w WHERE phone_number_id = :n"
        connection.execute(text(moved), names)
        connection.execute(text("UPDATE facts SET value = value + 1 WHERE name = 'registry'"))

    await world.post(value(number=OTHER, contacts=[contact()], messages=[text_message("wamid.first")]))
    await world.store.write(work)


async def owned_by_another(world: World, **options: Any) -> Endpoint:
    endpoint = await world.endpoint("meta", **options)

    def work(connection: Any) -> None:
        given = {"o": ORGANIZATION, "e": endpoint.id}
        connection.execute(text("UPDATE endpoints SET organization_id = :o WHERE id = :e"), given)
        connection.execute(text("UPDATE facts SET value = value + 1 WHERE name = 'registry'"))

    await world.store.write(work)
    return replace(endpoint, organization_id=ORGANIZATION)


async def test_each_message_and_status_is_told_by_itself_in_metas_envelope(world):
    endpoint = await world.endpoint("meta")
    cards = [contact(), contact("15550000077", "Zoe")]
    messages = [text_message("wamid.1"), text_message("wamid.2", sender="15550000077")]
    both = value(contacts=cards, messages=messages)
    await world.post(both, statuses(status("wamid.9", "sent")))
    first, second, third = map(json.loads, await told(world, endpoint))
    assert first == envelope(value(contacts=cards[:1], messages=messages[:1]))
    assert second == envelope(value(contacts=cards[1:], messages=messages[1:]))
    assert third == envelope(statuses(status("wamid.9", "sent")))
    names = {event.name for event in await world.events() if event.entity == "meta"}
    assert names == {"meta.messages"}


async def test_nothing_is_kept_where_no_endpoint_takes_it(world):
    await world.endpoint("row")
    await world.post(incoming("wamid.1"))
    assert not [event for event in await world.events() if event.entity == "meta"]
    assert await world.query("SELECT * FROM message_statuses WHERE name = 'meta.told'") == []


async def test_a_repetition_is_told_once_and_other_content_again(world):
    endpoint = await world.endpoint("meta")
    for _ in range(2):
        await world.post(incoming("wamid.1"))
    assert items(await told(world, endpoint)) == ["wamid.1"]
    assert (await world.post(incoming("wamid.1", "changed"))).outcome == Outcome.DUPLICATE
    assert items(await told(world, endpoint)) == ["wamid.1", "wamid.1"]


async def test_what_was_told_with_others_is_not_told_again_by_itself(world):
    endpoint = await world.endpoint("meta")
    message = text_message("wamid.1")
    card = [contact()]
    await world.post(
        value(contacts=[*card, contact("15550000077")], messages=[message, text_message("w2", sender="15550000077")])
    )
    await world.post(value(contacts=card, messages=[message]))
    assert items(await told(world, endpoint)) == ["wamid.1", "w2"]


async def test_what_is_held_is_told_when_it_comes_and_not_when_it_is_released(world):
    endpoint = await world.endpoint("meta")
    revoke: dict[str, Any] = {"from": CUSTOMER, "id": "wamid.r", "timestamp": "1778038763", "type": "revoke"}
    revoke |= {"revoke": {"original_message_id": "wamid.1"}}
    assert (await world.post(value(messages=[revoke]))).outcome == Outcome.HELD
    await world.post(incoming("wamid.1"))
    assert await world.query("SELECT * FROM held_items") == []
    assert items(await told(world, endpoint)) == ["wamid.r", "wamid.1"]


@pytest.mark.parametrize(
    ("field", "content"),
    [
        ("messages", {"messages": ["not an object"]}),
        ("messages", {"messages": {"not": "a list"}}),
        ("a_field_to_come", {"anything": [1.50, "\ud83d\ude00"]}),
        ("group_lifecycle_update", {"groups": [{"group_id": "g"}]}),
        ("flows", {"event": "FLOW_STATUS_CHANGE"}),
    ],
)
async def test_what_is_not_understood_is_told_once(world, field, content):
    endpoint = await world.endpoint("meta")
    await world.post(incoming("wamid.1"))
    body = text_of(envelope(value(**content), field=field))
    for _ in range(2):
        assert (await world.post_body(body)).outcome == Outcome.NOT_UNDERSTOOD
    assert (await told(world, endpoint))[1:] == [body]


async def test_text_that_no_json_reader_takes_is_told_byte_by_byte(world):
    endpoint = await world.endpoint("meta")
    await world.post(incoming("wamid.1"))
    deep = b"[" * 2000 + b"]" * 2000
    for odd in (b'"half a pair \\ud83d"', deep, b"1e999", b'"\xff"'):
        message = b'{"from":"5215588392274","id":"w","timestamp":"1","type":"text","text":{"body":%b}}' % odd
        plain = text_of(envelope(value(messages=["HERE"]))).replace(b'"HERE"', message)
        await world.post_body(plain)
        assert (await told(world, endpoint))[-1] == plain


async def test_a_notice_of_a_business_account_is_told_once_to_each_organization(world):
    await world.post(incoming("wamid.1"))
    await world.post(value(number="900000000000003", contacts=[contact()], messages=[text_message("wamid.3")]))
    await other_organization(world)
    await world.store.write(lambda c: c.execute(text(f"UPDATE accounts SET waba_id = '{WABA}'")))
    ours, theirs = await world.endpoint("meta"), await owned_by_another(world)
    for _ in range(2):
        await world.post({"decision": "APPROVED"}, field="account_review_update")
        await world.post({"unheard": "of"}, field="something_new")
    for endpoint in (ours, theirs):
        assert items(await told(world, endpoint)) == ["account_review_update", "something_new"]
    events = [event for event in await world.events() if event.entity == "meta"]
    assert sorted(bool(event.account_id) for event in events) == [False, False, True, True]


async def test_two_organizations_in_one_post_get_their_own(world):
    await world.post(incoming("wamid.0"))
    await other_organization(world)
    ours, theirs = await world.endpoint("meta"), await owned_by_another(world)
    whole, wholly = (
        await world.endpoint("meta", batching="as_received"),
        await owned_by_another(world, batching="as_received"),
    )
    body = text_of(
        envelope(incoming("wamid.1"), value(number=OTHER, contacts=[contact()], messages=[text_message("wamid.2")]))
    )
    await world.post_body(body)
    assert items(await told(world, ours)) == items(await told(world, whole)) == ["wamid.1"]
    assert items(await told(world, theirs)) == items(await told(world, wholly)) == ["wamid.2"]
    alone = text_of(envelope(incoming("wamid.1")))
    assert (await told(world, whole))[0].startswith(alone[:-4])


async def test_a_secret_that_may_not_change_an_account_tells_it_nothing(world):
    endpoint = await world.endpoint("meta")
    whole = await world.endpoint("meta", batching="as_received")
    await world.post(incoming("wamid.1"))
    stranger = SpeaksFor(meta_ids=("another number",))
    for field in ("messages", "something_new"):
        await world.post(incoming("wamid.2"), field=field, speaks_for=stranger)
    await world.post({"x": 1}, field="something_new", speaks_for=stranger)
    assert items(await told(world, endpoint)) == items(await told(world, whole)) == ["wamid.1"]


def test_what_is_unrouted_is_told_when_its_account_is_there(tmp_path: Path, each_store: None) -> None:
    async def scenario(world: World) -> None:
        endpoint = await world.endpoint("meta")
        whole = await world.endpoint("meta", batching="as_received")
        body = text_of(envelope(incoming("wamid.1"))).replace(b":", b" : ")
        for _ in range(2):
            assert (await world.post_body(body)).outcome == Outcome.UNROUTED
        assert await told(world, endpoint) == await told(world, whole) == []
        world.ingest._options = type(world.ingest._options)(auto_accounts=True)
        await world.post(value(contacts=[contact("1", "Zoe")], messages=[text_message("wamid.2", sender="1")]))
        await route_unrouted(world.store, world.ingest, NUMBER)
        assert items(await told(world, endpoint)) == ["wamid.2", "wamid.1"]
        assert (await told(world, whole))[1:] == [body]

    play(tmp_path, scenario, auto_accounts=False)


async def test_as_received_is_byte_for_byte_and_once(world):
    whole = await world.endpoint("meta", batching="as_received")
    item = await world.endpoint("meta")
    body = (
        b"\xef\xbb\xbf \n"
        + json.dumps(envelope(incoming("wamid.1"), statuses(status("wamid.9", "sent"))), indent=3).encode()
        + b"\n"
    )
    for _ in range(2):
        await world.post_body(body)
    assert await told(world, whole) == [body]
    assert items(await told(world, item)) == ["wamid.1", ("wamid.9", "sent")]


async def test_as_received_holds_only_what_the_endpoint_takes(world):
    await world.post(incoming("wamid.0"))
    await world.post(value(number=OTHER, contacts=[contact()], messages=[text_message("wamid.00")]))
    fields = await world.endpoint("meta", batching="as_received", fields=("flows",))
    account = await world.endpoint("meta", batching="as_received", accounts=(OTHER,))
    standby = await world.endpoint("meta", batching="as_received", standby=False)
    body = envelope(incoming("wamid.1"))
    body["entry"].append(envelope(value(a=1), field="flows")["entry"][0])
    body["entry"][1]["changes"] += envelope(value(number=OTHER, b=1), value(standby={}), field="standby")["entry"][0][
        "changes"
    ]
    await world.post_body(body)
    flows, copy, none = body["entry"][1]["changes"]
    assert [json.loads(each)["entry"] for each in await told(world, fields)] == [[{"id": WABA, "changes": [flows]}]]
    assert [json.loads(each)["entry"] for each in await told(world, account)] == [[{"id": WABA, "changes": [copy]}]]
    assert items(await told(world, standby)) == ["wamid.1", "flows"]
    assert none["field"] == "standby"


async def test_a_large_post_is_told_whole(world):
    item, whole = await world.endpoint("meta"), await world.endpoint("meta", batching="as_received")
    cards = [contact(f"1555000{n:04}", f"{n}") for n in range(600)]
    messages = [text_message(f"wamid.{n}", f"{n}", sender=f"1555000{n:04}") for n in range(600)]
    body = text_of(envelope(value(contacts=cards, messages=messages), value(x=1)))
    for _ in range(2):
        await world.post_body(body)
    bodies = await told(world, item)
    assert sorted(items(bodies[:-1])) == sorted(f"wamid.{n}" for n in range(600))
    assert all(len(json.loads(each)["entry"][0]["changes"][0]["value"]["contacts"]) == 1 for each in bodies[:-1])
    assert await told(world, whole) == [body]


async def test_what_one_person_sent_is_in_the_order_of_their_rows(world):
    await world.endpoint("meta")
    await world.post(incoming("wamid.1"))
    await world.post(statuses(status("wamid.9", "sent")))
    await world.post({"decision": "APPROVED"}, field="account_review_update")
    events = await world.events()
    rows = {event.order_key for event in events if event.entity == "messages"}
    [account] = world.store.registry().accounts.values()
    told = [event.order_key for event in events if event.entity == "meta"]
    assert {*told[:2]} == rows
    assert told[2] == account.id
    [[person]] = await world.query("SELECT id FROM contacts")
    assert rows == {order_key(account.id, person)}


async def test_fields_history_and_standby_choose(world):
    few = await world.endpoint("meta", fields=("flows",))
    every = await world.endpoint("meta")
    past = await world.endpoint("meta", history=True)
    quiet = await world.endpoint("meta", standby=False)
    rows = await world.endpoint("row", standby=False, events=("standby.message",))
    await world.post(incoming("wamid.1"))
    await world.post(value(a=1), field="flows")
    copy = value(standby={"messages": [text_message("wamid.2")]})
    await world.post(copy, field="standby")
    thread = {"id": CUSTOMER, "messages": [text_message("wamid.3")]}
    await world.post(value(history=[{"metadata": {"phase": 0}, "threads": [thread]}]), field="history")
    assert items(await told(world, few)) == ["flows"]
    assert items(await told(world, every)) == ["wamid.1", "flows", "standby"]
    assert items(await told(world, past)) == ["wamid.1", "flows", "standby", "history"]
    assert items(await told(world, quiet)) == ["wamid.1", "flows"]
    assert await told(world, rows) == []


async def test_what_we_send_is_told_as_an_echo_once_meta_has_accepted_it(world):
    echoes = await world.endpoint("meta", echoes=True)
    whole = await world.endpoint("meta", echoes=True, batching="as_received")
    await world.endpoint("meta")
    message = await under_way(world)
    assert await told(world, echoes) == []
    for _ in range(2):
        await accepted(world, message, "wamid.ours")
    (body,) = await told(world, echoes)
    assert await told(world, whole) == [body]
    [change] = json.loads(body)["entry"][0]["changes"]
    metadata = {"display_phone_number": DISPLAY, "phone_number_id": NUMBER}
    echo = {"from": DISPLAY, "to": CUSTOMER, "id": "wamid.ours", "timestamp": "1778038763"} | json.loads(HELLO)
    expected = {"messaging_product": "whatsapp", "metadata": metadata, "message_echoes": [echo]}
    assert change == {"value": expected, "field": "smb_message_echoes"}
    (work,) = await world.outbox.backlog(whole.id, partitions=range(PARTITIONS), after="", limit=9)
    assert (work.event.message_id, work.event.direction) == (message.id, "outgoing")
    rows = {event.order_key for event in await world.events() if event.entity == "messages"}
    assert {work.event.order_key} == rows


async def test_a_real_echo_comes_to_everybody(world):
    endpoint, quiet = await world.endpoint("meta"), await world.endpoint("meta", external=False)
    echo = {
        "from": DISPLAY,
        "to": CUSTOMER,
        "id": "wamid.e",
        "timestamp": "1778038763",
        "type": "text",
        "text": {"body": "x"},
    }
    await world.post(value(message_echoes=[echo]), field="smb_message_echoes")
    await world.post(statuses(status("wamid.of others", "sent")))
    assert items(await told(world, endpoint)) == ["wamid.e", ("wamid.of others", "sent")]
    assert items(await told(world, quiet)) == ["wamid.e"]


async def test_a_status_gives_back_what_its_sender_had_sent(world):
    """Our id goes to Meta in its place, so this is the only value of a status that is not Meta's own."""
    item, whole = await world.endpoint("meta"), await world.endpoint("meta", batching="as_received")
    theirs = await under_way(world, callback_data='order "7" \u00e9')
    ours = await under_way(world, "+5215500000777")
    await accepted(world, theirs, "wamid.theirs")
    await accepted(world, ours, "wamid.ours")
    sent = [
        status("wamid.theirs", "sent", biz_opaque_callback_data=theirs.id),
        status("wamid.ours", "sent", biz_opaque_callback_data=ours.id),
        status("wamid.theirs", "delivered"),
        status("wamid.theirs", "read", biz_opaque_callback_data="of somebody else"),
    ]
    body = text_of(envelope(statuses(*sent)))
    for _ in range(2):
        await world.post_body(body)
    back = ['order "7" \u00e9', ours.id, None, "of somebody else"]
    for endpoint in (item, whole):
        assert given_back(await told(world, endpoint)) == back
    assert await told(world, whole) == [body.replace(theirs.id.encode(), b'order \\"7\\" \xc3\xa9')]


async def test_a_large_post_gives_back_all_of_it(world):
    """It is applied in parts, and told whole with the last."""
    item, whole = await world.endpoint("meta"), await world.endpoint("meta", batching="as_received")
    message = await under_way(world, callback_data="order-7")
    await accepted(world, message, "wamid.theirs")
    first = status("wamid.theirs", "sent", biz_opaque_callback_data=message.id)
    others = [status(f"wamid.{n}", "sent", to=f"1555000{n:04}") for n in range(600)]
    await world.post_body(text_of(envelope(statuses(first, *others))))
    for endpoint in (item, whole):
        back = given_back(await told(world, endpoint))
        assert (len(back), [each for each in back if each]) == (601, ["order-7"])


def given_back(bodies: list[bytes]) -> list[Any]:
    """What the statuses in them have as their sender's own data."""
    values = [change["value"] for body in bodies for entry in json.loads(body)["entry"] for change in entry["changes"]]
    return [each.get("biz_opaque_callback_data") for value in values for each in value.get("statuses", ())]
