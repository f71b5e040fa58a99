"""Whatever comes to both vendors' interfaces is answered in their shapes, and is never a defect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.acceptance.test_wakit import shop
from tests.served import Served, served
from tests.world import CUSTOMER

from tellwire.web.wakit.routes import BASE, CALLS, TABLE
from tellwire.web.wappcloud.routes import PATH

EXAMPLES = 150
WORDS = (
    "text",
    "url",
    "image",
    "insert",
    "messages",
    "template",
    CUSTOMER,
    f"+{CUSTOMER}",
    "hello",
    "https://a.example",
)
FIELDS = (
    *("contact_phone", "group_id", "account_phone", "text", "template", "document", "name", "language", "code"),
    *("components", "link", "filename", "caption", "mime_type", "type", "parameters", "url", "token", "operations"),
    *("contact_number", "message", "message_uid", "messageType", "messageBody", "template_name", "header", "body"),
    *("variables", "buttons", "1", "2", "table_name", "organization_id"),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(WORDS),
    st.just(10**400),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=6),
    max_leaves=12,
)
BODIES = st.one_of(
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=8).map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=60),
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("vendors")) as running:
        shop(running)
        yield running
        assert running.world.store.counters.request_failures == 0


def answered(app: Served, method: str, path: str, body: bytes | None, keys: list[str]) -> None:
    before = app.world.store.counters.request_failures
    reply = app.call(method, path, body)
    assert app.world.store.counters.request_failures == before, (path, body, reply.body)
    if reply.status >= 400:
        assert list(reply.json) == keys, (path, body, reply.body)


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        (f"{BASE}/messages", ["error"]),
        (f"{BASE}/webhooks", ["error"]),
        (TABLE, ["code", "details", "hint", "message"]),
        (PATH, ["success", "code", "message"]),
    ],
)
@settings(max_examples=EXAMPLES, deadline=None)
@given(body=BODIES)
def test_any_body(app: Served, path: str, keys: list[str], body: bytes) -> None:
    answered(app, "POST", path, body, keys)


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    method=st.sampled_from(["GET", "DELETE"]),
    segment=st.sampled_from(sorted({segment for _, segment in CALLS})),
    query=st.dictionaries(
        st.sampled_from(["limit", "account_phone", "contact_phone", "group_id", "name", "number", "template_id", "id"]),
        st.text(max_size=12) | st.sampled_from(WORDS),
        max_size=3,
    ),
)
def test_any_query(app: Served, method: str, segment: str, query: dict[str, Any]) -> None:
    asked = "&".join(f"{name}={quote(value.encode('utf-8', 'surrogatepass'))}" for name, value in query.items())
    answered(app, method, f"{BASE}/{segment}?{asked}", None, ["error"])
