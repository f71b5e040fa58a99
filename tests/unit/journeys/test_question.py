"""What a text may mean, and what a message says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellwire.journeys.excerpt import excerpt, says
from tellwire.journeys.question import asked

ID = "0197a000-0000-7000-8000-000000000001"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (ID, {"ours": ID, "wamid": ID, "request_id": ID}),
        (f" {ID.upper()} ", {"ours": ID, "wamid": ID.upper(), "request_id": ID.upper()}),
        ("msg_0197a00000007000", {"webhook_id": "msg_0197a00000007000"}),
        ("req_" + "0" * 32, {"request_id": "req_" + "0" * 32}),
        ("wamid.HBgN=", {"wamid": "wamid.HBgN="}),
        ("+52 155 8839-2274", {"digits": "5215588392274", "words": "+52 155 8839-2274"}),
        ("(030) 12345", {"words": "(030) 12345"}),
        ("1234", {"webhook_id": "1234", "wamid": "1234", "request_id": "1234", "words": "1234"}),
        ("order  17", {"words": "order 17"}),
        ("María", {"webhook_id": "María", "wamid": "María", "request_id": "María", "words": "María"}),
        ("x", {"webhook_id": "x", "wamid": "x", "request_id": "x"}),
        ("", {}),
    ],
)
def test_a_text_is_read_as_everything_that_it_may_be(text: str, meant: dict[str, str]) -> None:
    found = asked(text)
    fields = ("ours", "digits", "webhook_id", "wamid", "request_id", "words")
    assert {name: value for name in fields if (value := getattr(found, name))} == meant


@given(st.text(max_size=80))
def test_any_text_is_read(text: str) -> None:
    found = asked(text)
    assert len(found.text) <= len(text)
    assert found.digits.isascii()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"type":"text","text":{"body":"Where is\\n order 17?"}}', "Where is order 17?"),
        (b'{"type":"image","image":{"caption":"My order","id":"1"}}', "image: My order"),
        (b'{"type":"sticker","sticker":{"id":"1"}}', "sticker"),
        (b'{"type":"template","template":{"name":"ready","components":[]}}', "template: ready"),
        (b'{"type":7}', "message"),
        (b"[]", "message"),
        (b"\xff", "message"),
        (b'{"type":"text","text":{"body":"' + b"a" * 500 + b'"}}', "a" * 119 + "…"),
    ],
)
def test_a_message_is_shown_in_a_few_words(content: bytes, words: str) -> None:
    assert excerpt(content) == words


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("order 17", True),
        ("ORDER 17", True),
        ("order 1", False),
        ("17", True),
        ("rder 17", False),
        ("17?", True),
        ("¿", False),
    ],
)
def test_words_are_found_whole(words: str, found: bool) -> None:
    assert says(b'{"type":"text","text":{"body":"Where is order  17?"}}', words) is found
