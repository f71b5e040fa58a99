"""Reads over HTTP: events, deliveries, conversations, messages, contacts, inbound, audit, and how they are paged."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, text
from tests.acceptance.test_api_access import NO_ROWS
from tests.served import HOOK, MISSING, Served, served
from tests.world import NUMBER, envelope, incoming, status, statuses

from tellwire.formats import FORMATS
from tellwire.formats.chat.ids import shown as chat_id
from tellwire.model.deliveries import Attempt, DeliveryState, Endpoint, SentAs
from tellwire.model.routing import PARTITIONS
from tellwire.ports.storage import Result
from tellwire.web.api import NOUNS
from tellwire.web.parameters import cursor_of

HOUR = 3600 * 1_000_000
LISTS = {
    noun: handler.parsed_fn_signature.parameters
    for noun, module in NOUNS.items()
    for handler in module.HANDLERS
    if handler.paths == {f"/{noun}"} and "GET" in handler.http_methods
}
"""By noun, the parameters of its list."""
LISTED = [noun for noun in NOUNS if noun not in NO_ROWS]
READ_BY_ID = [
    noun
    for noun, module in NOUNS.items()
    if any(path.startswith(f"/{noun}/{{") for handler in module.HANDLERS for path in handler.paths)
]


@pytest.fixture(scope="module")
def app(each_store: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Three customers; the first one's conversation has a status of a message that we did not send."""
    with served(tmp_path_factory.mktemp("reads")) as running:
        running.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row"})
        for index in range(3):
            running.clock.move(1_000_000)
            running.meta(envelope(incoming(f"wamid.{index}", f"Hello {index}", sender=f"521550000000{index}")))
        running.clock.move(1_000_000)
        sent = statuses(status("wamid.ours", "failed", to="5215500000000", errors=[{"code": 131026, "title": "No"}]))
        running.meta(envelope(sent))
        yield running


# --- lists ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noun", LISTED)
@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/limit"),
        ("limit=201", "/limit"),
        ("limit=-1", "/limit"),
        ("limit=1.5", "/limit"),
        ("limit=abc", "/limit"),
        ("limit=", "/limit"),
        ("limit=1&limit=2", "/limit"),
        ("limit=99999999999999999999999999", "/limit"),
        ("cursor=nonsense", "/cursor"),
        ("cursor=%00%FF", "/cursor"),
        ("cursor=" + base64.urlsafe_b64encode(b"other:" + MISSING.encode()).decode().rstrip("="), "/cursor"),
        ("cursor=" + "A" * 201, "/cursor"),
        ("offset=5", "/offset"),
        ("Limit=5", "/Limit"),
    ],
)
def test_bad_pages(app: Served, noun: str, query: str, pointer: str) -> None:
    app.call("GET", f"/v1/{noun}?{query}").problem(422, pointer)


@pytest.mark.parametrize("noun", LISTED)
def test_pages_are_newest_first_and_join(app: Served, noun: str) -> None:
    everything = app.get(f"/v1/{noun}?limit=200")
    ids = [each["id"] for each in everything["data"]]
    assert everything["next_cursor"] is None
    assert ids == sorted(ids, reverse=True)
    paged, cursor = [], ""
    while cursor is not None:
        page = app.get(f"/v1/{noun}?limit=2&cursor={cursor}")
        assert 1 <= len(page["data"]) <= 2 or not ids
        paged += [each["id"] for each in page["data"]]
        cursor = page["next_cursor"]
    assert paged == ids


@pytest.mark.parametrize("noun", LISTED)
def test_a_cursor_belongs_to_its_list(app: Served, noun: str) -> None:
    for other in LISTED:
        reply = app.call("GET", f"/v1/{noun}?cursor={cursor_of(other, MISSING)}")
        assert (reply.status == 200) == (other == noun), f"GET /v1/{noun} with a cursor of {other}: {reply.status}"


