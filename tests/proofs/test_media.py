"""Files of 100 MB through a real server that does not grow, and one that is killed in the middle of a download."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.acceptance.processes import Running, logged_url, request, running, until

from tellwire.simulator import BUSINESS, TOKEN, Simulator, State

KEY = "an-invented-admin-key-for-the-proofs"
SECRET = "an-invented-app-secret"
LARGE = 100 * 1024 * 1024
CHUNK = 1024 * 1024
MOST_GROWTH = 30 * 1024
"""KiB by which a process may grow at its peak."""
CUSTOMER = "5215500000001"
DOCUMENT = "application/pdf"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def settings_of(simulator: Simulator, folder: Path) -> dict[str, str]:
    return {
        "PORT": "0",
        "ADMIN_KEY": KEY,
        "META_APP_SECRET": SECRET,
        "META_GRAPH_URL": f"{simulator.url}/v24.0",
        "DATABASE_URL": f"sqlite:///{folder / 'proof.db'}",
    }


def memory(process: Running, name: str) -> int:
    """KiB of a process: `VmRSS` now, `VmHWM` at its peak."""
    lines = Path(f"/proc/{process.process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])


def forget_peak(process: Running) -> None:
    Path(f"/proc/{process.process.pid}/clear_refs").write_text("5")


def fetched(url: str) -> tuple[int, str]:
    """Size and hash of what a link gives, read in pieces."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.netloc, timeout=60)
    connection.request("GET", f"{place.path}?{place.query}")
    answer = connection.getresponse()
    assert answer.status == 200
    digest, size = hashlib.sha256(), 0
    while piece := answer.read(CHUNK):
        digest.update(piece)
        size += len(piece)
    connection.close()
    return size, digest.hexdigest()


def uploaded(url: str, size: int) -> dict[str, Any]:
    """Upload a file, sent in pieces."""
    head = (
        f'--x\r\nContent-Disposition: form-data; name="account"\r\n\r\n{BUSINESS.phone_number_id}\r\n'
        f'--x\r\nContent-Disposition: form-data; name="file"; filename="large.pdf"\r\nContent-Type: {DOCUMENT}\r\n\r\n'
    ).encode()
    tail = b"\r\n--x--\r\n"

    def pieces() -> Iterator[bytes]:
        yield head
        for start in range(0, size, CHUNK):
            yield bytes(min(CHUNK, size - start))
        yield tail

    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    headers = {
        "Authorization": f"Bearer {KEY}",
        "Content-Type": "multipart/form-data; boundary=x",
        "Content-Length": str(len(head) + size + len(tail)),
    }
    connection.request("POST", "/v1/media", pieces(), headers)
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 201, body
    connection.close()
    made: dict[str, Any] = json.loads(body)
    return made


def stored(url: str) -> dict[str, Any] | None:
    """The newest file, once it is here."""
    media: dict[str, Any] = request(f"{url}/v1/media?limit=1", key=KEY)[1]["data"][0]
    assert media["state"] in ("waiting", "stored"), media
    return media if media["state"] == "stored" else None


def with_account(url: str) -> None:
    draft = {"phone_number_id": BUSINESS.phone_number_id, "access_token": TOKEN, "waba_id": BUSINESS.waba_id}
    assert request(f"{url}/v1/accounts", key=KEY, method="POST", body=draft)[0] == 201


def write(simulator: Simulator, size: int) -> None:
    """A customer sends a document of this size."""
    body = {"wa_id": CUSTOMER, "name": "Ana", "type": "document", "size": size, "mime_type": DOCUMENT}
    status, _ = request(f"{simulator.url}/_simulator/customer", method="POST", body=body)
    assert status == 200


def send(url: str, media_id: str) -> None:
    body = {"account": BUSINESS.phone_number_id, "to": CUSTOMER, "type": "document", "document": {"id": media_id}}
    status, answer = request(f"{url}/v1/messages", key=KEY, method="POST", body=body)
    assert status == 202, answer


def in_a_world(test: Callable[[Simulator], Awaitable[None]]) -> None:
    async def run() -> None:
        simulator = Simulator(State(seed=1))
        await simulator.start()
        try:
            await test(simulator)
        finally:
            await simulator.stop()

    asyncio.run(run())


