"""A process that simulates Meta takes and gives 100 MB without holding them."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
from tests.acceptance.processes import Running, running

from tellwire.simulator import BUSINESS, TOKEN

SIZE = 100 * 1024 * 1024
CHUNK = bytes(range(256)) * 1024
ROOM = 20 * 1024
"""How much a process may grow meanwhile, in KiB: its buffers, and what the allocator keeps of them."""


def peak(process: Running) -> int:
    """The most memory that a process has held so far, in KiB."""
    told = Path(f"/proc/{process.process.pid}/status").read_text()
    return int(told.split("VmHWM:")[1].split()[0])


async def _file(digest: hashlib._Hash) -> AsyncIterator[bytes]:
    for _ in range(SIZE // len(CHUNK)):
        digest.update(CHUNK)
        yield CHUNK


async def _both_ways(url: str) -> None:
    digest, back = hashlib.sha256(), hashlib.sha256()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        form = aiohttp.FormData({"messaging_product": "whatsapp", "type": "application/pdf"})
        form.add_field("file", _file(digest), filename="x.pdf", content_type="application/pdf")
        async with session.post(f"{url}/{BUSINESS.phone_number_id}/media", data=form) as answer:
            assert answer.status == 200, await answer.text()
            media_id = (await answer.json())["id"]
        async with session.get(f"{url}/{media_id}") as answer:
            told = await answer.json()
        assert (told["file_size"], told["sha256"]) == (SIZE, digest.hexdigest())
        async with session.get(told["url"]) as answer:
            async for chunk in answer.content.iter_chunked(len(CHUNK)):
                back.update(chunk)
    assert back.hexdigest() == digest.hexdigest()


def test_100_mb_go_up_and_down_in_bounded_memory(tmp_path: Path) -> None:
    arguments = ("simulate", "--serve", "--port", "0", "--secret", "x", "--json")
    with running(*arguments, cwd=tmp_path) as process:
        url = json.loads(process.wait_for(lambda lines: lines[0] if lines else None))["url"]
        before = peak(process)
        asyncio.run(_both_ways(url))
        assert peak(process) - before < ROOM
        assert process.stop() == 0
        assert json.loads(process.out[-1])["requests"] == 3
