"""Single items: who they are about, what they say, and what cannot be one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tellwire.meta import parse
from tellwire.meta.webhooks.items import Item, MessageItem, NotUnderstood, StatusUpdate, WebhookContact

BUSINESS, ANA, BEN = "5215500000001", "5215500000002", "5511900000003"
ANA_ID, BEN_ID = "MX.90000000000000000002", "BR.90000000000000000003"
TEXT = {"from": ANA, "id": "wamid.A", "timestamp": "1790000000", "type": "text", "text": {"body": "Hola"}}
SENT = {"id": "wamid.A", "status": "sent", "timestamp": "1790000000", "recipient_id": ANA}


def body(value: dict[str, Any], field: str = "messages") -> bytes:
    metadata = {"display_phone_number": BUSINESS, "phone_number_id": "900000000000001"}
    value = {"messaging_product": "whatsapp", "metadata": metadata, **value}
    changes = [{"value": value, "field": field}]
    return json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "8", "changes": changes}]}).encode()


def only(value: dict[str, Any], field: str = "messages") -> Item:
    (item,) = parse(body(value, field))
    return item


def message(changes: dict[str, Any], *contacts: dict[str, Any]) -> Item:
    """Return the item of a text of Ana's with some keys changed, or left out where they are None."""
    changed = {key: value for key, value in {**TEXT, **changes}.items() if value is not None}
    return only({"contacts": list(contacts), "messages": [changed]})


def status(changes: dict[str, Any], *contacts: dict[str, Any]) -> Item:
    changed = {key: value for key, value in {**SENT, **changes}.items() if value is not None}
    return only({"contacts": list(contacts), "statuses": [changed]})


def who(item: Item) -> WebhookContact | None:
    assert isinstance(item, MessageItem | StatusUpdate), item
    return item.who


def refused(item: Item) -> str:
    assert isinstance(item, NotUnderstood), item
    return item.reason


def card(wa_id: str = "", user_id: str = "", name: str = "", username: str = "") -> dict[str, Any]:
    profile = {key: value for key, value in (("name", name), ("username", username)) if value}
    ids = {key: value for key, value in (("wa_id", wa_id), ("user_id", user_id)) if value}
    return {"profile": profile, **ids}


# --- who --------------------------------------------------------------------------------------------------------------

FROM_ID = {"from": None, "from_user_id": ANA_ID}
NOBODY: dict[str, Any] = {"from": None}


@pytest.mark.parametrize(
    ("changes", "contacts", "expected"),
    [
        ({}, [], WebhookContact(address=ANA, aliases=(ANA,))),
        ({"from_user_id": ANA_ID}, [], WebhookContact(address=ANA, aliases=(ANA, ANA_ID))),
        (FROM_ID, [], WebhookContact(address=ANA_ID, aliases=(ANA_ID,))),
        ({"from": "+52 155 0000 0002"}, [card(ANA)], WebhookContact(address="+52 155 0000 0002", aliases=(ANA,))),
        ({"from": ""}, [card(ANA, ANA_ID)], WebhookContact(address=ANA, aliases=(ANA, ANA_ID))),
        (NOBODY, [card(ANA, ANA_ID)], WebhookContact(address=ANA, aliases=(ANA, ANA_ID))),
        (NOBODY, [card("", ANA_ID)], WebhookContact(address=ANA_ID, aliases=(ANA_ID,))),
        ({}, [card(ANA, ANA_ID)], WebhookContact(address=ANA, aliases=(ANA, ANA_ID))),
        ({}, [card("", ANA_ID)], WebhookContact(address=ANA, aliases=(ANA, ANA_ID))),
        (FROM_ID, [card(ANA, ANA_ID)], WebhookContact(address=ANA_ID, aliases=(ANA_ID, ANA))),
        # what a sole contact contradicts is not tied to it
        ({}, [card(BEN, BEN_ID)], WebhookContact(address=ANA, aliases=(ANA,))),
        ({"from_user_id": ANA_ID}, [card("", BEN_ID)], WebhookContact(address=ANA, aliases=(ANA, ANA_ID))),
        (FROM_ID, [card(BEN)], WebhookContact(address=ANA_ID, aliases=(ANA_ID,))),
        (FROM_ID, [card(BEN, BEN_ID)], WebhookContact(address=ANA_ID, aliases=(ANA_ID,))),
        # a spelling of the same number does not
        ({"from": "5561990000003"}, [card("556190000003", BEN_ID)],
         WebhookContact(address="5561990000003", aliases=("5561990000003", "556190000003", BEN_ID))),
        # among several only a match counts
        ({}, [card(BEN, BEN_ID), card(ANA, ANA_ID)], WebhookContact(address=ANA, aliases=(ANA, ANA_ID))),
        ({}, [card(BEN, BEN_ID), card("", ANA_ID)], WebhookContact(address=ANA, aliases=(ANA,))),
        (FROM_ID, [card(BEN), card(ANA, ANA_ID)], WebhookContact(address=ANA_ID, aliases=(ANA_ID, ANA))),
        ({"from_user_id": ANA_ID}, [card(ANA), card("5215500000009", ANA_ID)],
         WebhookContact(address=ANA, aliases=(ANA, ANA_ID, "5215500000009"))),
    ],
)  # fmt: skip
def test_who(changes: dict[str, Any], contacts: list[dict[str, Any]], expected: WebhookContact) -> None:
    assert who(message(changes, *contacts)) == expected


