"""The simulator: what it says must be what Meta would say, byte for byte where bytes are signed."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellwire.ports.http_out import Answer, Request
from tellwire.simulator import (
    BUSINESS,
    HAPPENINGS,
    PEOPLE,
    Customer,
    Person,
    Poster,
    Update,
    body_of,
    happenings,
    rounds,
)
from tellwire.simulator.payloads import escaped

NOW = 1_800_000_000
SECRET = "an-app-secret"


def customer(person: Person = PEOPLE[0], seed: int = 1) -> Customer:
    return Customer(person, BUSINESS, Random(seed))


def changes(body: bytes) -> list[dict[str, Any]]:
    post = json.loads(body)
    assert post["object"] == "whatsapp_business_account"
    return [change for entry in post["entry"] for change in entry["changes"]]


class Recorder:
    """A `Sender` that keeps what it is given and answers as told."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[Request] = []

    async def send(self, request: Request) -> Answer:
        self.requests.append(request)
        return self.answer

    async def close(self) -> None:
        pass


# --- bodies -----------------------------------------------------------------------------------------------------------


def test_a_text_is_shaped_as_meta_shapes_it() -> None:
    update = customer().text("Hi", at=NOW)
    assert json.loads(body_of([update])) == {
        "object": "whatsapp_business_account",
        "entry": [
            {
                "id": BUSINESS.waba_id,
                "changes": [
                    {
                        "value": {
                            "messaging_product": "whatsapp",
                            "metadata": {
                                "display_phone_number": BUSINESS.display_phone_number,
                                "phone_number_id": BUSINESS.phone_number_id,
                            },
                            "contacts": [
                                {
                                    "profile": {"name": PEOPLE[0].name},
                                    "wa_id": PEOPLE[0].wa_id,
                                    "user_id": PEOPLE[0].user_id,
                                }
                            ],
                            "messages": [
                                {
                                    "from": PEOPLE[0].wa_id,
                                    "from_user_id": PEOPLE[0].user_id,
                                    "id": update.wamid,
                                    "timestamp": str(NOW),
                                    "type": "text",
                                    "text": {"body": "Hi"},
                                }
                            ],
                        },
                        "field": "messages",
                    }
                ],
            }
        ],
    }


def test_escapes_are_metas() -> None:
    assert escaped({"t": "café / 😀"}) == rb'{"t":"caf\u00e9 \/ \ud83d\ude00"}'


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
    )
)
def test_escaping_changes_the_spelling_only(value: object) -> None:
    text = escaped(value).decode("ascii")
    assert json.loads(text) == value
    escapes = re.findall(r"\\u.{4}|\\.", text)
    assert "/" not in re.sub(r"\\u.{4}|\\.", "", text)
    assert [escape for escape in escapes if escape[1] == "u"] == [e.lower() for e in escapes if e[1] == "u"]


def test_a_batch_fills_the_arrays_of_one_entry() -> None:
    lucia, joao = customer(), customer(PEOPLE[1])
    wamid = lucia.sent_message()
    updates = [
        lucia.text("one", at=NOW),
        joao.text("two", at=NOW),
        lucia.status(wamid, "sent", at=NOW),
        lucia.status(wamid, "read", at=NOW),
        joao.text("three", at=NOW),
    ]
    body = body_of(updates)
    assert len(json.loads(body)["entry"]) == 1
    first, second, third = (change["value"] for change in changes(body))
    assert [item["text"]["body"] for item in first["messages"]] == ["one", "two"]
    assert [card["wa_id"] for card in first["contacts"]] == [PEOPLE[0].wa_id, PEOPLE[1].wa_id]
    assert [item["status"] for item in second["statuses"]] == ["sent", "read"]
    assert [item["text"]["body"] for item in third["messages"]] == ["three"]


def test_accounts_do_not_share_a_change() -> None:
    other = customer()
    other.business = BUSINESS.__class__(waba_id="7", phone_number_id="8", display_phone_number="9")
    post = json.loads(body_of([customer().text("a", at=NOW), other.text("b", at=NOW)]))
    numbers = [entry["changes"][0]["value"]["metadata"]["phone_number_id"] for entry in post["entry"]]
    assert numbers == [BUSINESS.phone_number_id, "8"]