def test_pages_are_stable_while_rows_come(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        for index in range(3):
            app.meta(envelope(incoming(f"wamid.{index}")))
        first = app.get("/v1/messages?limit=2")
        app.meta(envelope(incoming("wamid.3")))
        second = app.get(f"/v1/messages?limit=2&cursor={first['next_cursor']}")
        assert [each["wa_id"] for each in first["data"] + second["data"]] == ["wamid.2", "wamid.1", "wamid.0"]


TIMED = [noun for noun, parameters in LISTS.items() if "since" in parameters]


@pytest.mark.parametrize("noun", TIMED)
@pytest.mark.parametrize(
    "since",
    [
        "yesterday",
        "2026-05-06",
        "2026-05-06T03:39:23",
        "2026-13-06T03:39:23Z",
        "2026-05-06T24:39:23Z",
        "1778038763",
        "2026-05-06T03:39:23+25:00",
        "2026-05-06T03:39:60Z",
        "2026-W19-3T03:39:23Z",
        "２026-05-06T03:39:23Z",
    ],
)
def test_bad_times(app: Served, noun: str, since: str) -> None:
    app.call("GET", f"/v1/{noun}?since={quote(since)}").problem(422, "/since")


@pytest.mark.parametrize("noun", TIMED)
def test_since_begins_with_its_instant(app: Served, noun: str) -> None:
    everything = app.get(f"/v1/{noun}?limit=200")["data"]
    at = "received_at" if noun == "inbound" else "created_at"
    for instant in {each[at] for each in everything}:
        wanted = [each for each in everything if each[at] >= instant]
        for spelling in (instant, instant.replace("+00:00", "Z"), instant.replace("+", "%2B")):
            assert app.get(f"/v1/{noun}?limit=200&since={spelling}")["data"] == wanted
    assert app.get(f"/v1/{noun}?since=9999-12-31T23:59:59Z")["data"] == []
    assert app.get(f"/v1/{noun}?limit=200&since=0001-01-02T00:00:00%2B23:59")["data"] == everything


@pytest.mark.parametrize("noun", READ_BY_ID)
@pytest.mark.parametrize("identifier", [MISSING, "nonsense", "%00", "%FF%FE", "x" * 1000, MISSING[:-1] + "A", "a" * 24])
def test_unknown_ids_are_404(app: Served, noun: str, identifier: str) -> None:
    app.call("GET", f"/v1/{noun}/{identifier}").problem(404)


# --- events -----------------------------------------------------------------------------------------------------------


def test_events_are_filtered(app: Served) -> None:
    everything = app.get("/v1/events?limit=200")["data"]
    assert {each["name"] for each in everything} == {"conversations.insert", "messages.insert"}
    conversation = everything[0]["conversation_id"]
    account = everything[0]["account_id"]
    for query, wanted in (
        ("entity=messages", [each for each in everything if each["entity"] == "messages"]),
        ("entity=conversations&action=insert", [each for each in everything if each["entity"] == "conversations"]),
        ("action=update", []),
        (f"conversation_id={conversation}", [e for e in everything if e["conversation_id"] == conversation]),
        (f"conversation_id={chat_id(conversation)}", [e for e in everything if e["conversation_id"] == conversation]),
        (f"conversation_id={MISSING}", []),
        ("conversation_id=" + "a" * 24, []),
        (f"account={NUMBER}", everything),
        (f"account={account}", everything),
        ("account=unknown", []),
    ):
        assert app.get(f"/v1/events?limit=200&{query}")["data"] == wanted, query


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("events?entity=contacts", "/entity"),
        ("events?action=delete", "/action"),
        ("deliveries?state=lost", "/state"),
        ("conversations?status=half-open", "/status"),
        ("messages?direction=sideways", "/direction"),
        ("inbound?outcome=good", "/outcome"),
    ],
)
def test_bad_filters(app: Served, path: str, pointer: str) -> None:
    app.call("GET", f"/v1/{path}").problem(422, pointer)


def test_event_shows_the_row_as_it_was(app: Served) -> None:
    event = app.get("/v1/events?entity=messages")["data"][-1]
    assert app.get(f"/v1/events/{event['id']}") == event
    assert event["data"]["content"] == {"type": "text", "text": {"body": "Hello 0"}}
    assert (event["direction"], event["history"], event["external"]) == ("incoming", False, False)


