"""Two organizations, keys of every scope, every path and method of `openapi.json`: nothing of the other's.

The calls are made from the document. A new path is covered without a change here, or the test says what it lacks: what
to fill a new parameter or field with, in `PATHS`, `QUERIES` and `FIELDS`, or a body that is valid, in `BODIES`.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote, unquote_plus, urlencode

import pytest
from msgspec import Struct
from msgspec.structs import replace
from tests.acceptance.tenants import CUSTOMER, NOBODYS, Tenant, dump, found, shared_post
from tests.acceptance.test_api_stream import streaming
from tests.served import SETTINGS, Reply, Served, served
from tests.world import envelope, text_message, value

from tellwire.security.api_keys import Scope

SAME = "the-same-in-both"
"""An Idempotency-Key of both."""


class Two(Struct, frozen=True):
    """The one who calls, with a key of each scope, the other one, and a POST that both have a part in."""

    app: Served
    me: Tenant
    other: Tenant
    keys: dict[str, str]
    shared: str
    link: str
    """the signature of a link to a file of mine"""


class Call(Struct, frozen=True, kw_only=True):
    """A call. `theirs`: it names something that is the other's alone, which must not be found."""

    method: str
    path: str
    query: dict[str, str] = {}
    body: Any = None
    form: bool = False
    theirs: bool = False

    @property
    def target(self) -> str:
        return self.path + (f"?{urlencode(self.query)}" if self.query else "")


class Operation(Struct, frozen=True, kw_only=True):
    """A path and method of the document."""

    method: str
    path: str
    parameters: tuple[str, ...]
    query: tuple[str, ...]
    fields: tuple[str, ...]
    has_body: bool
    form: bool
    streams: bool
    secured: bool
    once: bool

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


# --- what to fill in --------------------------------------------------------------------------------------------------

Names = Callable[[Tenant], list[str]]


def of(kind: str) -> Names:
    return lambda tenant: tenant.ids[kind]


PATHS: dict[str, Names] = {
    name: of(name)
    for name in (
        "account_id", "agent_id", "key_id", "contact_id", "conversation_id", "delivery_id", "endpoint_id", "event_id",
        "failure_id", "inbound_id", "job_id", "login_link_id", "media_id", "member_id", "message_id", "organization_id",
        "portal_link_id", "source_id", "template_id", "label_id", "note_id",
    )
}  # fmt: skip
"""The names of the things of an organization that a path may hold, by the parameter."""
ANYONES = {"format_name": "chat", "name": "row"}
"""Parameters of paths that name nothing of an organization."""

QUERIES: dict[str, Names] = {
    "account": of("account_id"),
    "contact": of("contact_id"),
    "alias": lambda _: [CUSTOMER],
    "conversation_id": of("conversation_id"),
    "endpoint_id": of("endpoint_id"),
    "event_id": of("event_id"),
    "failure_id": of("failure_id"),
    "ids": of("delivery_id"),
    "webhook_id": of("delivery_id"),
    "last_event_id": of("event_id"),
    "message_id": of("message_id"),
    "waba_id": lambda tenant: [tenant.waba],
    "name": of("template_id"),
    "source": of("source_id"),
    "q": lambda tenant: [
        *(tenant.word, tenant.number, tenant.waba, f"wamid.{tenant.word}"),
        *(each for ids in tenant.ids.values() for each in ids),
    ],
    "a": of("source_id"),
    "b": of("source_id"),
    "label": of("label_id"),
    "assignee": of("agent_id"),
}
"""The same for parameters of queries."""
PLAIN_QUERIES = {
    "limit", "cursor", "status", "state", "since", "until", "entity", "action", "direction", "send_state", "language",
    "outcome", "signature", "order", "unread", "hub.mode", "hub.verify_token", "hub.challenge", "grace_seconds",
    "attempt", "span", "category", "quality", "wait",
}  # fmt: skip

