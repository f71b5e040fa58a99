"""What is POSTed to Meta: every member where it belongs, media ids replaced, everything else verbatim."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.json import decode, encode
from tests.unit.meta.outgoing.cases import INTERACTIVE, JSON, SENDABLE, TEMPLATE, card, changed, interactive

from tellwire.meta.outgoing.body import body_of, read_body
from tellwire.meta.outgoing.media import MediaReference, media_references, with_media_ids
from tellwire.meta.outgoing.recipient import Recipient
from tellwire.meta.outgoing.types import TYPES, check, content_of

PHONE = Recipient("phone", "+491701234567")
USER = Recipient("user_id", "US.13491208655302741918")
GROUP = Recipient("group", "G1")
HEAD = {"messaging_product": "whatsapp", "recipient_type": "individual"}


@pytest.mark.parametrize(("kind", "value"), SENDABLE)
def test_a_body_holds_what_the_content_holds(kind: str, value: Any) -> None:
    body = body_of(content_of(kind, value), PHONE)
    assert body is not None
    assert decode(body) == {**HEAD, "to": "+491701234567", "type": kind, kind: value}
    assert check(kind, decode(body)[kind]) == []


def test_the_members_in_their_order() -> None:
    body = body_of(content_of("text", b'{"body": "\\u00e9 1.0"}', "wamid.A"), PHONE, callback="m1")
    assert body == (
        b'{"messaging_product":"whatsapp","recipient_type":"individual","to":"+491701234567",'
        b'"context":{"message_id":"wamid.A"},"type":"text","text":{"body": "\\u00e9 1.0"},'
        b'"biz_opaque_callback_data":"m1"}'
    )


@pytest.mark.parametrize(
    ("to", "members"),
    [
        (PHONE, {**HEAD, "to": "+491701234567"}),
        (USER, {**HEAD, "recipient": "US.13491208655302741918"}),
        (GROUP, {**HEAD, "recipient_type": "group", "to": "G1"}),
    ],
)
def test_who_it_goes_to(to: Recipient, members: dict[str, Any]) -> None:
    body = body_of(content_of("text", {"body": "Hi"}), to)
    assert body is not None
    assert decode(body) == {**members, "type": "text", "text": {"body": "Hi"}}


@pytest.mark.parametrize(
    "content", [b'{"type":"text"}', b'{"type":"external"}', b"{}", b"", b"[", b'{"type":["text"]}']
)
def test_what_was_erased_cannot_be_sent(content: bytes) -> None:
    assert body_of(content, PHONE) is None


@given(JSON.map(encode), st.sampled_from(["text", "image", "template", "interactive"]))
def test_any_content_is_a_body_or_none(value: bytes, kind: str) -> None:
    for content in (value, content_of(kind, value)):
        body = body_of(content, PHONE, media_ids={"M1": "1"})
        assert body is None or decode(body)["type"] in TYPES


# --- media ------------------------------------------------------------------------------------------------------------

IMAGE = {"type": "image", "image": {"id": "M1"}}

USES: list[tuple[str, Any, list[str]]] = [
    *((kind, {"id": "M1"}, [f"/{kind}/id"]) for kind in ("image", "video", "audio", "document", "sticker")),
    ("interactive", {**INTERACTIVE["button"], "header": IMAGE}, ["/interactive/header/image/id"]),
    (
        "interactive",
        interactive("carousel", {"cards": [card(0), changed(card(1), "/header", IMAGE)]}),
        ["/interactive/action/cards/1/header/image/id"],
    ),
    (
        "template",
        changed(TEMPLATE, "/components/7/cards/0/components/0/parameters/0/video/id", "M1"),
        [
            "/template/components/0/parameters/0/image/id",
            "/template/components/7/cards/0/components/0/parameters/0/video/id",
        ],
    ),
]


@pytest.mark.parametrize(("kind", "value", "pointers"), USES)
def test_media_ids_are_found_and_replaced_wherever_media_stand(kind: str, value: Any, pointers: list[str]) -> None:
    content = content_of(kind, value)
    assert [place.pointer for place in media_references(content)] == pointers
    assert {place.id for place in media_references(content)} == {"M1"}
    new = with_media_ids(content, {"M1": "900", "M9": "1"})
    expected = {"type": kind, kind: value}
    for pointer in pointers:
        expected = changed(expected, pointer, "900")
    assert decode(new) == expected
    body = body_of(content, PHONE, media_ids={"M1": "900"})
    assert body is not None
    assert decode(body)[kind] == expected[kind]


def test_a_place_says_what_kind_of_media_it_is() -> None:
    assert media_references(content_of("document", {"id": "M1"})) == (MediaReference("/document/id", "document", "M1"),)


def test_links_text_and_other_ids_stay_byte_by_byte() -> None:
    content = b'{"type":"image","image":{ "id" : "M2","caption":"M1 1.0"},"context":{"message_id":"M1"}}'
    assert with_media_ids(content, {"M1": "900"}) == content
    assert with_media_ids(content, {"M2": 'a"b'}) == content.replace(b'"M2"', b'"a\\"b"')
    assert media_references(content_of("image", {"link": "https://example.org"})) == ()


# --- marking read -----------------------------------------------------------------------------------------------------


def test_marking_read() -> None:
    read = {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.A"}
    assert decode(read_body("wamid.A")) == read
    assert decode(read_body("wamid.A", typing=True)) == {**read, "typing_indicator": {"type": "text"}}
