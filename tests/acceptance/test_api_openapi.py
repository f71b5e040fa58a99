"""The OpenAPI document: that it is one, that the API keeps it under generated requests, and the page made of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS
from tests.served import ADMIN, HOOK, Served, served
from tests.world import envelope, incoming, status, statuses

from tellwire.formats import SCHEMAS
from tellwire.formats.openapi import webhooks
from tellwire.model.units import MINUTE
from tellwire.web.api import NOUNS
from tellwire.web.asgi import openapi
from tellwire.web.docs.reference import reference

ROOT = Path(__file__).parent.parent.parent
DOCUMENT = json.loads(json.dumps(openapi(webhooks())))
METHODS = ("get", "post", "patch", "delete")
OPERATIONS = [
    (method, path, operation)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if method in METHODS
]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("openapi")) as running:
        running.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row"})
        running.meta(envelope(incoming("wamid.1")))
        running.meta(envelope(statuses(status("wamid.2", "read"), status("wamid.3", "sent", to=None))))
        yield running


def test_served_document_is_the_one_of_the_code(app: Served) -> None:
    assert app.get("/openapi.json", key=None) == DOCUMENT


def test_document_is_complete() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    assert set(DOCUMENT["webhooks"]) == set(SCHEMAS)
    described = {(method.upper(), path) for method, path, _ in OPERATIONS}
    for name, noun in NOUNS.items():
        for handler in noun.HANDLERS:
            for path in handler.paths:
                assert path.split("/")[1] == name
                assert (min(handler.http_methods), "/v1" + path.replace(":str}", "}")) in described
    identifiers = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(set(identifiers)) == len(identifiers)


def test_every_reference_leads_somewhere_and_every_schema_is_one() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for found in references(DOCUMENT):
        place: Any = DOCUMENT
        for part in found.removeprefix("#/").split("/"):
            place = place[part]


def references(value: Any) -> Iterator[str]:
    match value:
        case {"$ref": str(target), **rest}:
            yield target
            yield from references(rest)
        case dict():
            for each in value.values():
                yield from references(each)
        case list():
            for each in value:
                yield from references(each)


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=lambda value: str(value)[:60])
def test_operations_are_described(method: str, path: str, operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["tags"]
    if path.startswith("/v1/"):
        assert operation["security"]
        assert {"4XX", "503"} < set(operation["responses"])


# --- the API keeps it -------------------------------------------------------------------------------------------------

# A generated request may also be too long for its URL (414) or its head (431).
REFUSED = {"checks": {"negative_data_rejection": {"expected-statuses": ["4xx", 503]}}}
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT, config=schemathesis.Config.from_dict(REFUSED))
LABELS = [f"{method.upper()} {path}" for method, path, _ in OPERATIONS]
ENDLESS = "GET /v1/events/stream"
# An opaque cursor, a known format or a reachable URL is more than a schema can say.
BEYOND_SCHEMAS = [CHECKS.get_one("positive_data_acceptance")]


def _has_input(label: str) -> bool:
    """Whether anything of a request can be wrong; a path part that may be any string cannot."""
    method, path = label.lower().split()
    operation = DOCUMENT["paths"][path][method]
    return "requestBody" in operation or any(each.get("in") != "path" for each in operation.get("parameters", ()))


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("label", [label for label in LABELS if label != ENDLESS])
def test_generated_requests_are_answered_as_described(app: Served, label: str, mode: GenerationMode) -> None:
    if mode is GenerationMode.NEGATIVE and not _has_input(label):
        return
    operation = SCHEMA.find_operation_by_label(label)
    assert operation is not None
    app.clock.move(2 * MINUTE)  # each operation is tried with wrong keys too, and only so many are looked at a minute

    @settings(
        max_examples=6,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        case.call_and_validate(
            base_url=f"http://127.0.0.1:{app.port}",
            headers={"Authorization": f"Bearer {ADMIN}"},
            excluded_checks=BEYOND_SCHEMAS,
        )

    check()


# --- the page ---------------------------------------------------------------------------------------------------------


def test_reference_page_is_what_the_code_says() -> None:
    made = reference(DOCUMENT)
    assert (ROOT / "docs/reference/api.md").read_text() == made, (
        "run: ./run openapi --reference > docs/reference/api.md"
    )
