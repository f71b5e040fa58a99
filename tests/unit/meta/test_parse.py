"""Whole POSTs: whatever comes, items or NotJson; and nothing in one item changes another."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.golden.meta.rewrite import cases

from tellwire.errors import NotJson
from tellwire.meta import parse
from tellwire.meta.raw_json import verbatim
from tellwire.meta.webhooks import envelope
from tellwire.meta.webhooks.items import MOST_ITEMS, AccountProblem, Item, MessageItem, NotUnderstood, StatusUpdate

ENVELOPE = ["object", "entry", "id", "changes", "field", "value", "metadata", "phone_number_id", "display_phone_number"]
ARRAYS = ["contacts", "messages", "message_echoes", "statuses", "history", "threads", "errors", "user_id_update"]
WITHIN = ["wa_id", "profile", "name", "from", "to", "type", "text", "status", "recipient_id"]
KEYS = st.sampled_from([*ENVELOPE, *ARRAYS, *WITHIN])
WORDS = st.sampled_from(
    [
        "whatsapp_business_account",
        "messages",
        "smb_message_echoes",
        "history",
        "user_id_update",
        "calls",
        "text",
        "edit",
    ]
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9)
    | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=4), inner, max_size=5),
    max_leaves=16,
)
"""JSON of the words that the parser looks for."""

GOOD = [case for case in cases() if not case.stem.startswith("odd_")]


def load(case: Path) -> Any:
    return json.loads(case.read_bytes())


# --- whatever comes ---------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_items_or_not_json(body: bytes) -> None:
    try:
        items = parse(body)
    except NotJson:
        return
    assert items


@settings(deadline=None)
@given(JSON, st.booleans())
def test_any_json_is_at_least_one_item(value: Any, wrapped: bool) -> None:
    post = {"object": "whatsapp_business_account", "entry": [{"id": "8", "changes": [value]}]} if wrapped else value
    items = parse(json.dumps(post).encode())
    assert items
    assert len({item.place.pointer for item in items}) == len(items)


@settings(deadline=None)
@given(st.sampled_from(["messages", "smb_message_echoes", "history", "user_id_update", "calls", "x"]), JSON)
def test_any_value_of_any_field_is_items_of_that_field(field: str, value: Any) -> None:
    changes = [{"field": field, "value": value}]
    items = parse(json.dumps({"object": "whatsapp_business_account", "entry": [{"changes": changes}]}).encode())
    assert {item.place.field for item in items} == {field}


@pytest.mark.parametrize(
    "body", [b"", b" ", b"not json", b"{", b"\xff\xfe{\x00}\x00", b"[NaN]", b"{}{}", b'{"a":1,}', b"\0"]
)
def test_not_json(body: bytes) -> None:
    with pytest.raises(NotJson):
        parse(body)


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        (b"null", "post", "it is not an object"),
        (b"[]", "post", "it is not an object"),
        (rb'"\ud800"', "post", "it is not an object"),
        (b"{}", "post", "its object is not whatsapp_business_account"),
        (b'{"object":"page","entry":[]}', "page", "its object is not whatsapp_business_account"),
        (b'{"object":"whatsapp_business_account"}', "post", "it has no list of entry"),
        (b'{"object":"whatsapp_business_account","entry":{}}', "post", "it has no list of entry"),
        (b'{"object":"whatsapp_business_account","entry":[]}', "post", "its list of entry is empty"),
    ],
)
def test_json_that_is_no_post_of_ours(body: bytes, kind: str, reason: str) -> None:
    (item,) = parse(body)
    assert isinstance(item, NotUnderstood)
    assert (item.place.pointer, item.kind, item.reason) == ("", kind, reason)


def test_a_byte_order_mark_is_passed_over() -> None:
    for case in GOOD[:5]:
        assert parse(b"\xef\xbb\xbf" + case.read_bytes()) == parse(case.read_bytes())


def test_broken_entries_and_changes_cost_only_themselves() -> None:
    good = load(cases()[0].parent.parent / "messages" / "text.json")["entry"][0]
    entries = [
        7,
        good,
        {"id": 8, "changes": "x"},
        {"id": [], "changes": [None, *good["changes"], {"value": 1}, {}]},
        {},
    ]
    items = parse(json.dumps({"object": "whatsapp_business_account", "entry": entries}).encode())
    assert [(item.place.pointer, type(item).__name__) for item in items] == [
        ("/entry/1/changes/0/value/messages/0", "MessageItem"),
        ("/entry/3/changes/1/value/messages/0", "MessageItem"),
        ("/entry/0", "NotUnderstood"),
        ("/entry/2", "NotUnderstood"),
        ("/entry/3/changes/0", "NotUnderstood"),
        ("/entry/3/changes/2", "NotUnderstood"),
        ("/entry/3/changes/3", "NotUnderstood"),
        ("/entry/4", "NotUnderstood"),
    ]
    assert [item.place.waba_id for item in items][:2] == [good["id"], ""]


def test_a_whole_number_serves_as_the_id_of_an_entry() -> None:
    post = load(GOOD[0])
    post["entry"][0]["id"] = 800000000000001
    assert {item.place.waba_id for item in parse(json.dumps(post).encode())} == {"800000000000001"}


# --- both ways of reading agree ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", GOOD, ids=lambda case: f"{case.parent.name}/{case.stem}")
def test_parse_any_finds_the_same(case: Path) -> None:
    post = load(case)
    regular = parse(json.dumps(post).encode())
    slices_only = json.dumps({**post, "\ud800": ["[" * 3, {}]}).encode()
    assert envelope._regular(slices_only) is None
    assert parse(slices_only) == regular


# --- nothing in one item changes another ------------------------------------------------------------------------------

ODD = [
    b'"\\ud83d"',
    b"1e999",
    b'"\xff\xfe"',
    b'"\xed\xa0\x80"',
    b"[" * 2000 + b"]" * 2000,
    b'{"a":' * 2000 + b"1" + b"}" * 2000,
    b"9" * 5000,
    b"null",
    b'"\\u0000"',
    b'{"\\ud800":{"\\udc00":[]}}',
]
MARK = "@@odd@@"


def batch() -> dict[str, Any]:
    """Return a POST with messages, statuses, echoes and history, of two entries."""
    posts = [load(case.parent.parent / name) for case in cases()[:1] for name in (
        "messages/text_several_contacts.json",
        "messages/statuses_of_one_message.json",
        "smb_message_echoes/text.json",
        "history/thread.json",
        "user_id_update/changed.json",
    )]  # fmt: skip
    first, *rest = posts
    for post in rest[:2]:
        first["entry"][0]["changes"] += post["entry"][0]["changes"]
    return {**first, "entry": [*first["entry"], *(entry for post in rest[2:] for entry in post["entry"])]}


def resolve(document: Any, pointer: str) -> Any:
    for step in pointer.split("/")[1:]:
        document = document[int(step) if isinstance(document, list) else step]
    return document


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*path, key))


def replaced(document: Any, path: tuple[Any, ...], by: Any) -> Any:
    if not path:
        return by
    changed = copy.copy(document)
    changed[path[0]] = replaced(document[path[0]], path[1:], by)
    return changed


BATCH = batch()
ITEMS = parse(json.dumps(BATCH).encode())


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_replacing_any_part_of_an_item_changes_no_other(data: st.DataObject) -> None:
    victim = data.draw(st.sampled_from([item.place.pointer for item in ITEMS]))
    path = data.draw(st.sampled_from(list(places(resolve(BATCH, victim)))))
    by = data.draw(JSON.map(json.dumps).map(str.encode) | st.sampled_from(ODD))
    steps = tuple(int(step) if step.isdecimal() else step for step in victim.split("/")[1:])
    body = json.dumps(replaced(BATCH, (*steps, *path), MARK)).encode().replace(f'"{MARK}"'.encode(), by)
    items = parse(body)
    assert [item for item in items if item.place.pointer != victim] == [i for i in ITEMS if i.place.pointer != victim]
    assert sum(item.place.pointer == victim for item in items) == 1


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_replacing_any_part_of_a_post_never_raises(data: st.DataObject) -> None:
    post = load(data.draw(st.sampled_from(GOOD)))
    path = data.draw(st.sampled_from(list(places(post))))
    by = data.draw(JSON.map(json.dumps).map(str.encode) | st.sampled_from(ODD))
    body = json.dumps(replaced(post, path, MARK)).encode().replace(f'"{MARK}"'.encode(), by)
    assert parse(body)


@settings(deadline=None)
@given(st.data())
def test_damaging_the_bytes_gives_items_or_not_json(data: st.DataObject) -> None:
    body = data.draw(st.sampled_from(GOOD)).read_bytes()
    at = data.draw(st.integers(min_value=0, max_value=len(body) - 1))
    put = data.draw(st.binary(max_size=2))
    try:
        items = parse(body[:at] + put + body[at + 1 :])
    except NotJson:
        return
    assert items


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: str(odd[:12]))
@pytest.mark.parametrize("key", ["contacts", "metadata", "more", "errors"])
def test_odd_things_beside_the_messages_cost_no_message(key: str, odd: bytes) -> None:
    post = load(GOOD[0].parent.parent / "messages" / "text.json")
    value = post["entry"][0]["changes"][0]["value"]
    body = json.dumps(replaced(post, ("entry", 0, "changes", 0, "value"), {**value, key: MARK})).encode()
    item, *more = parse(body.replace(f'"{MARK}"'.encode(), odd))
    assert isinstance(item, MessageItem)
    assert item.content == b'{"type":"text","text":{"body": "\\u00bfTienen pan de muerto?"}}'
    assert item.who is not None
    assert item.who.address == "5215500000002"
    assert [type(other) for other in more] == ([NotUnderstood] if key == "errors" and odd != b"null" else [])


def test_what_is_lost_is_still_named_by_its_wamid() -> None:
    post = load(GOOD[0].parent.parent / "messages" / "text.json")
    message = post["entry"][0]["changes"][0]["value"]["messages"][0]
    message["text"]["body"] = MARK
    for odd in ODD[:7]:
        (item,) = parse(json.dumps(post).encode().replace(f'"{MARK}"'.encode(), odd))
        assert isinstance(item, NotUnderstood)
        assert item.wamid == message["id"]


# --- order and size ---------------------------------------------------------------------------------------------------


def rank(item: Item) -> int:
    return 0 if isinstance(item, MessageItem) else 1 if isinstance(item, StatusUpdate) else 2


def test_messages_come_first_then_statuses_then_the_rest() -> None:
    assert [rank(item) for item in ITEMS] == sorted(rank(item) for item in ITEMS)
    assert {rank(item) for item in ITEMS} == {0, 1, 2}
    for kind in (0, 1, 2):
        of_kind = [item.place.pointer for item in ITEMS if rank(item) == kind]
        document = ["/" + "/".join(map(str, path)) for path in places(BATCH)]
        assert of_kind == sorted(of_kind, key=document.index)


def test_the_order_is_the_documents() -> None:
    past = [{"threads": [{"messages": [message("wamid.1")], "id": "5"}], "message_echoes": [message("wamid.2")]}]
    value = {"message_echoes": [message("wamid.0")], "history": past, "messages": [message("wamid.3")]}
    for field in ("messages", "smb_message_echoes", "history"):
        changes = [{"field": field, "value": value}]
        items = parse(json.dumps({"object": "whatsapp_business_account", "entry": [{"changes": changes}]}).encode())
        assert [item.wamid for item in items if isinstance(item, MessageItem)] == [f"wamid.{n}" for n in range(4)]


def message(wamid: str) -> dict[str, Any]:
    return {"from": "1", "to": "5", "id": wamid, "timestamp": "1790000000", "type": "text", "text": {"body": "Hola"}}


def test_pointers_lead_to_the_items() -> None:
    for item in ITEMS:
        found = resolve(BATCH, item.place.pointer)
        match item:
            case MessageItem() | StatusUpdate():
                assert found["id"] == item.wamid
            case _:
                assert isinstance(found, dict)


def test_a_problem_of_the_account_stands_beside_messages() -> None:
    post = load(GOOD[0].parent.parent / "messages" / "text.json")
    post["entry"][0]["changes"][0]["value"]["errors"] = [{"code": 1.0, "title": "T"}]
    message, problem = parse(json.dumps(post).encode())
    assert isinstance(message, MessageItem)
    assert isinstance(problem, AccountProblem)
    assert problem.errors == b'[{"code": 1.0, "title": "T"}]'


def many(count: int, *, odd: bool) -> bytes:
    messages = [
        {"from": f"52155{n:08}", "id": f"wamid.{n}", "timestamp": "1790000000", "type": "text", "text": {"body": MARK}}
        for n in range(count)
    ]
    statuses = [
        {"id": f"wamid.S{n}", "status": "sent", "timestamp": "1790000000", "recipient_id": f"52155{n:08}"}
        for n in range(count)
    ]
    contacts = [{"wa_id": f"52155{n:08}", "profile": {"name": f"N{n}"}} for n in range(count)]
    metadata = {"display_phone_number": "5215500000001", "phone_number_id": "9"}
    value = {"metadata": metadata, "contacts": contacts, "messages": messages, "statuses": statuses}
    changes = [{"field": "messages", "value": value}]
    body = json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "8", "changes": changes}]}).encode()
    return body.replace(MARK.encode(), b"\\ud800" if odd else b"Hola", 1)


def calls_made(body: bytes) -> int:
    made = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal made
        made += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        parse(body)
    finally:
        sys.setprofile(None)
    return made


@pytest.mark.parametrize("odd", [False, True], ids=["regular", "with an odd one"])
def test_a_thousand_updates_are_linear_work(odd: bool) -> None:
    body = many(500, odd=odd)
    items = parse(body)
    assert len(items) == 1000
    assert sum(isinstance(item, NotUnderstood) for item in items) == odd
    assert all(
        item.who.name == f"N{int(item.who.address[5:])}" for item in items if isinstance(item, MessageItem) and item.who
    )
    one, two, four = (calls_made(many(count, odd=odd)) for count in (125, 250, 500))
    assert (four - two) <= 2.1 * (two - one)


@pytest.mark.parametrize("junk", ["0", "{}", '"x"', '{"id":"wamid.x","from":"1"}'])
def test_of_too_many_items_the_rest_is_one(junk: str) -> None:
    post = load(GOOD[0].parent.parent / "messages" / "text.json")
    value = post["entry"][0]["changes"][0]["value"]
    value["messages"].append(MARK)
    body = json.dumps(post).replace(f'"{MARK}"', ",".join([junk] * (2 * MOST_ITEMS))).encode()
    first, *more = parse(body)
    assert isinstance(first, MessageItem)
    assert len(more) == MOST_ITEMS
    (rest,) = [item for item in more if item.place.pointer == ""]
    assert isinstance(rest, NotUnderstood)
    assert rest.kind == "post"
    assert rest.reason.startswith("the POST holds more than 10000 items")


@pytest.mark.parametrize("where", ["value", "change", "entry", "post"])
def test_a_hundred_thousand_members_beside_a_message_cost_nothing_of_it(where: str) -> None:
    post = load(GOOD[0].parent.parent / "messages" / "text.json")
    entry = post["entry"][0]
    change = entry["changes"][0]
    holder = {"value": change["value"], "change": change, "entry": entry, "post": post}[where]
    holder |= {f"more {number}": {"of": number} for number in range(verbatim.MAX_VALUES)}
    (item,) = parse(json.dumps(post).encode())
    assert isinstance(item, MessageItem)
    assert item.wamid == change["value"]["messages"][0]["id"]


def test_a_message_of_too_many_values_is_named_and_costs_no_neighbour() -> None:
    post = load(GOOD[0].parent.parent / "messages" / "text.json")
    messages = post["entry"][0]["changes"][0]["value"]["messages"]
    messages.append({**messages[0], "id": "wamid.many", "text": {"body": "x", "more": [0] * verbatim.MAX_VALUES}})
    first, second = parse(json.dumps(post, separators=(",", ":")).encode())
    assert isinstance(first, MessageItem)
    assert isinstance(second, NotUnderstood)
    assert (second.wamid, second.reason) == ("wamid.many", f"it holds more than {verbatim.MAX_VALUES} values")