@pytest.mark.parametrize(
    ("contacts", "name"),
    [
        ([card(ANA, name="Ana")], "Ana"),
        ([card(BEN, name="Ben"), card(ANA, name="Ana")], "Ana"),
        ([card("", ANA_ID, name="Ana")], "Ana"),
        ([card(BEN, name="Ben")], "Ben"),
        ([card(BEN, name="Ben"), card("5215500000009", name="Nine")], None),
        ([card(ANA)], None),
        ([], None),
        ([card(ANA, name="A\0na")], "A\ufffdna"),
        ([card(ANA, name="A" * 600)], "A" * 512),
        ([{"wa_id": ANA, "profile": {"name": 7}}], None),
        ([{"wa_id": ANA, "profile": "Ana"}], None),
        ([{"wa_id": ANA}], None),
        ([{"wa_id": ["?"], "profile": {"name": "Ana"}}], "Ana"),
        ([None, 7, "Ana", [card(ANA, name="Ana")]], None),
    ],
)
def test_names_come_from_the_match_or_the_only_contact(contacts: list[Any], name: str | None) -> None:
    found = who(message({}, *contacts))
    assert found is not None
    assert found.name == name
    assert found.aliases[0] == ANA


def test_a_username_is_as_meta_gives_it() -> None:
    found = who(message({}, card(ANA, name="Ana", username="@ana")))
    assert found is not None
    assert found.username == "@ana"


@pytest.mark.parametrize("contacts", [None, {}, "x", 7, [[]]])
def test_contacts_that_are_none_cost_no_message(contacts: Any) -> None:
    item = only({"contacts": contacts, "messages": [TEXT]})
    assert who(item) == WebhookContact(address=ANA, aliases=(ANA,))


def test_nobody_among_several() -> None:
    assert "no sender" in refused(message(NOBODY, card(ANA), card(BEN)))


