"""What the simulated Meta refuses of a message at once, type by type and limit by limit."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellwire.simulator.checks import CHECKS, INTERACTIVE_TYPES, read
from tellwire.simulator.refusals import Refusal

TO = {"messaging_product": "whatsapp", "to": "+5215500000001"}
BUTTON = {"type": "reply", "reply": {"id": "y", "title": "Yes"}}


def message(kind: str, content: Any, **more: Any) -> dict[str, Any]:
    return {**TO, "type": kind, kind: content, **more}


def buttons(*given: Any, **more: Any) -> dict[str, Any]:
    return {"type": "button", "body": {"text": "?"}, "action": {"buttons": list(given)}, **more}


def rows(*counts: int, **row: Any) -> dict[str, Any]:
    sections = [
        {"rows": [{"id": f"{n}.{i}", "title": "x", **row} for i in range(count)]} for n, count in enumerate(counts)
    ]
    return {"type": "list", "body": {"text": "?"}, "action": {"button": "Choose", "sections": sections}}


GOOD = {
    "text": message("text", {"body": "x" * 4096, "preview_url": True}),
    "text by default": {**TO, "text": {"body": "x"}},
    "empty context is none": message("text", {"body": "x"}, context=None),
    "reply": message("text", {"body": "x"}, context={"message_id": "wamid.X"}),
    "image by id": message("image", {"id": "1", "caption": "x" * 1024}),
    "document by link": message("document", {"link": "https://example.com/x.pdf", "filename": "x.pdf"}),
    "voice": message("audio", {"id": "1", "voice": True}),
    "sticker": message("sticker", {"id": "1"}),
    "location": message("location", {"latitude": "19.4", "longitude": -99.1}),
    "contacts": message("contacts", [{"name": {"formatted_name": "Inés"}}] * 257),
    "reaction": message("reaction", {"message_id": "wamid.X", "emoji": "👍"}),
    "reaction taken back": message("reaction", {"message_id": "wamid.X", "emoji": ""}),
    "three buttons": message(
        "interactive", buttons(*({"type": "reply", "reply": {"id": n, "title": n}} for n in "abc"))
    ),
    "list": message("interactive", rows(5, 5, description="x" * 72)),
    "template": message("template", {"name": "x", "language": {"code": "es"}, "components": []}),
    "to a user id": message("text", {"body": "x"}, to="", recipient="MX.ENT.123abc"),
    "to a group": message("text", {"body": "x"}, to="120363000000000001@g.us", recipient_type="group"),
    "our data": message("text", {"body": "x"}, biz_opaque_callback_data="x" * 512),
}

BAD: dict[str, tuple[Any, int]] = {
    "no product": ({"to": "+5215500000001", "text": {"body": "x"}}, 100),
    "a list": ([], 100),
    "unknown type": (message("poll", {}), 100),
    "type is a number": (message("text", {"body": "x"}) | {"type": 7}, 131009),
    "no content": ({**TO, "type": "text"}, 131008),
    "text too long": (message("text", {"body": "x" * 4097}), 131009),
    "text empty": (message("text", {"body": ""}), 131008),
    "text missing": (message("text", {}), 131008),
    "text no object": (message("text", "x"), 100),
    "media without id and link": (message("video", {}), 131008),
    "caption too long": (message("image", {"id": "1", "caption": "x" * 1025}), 131009),
    "caption of audio": (message("audio", {"id": "1", "caption": "x"}), 100),
    "no latitude": (message("location", {"longitude": 1}), 131008),
    "latitude of 91": (message("location", {"latitude": 91, "longitude": 1}), 131009),
    "latitude in words": (message("location", {"latitude": "north", "longitude": 1}), 131009),
    "258 contacts": (message("contacts", [{"name": {"formatted_name": "x"}}] * 258), 131009),
    "contact without name": (message("contacts", [{}]), 100),
    "no contacts": (message("contacts", []), 100),
    "reaction to nothing": (message("reaction", {"emoji": "x"}), 131008),
    "four buttons": (message("interactive", buttons(BUTTON, BUTTON, BUTTON, BUTTON)), 131009),
    "no buttons": (message("interactive", buttons()), 131008),
    "the same button twice": (message("interactive", buttons(BUTTON, BUTTON)), 131009),
    "button title too long": (message("interactive", buttons({"reply": {"id": "y", "title": "x" * 21}})), 131009),
    "footer too long": (message("interactive", buttons(BUTTON, footer={"text": "x" * 61})), 131009),
    "button body too long": (message("interactive", buttons(BUTTON) | {"body": {"text": "x" * 1025}}), 131009),
    "11 rows": (message("interactive", rows(6, 5)), 131009),
    "11 sections": (message("interactive", rows(*[1] * 11)), 131009),
    "row title too long": (message("interactive", rows(1, title="x" * 25)), 131009),
    "row description too long": (message("interactive", rows(1, description="x" * 73)), 131009),
    "unknown interactive": (message("interactive", {"type": "poll"}), 131051),
    "template without language": (message("template", {"name": "x"}), 100),
    "components no array": (message("template", {"name": "x", "language": {"code": "es"}, "components": {}}), 100),
    "no recipient": ({"messaging_product": "whatsapp", "text": {"body": "x"}}, 131008),
    "no number": (message("text", {"body": "x"}, to="Inés"), 131009),
    "no user id": (message("text", {"body": "x"}, to="", recipient="52155"), 131009),
    "no group id": (message("text", {"body": "x"}, to="a b", recipient_type="group"), 131009),
    "unknown recipient type": (message("text", {"body": "x"}, recipient_type="crowd"), 100),
    "context without id": (message("text", {"body": "x"}, context={}), 131009),
    "our data too long": (message("text", {"body": "x"}, biz_opaque_callback_data="x" * 513), 131009),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_meta_takes_is_taken(name: str) -> None:
    assert read(GOOD[name]).recipient


@pytest.mark.parametrize("name", BAD)
def test_what_meta_refuses_is_refused_with_its_code(name: str) -> None:
    body, code = BAD[name]
    with pytest.raises(Refusal) as caught:
        read(body)
    assert caught.value.code == code
    assert caught.value.details


def test_every_type_is_in_the_tables() -> None:
    tried = {body.get("type", "text") for body in GOOD.values()}
    assert tried >= CHECKS.keys() - {"video"}
    assert {"button", "list"} < {*INTERACTIVE_TYPES}


@pytest.mark.parametrize(
    ("to", "country_code", "phone"),
    [
        ("+52 (1) 55 0000-0001", "", "5215500000001"),
        ("5215500000001", "", "5215500000001"),
        ("5500000001", "521", "5215500000001"),
        ("+5215500000001", "521", "5215500000001"),
    ],
)
def test_numbers_without_a_plus_get_the_business_country_code_if_so_turned(
    to: str, country_code: str, phone: str
) -> None:
    outgoing = read(message("text", {"body": "x"}, to=to), country_code=country_code)
    assert (outgoing.given, outgoing.phone) == (to, phone)


def test_to_wins_over_recipient() -> None:
    both = read(message("text", {"body": "x"}, recipient="MX.1"))
    assert (both.phone, both.user_id) == ("5215500000001", "")


_KEYS = ["id", "body", "text", "type", "action", "buttons", "reply", "sections", "rows", "name", "language"]
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.sampled_from(sorted(CHECKS)), _VALUES, st.dictionaries(st.sampled_from(["to", "recipient", "context"]), _VALUES)
)
def test_anything_is_a_message_or_refused(kind: str, content: Any, more: dict[str, Any]) -> None:
    try:
        code = 0 if read(message(kind, content, **more)).type == kind else -1
    except Refusal as refused:
        code = refused.code
    assert code in (0, 100, 131008, 131009, 131051)
