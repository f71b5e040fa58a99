"""Backups over both stores: what was there comes back, and what does not fit is refused with nothing changed."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import sqlite3
import stat
import tarfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import select
from tests.contract.sending_world import office
from tests.postgres_server import drop_database, fresh_database, postgres_programs
from tests.world import DAY, KIND, START, SetClock, World, incoming

from tellwire import __version__
from tellwire.errors import BadSettings, TellwireError
from tellwire.model.messaging import Media
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.security.vault import master_key_path, write_master_key
from tellwire.stores.backups.archive import ArchiveReader, ArchiveWriter, Tell
from tellwire.stores.backups.installation import Installation
from tellwire.stores.backups.making import make_backup
from tellwire.stores.backups.manifest import MASTER_KEY, DamagedError, Manifest
from tellwire.stores.backups.postgres_database import PostgresDatabase, check_program
from tellwire.stores.backups.restoring import Restored, restore_backup
from tellwire.stores.backups.sqlite_file import SqliteFile
from tellwire.stores.files.folder import place_of
from tellwire.stores.migrate import HEAD, migrate_sqlite
from tellwire.stores.postgres.connections import PostgresServer
from tellwire.stores.queries import media
from tellwire.stores.schema.tables import metadata

KEY, OTHER_KEY = bytes(32), bytes([1]) * 32  # the first is that of a `World`
PICTURE = b"a picture that nobody took" * 5000
OF_THE_SERVER = ("leases", "dispatchers", "sends")
LATER = START + 365 * DAY


def quiet(what: str, done: int, total: int) -> None:
    """Tell nobody."""


class Place:
    """An installation of a test: a database, a folder of media beside it, and a master key."""

    def __init__(self, folder: Path, *, kind: str = "", migrated: bool = False, keys: Sequence[bytes] = (KEY,)) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.path = folder / "the 1% of #1.db"
        self.media = folder / "media"
        self._fresh = fresh_database(migrated=migrated) if (kind or KIND.get()) == "postgres" else ""
        self.installation = Installation(
            url=self._fresh or f"sqlite:///{self.path}",
            pooled=False,
            media_url=self.media.as_uri(),
            master_keys=keys,
        )

    def world(self) -> World:
        """What runs on it."""
        server = PostgresServer(self._fresh) if self._fresh else None
        return World(self.path, SetClock(START), DAY, auto_accounts=True, server=server)

    def drop(self) -> None:
        if self._fresh:
            drop_database(self._fresh)

    async def back_up(self, target: Path, *, with_key: bool = False) -> Manifest:
        return await make_backup(self.installation, target, with_key=with_key, now=START, tell=quiet)

    async def restore(
        self, archive: Path, *, force: bool = False, send_waiting: bool = False, tell: Tell = quiet
    ) -> Restored:
        return await restore_backup(
            self.installation, archive, force=force, send_waiting=send_waiting, now=START + 1, tell=tell
        )

    async def everything(self) -> dict[str, Any]:
        """Every byte that there is: files, and the rows of a PostgreSQL database."""
        found: dict[str, Any] = {
            str(path.relative_to(self.folder)): path.read_bytes() for path in self.folder.rglob("*") if path.is_file()
        }
        database = self.installation.database()
        if self._fresh and await database.contents():
            found |= await self.rows()
        return found

    async def rows(self) -> dict[str, Any]:
        """Every row of every table."""
        world = self.world()
        await world.store.open(serving=False)
        try:
            return await world.store.read(
                lambda c: {
                    name: sorted((tuple(row) for row in c.execute(select(table))), key=str)
                    for name, table in metadata.tables.items()
                }
            )
        finally:
            await world.close()


class Made:
    """A backup, and what was in the installation that it is of."""

    def __init__(self, path: Path, manifest: Manifest, rows: dict[str, Any]) -> None:
        self.path = path
        self.manifest = manifest
        self.rows = rows


@pytest.fixture(scope="module", autouse=True)
def programs() -> Iterator[None]:
    """PostgreSQL's programs are on PATH, those of the server's version first."""
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{postgres_programs()}{os.pathsep}{before}"
    yield
    os.environ["PATH"] = before


async def fill(place: Place) -> None:
    """An endpoint, messages, a file, a message that waits for being sent and one that is for next year."""
    world = place.world()
    await world.store.open()
    await world.endpoint()
    async with office(world, started=False) as at:
        for number in range(3):
            await world.post(incoming(f"wamid.{number}"))
        await at.queue()
        await at.queue("+4915112345671", scheduled_at=LATER)
    new = Media(
        id=world.store.new_id(), organization_id=DEFAULT_ORGANIZATION, account_id="an-account", state="stored", size=1
    )
    lost = replace(new, id=f"{new.id[:-4]}dead")
    for each in (new, lost):
        await world.store.write(partial(media.add, new=each))
    await world.close()
    path = place_of(place.media, new.id)
    path.parent.mkdir(parents=True)
    path.write_bytes(PICTURE)
    (path.parent / "a-file-of-nothing").write_bytes(b"in no row")


@pytest.fixture(scope="module")
def made(each_store: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """A backup without the key."""
    yield from _made(Place(tmp_path_factory.mktemp("source"), migrated=True))


@pytest.fixture(scope="module")
def made_of_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """The same for tests of the archive, which are no other for the other store."""
    yield from _made(Place(tmp_path_factory.mktemp("source"), kind="sqlite"))


def _made(place: Place) -> Iterator[Made]:
    async def main() -> Made:
        await fill(place)
        rows = await place.rows()
        manifest = await place.back_up(place.folder / "backup.tar")
        assert await place.rows() == rows
        return Made(place.folder / "backup.tar", manifest, rows)

    yield asyncio.run(main())
    place.drop()


@pytest.fixture
def place(each_store: None, tmp_path: Path) -> Iterator[Place]:
    """Where to restore: nothing is there yet, not even a schema."""
    empty = Place(tmp_path / "elsewhere")
    yield empty
    empty.drop()


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def changed(archive: Path, target: Path, *, extra: str = "", **changes: Any) -> Path:
    """The same archive, whole, with another manifest."""
    with ArchiveReader(archive) as old, ArchiveWriter(target, quiet) as new:
        for part in old.manifest.parts:
            new.add(part.name, b"".join(old.chunks(part)))
        if extra:
            new.add(extra, b"what is that?")
        new.finish(replace(old.manifest, **changes))
    return target


# --- what comes back --------------------------------------------------------------------------------------------------


async def test_every_row_and_file_comes_back_and_what_is_sealed_opens(made: Made, place: Place) -> None:
    done = await place.restore(made.path)
    assert (done.deleted, done.doubtful, done.key_file) == (None, 1, None)
    rows = await place.rows()
    assert {name for name in rows if rows[name] != made.rows[name]} <= set(OF_THE_SERVER)
    assert place_of(place.media, made.manifest.media_files[0].name.removeprefix("media/")).read_bytes() == PICTURE
    assert len(files_in(place.media)) == 1
    world = place.world()
    await world.store.open()  # opens what is sealed
    assert [endpoint.secrets[0].value for endpoint in world.store.registry().endpoints.values()] == [
        "an invented secret of 32 characters"
    ]
    await world.post(incoming("wamid.0"))
    await world.post(incoming("wamid.after"))
    assert await world.query("SELECT count(*) FROM messages WHERE wamid LIKE 'wamid.%'") == [(4,)]
    await world.close()


async def test_what_may_have_been_sent_since_is_unknown_and_not_sent_again(made: Made, place: Place) -> None:
    await place.restore(made.path)
    world = place.world()
    await world.store.open()
    async with office(world) as at:
        await at.until("unknown", "scheduled")
        await at.rounds()
        assert at.meta.asked == []
    await world.close()


async def test_what_waits_is_sent_if_no_server_ran_since(made: Made, place: Place) -> None:
    assert (await place.restore(made.path, send_waiting=True)).doubtful == 0
    world = place.world()
    await world.store.open()
    async with office(world) as at:
        await at.until("accepted", "scheduled")
        assert len(at.meta.asked) == 1
    await world.close()


async def test_leases_of_the_dead_server_do_not_block(made: Made, place: Place) -> None:
    await place.restore(made.path)
    world = place.world()
    await world.store.open()
    lease = await world.outbox.renew("the next one")
    assert len(lease.partitions) == lease.share
    await world.close()


def test_the_manifest_says_what_is_in_it(made: Made) -> None:
    manifest = made.manifest
    assert (manifest.version, manifest.revision, manifest.made_at) == (__version__, HEAD, "2026-05-06T03:39:23Z")
    assert manifest.holds["messages"] == 5
    assert manifest.holds["endpoints"] == manifest.holds["accounts"] == 1
    assert "organizations" not in manifest.holds
    assert (manifest.media, len(manifest.media_files), manifest.media_missing) == ("in the archive", 1, 1)
    assert not manifest.has_master_key
    assert len(manifest.sealed) == 1
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    with tarfile.open(made.path) as archive:
        names = archive.getnames()
    assert names[-2:] == ["manifest.json", "manifest.sha256"]
    assert names[:-2] == [part.name for part in manifest.parts]
    assert not [path for path in made.path.parent.iterdir() if path.name.startswith(".")]


async def test_of_media_in_a_bucket_it_is_said_where_they_are(made_of_sqlite: Made, tmp_path: Path) -> None:
    place = Place(tmp_path / "place", kind="sqlite")
    await place.restore(made_of_sqlite.path)
    place.installation = replace(place.installation, media_url="s3://bucket/prefix?endpoint=https://s3.example.org")
    manifest = await place.back_up(tmp_path / "b.tar")
    assert (manifest.media, manifest.media_files, manifest.media_missing) == ("s3://bucket/prefix", [], 0)
    assert (await place.restore(tmp_path / "b.tar", force=True)).manifest == manifest


# --- the master key ---------------------------------------------------------------------------------------------------


async def test_the_key_goes_with_it_when_asked(made: Made, place: Place, tmp_path: Path) -> None:
    source = Place(tmp_path / "source")
    await source.restore(made.path)
    manifest = await source.back_up(tmp_path / "with-key.tar", with_key=True)
    source.drop()
    assert manifest.has_master_key
    place.installation = replace(place.installation, master_keys=())
    if place.installation.kind == "postgresql":
        with pytest.raises(
            TellwireError, match=r"not there\. The archive holds it: set TELLWIRE_MASTER_KEY"
        ) as refused:
            await place.restore(tmp_path / "with-key.tar")
        assert f"`tar -xOf {tmp_path / 'with-key.tar'} {MASTER_KEY}` prints" in str(refused.value)
        return
    key_file = master_key_path(place.path)
    write_master_key(key_file, OTHER_KEY)
    before = await place.everything()
    with pytest.raises(TellwireError, match=rf"not the one that is there.*or move {key_file} away"):
        await place.restore(tmp_path / "with-key.tar")
    assert await place.everything() == before
    key_file.unlink()
    assert (await place.restore(tmp_path / "with-key.tar")).key_file == key_file
    assert base64.b64decode(key_file.read_text()) == KEY
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600


async def test_a_key_that_is_not_there_cannot_go_with_it(made: Made, place: Place, tmp_path: Path) -> None:
    await place.restore(made.path)
    for keys in ((), (OTHER_KEY,)):
        place.installation = replace(place.installation, master_keys=keys)
        with pytest.raises(TellwireError, match="is not there: set TELLWIRE_MASTER_KEY to it, or leave --with-key out"):
            await place.back_up(tmp_path / "b.tar", with_key=True)
        assert names_in(tmp_path) == ["elsewhere"]
    assert not (await place.back_up(tmp_path / "b.tar")).has_master_key


# --- what is refused, with nothing changed ----------------------------------------------------------------------------


def _no_key(place: Place, archive: Path) -> Path:
    place.installation = replace(place.installation, master_keys=())
    return archive


def _another_key(place: Place, archive: Path) -> Path:
    place.installation = replace(place.installation, master_keys=(OTHER_KEY,))
    return archive


def _data(place: Place, archive: Path) -> Path:
    asyncio.run(place.restore(archive))
    return archive


def _file(place: Place, archive: Path) -> Path:
    (place.media / "ab").mkdir(parents=True)
    (place.media / "ab" / "a-file").write_bytes(b"of another installation")
    return archive


def _bucket(place: Place, archive: Path) -> Path:
    place.installation = replace(place.installation, media_url="s3://bucket/prefix")
    return archive


def _store(place: Place, archive: Path) -> Path:
    if place.installation.kind == "sqlite":
        place.installation = replace(place.installation, url="postgresql://nobody@127.0.0.1:1/none")
    else:
        place.installation = replace(place.installation, url=f"sqlite:///{place.folder}/new.db")
    return archive


def _newer(place: Place, archive: Path) -> Path:
    return changed(archive, place.folder / "newer.tar", revision="0099_later", version="9.8.7")


def _development(place: Place, archive: Path) -> Path:
    return changed(archive, place.folder / "other.tar", revision="0001_of_a_branch")


def _format(place: Place, archive: Path) -> Path:
    return changed(archive, place.folder / "format.tar", tellwire_backup=2)


def _cut(place: Place, archive: Path) -> Path:
    (place.folder / "cut.tar").write_bytes(archive.read_bytes()[:-20_000])
    return place.folder / "cut.tar"


def _flipped(place: Place, archive: Path) -> Path:
    raw = bytearray(archive.read_bytes())
    raw[20_000] ^= 1
    (place.folder / "flipped.tar").write_bytes(raw)
    return place.folder / "flipped.tar"


def _no_tar(place: Place, archive: Path) -> Path:
    (place.folder / "no.tar").write_bytes(b"a letter to a friend" * 1000)
    return place.folder / "no.tar"


def _empty(place: Place, archive: Path) -> Path:
    (place.folder / "empty.tar").write_bytes(b"")
    return place.folder / "empty.tar"


def _absent(place: Place, archive: Path) -> Path:
    return place.folder / "absent.tar"


def _extra(place: Place, archive: Path) -> Path:
    with ArchiveReader(archive) as old:
        parts = [*old.manifest.parts, replace(old.manifest.parts[-1], name="media/../../evil")]
    return changed(archive, place.folder / "evil.tar", extra="media/../../evil", parts=parts)


def _with_member(archive: Path, target: Path, member: tarfile.TarInfo, content: bytes = b"") -> Path:
    """The same archive with another member at its end."""
    target.write_bytes(archive.read_bytes())
    with tarfile.open(target, "a") as tar:
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return target


def _sparse(place: Place, archive: Path) -> Path:
    """Of a kilobyte that says it holds a terabyte of nothing."""
    member = tarfile.TarInfo("media/aa")
    member.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": str(1 << 40)}
    return _with_member(archive, place.folder / "odd.tar", member, b"x")


def _link(place: Place, archive: Path) -> Path:
    member = tarfile.TarInfo("media/aa")
    member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return _with_member(archive, place.folder / "odd.tar", member)


def _twice(place: Place, archive: Path) -> Path:
    return _with_member(archive, place.folder / "odd.tar", tarfile.TarInfo("manifest.json"), b"{}")


REFUSED: dict[str, tuple[Callable[[Place, Path], Path], str]] = {
    "no key": (
        _no_key,
        r"master key \w{8}, which .* is not there, and not in the archive: put it into (.* or )?TELLWIRE_MASTER_KEY,",
    ),
    "another key": (_another_key, r"is not the one that is there \(TELLWIRE_MASTER_KEY.*put it into"),
    "data": (
        _data,
        r"something already, which --force deletes: .* \(.*endpoints: 1.*messages: 5.*files of media: 1\)",
    ),
    "a file": (_file, r"something already, which --force deletes: .* \(files of media: 1\)"),
    "a bucket": (_bucket, "holds 1 files of media, and TELLWIRE_MEDIA_URL names a bucket"),
    "another store": (_store, r"the archive is of \w+, and TELLWIRE_DATABASE_URL names \w+"),
}
"""Name → what a test does before, returning the archive, and what is said."""

REFUSED_ARCHIVES: dict[str, tuple[Callable[[Place, Path], Path], str]] = {
    "a newer schema": (
        _newer,
        rf"schema '0099_later' of Tellwire 9\.8\.7, and this is Tellwire {__version__}.*it with Tellwire 9\.8\.7 or a",
    ),
    "a version under development": (_development, "'0001_of_a_branch' of a version of Tellwire under development"),
    "a later format": (_format, "has the format 2"),
    "cut off": (
        _cut,
        r"cut\.tar is no whole backup of Tellwire, nothing was changed: (unexpected end|it has no manifest)",
    ),
    "a flipped bit": (
        _flipped,
        r"flipped\.tar is no whole backup.*the part tellwire\.(db|dump) is not what was written",
    ),
    "no archive": (_no_tar, r"no\.tar is no whole backup"),
    "an empty file": (_empty, r"empty\.tar is no whole backup"),
    "no file": (_absent, r"absent\.tar cannot be read: No such file"),
    "a sparse file": (_sparse, "holds what no backup holds"),
    "a link": (_link, "holds what no backup holds"),
    "two of one name": (_twice, "holds what no backup holds"),
    "a part that leads elsewhere": (_extra, r"evil\.tar is no whole backup.*does not name the parts of a backup"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused_and_nothing_is_changed(made: Made, place: Place, name: str) -> None:
    refuses(place, made.path, *REFUSED[name])


@pytest.mark.parametrize("name", REFUSED_ARCHIVES)
def test_an_archive_that_does_not_fit_is_refused(made_of_sqlite: Made, tmp_path: Path, name: str) -> None:
    refuses(Place(tmp_path, kind="sqlite"), made_of_sqlite.path, *REFUSED_ARCHIVES[name])


def refuses(place: Place, archive: Path, prepare: Callable[[Place, Path], Path], said: str) -> None:
    """A restore is refused, and every byte is as before."""
    archive = prepare(place, archive)
    before = asyncio.run(place.everything())
    with pytest.raises(TellwireError, match=said):
        asyncio.run(place.restore(archive))
    assert asyncio.run(place.everything()) == before


async def test_a_database_on_which_a_server_runs_is_refused_also_with_force(made: Made, place: Place) -> None:
    await place.restore(made.path)
    world = place.world()
    await world.store.open()
    for force in (False, True):
        with pytest.raises(TellwireError, match=r"another process serves|a Tellwire server is connected"):
            await place.restore(made.path, force=force)
    assert await world.query("SELECT count(*) FROM messages") == [(5,)]
    await world.close()


async def test_with_force_what_is_there_goes(made: Made, place: Place) -> None:
    await place.restore(made.path)
    world = place.world()
    await world.store.open()
    await world.post(incoming("wamid.of-before"))
    await world.close()
    _file(place, made.path)
    told: list[str] = []
    done = await place.restore(made.path, force=True, tell=lambda what, *_: told.append(what))
    assert done.deleted is not None
    assert f"deleting what is there: {done.deleted}" in told
    assert (done.deleted.rows["messages"], done.deleted.files) == (6, 2)
    rows = await place.rows()
    assert {name for name in rows if rows[name] != made.rows[name]} <= set(OF_THE_SERVER)
    assert len(files_in(place.media)) == 1


async def test_what_was_only_made_and_never_used_is_no_data(made: Made, place: Place) -> None:
    world = place.world()
    if isinstance(database := place.installation.database(), SqliteFile):
        await world.store.open()
        await world.outbox.renew("a server")
        await world.close()
        assert await database.contents() == {}
    assert (await place.restore(made.path)).deleted is None


async def test_when_it_ends_midway_nothing_is_left(made: Made, place: Place, tmp_path: Path) -> None:
    def stop(what: str, done: int, total: int) -> None:
        if what.startswith(("writing media", "checking the archive")):
            raise KeyboardInterrupt

    source = Place(tmp_path / "source")
    await source.restore(made.path)
    with pytest.raises(KeyboardInterrupt):
        await make_backup(source.installation, tmp_path / "b.tar", with_key=False, now=START, tell=stop)
    source.drop()
    assert names_in(tmp_path) == ["elsewhere", "source"]
    (place.media / ".restoring" / "ab").mkdir(parents=True)  # of a restore that was killed
    (place.media / ".restoring" / "ab" / "old").touch()
    before = await place.everything()
    with pytest.raises(KeyboardInterrupt):
        await restore_backup(place.installation, made.path, force=False, send_waiting=False, now=START, tell=stop)
    assert await place.everything() == before
    await place.restore(made.path)
    assert len(files_in(place.media)) == 1


async def test_nothing_to_back_up(place: Place, tmp_path: Path) -> None:
    with pytest.raises(TellwireError, match=r"there is no database of Tellwire|holds nothing of Tellwire"):
        await place.back_up(tmp_path / "b.tar")
    assert names_in(tmp_path) == ["elsewhere"]
    assert await place.everything() == {}


# --- the archive ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, dict[str, bytes]]:
    """An archive and its parts."""
    path, parts = (
        tmp_path_factory.mktemp("small") / "b.tar",
        {"tellwire.db": b"a database", "media/ab-cd": b"a file" * 9},
    )
    with ArchiveWriter(path, quiet) as archive:
        for name, content in parts.items():
            archive.add(name, content)
        archive.finish(
            Manifest(
                tellwire_backup=1,
                version="1",
                revision=HEAD,
                store="sqlite",
                made_at="",
                holds={},
                media="",
                has_master_key=False,
                sealed=[],
                parts=archive.parts,
            )
        )
    return path.read_bytes(), parts


@given(data=st.data())
def test_whatever_is_changed_is_noticed_or_does_not_matter(
    small: tuple[bytes, dict[str, bytes]], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    raw, parts = bytearray(small[0]), small[1]
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.one_of(st.just(len(raw)), st.integers(0, len(raw))))
    path = tmp_path_factory.getbasetemp() / f"changed-{os.getpid()}.tar"
    path.write_bytes(raw[:end])
    try:
        with ArchiveReader(path) as archive:
            archive.verify(quiet)
            assert {part.name: b"".join(archive.chunks(part)) for part in archive.manifest.parts} == parts
    except DamagedError:
        pass


# --- PostgreSQL's programs --------------------------------------------------------------------------------------------


def program(folder: Path, name: str, script: str) -> None:
    """Put a program on PATH that is none of PostgreSQL's."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (
            "",
            r"pg_dump is not on PATH: install PostgreSQL.s client programs, version 18 .* \(`postgresql-client-18`\)",
        ),
        ("echo 'pg_dump (PostgreSQL) 15.18 (Debian)'", r"/pg_dump is of PostgreSQL 15, and 18 is needed: install"),
        ("echo 'cannot load a library' >&2; exit 1", r"/pg_dump does not run: cannot load a library"),
    ],
)
def test_a_program_that_cannot_be_used_is_told_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    if script:
        program(tmp_path / "bin", "pg_dump", script)
    with pytest.raises(TellwireError, match=said):
        check_program("pg_dump", at_least=18)


