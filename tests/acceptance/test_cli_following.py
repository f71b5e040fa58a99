"""Commands that ask what became of things: why, tail, replay and trigger, against one served app."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from msgspec.json import encode
from msgspec.structs import replace
from tests.acceptance.tenants import Tenant, found
from tests.served import ADMIN, APP_SECRET, HOOK, Served, served
from tests.world import envelope, text_message, value

from tellwire.cli import FAILED, MISUSED, NO_SERVER, NOT_FOUND, main, profiles
from tellwire.cli.client import Client
from tellwire.cli.dev.home import FOLDER, make_home
from tellwire.cli.profiles import Profile
from tellwire.cli.replay import follow
from tellwire.cli.tail import followed

NUMBER = "222000222"
CUSTOMER = "5215500000077"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("following")) as running:
        running.post("/v1/accounts", {"phone_number_id": NUMBER, "name": "Corner shop", "waba_id": "333"})
        running.post("/v1/webhook-endpoints", {"url": HOOK, "format": "row", "description": "crm"})
        yield running


@pytest.fixture(scope="module")
def tenant(app: Served) -> Tenant:
    return found(app, "bakery", "111000111")


@pytest.fixture(autouse=True)
def _at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(app: Served, capsys: pytest.CaptureFixture[str]) -> Run:
    def go(*arguments: str, key: str = ADMIN) -> tuple[int, str, str]:
        code = main([*arguments, "--url", f"http://127.0.0.1:{app.port}", "--key", key])
        told = capsys.readouterr()
        return code, told.out, told.err

    return go


def written(app: Served, wamid: str, words: str, sender: str = CUSTOMER) -> str:
    """A customer's message; its id."""
    body = envelope(value(number=NUMBER, messages=[text_message(wamid, words, sender=sender)]), waba="333")
    assert app.meta(body).status == 200
    return str(next(row["id"] for row in app.get("/v1/messages")["data"] if row.get("wa_id") == wamid))


# --- why --------------------------------------------------------------------------------------------------------------


def test_why_tells_a_message_by_whatever_is_known_of_it(app: Served, run: Run) -> None:
    name = written(app, "wamid.why-1", "Where is it?", "5215500000088")
    delivery = app.get(f"/v1/deliveries?message_id={name}")["data"][0]
    for known in (name, name[-8:], "wamid.why-1", "+5215500000088", delivery["webhook_id"], delivery["id"][-8:]):
        code, out, err = run("why", known)
        assert (code, err) == (FAILED, ""), known
        assert "✓" in out
        assert "… It waits for its turn at crm" in out
    document = json.loads(run("why", name, "--json")[1])
    assert document["journey"]["message"]["id"] == name


def test_why_of_nothing_is_4(run: Run) -> None:
    code, out, err = run("why", "wamid.nowhere")
    assert (code, out) == (NOT_FOUND, "")
    assert "nothing is known of wamid.nowhere" in err


# --- tail -------------------------------------------------------------------------------------------------------------


def test_tail_tells_what_fits_its_filters(app: Served, run: Run) -> None:
    written(app, "wamid.tail-1", "first words", "5215500000055")
    written(app, "wamid.tail-2", "other words", "5215500000056")
    begin = ("tail", "--since", "2026-01-01T00:00:00Z", "--limit", "1")
    code, out, err = run(*begin, "--event", "messages.insert", "--phone", "+52 155 0000 0056")
    assert (code, err) == (0, "")
    assert "other words" in out
    assert "messages.insert" in out
    code, out, _ = run(*begin, "--account", NUMBER, "--phone", "5215500000055", "--event", "messages.insert", "--json")
    told = json.loads(out)
    assert (code, told["event"], told["data"]["content"]["text"]["body"]) == (0, "messages.insert", "first words")


def test_tail_of_no_server_is_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tail", "--url", "http://127.0.0.1:9", "--key", "k"]) == NO_SERVER
    assert capsys.readouterr().err.count("\n") == 1