def test_payloads_are_the_bytes_that_are_sent(app: Served) -> None:
    event_id = app.get("/v1/events?entity=messages")["data"][-1]["id"]
    (event,) = [each for each in app.run(app.world.events()) if each.id == event_id]
    for name, module in FORMATS.items():
        endpoint = Endpoint(id="", organization_id="", url="", format=name)
        reply = app.call("GET", f"/v1/events/{event_id}/payloads/{name}")
        body = module.encode(event, endpoint, SentAs(event_id))
        if body is None:
            reply.problem(404)
            continue
        assert reply.body == body
        assert reply.headers["content-type"] == "application/json"
    app.call("GET", f"/v1/events/{event_id}/payloads/xml").problem(404)
    conversation = app.get("/v1/events?entity=conversations")["data"][0]["id"]
    app.call("GET", f"/v1/events/{conversation}/payloads/chat").problem(404)


# --- conversations, messages, contacts --------------------------------------------------------------------------------


def test_conversation_rows(app: Served) -> None:
    conversation = app.get("/v1/conversations")["data"][-1]
    assert list(conversation)[:8] == [
        "id", "organization_id", "organization_address", "contact_address", "service", "status", "created_at",
        "updated_at",
    ]  # fmt: skip
    assert (conversation["organization_address"], conversation["contact_address"]) == (NUMBER, "5215500000000")
    assert conversation["group_id"] is None
    assert conversation["last_row_at"] > conversation["created_at"]
    assert app.get(f"/v1/conversations/{conversation['id']}") == conversation
    assert app.get(f"/v1/conversations/{chat_id(conversation['id'])}") == conversation
    message = app.get(f"/v1/conversations/{conversation['id']}/messages")["data"][0]
    assert app.get(f"/v1/conversations/{chat_id(message['id'])}") == conversation


def test_conversations_are_filtered(app: Served) -> None:
    everything = app.get("/v1/conversations")["data"]
    first = everything[-1]
    for query, wanted in (
        ("status=open", everything),
        ("status=closed", []),
        (f"account={NUMBER}", everything),
        ("account=unknown", []),
        (f"contact={first['contact_id']}", [first]),
        ("contact=5215500000000", [first]),
        ("contact=%2B5215500000000", [first]),
        ("contact=nobody", []),
    ):
        assert app.get(f"/v1/conversations?{query}")["data"] == wanted, query


def test_message_rows(app: Served) -> None:
    message = app.get("/v1/messages?direction=incoming")["data"][-1]
    assert list(message)[:4] == ["id", "conversation_id", "organization_id", "direction"]
    assert message["from"] == "5215500000000"
    assert message["contact"] == {"name": "Bharath", "phone": "5215500000000"}
    read = app.get(f"/v1/messages/{message['id']}")
    assert read == message | {"statuses": []}
    assert app.get(f"/v1/messages/{chat_id(message['id'])}") == read


def test_messages_show_what_meta_said_of_them(app: Served) -> None:
    (message,) = app.get("/v1/messages?direction=outgoing")["data"]
    assert (message["kind"], message["wa_id"]) == ("external", "wamid.ours")
    (told,) = app.get(f"/v1/messages/{message['id']}")["statuses"]
    assert (told["name"], told["at"], told["participant"]) == ("failed", "2026-05-06T03:39:26+00:00", None)
    assert told["errors"][0]["code"] == 131026


def test_statuses_of_one_second_stand_in_the_order_they_happened_in(each_store: None, tmp_path: Path) -> None:
    with served(tmp_path) as running:
        for name in ("read", "delivered", "sent"):
            running.meta(envelope(statuses(status("wamid.quick", name, 1_778_038_766, to="5215500000000"))))
        (message,) = running.get("/v1/messages?direction=outgoing")["data"]
        told = running.get(f"/v1/messages/{message['id']}")["statuses"]
        assert [each["name"] for each in told] == ["sent", "delivered", "read"]


