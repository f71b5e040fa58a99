"""The `openbsp` format: the table of contents, whose address is whose, and that odd content never fails."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace
from tests.golden.formats.cases import EVENTS, GROUP
from tests.golden.formats.contents import CONTENTS, VERBATIM
from tests.golden.formats.events import conversation_event, endpoint, incoming, outgoing
from tests.unit.sdk.test_json import json_texts, unhurried

from tellwire.formats import openbsp
from tellwire.model.deliveries import Event, SentAs
from tellwire.model.routing import order_key

ENDPOINT, SENT = endpoint("openbsp"), SentAs("msg_1")
MEDIA = [{"id": "m", "url": "https://here.example/media/m", "mime_type": "image/png", "filename": "a.png"}]


def row(event: Event, **settings: Any) -> dict[str, Any]:
    body = openbsp.encode(event, endpoint("openbsp", **settings), SENT)
    assert body is not None
    data: dict[str, Any] = json.loads(body)["data"]
    return data


def content(given: Any, **columns: Any) -> Any:
    return row(incoming(given, **columns))["content"]


def part(type_: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"version": "1", "type": type_, "kind": kind, **more}


def file(kind: str, given: dict[str, Any], media: list[dict[str, str]] | None = None) -> Any:
    columns = {} if media is None else {"media": media}
    return content({"type": kind, kind: given}, **columns)


@pytest.mark.parametrize("kind", sorted(set(CONTENTS) - {"text", "text_reply", "text_from_ad"}))
def test_every_other_type_is_a_file_a_reaction_or_data_of_metas(kind: str) -> None:
    given = CONTENTS[kind]
    made, named = content(given), given["type"]
    assert made["version"] == "1"
    if named in ("image", "video", "audio", "document", "sticker"):
        assert (made["type"], made["kind"]) == ("file", named)
        assert made["file"]["mime_type"] == given[named]["mime_type"]
        assert made.get("text") == given[named].get("caption")
    elif named == "reaction":
        assert made == part(
            "text", "reaction", text=given[named].get("emoji", ""), re_message_id="wamid.EXAMPLE" + 16 * "0"
        )
    else:
        others = {key: value for key, value in given.items() if key not in ("type", "context")}
        assert (made["type"], made["kind"], made["data"]) == ("data", named, given.get(named, others))


TABLE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"type": "text", "text": {"body": "Hi"}}, part("text", "text", text="Hi")),
    ({"type": "text"}, part("text", "text", text="")),
    ({"type": "text", "text": {"body": 5}}, part("text", "text", text="")),
    (
        {"type": "text", "text": {"body": "Hi"}, "context": {"id": "wamid.1", "forwarded": True}},
        part("text", "text", text="Hi", re_message_id="wamid.1", forwarded=True),
    ),
    (
        {"type": "text", "text": {"body": "Hi"}, "context": {"frequently_forwarded": True, "forwarded": False}},
        part("text", "text", text="Hi", forwarded=True),
    ),
    (
        {"type": "text", "text": {"body": "Hi"}, "context": {"message_id": "wamid.1"}},
        part("text", "text", text="Hi", re_message_id="wamid.1"),
    ),
    (
        {
            "type": "text",
            "text": {"body": "?"},
            "context": {"referred_product": {"catalog_id": "1"}},
            "referral": {"a": 1},
        },
        part("text", "text", text="?", referred_product={"catalog_id": "1"}, referral={"a": 1}),
    ),
    ({"type": "template", "template": {"name": "n"}}, part("data", "template", data={"name": "n"})),
    ({"type": "location", "location": 5}, part("data", "location", data=5)),
    ({"type": "future", "a": 1, "context": {}, "group_id": "g"}, part("data", "future", data={"a": 1})),
    ({"type": "external", "external": {"folded_into": "m"}}, {}),
    ({}, {}),
]


@pytest.mark.parametrize(("given", "made"), TABLE)
def test_contents_by_the_table(given: dict[str, Any], made: dict[str, Any]) -> None:
    assert content(given) == made


def test_a_file_has_the_address_that_stays() -> None:
    given = {"mime_type": "image/jpeg", "id": "1", "caption": "Lunch"}
    shown = {"mime_type": "image/png", "uri": "https://here.example/media/m", "name": "a.png"}
    assert file("image", given, MEDIA) == part("file", "image", file=shown, text="Lunch")
    assert file("voice", given, MEDIA)["kind"] == "audio"


@pytest.mark.parametrize(
    ("given", "uri"),
    [({"link": "https://x.example/a"}, "https://x.example/a"), ({"id": "7"}, "7"), ({}, ""), (None, "")],
)
def test_a_file_that_has_none_is_where_it_was_said_to_be(given: Any, uri: str) -> None:
    assert file("image", given)["file"] == {"mime_type": "application/octet-stream", "uri": uri}


def test_values_of_metas_are_passed_on_as_they_are_written() -> None:
    body = openbsp.encode(incoming(VERBATIM), ENDPOINT, SENT)
    assert body is not None
    assert VERBATIM.split(b'"location":', 1)[1][:-1] in body


def test_a_row_has_every_column_and_null_for_what_is_not_there() -> None:
    sent = row(EVENTS["outgoing"])
    assert (sent["external_id"], sent["group_address"], sent["thread_id"]) == (None, None, None)
    assert sent["timestamp"] == sent["created_at"]
    assert list(sent) == openbsp.SCHEMAS["openbsp-messages"]["properties"]["data"]["required"]
    closed = row(EVENTS["conversation_closed"])
    assert list(closed) == openbsp.SCHEMAS["openbsp-conversations"]["properties"]["data"]["required"]
    assert row(EVENTS["status_sent"], updates="changed") == row(EVENTS["status_sent"])


def grouped(event: Event) -> Event:
    return replace(event, order_key=order_key(event.account_id, GROUP))


def test_the_address_of_a_group_is_no_contacts() -> None:
    sent = row(grouped(outgoing({}, to=GROUP)))
    assert (sent["contact_address"], sent["group_address"]) == (None, GROUP)
    opened = row(grouped(conversation_event("insert", contact_address=GROUP)))
    assert (opened["contact_address"], opened["group_address"], opened["status"]) == (None, GROUP, "active")
    written = row(grouped(incoming(CONTENTS["text"] | {"group_id": GROUP}, from_="15550000009")))
    assert (written["contact_address"], written["group_address"]) == ("15550000009", GROUP)


ODD = [
    b'{"type":"text","text":{"body":"\\ud800"}}',
    b'{"type":"x","x":' + b"[" * 900 + b"]" * 900 + b"}",
    b'{"type":5}',
    b"[]",
    b"1",
]


@pytest.mark.parametrize("given", ODD)
def test_odd_content_costs_nothing_but_itself(given: bytes) -> None:
    data = row(incoming(given))
    assert data["direction"] == "incoming"
    assert data["content"].get("text", "\ud800") == "\ud800"


def test_content_with_very_many_values_is_sent() -> None:
    many = b'{"type":"x","x":[' + b",".join([b'{"a":1}'] * 120_000) + b"]}"
    assert len(content(many)["data"]) == 120_000


texts = st.sampled_from(["text", "image", "reaction", "context", "referral", "group_id", "x", "contacts"])


@unhurried
@given(st.dictionaries(texts, json_texts), texts)
def test_any_content_has_a_row(members: dict[str, str], kind: str) -> None:
    given = {"type": json.dumps(kind), **members}
    text = "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in given.items()) + "}"
    event = incoming({})
    whole = bytes(event.snapshot.row).replace(b'"content":{}', b'"content":' + text.encode("utf-8", "surrogatepass"))
    body = openbsp.encode(replace(event, snapshot=replace(event.snapshot, row=Raw(whole))), ENDPOINT, SENT)
    assert body is not None
    assert json.loads(body)["data"]["content"]["version"] == "1"
