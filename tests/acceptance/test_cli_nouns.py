"""The nouns of the API as commands, against one served app that has a row of everything."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from tests.acceptance.tenants import Tenant, found
from tests.served import MISSING, Served, served

from tellwire.cli import MISUSED, NOT_FOUND, main

WORD = "bakery"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("nouns")) as running:
        yield running


@pytest.fixture(scope="module")
def tenant(app: Served) -> Tenant:
    return found(app, WORD, "111000111")


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(app: Served, tenant: Tenant, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command against the app, as the organization that has one row of everything."""

    def go(*arguments: str) -> tuple[int, str, str]:
        code = main([*arguments, "--url", f"http://127.0.0.1:{app.port}", "--key", tenant.admin])
        told = capsys.readouterr()
        return code, told.out, told.err

    return go


LISTS = (
    "messages",
    "conversations",
    "contacts",
    "media",
    "templates",
    "agents",
    "events",
    "deliveries",
    "failures",
    "inbound",
    "sources",
    "organizations",
    "accounts",
    "endpoints",
    "keys",
)


@pytest.mark.parametrize("noun", LISTS)
def test_a_noun_lists_and_shows(noun: str, run: Run) -> None:
    code, out, err = run(noun, "list", "--json")
    assert (code, err) == (0, "")
    rows = json.loads(out)["data"]
    assert rows
    table = run(noun, "list")[1]
    assert rows[0]["id"] in table
    lines = table.splitlines()
    assert lines[0] == lines[0].upper()
    assert len(lines) == len(rows) + 1
    if noun == "keys":
        return
    name = rows[0]["id"]
    code, out, _ = run(noun, "show", name, "--json")
    assert (code, json.loads(out)["id"]) == (0, name)
    assert name in run(noun, "show", name)[1]
    code, out, err = run(noun, "show", MISSING)
    assert (code, out, err.count("\n")) == (NOT_FOUND, "", 1), err


MADE_TOGETHER = {"messages", "events", "deliveries"}
"""Rows of one transaction have ids that follow each other: only their ends differ."""


@pytest.mark.parametrize("noun", [each for each in LISTS if each != "keys"])
def test_the_end_of_an_id_is_enough_and_its_beginning_often(noun: str, run: Run) -> None:
    name = json.loads(run(noun, "list", "--json")[1])["data"][0]["id"]
    for part in (name[-8:], name[-8:].upper(), name[:35]):
        if part == name[:35] and noun in MADE_TOGETHER:
            continue
        code, out, err = run(noun, "show", part, "--json")
        assert (code, err) == (0, "")
        assert json.loads(out)["id"] == name


def test_a_part_that_fits_several_lists_them(run: Run) -> None:
    rows = json.loads(run("messages", "list", "--json")[1])["data"]
    code, out, err = run("messages", "show", rows[0]["id"][:8])
    assert (code, out, err.count("\n")) == (MISUSED, "", 1)
    assert all(row["id"] in err for row in rows[:5])


def test_a_part_that_fits_none_is_4(run: Run) -> None:
    code, out, err = run("deliveries", "show", "ffffeeee")
    assert (code, out) == (NOT_FOUND, "")
    assert "no delivery has an id that begins or ends with ffffeeee among the newest" in err


def test_lines_come_one_a_row_and_limits_hold(run: Run) -> None:
    code, out, _ = run("messages", "list", "--jsonl", "--limit", "2")
    assert code == 0
    assert [json.loads(line)["direction"] for line in out.splitlines()] == ["outgoing", "incoming"]
    every = run("messages", "list", "--jsonl", "--all")[1].splitlines()
    assert len(every) == 3
    assert len(run("messages", "list", "--jsonl", "--limit", "1")[1].splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["messages", "list", "--since", "yesterday"], "--since takes a span such as 90s, 10m"),
        (["messages", "list", "--since", "2026-05-06"], "with its zone"),
        (["messages", "list", "--limit", "0"], "--limit"),
        (["messages", "list", "--direction", "sideways"], "direction must be one of incoming, outgoing"),
        (["messages", "list", "--send-state", "lost"], "send_state must be one of"),
        (["conversations", "list", "--status", "ajar"], "status must be one of open, closed"),
        (["deliveries", "list", "--state", "gone"], "state must be one of pending"),
        (["deliveries", "list", "--until", "soon"], "--until takes"),
        (["events", "list", "--entity", "people"], "entity must be one of"),
        (["failures", "list", "--state", "gone"], "state must be one of"),
        (["inbound", "list", "--outcome", "fine"], "outcome must be one of"),
        (["media", "list", "--state", "gone"], "state must be one of"),
        (["messages", "send", "+5215500000077"], "TEXT, --template or --body"),
        (["messages", "send", "--body", "{}"], "whom to send to"),
        (["messages", "send", "--body", "{"], "--body takes a JSON object"),
        (["messages", "send", "--body", "@nowhere.json"], "nowhere.json"),
        (["conversations", "assign", MISSING], "one of --member, --agent and --nobody"),
        (["agents", "update", MISSING, "--with", "[]"], "--with takes a JSON object"),
        (["contacts", "erase", MISSING, "--nope"], "--nope"),
        (["replay"], "say what to replay"),
        (["replay", MISSING, "--failed"], "say what to replay"),
        (["replay", MISSING, "--since", "1h"], "go with --failed"),
        (["tail", "--since", "soon"], "--since takes"),
    ],
)
def test_wrong_input_is_one_line_and_2(arguments: list[str], said: str, run: Run) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (MISUSED, ""), err
    assert said in err
    assert err.count("\n") == 1


