"""Files of messages: announced from the first event on, fetched afterwards, verified, given up, erased."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from msgspec.structs import replace
from sqlalchemy import text
from tests.media_world import BASE, MediaWorld, visit
from tests.simulator.running import CUSTOMER
from tests.world import DAY

from tellwire.media import links
from tellwire.ports.http_out import Answer
from tellwire.simulator import TOKEN
from tellwire.stores.files.folder import Folder
from tellwire.stores.queries import media as media_queries

pytestmark = pytest.mark.usefixtures("each_store")

BYTES = b"an invented picture" * 100
SENT = base64.b64encode(BYTES).decode()
DIGEST = hashlib.sha256(BYTES)


def left(media_world: MediaWorld) -> list[str]:
    """The names of all files in the folder of media."""
    return [each.name for each in media_world.files._root.rglob("*") if each.is_file()]


def test_a_file_is_in_its_messages_first_event_and_is_fetched_afterwards(tmp_path: Path) -> None:
    async def scenario(media_world: MediaWorld) -> None:
        media = await media_world.receives("document", base64=SENT, filename="año.pdf", mime_type="application/pdf")
        [row] = (await media_world.world.rows("messages.insert"))[1:]
        key = media_world.world.store.registry().media_key
        assert row["media"] == [
            {
                "id": media.id,
                "url": links.link(BASE, key, media.id),
                "mime_type": "application/pdf",
                "sha256": base64.b64encode(DIGEST.digest()).decode(),
                "filename": "año.pdf",
            }
        ]
        assert (media.state, media.message_id, media.sha256) == ("waiting", row["id"], DIGEST.hexdigest())
        assert await media_world.content(media) is None
        fetched = await media_world.fetched()
        assert (fetched.state, fetched.size, fetched.sha256) == ("stored", len(BYTES), DIGEST.hexdigest())
        assert await media_world.content(media) == BYTES
        assert media_world.world.store.counters.downloads == {"stored": 1}

    visit(tmp_path, scenario)


def test_a_message_that_comes_again_has_its_file_once(tmp_path: Path) -> None:
    async def scenario(media_world: MediaWorld) -> None:
        await media_world.receives(base64=SENT)
        await media_world.world.post_body(media_world.meta.callback.bodies[-1])
        assert len(await media_world.media()) == 1

    visit(tmp_path, scenario)


def test_a_message_with_errors_and_no_file_has_none(tmp_path: Path) -> None:
    async def scenario(media_world: MediaWorld) -> None:
        await media_world.receives(base64=SENT)
        body = json.loads(json.dumps(media_world.meta.callback.bodies[-1]))
        [message] = body["entry"][0]["changes"][0]["value"]["messages"]
        message |= {"id": "wamid.broken", "errors": [{"code": 131052, "title": "Media download error"}]}
        message["image"] = {"mime_type": "image/jpeg"}
        await media_world.world.post_body(body)
        row = (await media_world.world.rows("messages.insert"))[-1]
        assert "media" not in row
        assert row["content"]["errors"][0]["code"] == 131052
        assert len(await media_world.media()) == 1

    visit(tmp_path, scenario)


def test_another_hash_than_announced_is_reported(tmp_path: Path) -> None:
    async def scenario(media_world: MediaWorld) -> None:
        await media_world.receives(base64=SENT, wrong_hash=True)
        media = await media_world.fetched()
        assert media.state == "failed"
        assert DIGEST.hexdigest() in media.cause
        assert left(media_world) == []
        [told] = await media_world.told("media.failed")
        assert told == {
            "media_id": media.id,
            "message_id": media.message_id,
            "account_id": media.account_id,
            "state": "failed",
            "cause": media.cause,
        }

    visit(tmp_path, scenario)


def test_a_file_that_is_too_large_is_given_up(tmp_path: Path) -> None:
    async def scenario(media_world: MediaWorld) -> None:
        await media_world.receives(base64=SENT)
        media = await media_world.fetched()
        assert (media.state, left(media_world)) == ("failed", [])
        assert "MEDIA_MAX_BYTES" in media.cause

    visit(tmp_path, scenario, most_bytes=len(BYTES) - 1)


def test_a_link_that_has_expired_is_asked_for_again(tmp_path: Path) -> None:
    async def scenario(media_world: MediaWorld) -> None:
        await media_world.receives(base64=SENT)
        media = await media_world.fetched()
        assert (media.state, media.cause) == ("waiting", "the link to the file answered 404")
        media_world.meta.state.turn(link_seconds=300)
        assert (await media_world.fetched()).attempts == 1  # its time has not come
        media_world.clock.at = media.due_at
        assert (await media_world.fetched()).state == "stored"

    visit(tmp_path, scenario, link_seconds=0)


def test_an_id_that_has_expired_is_over_and_told(tmp_path: Path) -> None:
    async def scenario(media_world: MediaWorld) -> None:
        await media_world.receives(base64=SENT)
        media_world.clock.move(7 * DAY)
        media = await media_world.fetched()
        assert media.state == "expired"
        assert [told["state"] for told in await media_world.told("media.failed")] == ["expired"]

    visit(tmp_path, scenario)


def test_a_token_that_fails_waits_for_another(tmp_path: Path) -> None:
    async def scenario(media_world: MediaWorld) -> None:
        await media_world.set_token("another")
        await media_world.receives(base64=SENT)
        media = await media_world.fetched()
        assert media.state == "waiting"
        assert "access token" in media.cause
        media_world.clock.move(60_000_000)
        assert (await media_world.fetched()).attempts == 1
        await media_world.set_token("")
        assert (await media_world.fetched()).cause == "the account has no access token"
        await media_world.set_token(TOKEN)
        assert (await media_world.fetched()).state == "stored"

    visit(tmp_path, scenario)


MISSING = {"error": {"code": 100, "error_subcode": 33, "message": "Unsupported get request."}}


class Refusing:
    """Meta's Graph API, which refuses every token but `good`; `during` runs while the next question is under way."""

    def __init__(self, graph: Any, good: str, answer: Answer) -> None:
        self.graph, self.good, self.answer = graph, good, answer
        self.during: Callable[[], Awaitable[None]] | None = None

    async def ask(self, token: str, path: str, **given: Any) -> Answer:
        during, self.during = self.during, None
        if during is not None:
            await during()
        return await self.graph.ask(TOKEN, path, **given) if token == self.good else self.answer

    async def close(self) -> None: ...


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=400, body=json.dumps(MISSING).encode()),
        Answer(status=404, body=json.dumps(MISSING).encode()),
        Answer(status=404, body=b"<html>proxy"),
        Answer(status=403, body=b'{"error":{"code":10}}'),
        Answer(status=200, body=b"<html>welcome"),
    ],
)
def test_a_refusal_waits_for_another_token_and_is_no_end(tmp_path: Path, answer: Answer) -> None:
    async def scenario(media_world: MediaWorld) -> None:
        source = media_world.download_worker._source
        media_world.download_worker._source = replace(source, graph=Refusing(source.graph, TOKEN, answer))
        await media_world.set_token("poor")
        await media_world.receives(base64=SENT)
        for _ in range(12):
            media = await media_world.fetched()
            assert media.state == "waiting"
            media_world.clock.at = media.due_at
        assert await media_world.told("media.failed") == []
        await media_world.fetched()
        await media_world.set_token(TOKEN)
        assert (await media_world.fetched()).state == "stored"  # at once, though its time has not come

    visit(tmp_path, scenario)


