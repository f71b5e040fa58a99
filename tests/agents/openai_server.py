"""A server on loopback that speaks OpenAI's chat completions, says what a test wants, and keeps what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from msgspec import Struct


class Asked(Struct, frozen=True):
    """A request: its method and target, its headers in lower case, its body."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def said(self) -> list[tuple[str, str]]:
        """The messages of a chat completion as (role, text), without what the system says."""
        messages = self.json["messages"]
        return [(m["role"], m["content"]) for m in messages if m["role"] in ("user", "assistant") and m["content"]]


Said = tuple[int, bytes]
Answering = Callable[[Asked], Said | Awaitable[Said]]


class Loopback:
    """A server; `asked` is everything that came, `answer` what it says next."""

    def __init__(self, answer: Answering) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self.port = 0
        self.came = asyncio.Semaphore(0)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().strip().split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                method, target, _ = first.split(" ")
                asked = Asked(method, target, headers, body)
                self.asked.append(asked)
                self.came.release()
                said = self.answer(asked)
                status, text = said if isinstance(said, tuple) else await said
                lead = (
                    f"HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
                )
                writer.write(lead.encode() + text)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def loopback(answer: Answering) -> AsyncIterator[Loopback]:
    """Serve until the test is done."""
    server = Loopback(answer)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()


def completion(text: str | None, *, tool_calls: list[dict[str, Any]] | None = None, **more: Any) -> Said:
    """A chat completion that says a text or calls tools; it costs 11 tokens in and 7 out."""
    message: dict[str, Any] = {"role": "assistant", "content": text, **more}
    if tool_calls:
        message["tool_calls"] = tool_calls
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_778_038_763,
        "model": "some-model",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if tool_calls else "stop"}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
    }
    return 200, json.dumps(body).encode()


def calling(name: str, **arguments: Any) -> Said:
    """A chat completion that calls a tool."""
    function = {"name": name, "arguments": json.dumps(arguments)}
    return completion(None, tool_calls=[{"id": "call_1", "type": "function", "function": function}])


def error(status: int, code: str = "some_code", message: str = "no") -> Said:
    """An error as OpenAI words it."""
    return status, json.dumps({"error": {"message": message, "type": code, "code": code}}).encode()


def in_turn(*said: Said) -> Answering:
    """One answer after the other, the last one for ever."""
    left = list(said)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]
