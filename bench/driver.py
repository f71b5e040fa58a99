"""Run the driver process: it sends signed webhooks, and it is the subscriber that receives the deliveries.

The runner starts it as `python -m bench.driver`; it executes the commands of `bench.protocol` from its standard input
and answers on its standard output, until its input ends.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from time import perf_counter
from typing import cast

import msgspec
import uvloop

from bench import webhooks
from bench.http1 import MalformedError, Messages
from bench.load import Connection, Post, closed_loop, open_loop
from bench.phase import Phase
from bench.protocol import Aim, Command, Done, Failed, Go, Hello, PhaseResult, Prepare, SinkWay

_ANSWERS: dict[SinkWay, bytes] = {
    "takes": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "fails": b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno",
    "hangs": b"",
}
_BAD = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Driver:
    """The driver's state: the system to load, the numbering of messages, and the current phase."""

    def __init__(self) -> None:
        self._aim: Aim | None = None
        self._phase = Phase(first=0, count=0, contacts=1)
        self._arrival = asyncio.Event()
        self._prepared: tuple[Prepare, list[Post], list[Connection]] | None = None

    async def execute(self, command: Command) -> Done | PhaseResult | Failed:
        """Execute one command and return its answer."""
        match command:
            case Aim():
                self._aim = command
                if self._phase.first < command.first_message:
                    self._phase = Phase(first=command.first_message, count=0, contacts=1)
                return Done()
            case Prepare():
                return await self._prepare(command)
            case Go():
                return await self._go()

    def receive(self, head: bytes, payload: bytes) -> bytes:
        """Record a delivery that reached the sink; return the bytes of the answer, b"" for none."""
        self._phase.arrive(webhooks.number_in(payload), perf_counter(), head, payload)
        self._arrival.set()
        return _ANSWERS[self._aim.sink if self._aim is not None else "takes"]

    async def _prepare(self, plan: Prepare) -> Done | Failed:
        if self._aim is None:
            return Failed("nothing to aim at")
        aim, sent_at = self._aim, int(time.time())
        first = self._phase.first + self._phase.count
        host = f"127.0.0.1:{aim.ports[0]}"
        every = range(first, first + plan.messages)
        posts = [
            Post(numbers, _request(numbers, plan, aim, host=host, sent_at=sent_at))
            for numbers in (every[at : at + plan.updates] for at in range(0, plan.messages, plan.updates))
        ]
        connections = [Connection(aim.ports[at % len(aim.ports)]) for at in range(plan.connections)]
        try:
            for connection in connections:
                await connection.open()
        except OSError as error:
            return Failed(f"cannot connect to the system: {error}")
        self._phase = Phase(first=first, count=plan.messages, contacts=plan.contacts)
        self._prepared = plan, posts, connections
        gc.collect()
        return Done()

    async def _go(self) -> PhaseResult | Failed:
        if self._prepared is None or self._aim is None:
            return Failed("nothing prepared")
        plan, posts, connections = self._prepared
        self._prepared = None
        phase, begin = self._phase, time.process_time()
        gc.disable()
        try:
            async with asyncio.timeout(plan.limit_seconds):
                if plan.rate is None:
                    await closed_loop(phase, posts, connections)
                else:
                    await open_loop(phase, posts, connections, rate=plan.rate)
                while plan.awaited and phase.outstanding:
                    self._arrival.clear()
                    await self._arrival.wait()
        except TimeoutError:
            phase.trouble[f"not done after {plan.limit_seconds:g} s"] += 1
        finally:
            gc.enable()
            for connection in connections:
                connection.close()
        used = time.process_time() - begin
        return phase.result(secret=self._aim.signing_secret, cpu_seconds=used)


def _request(numbers: range, plan: Prepare, aim: Aim, *, host: str, sent_at: int) -> bytes:
    content = webhooks.body(
        numbers,
        contacts=plan.contacts,
        sent_at=sent_at,
        pad=plan.pad,
        accounts=aim.accounts,
        first_account=aim.first_account,
    )
    return webhooks.request(content, host=host, path=aim.path, app_secret=aim.app_secret)


class Sink(asyncio.Protocol):
    """The subscriber: answers every HTTP request as the driver says."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._messages = Messages()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's streams don't inherit from it

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        if transport is None:
            return
        try:
            for head, payload in self._messages.feed(data):
                transport.write(self._driver.receive(head, payload))
        except MalformedError:
            transport.write(_BAD)
            transport.close()


async def serve() -> None:
    """Listen on a free port, write its number, and execute commands until the input ends."""
    loop = asyncio.get_running_loop()
    driver = Driver()
    server = await loop.create_server(lambda: Sink(driver), "127.0.0.1", 0, backlog=1024)
    _say(Hello(server.sockets[0].getsockname()[1]))
    decoder = msgspec.json.Decoder(Command)
    while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
        _say(await driver.execute(decoder.decode(line)))
    server.close()


def _say(answer: msgspec.Struct) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    uvloop.run(serve())
