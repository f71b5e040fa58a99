"""`/v1/deliveries` by `webhook-id`, contact and message, on both stores and by their indexes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from tests.served import HOOK, MISSING, Served, served
from tests.world import CUSTOMER, KIND, envelope, incoming, status, statuses

from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.stores.queries import deliveries
from tellwire.stores.queries.deliveries import DeliveryFilter
from tellwire.stores.queries.paging import PageRequest

OTHER = "447700900123"


@pytest.fixture
def app(tmp_path: Path, each_store: None) -> Iterator[Served]:
    """Two people who write two messages each, and two endpoints."""
    with served(tmp_path) as running:
        for _ in range(2):
            running.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row"})
        for number in range(2):
            for sender in (CUSTOMER, OTHER):
                wamid = f"wamid.{sender}.{number}"
                assert running.meta(envelope(incoming(wamid, sender=sender))).status == 200
        yield running


def listed(app: Served, query: str = "") -> list[dict[str, Any]]:
    """All deliveries of a filter, in pages of three."""
    found, cursor = [], ""
    while True:
        page = app.get(f"/v1/deliveries?limit=3&{query}{cursor}")
        found += page["data"]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


def event_of(app: Served, delivery: dict[str, Any]) -> Any:
    return app.get(f"/v1/events/{delivery['event_id']}")


def test_by_webhook_id_before_and_after_replays(app: Served) -> None:
    everything = listed(app)
    for each in everything:
        assert [found["id"] for found in listed(app, f"webhook_id={each['webhook_id']}")] == [each["id"]]
    one = everything[2]
    same = app.post(f"/v1/deliveries/{one['id']}/replay", status=202)["webhook_id"]
    assert same == one["webhook_id"]
    fresh = app.post(f"/v1/deliveries/{one['id']}/replay", {"new_id": True}, status=202)["webhook_id"]
    assert fresh != same
    for name in (same, fresh):
        assert [found["id"] for found in listed(app, f"webhook_id={name}")] == [one["id"]]
    for nothing in (f"msg_{MISSING.replace('-', '')}", "msg_", "nonsense", "msg_test_" + "0" * 32, "%00", "%C3%A9"):
        assert listed(app, f"webhook_id={nothing}") == []


def test_by_contact_in_every_spelling(app: Served) -> None:
    everything = listed(app)
    [contact] = [each for each in app.get("/v1/contacts")["data"] if each["phone"] == OTHER]
    [conversation] = app.get(f"/v1/conversations?contact={OTHER}")["data"]
    wanted = [each for each in everything if each["conversation_id"] == conversation["id"]]
    assert 0 < len(wanted) < len(everything)
    for name in (contact["id"], OTHER, f"%2B{OTHER}"):
        assert listed(app, f"contact={name}") == wanted
    assert listed(app, f"contact={MISSING}") == []
    both = listed(app, f"contact={OTHER}&endpoint_id={wanted[0]['endpoint_id']}")
    assert both == [each for each in wanted if each["endpoint_id"] == wanted[0]["endpoint_id"]]
    assert listed(app, f"contact={OTHER}&state=failed") == []


def test_by_their_own_ids(app: Served) -> None:
    some = [each["id"] for each in listed(app)][1:3]
    assert [each["id"] for each in listed(app, f"ids={','.join(reversed(some))}")] == some
    assert listed(app, f"ids={MISSING},nonsense,") == []
    assert listed(app, "ids=,") == []
    app.call("GET", f"/v1/deliveries?ids={'x' * 7401}").problem(422, "/ids")


def test_by_message_with_what_became_of_it_later(app: Served) -> None:
    sent = app.meta(envelope(statuses(status("wamid.ours", "sent"), status("wamid.ours", "delivered"))))
    assert sent.status == 200
    everything = listed(app)
    of_message: dict[str, list[str]] = {}
    for each in everything:
        row = event_of(app, each)
        if row["entity"] == "messages":
            of_message.setdefault(row["message_id"], []).append(each["id"])
    assert len(of_message) == 5
    assert max(map(len, of_message.values())) > 2
    for message_id, wanted in of_message.items():
        assert [each["id"] for each in listed(app, f"message_id={message_id}")] == wanted
    assert listed(app, f"message_id={MISSING}") == []
    mixed = f"message_id={next(iter(of_message))}&contact={OTHER}&webhook_id={everything[0]['webhook_id']}"
    assert len(listed(app, mixed)) <= 1


@pytest.mark.parametrize("chosen", ["webhook_id", "party", "message_id"])
def test_each_filter_finds_its_index(app: Served, chosen: str) -> None:
    if KIND.get() != "sqlite":
        pytest.skip("PostgreSQL chooses by statistics")
    some = listed(app)[0]
    name = {
        "webhook_id": some["webhook_id"],
        "party": app.get("/v1/contacts")["data"][0]["id"],
        "message_id": app.get("/v1/messages")["data"][0]["id"],
    }[chosen]

    def work(connection: Connection) -> str:
        statements: list[str] = []
        raw: Any = connection.connection.driver_connection
        raw.set_trace_callback(statements.append)
        deliveries.page(connection, DEFAULT_ORGANIZATION, DeliveryFilter(**{chosen: name}), PageRequest(10))
        raw.set_trace_callback(None)
        asked = [each for each in statements if each.startswith("SELECT")]
        assert asked
        return "\n".join(str(row) for each in asked for row in raw.execute(f"EXPLAIN QUERY PLAN {each}").fetchall())

    plan = app.run(app.world.store.read(work))
    for table in ("deliveries", "events", "conversations", "messages"):
        assert f"SCAN {table}" not in plan, plan
    wanted = {"webhook_id": "deliveries_renamed", "party": "conversations_by_party", "message_id": "events_by_conv"}
    assert wanted[chosen] in plan
    assert "(organization_id=?)" not in plan, plan  # nor all that is the organization's
