"""The command line beside and without a running server: real processes on a database of their own."""

from __future__ import annotations

import base64
import http.client
import json
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.acceptance.processes import Running, catching, every, logged_url, request, running, tellwire, until

import tellwire_sdk
from tellwire.cli import MISUSED, NOT_FOUND, main
from tellwire.cli.dev.catcher import Catch
from tellwire.simulator import BUSINESS, PEOPLE, Customer, body_of
from tellwire_sdk import MessageRow, RowEvent

ADMIN = "an-invented-admin-key-for-these-tests"
APP_SECRET = "an-app-secret-for-tests"
SECRETS = {"row": "a row secret of ours", "chat": "a chat secret of ours"}
SETTINGS = {
    "PORT": "0",
    "ADMIN_KEY": ADMIN,
    "META_APP_SECRET": APP_SECRET,
    "AUTO_ACCOUNTS": "true",
    "DELIVERY_ALLOW_CIDRS": "127.0.0.0/8",
}
NOW = 1_800_000_000


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[tuple[str, Running]]:
    with running("serve", cwd=folder, **{**SETTINGS, **settings}) as server:
        yield server.wait_for(logged_url, stream="err"), server


def run(*arguments: str, cwd: Path, **settings: str) -> Any:
    """Run a command with --json that must do; its document."""
    done = tellwire(*arguments, "--json", cwd=cwd, **settings)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def post(url: str, body: bytes) -> int:
    signature = {"X-Hub-Signature-256": tellwire_sdk.hub_signature(body, APP_SECRET)}
    return request(f"{url}/meta/webhook", method="POST", body=body, headers=signature)[0]


def listen_to(url: str, target: str) -> None:
    """Send everything to a catcher."""
    for name, secret in SECRETS.items():
        draft = {"url": f"{target}/{name}", "format": name, "secret": secret}
        status, answer = request(f"{url}/v1/webhook-endpoints", key=ADMIN, method="POST", body=draft)
        assert status == 201, answer


# --- what every command promises --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *("keys", "accounts", "endpoints", "messages", "conversations", "contacts", "media", "templates", "agents"),
        *("events", "deliveries", "failures", "inbound", "sources", "organizations"),
    ],
)
def test_help_below_a_command_comes_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    def told(*arguments: str) -> str:
        assert main([*arguments, "--help"]) == 0
        return capsys.readouterr().out

    below = re.findall(r"^  ([a-z][a-z-]+)  ", told(name), re.MULTILINE)
    assert "list" in below
    for command in below:
        shown = told(name, command)
        assert f"Example: tellwire {name} {command}" in shown
        assert "--json" in shown


