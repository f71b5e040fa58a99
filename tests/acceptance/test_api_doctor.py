"""`POST /v1/doctor` over each store: for operators, of what the server itself knows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.served import SETTINGS, Served, served
from tests.world import KIND, NUMBER

from tellwire.doctor.checks import CHECKS
from tellwire.doctor.checks_here import HERE


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, each_store: None) -> Iterator[Served]:
    settings = replace(SETTINGS, quota_accounts=2, public_url="https://hooks.example.com")
    with served(Path(tmp_path_factory.mktemp("doctor")), settings=settings) as running:
        yield running


def found(app: Served) -> dict[str, dict[str, Any]]:
    answer = app.post("/v1/doctor", status=200)
    assert answer["works"] == all(each["state"] != "broken" for each in answer["checks"])
    assert all(each["title"] == CHECKS[each["check"]].title for each in answer["checks"])
    return {each["check"]: each for each in answer["checks"]}


def test_what_the_database_says_of_itself(app: Served) -> None:
    kinds = {"sqlite": ("SQLite", {"database"}), "postgres": ("PostgreSQL", {"database", "database_clock"})}
    name, checks = kinds[KIND.get()]
    told = found(app)
    assert told["database"]["cause"].startswith(f"{name} ")
    assert told["database"]["state"] == "ok"
    assert checks <= told.keys()
    assert not told.keys() & {*HERE}


def test_a_quota_that_is_nearly_used_up(app: Served) -> None:
    assert found(app)["quotas"]["state"] == "ok"
    for number in (NUMBER, "404"):
        app.post("/v1/accounts", {"phone_number_id": number})
    told = found(app)["quotas"]
    assert (told["state"], told["cause"]) == ("warning", "It has 2 of 2 accounts (QUOTA_ACCOUNTS).")


def test_agents_whose_model_is_not_asked(app: Served) -> None:
    app.post("/v1/agents", {"name": "Script", "kind": "ai", "model": "scripted"})
    app.post("/v1/agents", {"name": "Ana", "kind": "human"})
    sent = len(app.outside.sent)
    assert found(app)["models"]["state"] == "ok"
    assert len(app.outside.sent) == sent


def test_only_operators_have_it_examined(app: Served) -> None:
    asked = len(app.outside.asked)
    app.call("POST", "/v1/doctor", key=app.key("admin")).problem(403)
    app.call("POST", "/v1/doctor", key=app.key("read")).problem(403)
    assert len(app.outside.asked) == asked