@pytest.fixture
def breaking() -> Iterator[tuple[str, list[str]]]:
    """A server whose streams break after three events, in the middle of the fourth; where it is, and what it was
    asked to go on from."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            after = self.headers.get("Last-Event-ID", "")
            asked.append(after)
            if len(asked) == 3:
                self.send_error(503)
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            first = int(after) + 1
            for number in range(first, first + 3):
                self.wfile.write(b": still here\n\nid: %d\nevent: e\ndata: {}\n\n" % number)
            self.wfile.write(b"id: %d\nevent: e\ndata: {" % (first + 3))

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_stream_that_breaks_goes_on_without_a_gap(breaking: tuple[str, list[str]]) -> None:
    url, asked = breaking
    events = followed(Client(url, "k"), "0")
    assert [int(next(events).id) for _ in range(8)] == list(range(1, 9))
    events.close()  # type: ignore[attr-defined]
    assert asked == ["0", "3", "6", "6"]


# --- replay -----------------------------------------------------------------------------------------------------------


def fail(app: Served, message_id: str) -> list[str]:
    """Have the deliveries of a message be given up; their ids."""
    ids = [str(row["id"]) for row in app.get(f"/v1/deliveries?message_id={message_id}")["data"]]
    for each in ids:
        app.write(lambda c, each=each: c.exec_driver_sql(f"UPDATE deliveries SET state = 'failed' WHERE id = '{each}'"))  # type: ignore[misc]
    return ids


def test_what_failed_is_replayed_oldest_first(app: Served, run: Run) -> None:
    ids = [each for number in (1, 2) for each in fail(app, written(app, f"wamid.replay-{number}", "again"))]
    endpoint = app.get("/v1/deliveries?ids=" + ids[0])["data"][0]["endpoint_id"]
    code, out, err = run("replay", "--failed", "--endpoint", endpoint)
    assert (code, out) == (MISUSED, "")
    assert f"Send {len(ids)} deliveries once more ({len(ids)} to crm)?" in err
    code, out, err = run("replay", "--failed", "--endpoint", endpoint[-8:], "--yes", "--wait", "0", "--json")
    assert code == FAILED  # nobody delivers here: they wait
    assert [row["id"] for row in json.loads(out)["data"]] == ids
    assert {row["state"] for row in json.loads(out)["data"]} == {"pending"}
    assert run("replay", "--failed", "--yes")[0] == NOT_FOUND


def test_a_delivery_is_replayed_by_what_it_is_of(app: Served, run: Run) -> None:
    name = written(app, "wamid.replay-3", "again", "5215500000044")
    ids = fail(app, name)
    row = app.get("/v1/deliveries?ids=" + ids[-1])["data"][0]
    for given in (ids[-1], ids[-1][-8:], row["event_id"], row["webhook_id"]):
        code, out, err = run("replay", given, "--wait", "0", "--json")
        assert code == FAILED, err
        assert [each["id"] for each in json.loads(out)["data"]] == [ids[-1]]
    assert {each["id"] for each in json.loads(run("replay", name, "--wait", "0", "--yes", "--json")[1])["data"]} == set(
        ids
    )
    code, _, err = run("replay", ids[-1], "--to", "http://not-https.example.com", "--wait", "0")
    assert code == MISUSED
    assert "url" in err


class Slowly:
    """Deliveries, of which one more is delivered each time."""

    is_server = True

    def __init__(self) -> None:
        self.asked = 0

    def call(self, *_: Any, **__: Any) -> Any:
        self.asked += 1
        return {
            "data": [{"id": each, "state": "delivered" if int(each) <= self.asked else "pending"} for each in "123"]
        }


def test_replay_waits_for_answers_and_not_for_ever() -> None:
    api: Any = Slowly()
    assert [row["state"] for row in follow(api, ["3", "1"], 60, sleep=lambda _: None)] == ["delivered"] * 2
    assert api.asked == 3
    times = iter([0.0, 1.0, 2.0])
    hurried: Any = Slowly()
    rows = follow(hurried, ["3"], 2, clock=lambda: next(times), sleep=lambda _: None)
    assert [row["state"] for row in rows] == ["pending"]


# --- trigger ----------------------------------------------------------------------------------------------------------


def test_trigger_posts_signed_and_tells_what_came_of_it(run: Run) -> None:
    options = ("--secret", APP_SECRET, "--yes", "--wait", "0", "--to", NUMBER)
    code, out, err = run(
        "trigger", "text", *options, "--set", "text.body=Hi there", "--from", "+5215500000033", "--json"
    )
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert [item["outcome"] for item in told["items"]] == ["applied"]
    assert {row["endpoint_name"] for row in told["deliveries"]} == {"crm"}
    assert "Hi there" in run("messages", "show", told["items"][0]["message_id"])[1]
    code, out, _ = run("trigger", "status", *options)
    assert (code, out.count("answered 200")) == (0, 3)
    code, out, err = run("trigger", "text", "--secret", "another", "--yes", "--to", NUMBER)
    assert code == FAILED
    assert "answered 401" in out
    assert "another app secret" in err


def test_trigger_posts_a_file(run: Run, tmp_path: Path) -> None:
    body = envelope(value(number=NUMBER, messages=[text_message("wamid.file-1", "of my own")]), waba="333")
    (tmp_path / "own.json").write_bytes(encode(body))
    code, out, _ = run("trigger", "--file", "own.json", "--secret", APP_SECRET, "--yes", "--wait", "0")
    assert (code, "text  applied" in out) == (0, True)


def test_trigger_to_a_dev_needs_no_secret_and_no_yes(app: Served, run: Run, tmp_path: Path) -> None:
    kept = Profile(url=f"http://127.0.0.1:{app.port}", key=ADMIN, made_by="dev", pid=os.getpid(), folder=str(tmp_path))
    profiles.save("dev", kept)
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "dev.json").write_bytes(encode(replace(make_home(("row",)), app_secret=APP_SECRET)))
    code, out, err = run("trigger", "image", "--wait", "0", "--to", "Corner shop")
    assert (code, err) == (0, "")
    assert "image  applied" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trigger"], "say what happens"),
        (["trigger", "text", "--file", "x"], "say what happens"),
        (["trigger", "text"], "is no `tellwire dev` of this machine"),
        (["trigger", "txet", "--yes"], "nothing is called txet; did you mean text?"),
        (["trigger", "zzz", "--print"], "`tellwire trigger --list` names all"),
        (["trigger", "--file", "nowhere", "--yes"], "nowhere, which cannot be read"),
        (["trigger", "text", "--yes", "--to", "1234"], "there are: "),
        (["trigger", "text", "--yes", "--from", "Ana"], "--from takes a phone number"),
        (["trigger", "text", "--print", "--set", "text.body"], "--set takes PATH=VALUE"),
        (["trigger", "text", "--print", "--set", "text.body.deep=1"], "leads nowhere"),
        (["trigger", "text", "--print", "--set", "/entry/7/id=1"], "7 would be in a list of 1"),
        (["trigger", "text", "--yes"], "TELLWIRE_META_APP_SECRET must say what to sign with"),
    ],
)
def test_wrong_triggers_are_one_line_and_2(arguments: list[str], said: str, run: Run) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (MISUSED, ""), err
    assert said in err
    assert err.count("\n") == 1


def test_the_catalogue_is_listed_and_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trigger", "--list"]) == 0
    assert "message_template_status_update" in capsys.readouterr().out
    assert main(["trigger", "--list", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["data"]) > 60
    assert main(["trigger", "text", "--print", "--set", "/entry/0/id=7", "--set", "text.body=Hi"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["entry"][0]["id"] == 7
    assert body["entry"][0]["changes"][0]["value"]["messages"][0]["text"] == {"body": "Hi"}


# --- verify -----------------------------------------------------------------------------------------------------------


def test_a_delivery_that_was_not_tried_cannot_be_verified(run: Run, tenant: Tenant) -> None:
    code, _, err = run("verify", "--delivery", tenant.ids["delivery_id"][-1][-8:], key=tenant.admin)
    assert code == MISUSED
    assert "cannot be made again" in err