def test_a_message_is_sent_cancelled_and_told(run: Run, tenant: Tenant) -> None:
    code, out, err = run("messages", "send", "+5215500000077", "On its way", "--json")
    assert (code, err) == (0, "")
    made = json.loads(out)
    assert made["content"]["text"] == {"body": "On its way"}
    assert "On its way" in run("messages", "list", "--limit", "1")[1]
    talk = made["conversation_id"]
    assert "On its way" in run("conversations", "messages", talk[-12:])[1]
    code, out, _ = run("messages", "cancel", made["id"], "--json")
    assert (code, json.loads(out)["send_state"]) == (0, "cancelled")
    code, out, _ = run("messages", "resend", made["id"][-8:], "--json")
    assert (code, json.loads(out)["send_state"]) == (0, "queued")


def test_a_conversation_is_closed_assigned_and_noted(run: Run, tenant: Tenant) -> None:
    (talk, *_), (agent, *_) = tenant.ids["conversation_id"], tenant.ids["agent_id"]
    code, out, err = run("conversations", "assign", talk, "--nobody", "--json")
    assert (code, json.loads(out or "{}").get("assignee", "")) == (0, None), err
    assert json.loads(run("conversations", "assign", talk, "--agent", agent, "--json")[1])["assignee"]["id"] == agent
    assert run("conversations", "note", talk, "Wants it in blue")[0] == 0
    assert "Wants it in blue" in run("conversations", "notes", talk)[1]
    queued = json.loads(run("messages", "list", "--send-state", "queued", "--json")[1])["data"]
    assert [run("messages", "cancel", row["id"])[0] for row in queued] == [0] * len(queued)
    assert json.loads(run("conversations", "close", talk, "--json")[1])["status"] == "closed"
    assert json.loads(run("conversations", "reopen", talk, "--json")[1])["status"] == "open"


def test_what_takes_away_asks_first(run: Run, tenant: Tenant) -> None:
    code, out, err = run("contacts", "erase", tenant.ids["contact_id"][0])
    assert (code, out) == (MISUSED, "")
    assert "Nobody can be asked here: give --yes" in err


def test_failures_are_acknowledged_and_resolved(run: Run, tenant: Tenant) -> None:
    name = tenant.ids["failure_id"][0]
    code, out, _ = run("failures", "acknowledge", name, "--note", "known", "--json")
    assert (code, json.loads(out)["note"]) == (0, "known")
    assert json.loads(run("failures", "resolve", name, "--json")[1])["state"] == "resolved"


def test_an_account_is_checked_and_changed(run: Run, tenant: Tenant) -> None:
    code, out, err = run("accounts", "update", tenant.number, "--name", "Corner shop", "--json")
    assert (code, json.loads(out or "{}").get("name")) == (0, "Corner shop"), err
    code, out, err = run("accounts", "check", tenant.number, "--json")
    assert json.loads(out)["ok"] is (code == 0), err
    assert run("accounts", "update", tenant.number)[0] == MISUSED


def test_an_event_is_shown_as_a_format_has_it(run: Run) -> None:
    name = json.loads(run("events", "list", "--entity", "messages", "--json")[1])["data"][0]["id"]
    code, out, _ = run("events", "show", name[-8:], "--payload", "row")
    assert code == 0
    assert json.loads(out)["entity"] == "messages"
    code, _, err = run("events", "show", name, "--payload", "telegram")
    assert code == NOT_FOUND
    assert "there are row" in err