def test_100_mb_come_and_go_without_being_in_memory(tmp_path: Path, figures: list[str]) -> None:
    async def test(simulator: Simulator) -> None:
        def visit() -> None:
            with running("serve", cwd=tmp_path, **settings_of(simulator, tmp_path)) as process:
                url = process.wait_for(logged_url, stream="err")
                with_account(url)
                simulator.set_callback(f"{url}/meta/webhook", SECRET)
                write(simulator, 1000)
                until(lambda: request(f"{url}/v1/media", key=KEY)[1]["data"], what="the small file")
                small = until(lambda: stored(url), what="its bytes")
                fetched(small["url"])
                send(url, uploaded(url, 1000)["id"])
                until(lambda: accepted(simulator) == 1, what="the small message")
                before = memory(process, "VmRSS")
                for name, step in (
                    ("downloaded", lambda: downloaded(simulator, url)),
                    ("served", lambda: served(simulator, url)),
                    ("uploaded", lambda: taken(url)),
                    ("sent", lambda: sent(simulator, url)),
                ):
                    forget_peak(process)
                    step()
                    growth = memory(process, "VmHWM") - before
                    figures.append(f"100 MB {name}: the server grew by {growth / 1024:.1f} MiB at its peak")
                    assert growth < MOST_GROWTH, (name, growth)

        await asyncio.to_thread(visit)

    in_a_world(test)


def accepted(simulator: Simulator) -> int:
    return len(simulator.state.journal.accepted)


def downloaded(simulator: Simulator, url: str) -> None:
    write(simulator, LARGE)

    def large() -> bool:
        media = request(f"{url}/v1/media?limit=1", key=KEY)[1]["data"][0]
        return bool(media["message_id"] and media["state"] == "stored" and media["size"] == LARGE)

    until(large, what="the large file")


def served(simulator: Simulator, url: str) -> None:
    media = request(f"{url}/v1/media?limit=1", key=KEY)[1]["data"][0]
    assert fetched(media["url"]) == (LARGE, media["sha256"])
    assert media["sha256"] in {each.sha256 for each in simulator.state.media_files._media.values()}


def taken(url: str) -> None:
    media = uploaded(url, LARGE)
    assert media["sha256"] == _zeros()


def sent(simulator: Simulator, url: str) -> None:
    media = request(f"{url}/v1/media?limit=1", key=KEY)[1]["data"][0]
    send(url, media["id"])
    until(lambda: accepted(simulator) == 2, what="the large message")
    at_meta = simulator.state.journal.accepted[-1].body["document"]["id"]
    found = simulator.state.media_files.find(at_meta, simulator.state.clock.now(), BUSINESS.phone_number_id)
    assert found is not None
    assert (found.size, found.sha256) == (LARGE, _zeros())


def _zeros() -> str:
    digest = hashlib.sha256()
    for _ in range(LARGE // CHUNK):
        digest.update(bytes(CHUNK))
    return digest.hexdigest()


def test_killed_in_the_middle_of_a_download_it_shows_no_half_and_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "proof-media"

    def begun() -> bool:
        return any(each.stat().st_size > CHUNK for each in folder.glob("*/*.unfinished"))

    def whole() -> list[Path]:
        return [each for each in folder.glob("*/*") if each.suffix != ".unfinished"]

    async def test(simulator: Simulator) -> None:
        def visit() -> None:
            with running("serve", cwd=tmp_path, **settings_of(simulator, tmp_path)) as process:
                url = process.wait_for(logged_url, stream="err")
                with_account(url)
                simulator.set_callback(f"{url}/meta/webhook", SECRET)
                write(simulator, LARGE)
                until(begun, what="the download")
                process.stop(signal.SIGKILL)
            assert whole() == []
            with running("serve", cwd=tmp_path, **settings_of(simulator, tmp_path)) as process:
                url = process.wait_for(logged_url, stream="err")
                media = until(lambda: stored(url), what="the file")
                assert [each.name for each in whole()] == [media["id"]]
                assert fetched(urlsplit(media["url"])._replace(netloc=urlsplit(url).netloc).geturl()) == (
                    LARGE,
                    media["sha256"],
                )

        await asyncio.to_thread(visit)

    in_a_world(test)
