"""One-time codes are gone from a row once Meta has them; and the 24-hour window."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from msgspec.json import decode, encode
from tests.unit.meta.outgoing.cases import JSON, SENDABLE, TEMPLATE, template, text

from tellwire.meta.outgoing.masking import MASK, carries_code, is_masked, mask
from tellwire.meta.outgoing.types import content_of
from tellwire.meta.outgoing.windows import window_closed

CODE = template(
    {"type": "body", "parameters": [text("123456"), text("654321", parameter_name="code")]},
    {"type": "button", "sub_type": "url", "index": "0", "parameters": [text("123456")]},
)


def test_every_parameter_of_an_authentication_template_is_masked() -> None:
    kept = mask(content_of("template", CODE, "wamid.A"), authentication=True)
    assert decode(kept) == {
        "type": "template",
        "template": template(
            {"type": "body", "parameters": [text(MASK), text(MASK, parameter_name="code")]},
            {"type": "button", "sub_type": "url", "index": "0", "parameters": [text(MASK)]},
        ),
        "context": {"message_id": "wamid.A"},
    }
    assert mask(kept, authentication=True) == kept


def test_values_inside_of_values_and_cards_too() -> None:
    kept = decode(mask(content_of("template", TEMPLATE), authentication=True))["template"]
    assert kept["components"][1]["parameters"][1]["currency"] == dict.fromkeys(
        ("fallback_value", "code", "amount_1000"), MASK
    )
    assert kept["components"][7]["cards"][0]["components"][1]["parameters"] == [{"type": "payload", "payload": MASK}]
    assert kept["components"][7]["cards"][0]["card_index"] == 0


def test_a_member_given_twice_leaves_nothing_behind() -> None:
    twice = b'{"name":"a","language":{"code":"de"},"components":[{"type":"body","parameters":[{"type":"text",'
    twice += b'"text":"123456","text":"654321"}]}]}'
    kept = mask(content_of("template", twice), authentication=True)
    assert b"123456" not in kept
    assert b"654321" not in kept


@pytest.mark.parametrize(("kind", "value"), SENDABLE)
def test_anything_else_stays_byte_by_byte(kind: str, value: Any) -> None:
    content = content_of(kind, value)
    assert mask(content, authentication=False) == content
    if kind != "template":
        assert mask(content, authentication=True) == content


def test_whether_it_can_be_sent_again() -> None:
    assert not is_masked(content_of("template", CODE))
    assert is_masked(mask(content_of("template", CODE), authentication=True))
    plain = content_of("template", template())
    assert not is_masked(plain)
    assert not is_masked(mask(plain, authentication=True))
    assert not is_masked(content_of("template", template({"type": "body", "parameters": [text("****"), text("a")]})))
    assert not is_masked(content_of("text", {"body": "****"}))


@given(JSON)
def test_any_content_is_masked_or_stays(value: Any) -> None:
    assert isinstance(mask(content_of("template", value), authentication=True), bytes)
    assert isinstance(mask(encode(value), authentication=True), bytes)


# --- the window -------------------------------------------------------------------------------------------------------

LAST = 1_778_038_763
DAY = 24 * 3600


@pytest.mark.parametrize(
    ("now", "last", "closed"),
    [
        (LAST * 10**6, LAST, False),
        ((LAST + DAY) * 10**6 - 1, LAST, False),
        ((LAST + DAY) * 10**6, LAST, True),
        ((LAST + 9 * DAY) * 10**6, LAST, True),
        ((LAST - 60) * 10**6, LAST, False),
        (LAST * 10**6, None, False),
    ],
)
def test_the_window_is_closed_only_when_it_is_known_to_be(now: int, last: int | None, closed: bool) -> None:
    assert window_closed(now, last) is closed


@pytest.mark.parametrize(
    ("components", "expected"),
    [
        ([("body", ["123456"]), ("button", ["123456"])], True),
        ([("BODY", ["123456"]), ("Button", ["123456"])], True),
        ([("body", ["123456"]), ("button", ["another"])], False),
        ([("body", ["Ana", "123456"]), ("button", ["123456"])], False),
        ([("body", ["123456"])], False),
        ([("body", [""]), ("button", [""])], False),
        ([], False),
    ],
)
def test_a_code_is_the_bodys_one_parameter_that_a_button_repeats(
    components: list[tuple[str, list[str]]], expected: bool
) -> None:
    made = [
        {"type": kind, "parameters": [{"type": "text", "text": text} for text in texts]} for kind, texts in components
    ]
    content = {"type": "template", "template": {"name": "x", "language": {"code": "en"}, "components": made}}
    assert carries_code(encode(content)) is expected


@given(JSON)
def test_any_content_carries_a_code_or_not(value: Any) -> None:
    for content in (encode(value), encode({"template": value}), encode({"template": {"components": value}})):
        assert carries_code(content) in (True, False)
