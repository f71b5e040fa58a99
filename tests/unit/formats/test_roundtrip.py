"""Whatever an event holds: what is encoded suits its schema, keeps its bytes, and the SDK parses and writes it back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from msgspec import Raw
from msgspec.structs import replace
from tests.golden.formats.events import CONVERSATION, MESSAGE, SECRET, endpoint, incoming, operational_event, outgoing
from tests.unit.sdk.test_json import json_texts, semantics, unhurried

from tellwire.formats import SCHEMAS, chat, row
from tellwire.formats.chat.ids import shown as chat_id
from tellwire.model.deliveries import Event, Participants, SentAs, StatusItem
from tellwire.model.messaging import StatusError
from tellwire_sdk import ChatMessage, ChatStatus, MessageRow, OperationalEvent, RowEvent, RowEvents, parse, verify

SENT = SentAs("an id")

texts = st.text()
types = st.sampled_from(["text", "image", "conversation_id", "timestamp", "type"]) | texts
modes = st.sampled_from(["conversation", "message"])


@st.composite
def contents(draw: st.DrawFn) -> tuple[str, bytes]:
    """A type and a content with it, as Meta might have sent it: verbatim values, keys in any order."""
    kind = draw(types)
    others = draw(st.dictionaries(texts | st.sampled_from(["context", "timestamp", kind]), json_texts, max_size=4))
    members = list({**others, "type": json.dumps(kind)}.items())
    order = draw(st.permutations(members))
    return kind, ("{" + ",".join(f"{json.dumps(key)}:{value}" for key, value in order) + "}").encode()


@st.composite
def rows(draw: st.DrawFn, *, direction: str = "incoming") -> tuple[str, bytes, Event]:
    kind, content = draw(contents())
    more = draw(st.dictionaries(texts.filter(lambda key: key not in OURS), json_texts, max_size=3))
    members = {"id": '"a"', "direction": f'"{direction}"', "content": content.decode(), "updated_at": '"b"'} | more
    text = "{" + ",".join(f"{json.dumps(key)}:{value}" for key, value in members.items()) + "}"
    event = incoming({"type": "text"})
    snapshot = replace(
        event.snapshot,
        row=Raw(text.encode()),
        sent_at=draw(st.integers(0, 253402300799)),
        participants=Participants(draw(texts), draw(texts), draw(texts)),
    )
    return kind, content, replace(event, snapshot=snapshot)


OURS = {"id", "direction", "content", "updated_at"}


def members(json_object: Any) -> dict[str, Any]:
    """What an object's keys say, from its text or from the semantics of a part."""
    kind, items = json_object if isinstance(json_object, tuple) else semantics(bytes(json_object))
    assert kind == "object"
    return dict(items)


def round_trip(body: bytes | None, schema: str | None = None) -> Any:
    assert body is not None
    parsed = parse(body)
    assert semantics(parsed.encode()) == semantics(body)
    if schema is not None:
        Draft202012Validator(SCHEMAS[schema]).validate(json.loads(body))
    return parsed


@unhurried
@given(rows())
def test_rows(made: tuple[str, bytes, Event]):
    _, content, event = made
    body = row.encode(event, endpoint("row"), SENT)
    assert body == b'{"data":' + bytes(event.snapshot.row) + b',"entity":"messages","action":"insert"}'
    parsed = round_trip(body)
    assert isinstance(parsed, RowEvent)
    assert isinstance(parsed.data, MessageRow)
    assert parsed.data.content == json.loads(content)


@unhurried
@given(st.lists(rows(), min_size=2, max_size=5))
def test_rows_of_a_buffer(made: list[tuple[str, bytes, Event]]):
    events = [event for _, _, event in made]
    body = row.Rows().encode(events, endpoint("row"), SENT)
    parsed = round_trip(body)
    assert isinstance(parsed, RowEvents)
    assert [each.content for each in parsed.data] == [json.loads(content) for _, content, _ in made]
    assert [row.Rows().takes(event, (kind,)) for kind, _, event in made] == [True] * len(made)


