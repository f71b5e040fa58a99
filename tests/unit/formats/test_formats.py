"""The bytes of every case; of `row` and `chat` what has no place, and the headers."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.golden.formats.cases import CASES, OPERATIONAL, SILENT, STATUSES, UPDATES_OF_INCOMING, WRITTEN, Case
from tests.golden.formats.contents import CONTENTS
from tests.golden.formats.events import CONVERSATION, MESSAGE, endpoint, incoming
from tests.unit.sdk.test_json import unhurried

from tellwire.formats import chat, operational, row
from tellwire.formats.chat.ids import shown as chat_id
from tellwire.model.deliveries import SentAs

SENT = SentAs("an id")

ROW_EXAMPLES = {
    "example_new_incoming_message": """{
      "data": {
        "id": "019dfb5e-6df8-7b20-9d22-6f1e4d3c2b02",
        "conversation_id": "019dfb5e-6df8-7a10-8c11-5f0d3c2b1a01",
        "organization_id": "00000000-0000-7000-8000-000000000001",
        "direction": "incoming",
        "content": {"type": "text", "text": {"body": "Hello!"}},
        "status": {"pending": "2026-05-06T03:39:23+00:00"},
        "wa_id": "wamid.EXAMPLE0000000000000001",
        "from": "5215550000001",
        "created_at": "2026-05-06T03:39:23+00:00",
        "updated_at": "2026-05-06T03:39:23+00:00"
      },
      "entity": "messages",
      "action": "insert"
    }""",
    "example_sent_by_agent": """{
      "data": {
        "id": "019dfb5e-6df8-7b20-9d22-6f1e4d3c2b02",
        "conversation_id": "019dfb5e-6df8-7a10-8c11-5f0d3c2b1a01",
        "organization_id": "00000000-0000-7000-8000-000000000001",
        "direction": "outgoing",
        "agent_id": "019dd7c1-0000-7e34-8a56-1234567890ab",
        "content": {"type": "text", "text": {"body": "Hi! How can I help you today?"}},
        "status": {"pending": "2026-05-06T03:39:23+00:00"},
        "created_at": "2026-05-06T03:39:23+00:00"
      },
      "entity": "messages",
      "action": "insert"
    }""",
    "example_delivered_and_read": """{
      "data": {
        "id": "019dfb5e-6df8-7b20-9d22-6f1e4d3c2b02",
        "status": {
          "pending": "2026-05-06T03:39:23+00:00",
          "sent": "2026-05-06T03:39:23+00:00",
          "delivered": "2026-05-06T03:39:23+00:00",
          "read": "2026-05-06T03:39:23+00:00"
        },
        "updated_at": "2026-05-06T03:39:23+00:00"
      },
      "entity": "messages",
      "action": "update"
    }""",
    "example_new_conversation": """{
      "data": {
        "id": "019dfb5e-6df8-7a10-8c11-5f0d3c2b1a01",
        "organization_id": "00000000-0000-7000-8000-000000000001",
        "organization_address": "375000000000001",
        "contact_address": "5215550000001",
        "service": "whatsapp",
        "status": "open",
        "created_at": "2026-05-06T03:39:23+00:00",
        "updated_at": "2026-05-06T03:39:23+00:00"
      },
      "entity": "conversations",
      "action": "insert"
    }""",
    "example_conversation_closed": """{
      "data": {
        "id": "019dfb5e-6df8-7a10-8c11-5f0d3c2b1a01",
        "status": "closed",
        "updated_at": "2026-05-06T03:39:35.000417+00:00"
      },
      "entity": "conversations",
      "action": "update"
    }""",
}
CHAT_EXAMPLES = {
    "example_chat_message": """{
      "messaging_product": "whatsapp",
      "message_type": "incoming_message",
      "participants": {
        "sender": {"from": "5215550000001", "profile": {"name": "Ana"}},
        "receiver": {"to": "5215550000000"}
      },
      "message": {
        "conversation_id": "69fab7ebc6c20bffaacb770a",
        "timestamp": "1778038763",
        "type": "text",
        "text": {"body": "Welcome"}
      }
    }""",
    "example_delivered": """{
      "messaging_product": "whatsapp",
      "message_type": "status_update",
      "participants": {
        "sender": {"from": "5215550000001", "profile": {"name": "Ana"}},
        "receiver": {"to": "5215550000000"}
      },
      "statuses": [
        {
          "conversation_id": "69fab7ebc6c20bffaacb770a",
          "status": "delivered",
          "timestamp": "1778038775",
          "meta_pricing": {
            "meta_billable": false,
            "meta_category": "utility",
            "meta_type": "free_customer_service"
          }
        }
      ]
    }""",
    "example_failed": """{
      "messaging_product": "whatsapp",
      "message_type": "status_update",
      "participants": {
        "sender": {"from": "5215550000001", "profile": {"name": "Ana"}},
        "receiver": {"to": "5215550000000"}
      },
      "statuses": [
        {
          "conversation_id": "69fab7ebc6c20bffaacb770a",
          "status": "failed",
          "timestamp": "1778038775",
          "errors": [
            {
              "code": 131026,
              "title": "Message undeliverable",
              "message": "Message undeliverable",
              "error_data": {"details": "Message Undeliverable."}
            }
          ],
          "meta_pricing": {"meta_billable": false, "meta_category": "", "meta_type": ""}
        }
      ]
    }""",
}
EXAMPLES = {("row", name): text for name, text in ROW_EXAMPLES.items()} | {
    ("chat", name): text for name, text in CHAT_EXAMPLES.items()
}
BY_NAME = {(case.endpoint.format, case.name): case for case in CASES}


def describe(case: Case) -> str:
    return f"{case.endpoint.format}/{case.name}"


@pytest.mark.parametrize("case", WRITTEN, ids=describe)
def test_body_is_the_golden_file(case: Case):
    assert case.body() == case.path.read_bytes()


@pytest.mark.parametrize("key", EXAMPLES, ids="/".join)
def test_examples_of_the_documents_are_recreated_key_for_key(key: tuple[str, str]):
    compact = json.dumps(json.loads(EXAMPLES[key]), separators=(",", ":"), ensure_ascii=False)
    assert BY_NAME[key].body() == compact.encode()


@pytest.mark.parametrize("name", [*SILENT, *UPDATES_OF_INCOMING])
def test_chat_has_no_place_for(name: str):
    event = (SILENT | UPDATES_OF_INCOMING)[name]
    for mode in ("conversation", "message"):
        assert chat.encode(event, endpoint("chat", conversation_ids=mode), SENT) is None
    assert chat.names(event) == ()
    assert row.encode(event, endpoint("row"), SENT) is not None


def test_chat_knows_its_events_by_its_own_names_too():
    assert chat.names(incoming(CONTENTS["text"])) == ("incoming_message", "messages.insert")
    assert chat.names(STATUSES["status_sent"]) == ("status_update", "messages.update")
    assert chat.names(STATUSES["external"]) == ("status_update", "messages.insert")


def test_an_update_is_abridged_only_where_it_is_asked_for():
    event = STATUSES["status_sent"]
    full = row.encode(event, endpoint("row", updates="full"), SENT)
    abridged = row.encode(event, endpoint("row", updates="changed"), SENT)
    assert full is not None
    assert abridged is not None
    assert list(json.loads(full)["data"])[:3] == ["id", "conversation_id", "organization_id"]
    assert list(json.loads(abridged)["data"]) == ["id", "status", "pricing", "updated_at"]
    inserted = incoming(CONTENTS["text"])
    assert row.encode(inserted, endpoint("row", updates="changed"), SENT) == row.encode(inserted, endpoint("row"), SENT)


def test_abridged_columns_are_slices_of_the_row():
    odd = b'{"id":"a","content":{"n" : 1.10},"from":"b","updated_at":"c","pricing":1e999}'
    event = STATUSES["status_sent"]
    snapshot = replace(event.snapshot, row=odd, changed=("updated_at", "pricing", "content", "gone"))
    body = row.encode(replace(event, snapshot=snapshot), endpoint("row", updates="changed"), SENT)
    assert body == (
        b'{"data":{"id":"a","content":{"n" : 1.10},"pricing":1e999,"updated_at":"c"},'
        b'"entity":"messages","action":"update"}'
    )


def test_errors_are_there_only_for_a_failure():
    for name, event in STATUSES.items():
        body = chat.encode(event, endpoint("chat"), SENT)
        assert body is not None
        assert ("errors" in json.loads(body)["statuses"][0]) == ("failed" in name), name


def test_keys_that_chat_has_for_itself_win_over_metas():
    body = BY_NAME["chat", "own_keys"].body()
    assert body is not None
    message = json.loads(body, object_pairs_hook=list)[3][1]
    assert [key for key, _ in message] == ["conversation_id", "timestamp", "type", "text", "future"]
    assert message[1] == ("timestamp", "1778038763")


def test_row_has_no_headers_of_its_own():
    assert row.headers(incoming(CONTENTS["text"]), endpoint("row"), b"{}") == ()


def test_chat_headers_name_the_event_and_sign_the_body():
    signed = "033763f1b49350bc8b7519689725ab515ade312c5e930bdd214f33e675815b64"
    event, body = incoming(CONTENTS["text"]), b'{"x":1}'
    assert chat.headers(event, endpoint("chat"), body) == (
        ("X-Wappcloud-Event", "incoming_message"),
        ("X-Wappcloud-Signature", f"sha256={signed}"),
    )
    bare = endpoint("chat", wappcloud_signature="bare")
    assert chat.headers(STATUSES["status_read"], bare, body) == (
        ("X-Wappcloud-Event", "status_update"),
        ("X-Wappcloud-Signature", signed),
    )
    warning = OPERATIONAL["account.warning"]
    assert chat.headers(warning, endpoint("chat"), body)[0] == ("X-Wappcloud-Event", "account.warning")


def test_chat_without_a_secret_is_not_signed():
    event = incoming(CONTENTS["text"])
    assert chat.headers(event, endpoint("chat", secrets=()), b"") == chat.headers(event, endpoint("chat"), b"")[:1]


@pytest.mark.parametrize("name", operational.EVENTS)
def test_operational_events_are_the_same_in_both_formats(name: str):
    bodies = {form.encode(OPERATIONAL[name], endpoint(form.NAME), SENT) for form in (row, chat)}
    assert len(bodies) == 1
    assert list(json.loads(bodies.pop() or b"")) == ["type", "timestamp", "data"]


def test_chat_ids_carry_the_time_and_differ_by_mode():
    assert chat_id(CONVERSATION) == "69fab7ebc6c20bffaacb770a"
    assert int(chat_id(MESSAGE)[:8], 16) == 1778038763
    assert chat_id(MESSAGE) != chat_id(CONVERSATION)


@unhurried
@given(st.uuids(version=4), st.integers(0, 2**48 - 1))
def test_chat_ids_are_24_lower_case_digits(random, milliseconds: int):
    digits = f"{milliseconds:012x}"
    text = f"{digits[:8]}-{digits[8:]}{str(random)[13:]}"
    assert len(chat_id(text)) == 24
    assert set(chat_id(text)) <= set("0123456789abcdef")
    assert int(chat_id(text)[:8], 16) == milliseconds // 1000 % 2**32
    assert chat_id(text) == chat_id(text.upper())


def test_a_chat_id_wants_a_uuid():
    with pytest.raises(ValueError, match="invalid literal"):
        chat_id("no id of ours")
