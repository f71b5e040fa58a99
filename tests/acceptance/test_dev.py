"""`tellwire dev` as a newcomer runs it: a real process, nothing prepared."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue

from tests.acceptance.processes import ROOT, SECONDS, Running, environment, every, request, running, tellwire, until
from tests.agents.openai_server import Said, completion, loopback

from tellwire.cli.dev.journeys import places
from tellwire.formats import FORMATS

FURTHER = r"(?: → delivered (?!row|chat)\w+ 200 \(verified\))*"
"""What a line tells of formats beside `row` and `chat`."""
BOTH = rf"received → stored → delivered row 200 \(verified\) → delivered chat 200 \(verified\){FURTHER}"
LIVE = re.compile(rf"  text +{BOTH}  message \S+  \".+\"")
OTHERS = r"(?:; \w+: (\d+) of \1 verified)*"
"""What `--once` tells of formats beside `row` and `chat`."""


def taken() -> socket.socket:
    """A port that somebody listens on."""
    return socket.create_server(("127.0.0.1", 0))


def fact(name: str) -> re.Pattern[str]:
    return re.compile(rf"^  {name} +(\S+)")


def shown(process: Running, name: str) -> str:
    """What the banner says of something."""

    def found(lines: list[str]) -> str | None:
        for line in lines:
            if match := fact(name).match(line):
                return match[1]
        return None

    return process.wait_for(found)


def live_line(lines: list[str]) -> str | None:
    return next((line for line in lines if LIVE.search(line)), None)


def test_once_prints_exactly_one_line_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = tellwire("dev", "--once", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    document = json.loads(done.stdout)
    assert list(document) == ["ok", "formats", "seconds"]
    assert document["ok"] is True
    row, chat = document["formats"]["row"], document["formats"]["chat"]
    assert list(document["formats"]) == list(FORMATS)
    # A conversation, a text, an image, an external message; a reply, taken by Meta (it may be told of with `sent`),
    # sent, delivered, read.
    assert row in [{"received": n, "verified": n, "failed": 0} for n in (8, 9)]
    assert chat == {"received": 6, "verified": 6, "failed": 0}
    assert 0 < document["seconds"] < 60
    assert list(tmp_path.iterdir()) == []


def test_once_disturbs_no_data_that_is_kept_or_named(tmp_path: Path) -> None:
    kept = tmp_path / ".tellwire"
    kept.mkdir()
    (kept / "dev.json").write_text("not even JSON")
    own = {"DATABASE_URL": f"sqlite:///{tmp_path}/mine.db", "ADMIN_KEY": "an-invented-admin-key-of-the-users-own"}
    done = tellwire("dev", "--once", cwd=tmp_path, **own)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(rf"ok in [0-9.]+ s · row: [89] of [89] verified; chat: 6 of 6 verified{OTHERS}\n", done.stdout)
    assert [path.name for path in tmp_path.rglob("*")] == [".tellwire", "dev.json"]


def test_once_whose_settings_are_wrong_says_so(tmp_path: Path) -> None:
    done = tellwire("dev", "--once", "--json", cwd=tmp_path, PROT="1")
    assert done.returncode == 2
    assert "TELLWIRE_PROT" in done.stderr
    assert done.stdout == ""


def test_once_that_fails_says_so_in_its_line_too(tmp_path: Path) -> None:
    done = tellwire("dev", "--once", "--json", cwd=tmp_path, HOST="203.0.113.7")  # no address of this machine
    assert done.returncode == 1
    nothing = {"received": 0, "verified": 0, "failed": 0}
    document = json.loads(done.stdout)
    assert (document["ok"], document["formats"]) == (False, dict.fromkeys(FORMATS, nothing))
    assert "203.0.113.7" in done.stderr
    assert "Traceback" not in done.stderr


def test_messages_arrive_verified_though_ports_are_taken_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    with taken() as sock, running("dev", cwd=tmp_path, PORT=str(sock.getsockname()[1])) as dev:
        port = sock.getsockname()[1]
        page = shown(dev, "server")
        assert not page.endswith(f":{port}/")
        line = dev.wait_for(live_line)
        assert re.search(r"message [0-9a-f]{8}-", line)
        assert any(f"port {port} was taken" in line for line in dev.out)
        assert any("nothing leaves this machine" in line for line in dev.out)
        assert dev.stop(signal.SIGINT) == 0
        assert dev.group_is_gone()
        assert str(tmp_path / ".tellwire") in dev.out[-1]
        assert not any("Traceback" in line for line in dev.err), dev.err


def test_the_banner_holds_what_one_needs(tmp_path: Path) -> None:
    with running("dev", "--no-traffic", "--port", "0", cwd=tmp_path) as dev:
        url, key = shown(dev, "server").rstrip("/"), shown(dev, "API key")
        assert request(f"{url}/openapi.json")[1]["openapi"].startswith("3.1")
        endpoints = every(url, "webhook-endpoints", key=key)
        assert sorted(endpoint["format"] for endpoint in endpoints) == sorted(FORMATS)
        assert shown(dev, "signing secret").startswith("whsec_")
        assert request(f"{url}/v1/messages")[0] == 401
        assert dev.stop(signal.SIGTERM) == 0
        assert not any("received" in line for line in dev.out)


def test_a_second_run_goes_on_with_keys_endpoints_and_data_until_fresh(tmp_path: Path) -> None:
    with running("dev", "--port", "0", cwd=tmp_path) as dev:
        dev.wait_for(live_line)
        first_key, first_secret = shown(dev, "API key"), shown(dev, "signing secret")
        first = every(shown(dev, "server").rstrip("/"), "webhook-endpoints", key=first_key)
        assert dev.stop(signal.SIGINT) == 0
    with running("dev", "--port", "0", cwd=tmp_path) as dev:
        url = shown(dev, "server").rstrip("/")
        assert (shown(dev, "API key"), shown(dev, "signing secret")) == (first_key, first_secret)
        again = every(url, "webhook-endpoints", key=first_key)
        assert {endpoint["id"] for endpoint in again} == {endpoint["id"] for endpoint in first}
        assert every(url, "messages", key=first_key)
        dev.wait_for(live_line)
        assert dev.stop(signal.SIGINT) == 0
    with running("dev", "--fresh", "--no-traffic", "--port", "0", cwd=tmp_path) as dev:
        url, key = shown(dev, "server").rstrip("/"), shown(dev, "API key")
        assert key != first_key
        status, refused = request(f"{url}/v1/messages", key=key, headers={"Host": "rebinding.example"})
        assert (status, refused["type"]) == (400, "urn:tellwire:problem:host-not-allowed")
        assert every(url, "messages", key=key) == []
        assert dev.stop(signal.SIGINT) == 0


def test_an_own_endpoint_that_is_not_there_is_explained(tmp_path: Path) -> None:
    with taken() as sock:
        nowhere = f"http://127.0.0.1:{sock.getsockname()[1]}/hook"
    with running("dev", "--port", "0", cwd=tmp_path) as dev:
        url, key = shown(dev, "server").rstrip("/"), shown(dev, "API key")
        status, answer = request(
            f"{url}/v1/webhook-endpoints", key=key, method="POST", body={"url": nowhere, "format": "row"}
        )
        assert status == 201, answer
        line = dev.wait_for(lambda lines: next((each for each in lines if nowhere in each and "failed" in each), None))
        assert "refused" in line


def test_simulate_beside_it_needs_no_secret_and_arrives_too(tmp_path: Path) -> None:
    with running("dev", "--no-traffic", "--port", "0", cwd=tmp_path) as dev:
        url = shown(dev, "server")
        done = tellwire("simulate", "--url", f"{url}meta/webhook", "--types", "text,status", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        line = dev.wait_for(lambda lines: next((line for line in lines if "status read" in line), None))
        assert "delivered row 200 (verified) → delivered chat 200 (verified)" in line
        texts = [line for line in dev.out if "  text  " in line]
        assert texts
        assert not any('"' in line for line in texts), "what others write is not shown"


def test_json_mode_prints_one_document_a_line(tmp_path: Path) -> None:
    with running("dev", "--json", "--port", "0", cwd=tmp_path) as dev:
        dev.wait_for(lambda lines: [line for line in lines if '"messages.insert"' in line])
        assert dev.stop(signal.SIGINT) == 0
        documents = [json.loads(line) for line in dev.out]
    assert [documents[0]["event"], documents[-1]["event"]] == ["ready", "stopped"]
    (arrived, *_) = [document for document in documents if document["event"] == "messages.insert"]
    assert arrived["what"] == "text"
    ok = {"status": 200, "verified": True, "error": None}
    assert arrived["deliveries"] == dict.fromkeys(places(FORMATS, "messages", "insert", "incoming"), ok)


# --- what goes out ----------------------------------------------------------------------------------------------------

SCRIPTED = "I am a scripted demo agent"


def first(pattern: str) -> Callable[[list[str]], re.Match[str] | None]:
    """The first line that has this."""

    def found(lines: list[str]) -> re.Match[str] | None:
        return next((match for line in lines if (match := re.search(pattern, line))), None)

    return found


def goes_all_the_way(dev: Running, title: str, text: str) -> None:
    """A message of ours is stored, goes out and is read; each step arrives under both formats that have a place for
    it, and shows how far it has come.
    """
    new = rf"  {title} +stored → delivered row 200 \(verified\){FURTHER}  message (\S+)  pending{text}$"
    row = dev.wait_for(first(new))[1]
    way = "pending"
    for name in ("sent", "delivered", "read"):
        way += f" → {name}"
        dev.wait_for(first(rf"  status {name} +{BOTH}  message {row}  {way}$"))


def curl_command(lines: list[str]) -> tuple[str, dict[str, str], bytes] | None:
    """The command there that sends a message: URL, headers and body, as a shell takes it apart."""
    command = re.search(r"curl -X POST \S+/v1/messages .*?}}'", "\n".join(lines).replace("\\\n", ""), re.DOTALL)
    if command is None:
        return None
    words = shlex.split(command[0])
    assert words[:3] == ["curl", "-X", "POST"]
    given = list(itertools.pairwise(words))
    headers = dict(value.split(": ", 1) for option, value in given if option == "-H")
    return words[3], headers, next(value for option, value in given if option == "-d").encode()


@contextmanager
def modelled(said: Said) -> Iterator[str]:
    """A model that always says the same, in a thread of its own: its base URL."""
    started: Queue[str] = Queue()
    ended = threading.Event()

    async def serve() -> None:
        async with loopback(lambda _: said) as server:
            started.put(server.base_url)
            await asyncio.to_thread(ended.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        yield started.get(timeout=SECONDS)
    finally:
        ended.set()
        thread.join(SECONDS)


def test_a_typed_line_and_the_curl_command_of_the_banner_go_out_and_are_read(tmp_path: Path) -> None:
    with running("dev", "--no-traffic", "--port", "0", cwd=tmp_path) as dev:
        url, headers, body = dev.wait_for(curl_command)
        key = shown(dev, "API key")
        dev.type("Yes, in stock! 🎉")
        goes_all_the_way(dev, "text by you", '  "Yes, in stock! 🎉"')
        status, row = request(url, method="POST", body=body, headers=headers)
        assert (status, row["direction"], row["send_state"]) == (202, "outgoing", "queued")
        goes_all_the_way(dev, "text by API", '  "Hello from curl"')
        of_readme = curl_command((ROOT / "README.md").read_text().splitlines())
        assert of_readme is not None
        its_headers = of_readme[1] | {"Authorization": of_readme[1]["Authorization"].replace("$API_KEY", key)}
        assert its_headers != of_readme[1]
        status, row = request(url, method="POST", body=of_readme[2], headers=its_headers)
        assert status == 202, row
        dev.wait_for(first(rf"  status read +{BOTH}  message {row['id']}  "))
        dev.type("x" * 5000)
        assert "4096" in dev.wait_for(first("  not sent  .*"))[0]
        assert dev.stop(signal.SIGINT) == 0
        assert not any("Traceback" in line for line in dev.err), dev.err
        assert not any("  text  " in line for line in dev.out), "with --no-traffic the customer stays silent"


def test_the_demo_agent_answers_until_a_person_does_and_the_customer_answers_the_person(tmp_path: Path) -> None:
    with running("dev", "--port", "0", cwd=tmp_path) as dev:
        dev.wait_for(first("  agent  .*scripted demo agent"))
        goes_all_the_way(dev, "text by demo agent", f'  ".*{SCRIPTED}.*"')
        dev.type("A person here")
        paused = dev.wait_for(first(r"  agent paused .* conversation (\S+);"))
        url, key = shown(dev, "server").rstrip("/"), shown(dev, "API key")
        standing = f"{url}/v1/conversations/{paused[1]}/agent"
        assert request(standing, key=key)[1]["paused"] is True
        goes_all_the_way(dev, "text by you", '  "A person here"')
        dev.wait_for(first(rf'  text +{BOTH}  message \S+  "Thanks, that helps! 🙏"'))
        dev.type("/resume")
        dev.wait_for(first("  agent resumed  "))
        assert request(standing, key=key)[1]["paused"] is False
        assert dev.stop(signal.SIGINT) == 0


def test_without_the_demo_agent_nobody_answers_and_it_comes_back(tmp_path: Path) -> None:
    agents = []
    for options in ((), ("--no-agent",), ()):
        with running("dev", "--json", "--no-traffic", "--port", "0", *options, cwd=tmp_path) as dev:
            ready = json.loads(dev.wait_for(lambda lines: next(iter(lines), None)))
            [account] = every(ready["url"], "accounts", key=ready["api_key"])
            assert account["agent_id"] == ready["agent"]
            agents.append(ready["agent"])
            assert dev.stop(signal.SIGINT) == 0
    assert agents[0] is not None
    assert agents == [agents[0], None, agents[0]]


def test_an_agent_of_the_users_own_answers_with_its_model(tmp_path: Path) -> None:
    with (
        modelled(completion("We close at nine.")) as base_url,
        running("dev", "--json", "--port", "0", "--no-traffic", cwd=tmp_path) as dev,
    ):
        ready = json.loads(dev.wait_for(lambda lines: next(iter(lines), None)))
        url, key = ready["url"], ready["api_key"]
        draft = {"name": "Mine", "kind": "ai", "model": "some-model", "base_url": base_url, "debounce_seconds": 0}
        status, agent = request(f"{url}/v1/agents", key=key, method="POST", body=draft)
        assert status == 201, agent
        account = f"{url}/v1/accounts/{ready['account']}"
        assert request(account, key=key, method="PATCH", body={"agent_id": agent["id"]})[0] == 200
        done = tellwire("simulate", "--url", f"{url}/meta/webhook", "--types", "text", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        line = dev.wait_for(first('"text by agent"'))
        assert json.loads(line.string)["status"] == ["pending"]
        dev.wait_for(first('"status": .*"pending", "sent", "delivered", "read"'))
        texts = [row["content"].get("text", {}).get("body") for row in every(url, "messages", key=key)]
        assert "We close at nine." in texts
        assert dev.stop(signal.SIGINT) == 0
    with running("dev", "--json", "--no-agent", "--no-traffic", "--port", "0", cwd=tmp_path) as dev:
        ready = json.loads(dev.wait_for(lambda lines: next(iter(lines), None)))
        assert ready["agent"] == agent["id"], "it stays"


def test_a_graph_url_of_the_users_own_gets_nothing_for_simulated_customers(tmp_path: Path) -> None:
    with (
        taken() as sock,
        running(
            *("dev", "--json", "--no-traffic", "--port", "0"),
            cwd=tmp_path,
            META_GRAPH_URL=f"http://127.0.0.1:{sock.getsockname()[1]}/v24.0",
        ) as dev,
    ):
        dev.type("Hello")
        refused = json.loads(dev.wait_for(first('"refused"')).string)
        assert (refused["what"], refused["status"]) == ("reply", None)
        assert "TELLWIRE_META_GRAPH_URL" in refused["cause"]
        ready = json.loads(dev.out[0])
        assert ready["agent"] is None
        [account] = every(ready["url"], "accounts", key=ready["api_key"])
        assert account["has_access_token"] is False
        assert dev.stop(signal.SIGINT) == 0
    with running("dev", "--no-traffic", "--port", "0", cwd=tmp_path) as dev:
        dev.type("Here again")
        goes_all_the_way(dev, "text by you", '  "Here again"')


def test_the_simulators_other_customers_write_too_and_get_what_is_typed(tmp_path: Path) -> None:
    with running("dev", "--no-traffic", "--port", "0", cwd=tmp_path) as dev:
        graph, url, key = shown(dev, "Graph API"), shown(dev, "server").rstrip("/"), shown(dev, "API key")
        said = {"wa_id": "15550001111", "text": "Hello?"}
        assert request(f"{graph}/_simulator/customer", method="POST", body=said)[0] == 200
        dev.wait_for(first(f"  text +{BOTH}  message "))
        dev.type("Hello!")
        goes_all_the_way(dev, "text by you", '  "Hello!"')
        typed = next(row for row in every(url, "messages", key=key) if row["content"]["text"]["body"] == "Hello!")
        assert typed["to"].lstrip("+") == "15550001111"


def test_a_file_of_the_simulators_customer_can_be_had_under_our_link(tmp_path: Path) -> None:
    with running("dev", "--no-traffic", "--port", "0", cwd=tmp_path) as dev:
        graph, url, key = shown(dev, "Graph API"), shown(dev, "server").rstrip("/"), shown(dev, "API key")
        said = {"wa_id": "15550001111", "type": "document", "mime_type": "text/plain", "base64": "SGVsbG8="}
        assert request(f"{graph}/_simulator/customer", method="POST", body=said)[0] == 200
        dev.wait_for(first(f"  document +{BOTH}  message "))
        [row] = every(url, "messages", key=key)
        link = row["media"][0]["url"]
        assert link.startswith(url)
        assert until(lambda: (answer := request(link))[0] == 200 and answer[1], what="the file") == "Hello"


def test_a_second_dev_beside_the_first_says_why_not(tmp_path: Path) -> None:
    with running("dev", "--no-traffic", "--port", "0", cwd=tmp_path) as dev:
        shown(dev, "server")
        second = tellwire("dev", "--fresh", "--port", "0", cwd=tmp_path)
        assert second.returncode == 1
        assert "another `tellwire dev`" in second.stderr
        assert "Traceback" not in second.stderr
        url, key = shown(dev, "server").rstrip("/"), shown(dev, "API key")
        assert request(f"{url}/v1/messages", key=key)[0] == 200, "the first one goes on, its data there"


def test_data_that_cannot_be_kept_is_a_clear_message(tmp_path: Path) -> None:
    (tmp_path / ".tellwire").write_text("a file where the folder should be")
    done = tellwire("dev", "--port", "0", cwd=tmp_path)
    assert done.returncode == 1
    assert str(tmp_path / ".tellwire") in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_ends_it(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m tellwire dev --port 0 | head -n 1"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.startswith("Tellwire ")
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
