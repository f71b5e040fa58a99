"""`tellwire dev` as a newcomer runs it: a real process, nothing prepared."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

from tests.acceptance.processes import Running, environment, every, request, running, tellwire

LIVE = re.compile(
    r"  text +received → stored → delivered row 200 \(verified\) → delivered chat 200 \(verified\)  message \S+  \".+\""
)


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
    assert document["formats"] == {
        "row": {"received": 4, "verified": 4, "failed": 0},  # a conversation, a text, an image, an external message
        "chat": {"received": 3, "verified": 3, "failed": 0},
    }
    assert 0 < document["seconds"] < 60
    assert list(tmp_path.iterdir()) == []


def test_once_disturbs_no_data_that_is_kept_or_named(tmp_path: Path) -> None:
    kept = tmp_path / ".tellwire"
    kept.mkdir()
    (kept / "dev.json").write_text("not even JSON")
    done = tellwire("dev", "--once", cwd=tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/mine.db", ADMIN_KEY="mine")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"ok in [0-9.]+ s · row: 4 of 4 verified; chat: 3 of 3 verified\n", done.stdout)
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
    assert (document["ok"], document["formats"]) == (False, {"row": nothing, "chat": nothing})
    assert "203.0.113.7" in done.stderr
    assert "Traceback" not in done.stderr


def test_messages_arrive_verified_though_ports_are_taken_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    with taken() as sock, running("dev", cwd=tmp_path, PORT=str(sock.getsockname()[1])) as dev:
        port = sock.getsockname()[1]
        page = shown(dev, "status page")
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
        url, key = shown(dev, "status page").rstrip("/"), shown(dev, "API key")
        assert request(f"{url}/openapi.json")[1]["openapi"].startswith("3.1")
        endpoints = every(url, "webhook-endpoints", key=key)
        assert sorted(endpoint["format"] for endpoint in endpoints) == ["chat", "row"]
        assert shown(dev, "signing secret").startswith("whsec_")
        assert request(f"{url}/v1/messages")[0] == 401
        assert dev.stop(signal.SIGTERM) == 0
        assert not any("received" in line for line in dev.out)


def test_a_second_run_goes_on_with_keys_endpoints_and_data_until_fresh(tmp_path: Path) -> None:
    with running("dev", "--port", "0", cwd=tmp_path) as dev:
        dev.wait_for(live_line)
        first_key, first_secret = shown(dev, "API key"), shown(dev, "signing secret")
        first = every(shown(dev, "status page").rstrip("/"), "webhook-endpoints", key=first_key)
        assert dev.stop(signal.SIGINT) == 0
    with running("dev", "--port", "0", cwd=tmp_path) as dev:
        url = shown(dev, "status page").rstrip("/")
        assert (shown(dev, "API key"), shown(dev, "signing secret")) == (first_key, first_secret)
        again = every(url, "webhook-endpoints", key=first_key)
        assert {endpoint["id"] for endpoint in again} == {endpoint["id"] for endpoint in first}
        assert every(url, "messages", key=first_key)
        dev.wait_for(live_line)
        assert dev.stop(signal.SIGINT) == 0
    with running("dev", "--fresh", "--no-traffic", "--port", "0", cwd=tmp_path) as dev:
        url, key = shown(dev, "status page").rstrip("/"), shown(dev, "API key")
        assert key != first_key
        status, refused = request(f"{url}/v1/messages", key=key, headers={"Host": "rebinding.example"})
        assert (status, refused["type"]) == (400, "urn:tellwire:problem:host-not-allowed")
        assert every(url, "messages", key=key) == []
        assert dev.stop(signal.SIGINT) == 0


def test_an_own_endpoint_that_is_not_there_is_explained(tmp_path: Path) -> None:
    with taken() as sock:
        nowhere = f"http://127.0.0.1:{sock.getsockname()[1]}/hook"
    with running("dev", "--port", "0", cwd=tmp_path) as dev:
        url, key = shown(dev, "status page").rstrip("/"), shown(dev, "API key")
        status, answer = request(
            f"{url}/v1/webhook-endpoints", key=key, method="POST", body={"url": nowhere, "format": "row"}
        )
        assert status == 201, answer
        line = dev.wait_for(lambda lines: next((each for each in lines if nowhere in each and "failed" in each), None))
        assert "refused" in line


def test_simulate_beside_it_needs_no_secret_and_arrives_too(tmp_path: Path) -> None:
    with running("dev", "--no-traffic", "--port", "0", cwd=tmp_path) as dev:
        url = shown(dev, "status page")
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
    assert arrived["deliveries"] == {"row": ok, "chat": ok}


def test_a_second_dev_beside_the_first_says_why_not(tmp_path: Path) -> None:
    with running("dev", "--no-traffic", "--port", "0", cwd=tmp_path) as dev:
        shown(dev, "status page")
        second = tellwire("dev", "--fresh", "--port", "0", cwd=tmp_path)
        assert second.returncode == 1
        assert "another `tellwire dev`" in second.stderr
        assert "Traceback" not in second.stderr
        url, key = shown(dev, "status page").rstrip("/"), shown(dev, "API key")
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
