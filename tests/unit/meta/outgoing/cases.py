"""Messages that can be sent, one of each kind; tests change one thing of them at a time."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
"""Any JSON value."""

HEADER = {"type": "text", "text": "H"}
BODY = {"text": "B"}


def interactive(kind: str, action: Any, **more: Any) -> dict[str, Any]:
    return {"type": kind, "body": BODY, "action": action, **more}


def button(number: int) -> dict[str, Any]:
    return {"type": "reply", "reply": {"id": f"id {number}", "title": f"Title {number}"}}


def card(number: int) -> dict[str, Any]:
    return {
        "card_index": number,
        "type": "cta_url",
        "header": {"type": "image", "image": {"link": "https://example.org/a.png"}},
        "body": {"text": "Card\nof\nthree lines"},
        "action": {"name": "cta_url", "parameters": {"display_text": "Open", "url": "https://example.org"}},
    }


def reply_card(number: int, *, replies: int = 2) -> dict[str, Any]:
    buttons = [
        {"type": "quick_reply", "quick_reply": {"id": f"{number}-{i}", "title": f"T{i}"}} for i in range(replies)
    ]
    return {**card(number), "action": {"buttons": buttons}}


def product_card(number: int) -> dict[str, Any]:
    return {"card_index": number, "type": "product", "action": {"catalog_id": "C", "product_retailer_id": f"P{number}"}}


def rows(number: int, start: int = 0) -> list[dict[str, str]]:
    return [{"id": f"r{i}", "title": f"Row {i}"} for i in range(start, start + number)]


def products(number: int) -> list[dict[str, str]]:
    return [{"product_retailer_id": f"P{i}"} for i in range(number)]


def template(*components: Any) -> dict[str, Any]:
    return {"name": "order_update", "language": {"code": "pt_BR"}, "components": list(components)}


def text(value: str = "x", **more: str) -> dict[str, str]:
    return {"type": "text", "text": value, **more}


INTERACTIVE: dict[str, dict[str, Any]] = {
    "button": interactive("button", {"buttons": [button(1), button(2)]}, header=HEADER, footer={"text": "F"}),
    "list": interactive(
        "list",
        {"button": "Choose", "sections": [{"title": "One", "rows": rows(2)}, {"title": "Two", "rows": rows(2, 2)}]},
        header=HEADER,
    ),
    "cta_url": interactive(
        "cta_url",
        {"name": "cta_url", "parameters": {"display_text": "Open", "url": "https://example.org/?a=1"}},
        header={"type": "document", "document": {"id": "M1", "filename": "a.pdf"}},
    ),
    "flow": interactive(
        "flow",
        {
            "name": "flow",
            "parameters": {
                "flow_message_version": "3",
                "flow_id": "F1",
                "flow_cta": "Book",
                "flow_token": "T1",
                "mode": "published",
                "flow_action": "navigate",
                "flow_action_payload": {"screen": "FIRST", "data": {"a": 1}},
            },
        },
    ),
    "product": {"type": "product", "action": {"catalog_id": "C", "product_retailer_id": "P"}},
    "product_list": interactive(
        "product_list", {"catalog_id": "C", "sections": [{"title": "S", "product_items": products(2)}]}, header=HEADER
    ),
    "catalog_message": interactive("catalog_message", {"name": "catalog_message"}),
    "location_request_message": interactive("location_request_message", {"name": "send_location"}),
    "address_message": interactive("address_message", {"name": "address_message", "parameters": {"country": "IN"}}),
    "request_contact_info": interactive("request_contact_info", {"name": "request_contact_info"}),
    "carousel": interactive("carousel", {"cards": [card(0), card(1)]}),
    "call_permission_request": {"type": "call_permission_request", "action": {"name": "call_permission_request"}},
    "voice_call": interactive(
        "voice_call", {"name": "voice_call", "parameters": {"display_text": "Call", "ttl_minutes": 100, "payload": "p"}}
    ),
    "order_details": interactive("order_details", {"name": "review_and_pay", "parameters": {"reference_id": "o-1"}}),
    "order_status": interactive("order_status", {"name": "review_order", "parameters": {"reference_id": "o-1"}}),
}

TEMPLATE_CARD = {
    "card_index": 0,
    "components": [
        {"type": "header", "parameters": [{"type": "video", "video": {"id": "M2"}}]},
        {
            "type": "button",
            "sub_type": "quick_reply",
            "index": "0",
            "parameters": [{"type": "payload", "payload": "p"}],
        },
    ],
}
TEMPLATE = template(
    {"type": "header", "parameters": [{"type": "image", "image": {"id": "M1"}}]},
    {
        "type": "BODY",
        "parameters": [
            text("Ana"),
            {"type": "currency", "currency": {"fallback_value": "1 €", "code": "EUR", "amount_1000": 1000}},
            {"type": "date_time", "date_time": {"fallback_value": "today"}},
        ],
    },
    {"type": "button", "sub_type": "url", "index": "0", "parameters": [text("a/b")]},
    {
        "type": "button",
        "sub_type": "COPY_CODE",
        "index": 1,
        "parameters": [{"type": "coupon_code", "coupon_code": "X"}],
    },
    {
        "type": "button",
        "sub_type": "flow",
        "index": 2,
        "parameters": [{"type": "action", "action": {"flow_token": "t"}}],
    },
    {"type": "button", "sub_type": "voice_call", "index": 3, "parameters": [{"type": "ttl_minutes", "ttl_minutes": 9}]},
    {
        "type": "limited_time_offer",
        "parameters": [{"type": "limited_time_offer", "limited_time_offer": {"expiration_time_ms": 1700000000000}}],
    },
    {"type": "carousel", "cards": [TEMPLATE_CARD]},
)

SENDABLE: list[tuple[str, Any]] = [
    ("text", {"body": "Hi", "preview_url": True}),
    ("image", {"id": "M1", "caption": "C"}),
    ("image", {"link": "http://example.org"}),
    ("video", {"link": "HTTPS://example.org:8080/v.mp4?a=b#c", "caption": "C"}),
    ("audio", {"id": "M1", "voice": True}),
    ("document", {"id": "M1", "caption": "C", "filename": "a.pdf"}),
    ("sticker", {"id": "M1"}),
    ("location", {"latitude": -33.5, "longitude": 151, "name": "N", "address": "A"}),
    ("location", {"latitude": "37.44216251868683", "longitude": "-122.2"}),
    (
        "contacts",
        [
            {
                "name": {"formatted_name": "Ana Lima", "first_name": "Ana"},
                "phones": [{"phone": "+55 11 90000-0000", "type": "CELL", "wa_id": "5511900000000"}],
                "emails": [{"email": "ana@example.org"}],
                "org": {"company": "C"},
                "birthday": "1985-04-30",
                "a_new_one": [1],
            }
        ],
    ),
    ("reaction", {"message_id": "wamid.A", "emoji": "👍🏽"}),
    ("reaction", {"message_id": "wamid.A", "emoji": ""}),
    *(("interactive", each) for each in INTERACTIVE.values()),
    ("interactive", interactive("carousel", {"cards": [reply_card(0), reply_card(1)]})),
    ("interactive", interactive("carousel", {"cards": [product_card(0), product_card(1)]})),
    ("template", {"name": "hello_world", "language": {"code": "en_US", "policy": "deterministic"}}),
    ("template", TEMPLATE),
    ("template", template({"type": "body", "parameters": [text(parameter_name="a"), text(parameter_name="b")]})),
]


def changed(value: Any, pointer: str, new: Any) -> Any:
    """Return a copy with one value set, or removed with None as `new`."""
    copy = deepcopy(value)
    *way, last = [int(each) if each.isdecimal() else each for each in pointer.split("/")[1:]]
    inner = copy
    for step in way:
        inner = inner[step]
    if new is None:
        del inner[last]
    else:
        inner[last] = new
    return copy
