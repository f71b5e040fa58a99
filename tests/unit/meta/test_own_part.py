"""What an organization sees of a POST: the cut of `own_part`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.world import envelope, incoming, value

from tellwire import meta
from tellwire.meta.webhooks.own_part import own_part

SECRET = "somebody else's words"


def raw(body: Any) -> bytes:
    return json.dumps(body).encode()


def pointers(body: bytes) -> list[str]:
    return [item.place.pointer for item in meta.parse(body)]


def cut(body: bytes, own: set[str]) -> bytes:
    return own_part(body, own, pointers(body))


def mixed() -> dict[str, Any]:
    post: dict[str, Any] = envelope(incoming("wamid.mine", "mine"), incoming("wamid.theirs", SECRET))
    return post


def test_what_is_all_ones_own_is_shown_as_it_came() -> None:
    body = json.dumps(mixed(), indent=3).encode()
    assert cut(body, set(pointers(body))) == body


def test_another_change_is_null_and_pointers_stay_right() -> None:
    body = raw(mixed())
    mine = pointers(body)[1]
    shown = json.loads(cut(body, {mine}))
    assert shown["entry"][0]["changes"][0] is None
    assert shown["entry"][0]["changes"][1] == mixed()["entry"][0]["changes"][1]


@pytest.mark.parametrize(
    "place",
    [(), ("entry", 0), ("entry", 0, "changes", 0)],
    ids=["the post", "its entry", "its change"],
)
def test_members_that_are_no_item_are_not_shown(place: tuple[str | int, ...]) -> None:
    post = mixed()
    inner: Any = post
    for step in place:
        inner = inner[step]
    inner["beside the items"] = 5
    body = raw(post)
    for own in ({pointers(body)[0]}, set(pointers(body))):
        shown = cut(body, own)
        assert b"beside" not in shown
        assert b"mine" in shown


def test_a_member_that_is_there_twice_is_shown_as_it_is_read() -> None:
    theirs = raw(envelope(incoming("wamid.theirs", SECRET))["entry"])
    body = b'{"object":"whatsapp_business_account","entry":%b,"entry":%b}' % (theirs, raw(mixed()["entry"][:1]))
    shown = cut(body, {pointers(body)[0]})
    assert SECRET.encode() not in shown
    assert b"mine" in shown


def test_of_a_change_with_items_of_others_the_own_ones_stay_with_their_peoples_cards() -> None:
    people = [("5215500000001", "Ada"), ("5215500000002", "Bob")]
    messages = [
        {"id": f"wamid.{name}", "from": number, "timestamp": "1778038763", "type": "text", "text": {"body": name}}
        for number, name in people
    ]
    cards = [{"wa_id": number, "profile": {"name": name}} for number, name in people]
    body = raw(envelope(value(messages=messages, contacts=cards)))
    mine, other = pointers(body)
    shown = json.loads(cut(body, {mine}))["entry"][0]["changes"][0]["value"]
    assert shown["messages"] == [messages[0], None]
    assert shown["contacts"] == [cards[0], {}]
    assert shown["metadata"]["phone_number_id"]
    assert "Bob" not in json.dumps(shown)
    assert b"Ada" not in cut(body, {other})


def test_of_nothing_nothing_is_shown() -> None:
    body = raw(mixed())
    assert cut(body, set()) == b'{"object":"whatsapp_business_account"}'
    assert cut(b"[1]", set()) == b"[null]"


@given(st.recursive(st.none() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_any_json_can_be_cut(value: Any) -> None:
    body = raw({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{"value": value}, value]}]})
    every = pointers(body)
    for each in every:
        json.loads(own_part(body, {each}, every))
