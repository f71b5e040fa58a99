"""What statuses, edits, revokes, echoes and history emit, over a real store.

Source: docs/reference/formats.md, "What emits what".
"""

from __future__ import annotations

import itertools
import json

from tests.world import CUSTOMER, DISPLAY, contact, incoming, play, status, statuses, text_message, value

from tellwire.model.inbound import Outcome

PRICING = {"billable": False, "pricing_model": "PMP", "category": "utility", "type": "free_customer_service"}
ERROR = {
    "code": 131026,
    "title": "Message undeliverable",
    "message": "Message undeliverable",
    "error_data": {"details": "Message Undeliverable."},
    "href": "https://developers.facebook.com/docs/",
}


def echo(wamid: str, body: str = "From the phone", **more: object) -> dict[str, object]:
    return {
        "from": DISPLAY,
        "to": CUSTOMER,
        "id": wamid,
        "timestamp": "1778038765",
        "type": "text",
        "text": {"body": body},
        **more,
    }


async def test_a_status_of_an_unknown_message_becomes_an_external_row_once(world):
    chat, row = await world.endpoint("chat"), await world.endpoint("row")
    await world.post(statuses(status("wamid.x", "delivered", pricing=PRICING)))
    assert await world.names() == ["conversations.insert", "messages.insert"]
    (inserted,) = await world.rows("messages.insert")
    assert inserted["content"] == {"type": "external"}
    assert inserted["status"] == {"delivered": "2026-05-06T03:39:26+00:00"}
    assert inserted["direction"] == "outgoing"
    (payload,) = await world.delivered(chat)
    assert payload["message_type"] == "status_update"
    assert payload["statuses"][0]["meta_pricing"] == {
        "meta_billable": False,
        "meta_category": "utility",
        "meta_type": "free_customer_service",
    }
    assert (await world.post(statuses(status("wamid.x", "delivered", pricing=PRICING)))).outcome == "duplicate"
    assert len(await world.delivered(row)) == 2


async def test_the_second_documents_failed_status_comes_out_key_for_key(world):
    chat = await world.endpoint("chat")
    await world.post(incoming("wamid.1", sender="919876543210"))
    item = status("wamid.x", "failed", 1760762206, to="919876543210", errors=[ERROR])
    await world.post(statuses(item))
    payload = (await world.delivered(chat))[-1]
    expected = {
        "messaging_product": "whatsapp",
        "message_type": "status_update",
        "participants": {
            "sender": {"from": "919876543210", "profile": {"name": "Bharath"}},
            "receiver": {"to": DISPLAY},
        },
        "statuses": [
            {
                "conversation_id": payload["statuses"][0]["conversation_id"],
                "status": "failed",
                "timestamp": "1760762206",
                "errors": [{k: v for k, v in ERROR.items() if k != "href"}],
                "meta_pricing": {"meta_billable": False, "meta_category": "", "meta_type": ""},
            }
        ],
    }
    assert json.dumps(payload) == json.dumps(expected)


def test_statuses_in_any_order_give_the_documents_map_and_its_update(tmp_path):
    steps = [("sent", 1778038766), ("delivered", 1778038767), ("read", 1778038775)]
    for number, order in enumerate(itertools.permutations(steps)):

        async def scenario(world, order=order):
            changed = await world.endpoint("row", updates="changed")
            await world.post(value(message_echoes=[echo("wamid.o")]), field="smb_message_echoes")
            for name, at in order:
                await world.post(statuses(status("wamid.o", name, at)))
            last = (await world.delivered(changed))[-1]
            assert list(last["data"]) == ["id", "status", "updated_at"]
            assert last["data"]["status"] == {
                "sent": "2026-05-06T03:39:25+00:00",
                "delivered": "2026-05-06T03:39:27+00:00",
                "read": "2026-05-06T03:39:35+00:00",
            }
            assert (last["entity"], last["action"]) == ("messages", "update")

        path = tmp_path / str(number)
        path.mkdir()
        play(path, scenario)


async def test_a_status_that_meta_names_pending_has_no_place_in_chat(world):
    chat, row = await world.endpoint("chat"), await world.endpoint("row", events=("messages.update",))
    await world.post(value(message_echoes=[echo("wamid.1")]), field="smb_message_echoes")
    await world.post(statuses(status("wamid.1", "pending"), status("wamid.1", "warmed_up")))
    assert [body["statuses"][0]["status"] for body in await world.delivered(chat)] == ["warmed_up"]
    assert list((await world.delivered(row))[-1]["data"]["status"]) == ["pending", "sent", "warmed_up"]


