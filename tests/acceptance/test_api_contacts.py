"""People: renamed, exported, erased; and what comes late for those who were."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from sqlalchemy import Connection, insert
from tests.served import MISSING, Served, served
from tests.world import (
    CUSTOMER,
    DAY,
    HOUR,
    KIND,
    NUMBER,
    START,
    USER_ID,
    SetClock,
    contact,
    envelope,
    incoming,
    status,
    statuses,
    text_message,
    value,
)

from tellwire.model.agents import AgentRun
from tellwire.model.deliveries import Attempt, Delivery, DeliveryState
from tellwire.ports.storage import Result
from tellwire.privacy.erasure import ErasureWorker
from tellwire.stores.queries import erasures
from tellwire.stores.queries.audit import AuditChange
from tellwire.stores.schema.tables import agent_runs, metadata
from tellwire.stores.work_queues.erasures import SqlErasures

pytestmark = pytest.mark.usefixtures("each_store")

NAME = "Quintessa Wolkenstein"
WORDS = "meet me at the lighthouse"
OTHER = "5215588392999"
GROUP = "120363418770915618@g.us"
FIRST = START // 1_000_000
LATER = FIRST + 86_400


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        running.post("/v1/webhook-endpoints", {"url": "https://hooks.example.com/in", "format": "row"})
        yield running


def meta(app: Served, *values: Any, field: str = "messages") -> None:
    answer = app.meta(envelope(*values, field=field))
    assert answer.status == 200, answer.body


def said(wamid: str, words: str = WORDS, **more: Any) -> dict[str, Any]:
    return incoming(wamid, words, name=NAME, **more)


def person(app: Served, alias: str = CUSTOMER) -> str:
    return str(app.get(f"/v1/contacts?alias={alias}")["data"][0]["id"])


def erase(app: Served, contact_id: str) -> Any:
    answer = app.call("DELETE", f"/v1/contacts/{contact_id}")
    assert answer.status == 202, answer.body
    assert answer.json["state"] == "done"
    return answer.json


def known(app: Served, alias: str = CUSTOMER) -> list[Any]:
    found: list[Any] = app.get(f"/v1/contacts?alias={alias}")["data"]
    return found


def outcomes(app: Served) -> list[str]:
    """Of the last POST, item by item."""
    return [item["outcome"] for item in app.get("/v1/inbound")["data"][0]["items"]]


def gone_from_the_files(app: Served, path: Path, what: str) -> None:
    """Wait until no file holds a text: a reader that is active when the log is emptied delays that to a later commit.

    A server that runs commits every second by itself; here nothing does.
    """
    deadline = time.monotonic() + 10
    while what.encode() in everything(app, path):
        assert time.monotonic() < deadline, what
        app.write(lambda _: None)


def everything(app: Served, path: Path) -> bytes:
    """Every byte of an SQLite database's files; every value that PostgreSQL shows."""
    if KIND.get() == "sqlite":
        return b"".join(each.read_bytes() for each in sorted(path.glob("served.db*")))
    values: list[bytes] = []
    for name in metadata.tables:
        for row in app.query(f"SELECT * FROM {name}"):
            values += [value if isinstance(value, bytes) else str(value).encode() for value in row]
    return b"\n".join(values)


# --- erased -----------------------------------------------------------------------------------------------------------


def test_nothing_of_the_person_is_left_in_any_byte_of_the_files(app: Served, tmp_path: Path) -> None:
    for number in range(60):
        meta(app, said(f"wamid.{number}x", f"{WORDS} {number} {'and so on ' * (number % 40)}"))
        meta(app, incoming(f"wamid.o{number}", "hello", name="Other", sender=OTHER))
        meta(app, statuses(status(f"wamid.out{number}", "sent"), status(f"wamid.out{number}", "read")))
    newest = app.get(f"/v1/conversations?contact={CUSTOMER}")["data"][0]["id"]
    replayed = app.get(f"/v1/deliveries?conversation_id={newest}")["data"][0]["id"]
    app.post(f"/v1/deliveries/{replayed}/replay", {"body": {"instead": f"{WORDS}, {NAME}"}}, status=202)
    app.post(f"/v1/conversations/{newest}/notes", {"text": f"{WORDS}, says {NAME}"})
    before = everything(app, tmp_path)
    told = erase(app, person(app))
    assert app.query("SELECT * FROM replay_edits") == []
    assert told["erased"]["messages"] == 120
    assert told["erased"]["received"] == 120
    for gone in (CUSTOMER, NAME, WORDS, "wamid.1x", "wamid.out7"):
        assert gone.encode() in before
        gone_from_the_files(app, tmp_path, gone)
    assert len(app.get("/v1/messages?limit=200")["data"]) == 60
    assert {each["wa_id"] for each in app.get("/v1/messages?limit=200")["data"]} == {
        f"wamid.o{number}" for number in range(60)
    }