FIELDS: dict[str, Callable[[Tenant], list[dict[str, Any]]]] = {
    "account": lambda tenant: [{"account": name} for name in tenant.ids["account_id"]],
    "accounts": lambda tenant: [{"accounts": tenant.ids["account_id"]}],
    "agent_id": lambda tenant: [{"agent_id": name} for name in tenant.ids["agent_id"]],
    "conversation_id": lambda tenant: [
        {"conversation_id": name, "to": ...} for name in tenant.ids["conversation_id"]
    ],
    "context": lambda tenant: [{"context": {"message_id": name}} for name in tenant.ids["message_id"]],
    "reaction": lambda tenant: [
        {"type": "reaction", "text": ..., "reaction": {"message_id": name, "emoji": "x"}}
        for name in tenant.ids["message_id"]
    ],
    "image": lambda tenant: [
        {"type": "image", "text": ..., "image": {"id": name}} for name in tenant.ids["media_id"]
    ],
    "template": lambda tenant: [
        {"type": "template", "text": ..., "template": {"name": name, "language": {"code": "en_US"}}}
        for name in tenant.ids["template_id"]
    ],
    "message_id": lambda tenant: [{"message_id": name} for name in tenant.ids["message_id"]],
    "ids": lambda tenant: [{"ids": tenant.ids["delivery_id"][:1]}],
    "organization_id": lambda tenant: [{"organization_id": tenant.id}],
    "phone_number_id": lambda tenant: [{"phone_number_id": tenant.number}],
    "waba_id": lambda tenant: [{"waba_id": tenant.waba}],
    "operator": lambda _: [{"operator": True}],
    "email": lambda tenant: [{"email": f"{tenant.word}@example.com"}],
    "endpoint_id": lambda tenant: [{"endpoint_id": name} for name in tenant.ids["endpoint_id"]],
    "secret_of": lambda tenant: [
        {"pull": True, "url": ..., "secret_of": name} for name in tenant.ids["endpoint_id"]
    ],
}  # fmt: skip
"""What a body names something of an organization's with, by field; `...` leaves a field of the valid body out."""
FREE = {"accounts", "template"}
"""Fields that may name what is not there, or only Meta knows."""
PLAIN_FIELDS = {
    # accounts, agents, keys, organizations, contacts
    "display_phone_number", "name", "access_token", "app_secret", "unknown_statuses", "on_revoke", "send_rate", "kind",
    "state", "instructions", "model", "base_url", "api_key", "history_messages", "debounce_seconds", "typing", "tools",
    "allowed_tool_origins", "budget", "temperature", "max_tokens", "on_failure", "scopes", "expires_at", "reason",
    # endpoints and deliveries
    "url", "format", "events", "ordering", "updates", "conversation_ids", "external", "history", "secret", "token",
    "fields", "batching", "echoes", "standby", "json", "buffer", "verify_token",
    "headers", "hub_signature", "wappcloud_signature", "rotating_signature", "timeout_seconds", "head_of_line_seconds",
    "max_in_flight", "rate_limit_per_second", "retry_schedule", "description", "overlap_seconds", "event", "since",
    "until", "include",
    "new_id", "body", "pull",
    # answers to pulled deliveries: whose they are, test_api_pull.py asks
    "answers",
    # failures
    "note",
    # messages, whose files are looked up as that of `image` is; pointers are those of the POST in the path
    "to", "type", "text", "video", "audio", "document", "sticker", "location", "contacts", "interactive",
    "scheduled_at", "skip_window_check", "skip_opt_out_check", "file", "pointers",
    # members and portal links
    "role", "password", "bodies", "unlock", "old_password", "new_password", "may", "origins",
    # sources
    "authentication", "header", "mode",
    # labels, notes, assignment: whose member it is, test_api_labels.py asks
    "colour", "member_id",
    # templates
    "language", "category", "components", "parameter_format", "allow_category_change",
}  # fmt: skip


RECOVERY = {"since": "2026-05-01T00:00:00Z", "include": "failed"}


def _text(tenant: Tenant) -> dict[str, Any]:
    return {"account": tenant.number, "to": CUSTOMER, "type": "text", "text": {"body": "Hello"}}


