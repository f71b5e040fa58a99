"""What the SDK shows of itself, and that its pages are true."""

from __future__ import annotations

import ast
import json
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.golden.formats.cases import WRITTEN

import tellwire_sdk
from tellwire.formats import FORMATS, SCHEMAS
from tellwire_sdk import Reason, WebhookError, parse, sign

ROOT = Path(__file__).parents[3]
SDK = ROOT / "sdk" / "src" / "tellwire_sdk"
PAGES = {page.name: page.read_text() for page in (ROOT / "docs/reference/formats.md", ROOT / "sdk/README.md")}
BODIES = {f"{case.endpoint.format}/{case.name}": case.path.read_bytes() for case in WRITTEN}
KNOWN = {**FORMATS["row"].SCHEMAS, **FORMATS["chat"].SCHEMAS}
"""The schemas of bodies that stand in the pages; of what other formats have there, `test_every_format` takes care."""
SECRETS = ("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "a secret of my own")


def blocks(language: str) -> list[Any]:
    """Return the code blocks of the pages."""
    fence = re.compile(rf"^```{language}\n(.*?)^```", re.DOTALL | re.MULTILINE)
    found = [(name, block) for name, text in PAGES.items() for block in fence.findall(text)]
    assert found
    return [pytest.param(block, id=f"{name}-{number}") for number, (name, block) in enumerate(found)]


def fits(block: Any, schema: str) -> bool:
    """Whether an example of the pages is such a body."""
    return Draft202012Validator(SCHEMAS[schema]).is_valid(json.loads(block.values[0]))


def test_the_public_names():
    assert tellwire_sdk.__all__ == [
        "ChatMessage",
        "ChatStatus",
        "ConversationRow",
        "ExactFloat",
        "Headers",
        "Message",
        "MessageRow",
        "MetaError",
        "OperationalEvent",
        "Participants",
        "Payload",
        "Pricing",
        "Reason",
        "RowEvent",
        "RowEvents",
        "Status",
        "WebhookError",
        "hub_signature",
        "make_secret",
        "parse",
        "secret_key",
        "sign",
        "verify",
        "verify_token",
        "wappcloud_signature",
        "whsec_form",
    ]
    assert all(hasattr(tellwire_sdk, name) for name in tellwire_sdk.__all__)
    assert (SDK / "py.typed").exists()


def imports(module: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


@pytest.mark.parametrize("module", sorted(SDK.glob("*.py")), ids=lambda module: module.stem)
def test_the_sdk_needs_nothing_and_does_nothing(module: Path):
    assert imports(module) <= (sys.stdlib_module_names | {"tellwire_sdk"})
    assert not imports(module) & {"asyncio", "logging", "os", "random", "secrets", "socket", "sqlite3", "time"}


def test_an_error_has_a_reason_and_a_text():
    error = WebhookError(Reason.NO_MATCH, "check the secret")
    assert (error.reason, str(error)) == ("no_match", "check the secret")


@pytest.mark.parametrize("source", blocks("python"))
@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("body", ["row/text", "row/conversation_closed", "chat/text", "chat/status_failed"])
def test_examples_run(source: str, secret: str, body: str, capsys):
    now = int(time.time())
    signature = sign(BODIES[body], webhook_id="msg_1", timestamp=now, secrets=["an older secret of theirs", secret])
    headers: Mapping[str, str] = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(now),
        "webhook-signature": signature,
    }
    namespace: dict[str, Any] = {"body": BODIES[body], "headers": headers, "secret": secret}
    exec(compile(source, "example", "exec"), namespace)
    assert namespace.get("genuine", True) is True
    assert namespace.get("fresh", True) is True
    assert not capsys.readouterr().out.startswith("400")


@pytest.mark.parametrize("source", blocks("python"))
def test_examples_refuse(source: str, capsys):
    headers = {"webhook-id": "m", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"}
    namespace: dict[str, Any] = {"body": b"{}", "headers": headers, "secret": SECRETS[0]}
    if "verify(" in source and "except WebhookError" not in source:
        with pytest.raises(WebhookError):
            exec(compile(source, "example", "exec"), namespace)
        return
    exec(compile(source, "example", "exec"), namespace)
    if "verify(" in source:
        assert capsys.readouterr().out.startswith("400 too_old")
    assert not namespace.get("genuine", False)
    assert not namespace.get("fresh", False)


@pytest.mark.parametrize("text", [block for block in blocks("json") if any(fits(block, name) for name in KNOWN)])
def test_examples_of_payloads_parse(text: str):
    assert not parse(text.encode()).extra


def test_the_readme_names_every_reason():
    assert {str(reason) for reason in Reason} <= set(re.findall(r"`(\w+)`", PAGES["README.md"]))


def test_examples_in_the_reference_keep_the_order_of_the_schemas():
    for example in blocks("json"):
        payload = json.loads(example.values[0])
        if "entity" in payload:
            format_ = "openbsp" if b"group_address" in example.values[0].encode() else "row"
            columns = list(SCHEMAS[f"{format_}-messages"]["properties"]["data"]["properties"])
            for row in payload["data"] if isinstance(payload["data"], list) else [payload["data"]]:
                assert list(row) == [column for column in columns if column in row]