def test_somebody_without_a_number_is_known_by_the_user_id_alone() -> None:
    hidden = Person(name="Sin Número", user_id="MX.91", username="sin.numero")
    (change,) = changes(body_of([customer(hidden).text("Hi", at=NOW)]))
    assert change["value"]["contacts"] == [
        {"profile": {"name": "Sin Número", "username": "sin.numero"}, "user_id": "MX.91"}
    ]
    (item,) = change["value"]["messages"]
    assert "from" not in item
    assert item["from_user_id"] == "MX.91"


# --- what customers do ------------------------------------------------------------------------------------------------


def test_message_ids_look_and_decode_like_metas() -> None:
    wamid = customer().text("Hi", at=NOW).wamid
    assert wamid.startswith("wamid.HBgN"), "as every id of a 13-digit number"
    decoded = base64.b64decode(wamid.removeprefix("wamid."), validate=True)
    assert PEOPLE[0].wa_id.encode() in decoded


def test_a_reply_names_the_message_and_who_wrote_it() -> None:
    lucia = customer()
    own = lucia.text("Hi", at=NOW).wamid
    answer = lucia.sent_message()
    assert lucia.text("me", at=NOW, reply_to=own).item["context"] == {"from": PEOPLE[0].wa_id, "id": own}
    assert lucia.text("you", at=NOW, reply_to=answer).item["context"] == {
        "from": BUSINESS.display_phone_number,
        "id": answer,
    }


@pytest.mark.parametrize("kind", ["image", "video", "audio", "document", "sticker"])
def test_media_brings_id_type_hash_and_a_link_that_expires(kind: str) -> None:
    item = customer().media(kind, at=NOW, caption="see").item
    media = item[kind]
    assert item["type"] == kind
    assert media["id"].isdigit()
    assert "/" in media["mime_type"]
    assert len(base64.b64decode(media["sha256"], validate=True)) == 32
    assert f"ext={NOW + 300}" in media["url"]
    assert ("caption" in media) == (kind in {"image", "video", "document"})
    assert ("filename" in media) == (kind == "document")


def test_a_reaction_is_taken_back_by_leaving_out_the_emoji() -> None:
    lucia = customer()
    wamid = lucia.text("Hi", at=NOW).wamid
    assert lucia.react(wamid, "👍", at=NOW).item["reaction"] == {"message_id": wamid, "emoji": "👍"}
    assert lucia.react(wamid, "", at=NOW).item["reaction"] == {"message_id": wamid}


def test_edits_and_revocations_name_the_original() -> None:
    lucia = customer()
    wamid = lucia.text("Hi", at=NOW).wamid
    edit, revoke = lucia.edit(wamid, "Hello", at=NOW + 1), lucia.revoke(wamid, at=NOW + 2)
    assert edit.item["edit"] == {
        "original_message_id": wamid,
        "message": {"type": "text", "text": {"body": "Hello"}},
    }
    assert revoke.item["revoke"] == {"original_message_id": wamid}
    assert len({wamid, edit.wamid, revoke.wamid}) == 3
    assert lucia.sent_ids == [wamid], "an edit is nothing to reply to"


def test_statuses_carry_prices_where_meta_does_and_errors_without_a_contact() -> None:
    lucia = customer()
    wamid = lucia.sent_message()
    sent, read, failed = (lucia.status(wamid, name, at=NOW) for name in ("sent", "read", "failed"))
    assert sent.item["pricing"]["type"] == "free_customer_service"
    assert "pricing" not in read.item
    assert failed.item["errors"][0]["code"] == 131026
    assert sent.item["recipient_id"] == PEOPLE[0].wa_id
    assert "contacts" in changes(body_of([sent]))[0]["value"]
    assert "contacts" not in changes(body_of([failed]))[0]["value"]


def test_callback_data_comes_back() -> None:
    lucia = customer()
    update = lucia.status(lucia.sent_message(), "sent", at=NOW, callback_data="our-id")
    assert update.item["biz_opaque_callback_data"] == "our-id"


@pytest.mark.parametrize("name", HAPPENINGS)
def test_every_happening_is_told(name: str) -> None:
    updates = HAPPENINGS[name](customer(), NOW)
    titles = [update.title for update in updates]
    expected = {
        "reply": ["text", "text"],
        "reaction": ["text", "reaction"],
        "edit": ["text", "edit"],
        "revoke": ["text", "revoke"],
        "status": ["status sent", "status delivered", "status read"],
        "failure": ["status sent", "status failed"],
    }
    assert titles == expected.get(name, [name])
    assert changes(body_of(updates))


