"""What messages emit (docs/reference/formats.md, "What emits what"), over a real store."""

from __future__ import annotations

import asyncio

from tests.world import CUSTOMER, DISPLAY, NUMBER, START, contact, envelope, incoming, play, text_message, value

from tellwire.inbox.housekeeping import route_unrouted
from tellwire.model.inbound import Outcome, SpeaksFor


async def test_first_message_opens_a_conversation_then_inserts_the_message(world):
    inbound = await world.post(incoming("wamid.1"))
    assert inbound.outcome == Outcome.APPLIED
    assert await world.names() == ["conversations.insert", "messages.insert"]
    conversation, message = await world.rows()
    assert conversation["contact_address"] == CUSTOMER
    assert conversation["organization_address"] == NUMBER
    assert message["conversation_id"] == conversation["id"]


async def test_the_first_documents_incoming_message_comes_out_key_for_key(world):
    endpoint = await world.endpoint("row")
    await world.post(incoming("wamid.HBgN"))
    conversation, message = await world.delivered(endpoint)
    at = "2026-05-06T03:39:23+00:00"
    row = message["data"]
    assert list(message) == ["data", "entity", "action"]
    assert (message["entity"], message["action"]) == ("messages", "insert")
    documented = {
        "id": row["id"],
        "conversation_id": conversation["data"]["id"],
        "organization_id": row["organization_id"],
        "direction": "incoming",
        "content": {"type": "text", "text": {"body": "Hello!"}},
        "status": {"pending": at},
        "wa_id": "wamid.HBgN",
        "from": CUSTOMER,
        "created_at": at,
        "updated_at": at,
    }
    assert list(row)[: len(documented)] == list(documented)
    assert {key: row[key] for key in documented} == documented
    assert list(conversation["data"].items()) == list(
        {
            "id": conversation["data"]["id"],
            "organization_id": row["organization_id"],
            "organization_address": NUMBER,
            "contact_address": CUSTOMER,
            "service": "whatsapp",
            "status": "open",
            "created_at": at,
            "updated_at": at,
        }.items()
    )


async def test_the_second_documents_incoming_message_comes_out_key_for_key(world):
    endpoint = await world.endpoint("chat")
    await world.post(incoming("wamid.1", "Welcome", sender="919876543210", at=1760686408))
    (payload,) = await world.delivered(endpoint)
    chat_id = payload["message"]["conversation_id"]
    assert len(chat_id) == 24
    assert int(chat_id, 16) >= 0
    expected = {
        "messaging_product": "whatsapp",
        "message_type": "incoming_message",
        "participants": {
            "sender": {"from": "919876543210", "profile": {"name": "Bharath"}},
            "receiver": {"to": DISPLAY},
        },
        "message": {
            "conversation_id": chat_id,
            "timestamp": "1760686408",
            "type": "text",
            "text": {"body": "Welcome"},
        },
    }
    assert payload == expected
    assert list(payload) == list(expected)
    assert list(payload["message"]) == list(expected["message"])


async def test_every_item_of_a_batch_is_applied_and_a_repetition_changes_nothing(world):
    batch = value(contacts=[contact()], messages=[text_message(f"wamid.{n}", f"message {n}") for n in range(1000)])
    first = await world.post(batch)
    assert len(first.items) == 1000
    names = await world.names()
    assert names == ["conversations.insert"] + ["messages.insert"] * 1000
    again = await world.post(batch)
    assert again.outcome == Outcome.DUPLICATE
    assert len(await world.names()) == 1001
    contents = [row["content"]["text"]["body"] for row in (await world.rows("messages.insert"))]
    assert contents == [f"message {n}" for n in range(1000)]


async def test_200_concurrent_first_messages_of_one_contact_make_one_conversation(world):
    await asyncio.gather(*(world.post(incoming(f"wamid.{n}")) for n in range(200)))
    names = await world.names()
    assert names.count("conversations.insert") == 1
    assert names.count("messages.insert") == 200
    assert await world.query("SELECT count(*) FROM conversations") == [(1,)]
    assert await world.query("SELECT count(*) FROM contacts") == [(1,)]


async def test_another_content_under_a_known_wamid_is_a_duplicate_and_both_raw_texts_are_kept(world):
    await world.post(incoming("wamid.1", "first"))
    second = await world.post(incoming("wamid.1", "second"))
    assert [item.outcome for item in second.items] == [Outcome.DUPLICATE]
    assert "another content" in second.items[0].reason
    (row,) = await world.rows("messages.insert")
    assert row["content"]["text"]["body"] == "first"
    assert await world.query("SELECT count(*) FROM inbound") == [(2,)]


async def test_the_same_wamid_on_two_accounts_is_two_messages(world):
    other = incoming("wamid.1")
    other["metadata"] = {"display_phone_number": "15550001111", "phone_number_id": "999"}
    await world.post(incoming("wamid.1"), other)
    assert (await world.names()).count("messages.insert") == 2


