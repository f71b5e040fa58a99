"""PostgreSQL: hints between processes over LISTEN/NOTIFY. A process that misses one finds the rows later.

Hints are sent after the commit, because a transaction that notifies blocks all others that do.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable, Iterable

import msgspec
import structlog
from msgspec import Struct

from tellwire.stores.postgres.connections import Connection, PostgresServer, error_text, is_server_error

log = structlog.get_logger("tellwire.store")

_CHANNEL = "tellwire"
_GATHER_SECONDS = 0.005
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_IDS_PER_HINT = 150
_MOST_IDS = 1500


class Hint(Struct, frozen=True, omit_defaults=True):
    """A message about a commit: new deliveries of `endpoints` (`look`: of any), events, a new registry, free leases.

    `due_work`: there are new sends, downloads or turns of agents.
    """

    sender: str = ""
    endpoints: tuple[str, ...] = ()
    look: bool = False
    events: bool = False
    due_work: bool = False
    registry: bool = False
    released: bool = False


ANYTHING = Hint(look=True, events=True, due_work=True, registry=True, released=True)
"""The hint that a process must assume after it could not listen for a while."""

_decode = msgspec.json.Decoder(Hint).decode
_encode = msgspec.json.Encoder().encode


class HintChannel:
    """Sends and receives hints over one connection; `received` is called on the event loop with hints of others."""

    def __init__(self, server: PostgresServer, received: Callable[[Hint], None]) -> None:
        self._server = server
        self._on_hint = received
        self._me = uuid.uuid4().hex
        self._connection: Connection | None = None
        self._lost = asyncio.Event()
        self._some = asyncio.Event()
        self._endpoints: set[str] = set()
        self._pending = Hint()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start, in the running event loop."""
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._send())]

    async def stop(self) -> None:
        """Send the pending hint, then stop listening."""
        with contextlib.suppress(Exception):
            await self._flush()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def send(self, hint: Hint, endpoints: Iterable[str] = ()) -> None:
        """Send a hint soon, merged with others."""
        if self._connection is None:
            return
        self._endpoints.update(endpoints)
        self._pending = Hint(
            look=hint.look or self._pending.look,
            events=hint.events or self._pending.events,
            due_work=hint.due_work or self._pending.due_work,
            registry=hint.registry or self._pending.registry,
            released=hint.released or self._pending.released,
        )
        self._some.set()

    async def _send(self) -> None:
        while True:
            await self._some.wait()
            try:
                await self._flush()
            except Exception as error:  # noqa: BLE001 - the hint is lost; a broken connection is made anew
                log.debug("hint_unsent", reason=error_text(error))
            await asyncio.sleep(_GATHER_SECONDS)

    async def _flush(self) -> None:
        self._some.clear()
        pending, self._pending = self._pending, Hint()
        endpoints, self._endpoints = list(self._endpoints), set()
        if len(endpoints) > _MOST_IDS:
            pending, endpoints = msgspec.structs.replace(pending, look=True), []
        pending = msgspec.structs.replace(pending, sender=self._me)
        texts = []
        for start in range(0, max(len(endpoints), 1), _IDS_PER_HINT):
            some = tuple(endpoints[start : start + _IDS_PER_HINT])
            texts.append(_encode(msgspec.structs.replace(pending, endpoints=some)).decode())
        if self._connection is not None:
            await self._connection.execute("SELECT pg_notify($1, t) FROM unnest($2::text[]) t", _CHANNEL, texts)

    async def _listen(self) -> None:
        pause, again = _FIRST_PAUSE, False
        while True:
            try:
                connection = await self._server.connect()
                try:
                    connection.add_termination_listener(self._terminated)
                    await connection.add_listener(_CHANNEL, self._notified)
                    self._connection = connection
                    if again:
                        self._on_hint(ANYTHING)
                    pause, again = _FIRST_PAUSE, True
                    await self._lost.wait()
                finally:
                    self._connection = None
                    self._lost.clear()
                    connection.terminate()
            except Exception as error:
                if not is_server_error(error):
                    log.exception("listening_failed")
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    def _terminated(self, _connection: object) -> None:
        self._lost.set()

    def _notified(self, _connection: object, _pid: int, _channel: str, text: object) -> None:
        try:
            hint = _decode(str(text))
        except msgspec.DecodeError:
            hint = ANYTHING  # of a version with other members
        if hint.sender != self._me:
            self._on_hint(hint)