BODIES: dict[str, Callable[[Tenant], Any]] = {
    "POST /v1/accounts": lambda tenant: {"phone_number_id": f"{tenant.number}5", "access_token": tenant.token},
    "PATCH /v1/accounts/{account_id}": lambda tenant: {"access_token": tenant.token},
    "POST /v1/agents": lambda _: {"name": "Ada", "kind": "human"},
    "PATCH /v1/agents/{agent_id}": lambda _: {"name": "Bob"},
    "POST /v1/api-keys": lambda _: {"name": "a key"},
    "PATCH /v1/contacts/{contact_id}": lambda _: {"name": "Zoe"},
    "POST /v1/deliveries/replay": lambda tenant: {"ids": tenant.ids["delivery_id"][:1]},
    "POST /v1/media": lambda tenant: {"account": tenant.number},
    "POST /v1/login-links": lambda tenant: {"email": f"{tenant.word}@example.com"},
    "POST /v1/members": lambda tenant: {"email": f"new-{tenant.word}@example.com", "role": "viewer"},
    "PATCH /v1/members/{member_id}": lambda _: {"name": "x"},
    "POST /v1/members/me/password": lambda _: {"new_password": "an invented password"},
    "POST /v1/portal-links": lambda _: {"name": "guests"},
    "POST /v1/messages": _text,
    "POST /v1/labels": lambda _: {"name": "Urgent"},
    "PATCH /v1/labels/{label_id}": lambda _: {"colour": "red"},
    "POST /v1/conversations/{conversation_id}/notes": lambda _: {"text": "Call back."},
    "POST /v1/conversations/{conversation_id}/assign": lambda _: {},
    "POST /v1/organizations": lambda _: {"name": "Mine too"},
    "POST /v1/sources": lambda _: {"name": "a source", "kind": "wakit"},
    "PATCH /v1/sources/{source_id}": lambda _: {"name": "x"},
    "POST /v1/templates": lambda tenant: {
        "account": tenant.number,
        "name": "order_ready",
        "language": "en_US",
        "category": "UTILITY",
        "components": [{"type": "BODY", "text": "Ready."}],
    },
    "POST /v1/templates/sync": lambda tenant: {"account": tenant.number},
    "POST /v1/webhook-endpoints": lambda _: {"url": "https://hooks.example.com/in", "format": "row"},
    "PATCH /v1/webhook-endpoints/{endpoint_id}": lambda _: {"description": "x"},
    "POST /v1/webhook-endpoints/{endpoint_id}/recover": lambda _: RECOVERY,
    "POST /v1/webhook-endpoints/{endpoint_id}/pull/answers": lambda tenant: {
        "answers": [{"delivery_id": tenant.ids["delivery_id"][0], "receipt": "1.0.1", "status": 200}]
    },
}
"""A valid body of each call that needs one."""
REFUSED = {"POST /v1/organizations", "POST /v1/members/me/password"}
"""Calls that no key but an operator's may make, or none."""


# --- the calls, from the document -------------------------------------------------------------------------------------


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    schemas = document["components"]["schemas"]
    for path, item in document["paths"].items():
        for method, each in item.items():
            given = each.get("parameters", ())
            content: dict[str, Any] = each.get("requestBody", {}).get("content", {})
            schema: dict[str, Any] = next((kind.get("schema", {}) for kind in content.values()), {})
            named = [part.get("$ref") for part in (schema, *schema.get("anyOf", ())) if "$ref" in part]
            fields = (schemas[named[0].rpartition("/")[2]] if named else schema).get("properties", {})
            answers = each["responses"].get("200", {}).get("content", {})
            yield Operation(
                method=method.upper(),
                path=path,
                parameters=tuple(p["name"] for p in given if p.get("in") == "path"),
                query=tuple(p["name"] for p in given if p.get("in") == "query"),
                fields=tuple(fields),
                has_body="requestBody" in each,
                form="multipart/form-data" in content,
                streams="text/event-stream" in answers,
                secured="security" in each,
                once={"$ref": "#/components/parameters/Idempotency-Key"} in given,
            )


def lacking(operation: Operation) -> list[str]:
    """What this test does not know of an operation."""
    return [
        *(f"PATHS or ANYONES: {name}" for name in operation.parameters if name not in {*PATHS, *ANYONES}),
        *(f"QUERIES or PLAIN_QUERIES: {name}" for name in operation.query if name not in {*QUERIES, *PLAIN_QUERIES}),
        *(f"FIELDS or PLAIN_FIELDS: {name}" for name in operation.fields if name not in {*FIELDS, *PLAIN_FIELDS}),
    ]


def filled(operation: Operation, names: dict[str, str]) -> str:
    path = operation.path
    for parameter in operation.parameters:
        path = path.replace(f"{{{parameter}}}", quote(names[parameter], safe=""))
    return path