def test_what_another_system_sent_of_the_person_is_erased_too(app: Served, tmp_path: Path) -> None:
    app.post("/v1/accounts", {"phone_number_id": NUMBER})
    draft = {"name": "the other", "kind": "wakit", "account": NUMBER, "secret": "an invented secret", "mode": "compare"}
    made = app.post("/v1/sources", draft)
    meta(app, said("wamid.1x"))
    row = {
        "id": "a row",
        "direction": "incoming",
        "content": {"type": "text", "text": {"body": WORDS}},
        "wa_id": "wamid.2x",
        "from": CUSTOMER,
        "timestamp": "2026-05-06T03:39:23+00:00",
        "contact": {"name": NAME, "phone": CUSTOMER},
    }
    conversation = {"id": "a conversation", "contact_address": CUSTOMER, "title": f"{NAME}: {WORDS}"}
    for entity, data in (
        ("messages", row),
        ("messages", {**row, "direction": "sideways"}),  # kept as it came
        ("conversations", conversation),
    ):
        body = json.dumps({"data": data, "entity": entity, "action": "insert"}).encode()
        assert app.send("POST", f"/sources/{made['id']}", body, {"authorization": "an invented secret"}).status == 200
    assert erase(app, person(app))["erased"]["received"] == 4
    for gone in (CUSTOMER, NAME, WORDS, "wamid.1x", "wamid.2x"):
        gone_from_the_files(app, tmp_path, gone)
    app.clock.move(HOUR)
    assert [each["wamid"] for each in app.get("/v1/sources/compare")["data"]] == [None, None]
    row |= {"wa_id": "wamid.1x"}  # late
    body = json.dumps({"data": row, "entity": "messages", "action": "update"}).encode()
    assert app.send("POST", f"/sources/{made['id']}", body, {"authorization": "an invented secret"}).status == 200
    assert outcomes(app) == ["erased"]
    gone_from_the_files(app, tmp_path, WORDS)


def test_reads_find_the_person_no_more(app: Served) -> None:
    meta(app, said("wamid.1"))
    contact_id, message = person(app), app.get("/v1/messages")["data"][0]
    conversation, event = message["conversation_id"], app.get("/v1/events")["data"][0]["id"]
    told = erase(app, contact_id)
    assert (told["contact_id"], told["contact_ids"]) == (contact_id, [contact_id])
    assert known(app) == []
    for path in (
        f"contacts/{contact_id}",
        f"contacts/{contact_id}/export",
        f"messages/{message['id']}",
        f"conversations/{conversation}",
        f"events/{event}",
    ):
        app.call("GET", f"/v1/{path}").problem(404)
    assert app.get("/v1/conversations")["data"] == []
    assert [each["name"] for each in app.get("/v1/events")["data"]] == ["contact.erased"]


def test_what_was_not_delivered_is_cancelled_also_in_memory(app: Served) -> None:
    meta(app, said("wamid.1"))
    waiting = [each["id"] for each in app.get("/v1/deliveries")["data"]]
    told = erase(app, person(app))
    assert told["erased"]["deliveries_cancelled"] == len(waiting) == 2
    assert sorted(app.outside.forgotten) == sorted(waiting)
    for each in waiting:
        assert app.get(f"/v1/deliveries/{each}")["state"] == "cancelled"
        app.call("POST", f"/v1/deliveries/{each}/replay").problem(409)


def attempt_of(delivery: dict[str, Any], number: int = 1) -> Attempt:
    return Attempt(
        delivery_id=delivery["id"],
        organization_id=delivery["organization_id"],
        number=number,
        started_at=START,
        outcome="failed",
        cause="your server answered 500",
        request_headers=(("x", CUSTOMER),),
        response_headers=(("y", CUSTOMER),),
        response_body=WORDS.encode(),
        response_status=500,
    )