@pytest.mark.parametrize(
    ("system", "changes", "expected"),
    [
        ({"type": "user_changed_number", "wa_id": BEN}, {}, WebhookContact(address=ANA, aliases=(ANA,), adds=(BEN,))),
        (
            {"type": "user_changed_number", "new_wa_id": BEN},
            {},
            WebhookContact(address=ANA, aliases=(ANA,), adds=(BEN,)),
        ),
        ({"type": "user_changed_number", "wa_id": "+52 155 0000 0009", "new_wa_id": "5215500000009"}, {},
         WebhookContact(address=ANA, aliases=(ANA,), adds=("5215500000009",))),
        ({"type": "user_changed_user_id", "user_id": BEN_ID}, FROM_ID,
         WebhookContact(address=ANA_ID, aliases=(ANA_ID,), adds=(BEN_ID,))),
        ({"type": "user_changed_number", "wa_id": ANA}, {}, WebhookContact(address=ANA, aliases=(ANA,))),
        ({"type": "user_changed_number", "wa_id": BEN, "user_id": BEN_ID}, NOBODY,
         WebhookContact(address=BEN, aliases=(BEN,), adds=(BEN_ID,))),
        ({"type": "customer_identity_changed", "wa_id": BEN}, {}, WebhookContact(address=ANA, aliases=(ANA,))),
        ({"type": "customer_identity_changed", "wa_id": BEN}, NOBODY, WebhookContact(address=BEN, aliases=(BEN,))),
        ({"wa_id": ["?"], "type": "user_changed_number"}, {}, WebhookContact(address=ANA, aliases=(ANA,))),
        ({"wa_id": BEN, "type": []}, {}, WebhookContact(address=ANA, aliases=(ANA,))),
        ("moved", {}, WebhookContact(address=ANA, aliases=(ANA,))),
    ],
)  # fmt: skip
def test_who_a_system_message_is_about(system: Any, changes: dict[str, Any], expected: WebhookContact) -> None:
    assert who(message({"type": "system", "system": system, **changes})) == expected


def test_an_address_that_a_contact_knows_already_is_still_new() -> None:
    system = {"type": "user_changed_user_id", "user_id": BEN_ID}
    item = message({"type": "system", "system": system}, card(ANA, BEN_ID, "Ana"))
    assert who(item) == WebhookContact(address=ANA, aliases=(ANA,), adds=(BEN_ID,), name="Ana")


GROUP = "120363000000000001@g.us"


@pytest.mark.parametrize(
    ("changes", "contacts", "group", "participant", "expected"),
    [
        ({}, [card(ANA, ANA_ID, "Ana")], "", "", WebhookContact(address=ANA, aliases=(ANA, ANA_ID), name="Ana")),
        (
            {"recipient_id": None, "recipient_user_id": ANA_ID},
            [],
            "",
            "",
            WebhookContact(address=ANA_ID, aliases=(ANA_ID,)),
        ),
        ({"recipient_id": None}, [card("", ANA_ID)], "", "", WebhookContact(address=ANA_ID, aliases=(ANA_ID,))),
        ({"recipient_id": None}, [], "", "", None),
        ({"recipient_id": None, "recipient_participant_id": ANA}, [], "", "", None),
        ({"recipient_id": "G1", "recipient_type": "group", "recipient_participant_id": ANA}, [], "G1", ANA,
         WebhookContact(address=ANA, aliases=(ANA,))),
        ({"recipient_id": GROUP, "recipient_participant_user_id": ANA_ID}, [], GROUP, ANA_ID,
         WebhookContact(address=ANA_ID, aliases=(ANA_ID,))),
        ({"recipient_id": GROUP}, [], GROUP, "", None),
        ({"recipient_id": None, "recipient_type": "group", "recipient_participant_id": ANA}, [], "", ANA, None),
    ],
)  # fmt: skip
def test_who_a_status_is_about(
    changes: dict[str, Any],
    contacts: list[dict[str, Any]],
    group: str,
    participant: str,
    expected: WebhookContact | None,
) -> None:
    item = status(changes, *contacts)
    assert isinstance(item, StatusUpdate)
    assert (item.group_id, item.participant, item.who) == (group, participant, expected)


def test_an_echo_is_never_named_after_the_business() -> None:
    echo = {**TEXT, "from": BUSINESS, "to": ANA}
    item = only({"contacts": [card(BUSINESS, name="Panadería")], "message_echoes": [echo]}, "smb_message_echoes")
    assert who(item) == WebhookContact(address=ANA, aliases=(ANA,))


def test_messages_among_echoes_are_what_their_sender_makes_them() -> None:
    value = {"messages": [{**TEXT, "from": BUSINESS, "to": ANA}, TEXT]}
    items = parse(body(value, "smb_message_echoes"))
    assert [(item.origin, item.direction) for item in items if isinstance(item, MessageItem)] == [
        ("echo", "outgoing"),
        ("customer", "incoming"),
    ]