def test_a_token_that_comes_while_the_old_one_is_refused_is_used_at_once(tmp_path: Path) -> None:
    async def scenario(media_world: MediaWorld) -> None:
        source = media_world.download_worker._source
        refusing = Refusing(source.graph, TOKEN, Answer(status=401, body=b'{"error":{"code":190}}'))
        media_world.download_worker._source = replace(source, graph=refusing)
        await media_world.set_token("poor")
        await media_world.receives(base64=SENT)

        async def another() -> None:
            await media_world.set_token(TOKEN)
            await media_world.download_worker._resume_with_new_tokens()

        refusing.during = another
        assert (await media_world.fetched()).state == "waiting"
        assert (await media_world.fetched()).state == "stored"

    visit(tmp_path, scenario)


def test_what_was_begun_by_a_process_that_ended_is_fetched_anew(tmp_path: Path) -> None:
    async def scenario(media_world: MediaWorld) -> None:
        media = await media_world.receives(base64=SENT)
        folder = media_world.files._root / media.id[-2:]
        folder.mkdir(parents=True)
        (folder / "begun.unfinished").write_bytes(BYTES[:100])
        assert await media_world.content(media) is None
        assert (await media_world.fetched()).state == "stored"
        assert await media_world.content(media) == BYTES

    visit(tmp_path, scenario)


def test_erased_while_it_was_fetched_it_is_gone(tmp_path: Path) -> None:
    async def scenario(media_world: MediaWorld) -> None:
        media = await media_world.receives(base64=SENT)

        class Erasing(Folder):
            async def write(self, name: str, chunks: AsyncIterator[bytes]) -> int:
                size = await super().write(name, chunks)
                await media_world.world.store.write(
                    lambda c: media_queries.erase_of_messages(
                        c, media.organization_id, [media.message_id], media_world.clock.now()
                    )
                )
                return size

        media_world.download_worker._files = Erasing(media_world.files._root)
        after = await media_world.fetched()
        assert (after.state, after.meta_id, after.sha256) == ("erased", "", "")
        assert left(media_world) == []
        await media_world.download_worker.sweep()
        media_world.clock.move(3_600_000_000)
        await media_world.download_worker.sweep()
        assert await media_world.media() == []

    visit(tmp_path, scenario)