def calls(operation: Operation, two: Two) -> Iterator[Call]:
    """Every call of an operation that names something of the other's, and one that names nothing of anybody's."""
    me, other = two.me, two.other
    body = BODIES[operation.name](me) if operation.name in BODIES else None
    mine = {name: PATHS[name](me)[0] if name in PATHS else ANYONES[name] for name in operation.parameters}
    theirs = {name: PATHS[name](other) for name in operation.parameters if name in PATHS}
    call = Call(method=operation.method, path=filled(operation, mine), body=body, form=operation.form)
    if operation.path == "/media/{media_id}":
        call = replace(call, query={"signature": two.link})
    if not theirs:
        yield call
    ways = [{name: values[0] for name, values in theirs.items()}]
    ways += [{name: each} for name, values in theirs.items() for each in values]
    for way in ways if theirs else ():
        yield replace(call, path=filled(operation, mine | way), theirs=True)
    if "inbound_id" in theirs:
        yield replace(call, path=filled(operation, {"inbound_id": two.shared}))
    safe = operation.method == "GET"
    for name in operation.query if safe else ():
        for each in QUERIES[name](other) if name in QUERIES else ():
            yield replace(call, query=call.query | {name: each})
    for name in operation.fields:
        for given in FIELDS[name](other) if name in FIELDS else ():
            changed = {key: value for key, value in ((body or {}) | given).items() if value is not ...}
            is_metas = name in FREE or "wamid." in str(given)
            yield replace(call, body=changed, theirs=not is_metas)
    if safe and "cursor" in operation.query and (cursor := _cursor_of(two, call.path)):
        yield replace(call, query={"cursor": cursor, "limit": "200"})


def _cursor_of(two: Two, path: str) -> str:
    """A cursor of the other's list, "" where it has none."""
    reply = two.app.call("GET", f"{path}?limit=1", headers={"tellwire-organization": two.other.id})
    return str(reply.json.get("next_cursor") or "") if reply.status == 200 else ""


def made(two: Two, call: Call, key: str, **headers: str) -> Reply:
    if call.form:
        return two.app.upload(b"a file", *call.body.items(), key=key, headers=headers)
    return two.app.call(call.method, call.target, call.body, key=key, headers=headers)


def told(reply: Reply, two: Two, call: Call) -> list[str]:
    """What an answer tells of the other or of nobody that the request did not name itself."""
    answer = reply.body.decode(errors="replace") + str(reply.headers)
    asked = unquote_plus(call.target) + json.dumps(call.body)
    return [mark for mark in (*two.other.marks, NOBODYS) if mark in answer and mark not in asked]


# --- the tests --------------------------------------------------------------------------------------------------------


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    with served(tmp_path, settings=replace(SETTINGS, auto_accounts=False)) as app:
        other, me = found(app, "theirs-only", "770000000001"), found(app, "mine-only", "770000000002")
        shared = shared_post(app, other, me)
        for tenant in (other, me):
            app.outside.shows[tenant.token][f"{tenant.number}5"] = {"id": f"{tenant.number}5"}
        keys = {scope: app.key(scope, organization=me.id) for scope in get_args(Scope)}
        link = app.get("/v1/media", key=me.admin)["data"][0]["url"]
        yield Two(app, me, other, keys, shared, link.rpartition("=")[2])


def every_operation(app: Served) -> list[Operation]:
    return list(operations(app.send("GET", "/openapi.json", None, {}).json))


def test_the_document_has_nothing_that_this_test_cannot_fill(two: Two) -> None:
    unknown = {operation.name: lacks for operation in every_operation(two.app) if (lacks := lacking(operation))}
    assert not unknown, f"say in tests/acceptance/test_two_organizations.py what these are filled with: {unknown}"
    refused = {}
    for operation in every_operation(two.app):
        if operation.name in BODIES and not operation.parameters:
            (call,) = itertools.islice(calls(operation, two), 1)
            reply = made(two, call, two.keys["admin"])
            if (reply.status >= 400) is not (operation.name in REFUSED):
                refused[operation.name] = reply.body
    assert not refused, f"these bodies of BODIES are not valid: {refused}"


