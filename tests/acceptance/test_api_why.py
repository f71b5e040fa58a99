"""`/v1/why`: whatever somebody knows of something leads to the whole way of its message, on both stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, delete, insert, select
from tests.acceptance.test_api_sending import with_token
from tests.attempts import attempted, of_endpoint
from tests.served import HOOK, SETTINGS, Served, served
from tests.world import CUSTOMER, NUMBER, contact, envelope, incoming, status, statuses, text_message, value

from tellwire.formats.chat import ids as chat_ids
from tellwire.model.deliveries import DeliveryState
from tellwire.stores.schema.tables import messages

OTHER = "447700900123"
WAMID = "wamid.HBgNNTIxNTU4ODM5MjI3NBUCABIYFDNB"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, each_store: None) -> Iterator[Served]:
    """Two people who wrote, an endpoint that fails, one that is told, one that takes other things."""
    with served(tmp_path_factory.mktemp("why"), settings=replace(SETTINGS, auto_accounts=False)) as running:
        with_token(running)
        made = [
            {"description": "warehouse", "events": ["messages.insert"]},
            {"description": "shop-crm", "events": ["messages.insert"]},
            {"description": "archive", "events": ["conversations.update"]},
        ]
        for each in made:
            running.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row", **each})
        assert running.meta(envelope(incoming(WAMID, "Where is order 17?", name="María Pérez"))).status == 200
        assert (
            running.meta(envelope(incoming("wamid.170", "Where is order 170?", sender=OTHER, name="Bob"))).status == 200
        )
        attempted(running, of_endpoint(running, endpoint(running, "warehouse")), DeliveryState.FAILED,
                  cause="your server answered 401", status=401, times=13)  # fmt: skip
        attempted(running, of_endpoint(running, endpoint(running, "shop-crm")), DeliveryState.DELIVERED, status=200)
        yield running


def endpoint(app: Served, name: str) -> str:
    found = app.get("/v1/webhook-endpoints?limit=200")["data"]
    return str(next(each["id"] for each in found if each["description"] == name))


def why(app: Served, text: str, **options: Any) -> Any:
    return app.get(f"/v1/why?q={quote(text)}", **options)


def message(app: Served) -> Any:
    return app.get("/v1/messages")["data"][-1]


def steps(found: Any) -> dict[str, Any]:
    """The steps of a journey by their kinds; endpoints by their names."""
    return {
        step["title"].partition(" ")[0] if step["kind"] == "endpoint" else step["kind"]: step
        for step in found["journey"]["steps"]
    }


def _first(path: str, key: str = "id") -> Callable[[Served], str]:
    return lambda app: str(app.get(path)["data"][-1][key])


ASKED: dict[str, Callable[[Served], str]] = {
    "wamid": lambda _: WAMID,
    "message id": lambda app: message(app)["id"],
    "message id in capitals": lambda app: message(app)["id"].upper(),
    "delivery id": _first("/v1/deliveries"),
    "webhook-id": _first("/v1/deliveries", "webhook_id"),
    "event id": lambda app: next(
        e["id"] for e in app.get("/v1/events")["data"][::-1] if e["name"] == "messages.insert"
    ),
    "received POST": _first("/v1/inbound"),
    "shown id of a message": lambda app: chat_ids.shown(message(app)["id"]),
    "text": lambda _: "order 17",
    "text in other letters": lambda _: "  ORDER   17",
    "phone with spaces": lambda _: f"+{CUSTOMER[:2]} {CUSTOMER[2:5]} {CUSTOMER[5:]}",
    "phone": lambda _: CUSTOMER,
    "phone in another spelling": lambda _: "525588392274",
    "name": lambda _: "maría",
    "contact id": _first("/v1/contacts"),
}
"""Everything that leads to the message about order 17."""


@pytest.mark.parametrize("kind", ASKED)
def test_whatever_is_known_of_a_message_leads_to_its_journey(app: Served, kind: str) -> None:
    found = why(app, ASKED[kind](app))
    assert found["journey"], found
    assert found["journey"]["message"]["id"] == message(app)["id"]
    assert found["journey"]["contact"]["name"] == "María Pérez"


def test_nobody_else_finds_any_of_it(app: Served) -> None:
    key = app.key("read", organization=app.organization())
    for kind, text in ASKED.items():
        found = why(app, text(app), key=key)
        assert (found["matches"], found["journey"]) == ([], None), kind


def test_a_journey_tells_in_words_what_happened_and_what_to_do(app: Served) -> None:
    found = steps(why(app, WAMID))
    assert list(found) == ["written", "received", "verified", "stored", "warehouse", "shop-crm", "archive"]
    assert found["received"]["detail"] == "POST /meta/webhook, alone in its POST."
    assert found["stored"]["detail"] == f"In the conversation with María Pérez (+{CUSTOMER}), which it opened."
    failed = found["warehouse"]
    assert (failed["state"], failed["title"]) == ("failed", "warehouse did not take it")
    assert failed["detail"] == "Your server answered 401. Given up, tried 13 times."
    assert failed["remedy"].startswith("It refused our signature or token.")
    assert (failed["attempts"], failed["deliveries"][0]["status"]) == (13, 401)
    assert (found["shop-crm"]["state"], found["shop-crm"]["detail"]) == ("done", "It answered 200 in 38 ms.")
    untold = found["archive"]
    assert (untold["state"], untold["title"]) == ("skipped", "archive was not told")
    assert untold["detail"] == "It takes conversations.update only, and this is messages.insert."


def test_a_message_of_ours_says_who_wrote_it_and_what_it_waits_for(app: Served) -> None:
    key = app.post("/v1/api-keys", {"name": "till"})["key"]
    draft = {"account": NUMBER, "to": OTHER, "type": "text", "text": {"body": "It left today"}}
    made = app.post("/v1/messages", draft, key=key, status=202)
    found = steps(why(app, made["id"]))
    assert found["written"]["title"] == "The API key till wrote it"
    assert (found["queued"]["state"], found["queued"]["title"]) == ("waiting", "It is not sent yet")
    assert "received" not in found


def test_what_meta_sent_for_nobody_is_told_to_operators_only(app: Served) -> None:
    said = value(number="990000000001", contacts=[contact()], messages=[text_message("wamid.nobodys", "Hello?")])
    body = envelope(said)
    assert app.meta(body).status == 200
    found = why(app, "wamid.nobodys")
    ((hit,), (kind, state)) = found["matches"], ("inbound", "missing")
    assert (hit["kind"], found["journey"]["message"]) == (kind, None)
    step = steps(found)["stored"]
    assert (step["state"], step["title"]) == (state, "Not stored: it is routed to nobody")
    assert "990000000001" in step["detail"]
    assert [each["kind"] for each in why(app, "990000000001")["matches"]] == ["inbound"]
    assert why(app, "wamid.nobodys", key=app.key("read"))["matches"] == []
    assert why(app, hit["id"])["journey"]["steps"] == found["journey"]["steps"]


def test_what_waits_for_a_message_says_for_which(app: Served) -> None:
    edit = {"type": "edit", "edit": {"original_message_id": "wamid.unknown", "message": {"type": "text"}}}
    said = {"from": CUSTOMER, "id": "wamid.edit", "timestamp": "1778038763", **edit}
    assert app.meta(envelope(value(contacts=[contact(name="María Pérez")], messages=[said]))).status == 200
    step = steps(why(app, "wamid.edit"))["stored"]
    assert (step["state"], step["title"]) == ("waiting", "Held back")
    assert step["detail"] == "It edits a message that has not come."


def test_who_was_erased_is_not_found_and_the_answer_says_why(app: Served) -> None:
    gone = "351910000001"
    assert app.meta(envelope(incoming("wamid.gone", "Forget me", sender=gone, name="Zé"))).status == 200
    assert why(app, gone)["journey"]["message"]["wa_id"] == "wamid.gone"
    person = app.get(f"/v1/contacts?alias={gone}")["data"][0]["id"]
    assert app.call("DELETE", f"/v1/contacts/{person}").status == 202
    for text in (gone, "wamid.gone"):
        found = why(app, text)
        assert (found["matches"], found["journey"]) == ([], None)
        assert found["notes"][0].startswith("Somebody or something with this address or id was erased")
    assert why(app, "Forget me")["matches"] == []


def test_a_person_with_several_messages_leads_to_all_of_them(app: Served) -> None:
    sender = "447700900999"
    for number in range(3):
        assert app.meta(envelope(incoming(f"wamid.many{number}", "Hi", sender=sender, name="Many"))).status == 200
    for text in (sender, "many"):
        found = why(app, text)
        assert [each["kind"] for each in found["matches"]] == ["contact", "message", "message", "message"]
        assert found["journey"] is None


def test_everything_of_ours_is_found_by_its_id(app: Served) -> None:
    shown = {
        "account": app.get("/v1/accounts")["data"][0]["id"],
        "endpoint": endpoint(app, "archive"),
        "conversation": app.get("/v1/conversations")["data"][-1]["id"],
        "agent": app.post("/v1/agents", {"name": "Asha", "kind": "human"})["id"],
        "source": app.post("/v1/sources", {"name": "old", "kind": "wakit", "account": NUMBER})["id"],
        "media": app.upload(b"a file", ("account", NUMBER)).json["id"],
    }
    for kind, identifier in shown.items():
        assert [each["kind"] for each in why(app, identifier)["matches"]] == [kind], kind


def test_meta_tells_what_became_of_a_message_that_went_out(app: Served) -> None:
    at = 1_778_038_800
    for name in ("sent", "delivered", "read"):
        at += 1
        assert app.meta(envelope(statuses(status("wamid.elsewhere", name, at, to=OTHER)))).status == 200
    found = why(app, "wamid.elsewhere")["journey"]
    told = [(step["kind"], step["state"], step["at"]) for step in found["steps"][-3:]]
    assert told == [
        ("sent", "done", "2026-05-06T03:40:01+00:00"),
        ("delivered", "done", "2026-05-06T03:40:02+00:00"),
        ("read", "done", "2026-05-06T03:40:03+00:00"),
    ]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 422),
        ("?q=", 422),
        ("?q=%20", 422),
        ("?q=a%00b", 422),
        ("?q=%F0%9F%98%80%27%22%25_", 200),
        ("?q=" + "x" * 513, 422),
        ("?q=(((", 200),
        ("?q=x&r=1", 422),
    ],
)
def test_any_text_is_answered(app: Served, query: str, status: int) -> None:
    reply = app.call("GET", f"/v1/why{query}")
    assert reply.status == status, reply.body
    if status == 200:
        assert reply.json["matches"] == []


@pytest.mark.parametrize("given", ["", "order-17/try-1", "0197a000-0000-7000-8000-00000000beef"])
def test_a_request_to_send_leads_to_its_message(app: Served, given: str) -> None:
    """By the id that the caller gave it, or that it was given; not for another organization."""
    draft = {"account": NUMBER, "to": OTHER, "type": "text", "text": {"body": "It left today"}}
    headers = {"x-request-id": given} if given else {}
    sent = app.call("POST", "/v1/messages", draft, headers=headers)
    asked = sent.headers["x-request-id"]
    assert (sent.status, given in ("", asked)) == (202, True)
    found = why(app, asked)
    assert "a request id" in found["looked_for"]
    assert found["journey"]["message"]["id"] == sent.json["id"]
    assert why(app, asked, key=app.key("admin", organization=app.organization()))["matches"] == []


def test_a_request_id_that_sent_nothing_is_in_the_log_only(app: Served) -> None:
    found = why(app, "req_" + "0" * 32)
    assert (found["looked_for"], found["matches"]) == (["a request id"], [])
    assert "server's log" in found["notes"][0]


def test_a_search_that_was_cut_says_so(app: Served) -> None:
    def many(connection: Connection) -> None:
        made = connection.execute(select(messages).limit(1)).one()._mapping
        rows = [{**made, "id": f"019d0000-0000-7000-8000-{n:012d}", "wamid": f"wamid.old{n}"} for n in range(5001)]
        connection.execute(insert(messages), rows)

    def none(connection: Connection) -> None:
        connection.execute(delete(messages).where(messages.c.id.startswith("019d0000")))

    app.write(many)
    try:
        found = why(app, "words that nobody wrote")
        assert found["notes"][0] == "Only the newest messages were searched for the text: 5,000 at the most."
    finally:
        app.write(none)
