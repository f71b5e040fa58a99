"""Template messages against the templates themselves."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.json import encode
from tests.unit.meta.outgoing.cases import JSON, TEMPLATE, template, text

from tellwire.meta.outgoing.template import BUTTONS as SENT
from tellwire.meta.outgoing.template_parameters import BUTTONS, complaints

HEAD = {"type": "HEADER", "format": "TEXT", "text": "Order {{1}}"}
BODY = {"type": "BODY", "text": "Hello {{1}}, your order {{2}} comes {{ 3 }}. Again: {{1}}"}
NAMED = {"type": "BODY", "text": "Hello {{first_name}}, your order {{order}}"}
FOOTER = {"type": "FOOTER", "text": "Bye"}
BUTTONS_OF = {
    "type": "BUTTONS",
    "buttons": [
        {"type": "QUICK_REPLY", "text": "Stop"},
        {"type": "URL", "text": "Track", "url": "https://example.org/{{1}}"},
        {"type": "URL", "text": "Shop", "url": "https://example.org/"},
        {"type": "PHONE_NUMBER", "text": "Call", "phone_number": "+49170"},
        {"type": "COPY_CODE", "example": ["X"]},
        {"type": "FLOW", "text": "Book"},
        {"type": "CATALOG", "text": "View catalog"},
        {"type": "A_NEW_ONE"},
    ],
}


def image(name: str = "image") -> dict[str, Any]:
    return {"type": "HEADER", "format": name.upper()}


def head(*parameters: Any) -> dict[str, Any]:
    return {"type": "header", "parameters": list(parameters)}


def body(*parameters: Any) -> dict[str, Any]:
    return {"type": "body", "parameters": list(parameters)}


def press(sub_type: str, index: int | str, *parameters: Any) -> dict[str, Any]:
    return {"type": "button", "sub_type": sub_type, "index": index, "parameters": list(parameters)}


PICTURE = {"type": "image", "image": {"id": "M"}}
CLIP = {"type": "video", "video": {"id": "M"}}
COUPON = {"type": "coupon_code", "coupon_code": "X"}
PRESSED = (press("url", "1", text("a")), press("COPY_CODE", 4, COUPON))

OWN_CARD = {
    "components": [
        image(),
        {"type": "BODY", "text": "Card {{1}}"},
        {"type": "BUTTONS", "buttons": BUTTONS_OF["buttons"][:1]},
    ]
}
CAROUSEL = [{"type": "BODY", "text": "All"}, {"type": "CAROUSEL", "cards": [OWN_CARD, OWN_CARD]}]


def card(index: int | str, *components: Any) -> dict[str, Any]:
    return {"card_index": index, "components": list(components) or [head(PICTURE), body(text())]}


def cards(*given: Any) -> dict[str, Any]:
    return {"type": "carousel", "cards": list(given)}


C = "/template/components"
OFFER = {"type": "LIMITED_TIME_OFFER", "limited_time_offer": {"text": "Soon", "has_expiration": True}}
ENDS = {
    "type": "limited_time_offer",
    "parameters": [{"type": "limited_time_offer", "limited_time_offer": {"expiration_time_ms": 1}}],
}
OTP = [
    {"type": "BODY", "text": "*{{1}}* is your code.", "add_security_recommendation": True},
    {"type": "BUTTONS", "buttons": [{"type": "OTP", "otp_type": "COPY_CODE", "text": "Copy code"}]},
]

CASES: list[tuple[list[Any], str, Any, list[tuple[str, str]]]] = [
    # nothing to fill
    ([FOOTER], "", {"name": "a", "language": {"code": "de"}}, []),
    ([{"type": "BODY", "text": "Hi"}], "POSITIONAL", template({"type": "body"}), []),
    (
        [{"type": "BODY", "text": "Hi"}],
        "POSITIONAL",
        template(body(text())),
        [(f"{C}/0/parameters", "the template's body has no parameters, 1 given")],
    ),
    ([FOOTER], "", template(head(text())), [(f"{C}/0/parameters", "the template's header has no parameters, 1 given")]),
    # by position
    ([HEAD, BODY], "POSITIONAL", template(head(text()), body(text(), text(), text())), []),
    (
        [HEAD, BODY],
        "",
        template(),
        [
            (C, "the template's header has 1 parameter, none given"),
            (C, "the template's body has 3 parameters, none given"),
        ],
    ),
    (
        [BODY],
        "POSITIONAL",
        template(body(text(), text())),
        [(f"{C}/0/parameters", "the template's body has 3 parameters, 2 given")],
    ),
    (
        [BODY],
        "POSITIONAL",
        template(body(text(), text(), text(), text())),
        [(f"{C}/0/parameters", "the template's body has 3 parameters, 4 given")],
    ),
    (
        [HEAD],
        "POSITIONAL",
        template(head(text(parameter_name="a"))),
        [(f"{C}/0/parameters/0/parameter_name", "the template's parameters have no names but an order")],
    ),
    # by name
    ([NAMED], "NAMED", template(body(text(parameter_name="order"), text(parameter_name="first_name"))), []),
    ([NAMED], "named", template(body(text(parameter_name="order"), text(parameter_name="first_name"))), []),
    ([NAMED], "", template(body(text(parameter_name="order"), text(parameter_name="first_name"))), []),
    (
        [NAMED],
        "NAMED",
        template(body(text(parameter_name="order"), text(parameter_name="name"), text())),
        [
            (f"{C}/0/parameters", 'the template\'s body needs the parameter "first_name"'),
            (
                f"{C}/0/parameters/1/parameter_name",
                "is no parameter of the template's body; they are first_name, order",
            ),
            (
                f"{C}/0/parameters/2/parameter_name",
                "is missing: the parameters of the template's body have names; they are first_name, order",
            ),
        ],
    ),
    # headers
    ([image()], "", template(head(PICTURE)), []),
    ([image()], "", template(), [(C, "the template's header needs its image")]),
    ([image()], "", template(head()), [(f"{C}/0/parameters", "the template's header needs its image")]),
    (
        [image()],
        "",
        template(head(CLIP)),
        [(f"{C}/0/parameters/0/type", 'must be image, as the template\'s header is one; "video" was given')],
    ),
    (
        [image("document")],
        "",
        template(head(text())),
        [(f"{C}/0/parameters/0/type", 'must be document, as the template\'s header is one; "text" was given')],
    ),
    ([image("location")], "", template(head({"type": "location", "location": {}})), []),
    ([image("a_new_one")], "", template(head(text())), []),
    # buttons
    ([BUTTONS_OF], "", template(*PRESSED), []),
    ([BUTTONS_OF], "", template(*PRESSED, press("quick_reply", 0, {"type": "payload", "payload": "p"})), []),
    ([BUTTONS_OF], "", template(*PRESSED, press("anything", 7, 5)), []),
    (
        [BUTTONS_OF],
        "",
        template(),
        [
            (C, "the template's button 1 (url) needs its parameter"),
            (C, "the template's button 4 (copy_code) needs its parameter"),
        ],
    ),
    (
        [BUTTONS_OF],
        "",
        template(press("url", 1), PRESSED[1]),
        [(f"{C}/0/parameters", "the template's button 1 (url) needs its parameter")],
    ),
    (
        [BUTTONS_OF],
        "",
        template(*PRESSED, press("url", 0, text())),
        [(f"{C}/2/sub_type", 'the template\'s button 0 is quick_reply; "url" was given')],
    ),
    (
        [BUTTONS_OF],
        "",
        template(*PRESSED, press("url", 2, text()), press("phone_number", 3, text()), press("flow", 8)),
        [
            (f"{C}/4/index", "the template has 8 buttons, counted from 0; 8 was given"),
            (f"{C}/2/parameters", "the URL of the template's button 2 has no parameter"),
            (f"{C}/3/parameters", "the template's button 3 has no parameters"),
        ],
    ),
    (OTP, "", template(body(text("123456")), press("url", "0", text("123456"))), []),
    (OTP, "", template(body(text("123456"))), [(C, "the template's button 0 (url) needs its parameter")]),
    ([{"type": "BODY", "add_security_recommendation": True}], "", template(body(text("123456"))), []),
    # cards
    (CAROUSEL, "", template(cards(card("1"), card(0))), []),
    (CAROUSEL, "", template(), [(C, "the template's carousel needs its 2 cards")]),
    (CAROUSEL, "", template(cards(card(0))), [(f"{C}/0/cards", "the template has 2 cards, 1 given")]),
    (
        CAROUSEL,
        "",
        template(cards(card(0), card(2))),
        [(f"{C}/0/cards", "the card with the card_index 1 is missing")],
    ),
    (
        CAROUSEL,
        "",
        template(cards(card(1), card(0, head(CLIP), press("quick_reply", 1)))),
        [
            (
                f"{C}/0/cards/1/components/0/parameters/0/type",
                'must be image, as the template\'s header is one; "video" was given',
            ),
            (f"{C}/0/cards/1/components", "the template's body has 1 parameter, none given"),
            (f"{C}/0/cards/1/components/1/index", "the template has 1 button, counted from 0; 1 was given"),
        ],
    ),
    ([FOOTER], "", template(cards(card(0))), [(f"{C}/0/cards", "the template has 0 cards, 1 given")]),
    # offers
    ([OFFER], "", template(ENDS), []),
    ([OFFER], "", template(), [(C, "the template's offer needs the time when it ends")]),
    ([FOOTER], "", template(ENDS), [(f"{C}/0/type", "the template has no limited-time offer")]),
]


@pytest.mark.parametrize(("own", "style", "sent", "expected"), CASES)
def test_a_message_fits_its_template_or_is_told_where_not(
    own: list[Any], style: str, sent: Any, expected: list[tuple[str, str]]
) -> None:
    assert complaints(encode(own), style, sent) == expected


def test_a_button_is_filled_as_something_that_can_be_sent() -> None:
    assert {each.sub_type for each in BUTTONS.values()} - SENT.keys() == {"voice_call", "order_details"}


@pytest.mark.parametrize("components", [b"", b"{}", b"null", b"[", b'["\\ud800"]', b"[1, null, {}]"])
def test_a_template_that_cannot_be_read_is_left_to_meta(components: bytes) -> None:
    assert complaints(components, "NAMED", TEMPLATE) in ([], complaints(b"[]", "NAMED", TEMPLATE))


@given(
    JSON.map(encode) | st.sampled_from([case[0] for case in CASES]).map(encode), st.sampled_from(["", "NAMED"]), JSON
)
def test_any_message_and_any_template(components: bytes, style: str, sent: Any) -> None:
    for each in (sent, {"components": sent}, {"components": [sent, {"type": "body", "parameters": sent}]}):
        found = complaints(components, style, each)
        assert all(where.startswith("/template") and words for where, words in found)


@given(st.data())
def test_the_cases_with_any_value_put_somewhere(data: Any) -> None:
    own, style, sent, _ = data.draw(st.sampled_from(CASES))
    for each in (own, sent):
        holders = [found for found in _holders(each) if found]
        if holders:
            holder = data.draw(st.sampled_from(holders))
            keys = list(holder) if isinstance(holder, dict) else range(len(holder))
            assert isinstance(complaints(encode(own), style, sent), list)
            copy = dict(holder) if isinstance(holder, dict) else list(holder)
            copy[data.draw(st.sampled_from(list(keys)))] = data.draw(JSON)
            assert isinstance(complaints(encode(copy), style, sent), list)
            assert isinstance(complaints(encode(own), style, copy), list)


def _holders(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return [] if inner is None else [value, *(found for each in inner for found in _holders(each))]
