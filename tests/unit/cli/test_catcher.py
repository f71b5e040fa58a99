"""The catcher, over real sockets: what it takes, what it refuses and how it counts."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable

import tellwire_sdk
from tellwire.cli.dev.catcher import Catch, Catcher

SECRETS = {"row": "a row secret of ours", "chat": "a chat secret of ours"}
ROW = json.dumps(
    {
        "data": {"id": "m1", "organization_id": "o1", "created_at": "t", "updated_at": "t"},
        "entity": "conversations",
        "action": "insert",
    }
).encode()
CHAT = json.dumps(
    {
        "messaging_product": "whatsapp",
        "message_type": "incoming_message",
        "participants": {
            "sender": {"from": "5215500000001", "profile": {"name": ""}},
            "receiver": {"to": "525500000000"},
        },
        "message": {
            "conversation_id": "68f1f14a7c8e981501051fca",
            "timestamp": "1",
            "type": "text",
            "text": {"body": "x"},
        },
    }
).encode()


def signed(body: bytes, secret: str, **more: str) -> dict[str, str]:
    now = int(time.time())
    signature = tellwire_sdk.sign(body, webhook_id="msg_1", timestamp=now, secrets=[secret])
    return {"webhook-id": "msg_1", "webhook-timestamp": str(now), "webhook-signature": signature, **more}


async def ask(port: int, *requests: tuple[str, str, dict[str, str], bytes]) -> list[tuple[int, dict[str, object]]]:
    """Send requests over one connection, one after the other."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers = []
    for method, target, headers, body in requests:
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(
            f"{method} {target} HTTP/1.1\r\nHost: x\r\n{fields}Content-Length: {len(body)}\r\n\r\n".encode() + body
        )
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        answers.append((int(head.split()[1]), json.loads(await reader.readexactly(length))))
    writer.close()
    await writer.wait_closed()
    return answers


def caught(test: Callable[[Catcher, int], Awaitable[None]]) -> list[Catch]:
    """Run a test against a catcher; returns what it called back with."""
    catches: list[Catch] = []

    async def run() -> None:
        catcher = Catcher(SECRETS, on_catch=catches.append, keep=2)
        port = await catcher.start()
        async with asyncio.timeout(20):
            await test(catcher, port)
        await catcher.stop()

    asyncio.run(run())
    return catches


def test_a_challenge_comes_back_as_json() -> None:
    async def test(_: Catcher, port: int) -> None:
        assert await ask(port, ("GET", "/chat?challenge=abc%20d", {}, b"")) == [(200, {"challenge": "abc d"})]
        ((status, _answer),) = await ask(port, ("GET", "/chat", {}, b""))
        assert status == 400

    assert caught(test) == []


def test_signed_deliveries_are_verified_parsed_and_counted() -> None:
    async def test(catcher: Catcher, port: int) -> None:
        vendor = {"X-Wappcloud-Signature": tellwire_sdk.wappcloud_signature(CHAT, SECRETS["chat"])}
        answers = await ask(
            port,
            ("POST", "/row", signed(ROW, SECRETS["row"], **{"tellwire-event": "conversations.insert"}), ROW),
            ("POST", "/chat", signed(CHAT, SECRETS["chat"], **vendor), CHAT),
        )
        assert answers == [(200, {"ok": True})] * 2
        for name in ("row", "chat"):
            tally = catcher.tallies[name]
            assert (tally.received, tally.verified, tally.failed) == (1, 1, 0)

    row, chat = caught(test)
    assert (row.format, row.event, row.webhook_id, row.verified) == ("row", "conversations.insert", "msg_1", True)
    assert isinstance(row.payload, tellwire_sdk.RowEvent)
    assert isinstance(chat.payload, tellwire_sdk.ChatMessage)


def test_what_does_not_verify_is_refused_and_counted_as_failed() -> None:
    wrong = signed(ROW, "some other secret here")
    good = signed(CHAT, SECRETS["chat"])
    requests = [
        ("POST", "/row", wrong, ROW),
        ("POST", "/row", {}, ROW),
        ("POST", "/row", signed(ROW, SECRETS["row"]), ROW + b" "),
        ("POST", "/row", signed(b"[]", SECRETS["row"]), b"[]"),
        ("POST", "/chat", good, CHAT),  # without the vendor's own signature
        ("POST", "/chat", good | {"X-Wappcloud-Signature": "sha256=" + "0" * 64}, CHAT),
    ]

    async def test(catcher: Catcher, port: int) -> None:
        answers = await ask(port, *requests)
        assert [status for status, _ in answers] == [401] * len(requests)
        assert (catcher.tallies["row"].failed, catcher.tallies["chat"].failed) == (4, 2)
        assert len(catcher.recent) == 2, "only the last ones are kept"

    catches = caught(test)
    assert len(catches) == len(requests)
    assert all(catch.error and catch.payload is None for catch in catches)


def test_other_paths_and_methods_are_refused_and_not_counted() -> None:
    async def test(catcher: Catcher, port: int) -> None:
        answers = await ask(port, ("POST", "/other", {}, b"{}"), ("PUT", "/row", {}, b"{}"))
        assert [status for status, _ in answers] == [404, 405]
        assert catcher.tallies["row"].received == 0

    assert caught(test) == []


def test_a_wait_ends_with_the_catch_that_it_is_for() -> None:
    async def test(catcher: Catcher, port: int) -> None:
        waiting = asyncio.create_task(catcher.until(lambda: catcher.tallies["row"].received == 2))
        headers = signed(ROW, SECRETS["row"])
        await ask(port, ("POST", "/row", headers, ROW))
        assert not waiting.done()
        await ask(port, ("POST", "/row", headers, ROW))
        await waiting

    assert len(caught(test)) == 2


def test_nonsense_closes_the_connection_and_nothing_else() -> None:
    async def test(_: Catcher, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x16\x03\x01 not http\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400")
        writer.close()
        await writer.wait_closed()
        assert (await ask(port, ("GET", "/chat?challenge=1", {}, b"")))[0][0] == 200

    assert caught(test) == []


def test_stopping_hangs_up_on_connections_that_are_kept() -> None:
    async def run() -> None:
        catcher = Catcher(SECRETS)
        port = await catcher.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /chat?challenge=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"}")
        async with asyncio.timeout(10):
            await catcher.stop()
            assert await reader.read() == b""
        writer.close()

    asyncio.run(run())
