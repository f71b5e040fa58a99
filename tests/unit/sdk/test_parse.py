"""What `parse` makes of our bodies, of the vendors', and of anything else."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.golden.formats.cases import WRITTEN, Case
from tests.golden.formats.events import CONVERSATION, MESSAGE
from tests.unit.sdk.test_json import json_texts, objects_of, semantics, unhurried

from tellwire_sdk import (
    ChatMessage,
    ChatStatus,
    ConversationRow,
    MessageRow,
    MetaError,
    OperationalEvent,
    Participants,
    RowEvent,
    RowEvents,
    WebhookError,
    parse,
)


def body(path: str) -> bytes:
    return next(case.path for case in WRITTEN if f"{case.endpoint.format}/{case.name}" == path).read_bytes()


@pytest.mark.parametrize(
    "case",
    [case for case in WRITTEN if case.endpoint.format in ("row", "chat")],
    ids=lambda case: f"{case.endpoint.format}/{case.name}",
)
def test_golden_files_are_parsed_and_written_again(case: Case):
    golden = case.path.read_bytes()
    parsed = parse(golden)
    expected: type
    match case.endpoint.format, case.event.entity:
        case _, "operational":
            expected = OperationalEvent
        case "row", _:
            expected = RowEvents if case.more else RowEvent
        case _:
            expected = ChatMessage if case.event.direction == "incoming" else ChatStatus
    assert type(parsed) is expected
    assert semantics(parsed.encode()) == semantics(golden)
    assert parse(parsed.encode()) == parsed
    assert not parsed.extra


def row(payload: bytes) -> Any:
    event = parse(payload)
    assert isinstance(event, RowEvent)
    return event.data


def test_a_message_row():
    message = row(body("row/text"))
    assert isinstance(message, MessageRow)
    assert (message.id, message.conversation_id, message.direction) == (MESSAGE, CONVERSATION, "incoming")
    assert (message.from_, message.to, message.agent_id, message.media) == ("5215550000001", None, None, ())
    assert message.type == "text"
    assert message.content == {"type": "text", "text": {"body": "Hello! ¿Qué tal? 👋"}}
    assert message.contact == {"name": "Ana", "phone": "5215550000001"}
    moment = datetime(2026, 5, 6, 3, 39, 23, tzinfo=UTC)
    assert (message.created, message.updated, message.sent) == (moment, moment, moment)
    assert message.status_times == {"pending": moment}
    assert message.errors == ()
    assert message.extra == {}


def test_a_failed_message_row_says_why():
    message = row(body("row/status_failed"))
    assert list(message.status_times) == ["pending", "sent", "failed"]
    [error] = message.errors
    assert (error.code, error.title, error.details) == (131026, "Message undeliverable", "Message Undeliverable.")


def test_an_abridged_row_has_only_what_changed():
    message = row(body("row/example_delivered_and_read"))
    assert list(message.status_times) == ["pending", "sent", "delivered", "read"]
    assert (message.direction, message.content, message.type, message.created, message.errors) == (None,) * 4 + ((),)
    conversation = row(body("row/example_conversation_closed"))
    assert isinstance(conversation, ConversationRow)
    assert (conversation.status, conversation.service, conversation.created) == ("closed", None, None)
    assert conversation.updated == datetime(2026, 5, 6, 3, 39, 35, 417, tzinfo=UTC)


def test_a_chat_message():
    event = parse(body("chat/text_reply"))
    assert isinstance(event, ChatMessage)
    assert (event.participants.contact, event.participants.name) == ("5215550000001", "Ana")
    assert event.participants.business == "5215550000000"
    assert event.message.conversation_id == "69fab7ebc6c20bffaacb770a"
    assert event.message.sent == datetime(2026, 5, 6, 3, 39, 23, tzinfo=UTC)
    assert event.message.content == row(body("row/text_reply")).content


def test_a_chat_status():
    event = parse(body("chat/status_failed"))
    assert isinstance(event, ChatStatus)
    [status] = event.statuses
    assert (status.status, status.reached) == ("failed", datetime(2026, 5, 6, 3, 39, 35, tzinfo=UTC))
    assert [error.code for error in status.errors] == [131026]
    assert status.meta_pricing is not None
    assert (status.meta_pricing.meta_billable, status.meta_pricing.meta_type) == (False, "")


def test_an_operational_event():
    event = parse(body("row/endpoint.disabled"))
    assert isinstance(event, OperationalEvent)
    assert (event.type, event.data["endpoint_id"]) == ("endpoint.disabled", MESSAGE)
    assert event.happened == datetime(2026, 5, 6, 3, 39, 23, tzinfo=UTC)


WAKIT_ROW = """{
  "data": {
    "id": "b5b9f67g-5681-58f3-cd3b-3g1e8ec399c2",
    "external_id": null,
    "service": "whatsapp",
    "conversation_id": "c9e2f1a3",
    "direction": "outgoing",
    "agent_id": null,
    "content": {"version": "1", "type": "text", "kind": "text", "text": "Hi *there*"},
    "status": {
      "pending": "2026-05-06T03:39:23.123456+00:00",
      "failed": "2026-05-06T00:39:24-03:00",
      "accepted": null,
      "errors": [
        {"error": {"code": 100, "type": "OAuthException", "message": "Invalid", "fbtrace_id": "A"}},
        {"code": 131047, "title": "Re-engagement", "message": "Re-engagement", "error_data": {"details": "24 h"}},
        "a text"
      ]
    },
    "from": 5215550000001,
    "media": ["a text"],
    "timestamp": "2026-05-06 03:39:23"
  },
  "entity": "messages",
  "action": "update",
  "sent_by": "somebody else"
}"""


def test_a_vendors_row_may_differ():
    event = parse(WAKIT_ROW.encode())
    assert isinstance(event, RowEvent)
    assert event.extra == {"sent_by": "somebody else"}
    message = event.data
    assert isinstance(message, MessageRow)
    assert message.id == "b5b9f67g-5681-58f3-cd3b-3g1e8ec399c2"
    assert message.content is not None
    assert message.content["text"] == "Hi *there*"
    assert (message.from_, message.media, message.agent_id) == (None, (), None)
    assert message.extra == {
        "external_id": None,
        "service": "whatsapp",
        "agent_id": None,
        "from": 5215550000001,
        "media": ["a text"],
    }
    assert message.status_times == {
        "pending": datetime(2026, 5, 6, 3, 39, 23, 123456, tzinfo=UTC),
        "failed": datetime(2026, 5, 6, 0, 39, 24, tzinfo=timezone(timedelta(hours=-3))),
    }
    assert [(error.code, error.message, error.details) for error in message.errors] == [
        (100, "Invalid", ""),
        (131047, "Re-engagement", "24 h"),
    ]
    assert message.sent == datetime(2026, 5, 6, 3, 39, 23, tzinfo=UTC)
    assert semantics(event.encode()) == semantics(WAKIT_ROW)


WAPPCLOUD_STATUS = """{
  "message_type": "status_update",
  "participants": {"receiver": {"to": "5215550000000"}, "sender": {"from": "5215550000001"}, "group": null},
  "statuses": [
    {
      "status": "warmed_up",
      "conversation_id": "68f1f505d3e5e42af8bfa3a0",
      "timestamp": "soon",
      "meta_pricing": {"meta_billable": "no", "meta_type": "x", "more": 1.0},
      "errors": null
    }
  ]
}"""


def test_a_vendors_status_may_differ():
    event = parse(WAPPCLOUD_STATUS.encode())
    assert isinstance(event, ChatStatus)
    assert event.messaging_product is None
    assert event.participants.name == ""
    [status] = event.statuses
    assert (status.reached, status.errors, status.extra) == (None, (), {"errors": None})
    assert status.meta_pricing is not None
    assert status.meta_pricing.extra == {"meta_billable": "no", "more": 1.0}
    assert semantics(event.encode()) == semantics(WAPPCLOUD_STATUS)


def test_several_messages_of_a_buffer():
    event = parse(body("row/buffered"))
    assert isinstance(event, RowEvents)
    assert [row.type for row in event.data] == ["text", "image", "location"]
    assert (event.entity, event.action, event.extra) == ("messages", "insert", {})


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        ("[]", "the body should be a JSON object"),
        ("null", "the body should be a JSON object"),
        ("{}", "the keys of neither"),
        ('{"message_type":"call"}', "the keys of neither"),
        ('{"entity":"messages","action":"insert"}', "/data should be something, but it is missing"),
        ('{"entity":"contacts","action":"insert","data":{"id":"a"}}', "/entity should be messages or conversations"),
        ('{"entity":[],"action":"insert","data":{"id":"a"}}', "/entity should be messages or conversations"),
        ('{"entity":"messages","action":{},"data":{"id":"a"}}', "/action should be insert or update"),
        ('{"entity":"messages","action":"insert","data":[]}', "/data should be an object"),
        ('{"entity":"messages","action":"insert","data":[{"id":"a"},5]}', "/data/1 should be an object"),
        ('{"entity":"messages","action":"insert","data":[{"id":"a"},{}]}', "/data/1/id should be something"),
        ('{"entity":"messages","action":"update","data":[{"id":"a"}]}', "/action should be insert"),
        ('{"entity":"conversations","action":"insert","data":[{"id":"a"}]}', "/entity should be messages"),
        ('{"entity":"messages","action":"insert","data":{}}', "/data/id should be something, but it is missing"),
        ('{"entity":"conversations","action":"insert","data":{"id":5}}', "/data/id should be text"),
        ('{"message_type":"incoming_message","participants":5}', "/participants should be an object"),
        (
            '{"message_type":"incoming_message","participants":{"sender":[]}}',
            "/participants/sender should be an object",
        ),
        (
            '{"message_type":"status_update","participants":{"sender":{},"receiver":{}},"statuses":[{}]}',
            "/statuses/0/conversation_id should be something",
        ),
        (
            '{"message_type":"status_update","participants":{"sender":{},"receiver":{}},"statuses":{}}',
            "/statuses should be an array",
        ),
        ('{"type":"a","timestamp":"b","data":5}', "/data should be an object"),
    ],
)
def test_what_is_no_payload(payload: str, says: str):
    with pytest.raises(WebhookError) as caught:
        parse(payload.encode())
    assert caught.value.reason == "not_a_payload"
    assert says in str(caught.value)


def test_what_is_no_body():
    with pytest.raises(WebhookError, match="raw bytes") as caught:
        parse("{}")  # type: ignore[arg-type]  # the mistake that is made
    assert caught.value.reason == "not_bytes"


def test_payloads_are_frozen_values():
    message = row(body("row/status_sent"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        message.id = "other"
    for copied in (copy.deepcopy(message), pickle.loads(pickle.dumps(message)), dataclasses.replace(message)):
        assert copied == message
        assert copied.encode() == message.encode()


def test_a_replaced_field_is_written_where_it_stood():
    event = parse(WAKIT_ROW.encode())
    assert isinstance(event, RowEvent)
    assert isinstance(event.data, MessageRow)
    changed = dataclasses.replace(event, data=dataclasses.replace(event.data, agent_id="a", wa_id="b"))
    payload = changed.to_payload()
    assert list(payload["data"])[:6] == ["id", "external_id", "service", "conversation_id", "direction", "agent_id"]
    assert (payload["data"]["agent_id"], payload["data"]["wa_id"]) == ("a", "b")


def test_a_payload_can_be_made_by_hand():
    event = RowEvent(
        entity="messages", action="insert", data=MessageRow(id="a", from_="b", content={"type": "text"}, extra={"x": 1})
    )
    assert event.encode() == (
        b'{"data":{"id":"a","content":{"type":"text"},"from":"b","x":1},"entity":"messages","action":"insert"}'
    )
    assert parse(event.encode()) == event


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "2026-13-01T00:00:00Z",
        "2026-05-06",
        "2026-05-06T24:00:00+99:99",
        "٢",
        "1" * 13,
        "253402300800",
        "-1",
        None,
    ],
)
def test_what_is_no_time_is_none(text):
    assert MessageRow(id="a", created_at=text).created is None
    event = parse(body("chat/text"))
    assert isinstance(event, ChatMessage)
    assert dataclasses.replace(event.message, timestamp=text).sent is None


@pytest.mark.parametrize(
    "text", ["2026-05-06T03:39:23Z", "2026-05-06t03:39:23.000z", "2026-05-06 03:39:23+00", "2026-05-06T00:39:23-0300"]
)
def test_times_that_mean_the_same(text: str):
    assert MessageRow(id="a", timestamp=text).sent == datetime(2026, 5, 6, 3, 39, 23, tzinfo=UTC)


@pytest.mark.parametrize("name", [None, 5, {}, []])
def test_a_participant_may_lack_anything(name):
    participants = Participants(sender={"profile": name, "from": name}, receiver={"to": name})
    assert (participants.contact, participants.name, participants.business) == ("", "", "")
    assert Participants(sender={"profile": {"name": name}}, receiver={}).name == ""
    assert MetaError(error_data={"details": name}).details == ""
    assert MessageRow(id="a", content={"type": name}, status={"errors": name}).type is None


# --- anything ---------------------------------------------------------------------------------------------------------

KEYS = [
    *("data", "entity", "action", "id", "content", "status", "from", "media", "message_type", "participants", "sender"),
    *("receiver", "profile", "name", "message", "statuses", "conversation_id", "timestamp", "type", "errors", "code"),
    *("error_data", "details", "meta_pricing", "meta_billable", "extra", "key_order", "from_", "pending"),
]
names = st.sampled_from([json.dumps(key) for key in KEYS])
leaves = json_texts | st.sampled_from(['"messages"', '"insert"', '"incoming_message"', '"status_update"', '"a"'])
payload_texts = objects_of(
    st.recursive(
        leaves,
        lambda items: (
            objects_of(items, names=names) | st.lists(items, max_size=3).map(lambda all_: f"[{','.join(all_)}]")
        ),
        max_leaves=30,
    ),
    names=names,
)


def shaped(template: str) -> Any:
    """Draw a text from a template in which every `%` becomes some JSON."""
    return st.lists(json_texts, min_size=template.count("%"), max_size=template.count("%")).map(
        lambda values: "".join(part + value for part, value in zip(template.split("%"), [*values, ""], strict=True))
    )


almost = st.one_of(
    shaped('{"data":{"id":"a","content":%,"status":%,"from":%,"media":%,"x":%},"entity":"messages","action":"insert"}'),
    shaped('{"x":%,"data":{"status":%,"id":"a","service":%},"action":"update","entity":"conversations"}'),
    shaped(
        '{"message_type":"incoming_message","participants":{"sender":%,"receiver":{"to":%}},'
        '"message":{"type":"a","a":%,"conversation_id":"b","timestamp":"1"}}'
    ),
    shaped(
        '{"message_type":"incoming_message","participants":{"sender":{"from":%,"profile":%},"receiver":{}},'
        '"message":{"type":"a","a":%,"conversation_id":"b","timestamp":"1","extra":%}}'
    ),
    shaped(
        '{"message_type":"status_update","participants":{"sender":{},"receiver":{}},"statuses":[{"status":"a",'
        '"conversation_id":"b","timestamp":"1","errors":[%,{"code":%,"title":%}],"meta_pricing":%}]}'
    ),
    shaped('{"type":"a","timestamp":"b","data":{"a":%},"more":%}'),
)


@unhurried
@given(st.binary() | (json_texts | payload_texts | almost).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_parsed_and_written_again_or_refused(given_body: bytes):
    try:
        parsed = parse(given_body)
    except WebhookError as error:
        assert error.reason in {"not_json", "not_a_payload"}  # noqa: PT017
        return
    assert semantics(parsed.encode()) == semantics(given_body)
    assert parse(parsed.encode()) == parsed
    use_every_property(parsed)


def use_every_property(record: object) -> None:
    """Read every property of a parsed payload, to show that none raises."""
    for name in dir(type(record)):
        if isinstance(getattr(type(record), name), property):
            getattr(record, name)
    if dataclasses.is_dataclass(record):
        for field in dataclasses.fields(record):
            value = getattr(record, field.name)
            for item in value if isinstance(value, tuple) else (value,):
                use_every_property(item)
