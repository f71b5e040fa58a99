"""Whether an account's token works: Meta is asked, and only that is noted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.served import MISSING, Served, served
from tests.world import NUMBER

from tellwire.ports.http_out import Answer

TOKEN = "a-secret-token"
SHOWN = {
    "id": NUMBER,
    "display_phone_number": "+52 1 55 8839 2274",
    "verified_name": "Shop",
    "quality_rating": "GREEN",
    "name_status": "APPROVED",
    "code_verification_status": "VERIFIED",
    "throughput": {"level": "STANDARD"},
    "whatsapp_business_manager_messaging_limit": "TIER_10K",
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, each_store: None) -> Iterator[Served]:
    with served(Path(tmp_path_factory.mktemp("check"))) as running:
        running.post("/v1/accounts", {"phone_number_id": NUMBER, "access_token": TOKEN})
        yield running


def checked(app: Served, answer: Answer) -> Any:
    """What a check says when Meta answers so."""
    app.outside.refused = answer
    try:
        return app.post(f"/v1/accounts/{NUMBER}/check", status=200)
    finally:
        app.outside.refused = None


def ok(document: Any) -> Answer:
    return Answer(status=200, body=json.dumps(document).encode())


def refused(code: int, status: int = 401) -> Answer:
    error = {"message": f"Error validating access token {TOKEN}", "type": "OAuthException", "code": code}
    return Answer(status=status, body=json.dumps({"error": error}).encode())


def token_problems(app: Served) -> list[str]:
    problems: list[str] = app.get(f"/v1/accounts/{NUMBER}")["problems"]
    return problems


def test_what_meta_shows_is_told(app: Served) -> None:
    found = checked(app, ok(SHOWN))
    method, path, query, _ = app.outside.asked[-1]
    assert (method, path, "verified_name" in query["fields"]) == ("GET", NUMBER, True)
    assert found == {
        "ok": True,
        "cause": "",
        "display_phone_number": "+52 1 55 8839 2274",
        "verified_name": "Shop",
        "quality": "GREEN",
        "name_status": "APPROVED",
        "verification": "VERIFIED",
        "throughput": "STANDARD",
        "messaging_limit": "TIER_10K",
    }


def test_a_refused_token_is_noted_until_it_is_accepted(app: Served) -> None:
    found = checked(app, refused(190))
    assert not found["ok"]
    assert "code 190" in found["cause"]
    assert TOKEN not in found["cause"]
    assert token_problems(app) == ["Meta refuses the access token."]
    assert not checked(app, Answer(failure="timeout", cause="no answer within 20 s"))["ok"]
    assert token_problems(app) == ["Meta refuses the access token."], "no answer says nothing of the token"
    assert checked(app, ok(SHOWN))["ok"]
    assert token_problems(app) == []


@pytest.mark.parametrize(
    "answer",
    [
        refused(100, 400),
        Answer(status=500, body=b"<html>"),
        Answer(status=200, body=b"not json"),
        Answer(status=200, body=b"\xff"),
        ok([]),
        ok({}),
        ok(SHOWN | {"id": "another"}),
    ],
)
def test_whatever_else_meta_answers_is_a_no_in_words(app: Served, answer: Answer) -> None:
    found = checked(app, answer)
    assert not found["ok"]
    assert found["cause"].startswith("Meta")
    assert token_problems(app) == []


@pytest.mark.parametrize("strange", [None, 7, [], {"x": 1}, "x" * 100_000])
def test_strange_values_are_left_out_or_cut(app: Served, strange: Any) -> None:
    found = checked(app, ok(dict.fromkeys(SHOWN, strange) | {"id": NUMBER}))
    assert found["ok"]
    assert all(len(value) <= 256 for value in found.values() if isinstance(value, str))


def test_without_a_token_there_is_nothing_to_check(app: Served) -> None:
    bare = app.post("/v1/accounts", {"phone_number_id": "900100"})["id"]
    app.call("POST", f"/v1/accounts/{bare}/check").problem(422, "/account")
    app.call("POST", f"/v1/accounts/{MISSING}/check").problem(404)
    app.call("POST", f"/v1/accounts/{NUMBER}/check", key=app.key("read")).problem(403)
