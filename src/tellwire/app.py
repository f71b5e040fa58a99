"""The composition root: the only module that chooses adapters."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Callable, Sequence
from ipaddress import ip_network
from typing import Literal

import structlog

import tellwire_sdk
from tellwire.accounts.template_sync import TemplateSync
from tellwire.agents.chat_model import ChatModel
from tellwire.agents.ports import Model
from tellwire.agents.scripted import ScriptedModel
from tellwire.agents.settings import SCRIPTED, settings_of
from tellwire.agents.worker import AgentWorker
from tellwire.clock import SystemClock
from tellwire.conversations.changes import Options
from tellwire.delivery.attempt import Wire
from tellwire.delivery.dispatcher import Defaults, Dispatcher
from tellwire.endpoints import ping
from tellwire.endpoints.handshake import ask_for_consent
from tellwire.endpoints.worker import EndpointWorker
from tellwire.errors import BadSettings, Forbidden, Unavailable
from tellwire.formats import FORMATS
from tellwire.http_client.connection import ConnectionLimits
from tellwire.http_client.connector import SystemResolver
from tellwire.http_client.graph import open_graph
from tellwire.http_client.media import HttpMediaWire
from tellwire.http_client.proxy import Proxy
from tellwire.http_client.sender import open_sender
from tellwire.ids import IdMaker
from tellwire.inbox.housekeeping import apply_held, close_idle_conversations, route_unrouted
from tellwire.inbox.ingest import Ingest
from tellwire.media.downloads import DownloadWorker, Source
from tellwire.media.uploads import Uploads
from tellwire.model.agents import Agent
from tellwire.model.deliveries import Attempt, Delivery, Endpoint
from tellwire.model.inbound import Inbound
from tellwire.model.registry import Registry
from tellwire.model.units import Micros
from tellwire.observability.traces import OtelTracer, open_tracer
from tellwire.ports.clock import Clock
from tellwire.ports.formats import Handshake, Registration
from tellwire.ports.http_out import Answer, Graph, Sender
from tellwire.ports.media import MediaStore
from tellwire.privacy.erasure import ErasureWorker
from tellwire.privacy.retention import Retention, RetentionPeriods
from tellwire.security import addresses
from tellwire.sending.worker import SendingWorker
from tellwire.settings import Settings
from tellwire.stores.endpoint_health import SqlHealthStore
from tellwire.stores.files import open_files
from tellwire.stores.opening import Opened, open_store
from tellwire.stores.queries import held_items
from tellwire.stores.recoveries import SqlRecoveryStore
from tellwire.stores.template_shelf import SqlTemplateRepository

log = structlog.get_logger("tellwire")

_CHORE_SECONDS = 1.0
_RETENTION_SECONDS = 600.0
_TEMPLATES_SECONDS = 2.0
_MICROS = 1_000_000
_DAY = 24 * 3600 * _MICROS
_LOOK_UP_SECONDS = 5.0
_LEAST_GRACE = 1.0
NAMES = {name: module.names for name, module in FORMATS.items()}
"""Per payload format, the names under which an event is subscribed to."""
_MODEL_BODY = 1024 * 1024
_CHORES_PARTITION = 0
"""Who owns it does the chores."""

Role = Literal["all", "ingest", "deliver"]
"""What a process does: `ingest` answers HTTP, `deliver` delivers and does the chores."""


class App:
    """Everything of one process, joined. One whose role is `ingest` delivers nothing and does no chores."""

    def __init__(
        self,
        settings: Settings,
        opened: Opened,
        sender: Sender,
        *,
        clock: Clock,
        files: MediaStore | None = None,
        role: Role = "all",
        on_attempt: Callable[[Attempt, Delivery], None] | None = None,
        tracer: OtelTracer | None = None,
    ) -> None:
        self.settings = settings
        self.tracer = tracer
        self.clock = clock
        self.role = role
        self.store = store = opened.store
        self.sender = sender
        self.graph: Graph = open_graph(settings.meta_graph_url)
        self.counters = store.counters
        self.window = int(settings.conversation_window_hours * 3600 * _MICROS)
        self.ingest = Ingest(
            store,
            Options(
                auto_accounts=settings.auto_accounts,
                window=self.window,
                tracing=settings.tracing,
                public_url=settings.base_url,
            ),
        )
        self.allow = tuple(ip_network(cidr) for cidr in settings.delivery_allow_cidrs)
        self.dispatcher = Dispatcher(
            opened.outbox,
            sender,
            clock,
            formats=FORMATS,
            sign=tellwire_sdk.sign,
            hub_signature=tellwire_sdk.hub_signature,
            defaults=Defaults(
                timeout_seconds=settings.delivery_timeout_seconds, retry_schedule=settings.retry_schedule
            ),
            random=random.random,
            on_attempt=self._attempted,
            counters=self.counters,
            tracer=tracer,
        )
        self.files = files = files or open_files(settings.media_place)
        self.wire = HttpMediaWire(settings.meta_graph_url)
        self.uploads = Uploads(store, files, self.wire, clock)
        self.courier = SendingWorker(
            store,
            self.graph,
            clock,
            self.dispatcher.leases,
            options=self.ingest.options,
            random=random.random,
            counters=self.counters,
            ready=self.uploads.ready,
        )
        self.upkeep = EndpointWorker(
            SqlHealthStore(store), SqlRecoveryStore(store, NAMES), clock, supplied=self.dispatcher.wake
        )
        self._on_attempt = on_attempt
        self.retention = Retention(store, clock, keeping(settings), rest=asyncio.sleep, counters=self.counters)
        self.downloads = DownloadWorker(
            store,
            files,
            clock,
            Source(
                graph=self.graph,
                wire=self.wire,
                graph_url=settings.meta_graph_url,
                most_bytes=settings.media_max_bytes,
            ),
            owns=self._does_chores,
        )
        self.eraser = ErasureWorker(store, clock, self.dispatcher.forget, self.downloads.sweep)
        self._models = models = sender_of(settings, limits=ConnectionLimits(body=_MODEL_BODY, wire=2 * _MODEL_BODY))
        self._chat, self._scripted = ChatModel(models, sender), ScriptedModel()
        self.answering = AgentWorker(
            store,
            clock,
            model_of=self._model_of,
            owned=lambda: self.dispatcher.partitions,
            window=self.window,
            counters=self.counters,
            graph=self.graph,
        )
        self.templates = TemplateSync(SqlTemplateRepository(store), self.graph, clock, random.random)
        self._resolve = SystemResolver()
        self._chores: list[asyncio.Task[None]] = []
        self._routed: set[tuple[str, str]] = set()
        self._owner = f"process-{uuid.uuid4()}"

    @classmethod
    async def open(
        cls,
        settings: Settings,
        *,
        clock: Clock | None = None,
        serving: bool = True,
        lenient: bool = False,
        role: Role = "all",
        migrate: bool = False,
        on_attempt: Callable[[Attempt, Delivery], None] | None = None,
    ) -> App:
        """Open the store and everything on it; nothing is delivered before `start`.

        `serving=False` is for a command beside a running server: it may read and change keys, accounts, endpoints.
        `lenient` passes over those of them whose secrets no master key opens.
        SQLite is always migrated first, PostgreSQL only with `migrate`.

        Raises:
            BadSettings: a setting does not fit.
            AlreadyRunning: another process serves this database.
            NotMigrated: the database lacks this version's schema.
            Unavailable: it cannot be reached.
        """
        if role != "all" and settings.sqlite_path is not None:
            raise BadSettings(f"--role {role} needs PostgreSQL: on SQLite one process does everything (--role all)")
        clock = clock or SystemClock()
        tracer = open_tracer() if settings.tracing and serving else None
        files = open_files(settings.media_place)
        opened = await open_store(
            settings.database_url,
            clock=clock,
            master_keys=settings.master_key,
            window=int(settings.conversation_window_hours * 3600 * _MICROS),
            names=NAMES,
            serving=serving,
            pooled=settings.database_pooler,
            migrate=migrate,
            lenient=lenient,
        )
        return cls(
            settings,
            opened,
            sender_of(settings),
            clock=clock,
            files=files,
            role=role,
            on_attempt=on_attempt,
            tracer=tracer,
        )

    async def start(self) -> None:
        """Start what the role asks for: delivering with the chores, or only keeping up with what others change."""
        if self.role != "ingest":
            await self.dispatcher.start(self._owner)
            self.courier.start()
            self.upkeep.start()
            self.store.on_due_work(self.answering.wake)
            self.answering.start()
        self.store.on_changed(self._accounts_changed)
        self.store.on_due_work(self.downloads.wake)
        works = [self._do_chores(), self._keep_retention(), self._keep_templates()]
        if self.role != "ingest":
            works.append(self.downloads.run())
        self._chores = [asyncio.create_task(work) for work in works]

    async def stop(self, *, grace_seconds: float = 10.0) -> None:
        """Finish what is in flight within the grace, commit what waits, let go of everything."""
        if self._chores:
            for chore in self._chores:
                chore.cancel()
            await asyncio.gather(*self._chores, return_exceptions=True)
            await self.eraser.stop()
            if self.role != "ingest":
                await self.answering.stop()
                await self.upkeep.stop()
                loop = asyncio.get_running_loop()
                deadline = loop.time() + grace_seconds
                await self.courier.stop(grace_seconds)
                await self.dispatcher.stop(max(deadline - loop.time(), _LEAST_GRACE))
                await self.upkeep.last_report()
        await self._models.close()
        await self.sender.close()
        await self.graph.close()
        await self.wire.close()
        await self.files.close()
        await self.store.close()
        if self.tracer is not None:
            await asyncio.to_thread(self.tracer.close)

    def _model_of(self, agent: Agent) -> Model:
        return self._scripted if settings_of(agent).model == SCRIPTED else self._chat

    async def check_url(self, url: str) -> None:
        """Raise `Forbidden` when deliveries may not reach this URL.

        A name behind http is looked up: it must lead to the allow list. One behind https is judged when connecting.
        """
        target = addresses.check_url(url, self.allow)
        if target.scheme == "https" or target.address is not None:
            return
        found: Sequence[str] = ()
        try:
            async with asyncio.timeout(_LOOK_UP_SECONDS):
                found = await self._resolve(target.host)
        except OSError:  # TimeoutError is one
            pass
        if not found:
            raise Forbidden("http is only for addresses on the allow list, and this name leads to none just now")
        addresses.check_resolved(target, found, self.allow)

    async def ask_for_consent(self, endpoint: Endpoint, handshake: Handshake) -> None:
        """Do the registration handshake of an endpoint's format; raises `Invalid` when the receiver fails it."""
        asked = Registration(endpoint=endpoint, token=uuid.uuid4().hex, origin=self.settings.base_url)
        await ask_for_consent(self.sender, handshake, asked, timeout=self.settings.delivery_timeout_seconds)

    async def send_test(self, endpoint: Endpoint, event_name: str) -> tuple[str, Attempt, Answer]:
        """Send a test event to an endpoint; raises `Invalid` when its format has no such event."""
        ids = IdMaker()
        return await ping.send_test(
            self.sender,
            endpoint,
            event_name,
            formats=FORMATS,
            wire=Wire(
                formats=FORMATS,
                sign=tellwire_sdk.sign,
                hub_signature=tellwire_sdk.hub_signature,
                timeout_seconds=self.settings.delivery_timeout_seconds,
            ),
            now=self.clock.now(),
            new_id=lambda: ids.make(self.clock.now()),
        )

    def _attempted(self, attempt: Attempt, delivery: Delivery) -> None:
        self.upkeep.attempted(attempt, delivery)
        if self._on_attempt is not None:
            self._on_attempt(attempt, delivery)

    async def route_unrouted(self, phone_number_id: str) -> int:
        """Apply what waited for this account."""
        if account := self.store.registry().accounts.get(phone_number_id):
            self._routed.add((phone_number_id, account.waba_id))
        return await route_unrouted(self.store, self.ingest, phone_number_id)

    async def _held_for_long_enough(self, now: Micros, limit: int) -> Sequence[tuple[Inbound, frozenset[str]]]:
        return await self.store.read(lambda c: held_items.over(c, now, limit))

    def _accounts_changed(self, registry: Registry) -> None:
        """Accounts made by another process: their waiting items are the next chore's."""
        self._routed &= _places(registry)

    def _does_chores(self) -> bool:
        return _CHORES_PARTITION in self.dispatcher.partitions

    async def _do_chores(self) -> None:
        while True:
            try:
                await self.store.refresh()
                if self._does_chores():
                    await close_idle_conversations(self.store, window=self.window)
                    await apply_held(self._held_for_long_enough, self.ingest, self.clock)
                    await self.eraser.start_all()
                    await self.eraser.prune()
                    for phone_number_id, _ in _places(self.store.registry()) - self._routed:
                        await self.route_unrouted(phone_number_id)
            except Unavailable as error:
                log.warning("store_unavailable", detail=str(error))
            except Exception:
                log.exception("chore_failed")
            await asyncio.sleep(_CHORE_SECONDS)

    async def _keep_templates(self) -> None:
        while True:
            try:
                if _CHORES_PARTITION in self.dispatcher.partitions:
                    await self.templates.synchronise_due()
            except Unavailable as error:
                log.warning("store_unavailable", detail=str(error))
            except Exception:
                log.exception("templates_failed")
            await asyncio.sleep(_TEMPLATES_SECONDS)

    async def _keep_retention(self) -> None:
        while True:
            try:
                if self._does_chores():
                    await self.retention.round()
            except Unavailable as error:
                log.warning("store_unavailable", detail=str(error))
            except Exception:
                log.exception("retention_failed")
            await asyncio.sleep(_RETENTION_SECONDS)


def sender_of(settings: Settings, *, limits: ConnectionLimits | None = None) -> Sender:
    """HTTP out, as the settings allow."""
    proxy = settings.delivery_proxy
    return open_sender(
        allow=tuple(ip_network(cidr) for cidr in settings.delivery_allow_cidrs),
        limits=limits,
        proxy=None if proxy is None else Proxy(proxy.host, proxy.port),
    )


def _places(registry: Registry) -> set[tuple[str, str]]:
    """The number and the business account of every account."""
    return {(account.phone_number_id, account.waba_id) for account in registry.accounts.values()}


def keeping(settings: Settings) -> RetentionPeriods:
    """How long things are kept."""
    messages = settings.retention_messages_days
    return RetentionPeriods(
        payloads=int(settings.retention_days * _DAY),
        messages=None if messages is None else int(messages * _DAY),
        window=int(settings.conversation_window_hours * 3600 * _MICROS),
    )