def test_messages_are_filtered(app: Served) -> None:
    everything = app.get("/v1/messages")["data"]
    conversation = everything[0]["conversation_id"]
    wanted = [each for each in everything if each["conversation_id"] == conversation]
    for name in (conversation, chat_id(conversation)):
        assert app.get(f"/v1/messages?conversation_id={name}")["data"] == wanted
        assert app.get(f"/v1/conversations/{name}/messages")["data"] == wanted
    assert app.get(f"/v1/messages?account={NUMBER}")["data"] == everything
    assert app.get("/v1/messages?account=unknown")["data"] == []


def test_contacts(app: Served) -> None:
    contact = app.get("/v1/contacts")["data"][-1]
    assert (contact["name"], contact["phone"]) == ("Bharath", "5215500000000")
    assert app.get(f"/v1/contacts/{contact['id']}") == contact | {"aliases": ["5215500000000"], "former_aliases": []}
    assert app.get("/v1/contacts?alias=5215500000000")["data"] == [contact]
    assert app.get("/v1/contacts?alias=nobody")["data"] == []


def test_close_and_reopen(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        app.meta(envelope(incoming("wamid.1")))
        (first,) = app.get("/v1/conversations")["data"]
        path = f"/v1/conversations/{first['id']}"
        closed = app.post(f"{path}/close", status=200)
        assert closed["status"] == "closed"
        assert closed["updated_at"] > first["updated_at"]
        assert app.post(f"{path}/close", status=200) == closed
        assert app.get("/v1/events?entity=conversations&action=update")["data"][0]["changed"] == ["status"]
        reopened = app.post(f"/v1/conversations/{chat_id(first['id'])}/reopen", status=200)
        assert reopened["status"] == "open"
        assert app.post(f"{path}/reopen", status=200) == reopened
        assert len(app.get("/v1/events?entity=conversations&action=update")["data"]) == 2
        app.post(f"{path}/close", status=200)
        app.meta(envelope(incoming("wamid.2")))
        app.call("POST", f"{path}/reopen").problem(409)
        assert app.get(path)["status"] == "closed"
        (second,) = app.get("/v1/conversations?status=open")["data"]
        app.post(f"/v1/conversations/{second['id']}/close", status=200)
        assert app.post(f"{path}/reopen", status=200)["status"] == "open"


@pytest.mark.parametrize("verb", ["close", "reopen"])
@pytest.mark.parametrize("identifier", [MISSING, "nonsense", "a" * 24])
def test_unknown_conversations_are_404(app: Served, verb: str, identifier: str) -> None:
    app.call("POST", f"/v1/conversations/{identifier}/{verb}").problem(404)


# --- deliveries -------------------------------------------------------------------------------------------------------


def attempted(app: Served, delivery_id: str, *attempts: Attempt, state: DeliveryState) -> None:
    """Record attempts as the dispatcher does."""

    async def run() -> None:
        outbox = app.world.outbox
        lease = await outbox.renew("a test")
        endpoint_id = next(iter(app.world.store.registry().endpoints))
        work = await outbox.backlog(endpoint_id, partitions=lease.partitions, after="", limit=100)
        (delivery,) = [each.delivery for each in work if each.delivery.id == delivery_id]
        for attempt in attempts:
            delivery = replace(
                delivery,
                state=state,
                attempts=attempt.number,
                counted_attempts=attempt.number,
                first_attempt_at=app.clock.now(),
            )
            assert not await outbox.record([Result(delivery, attempt, lease.partitions[delivery.partition])])

    app.run(run())


def attempt(delivery_id: str, number: int, **more: Any) -> Attempt:
    return Attempt(
        delivery_id=delivery_id,
        organization_id="00000000-0000-7000-8000-000000000001",
        number=number,
        started_at=1_778_038_763_500_000,
        outcome="failed",
        cause="your server answered 500",
        url=HOOK,
        request_headers=(("webhook-id", "msg_1"), ("authorization", "***")),
        durations={"total": 12.5},
        **more,
    )


@pytest.fixture
def delivering(tmp_path: Path) -> Iterator[tuple[Served, str]]:
    """An app with one endpoint, and the id of its oldest delivery."""
    with served(tmp_path) as running:
        running.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row"})
        running.meta(envelope(incoming("wamid.1")))
        yield running, running.get("/v1/deliveries")["data"][-1]["id"]


def test_deliveries_with_attempts(delivering: tuple[Served, str]) -> None:
    app, delivery_id = delivering
    first = app.get(f"/v1/deliveries/{delivery_id}")
    assert (first["state"], first["attempt_count"], first["attempts"], first["sequence"]) == ("pending", 0, [], 1)
    attempted(
        app,
        delivery_id,
        attempt(delivery_id, 1, response_status=500, response_body=b"oh n\xc3\xb6", response_headers=(("a", "b"),)),
        attempt(delivery_id, 2, response_body=b"\xff\x00"),
        state=DeliveryState.FAILED,
    )
    read = app.get(f"/v1/deliveries/{delivery_id}")
    assert (read["state"], read["attempt_count"], read["cause"]) == ("failed", 2, "your server answered 500")
    assert read["next_attempt_at"] is None
    one, two = read["attempts"]
    assert one == {
        "number": 1,
        "started_at": "2026-05-06T03:39:23.5+00:00",
        "outcome": "failed",
        "cause": "your server answered 500",
        "url": HOOK,
        "request_headers": [["webhook-id", "msg_1"], ["authorization", "***"]],
        "response_status": 500,
        "response_headers": [["a", "b"]],
        "response_body": "oh nö",
        "response_body_base64": None,
        "durations": {"total": 12.5},
        "edited": [],
    }
    assert (two["response_status"], two["response_body"], two["response_body_base64"]) == (None, None, "/wA=")
    assert app.get(f"/v1/deliveries/{delivery_id}/attempts") == {"data": [one, two], "next_cursor": None}
    (listed,) = app.get("/v1/deliveries?state=failed")["data"]
    assert listed == {name: value for name, value in read.items() if name != "attempts"}


def test_deliveries_are_filtered(app: Served) -> None:
    everything = app.get("/v1/deliveries?limit=200")["data"]
    some = everything[0]
    for query, wanted in (
        (f"endpoint_id={some['endpoint_id']}", everything),
        (f"endpoint_id={MISSING}", []),
        ("state=pending", everything),
        ("state=failed", []),
        (f"event_id={some['event_id']}", [some]),
        (
            f"conversation_id={some['conversation_id']}",
            [each for each in everything if each["conversation_id"] == some["conversation_id"]],
        ),
        (f"until={some['created_at']}", [each for each in everything if each["created_at"] < some["created_at"]]),
        (f"since={some['created_at']}&until={some['created_at']}", []),
    ):
        assert app.get(f"/v1/deliveries?limit=200&{query}")["data"] == wanted, query


@pytest.mark.parametrize("state", list(DeliveryState))
def test_replay_is_legal_in_any_state(delivering: tuple[Served, str], state: DeliveryState) -> None:
    app, delivery_id = delivering
    app.write(lambda c: _set_state(c, delivery_id, state))
    before = app.get(f"/v1/deliveries/{delivery_id}")
    app.clock.move(HOUR)
    replayed = app.post(f"/v1/deliveries/{delivery_id}/replay", status=202)
    assert (replayed["state"], replayed["lane"], replayed["replay"]) == ("pending", "replay", 1)
    assert (replayed["webhook_id"], replayed["next_attempt_at"]) == (before["webhook_id"], "2026-05-06T04:39:23+00:00")
    assert app.outside.woken == 1
    outbox = app.world.outbox
    due = app.run(outbox.due(app.clock.now(), partitions=range(PARTITIONS), limit=10))
    assert [(work.delivery.id, work.delivery.counted_attempts) for work in due] == [(delivery_id, 0)]
    again = app.post(f"/v1/deliveries/{delivery_id}/replay", {"new_id": True}, status=202)
    assert again["replay"] == 2
    assert again["webhook_id"].startswith("msg_")
    assert again["webhook_id"] != before["webhook_id"]


def _set_state(connection: Connection, delivery_id: str, state: DeliveryState) -> None:
    connection.execute(
        text("UPDATE deliveries SET state = :state, counted_attempts = 9, attempts = 9 WHERE id = :id"),
        {"state": state.value, "id": delivery_id},
    )


def test_replay_waits_while_its_endpoint_is_paused(delivering: tuple[Served, str]) -> None:
    app, delivery_id = delivering
    endpoint_id = app.get(f"/v1/deliveries/{delivery_id}")["endpoint_id"]
    app.post(f"/v1/webhook-endpoints/{endpoint_id}/pause", status=200)
    assert app.post(f"/v1/deliveries/{delivery_id}/replay", status=202)["state"] == "parked"
    app.post(f"/v1/webhook-endpoints/{endpoint_id}/resume", status=200)
    after = app.get(f"/v1/deliveries/{delivery_id}")
    assert (after["state"], after["lane"]) == ("pending", "replay")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"new_id": "yes"}, "/new_id"),
        ({"url": "http://10.0.0.1/in"}, "/url"),
        ({"url": ""}, "/url"),
        ({"body": "text"}, "/body"),
        ({"headers": {}}, "/headers"),
        ([], ""),
        (5, ""),
    ],
)
def test_bad_replays(app: Served, body: Any, pointer: str) -> None:
    some = app.get("/v1/deliveries")["data"][0]
    app.call("POST", f"/v1/deliveries/{some['id']}/replay", body).problem(422, pointer)
    assert app.get(f"/v1/deliveries/{some['id']}")["replay"] == 0