def test_an_echo_to_a_group_has_no_participant() -> None:
    item = only({"message_echoes": [{**TEXT, "from": BUSINESS, "to": GROUP}]}, "smb_message_echoes")
    assert isinstance(item, MessageItem)
    assert (item.group_id, item.who) == (GROUP, None)


@pytest.mark.parametrize(
    ("changes", "thread", "direction", "contact"),
    [
        ({}, ANA, "incoming", ANA),
        ({"from": BUSINESS}, ANA, "outgoing", ANA),
        ({"from": f"+{BUSINESS}"}, ANA, "outgoing", ANA),
        ({"from": "5215500000055"}, ANA, "outgoing", ANA),
        ({"from": None, "to": ANA}, ANA, "outgoing", ANA),
        ({"from": None, "from_user_id": ANA_ID}, ANA, "incoming", ANA),
        ({"from": None}, ANA, "incoming", ANA),
        ({}, "", "incoming", ANA),
        ({"from": BUSINESS, "to": ANA}, "", "outgoing", ANA),
        ({"from": BUSINESS, "to_user_id": ANA_ID}, "", "outgoing", ANA_ID),
        ({"from": BEN, "to": BUSINESS}, "", "incoming", BEN),
        ({"from": BUSINESS}, "", "outgoing", None),
    ],
)
def test_direction_and_contact_of_the_past(
    changes: dict[str, Any], thread: str, direction: str, contact: str | None
) -> None:
    past = {key: value for key, value in {**TEXT, **changes}.items() if value is not None}
    item = only({"history": [{"threads": [{"id": thread, "messages": [past]}]}]}, "history")
    assert isinstance(item, MessageItem)
    assert (item.origin, item.direction, item.who and item.who.address) == ("history", direction, contact)


# --- what it says -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (
            rb'{"from":"1","id":"wamid.A","timestamp":"1","type":"text","text":{"body":"a\/\u00e9 \ud83d\ude00"}}',
            rb'{"type":"text","text":{"body":"a\/\u00e9 \ud83d\ude00"}}',
        ),
        (
            b'{"context": {"id" :1.50},"order":[1.0, 2e0],"from":"1","z":null,"id":"A","type":"order","k":[]}',
            b'{"type":"order","order":[1.0, 2e0],"context":{"id" :1.50},"z":null,"k":[]}',
        ),
        (b'{"from":"1","id":"wamid.A","type":"text"}', b'{"type":"text"}'),
        (b'{"from":"1","id":"wamid.A","type":"text","text":"bare"}', b'{"type":"text","text":"bare"}'),
        (b'{"from":"1","id":"wamid.A","type":"id","to":"2"}', b'{"type":"id","to":"2"}'),
        (b'{"from":"1","id":"wamid.A","type":"type"}', b'{"type":"type"}'),
        (
            b'{"from":"1","id":"wamid.A","type":"caf\\u00e9 \\"1\\"","k\\u0022\\n":1}',
            '{"type":"café \\"1\\"","k\\"\\n":1}'.encode(),
        ),
        (b'{"from":"1","id":"wamid.A","type":["text"],"text":{}}', b'{"type":"text","text":{}}'),
        (b'{"from":"1","id":"wamid.A","type":"a\\u0000b","image":{}}', b'{"type":"image","image":{}}'),
        (b'{"from":"1","id":"wamid.A","type":null,"text":1,"image":{}}', b'{"type":"image","image":{},"text":1}'),
        (b'{"from":"1","id":"wamid.A","text":{},"image":{}}', b'{"type":"unknown","text":{},"image":{}}'),
        (b'{"from":"1","id":"wamid.A","hologram":{}}', b'{"type":"unknown","hologram":{}}'),
        (b'{"from":"1","id":"wamid.A","contacts":[]}', b'{"type":"contacts","contacts":[]}'),
        (b'{"from":"1","id":"wamid.A","type":"text","text":"a\\u0000b"}', b'{"type":"text","text":"a\\u0000b"}'),
    ],
)  # fmt: skip
def test_content_is_verbatim(text: bytes, content: bytes) -> None:
    item = parse(body({"messages": ["@@"]}).replace(b'"@@"', text))[0]
    assert isinstance(item, MessageItem), item
    assert item.content == content