def record(app: Served, delivery: dict[str, Any], number: int) -> None:
    """What a dispatcher writes when an answer comes."""
    after = Delivery(
        id=delivery["id"],
        organization_id=delivery["organization_id"],
        event_id=delivery["event_id"],
        endpoint_id=delivery["endpoint_id"],
        order_key="",
        state=DeliveryState.RETRYING,
        attempts=number,
    )
    outbox = app.world.outbox
    lease = app.run(outbox.renew("a test"))
    refused = app.run(outbox.record([Result(after, attempt_of(delivery, number), lease.partitions[after.partition])]))
    assert not refused


def test_attempts_stay_without_what_they_quote_also_one_that_was_in_flight(app: Served, tmp_path: Path) -> None:
    meta(app, said("wamid.1"))
    delivery = app.get("/v1/deliveries")["data"][0]
    record(app, delivery, 1)
    assert app.get(f"/v1/deliveries/{delivery['id']}/attempts")["data"][0]["response_body"] == WORDS
    erase(app, person(app))
    record(app, delivery, 2)
    tried = app.get(f"/v1/deliveries/{delivery['id']}/attempts")["data"]
    assert [(each["cause"], each["response_status"]) for each in tried] == [("your server answered 500", 500)] * 2
    assert not any(each["response_body"] or each["request_headers"] or each["response_headers"] for each in tried)
    assert app.get(f"/v1/deliveries/{delivery['id']}")["state"] == "cancelled"
    assert WORDS.encode() not in everything(app, tmp_path)


def test_contacts_that_were_merged_go_together(app: Served, tmp_path: Path) -> None:
    meta(app, said("wamid.1"))
    meta(app, value(contacts=[contact(None, NAME, USER_ID)], messages=[text_message("wamid.2", sender=None)]))
    younger = person(app, USER_ID)
    both = {**contact(CUSTOMER, NAME, USER_ID)}
    meta(app, value(contacts=[both], messages=[text_message("wamid.3", from_user_id=USER_ID)]))
    assert app.get(f"/v1/contacts/{younger}")["merged_into"] == person(app)
    told = erase(app, younger)
    assert len(told["contact_ids"]) == 2
    assert told["erased"]["messages"] == 3
    left = everything(app, tmp_path)
    assert not any(gone.encode() in left for gone in (CUSTOMER, USER_ID, NAME))


def test_others_items_of_the_same_post_stay_byte_by_byte(app: Served) -> None:
    theirs = text_message("wamid.2", "mine to keep", sender=OTHER)
    meta(
        app,
        value(
            contacts=[contact(CUSTOMER, NAME), contact(OTHER, "Other")],
            messages=[text_message("wamid.1", WORDS), theirs],
        ),
    )
    erase(app, person(app))
    post = app.get(f"/v1/inbound/{app.get('/v1/inbound')['data'][0]['id']}")
    assert post["body"]["entry"][0]["changes"][0]["value"]["messages"] == [None, theirs]
    assert post["body"]["entry"][0]["changes"][0]["value"]["contacts"] == [{}, contact(OTHER, "Other")]
    assert [(item["outcome"], item["wamid"]) for item in post["items"]] == [("erased", None), ("applied", "wamid.2")]
    assert len(known(app, OTHER)) == 1
    again = app.post(f"/v1/inbound/{post['id']}/reapply", {"pointers": [post["items"][0]["pointer"]]}, status=202)
    assert again["items"][0]["outcome"] == "erased"


def test_of_a_group_only_the_persons_part_goes(app: Served, tmp_path: Path) -> None:
    meta(
        app,
        value(
            contacts=[contact(CUSTOMER, NAME), contact(OTHER, "Other")],
            messages=[
                text_message("wamid.1", WORDS, group_id=GROUP),
                text_message("wamid.2", "others stay", sender=OTHER, group_id=GROUP),
            ],
        ),
    )
    ours = {"id": "wamid.3", "from": "919123456789", "to": GROUP, "timestamp": str(FIRST), "type": "text"}
    meta(app, value(message_echoes=[ours | {"text": {"body": "ours"}}]), field="smb_message_echoes")
    for number in (CUSTOMER, OTHER):
        part: dict[str, Any] = {"recipient_type": "group", "recipient_participant_id": number}
        meta(app, statuses(status("wamid.3", "read", to=GROUP, **part)))
    assert len(app.query("SELECT * FROM message_statuses WHERE participant <> ''")) == 2
    told = erase(app, person(app))
    assert told["erased"]["messages"] == 1
    assert {each["wa_id"] for each in app.get("/v1/messages")["data"]} == {"wamid.2", "wamid.3"}
    assert [row[0] for row in app.query("SELECT participant FROM message_statuses WHERE participant <> ''")] == [OTHER]
    left = everything(app, tmp_path)
    assert CUSTOMER.encode() not in left
    assert NAME.encode() not in left
    assert OTHER.encode() in left


