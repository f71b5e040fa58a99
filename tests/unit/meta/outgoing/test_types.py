"""Every type that can be sent: what passes, each documented limit, each rule between parts, and hostile values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.json import decode
from tests.unit.meta.outgoing.cases import (
    HEADER,
    INTERACTIVE,
    JSON,
    SENDABLE,
    TEMPLATE,
    button,
    card,
    changed,
    interactive,
    product_card,
    products,
    reply_card,
    rows,
    template,
    text,
)

from tellwire.meta.outgoing.interactive import KINDS
from tellwire.meta.outgoing.shapes import Fields, Kinds, ListOf, Number, Shape, String
from tellwire.meta.outgoing.types import MOST_COMPLAINTS, TYPES, check, content_of


@pytest.mark.parametrize(("kind", "value"), SENDABLE)
def test_what_can_be_sent_passes(kind: str, value: Any) -> None:
    assert check(kind, value) == []


def test_every_type_and_every_interactive_kind_has_an_example() -> None:
    missing = sorted(TYPES.keys() - {kind for kind, _ in SENDABLE})
    assert not missing, f"SENDABLE in tests/unit/meta/outgoing/cases.py has no example of these types: {missing}"
    assert {kind for kind, _ in SENDABLE} == TYPES.keys()
    assert INTERACTIVE.keys() == KINDS.keys()


# --- limits of length -------------------------------------------------------------------------------------------------

FLOW = "/action/parameters"
ONE_LINK = [interactive("carousel", {"cards": [reply_card(0), reply_card(1)]})]

PRESS = {
    "type": "button",
    "sub_type": "quick_reply",
    "index": 0,
    "parameters": [{"type": "payload", "payload": "p"}],
}

LENGTHS: list[tuple[str, Any, str, int]] = [
    ("text", {"body": "x"}, "/body", 4096),
    *(("image", {"id": "M"}, "/caption", 1024),),
    *((kind, {"id": "M"}, "/caption", 1024) for kind in ("video", "document")),
    *(
        ("interactive", value, "/body/text", 4096 if kind == "list" else 1024)
        for kind, value in INTERACTIVE.items()
        if "body" in value
    ),
    *(
        ("interactive", {**INTERACTIVE[kind], "footer": {"text": "F"}}, "/footer/text", 60)
        for kind in sorted(INTERACTIVE.keys() - {"carousel"})
    ),
    *(
        ("interactive", {**INTERACTIVE[kind], "header": HEADER}, "/header/text", 60)
        for kind in sorted(INTERACTIVE.keys() - {"carousel", "product"})
    ),
    ("interactive", INTERACTIVE["button"], "/action/buttons/1/reply/id", 256),
    ("interactive", INTERACTIVE["button"], "/action/buttons/1/reply/title", 20),
    ("interactive", INTERACTIVE["list"], "/action/button", 20),
    ("interactive", INTERACTIVE["list"], "/action/sections/1/title", 24),
    ("interactive", INTERACTIVE["list"], "/action/sections/1/rows/1/id", 200),
    ("interactive", INTERACTIVE["list"], "/action/sections/1/rows/1/title", 24),
    ("interactive", INTERACTIVE["list"], "/action/sections/1/rows/1/description", 72),
    ("interactive", INTERACTIVE["cta_url"], "/action/parameters/display_text", 20),
    ("interactive", INTERACTIVE["flow"], "/action/parameters/flow_cta", 30),
    ("interactive", INTERACTIVE["product_list"], "/action/sections/0/title", 24),
    ("interactive", INTERACTIVE["carousel"], "/action/cards/1/body/text", 160),
    ("interactive", INTERACTIVE["carousel"], "/action/cards/1/action/parameters/display_text", 20),
    ("interactive", ONE_LINK[0], "/action/cards/1/action/buttons/1/quick_reply/id", 256),
    ("interactive", ONE_LINK[0], "/action/cards/1/action/buttons/1/quick_reply/title", 20),
    ("interactive", INTERACTIVE["voice_call"], "/action/parameters/display_text", 20),
    ("interactive", INTERACTIVE["voice_call"], "/action/parameters/payload", 512),
    ("interactive", INTERACTIVE["order_details"], "/action/parameters/reference_id", 35),
    ("interactive", INTERACTIVE["order_status"], "/action/parameters/reference_id", 35),
    ("template", TEMPLATE, "/name", 512),
    ("template", template({"type": "header", "parameters": [text()]}), "/components/0/parameters/0/text", 60),
    ("template", TEMPLATE, "/components/1/parameters/0/text", 1024),
    ("template", template({"type": "body", "parameters": [text()]}), "/components/0/parameters/0/text", 32768),
    ("template", TEMPLATE, "/components/2/parameters/0/text", 2000),
    ("template", TEMPLATE, "/components/3/parameters/0/coupon_code", 20),
    ("template", TEMPLATE, "/components/7/cards/0/components/1/parameters/0/payload", 256),
    ("template", template(PRESS), "/components/0/parameters/0/payload", 256),
]


@pytest.mark.parametrize(("kind", "value", "pointer", "most"), LENGTHS, ids=lambda each: str(each)[:30])
def test_a_text_at_its_limit_passes_and_one_over_it_fails(kind: str, value: Any, pointer: str, most: int) -> None:
    wide = "x" if "name" in pointer or "reference" in pointer else "é"
    assert check(kind, changed(value, pointer, wide * most)) == []
    over = check(kind, changed(value, pointer, wide * (most + 1)))
    assert [where for where, _ in over] == [f"/{kind}{pointer}"]
    assert str(most) in over[0][1]
    assert f"{most + 1} given" in over[0][1]


def test_lengths_are_counted_in_code_points() -> None:
    assert check("text", {"body": "👍" * 4096}) == []


# --- limits of number -------------------------------------------------------------------------------------------------


def _list(*sections: Any) -> dict[str, Any]:
    return interactive("list", {"button": "B", "sections": list(sections)})


def _sections(number: int) -> dict[str, Any]:
    return _list(*({"title": f"S{i}", "rows": rows(1, i)} for i in range(number)))


def _product_list(*sections: Any) -> dict[str, Any]:
    return interactive("product_list", {"catalog_id": "C", "sections": list(sections)}, header=HEADER)


def _buttons(number: int) -> dict[str, Any]:
    buttons = ({"type": "button", "sub_type": "catalog", "index": str(i)} for i in range(number))
    return template(*buttons)


COUNTS: list[tuple[str, Any, Any, str]] = [
    ("contacts", [{"name": {"formatted_name": "A", "suffix": "A"}}] * 257, 258, "/contacts"),
    (
        "interactive",
        interactive("button", {"buttons": [button(i) for i in range(3)]}),
        interactive("button", {"buttons": [button(i) for i in range(4)]}),
        "/interactive/action/buttons",
    ),
    ("interactive", _sections(10), _sections(11), "/interactive/action/sections"),
    (
        "interactive",
        _list({"title": "A", "rows": rows(5)}, {"title": "B", "rows": rows(5, 5)}),
        _list({"title": "A", "rows": rows(5)}, {"title": "B", "rows": rows(6, 5)}),
        "/interactive/action/sections",
    ),
    ("interactive", _list({"rows": rows(10)}), _list({"rows": rows(11)}), "/interactive/action/sections/0/rows"),
    (
        "interactive",
        _product_list({"title": "A", "product_items": products(15)}, {"title": "B", "product_items": products(15)}),
        _product_list({"title": "A", "product_items": products(15)}, {"title": "B", "product_items": products(16)}),
        "/interactive/action/sections",
    ),
    (
        "interactive",
        _product_list(*({"title": f"S{i}", "product_items": products(1)} for i in range(10))),
        _product_list(*({"title": f"S{i}", "product_items": products(1)} for i in range(11))),
        "/interactive/action/sections",
    ),
    (
        "interactive",
        _product_list({"product_items": products(30)}),
        _product_list({"product_items": products(31)}),
        "/interactive/action/sections/0/product_items",
    ),
    (
        "interactive",
        interactive("carousel", {"cards": [card(i) for i in range(10)]}),
        interactive("carousel", {"cards": [card(i) for i in range(11)]}),
        "/interactive/action/cards",
    ),
    (
        "interactive",
        interactive("carousel", {"cards": [card(0), card(1)]}),
        interactive("carousel", {"cards": [card(0)]}),
        "/interactive/action/cards",
    ),
    (
        "interactive",
        interactive("carousel", {"cards": [reply_card(0, replies=3), reply_card(1, replies=3)]}),
        interactive("carousel", {"cards": [reply_card(0, replies=4), reply_card(1, replies=4)]}),
        "/interactive/action/cards/0/action/buttons",
    ),
    (
        "interactive",
        changed(INTERACTIVE["voice_call"], "/action/parameters/ttl_minutes", 43200),
        changed(INTERACTIVE["voice_call"], "/action/parameters/ttl_minutes", 43201),
        "/interactive/action/parameters/ttl_minutes",
    ),
    ("template", _buttons(10), _buttons(11), "/template/components/10/index"),
    (
        "template",
        template({"type": "carousel", "cards": [{"card_index": i, "components": []} for i in range(10)]}),
        template({"type": "carousel", "cards": [{"card_index": i, "components": []} for i in range(11)]}),
        "/template/components/0/cards",
    ),
    ("location", {"latitude": 90, "longitude": 0}, {"latitude": 90.1, "longitude": 0}, "/location/latitude"),
    ("location", {"latitude": 0, "longitude": -180}, {"latitude": 0, "longitude": "-180.5"}, "/location/longitude"),
]


@pytest.mark.parametrize(("kind", "fits", "over", "pointer"), COUNTS)
def test_a_number_at_its_limit_passes_and_one_over_it_fails(kind: str, fits: Any, over: Any, pointer: str) -> None:
    over = fits + fits[:1] if over == 258 else over
    assert check(kind, fits) == []
    assert pointer in [where for where, _ in check(kind, over)]


# --- none is forgotten ------------------------------------------------------------------------------------------------


def _limits(shape: Shape, at: str) -> Iterator[str]:
    """Give the places of the limits in a shape, as pointers with * for the elements of a list."""
    match shape:
        case String(most=most) if most:
            yield at
        case Number():
            yield at
        case ListOf(item=item, most=most):
            yield from [at] if most else []
            yield from _limits(item, f"{at}/*")
        case Fields(needs=needs, may=may):
            for name, inner in [*needs.items(), *may.items()]:
                yield from _limits(inner, f"{at}/{name}")
        case Kinds(kinds=kinds):
            for inner in kinds.values():
                yield from _limits(inner, at)
        case _:
            pass


ELSEWHERE = {
    # a list with one element at most is in WRONG; what a template's action and offer hold is checked as outside of it
    "/template/components/*/parameters",
    "/template/components/*/cards/*/components/*/parameters",
}
SAME = [
    ("/template/components/*/cards/*/components", "/template/components"),
    ("/template/components/*/parameters/*/action", "/interactive/action"),
    ("/template/components/*/parameters/*/location", "/location"),
]
"""A shape that stands in several places is tested in one."""


def test_every_limit_of_the_tables_is_tested() -> None:
    known = {pattern for kind, each in TYPES.items() for pattern in _limits(each.shape, f"/{kind}")}
    tested = {f"/{kind}{pointer}" for kind, _, pointer, _ in LENGTHS} | {pointer for _, _, _, pointer in COUNTS}
    tested |= {pointer for _, _, pointers in WRONG for pointer in pointers}
    tested = {re.sub(r"/[0-9]+", "/*", pointer) for pointer in tested}
    for here, there in SAME:
        known = {pattern.replace(here, there) if pattern.startswith(here) else pattern for pattern in known}
    missing = sorted(known - tested - ELSEWHERE)
    assert not missing, f"nothing tests these limits: {missing}. Add rows to LENGTHS, COUNTS or WRONG of this module"


# --- what else can be wrong -------------------------------------------------------------------------------------------

NAME = {"formatted_name": "A", "first_name": "A"}

WRONG: list[tuple[str, Any, list[str]]] = [
    ("text", None, ["/text"]),
    ("text", "Hi", ["/text"]),
    ("text", {}, ["/text/body"]),
    ("text", {"body": ""}, ["/text/body"]),
    ("text", {"body": 5, "preview_url": "yes"}, ["/text/body", "/text/preview_url"]),
    ("text", {"body": "Hi", "preview": True, "a/b~": 1}, ["/text/preview", "/text/a~1b~0"]),
    ("image", {}, ["/image/id"]),
    ("image", {"id": "M", "link": "https://example.org"}, ["/image/link"]),
    ("image", {"id": 5}, ["/image/id"]),
    ("image", {"id": ""}, ["/image/id"]),
    ("image", {"id": "M", "filename": "a.png"}, ["/image/filename"]),
    *(
        ("image", {"link": link}, ["/image/link"])
        for link in ("", "example.org/a.png", "ftp://example.org", "https://", "https:///a", "https://a b", "data:,x")
    ),
    ("audio", {"id": "M", "caption": "C"}, ["/audio/caption"]),
    ("audio", {"id": "M", "voice": 1}, ["/audio/voice"]),
    ("sticker", {"id": "M", "caption": "C"}, ["/sticker/caption"]),
    ("document", {"id": "M", "filename": ""}, ["/document/filename"]),
    ("location", {"latitude": "north", "longitude": True}, ["/location/latitude", "/location/longitude"]),
    ("location", {"latitude": 10**400}, ["/location/latitude", "/location/longitude"]),
    ("contacts", [], ["/contacts"]),
    ("contacts", {"name": NAME}, ["/contacts"]),
    ("contacts", [{}], ["/contacts/0/name"]),
    ("contacts", [{"name": {"first_name": "A"}}], ["/contacts/0/name/formatted_name"]),
    ("contacts", [{"name": {"formatted_name": "A"}}], ["/contacts/0/name"]),
    ("contacts", [{"name": NAME, "birthday": "30.04.1985"}], ["/contacts/0/birthday"]),
    ("contacts", [{"name": NAME, "phones": [{"phone": 5}]}], ["/contacts/0/phones/0/phone"]),
    ("contacts", [{"name": NAME, "org": "C"}], ["/contacts/0/org"]),
    ("reaction", {"message_id": "wamid.A"}, ["/reaction/emoji"]),
    ("reaction", {"emoji": "👍"}, ["/reaction/message_id"]),
    ("reaction", {"message_id": "", "emoji": None}, ["/reaction/message_id", "/reaction/emoji"]),
    ("interactive", {"body": {"text": "B"}}, ["/interactive/type"]),
    ("interactive", {"type": "buttons"}, ["/interactive/type"]),
    ("interactive", {"type": ["button"]}, ["/interactive/type"]),
    ("interactive", {"type": "button"}, ["/interactive/body", "/interactive/action"]),
    ("interactive", interactive("button", {"buttons": []}), ["/interactive/action/buttons"]),
    (
        "interactive",
        interactive("button", {"buttons": [button(1), button(1)]}),
        ["/interactive/action/buttons/1/reply/id", "/interactive/action/buttons/1/reply/title"],
    ),
    (
        "interactive",
        changed(INTERACTIVE["button"], "/action/buttons/0/reply", {"id": " a", "title": ""}),
        ["/interactive/action/buttons/0/reply/id", "/interactive/action/buttons/0/reply/title"],
    ),
    (
        "interactive",
        changed(INTERACTIVE["button"], "/action/buttons/0/type", "url"),
        ["/interactive/action/buttons/0/type"],
    ),
    (
        "interactive",
        {**INTERACTIVE["button"], "header": {"type": "audio", "audio": {"id": "M"}}},
        ["/interactive/header/type"],
    ),
    ("interactive", {**INTERACTIVE["button"], "header": {"type": "video"}}, ["/interactive/header/video"]),
    (
        "interactive",
        {**INTERACTIVE["list"], "header": {"type": "image", "image": {"id": "M"}}},
        ["/interactive/header/type"],
    ),
    (
        "interactive",
        _list({"rows": rows(1)}, {"rows": rows(1)}),
        [
            "/interactive/action/sections/1/rows/0/id",
            "/interactive/action/sections/0/title",
            "/interactive/action/sections/1/title",
        ],
    ),
    ("interactive", _list({"rows": []}), ["/interactive/action/sections/0/rows"]),
    (
        "interactive",
        changed(INTERACTIVE["cta_url"], "/action/parameters/url", "tel:+49"),
        ["/interactive/action/parameters/url"],
    ),
    (
        "interactive",
        changed(INTERACTIVE["cta_url"], "/action/name", "url"),
        ["/interactive/action/name"],
    ),
    (
        "interactive",
        changed(INTERACTIVE["flow"], "/action/parameters/flow_name", "N"),
        ["/interactive/action/parameters/flow_name"],
    ),
    (
        "interactive",
        changed(INTERACTIVE["flow"], "/action/parameters/flow_id", None),
        ["/interactive/action/parameters/flow_id"],
    ),
    ("interactive", changed(INTERACTIVE["flow"], FLOW + "/mode", "test"), [f"/interactive{FLOW}/mode"]),
    (
        "interactive",
        changed(INTERACTIVE["flow"], FLOW + "/flow_action_payload", {"data": 5}),
        [f"/interactive{FLOW}/flow_action_payload/screen", f"/interactive{FLOW}/flow_action_payload/data"],
    ),
    ("interactive", {**INTERACTIVE["product"], "header": HEADER}, ["/interactive/header"]),
    ("interactive", changed(INTERACTIVE["product_list"], "/header", None), ["/interactive/header"]),
    (
        "interactive",
        changed(INTERACTIVE["address_message"], "/action/parameters/country", "India"),
        ["/interactive/action/parameters/country"],
    ),
    (
        "interactive",
        {**INTERACTIVE["carousel"], "header": HEADER, "footer": {"text": "F"}},
        ["/interactive/header", "/interactive/footer"],
    ),
    (
        "interactive",
        interactive("carousel", {"cards": [card(0), card(0)]}),
        ["/interactive/action/cards/1/card_index"],
    ),
    (
        "interactive",
        interactive("carousel", {"cards": [card(9), card(10)]}),
        ["/interactive/action/cards/1/card_index"],
    ),
    (
        "interactive",
        changed(INTERACTIVE["carousel"], "/action/cards/1/body/text", "a\nb\nc\nd"),
        ["/interactive/action/cards/1/body/text"],
    ),
    (
        "interactive",
        changed(INTERACTIVE["carousel"], "/action/cards/1/header", {"type": "video", "video": {"id": "M"}}),
        ["/interactive/action/cards/1/header/type"],
    ),
    (
        "interactive",
        changed(INTERACTIVE["carousel"], "/action/cards/1/action/name", None),
        ["/interactive/action/cards/1/action/name"],
    ),
    (
        "interactive",
        changed(INTERACTIVE["carousel"], "/action/cards/1/action", {}),
        ["/interactive/action/cards/1/action/parameters"],
    ),
    (
        "interactive",
        interactive("carousel", {"cards": [reply_card(0, replies=2), reply_card(1, replies=1)]}),
        ["/interactive/action/cards/1/action"],
    ),
    (
        "interactive",
        interactive("carousel", {"cards": [card(0), reply_card(1)]}),
        ["/interactive/action/cards/1/action"],
    ),
    (
        "interactive",
        interactive("carousel", {"cards": [product_card(0), changed(product_card(1), "/action/catalog_id", "D")]}),
        ["/interactive/action/cards/1/action/catalog_id"],
    ),
    ("template", {}, ["/template/name", "/template/language"]),
    (
        "template",
        {"name": "Hello World", "language": {"code": "german"}},
        ["/template/name", "/template/language/code"],
    ),
    ("template", {"name": "a", "language": "de"}, ["/template/language"]),
    ("template", template({"type": "footer"}), ["/template/components/0/type"]),
    ("template", template({"type": "body"}, {"type": "BODY"}), ["/template/components/1/type"]),
    (
        "template",
        template({"type": "body", "parameters": [text(), text(parameter_name="a")]}),
        ["/template/components/0/parameters/1/parameter_name"],
    ),
    (
        "template",
        template(
            {"type": "header", "parameters": [text(parameter_name="a")]},
            {"type": "body", "parameters": [text(parameter_name="a"), text(parameter_name="a")]},
        ),
        ["/template/components/1/parameters/1/parameter_name"],
    ),
    (
        "template",
        template(
            {"type": "header", "parameters": [text(parameter_name="a")]}, {"type": "body", "parameters": [text()]}
        ),
        ["/template/components/1/parameters/0/parameter_name"],
    ),
    (
        "template",
        template({"type": "body", "parameters": [{"type": "image", "image": {"id": "M"}}]}),
        ["/template/components/0/parameters/0/type"],
    ),
    (
        "template",
        template({"type": "button", "sub_type": "url", "index": "x"}, {"type": "button", "sub_type": "url"}),
        ["/template/components/0/index", "/template/components/1/index"],
    ),
    (
        "template",
        template(
            {"type": "button", "sub_type": "url", "index": 1}, {"type": "button", "sub_type": "flow", "index": "1"}
        ),
        ["/template/components/1/index"],
    ),
    (
        "template",
        template({"type": "carousel", "cards": [{"card_index": 10, "components": []}]}),
        ["/template/components/0/cards/0/card_index"],
    ),
    (
        "template",
        changed(TEMPLATE, "/components/1/parameters/1/currency/amount_1000", 1.5),
        ["/template/components/1/parameters/1/currency/amount_1000"],
    ),
    (
        "template",
        changed(TEMPLATE, "/components/6/parameters/0/limited_time_offer/expiration_time_ms", "soon"),
        ["/template/components/6/parameters/0/limited_time_offer/expiration_time_ms"],
    ),
    (
        "template",
        template({"type": "button", "sub_type": "url", "index": 10**5000}),
        ["/template/components/0/index"],
    ),
    ("template", template({"type": "button", "index": 0}), ["/template/components/0/sub_type"]),
    (
        "template",
        template({"type": "button", "sub_type": "url", "index": 0, "parameters": [text(), text()]}),
        ["/template/components/0/parameters"],
    ),
    (
        "template",
        template(
            {"type": "button", "sub_type": "url", "index": 0, "parameters": [{"type": "payload", "payload": "p"}]}
        ),
        ["/template/components/0/parameters/0/type"],
    ),
    (
        "template",
        template(
            {"type": "carousel", "cards": [{"card_index": 0, "components": [{"type": "body"}, {"type": "body"}]}]}
        ),
        ["/template/components/0/cards/0/components/1/type"],
    ),
]


@pytest.mark.parametrize(("kind", "value", "pointers"), WRONG)
def test_what_is_wrong_is_said_all_at_once(kind: str, value: Any, pointers: list[str]) -> None:
    found = check(kind, value)
    assert [where for where, _ in found] == pointers
    assert all(words for _, words in found)


@pytest.mark.parametrize("kind", ["", "poll", "Text", None, 5, ["text"], {}])
def test_an_unknown_type_is_told_of_the_known_ones(kind: object) -> None:
    [(where, words)] = check(kind, {"body": "Hi"})
    assert where == "/type"
    assert "text, image" in words


def test_a_complaint_names_the_limit_and_what_was_given() -> None:
    [complaint] = check("interactive", changed(INTERACTIVE["button"], "/action/buttons/0/reply/title", "x" * 23))
    assert complaint == ("/interactive/action/buttons/0/reply/title", "must have at most 20 characters, 23 given")


def test_only_a_reaction_cannot_be_a_reply() -> None:
    for kind, value in SENDABLE:
        found = check(kind, value, reply=True)
        assert [where for where, _ in found] == (["/context"] if kind == "reaction" else [])


def test_only_templates_need_no_open_window() -> None:
    assert [kind for kind, each in TYPES.items() if not each.windowed] == ["template"]


def test_a_flood_of_mistakes_is_cut() -> None:
    phones = [{"phone": 5}] * 100_000
    assert len(check("contacts", [{"name": NAME, "phones": phones}])) == MOST_COMPLAINTS


# --- hostile values ---------------------------------------------------------------------------------------------------


@given(st.sampled_from([*TYPES, "poll"]) | JSON, JSON)
def test_any_value_is_complaints_or_none(kind: Any, value: Any) -> None:
    assert all(isinstance(where, str) and words for where, words in check(kind, value))


@given(st.sampled_from(SENDABLE), st.data())
def test_a_message_with_any_value_put_somewhere_is_complaints_or_none(sendable: tuple[str, Any], data: Any) -> None:
    kind, value = sendable
    places = [pointer for pointer in _pointers(value, "") if pointer]
    found = check(kind, changed(value, data.draw(st.sampled_from(places)), data.draw(JSON)))
    assert all(where.startswith(f"/{kind}") and words for where, words in found)


def _pointers(value: Any, at: str) -> list[str]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(pointer for step, each in inner for pointer in _pointers(each, f"{at}/{step}"))]


# --- content ----------------------------------------------------------------------------------------------------------


def test_content_is_verbatim() -> None:
    piece = b'{ "latitude": 1.10, "longitude": 2e0 }'
    shown = b'{"type":"location","location":{ "latitude": 1.10, "longitude": 2e0 }}'
    assert content_of("location", piece) == shown
    assert content_of("location", Raw(piece)) == shown


@pytest.mark.parametrize(("kind", "value"), SENDABLE)
def test_content_holds_the_type_its_object_and_the_context(kind: str, value: Any) -> None:
    assert decode(content_of(kind, value)) == {"type": kind, kind: value}
    content = decode(content_of(kind, value, 'wamid."A"'))
    assert list(content) == ["type", kind, "context"]
    assert content["context"] == {"message_id": 'wamid."A"'}
