"""`backup` beside a server under load, `restore` elsewhere, and `migrate --plan`, as processes on both stores."""

from __future__ import annotations

import base64
import json
import sqlite3
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.processes import SECONDS, catching, every, request, tellwire, until
from tests.acceptance.test_main_job import ADMIN, SECRETS, post, serving, subscribe
from tests.postgres_server import drop_database, fresh_database, postgres_programs
from tests.world import NUMBER, envelope, incoming

from tellwire.cli.dev.catcher import Catch
from tellwire.stores.migrate import HEAD

KEY, OTHER = (base64.b64encode(bytes([number]) * 32).decode() for number in (0, 1))
PICTURE = b"\x89PNG\r\n\x1a\n and what makes a picture"


@pytest.fixture(params=["sqlite", "postgres"])
def stores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, str]]]:
    """The settings of two empty databases of a kind, without a master key."""
    if request.param == "sqlite":
        yield [{}, {}]
        return
    monkeypatch.setenv("PATH", str(postgres_programs()), prepend=":")
    urls = [fresh_database(migrated=False) for _ in range(2)]
    yield [{"DATABASE_URL": url} for url in urls]
    for url in urls:
        drop_database(url)


@contextmanager
def writing(url: str) -> Iterator[list[str]]:
    """Customers who write all the while: the wamids that were answered 200, in the order of the answers."""
    answered: list[str] = []
    numbers, ended = count(), threading.Event()

    def write(customer: int) -> None:
        while not ended.is_set():
            wamid = f"wamid.{next(numbers)}"
            if post(url, envelope(incoming(wamid, "x" * 2000, sender=f"52155883922{customer:02}")))[0] == 200:
                answered.append(wamid)

    with ThreadPoolExecutor(3) as pool:
        writers = [pool.submit(write, customer) for customer in range(3)]
        try:
            yield answered
        finally:
            ended.set()
    for writer in writers:
        writer.result()


def run(*arguments: str, cwd: Path, **settings: str) -> Any:
    done = tellwire(*arguments, "--json", cwd=cwd, **settings)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def fetched(url: str, media_id: str) -> bytes:
    asked = urllib.request.Request(f"{url}/v1/media/{media_id}/content", headers={"Authorization": f"Bearer {ADMIN}"})
    with urllib.request.urlopen(asked, timeout=SECONDS) as answer:
        return bytes(answer.read())


def upload(url: str) -> str:
    body = b'--x\r\nContent-Disposition: form-data; name="account"\r\n\r\n' + NUMBER.encode() + b"\r\n"
    body += b'--x\r\nContent-Disposition: form-data; name="file"; filename="p.png"\r\nContent-Type: image/png\r\n\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    status, answer = request(
        f"{url}/v1/media", key=ADMIN, method="POST", body=body + PICTURE + b"\r\n--x--\r\n", headers=headers
    )
    assert status == 201, answer
    return str(answer["id"])


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_backup_during_load_is_restored_elsewhere_with_all_that_was_accepted_before_it(
    tmp_path: Path, stores: list[dict[str, str]]
) -> None:
    old, new, archive = tmp_path / "old", tmp_path / "new", tmp_path / "backup.tar"
    old.mkdir()
    new.mkdir()
    from_there, to_here = stores
    key = {"MASTER_KEY": KEY}
    with catching(SECRETS) as (target, catches):
        with serving(old, **from_there, **key) as (url, server):
            draft = {"phone_number_id": NUMBER, "access_token": "an-invented-token"}
            assert request(f"{url}/v1/accounts", key=ADMIN, method="POST", body=draft)[0] == 201
            subscribe(url, target)
            picture = upload(url)
            with writing(url) as answered:
                until(lambda: len(answered) >= 150, what="load")
                before = list(answered)
                done = run("backup", str(archive), cwd=old, **from_there, **key)
                enough = len(answered) + 20
                until(lambda: len(answered) >= enough, what="load after the backup")
            assert server.process.poll() is None
            server.stop()
        assert (done["file"], done["bytes"]) == (str(archive), archive.stat().st_size)
        assert (done["revision"], done["media"]["files"], done["media"]["missing"]) == (HEAD, 1, 0)
        assert done["holds"]["messages"] >= len(before)
        assert done["master_key"]["in_archive"] is False
        assert "TELLWIRE_MASTER_KEY" in done["master_key"]["where"]

        # Without the key: on PostgreSQL another one, because there no command runs without any.
        refused = tellwire("restore", str(archive), cwd=new, **to_here, **({"MASTER_KEY": OTHER} if to_here else {}))
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "and not in the archive: put it into" in refused.stderr
        assert [line[:10] for line in refused.stderr.splitlines() if "postgresql_without_fsync" not in line] == [
            "tellwire: "
        ]
        assert files(new) == {}
        if to_here:
            assert run_plan(new, **to_here, **key)["revision"] is None

        restored = run("restore", str(archive), cwd=new, **to_here, **key)
        assert (restored["holds"], restored["deleted"]) == (done["holds"], None)
        caught = len(catches)
        with serving(new, **to_here, **key) as (url, server):
            there = {row["wa_id"] for row in every(url, "messages", key=ADMIN)}
            assert there.issuperset(before)
            assert fetched(url, picture) == PICTURE
            [account] = every(url, "accounts", key=ADMIN)
            assert account["has_access_token"]
            # What is delivered now is signed with the secrets that were sealed.
            assert post(url, envelope(incoming("wamid.after", sender="5215588392299")))[0] == 200
            until(lambda: delivered(catches[caught:], "wamid.after"), what="the delivery after the restore")
            again = tellwire("restore", str(archive), "--force", cwd=new, **to_here, **key)
            assert again.returncode == 1
            assert "serve" in again.stderr
        assert all(catch.verified for catch in catches)