@pytest.mark.parametrize("suffix", ["/replay", "/attempts"])
@pytest.mark.parametrize("identifier", [MISSING, "nonsense"])
def test_unknown_deliveries_are_404(app: Served, suffix: str, identifier: str) -> None:
    app.call("POST" if suffix == "/replay" else "GET", f"/v1/deliveries/{identifier}{suffix}").problem(404)


# --- inbound ----------------------------------------------------------------------------------------------------------


def test_inbound_shows_items_and_the_exact_body(app: Served) -> None:
    oldest = app.get("/v1/inbound")["data"][-1]
    (item,) = oldest["items"]
    assert (item["outcome"], item["kind"], item["wamid"]) == ("applied", "text", "wamid.0")
    read = app.get(f"/v1/inbound/{oldest['id']}")
    assert read["body"] == envelope(incoming("wamid.0", "Hello 0", sender="5215500000000"))
    assert read["body_base64"] is None
    assert {name: read[name] for name in oldest} == oldest


def test_body_that_only_our_parser_took_comes_as_base64(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        raw = b'{"entry": "\\ud800"}'
        assert app.meta(raw).status == 200
        (kept,) = app.get("/v1/inbound")["data"]
        read = app.get(f"/v1/inbound/{kept['id']}")
        assert (read["body"], base64.b64decode(read["body_base64"])) == (None, raw)


def test_numbers_keep_their_text(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        raw = b'{"entry": [], "odd": [1.0, 1E5, 12345678901234567890123]}'
        app.meta(raw)
        (kept,) = app.get("/v1/inbound")["data"]
        assert raw in app.call("GET", f"/v1/inbound/{kept['id']}").body


def test_reapply(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        app.meta(envelope(statuses_of_nobody()))
        (held,) = app.get("/v1/inbound?outcome=held")["data"]
        path = f"/v1/inbound/{held['id']}"
        assert app.post(f"{path}/reapply", status=202)["outcome"] == "held"
        assert app.post(f"{path}/reapply", {"pointers": []}, status=202)["outcome"] == "held"
        app.call("POST", f"{path}/reapply", {"pointers": ["/nowhere"]}).problem(422, "/pointers/0")
        app.call("POST", f"{path}/reapply", {"pointers": "x"}).problem(422, "/pointers")
        app.call("POST", f"{path}/reapply", {"all": True}).problem(422, "/all")
        app.call("POST", f"/v1/inbound/{MISSING}/reapply").problem(404)
        applied = app.post(f"/v1/inbound/{_received(app)}/reapply", status=202)
        assert applied["outcome"] == "applied"


def statuses_of_nobody() -> dict[str, Any]:
    return statuses(status("wamid.unknown", "delivered", to=None))


def _received(app: Served) -> str:
    app.meta(envelope(incoming("wamid.1")))
    return str(app.get("/v1/inbound?outcome=applied")["data"][0]["id"])
