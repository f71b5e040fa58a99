"""The command line on PostgreSQL: what it does, and what it says when the server does not let it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import asyncpg
import pytest
from tests.acceptance.processes import catching, logged_url, request, running, tellwire, until
from tests.acceptance.test_main_job import ADMIN, SECRETS, inserts, post, serving, subscribe
from tests.postgres_server import database_url, drop_database, free_port, fresh_database, server_url
from tests.world import envelope, incoming

from tellwire.errors import BadSettings, Unavailable
from tellwire.stores.postgres.connections import PostgresServer, check, reporting_connect_errors

KEY = base64.b64encode(bytes(32)).decode()


@pytest.fixture
def url() -> Iterator[str]:
    """An empty database."""
    made = fresh_database(migrated=False)
    yield made
    drop_database(made)


def test_migrate_then_keys_endpoints_and_accounts(tmp_path: Path, url: str) -> None:
    settings = {"DATABASE_URL": url, "MASTER_KEY": KEY}
    refused = tellwire("keys", "list", cwd=tmp_path, **settings)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "run `tellwire migrate` first" in refused.stderr
    assert tellwire("serve", cwd=tmp_path, **settings).stderr.count("run `tellwire migrate` first") == 1
    with ThreadPoolExecutor(2) as pool:
        for done in pool.map(lambda _: tellwire("migrate", "--json", cwd=tmp_path, **settings), range(2)):
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["ok"] is True
    key = json.loads(tellwire("keys", "create", "--name", "crm", "--json", cwd=tmp_path, **settings).stdout)
    assert key["key"].startswith("tw_")
    made = tellwire("endpoints", "create", "https://example.com/in", "--format", "row", cwd=tmp_path, **settings)
    assert made.returncode == 0, made.stderr
    assert tellwire("accounts", "create", "100200300400500", cwd=tmp_path, **settings).returncode == 0
    listed = json.loads(tellwire("endpoints", "list", "--json", cwd=tmp_path, **settings).stdout)
    assert [each["url"] for each in listed["data"]] == ["https://example.com/in"]
    assert not list(tmp_path.iterdir())


def test_a_master_key_is_required(tmp_path: Path, url: str) -> None:
    refused = tellwire("serve", cwd=tmp_path, DATABASE_URL=url)
    assert refused.returncode == 2
    assert "MASTER_KEY is required with PostgreSQL" in refused.stderr


@pytest.mark.parametrize("command", ["migrate", "serve", "keys"])
def test_nobody_listens(tmp_path: Path, command: str) -> None:
    nowhere = f"postgresql://someone:an-invented-password@127.0.0.1:{free_port()}/none"
    arguments = ["keys", "list"] if command == "keys" else [command]
    refused = tellwire(*arguments, cwd=tmp_path, DATABASE_URL=nowhere, MASTER_KEY=KEY)
    assert refused.returncode == 1
    assert "nothing listens there; start PostgreSQL" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "invented" not in refused.stderr


def test_there_is_no_such_database(tmp_path: Path) -> None:
    refused = tellwire("migrate", cwd=tmp_path, DATABASE_URL=database_url("of_nobody", server_url()), MASTER_KEY=KEY)
    assert refused.returncode == 1
    assert 'database "of_nobody" does not exist; create it first' in refused.stderr


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (asyncpg.InvalidPasswordError("password authentication failed"), "see the user and password in"),
        (asyncpg.TooManyConnectionsError("sorry, too many clients already"), "too many clients already"),
        (asyncpg.CannotConnectNowError("the database system is starting up"), "starting up"),
        (TimeoutError(), "it did not answer within 5 s"),
        (asyncpg.ClientConfigurationError("invalid port"), "DATABASE_URL: invalid port"),
    ],
)
def test_why_it_cannot_be_opened(error: Exception, said: str) -> None:
    with (
        pytest.raises((Unavailable, BadSettings), match=said) as refused,
        reporting_connect_errors(PostgresServer("postgresql://someone:an-invented-password@db.example/app")),
    ):
        raise error
    assert "invented" not in str(refused.value)


def test_a_server_that_is_too_old_is_refused() -> None:
    old = SimpleNamespace(get_server_version=lambda: SimpleNamespace(major=13, minor=9))
    with pytest.raises(BadSettings, match=r"PostgreSQL 14 or newer is needed, and this server is 13\.9"):
        check(cast("Any", old)).send(None)


def test_many_processes_each_with_a_part_deliver_everything_in_order(tmp_path: Path) -> None:
    """Two take in, two deliver; one that delivers is killed, another told to stop, under load."""
    database = fresh_database()
    settings = {"DATABASE_URL": database, "MASTER_KEY": KEY}
    common = {"PORT": "0", "DELIVERY_ALLOW_CIDRS": "127.0.0.0/8", **settings}
    total = 120
    with (
        catching(SECRETS) as (target, catches),
        serving(tmp_path, "--role", "ingest", **settings) as (one, _),
        serving(tmp_path, "--role", "ingest", **settings) as (two, _),
        running("serve", "--role", "deliver", cwd=tmp_path, **common) as killed,
        running("serve", "--role", "deliver", cwd=tmp_path, **common) as stopped,
    ):
        probe = killed.wait_for(logged_url, stream="err")
        assert request(f"{probe}/livez")[0] == 200
        assert request(f"{probe}/v1/accounts", key=ADMIN)[0] == 404
        stopped.wait_for(logged_url, stream="err")
        subscribe(one, target)
        with ThreadPoolExecutor(8) as pool:

            def send(number: int) -> int:
                body = envelope(incoming(f"wamid.{number}", f"{number}", sender=f"52155883922{number % 20:02}"))
                return post((one, two)[number % 2], body)[0]

            first = list(pool.map(send, range(total // 2)))
            killed.process.kill()
            rest = list(pool.map(send, range(total // 2, total)))
        assert {*first, *rest} == {200}
        with running("serve", "--role", "deliver", cwd=tmp_path, **common) as third:
            third.wait_for(logged_url, stream="err")
            assert stopped.stop() == 0
            until(lambda: all(len(inserts(catches, name)) == total for name in SECRETS), what="every message")
    drop_database(database)
    assert [catch.error for catch in catches if catch.error] == []
    seen: dict[str, list[int]] = {}
    for catch in catches:
        if catch.format == "row" and catch.event == "messages.insert" and catch.payload:
            row = catch.payload.to_payload()["data"]
            seen.setdefault(row["conversation_id"], []).append(int(catch.headers["tellwire-sequence"]))
    assert seen
    for numbers in seen.values():
        fresh = list(dict.fromkeys(numbers))
        assert fresh == sorted(fresh), "in order"
