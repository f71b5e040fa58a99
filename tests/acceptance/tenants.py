"""Two organizations that have one row of everything each, under words that occur nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Table, insert, select
from tests.served import Served
from tests.world import START, envelope, text_message, value

from tellwire.accounts.templates import Template
from tellwire.endpoints.failures import Failure
from tellwire.formats.chat import ids as chat_ids
from tellwire.model.agents import AgentRun
from tellwire.model.deliveries import Attempt
from tellwire.stores.queries import failures as failure_queries
from tellwire.stores.queries import templates as template_queries
from tellwire.stores.records import attempt_rows, sending_rows
from tellwire.stores.schema import tables
from tellwire.stores.schema.tables import metadata

NOBODYS = "words-of-nobody"
"""Stands in items that are no organization's."""
CUSTOMER = "5215500000077"
"""A person who writes to both."""


class Tenant(Struct, frozen=True):
    """An organization. `word`: stands in all that is its own; `ids`: names of what it has, by kind."""

    id: str
    word: str
    number: str
    waba: str
    token: str
    admin: str
    ids: dict[str, list[str]]

    @property
    def marks(self) -> set[str]:
        """What must not be told to others."""
        return {self.word, self.id, self.number, self.waba, *(each for ids in self.ids.values() for each in ids)}


def found(app: Served, word: str, number: str) -> Tenant:
    """Found an organization, with one row of everything; Meta shows it its own number and business account."""
    organization, waba, token = app.organization(f"{word} organization"), f"9{number}", f"{word}-token"
    app.outside.shows[token] = {number: {"id": number}, waba: {"id": waba}}
    key, there = app.key("admin", organization=organization), {"tellwire-organization": organization}
    agent = app.post("/v1/agents", {"name": f"{word} agent", "kind": "human"}, key=key)["id"]
    account = {"phone_number_id": number, "name": f"{word} account", "waba_id": waba, "access_token": token}
    app.post("/v1/accounts", account | {"app_secret": f"{word}-app-secret"}, key=key)
    endpoint = app.post(
        "/v1/webhook-endpoints",
        {"url": f"https://{word}.example.com/in", "format": "row", "description": f"{word} endpoint"},
        key=key,
    )["id"]
    app.post("/v1/api-keys", {"name": f"{word} key"}, key=key)
    app.post("/v1/sources", {"name": f"{word} source", "kind": "wakit", "account": number}, key=key)
    for email in (f"{word}@example.com", f"{word}-too@example.com"):  # the last owner could not be deleted
        app.post("/v1/members", {"email": email, "name": f"{word} owner", "role": "owner"}, key=key)
    app.post("/v1/login-links", {"email": f"{word}@example.com"}, key=key)
    app.post("/v1/portal-links", {"name": f"{word} guests", "endpoint_id": endpoint}, key=key)
    app.upload(f"{word} file".encode(), ("account", number), name=f"{word}.png", key=key)
    card = {"wa_id": CUSTOMER, "profile": {"name": f"{word} customer"}}
    said = [text_message(wamid, f"{word} says", sender=CUSTOMER) for wamid in ("wamid.of-both", f"wamid.{word}")]
    assert app.meta(envelope(value(number=number, contacts=[card], messages=said), waba=waba)).status == 200
    draft = {"account": number, "to": CUSTOMER, "type": "text", "text": {"body": f"{word} answers"}}
    app.post("/v1/messages", draft, key=key, status=202)
    wanted = {"since": "2026-05-01T00:00:00Z", "include": "failed"}
    app.post(f"/v1/webhook-endpoints/{endpoint}/recover", wanted, key=key, status=202)
    label = app.post("/v1/labels", {"name": f"{word} label"}, key=key)["id"]
    talk = f"/v1/conversations/{app.get('/v1/conversations', key=key)['data'][0]['id']}"
    app.post(f"{talk}/labels/{label}", key=key, status=200)
    app.post(f"{talk}/assign", {"agent_id": agent}, key=key, status=200)
    app.post(f"{talk}/notes", {"text": f"{word} note"}, key=key)
    app.write(lambda c: _more(c, app.world.store.new_id, organization, word, agent))
    return Tenant(organization, word, number, waba, token, key, _names(app, number, endpoint, there))


def shared_post(app: Served, *tenants: Tenant) -> str:
    """Have Meta send one POST for all of them and for nobody; return its id."""
    values = [
        value(
            number=number,
            contacts=[{"wa_id": CUSTOMER, "profile": {"name": word}}],
            messages=[text_message(f"wamid.shared-{word}", f"{word} shares", sender=CUSTOMER)],
        )
        for number, word in [*((each.number, each.word) for each in tenants), ("99999", NOBODYS)]
    ]
    assert app.meta(envelope(*values)).status == 200
    return str(app.query("SELECT max(id) FROM inbound")[0][0])


