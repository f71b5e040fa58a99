"""A conversation in words, as a model is told it; and the parts that long answers go in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellwire.agents.decisions import MAX_CHARACTERS, parts
from tellwire.agents.ports import TranscriptLine
from tellwire.agents.transcript import transcript, words
from tellwire.model.messaging import Message


@pytest.mark.parametrize(
    ("kind", "content", "told"),
    [
        ("text", {"body": " Hello "}, "Hello"),
        ("image", {"id": "1", "caption": "my shoe"}, "[an image] my shoe"),
        ("video", {"id": "1"}, "[a video]"),
        ("audio", {"id": "1", "voice": True}, "[a voice message]"),
        ("document", {"id": "1", "filename": "a.pdf", "caption": "see"}, "[a document named a.pdf] see"),
        ("sticker", {"id": "1"}, "[a sticker]"),
        ("location", {"latitude": 1.5, "longitude": 2}, "[a location: 1.5, 2]"),
        (
            "location",
            {"latitude": 1, "longitude": 2, "name": "Shop", "address": "Main 1"},
            "[a location: Shop, Main 1]",
        ),
        ("contacts", [{"name": {"formatted_name": "Ana"}, "phones": [{"phone": "+52155"}]}], "[contacts: Ana]"),
        ("contacts", [], "[contacts]"),
        ("button", {"text": "Yes", "payload": "P"}, "Yes"),
        ("interactive", {"type": "button_reply", "button_reply": {"id": "1", "title": "Shoes"}}, "Shoes"),
        ("interactive", {"type": "list_reply", "list_reply": {"id": "1", "title": "Red"}}, "Red"),
        ("interactive", {"type": "nfm_reply", "nfm_reply": {"name": "flow", "body": "Sent"}}, "[a filled form] Sent"),
        (
            "interactive",
            {
                "type": "nfm_reply",
                "nfm_reply": {
                    "name": "flow",
                    "body": "Sent",
                    "response_json": '{"flow_token":"tok-9","stars":"5","yes":true,"why":["fast","kind"],"n":{"x":1}}',
                },
            },
            '[a filled form]\nstars: 5\nyes: true\nwhy: fast, kind\nn: {"x":1}',
        ),
        (
            "interactive",
            {
                "type": "nfm_reply",
                "nfm_reply": {
                    "name": "address_message",
                    "body": "Calle 1",
                    "response_json": '{"values":{"city":"Sur","floor":2}}',
                },
            },
            "[a filled form] Calle 1\ncity: Sur\nfloor: 2",
        ),
        *(
            (
                "interactive",
                {"type": "nfm_reply", "nfm_reply": {"name": "flow", "body": "Sent", "response_json": given}},
                "[a filled form] Sent",
            )
            for given in ("", "{", "[]", "7", '{"flow_token":"tok-9"}', {"stars": 5}, '{"a":null,"b":""}')
        ),
        ("interactive", {"type": "call_permission_reply", "call_permission_reply": {"response": "reject"}}, ""),
        (
            "interactive",
            {
                "type": "button",
                "body": {"text": "Which?"},
                "action": {"buttons": [{"reply": {"id": "1", "title": "A"}}, {"reply": {"id": "2", "title": "B"}}]},
            },
            "Which?\n[choices: A / B]",
        ),
        (
            "interactive",
            {"type": "list", "body": {"text": "Pick"}, "action": {"sections": [{"rows": [{"title": "X"}]}]}},
            "Pick\n[choices: X]",
        ),
        (
            "order",
            {"product_items": [{"product_retailer_id": "s1", "quantity": 2}], "text": "pls"},
            "[an order: 2 × s1] pls",
        ),
        ("template", {"name": "hello"}, "[the template hello]"),
        ("reaction", {"emoji": "👍"}, ""),
        ("unsupported", {"type": "poll"}, ""),
        ("system", {"body": "x"}, ""),
        ("text", {"body": ["no text"]}, ""),
        ("text", "no object", ""),
    ],
)
def test_every_type_is_told_in_words(kind: str, content: Any, told: str) -> None:
    assert words(json.dumps({"type": kind, kind: content}).encode()) == told


@given(st.dictionaries(st.text(), st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5)))
def test_any_content_has_some_words(content: dict[str, Any]) -> None:
    for kind in ("text", "image", "location", "contacts", "interactive", "order", "button", "template"):
        assert isinstance(words(json.dumps({"type": kind, kind: content}).encode()), str)
        assert isinstance(words(json.dumps({"type": kind, kind: [content]}).encode()), str)


def said(number: int, text: str, *, ours: bool = False, **more: Any) -> Message:
    return Message(
        id=str(number),
        organization_id="o",
        account_id="a",
        conversation_id="c",
        direction="outgoing" if ours else "incoming",
        content=json.dumps({"type": "text", "text": {"body": text}}).encode(),
        **more,
    )


def test_what_is_to_be_answered_stands_last_and_neighbours_are_one() -> None:
    first, asked, reply = said(1, "one"), said(2, "two"), said(3, "to one", ours=True)
    assert transcript([first, asked, reply], asked) == [
        TranscriptLine(by_customer=True, text="one"),
        TranscriptLine(by_customer=False, text="to one"),
        TranscriptLine(by_customer=True, text="two"),
    ]
    assert transcript([first, asked], asked) == [TranscriptLine(by_customer=True, text="one\ntwo")]


def test_what_was_taken_back_failed_or_never_seen_is_not_told() -> None:
    asked = said(9, "now")
    gone = [
        said(1, "x", status={"deleted": 1}),
        said(2, "x", ours=True, status={"failed": 1}),
        said(2, "x", ours=True, status={"cancelled": 1}),
        said(3, "x", kind="placeholder"),
        said(4, "x", ours=True, kind="external"),
    ]
    assert transcript([*gone, asked], asked) == [TranscriptLine(by_customer=True, text="now")]
    assert transcript([said(9, "")], said(9, "")) == []


@given(st.text(alphabet=st.sampled_from("ab .\n"), max_size=3 * MAX_CHARACTERS) | st.text())
def test_parts_are_short_and_lose_nothing_but_space(text: str) -> None:
    found = parts(text)
    assert all(0 < len(part) <= MAX_CHARACTERS and part == part.strip() for part in found)
    assert "".join("".join(found).split()) == "".join(text.split())


@pytest.mark.parametrize("mark", ["\n\n", "\n", ". ", " "])
def test_a_text_is_cut_where_it_pauses(mark: str) -> None:
    first, second = "a" * 3000, "b" * 3000
    assert parts(f"{first}{mark}{second}") == [f"{first}{mark}".strip(), second]
    assert [len(part) for part in parts("a" * 9000)] == [4096, 4096, 808]


def test_an_order_of_what_are_no_products_is_an_order() -> None:
    assert words(b'{"type":"order","order":{"product_items":[5,null]}}') == "[an order: no items]"
