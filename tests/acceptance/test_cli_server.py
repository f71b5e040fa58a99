"""What the command line tells of variables that are nearly settings, and what it has the running server do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.processes import SECONDS, catching, environment, request, tellwire
from tests.acceptance.test_cli import ADMIN, SECRETS, serving

from tellwire.cli import MISUSED, NO_SERVER


def plain(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command with variables that have no prefix."""
    return subprocess.run(
        [sys.executable, "-m", "tellwire", *arguments],
        cwd=cwd,
        env=environment() | variables,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


# --- near misses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [("keys", "list"), ("config",), ("migrate",)])
def test_a_variable_without_the_prefix_is_a_warning(command: tuple[str, ...], tmp_path: Path) -> None:
    done = plain(*command, cwd=tmp_path, META_APP_SECRET="hidden-secret", META_APP_ID="1")
    assert done.returncode == 0
    [line] = [json.loads(line) for line in done.stderr.splitlines() if "setting_without_prefix" in line]
    assert line["variable"] == "META_APP_SECRET"
    assert "call it TELLWIRE_META_APP_SECRET" in line["hint"]
    assert "hidden-secret" not in done.stderr + done.stdout


@pytest.mark.parametrize("command", [("serve",), ("dev", "--once"), ("keys", "list")])
def test_a_misspelt_prefix_ends_the_command(command: tuple[str, ...], tmp_path: Path) -> None:
    done = plain(*command, cwd=tmp_path, TELWIRE_META_APP_SECRET="hidden-secret")
    assert done.returncode == 2
    assert "TELWIRE_META_APP_SECRET is not a setting; did you mean TELLWIRE_META_APP_SECRET?" in done.stderr
    assert "hidden-secret" not in done.stderr


# --- endpoints test ---------------------------------------------------------------------------------------------------


def endpoint(url: str, target: str) -> str:
    draft = {"url": f"{target}/row", "format": "row", "secret": SECRETS["row"]}
    status, answer = request(f"{url}/v1/webhook-endpoints", key=ADMIN, method="POST", body=draft)
    assert status == 201, answer
    return str(answer["id"])


def try_out(folder: Path, made: str, **settings: str) -> tuple[int, Any, str]:
    done = tellwire("endpoints", "test", made, "--json", cwd=folder, **settings)
    return done.returncode, json.loads(done.stdout or "null"), done.stderr


def test_the_server_sends_a_test_by_its_own_settings(tmp_path: Path) -> None:
    """The command's settings would refuse the address: the server's allow list admits it."""
    with catching(SECRETS) as (target, catches), serving(tmp_path) as (url, server):
        made, port = endpoint(url, target), url.rpartition(":")[2]
        code, came, said = try_out(tmp_path, made, PORT=port)
        assert (code, came["ok"], came["sent_by"]) == (0, True, "the server"), said
        assert len(catches) == 1
        assert "this was sent from here" not in said
        keys = request(f"{url}/v1/api-keys", key=ADMIN)[1]["data"]
        assert [each["name"] for each in keys if each["revoked_at"] is None] == []
        done = tellwire("endpoints", "test", made, "--event", "no.such", cwd=tmp_path, PORT=port)
        assert done.returncode == MISUSED
        assert "must be one of" in done.stderr
        server.stop()
        code, came, said = try_out(tmp_path, made, PORT=port)
        assert (code, came["ok"], came["sent_by"]) == (1, False, "this command")
        assert "no server of this database runs here" in said
        assert "DELIVERY_ALLOW_CIDRS" in said


def test_a_server_of_another_database_is_not_asked(tmp_path: Path) -> None:
    """Both are the same user's, whose profiles name that server."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    there.joinpath(".config").symlink_to(tmp_path)
    here.joinpath(".config").symlink_to(tmp_path)
    with catching(SECRETS) as (target, catches), serving(there):
        allowed = {"DELIVERY_ALLOW_CIDRS": "127.0.0.0/8", "DATABASE_URL": "sqlite:///tellwire.db"}
        create = ("endpoints", "create", f"{target}/row", "--format", "row", "--secret", SECRETS["row"], "--json")
        made = json.loads(tellwire(*create, cwd=here, **allowed).stdout)["id"]
        code, came, said = try_out(here, made, **allowed)
        assert (code, came["sent_by"]) == (0, "this command")
        assert "no server of this database runs here" in said
        assert len(catches) == 1


# --- which server a command talks to ----------------------------------------------------------------------------------


def test_commands_talk_to_the_server_that_runs(tmp_path: Path) -> None:
    """From any folder, with the key that the server left for this user; and say where it was when it is gone."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    elsewhere.joinpath(".config").symlink_to(tmp_path / ".config")
    with serving(tmp_path) as (url, server):
        kept = tmp_path / ".config/tellwire/profiles/serve.json"
        assert kept.stat().st_mode & 0o777 == 0o600
        key = json.loads(kept.read_bytes())["key"]
        created = tellwire("accounts", "create", "100200300400500", "--json", cwd=elsewhere)
        assert created.returncode == 0, created.stderr
        assert f"on the server at {url}, started in {tmp_path}" in created.stderr
        assert not (elsewhere / "tellwire.db").exists()
        elsewhere.joinpath("tellwire.db").touch()
        assert tellwire("keys", "list", cwd=elsewhere).stderr == "none yet\n", "the database that lies there is meant"
        named = tellwire("accounts", "list", "--url", url, "--key", key, "--json", cwd=elsewhere)
        assert [each["phone_number_id"] for each in json.loads(named.stdout)["data"]] == ["100200300400500"]
        saved = tellwire("profiles", "save", "shop", "--url", url, "--key", key, cwd=elsewhere)
        assert (saved.returncode, key in saved.stdout + saved.stderr) == (0, False)
        refused = tellwire("profiles", "save", "bad", "--url", url, "--key", f"tw_{'x' * 43}", cwd=elsewhere)
        assert (refused.returncode, "unknown" in refused.stderr) == (1, True)
        listed = json.loads(tellwire("profiles", "list", "--json", cwd=elsewhere).stdout)["data"]
        assert [(each["name"], each["state"]) for each in listed] == [("serve", "running"), ("shop", "saved")]
        server.stop()
    gone = tellwire("accounts", "list", "--profile", "serve", cwd=elsewhere)
    assert (gone.returncode, gone.stderr.count("\n")) == (NO_SERVER, 1)
    assert url in gone.stderr
    assert f"start it with `tellwire serve` in {tmp_path}" in gone.stderr
    wrong = tellwire("accounts", "list", "--profile", "shpo", cwd=elsewhere)
    assert (wrong.returncode, "there are: serve, shop" in wrong.stderr) == (MISUSED, True)