def test_what_a_program_complains_of_is_told_and_no_list_of_processes_shows_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told"
    fails = f'[ "$1" = --version ] && echo "pg (PostgreSQL) 99.1" && exit; echo "$PGPASSWORD" "$@" > {told}\n'
    for name in ("pg_dump", "pg_restore"):
        program(tmp_path / "bin", name, f"{fails}echo '{name}: error: the disk is full' >&2; echo 'more' >&2; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    url = fresh_database()
    database = PostgresDatabase(url.replace("tellwire@", "tellwire:an-invented-password@"), pooled=False)
    for work, said in (
        (lambda: database.save(tmp_path / "copy", quiet), "no backup was made: pg_dump: error: the disk is full"),
        (
            lambda: database.replace([b"a dump"] * 100_000, START, send_waiting=False),
            "nothing was changed: pg_restore: error: the disk is full",
        ),
    ):
        with pytest.raises(TellwireError, match=f"^{said}$"):
            asyncio.run(work())
        password, _, arguments = told.read_text().partition(" ")
        assert password == "an-invented-password"
        assert "--dbname=postgresql://tellwire@127.0.0.1" in arguments
        assert "invented" not in arguments
    drop_database(url)


def test_a_pooler_is_refused() -> None:
    with pytest.raises(BadSettings, match="DATABASE_POOLER: pg_dump and pg_restore cannot work through a pooler"):
        PostgresDatabase("postgresql://nobody@127.0.0.1:1/none", pooled=True)


# --- SQLite -----------------------------------------------------------------------------------------------------------


async def test_what_a_link_names_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    path, link = tmp_path / "disk" / "it.db", tmp_path / "tellwire.db"
    path.parent.mkdir()
    migrate_sqlite(path)
    link.symlink_to(path)
    await SqliteFile(link).replace([path.read_bytes()], START, send_waiting=False)
    assert link.is_symlink()
    assert names_in(path.parent) == ["it.db"]
    assert names_in(tmp_path) == ["disk", "tellwire.db", "tellwire.db-lock"]


async def test_a_database_of_the_version_before_is_backed_up_though_it_lacks_a_table_and_a_column(
    tmp_path: Path,
) -> None:
    path = tmp_path / "it.db"
    migrate_sqlite(path)
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE agents")
        db.execute("ALTER TABLE accounts DROP COLUMN app_secret")
        db.execute("INSERT INTO sealed_keys VALUES ('a', '01234567.sealed')")
    db.close()
    found = await SqliteFile(path).save(tmp_path / "copy.db", quiet)
    assert [(each.key, each.place) for each in found.sealed] == [("01234567", "sealed_keys/a")]


async def test_a_copy_is_of_one_moment_though_somebody_writes_all_the_while(tmp_path: Path) -> None:
    path, told = tmp_path / "it.db", []
    with sqlite3.connect(path, isolation_level=None) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("CREATE TABLE pairs(number INTEGER PRIMARY KEY, first BLOB, second BLOB)")
        db.executemany("INSERT INTO pairs VALUES (?, ?, ?)", [(n, b"a" * 9000, b"a" * 9000) for n in range(1500)])

        def write(what: str, done: int, total: int) -> None:
            told.append((what, done, total))
            db.execute("UPDATE pairs SET first = ?, second = ?", (b"b" * 9000, b"b" * 9000))

        with pytest.raises(Exception, match="no such table"):  # it is no database of ours, and is copied before
            await SqliteFile(path).save(tmp_path / "copy.db", write)
    steps = [done for what, done, _ in told if what == "copying the database"]
    assert len(steps) >= 3
    assert steps == sorted(set(steps)), "the copy began anew"
    with sqlite3.connect(tmp_path / "copy.db") as copy:
        assert copy.execute("SELECT DISTINCT substr(first, 1, 1), substr(second, 1, 1) FROM pairs").fetchall() == [
            (b"a", b"a")
        ]
        assert copy.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    db.close()
    copy.close()
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
