"""What comes in an odd order or is of an odd kind, over HTTP and each store: payments, edits before their message,
system messages, errors of ours, messages that are cancelled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.acceptance.test_api_sending import draft, send, with_token
from tests.inbox.payments import CAPTURED, FAILED, WAMID
from tests.inbox.revisions import post_of, told
from tests.inbox.sends import waited
from tests.served import HOOK, Served, served
from tests.world import CUSTOMER, NUMBER, START, envelope, incoming, status, statuses, value

from tellwire.conversations import outgoing
from tellwire.inbox import held_items
from tellwire.model.keys import Keys

SECOND = 1_000_000
NOW = START // SECOND
DAY = 24 * 3600


@pytest.fixture
def app(tmp_path: Any, each_store: None) -> Iterator[Served]:
    with served(tmp_path) as running:
        with_token(running)
        yield running


def messages(app: Served, wamid: str) -> list[dict[str, Any]]:
    return [each for each in app.get("/v1/messages?limit=200")["data"] if each.get("wa_id") == wamid]


def payloads(app: Served, endpoint_id: str) -> list[dict[str, Any]]:
    return app.run(app.world.delivered(app.world.store.registry().endpoints[endpoint_id]))


def as_sent(app: Served, wamid: str) -> str:
    """A message of ours that Meta accepted, delivered and showed."""
    made = str(send(app)["id"])
    account = app.world.store.registry().accounts[NUMBER]
    options = app.world.ingest.options
    app.run(
        app.world.store.apply(
            held_items.keys_of_acceptance(account, made, wamid),
            lambda ledger: held_items.accept(ledger, account, made, wamid, options),
        )
    )
    assert app.meta(envelope(statuses(status(wamid, "sent", NOW), status(wamid, "read", NOW + 1)))).status == 200
    return made


def test_a_payment_that_failed_is_no_failed_message(app: Served) -> None:
    endpoint = app.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row", "events": ["message.payment"]})["id"]
    made = as_sent(app, WAMID)
    for item in (FAILED, CAPTURED):
        assert app.meta(envelope(statuses(item))).status == 200
    shown = app.get(f"/v1/messages/{made}")
    assert list(shown["status"]) == ["pending", "sent", "read"]
    assert [each["status"] for each in shown["payments"]] == ["failed", "captured"]
    assert shown["payments"][1]["payment"] == CAPTURED["payment"]
    assert [each["name"] for each in shown["statuses"]] == ["sent", "read"]
    told_of = payloads(app, endpoint)
    assert [(each["type"], each["data"]["status"]) for each in told_of] == [
        ("message.payment", "failed"),
        ("message.payment", "captured"),
    ]
    assert {each["data"]["message_id"] for each in told_of} == {made}
    app.call("POST", f"/v1/messages/{made}/resend").problem(409)


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("steps", [("edit 5", "original"), ("original", "edit 5")], ids=" then ".join)
def test_an_edit_reaches_its_message_in_any_order(app: Served, steps: tuple[str, ...], grouped: bool) -> None:
    for post in [steps] if grouped else [[step] for step in steps]:
        assert app.meta(post_of("customer", 1, post)).status == 200
    (shown,) = messages(app, "wamid.1")
    assert shown["content"]["text"]["body"] == told(1, "edit 5")
    assert "edited" in shown["status"]
    assert len(app.get("/v1/messages")["data"]) == 1
    assert app.get("/v1/inbound?outcome=held")["data"] == []


def test_an_edit_without_its_message_is_held_and_then_seen(app: Served) -> None:
    app.meta(post_of("customer", 1, ["edit 5"]))
    (held,) = app.get("/v1/inbound?outcome=held")["data"]
    assert app.get(f"/v1/inbound/{held['id']}")["items"][0]["reason"] == "it edits a message that has not come"
    app.world.clock.move(61 * SECOND)
    app.run(waited(app.world))
    assert [each["kind"] for each in messages(app, "wamid.1.5")] == ["edit"]


@pytest.mark.parametrize(
    "system",
    [
        {"type": "user_changed_number", "wa_id": "5215588392275", "body": "x"},
        {"type": "customer_identity_changed", "identity": "abc", "body": "x"},
        {"type": "user_identity_changed", "body": "x"},
    ],
    ids=lambda system: system["type"],
)
def test_what_the_system_says_opens_no_window(app: Served, system: dict[str, Any]) -> None:
    number = system.get("wa_id", CUSTOMER)
    app.meta(envelope(incoming("wamid.old", at=NOW - DAY - 3600)))
    assert app.call("POST", "/v1/messages", draft()).problem(422, "/type")["type"].endswith("window-closed")
    item = {"from": CUSTOMER, "id": "wamid.system", "timestamp": str(NOW), "type": "system", "system": system}
    assert app.meta(envelope(value(messages=[item]))).status == 200
    assert len(messages(app, "wamid.system")) == 1
    for to in (number, CUSTOMER):
        again = app.call("POST", "/v1/messages", draft(to=f"+{to}"))
        assert again.problem(422, "/type")["type"].endswith("window-closed"), to
    app.meta(envelope(incoming("wamid.new", at=NOW - 60, sender=number)))
    send(app, to=f"+{number}")


def test_a_message_that_is_cancelled_is_told(app: Served) -> None:
    endpoint = app.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row"})["id"]
    chat = app.post("/v1/webhook-endpoints", {"url": HOOK, "format": "chat"})["id"]
    made = send(app, scheduled_at="2026-05-07T00:00:00Z")["id"]
    for _ in range(2):
        reply = app.call("POST", f"/v1/messages/{made}/cancel")
        assert list(reply.json["status"]) == ["pending", "cancelled"]
    *_, inserted, cancelled = payloads(app, endpoint)
    assert (inserted["action"], cancelled["action"]) == ("insert", "update")
    assert (cancelled["data"]["id"], list(cancelled["data"]["status"])) == (made, ["pending", "cancelled"])
    assert payloads(app, chat) == []


def test_what_a_deleted_account_was_still_to_send_is_cancelled_and_told(app: Served) -> None:
    endpoint = app.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row", "events": ["messages.update"]})["id"]
    made = [send(app, to=f"+4915155{n:06}")["id"] for n in range(3)]
    assert app.call("DELETE", f"/v1/accounts/{NUMBER}").status == 204
    assert [each["data"]["id"] for each in payloads(app, endpoint)] == made
    shown = app.get(f"/v1/messages/{made[0]}")
    assert (shown["send_state"], shown["cause"]) == ("cancelled", "the account was deleted")
    assert "cancelled" in shown["status"]


def test_a_message_that_counts_as_failed_has_an_error_with_a_number(app: Served) -> None:
    made = send(app)["id"]
    keys = Keys(own={(NUMBER, made)})
    account = app.world.store.registry().accounts[NUMBER]
    app.run(
        app.world.store.apply(keys, lambda ledger: outgoing.claim(ledger, account, made, epoch=1, tries_until=2**60))
    )
    app.run(app.world.store.apply(keys, lambda ledger: outgoing.mark_unknown(ledger, made, epoch=1, cause="?")))
    reply = app.call("POST", f"/v1/messages/{made}/mark-failed")
    (error,) = reply.json["status"]["errors"]
    assert (error["code"], error["title"]) == (990001, "Marked as failed")
