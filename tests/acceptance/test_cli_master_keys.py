"""Master keys change: everything is sealed anew under the first, beside a running server, as often as one likes."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, select
from tests.acceptance.processes import request, tellwire
from tests.acceptance.test_cli import serving
from tests.acceptance.test_main_job import ADMIN

from tellwire.security.vault import Vault
from tellwire.stores.queries.reencryption import SEALED
from tellwire.stores.schema.tables import metadata

OLD, NEW, LOST = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2, 3))


def first_key_of(text: str) -> str:
    return Vault([base64.b64decode(text)]).seal("x", "").partition(".")[0]


def sealed(path: Path) -> dict[str, list[str]]:
    """Which keys everything that looks sealed is sealed with, by column."""
    found: dict[str, list[str]] = {}
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        for table in metadata.tables.values():
            for row in connection.execute(select(table)).mappings():
                for name, value in row.items():
                    text = value.decode("latin-1") if isinstance(value, bytes) else value
                    key, dot, rest = text.partition(".") if isinstance(text, str) else ("", "", "")
                    if dot and len(key) == 8 and len(rest) > 30 and " " not in rest:
                        found.setdefault(f"{table.name}.{name}", []).append(key)
    engine.dispose()
    return found


def filled(url: str) -> None:
    """One of everything that is sealed."""

    def post(noun: str, body: Any, **headers: str) -> Any:
        status, answer = request(f"{url}/v1/{noun}", key=ADMIN, method="POST", body=body, headers=headers)
        assert status < 300, answer
        return answer

    post("accounts", {"phone_number_id": "1", "access_token": "a-token", "app_secret": "another secret"})
    made = post("webhook-endpoints", {"url": "https://x.example/", "format": "row"}, **{"Idempotency-Key": "k"})
    post(f"webhook-endpoints/{made['id']}/rotate-secret", {})


def reencrypt(folder: Path, keys: str) -> tuple[int, dict[str, Any]]:
    done = tellwire("keys", "reencrypt", "--json", cwd=folder, MASTER_KEY=keys)
    return done.returncode, json.loads(done.stdout or "{}")


def test_everything_is_sealed_anew_beside_a_server_and_the_old_key_can_go(tmp_path: Path) -> None:
    path = tmp_path / "tellwire.db"
    with serving(tmp_path, MASTER_KEY=OLD, ADMIN_KEY=ADMIN) as (url, server):
        filled(url)
        server.stop()
    before = sealed(path)
    assert {key for keys in before.values() for key in keys} == {first_key_of(OLD)}
    count = sum(map(len, before.values()))
    with serving(tmp_path, MASTER_KEY=f"{NEW},{OLD}", ADMIN_KEY=ADMIN) as (url, server):
        assert reencrypt(tmp_path, f"{NEW},{OLD}") == (0, {"ok": True, "reencrypted": count, "failed": []})
        assert reencrypt(tmp_path, f"{NEW},{OLD}") == (0, {"ok": True, "reencrypted": 0, "failed": []})
        status, page = request(f"{url}/v1/audit", key=ADMIN)
        assert (status, page["data"][0]["action"]) == (200, "secrets.reencrypted")
        server.stop()
    after = sealed(path)
    assert after.keys() == before.keys()
    assert {key for keys in after.values() for key in keys} == {first_key_of(NEW)}
    with serving(tmp_path, MASTER_KEY=NEW, ADMIN_KEY=ADMIN) as (url, _):
        status, page = request(f"{url}/v1/accounts", key=ADMIN)
        assert (status, page["data"][0]["has_access_token"]) == (200, True)


def test_what_no_key_opens_is_named_and_the_rest_is_done(tmp_path: Path) -> None:
    with serving(tmp_path, MASTER_KEY=OLD, ADMIN_KEY=ADMIN) as (url, server):
        filled(url)
        server.stop()
    with serving(tmp_path, MASTER_KEY=f"{LOST},{OLD}", ADMIN_KEY=ADMIN) as (url, server):
        body = {"phone_number_id": "2", "access_token": "a-token"}
        lost = request(f"{url}/v1/accounts", key=ADMIN, method="POST", body=body)[1]["id"]
        server.stop()
    code, told = reencrypt(tmp_path, f"{NEW},{OLD}")
    assert (code, told["ok"], told["failed"]) == (1, False, [f"accounts/access_token/{lost}"])
    assert told["reencrypted"] == 5


def test_every_sealed_column_is_known() -> None:
    known = {f"{each.table.name}.{each.column}" for each in SEALED}
    named = {f"{t.name}.{c.name}" for t in metadata.tables.values() for c in t.c if "sealed" in c.name}
    assert named <= known
    assert {"accounts.access_token", "accounts.app_secret", "idempotency_keys.answer"} <= known


def test_strides_go_on_behind_one_another(tmp_path: Path) -> None:
    with serving(tmp_path, MASTER_KEY=OLD, ADMIN_KEY=ADMIN) as (url, server):
        for number in range(230):
            body = {"phone_number_id": str(number), "access_token": "a-token"}
            assert request(f"{url}/v1/accounts", key=ADMIN, method="POST", body=body)[0] == 201
        server.stop()
    assert reencrypt(tmp_path, f"{NEW},{OLD}")[1]["reencrypted"] == 230 + 1  # and the key of links to media


COMMANDS = (
    ("serve",),
    ("keys", "list"),
    ("keys", "create", "--name", "x"),
    ("keys", "reencrypt"),
    ("accounts", "list"),
    ("endpoints", "list"),
)


def test_no_key_is_made_for_a_database_whose_key_was_left_behind(tmp_path: Path) -> None:
    """As a restore without the key file is: nothing may be written that looks like the key that was lost."""
    assert tellwire("accounts", "create", "1", "--access-token", "t", cwd=tmp_path).returncode == 0
    beside = tmp_path / "tellwire.db.master-key"
    kept = beside.read_bytes()
    beside.unlink()
    before = {path.name for path in tmp_path.iterdir()}
    for command in COMMANDS:
        done = tellwire(*command, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, ""), command
        assert "put back the file that was made with the database" in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
        left = {
            path.name for path in tmp_path.iterdir() if not path.name.startswith(("tellwire.db-", "tellwire.db.lock"))
        }
        assert left == before, command
    beside.write_bytes(kept)
    assert tellwire("accounts", "list", cwd=tmp_path).returncode == 0


def test_dev_makes_no_key_either(tmp_path: Path) -> None:
    with serving(tmp_path, ADMIN_KEY=ADMIN) as (url, server):
        filled(url)
        server.stop()
    (tmp_path / "tellwire.db.master-key").unlink()
    done = tellwire("dev", "--no-traffic", cwd=tmp_path, DATABASE_URL="sqlite:///tellwire.db")
    assert done.returncode == 2
    assert "put back the file" in done.stderr
    assert not (tmp_path / "tellwire.db.master-key").exists()