def dump(app: Served, tenant: Tenant) -> dict[str, list[str]]:
    """Every row of an organization, as the database has it, and every row of none that names something of its."""

    def read(connection: Connection) -> dict[str, list[str]]:
        rows: dict[str, list[str]] = {}
        for table in metadata.sorted_tables:
            query = select(table)
            if "organization_id" in table.c:
                query = query.where(table.c.organization_id == tenant.id)
            some = [str(tuple(row)) for row in connection.execute(query)]
            if "organization_id" not in table.c:
                some = [row for row in some if any(mark in row for mark in tenant.marks)]
            rows[table.name] = sorted(some)
        return rows

    return app.run(app.world.store.read(read))


def _more(connection: Connection, new_id: Callable[[], str], organization: str, word: str, agent: str) -> None:
    """Insert what only workers make: a template, an attempt, a run of an agent."""

    def own(table: Table, column: str) -> str:
        query = select(table.c[column]).where(table.c.organization_id == organization)
        return str(connection.execute(query).scalars().first())

    waba = own(tables.accounts, "waba_id")
    template = Template(
        id=new_id(),
        organization_id=organization,
        waba_id=waba,
        meta_id=f"8{waba}",
        name=f"{word.replace('-', '_')}_template",
        language="en_US",
        category="UTILITY",
        status="APPROVED",
        components=b"[]",
    )
    template_queries.put(connection, template)
    attempt = Attempt(
        delivery_id=own(tables.deliveries, "id"),
        organization_id=organization,
        number=1,
        started_at=START,
        outcome="failed",
        cause=f"{word} cause",
        url=f"https://{word}.example.com/in",
        response_body=f"{word} answer".encode(),
    )
    row = dict(zip(attempt_rows.ATTEMPT, attempt_rows.attempt_row(attempt), strict=True))
    connection.execute(insert(tables.attempts).values(row))
    failure = Failure(
        id=new_id(),
        organization_id=organization,
        endpoint_id=own(tables.deliveries, "endpoint_id"),
        failure="500",
        cause=f"{word} cause",
        note=f"{word} note",
    )
    failure_queries.add(connection, failure)
    run = AgentRun(
        id=new_id(),
        organization_id=organization,
        agent_id=agent,
        conversation_id=own(tables.conversations, "id"),
        outcome="failed",
        detail=f"{word} detail",
        model=f"{word}-model",
    )
    row = dict(zip(sending_rows.RUN, sending_rows.run_row(run), strict=True))
    connection.execute(insert(tables.agent_runs).values(row))


def _names(app: Served, number: str, endpoint: str, there: dict[str, str]) -> dict[str, list[str]]:
    """The names of everything of an organization, by what a path calls it."""

    def rows(noun: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = app.get(f"/v1/{noun}", headers=there)["data"]
        assert found, f"`found` of tests/acceptance/tenants.py makes no row of {noun}"
        return found

    def ids(noun: str) -> list[str]:
        return [str(row["id"]) for row in rows(noun)]

    messages, conversations, templates = ids("messages"), ids("conversations"), rows("templates")
    wamids = [row["wa_id"] for row in rows("messages") if row.get("wa_id")]
    return {
        "account_id": [*ids("accounts"), number],
        "agent_id": ids("agents"),
        "key_id": ids("api-keys"),
        "contact_id": ids("contacts"),
        "conversation_id": [*conversations, *map(chat_ids.shown, conversations)],
        "delivery_id": ids("deliveries"),
        "endpoint_id": [endpoint],
        "event_id": ids("events"),
        "failure_id": ids("failures"),
        "inbound_id": ids("inbound"),
        "job_id": ids(f"webhook-endpoints/{endpoint}/recover"),
        "login_link_id": ids("login-links"),
        "label_id": ids("labels"),
        "note_id": ids(f"conversations/{conversations[0]}/notes"),
        "media_id": ids("media"),
        "member_id": ids("members"),
        "message_id": [*messages, *map(chat_ids.shown, messages), *(each for each in wamids if "of-both" not in each)],
        "organization_id": [there["tellwire-organization"]],
        "portal_link_id": ids("portal-links"),
        "source_id": [str(row[name]) for row in rows("sources") for name in ("id", "name")],
        "template_id": [row[name] for row in templates for name in ("id", "meta_id", "name")],
        "audit_id": ids("audit"),
    }  # fmt: skip