@unhurried
@given(rows(), st.lists(st.sampled_from(["content", "direction", "id", "updated_at", "gone"])))
def test_abridged_rows(made: tuple[str, bytes, Event], changed: list[str]):
    event = made[2]
    event = replace(event, action="update", snapshot=replace(event.snapshot, changed=tuple(changed)))
    body = row.encode(event, endpoint("row", updates="changed"), SENT)
    round_trip(body)
    whole, shown = members(event.snapshot.row), members(members(body)["data"])
    columns = [column for column in whole if column in {"id", *changed} - {"updated_at"}]
    assert list(shown) == [*columns, "updated_at"]
    assert shown == {column: whole[column] for column in shown}


@unhurried
@given(rows(), modes)
def test_incoming_messages(made: tuple[str, bytes, Event], mode: str):
    kind, content, event = made
    to = endpoint("chat", conversation_ids=mode)
    body = chat.encode(event, to, SENT)
    parsed = round_trip(body, "chat-incoming-message")
    assert isinstance(parsed, ChatMessage)
    assert parsed.message.conversation_id == chat_id(CONVERSATION if mode == "conversation" else MESSAGE)
    assert parsed.message.timestamp == str(event.snapshot.sent_at)
    people = event.snapshot.participants
    assert people is not None
    assert (parsed.participants.contact, parsed.participants.name) == (people.contact, people.name)
    assert parsed.participants.business == people.business
    given_content = {
        key: value for key, value in json.loads(content).items() if key not in {"conversation_id", "timestamp"}
    }
    assert parsed.message.content == given_content
    named = [kind] if kind in given_content and kind != "type" else []
    others = [key for key in given_content if key not in {"type", kind}]
    assert list(parsed.to_payload()["message"]) == ["conversation_id", "timestamp", "type", *named, *others]
    assert body is not None
    verify(body, chat.headers(event, to, body), SECRET)


errors = st.builds(StatusError, st.integers(-(2**63), 2**63 - 1), texts, texts, texts)
items = st.builds(
    StatusItem,
    st.sampled_from(["sent", "delivered", "read", "played", "failed"]) | texts,
    st.integers(0, 253402300799),
    st.lists(errors, max_size=3).map(tuple),
    st.booleans(),
    texts,
    texts,
)


@unhurried
@given(items, modes)
def test_statuses(item: StatusItem, mode: str):
    event = outgoing({"pending": "x"}, item=item)
    parsed = round_trip(chat.encode(event, endpoint("chat", conversation_ids=mode), SENT), "chat-status-update")
    assert isinstance(parsed, ChatStatus)
    [status] = parsed.statuses
    assert (status.status, status.timestamp) == (item.name, str(item.at))
    assert status.conversation_id == chat_id(CONVERSATION if mode == "conversation" else MESSAGE)
    expected = [(error.code, error.title, error.message, error.details) for error in item.errors]
    shown = [(error.code, error.title, error.message, error.details) for error in status.errors]
    assert shown == (expected if item.name == "failed" else [])
    assert status.meta_pricing is not None
    assert status.meta_pricing.to_payload() == {
        "meta_billable": item.billable,
        "meta_category": item.category,
        "meta_type": item.type,
    }


@unhurried
@given(texts, st.dictionaries(texts, texts), st.integers(0, 253402300799_999999))
def test_operational_events(name: str, data: dict[str, str], at: int):
    parsed = round_trip(row.encode(operational_event(name, data, at=at), endpoint("row"), SENT), "operational")
    assert isinstance(parsed, OperationalEvent)
    assert (parsed.type, parsed.data) == (name, data)
    assert parsed.happened is not None
    assert parsed.happened == datetime.fromtimestamp(at // 10**6, UTC).replace(microsecond=at % 10**6)
