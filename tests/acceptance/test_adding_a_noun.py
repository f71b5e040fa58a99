"""What a new noun of the API needs, looked for in tables; docs/contributing/adding-a-rest-noun.md lists every place."""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import pytest
from litestar.handlers import HTTPRouteHandler
from tests.acceptance.test_api_access import NO_ROWS
from tests.acceptance.test_api_audit import CHANGES
from tests.served import served

from tellwire.formats.openapi import webhooks
from tellwire.security.api_keys import SCOPES, Scope
from tellwire.web import api
from tellwire.web.api import NOUNS
from tellwire.web.api.media import file_bytes
from tellwire.web.asgi import openapi

DOCUMENT = json.loads(json.dumps(openapi(webhooks())))
HANDLERS = {id(handler): handler for noun in NOUNS.values() for handler in noun.HANDLERS}


def modules() -> Iterator[Any]:
    """Every module of the API."""
    for found in pkgutil.walk_packages(api.__path__, f"{api.__name__}."):
        yield import_module(found.name)


def test_every_handler_is_served() -> None:
    served_ones = HANDLERS.keys() | {id(handler) for handler in file_bytes.HANDLERS}
    lost = [
        f"{name} of src/{module.__name__.replace('.', '/')}.py"
        for module in modules()
        for name, value in vars(module).items()
        if isinstance(value, HTTPRouteHandler) and id(value) not in served_ones
    ]
    assert not lost, (
        f"nothing serves {lost}: a handler stands in HANDLERS at the end of its module, and the module in NOUNS of "
        "src/tellwire/web/api/__init__.py"
    )


def test_every_path_begins_with_its_noun() -> None:
    strange = [path for noun, module in NOUNS.items() for path in paths(module) if path.split("/")[1] != noun]
    assert not strange, f"these paths do not begin with the name that NOUNS has for their module: {strange}"


def paths(module: Any) -> list[str]:
    return [path for handler in module.HANDLERS for path in handler.paths]


def test_every_handler_wants_a_known_scope() -> None:
    known = set(get_args(Scope))
    wrong = [each.handler_name for each in HANDLERS.values() if not known.issuperset(each.opt.get("scopes") or ("",))]
    assert not wrong, (
        f"these handlers name no scope, or an unknown one: {wrong}. Give each `opt={{'scopes': (…,)}}` with scopes of "
        "src/tellwire/security/api_keys.py"
    )


def test_every_scope_is_explained_and_wanted() -> None:
    missing = set(get_args(Scope)) - SCOPES.keys()
    assert not missing, (
        f"say what {sorted(missing)} allows in SCOPES of src/tellwire/security/api_keys.py: the API and the command "
        "line take only scopes that stand there"
    )
    unused = SCOPES.keys() - {scope for each in HANDLERS.values() for scope in each.opt.get("scopes") or ()}
    assert not unused, f"no handler wants the scopes {sorted(unused)}"


@pytest.mark.parametrize("noun", [noun for noun in NOUNS if noun not in NO_ROWS])
def test_a_noun_has_a_list_that_is_paged_and_shows_whose_rows_they_are(noun: str) -> None:
    call = DOCUMENT["paths"].get(f"/v1/{noun}", {}).get("get")
    assert call, f"GET /v1/{noun} is missing: a noun can be listed"
    taken = {each.get("name") for each in call.get("parameters", ())}
    assert {"limit", "cursor"} <= taken, (
        f"GET /v1/{noun} takes no limit and cursor: see `page_response` in web/responses.py"
    )
    page = properties(call["responses"]["200"]["content"]["application/json"]["schema"])
    assert page.keys() == {"data", "next_cursor"}, f"GET /v1/{noun} answers no page (data, next_cursor)"
    row = properties(page["data"]["items"])
    assert "id" in row, f"the rows of GET /v1/{noun} show no id"
    assert noun == "organizations" or "organization_id" in row, f"the rows of GET /v1/{noun} show no organization_id"


def properties(schema: dict[str, Any]) -> dict[str, Any]:
    """What an object of the document has."""
    found: dict[str, Any] = resolved(schema)["properties"]
    return found


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema itself, where a reference to it stands."""
    while "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


# --- what is sent -----------------------------------------------------------------------------------------------------

ANY_TEXT = {
    *("account", "agent_id", "conversation_id", "organization_id", "to"),
    *("event", "format", "instructions", "secret", "token", "url"),
}
"""Fields whose texts are looked up, or judged by rules that a pattern cannot say."""


def bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object that a call takes as JSON, with the call."""
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            content = operation.get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema", {})
            for each in schema.get("anyOf", [schema] if schema else []):
                if path.startswith("/v1/") and each.get("type") != "null":
                    yield f"{method.upper()} {path}", resolved(each)


def test_a_body_takes_no_unknown_fields() -> None:
    loose = [call for call, schema in bodies() if schema.get("additionalProperties") is not False]
    assert not loose, f"{loose} take unknown fields: make the struct of the body with `forbid_unknown_fields=True`"


def test_a_text_that_is_sent_cannot_hold_just_anything() -> None:
    loose = [
        f"{name} of {call}"
        for call, schema in bodies()
        for name, field in schema["properties"].items()
        for each in map(resolved, field.get("anyOf", [field]))
        if each.get("type") == "string" and not {"pattern", "enum", "format", "const"} & each.keys()
        if name not in ANY_TEXT
    ]
    assert not loose, (
        f"these texts may hold NUL and line breaks: {loose}. Give each a pattern (`LINE` of web/api/shapes.py), or "
        "check it by hand and add its name to ANY_TEXT of this test"
    )


# --- once -------------------------------------------------------------------------------------------------------------

CREATING = {
    ("POST", f"/v1{path}"): handler
    for handler in HANDLERS.values()
    for path in handler.paths
    if "POST" in handler.http_methods and handler.status_code == 201
}


def test_every_call_that_creates_takes_an_idempotency_key() -> None:
    lacking = [path for (_, path), each in CREATING.items() if "request" not in each.parsed_fn_signature.parameters]
    assert not lacking, f"POST {lacking} takes no Idempotency-Key: see `context.once` in src/tellwire/web/request.py"


@pytest.mark.parametrize("route", [route for route in CREATING if route in CHANGES], ids=" ".join)
def test_a_call_that_creates_does_so_once(tmp_path: Path, route: tuple[str, str]) -> None:
    where, body, _ = CHANGES[route]
    with served(tmp_path) as app:
        path = where(app)
        first, again = (app.call("POST", path, body, headers={"idempotency-key": "one"}) for _ in range(2))
    assert first.status == 201
    assert again.headers.get("idempotency-replayed") == "true", (
        f"POST {path} did it twice for one Idempotency-Key: answer `once.kept`, and write through `once.write`"
    )
    assert again.body == first.body
