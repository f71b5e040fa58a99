"""What is ok and what is wrong, by the rules alone: odd answers of Meta's, odd databases, odd URLs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellwire.doctor import meta_answers, public_url, server_figures
from tellwire.doctor.check import STATES, Finding
from tellwire.doctor.checks import CHECKS, fault
from tellwire.doctor.meta_answers import FIELDS, OBJECT, Told
from tellwire.doctor.page import reference
from tellwire.doctor.server_figures import OF_VERDICT, Database, Used
from tellwire.meta.webhooks.envelope import FIELDS as UNDERSTOOD
from tellwire.verdict.rules import KINDS

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
NAMES = st.sampled_from(
    ["data", "error", "is_valid", "expires_at", "scopes", "id", "status", "webhook_configuration", "fields", "object"]
)
ODD = st.recursive(
    JSON, lambda inner: st.dictionaries(NAMES, inner, max_size=4) | st.lists(inner, max_size=3), max_leaves=20
)
ENDLESS = {"data": {"is_valid": True, "expires_at": 0, "scopes": [*meta_answers.SCOPES], "app_id": "7"}}


def faults(*found: Finding) -> list[tuple[str, str]]:
    return [(each.check, each.fault) for each in found]


@given(st.integers(0, 600), ODD)
def test_whatever_meta_answers_is_a_finding(status: int, document: Any) -> None:
    told = Told(status, document)
    given_urls = meta_answers.overrides(told)
    for each in (
        *meta_answers.token(told, 1.0),
        *meta_answers.number(told, "1"),
        meta_answers.subscribed(told, "7"),
        *meta_answers.subscriptions(told, "https://a.example.com", given_urls),
        meta_answers.callback_of(given_urls, "https://a.example.com"),
    ):
        assert each.state in STATES
        assert each.check in CHECKS
    assert isinstance(meta_answers.app_of(told), str)
    assert isinstance(meta_answers.accounts_of(told), list)
    assert isinstance(meta_answers.fields_of(told), list)
    assert told.words


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [("token", ""), ("token_scopes", "")]),
        ({"expires_at": 86_400 * 400}, [("token", ""), ("token_scopes", "")]),
        ({"expires_at": 86_400 * 3}, [("token", "expires_soon"), ("token_scopes", "")]),
        ({"data_access_expires_at": 86_400 * 3}, [("token", "expires_soon"), ("token_scopes", "")]),
        ({"is_valid": False}, [("token", "invalid")]),
        ({"is_valid": 1}, [("token", "invalid")]),
        ({"scopes": None}, [("token", ""), ("token_scopes", "missing")]),
    ],
)
def test_a_token(changes: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    told = Told(200, {"data": ENDLESS["data"] | changes})
    assert faults(*meta_answers.token(told, 0.0)) == expected


def test_a_token_of_which_meta_says_nothing_is_not_checked() -> None:
    assert faults(*meta_answers.token(Told(500, {"error": {"code": 2}}), 0.0)) == [("token", "unchecked")]
    assert faults(*meta_answers.token(Told(0, None, "no route"), 0.0)) == [("graph", "unreached")]


def test_the_callback_that_goes_first_counts() -> None:
    ours, other = "https://a.example.com/meta/webhook", "https://b.example.com"
    row = {"object": OBJECT, "callback_url": ours, "active": True, "fields": [*FIELDS]}
    whole = Told(200, {"data": [{"object": "user"}, row]})
    cases: list[tuple[dict[str, str], str]] = [
        ({}, ""),
        ({"phone_number": ours + "/", OBJECT: other}, "overridden"),
        ({"phone_number": other}, "overridden"),
        ({OBJECT: ours}, ""),
    ]
    for given_urls, expected in cases:
        assert faults(*meta_answers.subscriptions(whole, ours, given_urls)) == [
            ("callback", expected),
            ("webhook_fields", ""),
        ]
    assert meta_answers.callback_of({"application": ours}, ours).state == "ok"
    assert meta_answers.callback_of({"application": other}, ours).fault == "elsewhere"
    assert meta_answers.callback_of({}, ours).fault == "unchecked"
    assert meta_answers.callback_of({"phone_number": ours}, ours).fault == "unchecked"


def test_every_field_that_matters_is_understood() -> None:
    assert {*FIELDS} <= {*UNDERSTOOD}


@pytest.mark.parametrize(
    ("database", "expected"),
    [
        (Database(kind="SQLite", version="3.40.1", journal="wal"), [("database", "")]),
        (Database(kind="SQLite", version="3.9.0", journal="wal"), [("database", "old")]),
        (Database(kind="SQLite", version="3.40.1", journal="delete"), [("database", "journal")]),
        (
            Database(kind="SQLite", version="3.40.1", journal="delete", file_system="nfs4"),
            [("database", "network"), ("database", "journal")],
        ),
        (Database(kind="PostgreSQL", version="16.4 (Debian)"), [("database", ""), ("database_clock", "")]),
        (
            Database(kind="PostgreSQL", version="12.1", ahead=-60.0),
            [("database", "old"), ("database_clock", "differ")],
        ),
    ],
)
def test_a_database(database: Database, expected: list[tuple[str, str]]) -> None:
    assert faults(*server_figures.of_database(database)) == expected


def test_limits() -> None:
    assert server_figures.of_descriptors(256).fault == "few"
    assert server_figures.of_descriptors(4096).state == "ok"
    near, far = Used("o", "accounts", 90, 100), Used("o", "agents", 89, 100)
    assert faults(*server_figures.of_quotas([near, far])) == [("quotas", "near")]
    assert faults(*server_figures.of_quotas([far, Used("o", "sources", 1, 1)])) == [("quotas", "")]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://hooks.example.com", []),
        ("https://hooks.example.com:443/", []),
        ("http://hooks.example.com", ["not_https"]),
        ("https://hooks.example.com:8443", ["other_port"]),
        ("https://hooks.example.com/tellwire", ["path"]),
        ("http://localhost:8700/x", ["not_https", "not_a_public_name", "path"]),
        ("https://52.0.0.10", ["not_a_public_name"]),
        ("https://[2600::1]", ["not_a_public_name"]),
        ("https://tellwire", ["not_a_public_name"]),
        ("https://tellwire.internal.", ["not_a_public_name"]),
        ("https://nas.home.arpa", ["not_a_public_name"]),
    ],
)
def test_a_public_url(url: str, expected: list[str]) -> None:
    assert [each.fault for each in public_url.url_faults(url)] == expected


def test_allowed_hosts() -> None:
    assert public_url.admits(["*"], "a.example.com")
    assert public_url.admits(["*.Example.com"], "a.example.com")
    assert not public_url.admits(["*.example.com"], "example.com")
    assert not public_url.admits(["example.com"], "a.example.com")


def test_every_kind_of_the_verdict_belongs_to_a_check() -> None:
    assert OF_VERDICT.keys() == KINDS.keys()
    assert {check for check, _ in OF_VERDICT.values()} <= CHECKS.keys()


def test_every_fault_has_a_remedy_in_whole_sentences_and_is_on_the_page() -> None:
    page = reference()
    given_parts = {"host": "h", "url": "u", "path": "p", "extra": "e"}
    for name, check in CHECKS.items():
        assert f"| `{name}` | {check.title} |" in page
        assert check.title.endswith(".")
        for key, what in check.faults.items():
            told = fault(name, key, "because", **given_parts)
            assert told.remedy[0].isupper() or told.remedy.startswith("`")
            assert told.remedy.rstrip("`)").endswith(".") or told.remedy.endswith((".", "`.", ")."))
            assert what.state != "ok"
            assert "{" not in told.command
            assert what.remedy in page