def delivered(catches: list[Catch], wamid: str) -> bool:
    """Whether a message came in both formats."""
    ids = {catch.message_id for catch in catches if wamid.encode() in catch.body}
    return {catch.format for catch in catches if catch.message_id in ids} == set(SECRETS)


def run_plan(folder: Path, **settings: str) -> Any:
    done = tellwire("migrate", "--plan", "--json", cwd=folder, **settings)
    assert done.returncode == 1, done.stderr
    return json.loads(done.stdout)


def test_a_plan_a_backup_for_people_and_a_restore_with_its_key(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    planned = tellwire("migrate", "--plan", cwd=old)
    assert planned.returncode == 1
    assert planned.stdout.splitlines()[:2] == [
        f"tellwire.db: from nothing to {HEAD}",
        f"  {HEAD}  The first schema.",
    ]
    assert files(old) == {}
    run("accounts", "create", "100200300400500", "--access-token", "an-invented-token", cwd=old)
    planned = tellwire("migrate", "--plan", "--json", cwd=old)
    assert (planned.returncode, json.loads(planned.stdout)) == (
        0,
        {"up_to_date": True, "database": "tellwire.db", "revision": HEAD, "newest": HEAD, "migrations": []},
    )
    done = tellwire("backup", ".", "--with-key", cwd=old)
    assert done.returncode == 0, done.stderr
    [archive] = old.glob("tellwire-*.tar")
    assert done.stdout.startswith(f"{archive.name}: ")
    assert "accounts: 1" in done.stdout
    assert "the master key is in it: whoever reads the file can send as your numbers" in done.stdout

    restored = tellwire("restore", str(archive), cwd=new)
    assert restored.returncode == 0, restored.stderr
    assert "its master key is in tellwire.db.master-key" in restored.stdout
    assert (new / "tellwire.db.master-key").read_bytes() == (old / "tellwire.db.master-key").read_bytes()
    refused = tellwire("restore", str(archive), cwd=new)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "there is something already, which --force deletes: tellwire.db (accounts: 1)" in refused.stderr

    with sqlite3.connect(new / "tellwire.db") as db:
        db.execute("UPDATE alembic_version SET version_num = '9999_later'")
        db.execute("INSERT INTO schema_revisions VALUES ('9999_later', '9.8.7')")
    db.close()
    for command in (["serve"], ["migrate", "--plan"], ["backup", "."]):
        refused = tellwire(*command, cwd=new)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr.splitlines()[-1].startswith(
            "tellwire: the database tellwire.db has the schema '9999_later' of Tellwire 9.8.7, and this is Tellwire"
        )
