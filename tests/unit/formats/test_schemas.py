"""The published schemas: valid themselves, true of every golden file, false of what is not such a payload."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.golden.formats.cases import WRITTEN, Case

from tellwire.formats import FORMATS, SCHEMAS
from tellwire.formats.openapi import webhooks


def schema_of(case: Case) -> str:
    """The schema of a case of `row` or `chat`."""
    event = case.event
    if event.entity == "operational":
        return "operational"
    if case.more:
        return "row-buffered-messages"
    if case.endpoint.format == "row":
        return f"row-{event.entity}"
    return "chat-incoming-message" if event.direction == "incoming" else "chat-status-update"


def errors(name: str, payload: Any) -> list[str]:
    validator = Draft202012Validator(SCHEMAS[name])
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(payload)]


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_is_one(name: str):
    Draft202012Validator.check_schema(SCHEMAS[name])
    assert SCHEMAS[name]["$id"] == f"/schemas/{name}.json"


@pytest.mark.parametrize(
    "case",
    [case for case in WRITTEN if case.endpoint.format in ("row", "chat")],
    ids=lambda case: f"{case.endpoint.format}/{case.name}",
)
def test_golden_files_suit_their_schema_and_no_other(case: Case):
    payload = json.loads(case.path.read_bytes())
    of_both = {*FORMATS["row"].SCHEMAS, *FORMATS["chat"].SCHEMAS}
    assert {name for name in of_both if not errors(name, payload)} == {schema_of(case)}


def golden(path: str) -> Any:
    return next(json.loads(case.path.read_bytes()) for case in WRITTEN if f"{case.endpoint.format}/{case.name}" == path)


@pytest.mark.parametrize(
    ("name", "path", "place", "value"),
    [
        ("row-messages", "row/text", ("action",), "delete"),
        ("row-messages", "row/text", ("data", "id"), None),
        ("row-messages", "row/text", ("data", "direction"), "sideways"),
        ("row-messages", "row/text", ("data", "created_at"), "2026-05-06T03:39:23Z"),
        ("row-messages", "row/text", ("data", "status", "pending"), 1778038763),
        ("row-messages", "row/status_failed", ("data", "status", "errors", 0, "error_data"), {}),
        ("row-conversations", "row/conversation_opened", ("data", "status"), "archived"),
        ("chat-incoming-message", "chat/text", ("message", "timestamp"), 1778038763),
        ("chat-incoming-message", "chat/text", ("message", "conversation_id"), "69FAB7EBC6C20BFFAACB770A"),
        ("chat-incoming-message", "chat/text", ("participants", "sender", "profile"), {}),
        ("chat-status-update", "chat/status_read", ("statuses", 0, "errors"), []),
        ("chat-status-update", "chat/status_read", ("statuses", 0, "meta_pricing", "meta_billable"), "false"),
        ("chat-status-update", "chat/status_read", ("statuses",), []),
        ("operational", "row/endpoint.disabled", ("data",), []),
    ],
)
def test_a_schema_refuses(name: str, path: str, place: tuple[Any, ...], value: Any):
    payload = golden(path)
    assert not errors(name, payload)
    *way, last = place
    target = payload
    for step in way:
        target = target[step]
    target[last] = value
    assert errors(name, payload)


@pytest.mark.parametrize("column", ["id", "conversation_id", "direction", "content", "status", "created_at"])
def test_an_inserted_row_is_whole(column: str):
    payload = golden("row/text")
    del payload["data"][column]
    assert errors("row-messages", payload)


def test_openapi_webhooks_cover_every_schema():
    assert set(webhooks()) == set(SCHEMAS)
    for name, item in webhooks().items():
        operation = item["post"]
        content_types = {form.CONTENT_TYPE for form in FORMATS.values() if name in form.SCHEMAS}
        assert operation["requestBody"]["content"] == {each: {"schema": SCHEMAS[name]} for each in content_types}
        assert [parameter["name"] for parameter in operation["parameters"]][:3] == [
            "webhook-id",
            "webhook-timestamp",
            "webhook-signature",
        ]
    assert json.loads(json.dumps(webhooks())) == webhooks()
