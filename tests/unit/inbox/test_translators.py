"""What sources send, translated: our own rows and chats come back as what they were, and no body breaks it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace
from tests.golden.formats.events import endpoint, incoming, outgoing
from tests.unit.sdk.test_json import json_texts, unhurried

from tellwire import meta
from tellwire.errors import NotJson
from tellwire.formats import chat, row
from tellwire.inbox import translators
from tellwire.meta.errors import status_errors
from tellwire.meta.webhooks.items import Item, MessageItem, NotUnderstood, Recorded, StatusUpdate
from tellwire.model.deliveries import Event, Participants, SentAs, StatusItem
from tellwire.model.messaging import Contact, Message, StatusError
from tellwire.model.row_json import errors_json, message_row
from tellwire.model.sources import KINDS, Source, SourceKind
from tellwire.model.units import MICROS

SENT = SentAs("an id")
NUMBER = "375446602312881"
FIRST, LAST = 1_000_000_000, 4_000_000_000
TAKEN = frozenset({"id", "from", "timestamp", "type", "version", "kind", "conversation_id", "group_id"})

words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
names = words.filter(lambda name: not name.isspace())
phones = st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True)
user_ids = st.from_regex(r"[A-Z]{2}\.[0-9]{6,20}", fullmatch=True)
wamids = st.from_regex(r"wamid\.[A-Za-z0-9+/=]{1,60}", fullmatch=True)
instants = st.integers(FIRST, LAST)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
types = st.sampled_from(["text", "image", "audio", "location", "contacts", "interactive", "reaction", "order", "new"])


def source(kind: SourceKind) -> Source:
    return Source(
        id="a source",
        organization_id="an organization",
        name="theirs",
        kind=kind,
        authentication="header",
        account_id="an account",
        phone_number_id=NUMBER,
    )


@st.composite
def contents(draw: st.DrawFn) -> bytes:
    """A content as a row keeps it: the type, its object, and whatever else Meta sent."""
    kind = draw(types)
    held = draw(st.dictionaries(words, values, max_size=3))
    others = draw(st.dictionaries(words.filter(lambda key: key not in TAKEN and key != kind), values, max_size=3))
    return json.dumps({"type": kind, kind: held, **others}, ensure_ascii=draw(st.booleans())).encode()


@st.composite
def people(draw: st.DrawFn) -> tuple[str, Contact]:
    """An address, and the contact that has it."""
    phone, user_id = draw(phones), draw(user_ids)
    contact = Contact(id="c", organization_id="o", name=draw(names), phone=phone, user_id=user_id)
    return draw(st.sampled_from([phone, user_id])), contact


def items(kind: SourceKind, body: bytes | None) -> tuple[Item, ...]:
    assert body is not None
    found = translators.translate(source(kind), body)
    if found.untranslated is not None:
        assert found.body == body
        return (found.untranslated,)
    return meta.parse(found.body)


def rowed(message: Message, contact: Contact, action: str) -> bytes:
    event = replace(incoming({"type": "text"}), action=action)
    event = replace(event, snapshot=replace(event.snapshot, row=Raw(message_row(message, contact))))
    body = row.encode(event, endpoint("row"), SENT)
    assert body is not None
    return body


@unhurried
@given(contents(), people(), wamids, instants, st.sampled_from(["insert", "update"]))
def test_a_row_of_a_customers_message(
    content: bytes, person: tuple[str, Contact], wamid: str, at: int, action: str
) -> None:
    address, contact = person
    message = Message(
        id="m",
        organization_id="o",
        account_id="a",
        conversation_id="c",
        content=content,
        wamid=wamid,
        from_=address,
        timestamp=at,
        status={"pending": at * MICROS},
    )
    (item,) = items("wakit", rowed(message, contact, action))
    assert isinstance(item, MessageItem)
    assert (item.origin, item.direction, item.wamid, item.timestamp) == ("customer", "incoming", wamid, at)
    assert json.loads(item.content) == json.loads(content)
    assert list(json.loads(item.content)) == list(json.loads(content))
    assert item.place.phone_number_id == NUMBER
    assert item.who is not None
    assert item.who.address == contact.phone  # which the card names too
    assert {contact.phone, contact.user_id} == set(item.who.aliases)
    assert item.who.name == contact.name


reached_ones = st.dictionaries(
    st.sampled_from(["held_for_quality_assessment", "sent", "delivered", "read", "played", "failed", "new"]), instants
)
errors = st.builds(StatusError, st.integers(0, 2**40), names, names, words)


@unhurried
@given(contents(), people(), wamids, reached_ones, st.lists(errors, min_size=1, max_size=2))
def test_a_row_of_a_message_that_went_out(
    content: bytes, person: tuple[str, Contact], wamid: str, reached: dict[str, int], failed: list[StatusError]
) -> None:
    address, contact = person
    message = Message(
        id="m",
        organization_id="o",
        account_id="a",
        conversation_id="c",
        direction="outgoing",
        content=content,
        wamid=wamid,
        to=address,
        timestamp=FIRST,
        status={"pending": FIRST * MICROS, **{name: at * MICROS for name, at in reached.items()}},
        errors=errors_json(failed) if "failed" in reached else b"",
        pricing=b'{"billable": true, "category": "utility"}',
    )
    found = items("wakit", rowed(message, contact, "update"))
    if not reached:
        assert [type(item) for item in found] == [Recorded]
        return
    echoes = [item for item in found if isinstance(item, MessageItem)]
    told = [item for item in found if isinstance(item, StatusUpdate)]
    assert len(echoes) + len(told) == len(found)
    assert {item.name: item.timestamp for item in told} == reached
    assert {item.wamid for item in found if not isinstance(item, NotUnderstood | Recorded)} == {wamid}  # type: ignore[union-attr]
    assert all(item.who is not None and item.who.address == address for item in told)
    assert [item.pricing for item in told if item.pricing] == [message.pricing]
    for item in told:
        assert errors_json(status_errors(item.errors)) == (message.errors if item.name == "failed" else b"[]")
    assert len(echoes) == bool({"sent", "delivered", "read", "played"} & reached.keys())
    for echo in echoes:
        assert (echo.origin, echo.direction, echo.status) == ("echo", "outgoing", "sent")
        assert json.loads(echo.content) == json.loads(content)


def chatted(event: Event, **changes: Any) -> bytes | None:
    return chat.encode(replace(event, snapshot=replace(event.snapshot, **changes)), endpoint("chat"), SENT)


@unhurried
@given(contents(), phones | user_ids, names, instants)
def test_a_chat_message(content: bytes, address: str, name: str, at: int) -> None:
    said = Participants(address, "919123456789", name)
    event = incoming({"type": "text"})
    columns = Raw(b'{"content":%b}' % content)
    body = chatted(event, row=columns, participants=said, sent_at=at)
    (item,), (again,) = items("wappcloud", body), items("wappcloud", body)
    (later,) = items("wappcloud", chatted(event, row=columns, participants=said, sent_at=at + 1))
    assert isinstance(item, MessageItem)
    assert isinstance(later, MessageItem)
    assert item == again
    assert later.wamid != item.wamid
    assert item.wamid.startswith("wappcloud.")
    assert item.who is not None
    assert (item.who.address, item.who.name, item.timestamp) == (address, name, at)
    assert json.loads(item.content) == json.loads(content)


status_items = st.builds(
    lambda at, name, error, billable, category: StatusItem(
        name=name, at=at, errors=(error,), billable=billable, category=category, type="regular"
    ),
    instants,
    st.sampled_from(["sent", "delivered", "read", "failed"]),
    errors,
    st.booleans(),
    names,
)


@unhurried
@given(phones | user_ids, status_items)
def test_a_chat_status(address: str, status: StatusItem) -> None:
    body = chatted(outgoing({}), participants=Participants(address, "1"), status=status)
    (item,) = items("wappcloud", body)
    assert isinstance(item, StatusUpdate)
    assert (item.name, item.timestamp, item.place.phone_number_id) == (status.name, status.at, NUMBER)
    assert item.who is not None
    assert item.who.address == address
    assert json.loads(item.pricing) == {"billable": status.billable, "category": status.category, "type": "regular"}
    assert status_errors(item.errors) == (status.errors if status.name == "failed" else ())


# --- bodies that are anything -----------------------------------------------------------------------------------------

KEYS = [
    *("data", "entity", "action", "content", "status", "direction", "wa_id", "from", "to", "contact", "timestamp"),
    *("message_type", "participants", "sender", "message", "statuses", "conversation_id", "type", "text", "errors"),
]
WORDS = ["messages", "incoming", "outgoing", "incoming_message", "status_update", "failed", "sent", "wamid.1"]
anything = st.recursive(
    st.sampled_from([json.dumps(each) for each in WORDS]) | json_texts,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda some: f"[{','.join(some)}]")
        | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5).map(
            lambda some: "{" + ",".join(f"{json.dumps(key)}:{value}" for key, value in some.items()) + "}"
        )
    ),
    max_leaves=20,
)
OUTER = [
    '{{"entity":"messages","data":{},"action":"insert"}}',
    '{{"message_type":"incoming_message","participants":{{"sender":{{"from":"5215550000001"}}}},"message":{}}}',
    '{{"message_type":"status_update","participants":{{"sender":{{"from":"5215550000001"}}}},"statuses":{}}}',
    '{{"entity":"messages","data":{{"direction":"outgoing","content":{0},"status":{0},"wa_id":"wamid.1","to":"1"}}}}',
    "{}",
]


@pytest.mark.parametrize("kind", KINDS)
@unhurried
@given(st.sampled_from(OUTER), anything)
def test_whatever_is_json_comes_to_items(kind: SourceKind, outer: str, inner: str) -> None:
    assert items(kind, outer.format(inner).encode(errors="replace"))


@pytest.mark.parametrize("kind", KINDS)
@unhurried
@given(st.binary(max_size=40))
def test_what_is_no_json_is_said_to_be_none(kind: SourceKind, body: bytes) -> None:
    try:
        assert items(kind, body)
    except NotJson:
        with pytest.raises(NotJson):
            meta.parse(body.removeprefix(b"\xef\xbb\xbf"))


# --- rows of wakit's server, and what is not Meta's -------------------------------------------------------------------

ROW = {
    "id": "a row",
    "direction": "incoming",
    "content": {"version": "1", "type": "text", "kind": "text", "text": "a string"},
    "external_id": "wamid.1",
    "contact_address": "5215550000001",
    "organization_address": "another number",
    "timestamp": "2026-05-06T03:39:23+00:00",
}
GROUP = "120363418770915618@g.us"
FAILED = {"failed": "2026-05-06T03:39:25+00:00", "errors": [{"error": {"code": 131026, "title": "Undeliverable"}}]}


def only(**changes: Any) -> Item:
    data = {key: value for key, value in (ROW | changes).items() if value is not None}
    (item,) = items("wakit", json.dumps({"data": data, "entity": "messages", "action": "insert"}).encode())
    return item


def test_the_servers_own_shape() -> None:
    item = only()
    assert isinstance(item, MessageItem)
    assert (item.wamid, item.place.phone_number_id) == ("wamid.1", "another number")
    assert json.loads(item.content) == {"type": "text", "text": {"body": "a string"}}


def test_a_group_keeps_its_sender() -> None:
    item = only(group_address=GROUP)
    assert isinstance(item, MessageItem)
    assert item.who is not None
    assert (item.group_id, item.who.address) == (GROUP, "5215550000001")


def test_errors_that_the_server_wraps() -> None:
    item = only(direction="outgoing", status=FAILED)
    assert isinstance(item, StatusUpdate)
    assert status_errors(item.errors)[0].code == 131026


def test_a_row_without_an_id_of_metas_gets_a_stable_one() -> None:
    item, again, other = only(external_id=None), only(external_id=None), only(external_id=None, id="another row")
    assert isinstance(item, MessageItem)
    assert isinstance(other, MessageItem)
    assert item == again
    assert item.wamid.startswith("wakit.")
    assert item.wamid != other.wamid


@pytest.mark.parametrize(
    ("changes", "kind", "reason"),
    [
        ({"direction": "internal"}, Recorded, "internal"),
        ({"direction": "outgoing", "external_id": None}, Recorded, "not accepted"),
        ({"direction": "outgoing", "status": {"pending": "2026-05-06T03:39:23+00:00"}}, Recorded, "no status"),
        ({"direction": None}, NotUnderstood, "whole rows"),
        ({"content": None}, NotUnderstood, "whole rows"),
        ({"contact_address": None}, NotUnderstood, "with whom"),
    ],
)
def test_rows_of_which_nothing_is_made(changes: dict[str, Any], kind: type, reason: str) -> None:
    item = only(**changes)
    assert isinstance(item, kind)
    assert reason in item.reason  # type: ignore[union-attr]


def test_a_row_whose_number_nobody_knows() -> None:
    nowhere = replace(source("wakit"), account_id="", phone_number_id="")
    data = {key: value for key, value in ROW.items() if key != "organization_address"}
    body = json.dumps({"data": data, "entity": "messages", "action": "insert"}).encode()
    found = translators.translate(nowhere, body).untranslated
    assert isinstance(found, NotUnderstood)
    assert "the account that it is of" in found.reason
