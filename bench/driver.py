"""The driver process: sends signed webhooks and is the subscriber that receives the deliveries.

Run by the runner as `python -m bench.driver`; it obeys `bench.protocol` on its standard input and output until
its input ends.
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
from bench.load import Connection, closed_loop, open_loop
from bench.phase import Phase
from bench.protocol import Aim, Command, Done, Failed, Go, Hello, PhaseResult, Prepare

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_BAD = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Driver:
    """Holds the system aimed at, the numbering of messages and the phase under way."""

    def __init__(self) -> None:
        self._aim: Aim | None = None
        self._phase = Phase(first=0, count=0, contacts=1)
        self._arrival = asyncio.Event()
        self._prepared: tuple[Prepare, list[bytes], list[Connection]] | None = None

    async def obey(self, command: Command) -> Done | PhaseResult | Failed:
        """Carry out one command."""
        match command:
            case Aim():
                self._aim = command
                return Done()
            case Prepare():
                return await self._prepare(command)
            case Go():
                return await self._go()

    def receive(self, head: bytes, payload: bytes) -> None:
        """A delivery reached the sink."""
        self._phase.arrive(webhooks.number_in(payload), perf_counter(), head, payload)
        self._arrival.set()

    async def _prepare(self, plan: Prepare) -> Done | Failed:
        if self._aim is None:
            return Failed("nothing to aim at")
        aim, sent_at = self._aim, int(time.time())
        first = self._phase.first + self._phase.count
        host = f"127.0.0.1:{aim.port}"
        requests = [
            webhooks.request(
                webhooks.body(number, contacts=plan.contacts, sent_at=sent_at, pad=plan.pad),
                host=host,
                path=aim.path,
                app_secret=aim.app_secret,
            )
            for number in range(first, first + plan.messages)
        ]
        connections = [Connection(aim.port) for _ in range(plan.connections)]
        try:
            for connection in connections:
                await connection.open()
        except OSError as error:
            return Failed(f"cannot connect to the system: {error}")
        self._phase = Phase(first=first, count=plan.messages, contacts=plan.contacts)
        self._prepared = plan, requests, connections
        gc.collect()
        return Done()

    async def _go(self) -> PhaseResult | Failed:
        if self._prepared is None or self._aim is None:
            return Failed("nothing prepared")
        plan, requests, connections = self._prepared
        self._prepared = None
        phase, begin = self._phase, time.process_time()
        gc.disable()
        try:
            async with asyncio.timeout(plan.limit_seconds):
                if plan.rate is None:
                    await closed_loop(phase, requests, connections)
                else:
                    await open_loop(phase, requests, connections, rate=plan.rate)
                while phase.outstanding:
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


class Sink(asyncio.Protocol):
    """The subscriber: answers 200 to everything that is HTTP."""

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
                self._driver.receive(head, payload)
                transport.write(_OK)
        except MalformedError:
            transport.write(_BAD)
            transport.close()


async def serve() -> None:
    """Listen on a port of the system's choice, say which, obey until the input ends."""
    loop = asyncio.get_running_loop()
    driver = Driver()
    server = await loop.create_server(lambda: Sink(driver), "127.0.0.1", 0, backlog=1024)
    _say(Hello(server.sockets[0].getsockname()[1]))
    decoder = msgspec.json.Decoder(Command)
    while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
        _say(await driver.obey(decoder.decode(line)))
    server.close()


def _say(answer: msgspec.Struct) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    uvloop.run(serve())
