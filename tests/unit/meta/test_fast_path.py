"""The fast path through a POST gives the items that `parse_any` gives, or None."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.golden.meta.rewrite import cases

from tellwire.errors import NotJson
from tellwire.meta.webhooks.envelope import parse_any
from tellwire.meta.webhooks.fast_path import try_parse

ID = st.sampled_from(
    ["5215500000001", "15550001111", "+52 1 55 0000 0001", "wamid.A", "wacid.B", "", " ", "a\0b", "x" * 201, "x" * 513]
) | st.text(max_size=4)
TYPE = st.sampled_from(["text", "image", "reaction", "order", "system", "edit", "unsupported", "new", ""])
CONTENT: st.SearchStrategy[Any] = st.sampled_from(
    [{"body": "hello"}, {"body": "a\0b"}, {}, [], None, 1e400, "text", 10**40, {"a": [[[1]]]}]
)
TIME = st.sampled_from(["1700000000", "0", "", "later", "99999999999999999999999", 1700000000, None])
NAMED = st.fixed_dictionaries(
    {}, optional={"name": st.sampled_from(["Ana", "", "x" * 600, "a\0b"]), "username": st.just("@ana")}
)
CONTACT = st.fixed_dictionaries({"wa_id": ID, "profile": NAMED}, optional={"user_id": ID, "input": ID})


@st.composite
def messages(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(TYPE)
    message: dict[str, Any] = {"from": draw(ID), "id": draw(ID), "timestamp": draw(TIME), "type": kind}
    message[kind] = draw(CONTENT)
    if draw(st.booleans()):
        message |= draw(
            st.fixed_dictionaries({}, optional={"context": CONTENT, "text": CONTENT, "group_id": ID, "from": ID})
        )
    keys = draw(st.permutations(list(message)))
    return {key: message[key] for key in keys}


VALUES = st.fixed_dictionaries(
    {
        "messaging_product": st.just("whatsapp"),
        "metadata": st.fixed_dictionaries({"phone_number_id": ID}, optional={"display_phone_number": ID, "more": ID}),
        "messages": st.lists(messages(), max_size=3),
    },
    optional={"contacts": st.lists(CONTACT, max_size=3), "errors": st.just([]), "statuses": st.just([])},
)
POSTS = st.fixed_dictionaries(
    {
        "object": st.just("whatsapp_business_account"),
        "entry": st.lists(
            st.fixed_dictionaries(
                {
                    "id": ID,
                    "changes": st.lists(
                        st.fixed_dictionaries({"field": st.sampled_from(["messages", "history"]), "value": VALUES}),
                        max_size=2,
                    ),
                }
            ),
            max_size=2,
        ),
    }
)


def agree(body: bytes) -> bool:
    """Compare what the fast path gives with `parse_any`, and return whether it gave something."""
    found = try_parse(body)
    assert found is None or found == parse_any(body)
    return found is not None


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.parent.name}/{case.stem}")
def test_on_every_golden_body(case: Path) -> None:
    agree(case.read_bytes())


def test_it_takes_the_usual_ones() -> None:
    taken = {case.stem for case in cases() if agree(case.read_bytes())}
    assert {"text", "image", "location", "reaction"} <= taken


@settings(deadline=None, max_examples=400)
@given(POSTS)
def test_on_posts_of_nearly_the_usual_shape(post: dict[str, Any]) -> None:
    agree(json.dumps(post).encode())


GOOD = {
    "object": "whatsapp_business_account",
    "entry": [
        {
            "id": "1",
            "changes": [
                {
                    "field": "messages",
                    "value": {
                        "messaging_product": "whatsapp",
                        "metadata": {"display_phone_number": "1555", "phone_number_id": "2"},
                        "contacts": [{"profile": {"name": "Ana"}, "wa_id": "3"}],
                        "messages": [
                            {
                                "from": "3",
                                "id": "wamid.A",
                                "timestamp": "1700000000",
                                "type": "text",
                                "text": {"body": "é"},
                            }
                        ],
                    },
                }
            ],
        }
    ],
}


@given(st.data())
def test_on_a_usual_post_with_a_byte_gone_or_changed(data: st.DataObject) -> None:
    body = json.dumps(GOOD, ensure_ascii=False).encode()
    assert agree(body)
    at = data.draw(st.integers(0, len(body) - 1))
    with_another = body[:at] + data.draw(st.binary(max_size=2)) + body[at + 1 :]
    try:
        agree(with_another)
    except NotJson:
        assert try_parse(with_another) is None