def test_what_waits_unrouted_held_or_not_understood_goes_too(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        meta(app, said("wamid.1"))
        app.call("PATCH", f"/v1/accounts/{NUMBER}", {"unknown_statuses": "hold"})
        meta(app, statuses(status("wamid.lost", "read")))
        meta(app, value(calls=[{"id": "wacid.1", "from": CUSTOMER}, {"id": "wacid.2", "from": OTHER}]), field="calls")
        meta(app, value(number="999", contacts=[contact(CUSTOMER, NAME)], messages=[text_message("wamid.9", WORDS)]))
        app.query("SELECT 1")
        told = erase(app, person(app))
        assert told["erased"]["received"] == 4
        assert app.query("SELECT * FROM held_items WHERE outcome = 'held'") == []
        calls = app.get(f"/v1/inbound/{app.get('/v1/inbound')['data'][1]['id']}")["body"]
        assert calls["entry"][0]["changes"][0]["value"]["calls"] == [None, {"id": "wacid.2", "from": OTHER}]
        assert CUSTOMER.encode() not in everything(app, tmp_path)


def test_what_was_done_for_an_erased_person_is_not_done_again(app: Served, tmp_path: Path) -> None:
    """The answer is erased, and with it a key and a body that name the person; that they were answered is not."""
    meta(app, said("wamid.1"))
    app.call("PATCH", f"/v1/accounts/{NUMBER}", {"access_token": "an-invented-token"})
    message = {"account": NUMBER, "to": f"+{CUSTOMER}", "type": "text", "text": {"body": WORDS}}
    endpoint = {"url": f"https://hooks.example.com/{CUSTOMER}", "format": "row"}
    sent, made = ({"idempotency-key": f"{word}-{CUSTOMER}"} for word in ("order", "hook"))
    app.post("/v1/messages", message, headers=sent, status=202)
    hook = app.post("/v1/webhook-endpoints", endpoint, headers=made)
    other = {"url": "https://hooks.example.com/x", "format": "row"}
    kept = app.post("/v1/webhook-endpoints", other, headers={"idempotency-key": "k"})
    app.call("DELETE", f"/v1/webhook-endpoints/{hook['id']}")
    erase(app, person(app))
    for path, body, key in (("/v1/messages", message, sent), ("/v1/webhook-endpoints", endpoint, made)):
        problem = app.call("POST", path, body, headers=key).problem(410)
        assert problem["type"] == "urn:tellwire:problem:answer-erased"
        assert CUSTOMER not in str(problem)
    app.call("POST", "/v1/messages", message | {"text": {"body": "another"}}, headers=sent).problem(422)
    assert app.query("SELECT count(*) FROM sends") == [(0,)]
    assert app.query("SELECT count(*) FROM messages") == [(0,)]
    assert app.post("/v1/webhook-endpoints", other, headers={"idempotency-key": "k"}) == kept
    assert CUSTOMER not in str(app.query("SELECT key, request_hash, CAST(answer AS TEXT) FROM idempotency_keys"))
    app.clock.move(DAY)
    app.post("/v1/messages", message, headers=sent, status=202)


def test_subscribers_are_told_and_the_audit_has_it(app: Served) -> None:
    app.post(
        "/v1/webhook-endpoints",
        {"url": "https://hooks.example.com/op", "format": "row", "events": ["contact.erased"], "accounts": [NUMBER]},
    )
    meta(app, said("wamid.1"))
    contact_id = person(app)
    conversation = app.get("/v1/conversations")["data"][0]["id"]
    erase(app, contact_id)
    (event,) = [each for each in app.get("/v1/events")["data"] if each["name"] == "contact.erased"]
    payload = app.get(f"/v1/events/{event['id']}/payloads/row")
    assert payload["type"] == "contact.erased"
    assert payload["data"] == {
        "contact_id": contact_id,
        "contact_ids": [contact_id],
        "conversation_ids": [conversation],
        "erased_at": "2026-05-06T03:39:23+00:00",
    }
    assert len(app.get(f"/v1/deliveries?event_id={event['id']}")["data"]) == 1
    entry = app.get("/v1/audit")["data"][0]
    assert (entry["action"], entry["subject"], entry["actor"]) == ("contact.erased", contact_id, "ADMIN_KEY")


def test_a_second_erasure_says_how_the_first_one_stands(app: Served) -> None:
    meta(app, said("wamid.1"))
    contact_id = person(app)
    first = erase(app, contact_id)
    assert erase(app, contact_id) == first
    assert app.get(f"/v1/contacts/{contact_id}/erasure") == first
    app.call("GET", f"/v1/contacts/{MISSING}/erasure").problem(404)
    app.call("DELETE", f"/v1/contacts/{MISSING}").problem(404)


def test_of_a_number_with_two_owners_only_what_is_of_the_persons_time_is_erased(app: Served, tmp_path: Path) -> None:
    new, change, later = "5215588392299", START // 1_000_000 + 60, START // 1_000_000 + 90 * 86_400
    meta(app, said("wamid.L1"))
    system = {"body": "x", "wa_id": new, "type": "user_changed_number"}
    told = {"from": CUSTOMER, "id": "wamid.RC", "timestamp": str(change), "type": "system", "system": system}
    meta(app, value(messages=[told]))
    meta(app, incoming("wamid.P1", "of the next owner", name="Pedro", at=later))
    first, second = person(app, new), person(app)
    assert first != second
    shown = app.get(f"/v1/contacts/{first}")
    assert shown["aliases"] == [new]
    assert shown["former_aliases"] == [{"alias": CUSTOMER, "until": "2026-05-06T03:40:23+00:00"}]
    export = app.get(f"/v1/contacts/{second}/export")
    assert [piece["text"]["body"] for post in export["received"] for piece in post["items"] if "text" in piece] == [
        "of the next owner"
    ]
    erase(app, first)
    assert [row["wa_id"] for row in app.get("/v1/messages")["data"]] == ["wamid.P1"]
    posts = app.get("/v1/inbound")["data"]
    assert [[item["outcome"] for item in post["items"]] for post in posts] == [["applied"], ["erased"], ["erased"]]
    meta(app, said("wamid.L0"))
    assert outcomes(app) == ["erased"]
    meta(app, incoming("wamid.P2", "again", name="Pedro", at=change + 1))
    assert outcomes(app) == ["applied"]
    assert person(app) == second


def test_an_erasure_that_broke_off_is_gone_on_with_and_bars_meanwhile(app: Served, tmp_path: Path) -> None:
    for number in range(30):
        meta(app, said(f"wamid.{number}"), statuses(status(f"wamid.out{number}", "sent")))
    contact_id = person(app)
    store = app.world.store

    def begin() -> Any:
        deed = AuditChange(
            app.get("/v1/contacts")["data"][0]["organization_id"], "a test", app.clock.now(), store.new_id
        )
        return app.write(lambda c: erasures.begin(c, deed, store.vault, contact_id))

    begun = begin()
    assert begun.state == "running"
    assert app.get(f"/v1/contacts/{contact_id}/erasure")["state"] == "running"
    meta(app, statuses(status("wamid.out3", "read", at=LATER)))
    assert outcomes(app) == ["erased"]
    erasure_worker = ErasureWorker(
        store, SqlErasures(store), app.clock, app.outside.forgotten.extend, app.outside.sweep
    )

    async def both() -> None:
        other = ErasureWorker(store, SqlErasures(store), app.clock, app.outside.forgotten.extend, app.outside.sweep)
        await asyncio.gather(
            erasure_worker.run(begun.organization_id, begun.id), other.run(begun.organization_id, begun.id)
        )

    app.run(both())
    told = app.get(f"/v1/contacts/{contact_id}/erasure")
    assert (told["state"], told["erased"]["messages"]) == ("done", 60)
    assert CUSTOMER.encode() not in everything(app, tmp_path)
    assert app.query("SELECT sealed FROM erasures") == [("",)]


# --- late -------------------------------------------------------------------------------------------------------------


def test_late_copies_and_statuses_bring_nothing_back(app: Served, tmp_path: Path) -> None:
    meta(app, said("wamid.1"), statuses(status("wamid.out", "sent")))
    erase(app, person(app))
    events = len(app.get("/v1/events")["data"])
    for late in (
        said("wamid.1"),
        statuses(status("wamid.out", "read", at=LATER)),
        statuses(status("wamid.never.seen", "read", at=FIRST - 5)),
        said("wamid.never.seen.either", at=FIRST - 60),
        value(
            contacts=[contact(CUSTOMER, NAME)],
            messages=[
                {"from": CUSTOMER, "id": "wamid.e", "timestamp": str(LATER), "type": "revoke"}
                | {"revoke": {"original_message_id": "wamid.1"}}
            ],
        ),
    ):
        meta(app, late)
        assert outcomes(app) == ["erased"]
    assert (known(app), len(app.get("/v1/events")["data"])) == ([], events)
    left = everything(app, tmp_path)
    assert not any(gone.encode() in left for gone in (CUSTOMER, NAME, WORDS, "wamid.1", "wamid.never.seen"))
    meta(app, statuses(status("wamid.never.seen", "read", at=LATER)))
    assert outcomes(app) == ["erased"]


def test_another_spelling_of_the_number_is_known_too(app: Served) -> None:
    meta(app, said("wamid.1"))
    erase(app, person(app))
    meta(app, said("wamid.2", sender="525588392274", at=FIRST - 60))
    assert outcomes(app) == ["erased"]


def test_a_newer_message_is_a_new_contacts(app: Served) -> None:
    meta(app, said("wamid.1"))
    before = person(app)
    erase(app, before)
    meta(app, said("wamid.2", "hello again", at=FIRST + 1))
    assert outcomes(app) == ["applied"]
    (after,) = known(app)
    assert after["id"] != before
    assert [each["wa_id"] for each in app.get("/v1/messages")["data"]] == ["wamid.2"]
    meta(app, said("wamid.1"), said("wamid.3", at=FIRST + 2))
    assert sorted(outcomes(app)) == ["applied", "erased"]
    assert {each["wa_id"] for each in app.get("/v1/messages")["data"]} == {"wamid.2", "wamid.3"}
    assert erase(app, after["id"])["erased"]["messages"] == 2


def test_what_waited_for_an_account_is_barred_when_that_comes(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        meta(app, said("wamid.1"))
        organization = app.organization()
        app.post("/v1/accounts", {"phone_number_id": "999"}, headers={"tellwire-organization": organization})
        app.call("DELETE", "/v1/accounts/999", headers={"tellwire-organization": organization})
        erase(app, person(app))
        meta(app, value(number=NUMBER, contacts=[contact(CUSTOMER, NAME)], messages=[text_message("wamid.9", WORDS)]))
        assert outcomes(app) == ["erased"]


def test_another_organization_keeps_its_own(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        meta(app, said("wamid.1"))
        organization = app.organization()
        theirs = {"tellwire-organization": organization}
        app.post("/v1/accounts", {"phone_number_id": "999"}, headers=theirs)
        other = value(number="999", contacts=[contact(CUSTOMER, NAME)], messages=[text_message("wamid.1", WORDS)])
        meta(app, said("wamid.2"), other)
        app.call("DELETE", f"/v1/contacts/{person(app)}", headers=theirs).problem(404)
        erase(app, person(app))
        assert [each["wa_id"] for each in app.get("/v1/messages", headers=theirs)["data"]] == ["wamid.1"]
        bodies = app.query("SELECT body FROM inbound ORDER BY id")
        kept = json.loads(bodies[-1][0])["entry"][0]["changes"]
        assert kept[0]["value"]["messages"] == [None]
        assert kept[1]["value"] == other


def test_marks_are_dropped_after_forty_days(tmp_path: Path) -> None:
    clock = SetClock(START)
    with served(tmp_path, clock=clock) as app:
        meta(app, said("wamid.1"))
        erase(app, person(app))
        store = app.world.store
        erasure_worker = ErasureWorker(
            store, SqlErasures(store), clock, app.outside.forgotten.extend, app.outside.sweep
        )
        assert store.registry().erased_key
        clock.move(40 * DAY - 1)
        app.run(erasure_worker.prune())
        assert app.query("SELECT count(*) FROM erased") == [(3,)]  # a message, two spellings of a number
        clock.move(1)
        app.run(erasure_worker.prune())
        assert app.query("SELECT count(*) FROM erased") == [(0,)]
        assert app.query("SELECT count(*) FROM erasures") == [(0,)]
        assert store.registry().erased_key == b""
        meta(app, said("wamid.1"))
        assert outcomes(app) == ["applied"]


def test_marks_say_nothing_without_the_key(app: Served) -> None:
    meta(app, said("wamid.1"))
    erase(app, person(app))
    rows = app.query("SELECT mark FROM erased")
    assert all(len(mark) == 32 for (mark,) in rows)
    ((sealed,),) = app.query("SELECT sealed FROM sealed_keys WHERE name = 'erased'")
    assert app.world.store.registry().erased_key.hex() not in sealed


# --- what is no row ---------------------------------------------------------------------------------------------------

STOP = {"wa_id": CUSTOMER, "category": "marketing_messages", "value": "stop", "timestamp": FIRST}
OF_THREADS = (
    "contact.preference_changed",
    "standby.echo",
    "standby.message",
    "standby.status",
    "thread.control_passed",
    "thread.control_taken",
)


def told_of_threads(app: Served) -> None:
    """Copies, a handover and a preference of a person with whom there is no conversation here."""
    copies = {"contacts": [contact(CUSTOMER, NAME)], "messages": [text_message("wamid.copy", WORDS)]}
    meta(app, value(standby=copies), field="standby")
    echo = {"id": "wamid.echo", "timestamp": str(FIRST), "message": {"to": CUSTOMER, "text": {"body": WORDS}}}
    meta(app, value(standby={"message_echoes": [echo], "statuses": [status("wamid.echo", "read")]}), field="standby")
    summary = {"type": "summary", "summary": {"text": f"They said {WORDS}"}}
    handover = {
        "recipient": {"phone_number_id": NUMBER},
        "sender": {"phone_number": CUSTOMER},
        "type": "control_passed",
        "timestamp": str(FIRST),
        "control_passed": {"conversation_context": summary},
    }
    meta(app, handover, field="messaging_handovers")
    meta(app, value(user_preferences=[STOP], contacts=[contact(CUSTOMER, NAME)]), field="user_preferences")


def test_copies_handovers_and_preferences_are_exported_and_erased_with_the_person(app: Served, tmp_path: Path) -> None:
    app.post(
        "/v1/webhook-endpoints",
        {"url": "https://hooks.example.com/threads", "format": "row", "events": list(OF_THREADS)},
    )
    told_of_threads(app)
    told = app.get(f"/v1/contacts/{person(app)}/export")
    assert sorted(each["name"] for each in told["events"]) == sorted({*OF_THREADS} - {"thread.control_taken"})
    assert [each["choice"] for each in told["contacts"][0]["marketing"]] == ["stop"]
    assert len(told["deliveries"]) == 5
    assert len(told["received"]) == 4
    assert WORDS.encode() in everything(app, tmp_path)
    counts = erase(app, person(app))["erased"]
    assert (counts["events"], counts["deliveries_cancelled"], counts["received"]) == (5, 5, 4)
    for gone in (CUSTOMER, NAME, WORDS, "wamid.copy", "wamid.echo"):
        gone_from_the_files(app, tmp_path, gone)
    told_of_threads(app)  # sent again, for up to seven days
    assert known(app) == []
    assert [each["name"] for each in app.get("/v1/events?entity=operational")["data"]].count("standby.message") == 0
    gone_from_the_files(app, tmp_path, WORDS)


def test_metas_summary_of_what_a_person_wrote_goes_with_their_message(app: Served, tmp_path: Path) -> None:
    summary = {"type": "summary", "summary": {"text": f"They said {WORDS}"}}
    meta(app, said("wamid.1", "hello") | {"conversation_context": summary})
    received = app.get(f"/v1/contacts/{person(app)}/export")["received"]
    assert WORDS in json.dumps(received)
    erase(app, person(app))
    gone_from_the_files(app, tmp_path, WORDS)


def test_what_a_contact_wants_is_shown_wherever_contacts_are(app: Served) -> None:
    meta(app, said("wamid.1"))
    assert "marketing" not in known(app)[0]
    meta(app, value(user_preferences=[STOP]), field="user_preferences")
    account = app.get("/v1/accounts")["data"][0]["id"]
    shown = [{"account_id": account, "choice": "stop", "at": "2026-05-06T03:39:23+00:00"}]
    assert known(app)[0]["marketing"] == shown
    assert app.get(f"/v1/contacts/{person(app)}")["marketing"] == shown
    renamed = app.call("PATCH", f"/v1/contacts/{person(app)}", {"name": "Quin"}).json
    assert (renamed["name"], renamed["marketing"]) == ("Quin", shown)


# --- exported ---------------------------------------------------------------------------------------------------------


def test_everything_of_a_person_is_exported_and_nothing_of_others(app: Served) -> None:
    theirs = text_message("wamid.2", "of another", sender=OTHER)
    meta(
        app,
        value(
            contacts=[contact(CUSTOMER, NAME), contact(OTHER, "Other")],
            messages=[text_message("wamid.1", WORDS), theirs],
        ),
    )
    meta(app, statuses(status("wamid.out", "sent")))
    meta(
        app, value(contacts=[contact(CUSTOMER, NAME)], messages=[text_message("wamid.g", "in a group", group_id=GROUP)])
    )
    delivery = app.get("/v1/deliveries")["data"][-1]
    record(app, delivery, 1)
    answer = app.call("GET", f"/v1/contacts/{person(app)}/export")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    told = answer.json
    assert [each["name"] for each in told["contacts"]] == [NAME]
    assert told["aliases"] == [CUSTOMER]
    assert len(told["conversations"]) == 1
    assert [each.get("wa_id") for each in told["messages"]] == ["wamid.1", "wamid.out", "wamid.g"]
    assert [each["name"] for each in told["events"]] == [
        "conversations.insert", "messages.insert", "messages.insert", "messages.insert"
    ]  # fmt: skip
    assert len(told["deliveries"]) == 4
    assert [len(each["attempts"]) for each in told["deliveries"]].count(1) == 1
    assert [len(each["items"]) for each in told["received"]] == [2, 1, 2]
    assert OTHER not in answer.body.decode()
    assert "of another" not in answer.body.decode()


def test_a_person_of_whom_little_is_known_is_exported(app: Served) -> None:
    meta(app, statuses(status("wamid.out", "sent")))
    told = app.get(f"/v1/contacts/{person(app)}/export")
    assert len(told["messages"]) == len(told["received"]) == 1
    app.call("GET", f"/v1/contacts/{MISSING}/export").problem(404)


def test_what_agents_keep_of_a_persons_conversations_is_exported(app: Served) -> None:
    meta(app, said("wamid.1"))
    meta(app, statuses(status("wamid.other", "sent", recipient_id=OTHER)))
    mine, other = sorted(app.get("/v1/conversations")["data"], key=lambda each: each["contact_address"] != CUSTOMER)
    run = AgentRun(id=MISSING, organization_id=mine["organization_id"], agent_id="a", conversation_id=mine["id"],
                   outcome="replied", detail="asked for a refund", started_at=1, finished_at=2)  # fmt: skip
    for each, why in ((mine, "a complaint"), (other, "of another")):
        app.call("POST", f"/v1/conversations/{each['id']}/agent/pause", {"reason": why})
        values = {**structs.asdict(run), "conversation_id": each["id"], "id": each["id"], "detail": why}
        app.write(partial(Connection.execute, statement=insert(agent_runs).values(values)))
    answer = app.call("GET", f"/v1/contacts/{person(app)}/export")
    assert "of another" not in answer.body.decode()
    [paused], [ran] = answer.json["handovers"], answer.json["agent_runs"]
    assert (paused["conversation_id"], paused["reason"]) == (mine["id"], "a complaint")
    assert (ran["conversation_id"], ran["detail"], ran["message_id"]) == (mine["id"], "a complaint", None)


# --- renamed ----------------------------------------------------------------------------------------------------------


def test_a_name_of_ones_own_stays_until_it_is_taken_back(app: Served) -> None:
    meta(app, said("wamid.1"))
    path = f"/v1/contacts/{person(app)}"
    changed = app.call("PATCH", path, {"name": "The lighthouse keeper"}).json
    assert (changed["name"], changed["own_name"], changed["aliases"]) == ("The lighthouse keeper", True, [CUSTOMER])
    meta(app, said("wamid.2"))
    assert app.get(path)["name"] == "The lighthouse keeper"
    assert app.get("/v1/messages")["data"][0]["contact"]["name"] == "The lighthouse keeper"
    assert app.call("PATCH", path, {}).json["own_name"] is True
    assert app.call("PATCH", path, {"name": None}).json["own_name"] is False
    meta(app, said("wamid.3"))
    assert app.get(path)["name"] == NAME
    assert [each["action"] for each in app.get("/v1/audit")["data"][:2]] == ["contact.changed"] * 2


@pytest.mark.parametrize(
    ("body", "pointer"),
    [({"name": ""}, "/name"), ({"name": "a\nb"}, "/name"), ({"name": "x", "phone": "1"}, "/phone")],
)
def test_bad_changes(app: Served, body: Any, pointer: str) -> None:
    meta(app, said("wamid.1"))
    app.call("PATCH", f"/v1/contacts/{person(app)}", body).problem(422, pointer)
    app.call("PATCH", f"/v1/contacts/{MISSING}", {"name": "x"}).problem(404)
