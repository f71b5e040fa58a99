"""Messages of one conversation put together again, as Meta batches them: every message byte by byte, in order."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.world import CUSTOMER, contact, envelope, status, statuses, text_message, value

from tellwire.meta.raw_json.replace import Values
from tellwire.meta.webhooks import joined, units

VALUE = "/entry/0/changes/0/value"


def cut(*values: dict[str, Any]) -> list[bytes]:
    """The envelopes of the units of one POST."""
    return [unit.envelope for unit in units.cut(json.dumps(envelope(*values)).encode()).values()]


@given(st.lists(st.text(max_size=20), min_size=1, max_size=6), st.booleans())
def test_what_was_cut_comes_together_again(texts: list[str], with_cards: bool) -> None:
    messages = [text_message(f"wamid.{n}", each) for n, each in enumerate(texts)]
    whole = value(messages=messages) | ({"contacts": [contact()]} if with_cards else {})
    envelopes = cut(whole)
    assert [joined.type_of(each) for each in envelopes] == ["text"] * len(texts)
    found = json.loads(joined.together(envelopes))
    assert found == envelope(whole)


def test_every_message_stays_as_it_came() -> None:
    texts = [
        b'{"from":"1","id":"a","type":"text","text":{"body":"\\u00e9\\/"},"n":1.50}',
        b'{ "id":"b", "from":"1", "type":"image", "image":{"id":"1e2"} }',
    ]
    posts = [
        b'{"object":"whatsapp_business_account","entry":[{"id":"w","time":%d,"changes":[{"value":'
        b'{"messaging_product":"whatsapp","metadata":{"phone_number_id":"1"},"messages":[%b]},"field":"messages"}]}]}'
        % (number, text)
        for number, text in enumerate(texts)
    ]
    found = Values(joined.together([unit.envelope for post in posts for unit in units.cut(post).values()]))
    assert [bytes(each) for each in found.pieces(f"{VALUE}/messages").values()] == texts
    assert found.at("/entry/0/time") == b"0"


def test_each_card_is_there_once() -> None:
    first, second = contact(CUSTOMER, "Luz"), contact(CUSTOMER, "Luz Vera")
    posts = [
        value(messages=[text_message("wamid.1")]),
        value(messages=[text_message("wamid.2")], contacts=[first]),
        value(messages=[text_message("wamid.3")], contacts=[first]),
        value(messages=[text_message("wamid.4")], contacts=[second]),
    ]
    found = json.loads(joined.together([cut(each)[0] for each in posts]))["entry"][0]["changes"][0]["value"]
    assert found["contacts"] == [first, second]
    assert [each["id"] for each in found["messages"]] == ["wamid.1", "wamid.2", "wamid.3", "wamid.4"]


@pytest.mark.parametrize(
    "other",
    [
        statuses(status("wamid.1", "read")),
        value(messages=[text_message("wamid.1")], of_the_future={"a": 1}),
        {"of": "another field"},
    ],
)
def test_what_cannot_be_shared_stays_alone(other: dict[str, Any]) -> None:
    assert [joined.type_of(each) for each in cut(other)] == [None]


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"entry":[]}', b'{"entry":[1]}', b"nonsense"])
def test_what_is_no_envelope_is_nothing_that_waits(text: bytes) -> None:
    assert joined.type_of(text) is None