@pytest.mark.parametrize(
    ("command", "path"),
    [
        (["serve"], "file"),
        (["migrate"], "file/inside.db"),
        (["keys", "list"], "file"),
        (["dev"], "file/inside.db"),
        (["backup", "b.tar"], "file"),
    ],
)
def test_a_database_that_cannot_be_opened_is_said_in_a_line(command: list[str], path: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no database")
    done = tellwire(*command, cwd=tmp_path, DATABASE_URL=f"sqlite:///{path}", PORT="0")
    assert done.returncode == 1
    assert f"the database {path} cannot be opened" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serve", "--role", "ingest"], "PostgreSQL"),
        (["serve", "--role", "cook"], "cook"),
        (["simulate", "--secret", "x", "--types", "text,smoke"], "smoke"),
        (["simulate", "--url", "not a url", "--secret", "x"], "not a url"),
        (["simulate", "--serve", "--secret", "x", "--knob", "latncy=1"], "latncy"),
        (["simulate", "--serve", "--secret", "x", "--knob", "throttle_rate=2"], "throttle_rate"),
        (["simulate", "--serve", "--secret", "x", "--knob", "latency"], "NAME=VALUE"),
        (["simulate"], "--secret"),
        (["accounts", "create", "1", "--app-secret", "@nowhere.txt"], "nowhere.txt"),
        (["endpoints", "create", "https://example.com/", "--format", "row", "--with", "{"], "--with"),
        (["dev", "--port", "many"], "--port"),
        (["meta", "connect", "--register"], "--pin"),
        (["meta", "connect", "--access-token", "@nowhere.txt"], "nowhere.txt"),
        (["compare", "--since", "yesterday"], "--since"),
        (["compare", "--grace", "5"], "--grace"),
        (["backup", "no/such/folder/b.tar"], "there is no folder no/such/folder"),
        (["restore", "no-such-file.tar"], "no-such-file.tar"),
    ],
)
def test_wrong_usage_is_said_in_a_line(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TELLWIRE_PORT", "0")
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["keys", "create", "--scope", "cook"], MISUSED, "scopes"),
        (["keys", "revoke", "nobody"], NOT_FOUND, "no API key"),
        (["login-link", "--email", "nobody@example.com"], MISUSED, "no such member"),
        (["accounts", "show", "1"], NOT_FOUND, "no account"),
        (["endpoints", "create", "ftp://x", "--format", "row"], MISUSED, "url"),
        (["endpoints", "pause", "0199a7c2-4f10-7c3a-9d55-0a1b2c3d4e5f"], NOT_FOUND, "no webhook endpoint"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(arguments: list[str], code: int, said: str, tmp_path: Path) -> None:
    done = tellwire(*arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


# --- serve ------------------------------------------------------------------------------------------------------------


def test_a_server_is_ready_says_where_and_ends_with_sigterm(tmp_path: Path) -> None:
    with serving(tmp_path) as (url, server):
        assert request(f"{url}/livez")[0] == 200
        assert request(f"{url}/readyz")[0] == 200
        assert server.stop(signal.SIGTERM) == 0
        assert server.group_is_gone()
        assert not any("Traceback" in line for line in server.err), server.err
        assert server.out == []


def test_a_taken_port_is_an_error_that_names_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = tellwire("serve", cwd=tmp_path, PORT=port)
    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_server_on_the_same_database_refuses(tmp_path: Path) -> None:
    with serving(tmp_path):
        done = tellwire("serve", cwd=tmp_path, **SETTINGS)
        assert done.returncode == 1
        assert "another process serves" in done.stderr
        assert "Traceback" not in done.stderr


def test_json_says_on_stdout_where_it_serves(tmp_path: Path) -> None:
    with running("serve", "--json", cwd=tmp_path, **SETTINGS) as server:
        (line,) = server.wait_for(lambda lines: lines[:1])
        document = json.loads(line)
        assert document["event"] == "ready"
        assert request(f"{document['url']}/livez")[0] == 200


# --- keys, accounts, endpoints ----------------------------------------------------------------------------------------


def test_a_key_made_beside_a_server_opens_it_until_it_is_revoked(tmp_path: Path) -> None:
    with serving(tmp_path) as (url, _):
        made = run("keys", "create", "--name", "crm", cwd=tmp_path)
        assert re.fullmatch(r"tw_[A-Za-z0-9_-]{43}", made["key"])
        assert every(url, "webhook-endpoints", key=made["key"]) == []
        (listed,) = run("keys", "list", cwd=tmp_path)["data"]
        assert (listed["id"], listed["name"], listed["scopes"]) == (made["id"], "crm", ["admin"])
        assert "key" not in listed
        assert run("keys", "revoke", made["id"], cwd=tmp_path)["revoked_at"]
        until(lambda: request(f"{url}/v1/accounts", key=made["key"])[0] == 401, what="the revocation")


def test_a_login_link_made_beside_a_server_lets_in_once(tmp_path: Path) -> None:
    with serving(tmp_path) as (url, _):
        done = tellwire("login-link", cwd=tmp_path)
        assert re.fullmatch(r"http://\S+/login/link/[A-Za-z0-9_-]{43}\n", done.stdout), done.stderr
        assert "once, until" in done.stderr
        made = run("login-link", cwd=tmp_path)
        path = urlsplit(made["url"]).path
        entered = [form(f"{url}{path}") for _ in range(2)]
        assert [status for status, _ in entered] == [303, 410]
        assert "tellwire_session=" in entered[0][1]


def form(url: str) -> tuple[int, str]:
    """Send an empty form; return the status and the cookie that came."""
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.netloc, timeout=20)
    connection.request("POST", where.path, b"", {"content-type": "application/x-www-form-urlencoded"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, answer.headers.get("set-cookie", "")


def test_a_key_may_do_what_its_scopes_say(tmp_path: Path) -> None:
    made = run("keys", "create", "--scope", "read", "--days", "1", cwd=tmp_path)
    assert made["scopes"] == ["read"]
    assert made["expires_at"]
    with serving(tmp_path) as (url, _):
        assert request(f"{url}/v1/accounts", key=made["key"])[0] == 200
        assert request(f"{url}/v1/accounts", key=made["key"], method="POST", body={"phone_number_id": "1"})[0] == 403


def test_only_an_operators_key_reaches_beyond_its_organization(tmp_path: Path) -> None:
    made = run("keys", "create", "--operator", cwd=tmp_path)
    assert (made["operator"], made["scopes"]) == (True, ["admin"])
    plain = run("keys", "create", "--scope", "admin", cwd=tmp_path)
    assert plain["operator"] is False
    with serving(tmp_path) as (url, _):
        draft = {"name": "Another"}
        assert request(f"{url}/v1/organizations", key=plain["key"], method="POST", body=draft)[0] == 403
        status, organization = request(f"{url}/v1/organizations", key=made["key"], method="POST", body=draft)
        assert status == 201
        there = run("keys", "create", "--organization", organization["id"], cwd=tmp_path)
        number = {"phone_number_id": "1001"}
        assert request(f"{url}/v1/accounts", key=there["key"], method="POST", body=number)[0] == 422
        assert request(f"{url}/v1/accounts", key=made["key"], method="POST", body=number)[0] == 201
    listed = {row["id"]: row["operator"] for row in run("keys", "list", cwd=tmp_path)["data"]}
    assert listed == {made["id"]: True, plain["id"]: False}


def test_without_json_a_key_alone_is_on_stdout(tmp_path: Path) -> None:
    done = tellwire("keys", "create", cwd=tmp_path)
    assert re.fullmatch(r"tw_[A-Za-z0-9_-]{43}\n", done.stdout)
    assert "not shown again" in done.stderr
    listed = tellwire("keys", "list", cwd=tmp_path).stdout
    assert listed.startswith("ID ")
    assert done.stdout.strip() not in listed


def test_an_account_made_beside_a_server_gets_what_waited_for_it(tmp_path: Path) -> None:
    customer = Customer(PEOPLE[0], BUSINESS, Random(1))
    with serving(tmp_path, AUTO_ACCOUNTS="false") as (url, _):
        assert post(url, body_of([customer.text("Hi", at=NOW)])) == 200
        assert every(url, "messages", key=ADMIN) == []
        number = BUSINESS.phone_number_id
        (tmp_path / "token.txt").write_text("a-token\n")
        made = run("accounts", "create", number, "--name", "Shop", "--access-token", "@token.txt", cwd=tmp_path)
        assert (made["phone_number_id"], made["name"], made["has_access_token"]) == (number, "Shop", True)
        until(lambda: every(url, "messages", key=ADMIN), what="the message that waited")
        assert [each["id"] for each in run("accounts", "list", cwd=tmp_path)["data"]] == [made["id"]]
        assert run("accounts", "show", number, cwd=tmp_path)["id"] == made["id"]
        assert run("accounts", "delete", number, cwd=tmp_path) == {"ok": True}
        assert every(url, "accounts", key=ADMIN) == []


def test_an_endpoint_is_made_paused_resumed_rotated_and_deleted_beside_a_server(tmp_path: Path) -> None:
    customer = Customer(PEOPLE[0], BUSINESS, Random(1))
    settings = {name: SETTINGS[name] for name in ("DELIVERY_ALLOW_CIDRS",)}
    with catching(SECRETS) as (target, catches), serving(tmp_path) as (url, _):
        made = run(
            "endpoints", "create", f"{target}/chat", "--format", "chat", "--secret", SECRETS["chat"],
            "--with", '{"ordering": "none"}', cwd=tmp_path, **settings,
        )  # fmt: skip
        assert (made["secret"], made["ordering"], made["state"]) == (SECRETS["chat"], "none", "active")
        until(lambda: post(url, body_of([customer.text("Hi", at=NOW)])) == 200 and list(catches), what="a delivery")
        assert catches[0].verified
        identifier = made["id"]
        assert run("endpoints", "pause", identifier, cwd=tmp_path)["state"] == "paused"
        assert run("endpoints", "show", identifier, cwd=tmp_path)["state"] == "paused"
        assert run("endpoints", "resume", identifier, cwd=tmp_path)["state"] == "active"
        rotated = run("endpoints", "rotate-secret", identifier, cwd=tmp_path)
        assert rotated["secret"].startswith("whsec_")
        (listed,) = run("endpoints", "list", cwd=tmp_path)["data"]
        assert (listed["id"], len(listed["secrets"])) == (identifier, 2)
        assert "secret" not in listed
        assert run("endpoints", "delete", identifier, cwd=tmp_path) == {"ok": True}
        assert every(url, "webhook-endpoints", key=ADMIN) == []


# --- simulate ---------------------------------------------------------------------------------------------------------


def test_simulated_traffic_is_all_answered_200_and_repeats_change_nothing(tmp_path: Path) -> None:
    with serving(tmp_path) as (url, _):
        traffic = (
            "simulate", "--url", f"{url}/meta/webhook", "--secret", APP_SECRET, "--messages", "48", "--types", "all",
            "--batch", "3", "--shuffle", "--duplicates", "--seed", "7",
        )  # fmt: skip
        told = run(*traffic, cwd=tmp_path)
        assert told["ok"] is True
        assert told["answers"] == {"200": told["posts"]}
        assert told["posts"] > told["updates"] / 3, "everything was posted twice"
        messages, events = every(url, "messages", key=ADMIN), every(url, "events", key=ADMIN)
        inserted = [event for event in events if event["entity"] == "messages" and event["action"] == "insert"]
        assert len(messages) == len(inserted) > 48
        assert run(*traffic, cwd=tmp_path)["ok"] is True
        assert every(url, "messages", key=ADMIN) == messages
        assert every(url, "events", key=ADMIN) == events


def test_simulate_says_what_was_not_answered_200(tmp_path: Path) -> None:
    with serving(tmp_path) as (url, _):
        done = tellwire(
            "simulate", "--url", f"{url}/meta/webhook", "--secret", "wrong", "--messages", "3", cwd=tmp_path
        )
        assert done.returncode == 1
        assert "3 × 401" in done.stdout
        assert "401" in done.stderr
    done = tellwire(
        "simulate", "--url", f"{url}/meta/webhook", "--secret", "x", "--messages", "1", "--json", cwd=tmp_path
    )
    assert done.returncode == 1
    assert json.loads(done.stdout)["answers"] == {"refused": 1}
    assert "refused" in done.stderr


def test_simulate_comes_from_the_number_and_to_the_account_that_are_named(tmp_path: Path) -> None:
    with serving(tmp_path) as (url, _):
        run(
            "simulate", "--url", f"{url}/meta/webhook", "--messages", "2", "--from", "+5215500000077",
            "--phone-number-id", "77", "--rate", "100", cwd=tmp_path, META_APP_SECRET=APP_SECRET,
        )  # fmt: skip
        assert {each["from"] for each in every(url, "messages", key=ADMIN)} == {"5215500000077"}
        assert [each["phone_number_id"] for each in every(url, "accounts", key=ADMIN)] == ["77"]


# --- nothing is lost --------------------------------------------------------------------------------------------------


def test_what_was_answered_200_survives_kill_9_and_keeps_its_webhook_id(tmp_path: Path) -> None:
    random = Random(5)
    customers = [Customer(person, BUSINESS, random) for person in PEOPLE]
    answered: list[str] = []
    with catching(SECRETS) as (target, catches):
        for life in range(4):
            with serving(tmp_path) as (url, server):
                if life == 0:
                    listen_to(url, target)
                answered += post_until_killed(url, server, customers, kill_after=random.randrange(1, 40))
        with serving(tmp_path):
            until(lambda: set(answered) <= arrived(catches).keys(), what="everything that was answered 200")
    assert len(answered) >= 4
    assert [catch.error for catch in catches if catch.error] == []
    for name in SECRETS:
        ids: dict[str, set[str]] = {}
        for catch in catches:
            if catch.format == name and catch.event == "messages.insert":
                ids.setdefault(catch.message_id, set()).add(catch.webhook_id)
        assert all(len(each) == 1 for each in ids.values()), "a repeat keeps its webhook-id"
    in_order(catches, answered)


def post_until_killed(url: str, server: Running, customers: list[Customer], *, kill_after: int) -> list[str]:
    """Let customers write at the same time, each one message after the other, and kill the server in the middle.

    Returns: the wamids that were answered 200, in the order of the answers.
    """
    answered: list[str] = []
    lock = threading.Lock()

    def write(customer: Customer) -> None:
        for number in range(1000):
            update = customer.text(f"message {number}", at=NOW)
            with suppress(OSError):
                if post(url, body_of([update])) == 200:
                    with lock:
                        answered.append(update.wamid)
                        if len(answered) == kill_after:
                            server.process.send_signal(signal.SIGKILL)
            if server.process.poll() is not None or len(answered) >= kill_after:
                return

    with ThreadPoolExecutor(len(customers)) as pool:
        list(pool.map(write, customers))
    server.process.wait(60)
    return answered


def arrived(catches: list[Catch]) -> dict[str, str]:
    """wamid → row id, of the messages that have come under both formats."""
    in_chat = {catch.message_id for catch in catches if catch.format == "chat"}
    rows = {}
    for catch in list(catches):
        match catch.payload:
            case RowEvent(data=MessageRow() as row) if row.id in in_chat:
                rows[row.wa_id or ""] = row.id
    return rows


def in_order(catches: list[Catch], answered: list[str]) -> None:
    """Each customer's messages came first in the order in which they were answered."""
    rows = arrived(catches)
    for name in SECRETS:
        first = list(dict.fromkeys(catch.message_id for catch in catches if catch.format == name))
        for person in PEOPLE:
            mine = [rows[wamid] for wamid in answered if wamid in rows and wamid_is_of(wamid, person.wa_id)]
            assert [each for each in first if each in mine] == mine


def wamid_is_of(wamid: str, number: str) -> bool:
    return number.encode() in base64.b64decode(wamid.removeprefix("wamid."))


# --- migrate, openapi -------------------------------------------------------------------------------------------------


def test_migrating_is_safe_twice_and_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        runs: list[subprocess.CompletedProcess[str]] = list(
            pool.map(lambda _: tellwire("migrate", "--json", cwd=tmp_path), range(3))
        )
    runs.append(tellwire("migrate", "--json", cwd=tmp_path))
    assert [done.returncode for done in runs] == [0] * 4, [done.stderr for done in runs]
    assert {json.loads(done.stdout)["ok"] for done in runs} == {True}
    assert run("keys", "list", cwd=tmp_path) == {"data": []}


def test_the_openapi_document_needs_no_database(tmp_path: Path) -> None:
    document = run("openapi", cwd=tmp_path)
    assert document["openapi"].startswith("3.1")
    assert "/v1/messages" in document["paths"]
    assert document["webhooks"]
    assert list(tmp_path.iterdir()) == []
    assert json.loads(tellwire("openapi", cwd=tmp_path).stdout) == document


@pytest.mark.parametrize(("url", "code"), [("http://nowhere.invalid/", MISUSED), ("http://localhost/", 0)])
def test_http_is_only_for_names_that_lead_to_the_allow_list(tmp_path: Path, url: str, code: int) -> None:
    allowed = {"DELIVERY_ALLOW_CIDRS": "127.0.0.0/8,::1/128"}
    made = tellwire("endpoints", "create", url, "--format", "row", cwd=tmp_path, **allowed)
    assert (made.returncode, "http is only for addresses on the allow list" in made.stderr) == (code, bool(code))


def test_serve_refuses_an_admin_key_that_could_be_guessed(tmp_path: Path) -> None:
    done = tellwire("serve", cwd=tmp_path, ADMIN_KEY="x" * 31)
    assert (done.returncode, done.stdout) == (2, "")
    assert "TELLWIRE_ADMIN_KEY takes" in done.stderr
    assert "at least 32 characters (`openssl rand -base64 32` makes such a key)" in done.stderr
    assert "x" * 31 not in done.stderr
    assert list(tmp_path.iterdir()) == []