async def test_content_keeps_every_other_key_verbatim_in_metas_order(world):
    body = (
        b'{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":'
        b'{"metadata":{"phone_number_id":"375446602312881","display_phone_number":"919123456789"},'
        b'"messages":[{"context":{"id":"wamid.0","from":"1"},"from":"5215588392274","id":"wamid.1",'
        b'"timestamp":"1778038763","location":{"latitude":37.50,"longitude":-1e2},"type":"location","zz":1.0}]}}]}]}'
    )
    await world.post_body(body)
    event = (await world.events())[-1]
    assert (
        b'"content":{"type":"location","location":{"latitude":37.50,"longitude":-1e2},'
        b'"context":{"id":"wamid.0","from":"1"},"zz":1.0}' in bytes(event.snapshot.row)
    )


async def test_one_bad_item_costs_no_neighbour(world):
    good = text_message("wamid.good")
    bad = [5, None, {}, {"id": 7}, {"id": "wamid.x", "timestamp": "1"}, {"from": "1", "type": "text"}]
    inbound = await world.post(value(contacts=[contact()], messages=[*bad, good]))
    outcomes = {item.pointer: item.outcome for item in inbound.items}
    assert outcomes["/entry/0/changes/0/value/messages/6"] == Outcome.APPLIED
    assert inbound.outcome == Outcome.NOT_UNDERSTOOD
    assert any(row.get("wa_id") == "wamid.good" for row in await world.rows())


async def test_hostile_values_in_one_message_cost_no_neighbour(world):
    bad = [
        b'{"from":"1","id":"wamid.s","timestamp":"1","type":"text","text":{"body":"\\ud800"}}',
        b'{"from":"1","id":"wamid.n","timestamp":"1","type":"text","text":{"body":1e999}}',
        b'{"from":"1","id":"wamid.d","timestamp":"1","type":"text","text":' + b"[" * 2000 + b"]" * 2000 + b"}",
    ]
    good = b'{"from":"5215588392274","id":"wamid.good","timestamp":"1","type":"text","text":{"body":"a\\u0000b"}}'
    body = (
        b'{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":'
        b'{"metadata":{"phone_number_id":"375446602312881"},"messages":[' + b",".join([*bad, good]) + b"]}}]}]}"
    )
    inbound = await world.post_body(body)
    assert [item.outcome for item in inbound.items].count(Outcome.NOT_UNDERSTOOD) == 3
    assert [row["wa_id"] for row in await world.rows("messages.insert")] == ["wamid.good"]


async def test_other_webhook_fields_are_kept_and_listed(world):
    inbound = await world.post({"event": "FLOW_STATUS_CHANGE"}, field="flows")
    assert inbound.outcome == Outcome.NOT_UNDERSTOOD
    assert inbound.items[0].kind == "flows"
    assert await world.names() == []


async def test_json_that_is_no_webhook_is_kept(world):
    for body in (b"[]", b"7", b'"x"', b'{"entry":5}', b'{"object":"page","entry":[]}', b"{}"):
        inbound = await world.post_body(body)
        assert inbound.outcome in (Outcome.NOT_UNDERSTOOD, Outcome.RECORDED)
    assert await world.query("SELECT count(*) FROM inbound") == [(6,)]


async def test_unusable_times_become_the_time_of_receipt(world):
    for number, at in enumerate(["0", "-5", "x", "253402300800", "1e9"]):
        await world.post(incoming(f"wamid.{number}", at=at))
    assert {row["timestamp"] for row in await world.rows("messages.insert")} == {"2026-05-06T03:39:23+00:00"}
    assert START % 1_000_000 == 0


def test_unrouted_items_wait_until_their_account_is_there(tmp_path):
    async def scenario(world):
        inbound = await world.post(incoming("wamid.1"))
        assert inbound.outcome == Outcome.UNROUTED
        assert await world.names() == []
        world.ingest._options = type(world.ingest._options)(auto_accounts=True)
        await world.post(value(contacts=[contact("1", "Zoe")], messages=[text_message("wamid.2", sender="1")]))
        assert await route_unrouted(world.store, world.ingest, NUMBER) == 1
        assert [row["wa_id"] for row in await world.rows("messages.insert")] == ["wamid.2", "wamid.1"]
        assert await world.query("SELECT outcome FROM inbound ORDER BY id") == [("applied",), ("applied",)]
        assert await route_unrouted(world.store, world.ingest, NUMBER) == 0

    play(tmp_path, scenario, auto_accounts=False)


async def test_a_bound_secret_changes_only_its_own_accounts(world):
    await world.post(incoming("wamid.1"))
    inbound = await world.post(incoming("wamid.2"), speaks_for=SpeaksFor(meta_ids=("another number",)))
    assert inbound.outcome == Outcome.UNROUTED
    assert "does not speak for" in inbound.items[0].reason
    assert (await world.post(incoming("wamid.3"), speaks_for=SpeaksFor(meta_ids=(NUMBER,)))).outcome == Outcome.APPLIED


async def test_value_errors_warn_once_and_are_no_message(world):
    endpoint = await world.endpoint("row", events=("account.warning",))
    body = envelope(value(errors=[{"code": 130429, "title": "Rate limit hit"}]))
    assert (await world.post_body(body)).outcome == Outcome.APPLIED
    assert (await world.post_body(body)).outcome == Outcome.DUPLICATE
    (payload,) = await world.delivered(endpoint)
    assert list(payload) == ["type", "timestamp", "data"]
    assert payload["type"] == "account.warning"
    assert payload["data"]["errors"][0]["code"] == 130429