# --- traffic ----------------------------------------------------------------------------------------------------------


def traffic(seed: int, **how: Any) -> list[tuple[bytes, ...]]:
    random = Random(seed)
    customers = [Customer(person, BUSINESS, random) for person in PEOPLE]
    return rounds(happenings(customers, list(HAPPENINGS.values()), 20, at=NOW), random, **how)


def told(planned: list[tuple[bytes, ...]]) -> list[str]:
    """What the bodies of a plan say, item by item."""
    bodies = [body for together in planned for body in together]
    values = [change["value"] for body in bodies for change in changes(body)]
    return [json.dumps(item) for value in values for item in (*value.get("messages", ()), *value.get("statuses", ()))]


def test_the_same_seed_makes_the_same_bytes_and_another_does_not() -> None:
    assert traffic(7, shuffle=True, batch=3) == traffic(7, shuffle=True, batch=3)
    assert not set(told(traffic(7))) & set(told(traffic(8)))


@given(st.integers(1, 40), st.booleans(), st.booleans())
def test_however_it_is_posted_everything_is_told(batch: int, duplicates: bool, shuffle: bool) -> None:
    plain, planned = told(traffic(7)), traffic(7, batch=batch, duplicates=duplicates, shuffle=shuffle)
    assert sorted(told(planned)) == sorted(plain * (2 if duplicates else 1))
    if not (shuffle or duplicates):
        assert told(planned) == plain


def test_duplicates_come_at_once_and_later() -> None:
    planned = traffic(7, duplicates=True)
    assert any(len(together) == 2 and together[0] == together[1] for together in planned)
    singles = [together[0] for together in planned if len(together) == 1]
    assert any(singles.count(body) == 2 for body in singles)


def test_shuffling_takes_statuses_out_of_their_order() -> None:
    def order(planned: list[tuple[bytes, ...]]) -> list[str]:
        return [json.loads(item).get("status", "") for item in told(planned)]

    assert order(traffic(7, shuffle=True)) != order(traffic(7))


# --- posting ----------------------------------------------------------------------------------------------------------


def test_what_is_posted_is_signed_with_the_apps_secret() -> None:
    sender = Recorder(Answer(status=200))
    update = customer().text("¡Hola!", at=NOW)
    answer = asyncio.run(Poster(sender, "http://127.0.0.1:1/meta/webhook", SECRET).post_updates(update))
    (request,) = sender.requests
    expected = hmac.new(SECRET.encode(), request.body, hashlib.sha256).hexdigest()
    assert answer.ok
    assert request.body == body_of([update])
    assert dict(request.headers)["X-Hub-Signature-256"] == f"sha256={expected}"
    assert dict(request.headers)["Content-Type"] == "application/json"


def test_without_a_secret_nothing_is_signed() -> None:
    sender = Recorder(Answer(status=401))
    asyncio.run(Poster(sender, "http://127.0.0.1:1/", "").post(b"{}"))
    assert "X-Hub-Signature-256" not in dict(sender.requests[0].headers)


@pytest.mark.parametrize(
    ("answer", "confirmed"),
    [
        (Answer(status=200, body=b"12345"), True),
        (Answer(status=200, body=b'"12345"'), False),
        (Answer(status=403, body=b"12345"), False),
        (Answer(failure="refused"), False),
    ],
)
def test_the_handshake_wants_the_bare_challenge(answer: Answer, confirmed: bool) -> None:
    sender = Recorder(answer)
    poster = Poster(sender, "http://127.0.0.1:1/hook?a=b", SECRET)
    assert asyncio.run(poster.handshake("a token", "12345")) is confirmed
    (request,) = sender.requests
    assert request.method == "GET"
    assert request.url.endswith("/hook?a=b&hub.mode=subscribe&hub.challenge=12345&hub.verify_token=a+token")


def test_an_update_says_what_it_is() -> None:
    lucia = customer()
    update: Update = lucia.status(lucia.sent_message(), "read", at=NOW)
    assert (update.title, lucia.text("x", at=NOW).title) == ("status read", "text")