def test_nothing_of_the_others_is_told_or_changed(two: Two) -> None:
    before = dump(two.app, two.other)
    faults, done = [], 0
    for operation in every_operation(two.app):
        for call, (scope, key) in itertools.product(list(calls(operation, two)), two.keys.items()):
            if operation.streams:
                continue
            reply = made(two, call, key)
            done += 1
            wrong = told(reply, two, call)
            if call.theirs and operation.secured and reply.status < 400:
                wrong.append("it is answered")
            if call.theirs and scope == "admin" and call.body is None and operation.secured and reply.status != 404:
                wrong.append("it is not 404")
            if reply.status >= 500 and reply.status != 502:
                wrong.append("it is a defect")
            if wrong:
                faults.append((scope, call.method, call.target, call.body, reply.status, wrong))
    assert not faults, "\n".join(map(str, faults))
    assert done > 1_500
    assert dump(two.app, two.other) == before


def test_no_key_acts_in_the_others_organization(two: Two) -> None:
    before = dump(two.app, two.other)
    for operation in every_operation(two.app):
        if not operation.secured:
            continue
        own = next(iter(calls(operation, two)))
        for key in two.keys.values():
            made(two, own, key, **{"tellwire-organization": two.other.id}).problem(403)
    assert dump(two.app, two.other) == before


def test_an_idempotency_key_of_the_others_gives_no_answer_of_the_others(two: Two) -> None:
    checked = 0
    for operation in every_operation(two.app):
        if not operation.once:
            continue
        names = {name: PATHS[name](two.other)[0] for name in operation.parameters}
        body = BODIES[operation.name](two.other) if operation.name in BODIES else None
        same = Call(method=operation.method, path=filled(operation, names), body=body, form=operation.form)
        again = {"idempotency-key": SAME + operation.method + operation.path}
        assert made(two, same, two.other.admin, **again).status < 500
        before = dump(two.app, two.other)
        reply = made(two, same, two.keys["admin"], **again)
        assert "idempotency-replayed" not in reply.headers
        assert not told(reply, two, same), (same, reply)
        mine = replace(same, body=BODIES[operation.name](two.me) if operation.name in BODIES else None)
        reply = made(two, mine, two.keys["admin"], **again)
        assert not told(reply, two, mine), (mine, reply)
        assert dump(two.app, two.other) == before
        checked += 1
    assert checked > 8


@pytest.mark.parametrize("how", ["header", "query"])
def test_the_stream_tells_nothing_of_the_others(two: Two, how: str) -> None:
    (operation,) = [each for each in every_operation(two.app) if each.streams]
    last, theirs = two.other.ids["event_id"][-1], replace(two.me, number=two.other.number)
    path = operation.path + (f"?last_event_id={last}" if how == "query" else "")
    headers = {"last_event_id": last} if how == "header" else {}
    for scope in ("read", "admin"):
        with streaming(two.app, path, key=two.keys[scope], **headers) as stream:
            for tenant, wamid in ((theirs, "wamid.live-theirs"), (two.me, f"wamid.live-{scope}-{how}")):
                said = [text_message(f"{wamid}-{scope}", "live", sender=CUSTOMER)]
                assert two.app.meta(envelope(value(number=tenant.number, messages=said))).status == 200
            seen = b""
            while f"wamid.live-{scope}-{how}".encode() not in seen:
                seen += stream.next().data
            assert not [mark for mark in (*two.other.marks, "wamid.live-theirs", NOBODYS) if mark.encode() in seen]
            assert two.me.word.encode() in seen


def test_what_comes_for_the_other_goes_to_no_endpoint_of_mine(two: Two) -> None:
    for name in two.other.ids["account_id"]:
        draft = {"url": "https://hooks.example.com/in", "format": "row", "accounts": [name]}
        assert two.app.call("POST", "/v1/webhook-endpoints", draft, key=two.keys["admin"]).status == 201
    before = dump(two.app, two.me)
    said = [text_message("wamid.later", "for the other", sender=CUSTOMER)]
    assert two.app.meta(envelope(value(number=two.other.number, messages=said), waba=two.other.waba)).status == 200
    notice = {"id": two.other.waba, "changes": [{"field": "account_review_update", "value": {"decision": "APPROVED"}}]}
    assert two.app.meta({"object": "whatsapp_business_account", "entry": [notice]}).status == 200
    assert dump(two.app, two.me) == before