def test_edited_content_is_verbatim() -> None:
    new = rb'{"context":{"id":"c"},"type":"text","text":{"body":"\u00e9 1.0"}}'
    edit = rb'{"original_message_id":"wamid.O","message":' + new + b"}"
    text = rb'{"from":"1","id":"wamid.A","type":"edit","edit":' + edit + b"}"
    item = parse(body({"messages": ["@@"]}).replace(b'"@@"', text))[0]
    assert isinstance(item, MessageItem)
    assert item.content == b'{"type":"edit","edit":' + edit + b"}"
    assert item.edits == "wamid.O"
    assert item.edited_content == rb'{"type":"text","text":{"body":"\u00e9 1.0"},"context":{"id":"c"}}'


@pytest.mark.parametrize(
    "edit",
    [
        None,
        "text",
        {},
        {"original_message_id": "wamid.O"},
        {"original_message_id": "wamid.O", "message": []},
        {"original_message_id": "", "message": {"type": "text"}},
        {"original_message_id": "wamid.\0", "message": {"type": "text"}},
        {"original_message_id": ["wamid.O"], "message": {"type": "text"}},
    ],
)
def test_a_malformed_edit_is_a_message(edit: Any) -> None:
    item = message({"type": "edit", "edit": edit})
    assert isinstance(item, MessageItem)
    assert (item.type, item.edits, item.edited_content) == ("edit", "", b"")


@pytest.mark.parametrize("revoke", [None, "text", {}, {"original_message_id": "w" * 513}])
def test_a_malformed_revoke_is_a_message(revoke: Any) -> None:
    item = message({"type": "revoke", "revoke": revoke})
    assert isinstance(item, MessageItem)
    assert (item.type, item.revokes) == ("revoke", "")


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("1790000000", 1790000000),
        (1790000000, 1790000000),
        (1, 1),
        ("253402300799", 253402300799),
        ("0001790000000", 1790000000),
        (0, None),
        ("0", None),
        (253402300800, None),
        ("9" * 400, None),
        (-1, None),
        ("-1", None),
        ("+1", None),
        (1790000000.0, None),
        ("1790000000.0", None),
        ("1_790", None),
        (" 1790000000", None),
        ("١٧٩", None),
        (True, None),
        ("", None),
        ([1790000000], None),
        (None, None),
    ],
)
def test_times(given: Any, seconds: int | None) -> None:
    for item in (message({"timestamp": given}), status({"timestamp": given})):
        assert isinstance(item, MessageItem | StatusUpdate)
        assert item.timestamp == seconds


@pytest.mark.parametrize(
    ("context", "reached"),
    [
        ({"status": "READ"}, "read"),
        ({"status": "error"}, "failed"),
        ({"status": "PENDING"}, ""),
        ({"status": "ERRORS"}, ""),
        ({"status": "NEW_ONE"}, "new_one"),
        ({"status": 7}, ""),
        ({}, ""),
        ("READ", ""),
        (None, ""),
    ],
)
def test_how_far_a_past_message_got(context: Any, reached: str) -> None:
    past = {**TEXT, "history_context": context}
    item = only({"history": [{"threads": [{"id": ANA, "messages": [past]}]}]}, "history")
    assert isinstance(item, MessageItem)
    assert item.status == reached


@pytest.mark.parametrize(
    ("changes", "pricing", "errors", "callback"),
    [
        ({"pricing": {"billable": True}, "biz_opaque_callback_data": "ours"}, b'{"billable": true}', b"", "ours"),
        ({"pricing": [], "errors": [{"code": 1}]}, b"", b'[{"code": 1}]', ""),
        ({"pricing": None, "errors": []}, b"", b"", ""),
        ({"errors": {"code": 1}, "biz_opaque_callback_data": "a\0b"}, b"", b'{"code": 1}', ""),
        ({"biz_opaque_callback_data": "x" * 513}, b"", b"", ""),
        ({"biz_opaque_callback_data": {}}, b"", b"", ""),
    ],
)
def test_what_comes_with_a_status(changes: dict[str, Any], pricing: bytes, errors: bytes, callback: str) -> None:
    item = status(changes)
    assert isinstance(item, StatusUpdate)
    assert (item.pricing, item.errors, item.callback_data) == (pricing, errors, callback)