async def test_updated_at_strictly_increases(world):
    await world.post(value(message_echoes=[echo("wamid.o")]), field="smb_message_echoes")
    await world.post(statuses(*(status("wamid.o", name) for name in ("delivered", "read", "played"))))
    times = [row["updated_at"] for row in await world.rows() if row.get("wa_id") == "wamid.o"]
    assert len(times) == 4
    assert times == sorted(set(times))


async def test_statuses_of_incoming_rows_calls_and_wacids_change_nothing(world):
    await world.post(incoming("wamid.1"))
    before = await world.names()
    for body in (
        statuses(status("wamid.1", "read")),
        statuses(status("wacid.1", "read")),
    ):
        assert (await world.post(body)).outcome == Outcome.NOT_UNDERSTOOD
    calls = value(calls=[{"id": "wacid.2"}], statuses=[status("wacid.2", "RINGING")])
    assert (await world.post(calls, field="calls")).outcome == Outcome.NOT_UNDERSTOOD
    assert await world.names() == before


async def test_a_status_without_recipient_is_held_and_applied_when_the_message_comes(world):
    held = await world.post(statuses(status("wamid.o", "read", to=None)))
    assert held.outcome == Outcome.HELD
    await world.post(value(message_echoes=[echo("wamid.o")]), field="smb_message_echoes")
    assert (await world.names())[-2:] == ["messages.insert", "messages.update"]
    assert set((await world.rows())[-1]["status"]) == {"sent", "read"}
    assert await world.query("SELECT outcome FROM inbound ORDER BY id LIMIT 1") == [("applied",)]
    assert await world.query("SELECT count(*) FROM held_items") == [(0,)]


async def test_unknown_statuses_hold(world):
    await world.post(incoming("wamid.1"))
    await world.set_account(unknown_statuses="hold")
    assert (await world.post(statuses(status("wamid.x", "read")))).outcome == Outcome.HELD


async def test_an_external_row_takes_its_content_when_the_message_itself_comes(world):
    await world.post(statuses(status("wamid.o", "delivered")))
    await world.post(value(message_echoes=[echo("wamid.o")]), field="smb_message_echoes")
    last = (await world.rows())[-1]
    assert (await world.names())[-1] == "messages.update"
    assert last["content"]["text"]["body"] == "From the phone"
    assert set(last["status"]) == {"sent", "delivered"}


async def test_endpoints_may_leave_external_rows_out(world):
    without = await world.endpoint("row", external=False)
    await world.post(statuses(status("wamid.x", "delivered")))
    assert [p["entity"] for p in await world.delivered(without)] == ["conversations"]


async def test_an_edit_replaces_the_content_once(world):
    await world.post(incoming("wamid.1", "Helo"))
    edited = {"type": "text", "text": {"body": "Hello"}}
    edit = {
        "from": CUSTOMER,
        "id": "wamid.e",
        "timestamp": "1778038770",
        "type": "edit",
        "edit": {"original_message_id": "wamid.1", "message": edited},
    }
    assert (await world.post(value(contacts=[contact()], messages=[edit]))).outcome == Outcome.APPLIED
    assert (await world.post(value(contacts=[contact()], messages=[edit]))).outcome == Outcome.DUPLICATE
    assert (await world.names())[2:] == ["messages.update"]
    last = (await world.rows())[-1]
    assert last["content"] == edited
    assert last["status"]["edited"] == "2026-05-06T03:39:30+00:00"
    older = {**edit, "id": "wamid.e2", "timestamp": "1778038769"}
    older["edit"] = {"original_message_id": "wamid.1", "message": {"type": "text", "text": {"body": "older"}}}
    await world.post(value(messages=[older]))
    assert (await world.rows())[-1]["content"] == edited


async def test_an_edit_that_waited_changes_nothing_when_it_is_repeated_after_its_original(world):
    edit = {
        "from": CUSTOMER,
        "id": "wamid.e",
        "timestamp": "1778038770",
        "type": "edit",
        "edit": {"original_message_id": "wamid.1", "message": {"type": "text", "text": {"body": "x"}}},
    }
    await world.post(value(contacts=[contact()], messages=[edit]))
    await world.post(incoming("wamid.1", "Helo"))
    rows = await world.query("SELECT record FROM messages ORDER BY id")
    for _ in range(3):
        repeated = await world.post(value(contacts=[contact()], messages=[edit]))
        assert repeated.outcome == Outcome.DUPLICATE
    assert await world.query("SELECT record FROM messages ORDER BY id") == rows


def revoke(wamid: str, original: str) -> dict[str, object]:
    return {
        "from": CUSTOMER,
        "id": wamid,
        "timestamp": "1778038771",
        "type": "revoke",
        "revoke": {"original_message_id": original},
    }