def test_revoked_with_erasing_on_its_file_goes_too(tmp_path: Path) -> None:
    async def scenario(media_world: MediaWorld) -> None:
        await media_world.receives(base64=SENT)
        media = await media_world.fetched()

        def keepless(connection: Any) -> None:
            connection.execute(text("UPDATE accounts SET on_revoke = 'erase'"))
            connection.execute(text("UPDATE facts SET value = value + 1 WHERE name = 'registry'"))

        await media_world.world.store.write(keepless)
        [message] = media_world.meta.callback.bodies[-1]["entry"][0]["changes"][0]["value"]["messages"]
        body = json.loads(json.dumps(media_world.meta.callback.bodies[-1]))
        value = body["entry"][0]["changes"][0]["value"]
        revoked = {"from": CUSTOMER, "id": "wamid.revoke", "timestamp": message["timestamp"], "type": "revoke"}
        value["messages"] = [revoked | {"revoke": {"original_message_id": message["id"]}}]
        await media_world.world.post_body(body)
        row = (await media_world.world.rows("messages.update"))[-1]
        assert "media" not in row
        await media_world.download_worker.sweep()
        assert await media_world.content(media) is None

    visit(tmp_path, scenario)


# --- where the token goes ---------------------------------------------------------------------------------------------


class Elsewhere:
    """A host that is not Meta's, which notes what it is sent."""

    def __init__(self) -> None:
        self.seen: list[str | None] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.seen.append(request.headers.get("Authorization"))
        return web.Response(body=BYTES)


@asynccontextmanager
async def listening(*routes: Any) -> AsyncIterator[str]:
    application = web.Application()
    for path, handler in routes:
        application.router.add_route("*", path, handler)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("how", ["link", "redirect"])
def test_the_token_is_sent_to_no_other_host(tmp_path: Path, how: str) -> None:
    async def scenario(media_world: MediaWorld) -> None:
        other = Elsewhere()
        async with listening(("/{any:.*}", other.take)) as elsewhere:
            seen: list[str | None] = []

            async def graph(request: web.Request) -> web.Response:
                seen.append(request.headers.get("Authorization"))
                if request.path.startswith("/file"):
                    return web.Response(status=302, headers={"Location": f"{elsewhere}/file"})
                url = f"{elsewhere}/file" if how == "link" else f"{request.url.origin()}/file"
                return web.json_response({"url": url, "sha256": DIGEST.hexdigest(), "mime_type": "image/jpeg"})

            async with listening(("/{any:.*}", graph)) as meta_url:
                await media_world.receives(base64=SENT)
                inner = MediaWorld(media_world.world, media_world.meta, media_world.files, f"{meta_url}/v24.0", 1000)
                try:
                    media = await inner.fetched()
                finally:
                    await inner.close()
            assert set(seen) == {f"Bearer {TOKEN}"}
            assert other.seen == []
            if how == "link":
                assert (media.state, media.cause) == (
                    "failed",
                    "Meta's link to the file leads to a host that is not Meta's",
                )
            else:
                assert (media.state, media.cause) == ("waiting", "the link to the file answered 302")

    visit(tmp_path, scenario)


def test_a_transfer_that_breaks_off_is_tried_again(tmp_path: Path) -> None:
    async def scenario(media_world: MediaWorld) -> None:
        breaks = [True]

        async def graph(request: web.Request) -> web.StreamResponse:
            if not request.path.startswith("/file"):
                link = f"{request.url.origin()}/file"
                return web.json_response({"url": link, "sha256": DIGEST.hexdigest(), "mime_type": "image/jpeg"})
            answer = web.StreamResponse(headers={"Content-Length": str(len(BYTES))})
            await answer.prepare(request)
            await answer.write(BYTES[:1000])
            if breaks.pop() if breaks else False:
                assert request.transport is not None
                request.transport.close()
                return answer
            await answer.write(BYTES[1000:])
            return answer

        async with listening(("/{any:.*}", graph)) as meta_url:
            await media_world.receives(base64=SENT)
            inner = MediaWorld(media_world.world, media_world.meta, media_world.files, f"{meta_url}/v24.0", 10_000)
            try:
                media = await inner.fetched()
                assert (media.state, left(media_world)) == ("waiting", [])
                assert "broke" in media.cause
                media_world.clock.at = media.due_at
                assert (await inner.fetched()).state == "stored"
            finally:
                await inner.close()

    visit(tmp_path, scenario)


def test_it_runs_until_it_is_stopped_and_wakes(tmp_path: Path) -> None:
    async def scenario(media_world: MediaWorld) -> None:
        media_world.download_worker.start()
        media = await media_world.receives(base64=SENT)
        async with asyncio.timeout(10):
            while (await media_world.media())[-1].state != "stored":  # noqa: ASYNC110 - a database is looked at
                await asyncio.sleep(0.01)
        assert await media_world.content(media) == BYTES
        await media_world.download_worker.stop()

    visit(tmp_path, scenario)
