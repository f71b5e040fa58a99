"""The source documents' examples of outgoing messages, for messages that a person sends through the API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text
from tests.acceptance.test_api_sending import with_token
from tests.inbox.sends import accepted, named, own
from tests.served import HOOK, Served, served
from tests.world import NUMBER, START, envelope, incoming, status, statuses

from tellwire.conversations import outgoing
from tellwire.meta.errors import status_errors
from tellwire.model.agents import Agent
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.stores.records import sending_rows

SECOND = 1_000_000
CUSTOMER = "919876543210"
HELLO = {"type": "text", "text": {"body": "Hi! How can I help you today?"}}
PRICING = {"billable": False, "pricing_model": "PMP", "category": "utility", "type": "free_customer_service"}
ERROR = {
    "code": 131026,
    "title": "Message undeliverable",
    "message": "Message undeliverable",
    "error_data": {"details": "Message Undeliverable."},
}


def a_person(app: Served) -> str:
    """An agent who is a person."""
    agent = Agent(
        id=app.world.store.new_id(), organization_id=DEFAULT_ORGANIZATION, name="Asha", created_at=1, updated_at=1
    )

    def insert(connection: Connection) -> None:
        values = sending_rows.agent_values(agent, app.world.store.vault)
        names = ", ".join(values)
        places = ", ".join(f":{name}" for name in values)
        connection.execute(text(f"INSERT INTO agents({names}) VALUES ({places})"), values)
        connection.execute(text("UPDATE facts SET value = value + 1 WHERE name = 'registry'"))

    app.write(insert)
    return agent.id


def payloads(app: Served, conversation_id: str, format_name: str) -> list[Any]:
    """What subscribers are sent of a conversation, in order; nothing of what has no place in the format."""
    found = app.get(f"/v1/events?conversation_id={conversation_id}&limit=200")["data"]
    replies = [app.call("GET", f"/v1/events/{each['id']}/payloads/{format_name}") for each in reversed(found)]
    return [reply.json for reply in replies if reply.status == 200]


def delivered(app: Served, endpoint_id: str) -> list[Any]:
    endpoint = app.world.store.registry().endpoints[endpoint_id]
    return app.run(app.world.delivered(endpoint))


def test_what_an_agent_sends_comes_out_as_in_the_documents(tmp_path: Path, each_store: None) -> None:
    with served(tmp_path) as app:
        with_token(app)
        full = app.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row"})["id"]
        changed = app.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row", "updates": "changed"})["id"]
        chat = app.post("/v1/webhook-endpoints", {"url": HOOK, "format": "chat"})["id"]
        assert app.meta(envelope(incoming("wamid.in", sender=CUSTOMER))).status == 200
        agent_id = a_person(app)
        app.clock.move(2 * SECOND)
        body = {"account": NUMBER, "to": CUSTOMER, **HELLO, "agent_id": agent_id}
        made = app.post("/v1/messages", body, status=202)
        message = app.run(named(app.world, made["id"]))
        app.run(
            own(
                app.world,
                message,
                lambda ledger: outgoing.claim(
                    ledger, ledger.registry.accounts[NUMBER], message.id, epoch=1, tries_until=2**60
                ),
            )
        )
        app.run(accepted(app.world, message, "wamid.out"))
        at = START // SECOND
        for name, seconds in (("sent", 3), ("delivered", 4), ("read", 12)):
            app.clock.at = START + seconds * SECOND
            item = status("wamid.out", name, at + seconds, to=CUSTOMER, pricing=PRICING)
            assert app.meta(envelope(statuses(item))).status == 200

        insert = next(p for p in delivered(app, full) if p["data"]["id"] == made["id"])
        wanted = {
            "id": made["id"],
            "conversation_id": made["conversation_id"],
            "organization_id": DEFAULT_ORGANIZATION,
            "direction": "outgoing",
            "agent_id": agent_id,
            "content": HELLO,
            "status": {"pending": "2026-05-06T03:39:25+00:00"},
            "created_at": "2026-05-06T03:39:25+00:00",
        }
        assert json.dumps(dict(list(insert["data"].items())[: len(wanted)])) == json.dumps(wanted)
        assert list(insert["data"])[len(wanted) :] == ["updated_at", "to", "contact"]
        assert list(insert.items())[1:] == [("entity", "messages"), ("action", "insert")]

        update = {
            "data": {
                "id": made["id"],
                "status": {
                    "pending": "2026-05-06T03:39:25+00:00",
                    "sent": "2026-05-06T03:39:26+00:00",
                    "delivered": "2026-05-06T03:39:27+00:00",
                    "read": "2026-05-06T03:39:35+00:00",
                },
                "updated_at": "2026-05-06T03:39:35+00:00",
            },
            "entity": "messages",
            "action": "update",
        }
        steps = [p for p in delivered(app, changed) if p["data"]["id"] == made["id"] and p["action"] == "update"]
        assert [list(p["data"]) for p in steps] == [
            ["id", "wa_id", "updated_at"],
            ["id", "status", "pricing", "updated_at"],
            ["id", "status", "updated_at"],
            ["id", "status", "updated_at"],
        ]
        assert json.dumps(steps[-1]) == json.dumps(update)

        told = [p for p in delivered(app, chat) if p["message_type"] == "status_update"]
        assert [p["statuses"][0]["status"] for p in told] == ["sent", "delivered", "read"]
        assert json.dumps(told[1]) == json.dumps(
            status_update(
                told[1],
                {"status": "delivered", "timestamp": str(at + 4)},
                {"meta_billable": False, "meta_category": "utility", "meta_type": "free_customer_service"},
            )
        )


def status_update(given: Any, item: dict[str, Any], pricing: dict[str, Any]) -> dict[str, Any]:
    """The second document's example."""
    return {
        "messaging_product": "whatsapp",
        "message_type": "status_update",
        "participants": {
            "sender": {"from": CUSTOMER, "profile": {"name": "Bharath"}},
            "receiver": {"to": "919123456789"},
        },
        "statuses": [
            {"conversation_id": given["statuses"][0]["conversation_id"], **item, "meta_pricing": pricing},
        ],
    }


@pytest.mark.parametrize("by", ["a status", "the answer to the send"])
def test_a_failure_comes_out_as_in_the_second_document(tmp_path: Path, by: str) -> None:
    with served(tmp_path) as app:
        with_token(app)
        app.meta(envelope(incoming("wamid.in", sender=CUSTOMER)))
        body = {"account": NUMBER, "to": CUSTOMER, **HELLO}
        made = app.post("/v1/messages", body, status=202)
        message = app.run(named(app.world, made["id"]))
        if by == "a status":
            app.run(accepted(app.world, message, "wamid.out"))
            item = status("wamid.out", "failed", START // SECOND, to=CUSTOMER, errors=[ERROR | {"href": "https://x"}])
            app.meta(envelope(statuses(item)))
        else:
            account = app.world.store.registry().accounts[NUMBER]
            errors = status_errors(json.dumps([ERROR]).encode())
            app.run(own(app.world, message, lambda g: outgoing.fail(g, account, message.id, errors, "131026")))
        told = payloads(app, made["conversation_id"], "chat")[-1]
        none = {"meta_billable": False, "meta_category": "", "meta_type": ""}
        item = {"status": "failed", "timestamp": str(START // SECOND), "errors": [ERROR]}
        assert json.dumps(told) == json.dumps(status_update(told, item, none))
        row = payloads(app, made["conversation_id"], "row")[-1]["data"]
        assert list(row["status"]) == ["pending", "failed", "errors"]
        assert row["status"]["errors"] == [ERROR]