async def test_a_revoke_keeps_or_erases_the_content_and_waits_for_its_original(world):
    held = await world.post(value(messages=[revoke("wamid.r", "wamid.1")]))
    assert held.outcome == Outcome.HELD
    assert await world.names() == []
    await world.post(incoming("wamid.1", "secret"))
    assert (await world.names())[-1] == "messages.update"
    last = (await world.rows())[-1]
    assert "deleted" in last["status"]
    assert last["content"]["text"]["body"] == "secret"
    await world.set_account(on_revoke="erase")
    await world.post(incoming("wamid.2", "more"))
    await world.post(value(messages=[revoke("wamid.r2", "wamid.2")]))
    assert (await world.rows())[-1]["content"] == {"type": "text"}


async def test_history_makes_rows_without_pending_and_goes_only_where_it_is_wanted(world):
    plain, wants = await world.endpoint("row"), await world.endpoint("row", history=True)
    thread = {
        "id": CUSTOMER,
        "messages": [
            text_message("wamid.h1", "old") | {"history_context": {"status": "READ"}},
            {
                "from": CUSTOMER,
                "id": "wamid.h2",
                "timestamp": "1700000000",
                "type": "media_placeholder",
                "history_context": {"status": "READ"},
            },
            echo("wamid.h3", "our answer") | {"history_context": {"status": "DELIVERED"}},
        ],
    }
    chunk = value(history=[{"metadata": {"phase": 0, "chunk_order": 1, "progress": 55}, "threads": [thread]}])
    inbound = await world.post(chunk, field="history")
    assert [item.outcome for item in inbound.items] == [Outcome.APPLIED] * 3
    assert await world.delivered(plain) == []
    payloads = await world.delivered(wants)
    rows = [p["data"] for p in payloads if p["entity"] == "messages"]
    assert len(rows) == 3
    assert all("pending" not in row["status"] for row in rows)
    assert rows[2]["direction"] == "outgoing"
    assert (await world.post(chunk, field="history")).outcome == Outcome.DUPLICATE
    photo = {
        "from": CUSTOMER,
        "id": "wamid.h2",
        "timestamp": "1700000000",
        "type": "image",
        "image": {"id": "1", "mime_type": "image/jpeg", "sha256": "x"},
        "history_context": {"status": "READ"},
    }
    later = value(messages=[photo])
    assert (await world.post(later, field="history")).outcome == Outcome.APPLIED
    assert (await world.rows())[-1]["content"]["type"] == "image"
    assert (await world.names())[-1] == "messages.update"
    assert await world.query("SELECT count(*) FROM conversations WHERE status = 'open'") == [(0,)]


async def test_group_statuses_are_unique_per_participant_and_the_row_keeps_the_earliest(world):
    group = "120363418770915618@g.us"

    def read(participant: str, at: int) -> dict[str, object]:
        return {
            "id": "wamid.g",
            "status": "read",
            "timestamp": str(at),
            "recipient_id": group,
            "recipient_type": "group",
            "recipient_participant_id": participant,
        }

    await world.post(statuses(read("111", 1778038780), read("222", 1778038770)))
    await world.post(statuses(read("111", 1778038780)))
    messages = [row for row in await world.rows() if row.get("wa_id") == "wamid.g"]
    assert len(messages) == 2
    assert messages[-1]["status"] == {"read": "2026-05-06T03:39:30+00:00"}
    (conversation,) = await world.rows("conversations.insert")
    assert conversation["contact_address"] == group


async def test_a_repeated_status_gives_nobody_an_older_name_back(world):
    named = value(contacts=[contact(name="Before")], statuses=[status("wamid.x", "delivered")])
    await world.post(named)
    await world.post(incoming("wamid.1", name="After"))
    assert (await world.post(named)).outcome == Outcome.DUPLICATE
    assert await world.query("SELECT name FROM contacts") == [("After",)]


async def test_a_call_of_a_person_is_noted_for_the_window_and_tells_nothing(world):
    call = {"id": "wacid.1", "from": CUSTOMER, "event": "connect", "direction": "USER_INITIATED"}
    stranger = await world.post(value(calls=[call | {"timestamp": "1778038000"}]), field="calls")
    assert stranger.outcome == Outcome.RECORDED
    assert await world.query("SELECT count(*) FROM windows") == [(0,)]
    await world.post(incoming("wamid.1"))
    before = await world.names()
    for at in ("1778038900", "1778038700"):
        made = await world.post(value(calls=[call | {"timestamp": at}]), field="calls")
        assert made.outcome == Outcome.RECORDED
    for other in ({"direction": "BUSINESS_INITIATED"}, {"event": "terminate"}, {"event": 5}):
        odd = await world.post(value(calls=[call | {"timestamp": "1778039999"} | other]), field="calls")
        assert odd.outcome == Outcome.NOT_UNDERSTOOD
    assert await world.query("SELECT called_at FROM windows") == [(1778038900,)]
    assert await world.names() == before
