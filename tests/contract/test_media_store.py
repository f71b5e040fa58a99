"""The contract of `MediaStore`, for a folder and for a bucket of a real S3 server."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
from moto.server import ThreadedMotoServer

from tellwire.errors import BadSettings, Unavailable
from tellwire.ports.media import MediaStore
from tellwire.stores.files import open_files

NAME = "01970000-0000-7000-8000-0000000000ab"
LARGE = 20 * 1024 * 1024 + 7


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """The URL of a bucket, at a server in this process."""
    variables = {
        "AWS_ACCESS_KEY_ID": "invented",
        "AWS_SECRET_ACCESS_KEY": "invented",
        "AWS_REGION": "us-east-1",
    }
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="media")
    yield f"s3://media/tellwire?endpoint={endpoint}"
    server.stop()
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return (tmp_path / "media").as_uri()
    return str(request.getfixturevalue("bucket"))


def run(place: str, test: Callable[[MediaStore], Coroutine[Any, Any, None]]) -> None:
    async def inner() -> None:
        store = open_files(place)
        try:
            await store.delete(NAME)
            await test(store)
        finally:
            await store.close()

    asyncio.run(inner())


async def pieces(*given: bytes, then: Exception | None = None) -> AsyncIterator[bytes]:
    for each in given:
        yield each
    if then is not None:
        raise then


async def content(store: MediaStore, *part: int) -> bytes | None:
    chunks = await store.read(NAME, *part)
    return None if chunks is None else b"".join([chunk async for chunk in chunks])


def test_what_is_written_is_read_whole_or_in_part(place: str) -> None:
    async def test(store: MediaStore) -> None:
        assert await store.write(NAME, pieces(b"hello ", b"", b"world")) == 11
        assert await content(store) == b"hello world"
        assert await content(store, 6) == b"world"
        assert await content(store, 2, 5) == b"llo"
        assert await store.write(NAME, pieces(b"another")) == 7
        assert await content(store) == b"another"

    run(place, test)


def test_what_is_not_there_is_none_and_deleting_it_is_nothing(place: str) -> None:
    async def test(store: MediaStore) -> None:
        assert await content(store) is None
        await store.delete(NAME)
        await store.write(NAME, pieces(b"x"))
        await store.delete(NAME)
        assert await content(store) is None

    run(place, test)


def test_a_large_file_comes_back_as_it_was(place: str) -> None:
    block = bytes(range(256)) * 4096

    async def blocks() -> AsyncIterator[bytes]:
        for start in range(0, LARGE, len(block)):
            yield block[: min(len(block), LARGE - start)]

    async def test(store: MediaStore) -> None:
        assert await store.write(NAME, blocks()) == LARGE
        chunks = await store.read(NAME)
        assert chunks is not None
        size, largest = 0, 0
        async for chunk in chunks:
            assert chunk == (block * 2)[size % 256 :][: len(chunk)] or len(chunk) > len(block)
            size, largest = size + len(chunk), max(largest, len(chunk))
        assert size == LARGE
        assert largest < LARGE / 2

    run(place, test)


@pytest.mark.parametrize("size", [3, 9 * 1024 * 1024])
def test_a_write_that_is_broken_off_leaves_what_was_there(place: str, size: int) -> None:
    async def test(store: MediaStore) -> None:
        for before in (None, b"before"):
            if before is not None:
                await store.write(NAME, pieces(before))
            with pytest.raises(KeyError, match="broken off"):
                await store.write(NAME, pieces(bytes(size), bytes(size), then=KeyError("broken off")))
            assert await content(store) == before

    run(place, test)


def _descriptors_of_the_file() -> list[Path]:
    return [each for each in Path("/proc/self/fd").iterdir() if each.resolve().name == NAME]


@pytest.mark.skipif(sys.platform != "linux", reason="it looks at /proc")
def test_a_reader_who_does_not_go_on_costs_a_piece_and_no_descriptor(tmp_path: Path) -> None:
    async def test(store: MediaStore) -> None:
        await store.write(NAME, pieces(b"x" * 1_000_000))
        chunks = await store.read(NAME)
        assert chunks is not None
        first = await anext(chunks)
        assert len(first) <= 64 * 1024
        assert not await asyncio.to_thread(_descriptors_of_the_file)
        assert len(first) + sum([len(chunk) async for chunk in chunks]) == 1_000_000

    run((tmp_path / "media").as_uri(), test)


def test_a_folder_is_this_users_alone_and_tidy(tmp_path: Path) -> None:
    folder = tmp_path / "media"

    async def test(store: MediaStore) -> None:
        await store.write(NAME, pieces(b"x"))
        file = folder / "ab" / NAME
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        left = folder / "ab" / "begun.unfinished"
        left.write_bytes(b"half")
        await store.remove_leftovers(3600)
        assert left.exists()
        os.utime(left, (1, 1))
        await store.remove_leftovers(3600)
        assert [each.name for each in file.parent.iterdir()] == [NAME]

    run(folder.as_uri(), test)


def test_a_place_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    async def test() -> None:
        store = open_files((tmp_path / "file" / "media").as_uri())
        with pytest.raises(Unavailable, match="Not a directory"):
            await store.write(NAME, pieces(b"x"))

    asyncio.run(test())


def test_a_bucket_that_is_not_there_says_so(bucket: str) -> None:
    async def test() -> None:
        store = open_files(bucket.replace("s3://media", "s3://missing"))
        with pytest.raises(Unavailable, match="bucket"):
            await store.write(NAME, pieces(b"x"))

    asyncio.run(test())


@pytest.mark.parametrize("url", ["ftp://x/y", "s3:///prefix", "media"])
def test_other_places_are_refused(url: str) -> None:
    with pytest.raises(BadSettings):
        open_files(url)
