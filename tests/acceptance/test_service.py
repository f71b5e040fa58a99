"""`service print` and `ready`: systemd takes the unit, its command serves, and its readiness is told."""

from __future__ import annotations

import http.server
import json
import shlex
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.acceptance.processes import Running, logged_url

from tellwire.cli import main, serving
from tellwire.cli.systemd import Unit, steps, unit_text


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["service", "print", *arguments]) == 0
    return capsys.readouterr().out


def fields(unit: str) -> dict[str, list[str]]:
    """What a unit says, by name."""
    found: dict[str, list[str]] = {}
    for line in unit.splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


ODD = Unit(
    program=("/opt/tell wire/100%/bin/$x", "-m", "tellwire"),
    user="tellwire",
    role="deliver",
    environment_file="/etc/tellwire/100%.env",
)


def test_a_unit_is_taken_by_systemd(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze here")
    units = [tmp_path / "tellwire.service", tmp_path / "tellwire-deliver.service"]
    units[0].write_text(printed(capsys))
    units[1].write_text(printed(capsys, "--role", "deliver", "--user", "hooks", "--environment-file", "/etc/hooks.env"))
    done = subprocess.run(
        ["systemd-analyze", "verify", *map(str, units)], capture_output=True, text=True, check=False, timeout=60
    )
    ours = [line for line in done.stderr.splitlines() if "tellwire" in line]
    assert (done.returncode, ours) == (0, [])


def test_a_unit_says_who_and_what_and_keeps_the_system_out_of_reach(capsys: pytest.CaptureFixture[str]) -> None:
    unit = fields(printed(capsys, "--user", "hooks", "--role", "ingest", "--environment-file", "/etc/hooks.env"))
    assert unit["User"] == ["hooks"]
    assert unit["EnvironmentFile"] == ["-/etc/hooks.env"]
    assert unit["ExecStart"][0].endswith(" serve --role ingest")
    assert unit["WorkingDirectory"] == [f"/var/lib/{unit['StateDirectory'][0]}"]
    assert {name: unit[name] for name in ("Type", "NoNewPrivileges", "ProtectSystem", "Restart")} == {
        "Type": ["exec"],
        "NoNewPrivileges": ["yes"],
        "ProtectSystem": ["strict"],
        "Restart": ["on-failure"],
    }
    assert int(unit["TimeoutStopSec"][0]) > 2 * serving.GRACE_SECONDS
    assert int(unit["LimitNOFILE"][0]) >= 4096 + 1024 + 512 + 64  # what docs/how-to/operate.md counts together


def test_words_of_a_command_line_are_quoted_as_systemd_reads_them() -> None:
    unit = fields(unit_text(ODD))
    assert unit["ExecStart"] == ['"/opt/tell wire/100%%/bin/$$x" -m tellwire serve --role deliver']
    assert unit["EnvironmentFile"] == ["-/etc/tellwire/100%%.env"]


def test_steps_name_the_file_and_a_program_that_the_account_cannot_read() -> None:
    assert "/etc/systemd/system/tellwire-deliver.service" in steps(ODD)[0]
    assert not any("home folder" in line for line in steps(ODD))
    at_home = Unit(program=("/home/ana/bin/tellwire",), user="hooks", role="all", environment_file="/etc/hooks.env")
    assert "hooks can probably not read" in steps(at_home)[-1]
    assert fields(unit_text(at_home))["ProtectHome"] == ["read-only"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["service", "print", "--user", "Ana Ruiz"], "--user"),
        (["service", "print", "--environment-file", "tellwire.env"], "--environment-file"),
        (["service", "print", "--role", "cook"], "cook"),
        (["ready", "--url", "example.com"], "example.com"),
        (["ready", "--wait", "-1"], "--wait"),
    ],
)
def test_wrong_usage_is_said_in_a_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert said in err


def test_the_units_command_serves_and_ready_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["service", "print", "--json"]) == 0
    unit = json.loads(capsys.readouterr().out)
    assert unit["name"] == "tellwire.service"
    command = shlex.split(fields(unit["unit"])["ExecStart"][0])
    server = Running(cwd=tmp_path, command=command)
    try:
        url = server.wait_for(logged_url, stream="err")
        assert main(["ready", "--url", url, "--wait", "10", "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == {"ready": True, "url": url, "reason": None}
    finally:
        assert server.stop() == 0
    assert main(["ready", "--url", url]) == 3
    assert url in capsys.readouterr().err


@contextmanager
def answering(*answers: tuple[int, bytes]) -> Iterator[str]:
    """A server that gives these answers, the last one again and again; its URL."""
    left = list(answers)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/readyz"
            status, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


FULL = 503, b'{"detail": "The last commit failed: the disk is full."}'


@pytest.mark.parametrize(
    ("answers", "code", "said"),
    [
        ([FULL], 1, "The last commit failed: the disk is full."),
        ([(200, b"<h1>It works</h1>")], 1, "not as Tellwire does"),
        ([(200, b'{"status": "ok"}')], 0, "is ready"),
        ([FULL, (200, b'{"status": "ok"}')], 1, "the disk is full"),
    ],
)
def test_ready_tells_why_not(
    answers: list[tuple[int, bytes]], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(*answers) as url:
        assert main(["ready", "--url", url]) == code
    out, err = capsys.readouterr()
    assert said in (err if code else out)


def test_ready_waits_until_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(FULL, FULL, (200, b'{"status": "ok"}')) as url:
        assert main(["ready", "--url", url, "--wait", "30"]) == 0
    assert "is ready" in capsys.readouterr().out