# --- what cannot be one -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": None}, "it has no id"),
        ({"id": ""}, "it has no id"),
        ({"id": "  "}, "it has no id"),
        ({"id": "wamid.\0"}, "its id cannot serve as one"),
        ({"id": "w" * 513}, "its id cannot serve as one"),
        ({"id": ["wamid.A"]}, "its id cannot serve as one"),
        ({"id": True}, "its id cannot serve as one"),
        ({"id": 1.5}, "its id cannot serve as one"),
        ({"id": -1}, "its id cannot serve as one"),
    ],
)
def test_ids_that_cannot_serve(changes: dict[str, Any], reason: str) -> None:
    assert refused(message(changes)) == reason
    assert refused(status(changes)) == reason


def test_a_message_with_the_id_of_a_call_is_a_voicemail_and_a_status_with_one_is_none() -> None:
    voicemail = message({"id": "wacid.A", "type": "audio", "audio": {"id": "1"}})
    assert isinstance(voicemail, MessageItem)
    assert (voicemail.wamid, voicemail.type) == ("wacid.A", "audio")
    assert refused(status({"id": "wacid.A"})) == "its id is a call's, not a message's"


@pytest.mark.parametrize("key", ["from", "from_user_id", "group_id"])
@pytest.mark.parametrize("value", ["a\0b", "1" * 201, {}, [], True, 1.5])
def test_addresses_that_cannot_serve(key: str, value: Any) -> None:
    assert refused(message({key: value})) == f"its {key} cannot serve as an address"


@pytest.mark.parametrize("key", ["recipient_id", "recipient_user_id", "recipient_participant_id"])
def test_recipients_that_cannot_serve(key: str) -> None:
    assert refused(status({key: "a\0b"})) == f"its {key} cannot serve as an address"


def test_the_bounds_themselves_can() -> None:
    item = message({"id": "w" * 512, "from": "1" * 200, "from_user_id": "", "group_id": None})
    assert isinstance(item, MessageItem)
    assert (item.wamid, item.who and item.who.address) == ("w" * 512, "1" * 200)


def test_whole_numbers_serve_as_their_digits() -> None:
    item = message({"id": 42, "from": 5215500000002})
    assert isinstance(item, MessageItem)
    assert (item.wamid, item.who and item.who.address) == ("42", ANA)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (None, "it has no status"),
        ("", "it has no status"),
        (7, "it has no status"),
        ("a\0b", "it has no status"),
        ("s" * 65, "it has no status"),
        ("errors", "'errors' cannot be the name of a status"),
    ],
)
def test_names_that_are_no_status(name: Any, reason: str) -> None:
    assert refused(status({"status": name})) == reason


@pytest.mark.parametrize("phone_number_id", ["9\0", "9" * 201, [], {}])
def test_an_account_that_cannot_be_named_attributes_nothing(phone_number_id: Any) -> None:
    value = {"metadata": {"phone_number_id": phone_number_id}, "messages": [TEXT], "statuses": [SENT], "errors": [1]}
    items = parse(body(value))
    assert {refused(item) for item in items} == {"metadata.phone_number_id cannot serve as an id"}
    assert [item.place.pointer.removeprefix("/entry/0/changes/0/value/") for item in items] == [
        "messages/0",
        "statuses/0",
        "errors",
    ]


@pytest.mark.parametrize("metadata", [None, [], "x", {}, {"display_phone_number": BUSINESS}])
def test_an_account_that_is_not_named_costs_nothing_here(metadata: Any) -> None:
    item = only({"metadata": metadata, "messages": [TEXT]})
    assert isinstance(item, MessageItem)
    assert item.place.phone_number_id == ""


def test_the_account_is_known_though_its_number_is_not() -> None:
    text = body({"messages": [TEXT]}).replace(BUSINESS.encode(), rb"\ud800")
    (item,) = parse(text)
    assert isinstance(item, MessageItem)
    assert (item.place.phone_number_id, item.place.display_phone_number) == ("900000000000001", "")
