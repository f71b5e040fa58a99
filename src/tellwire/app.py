"""The composition root: the only module that chooses adapters and joins them."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from msgspec.structs import replace

from tellwire.accounts import template_sync
from tellwire.accounts.template_sync import TemplateSync
from tellwire.agents.models import model_selector
from tellwire.agents.trial import AgentTrial
from tellwire.agents.worker import AgentWorker
from tellwire.alerts.from_settings import limits_of, routes_of
from tellwire.alerts.message import mail_name
from tellwire.alerts.teller import Alerts
from tellwire.clock import SystemClock
from tellwire.conversations.changes import Options
from tellwire.delivery.attempt import Wire
from tellwire.delivery.dispatcher import Dispatcher, Observers
from tellwire.delivery.side_lanes import SideLaneLimits
from tellwire.endpoints.failures import take_stock
from tellwire.endpoints.tester import EndpointTester
from tellwire.endpoints.worker import EndpointWorker
from tellwire.errors import BadSettings
from tellwire.formats import FORMATS
from tellwire.http_client.connection import ConnectionLimits
from tellwire.http_client.connector import SystemResolver
from tellwire.http_client.descriptors import Descriptors, descriptor_limit, shared_out
from tellwire.http_client.graph import open_graph
from tellwire.http_client.media import HttpMediaWire
from tellwire.http_client.own_addresses import is_own_address
from tellwire.http_client.proxy import Proxy
from tellwire.http_client.sender import open_sender
from tellwire.http_client.url_check import UrlCheck
from tellwire.ids import IdMaker
from tellwire.inbox.housekeeping import Housekeeping
from tellwire.inbox.ingest import Ingest
from tellwire.loops import FairSlots, Loop, Runnable, in_a_thread_one_by_one, in_turn, only_when
from tellwire.mail.smtp import Smtp
from tellwire.media.downloads import DownloadSource, DownloadWorker
from tellwire.media.uploads import Uploads
from tellwire.model.deliveries import Attempt, Delivery
from tellwire.model.extras import lacking
from tellwire.model.units import HOUR, Micros
from tellwire.observability.traces import OtelTracer, open_tracer
from tellwire.ports.clock import Clock
from tellwire.ports.http_out import Graph, Sender
from tellwire.ports.login_provider import LoginProvider
from tellwire.ports.media import MediaStore
from tellwire.privacy.erasure import ErasureWorker
from tellwire.privacy.retention import Retention, RetentionPeriods
from tellwire.security.addresses import ANYWHERE, AllowedNetwork, Reach
from tellwire.sending.answers import SendAnswers
from tellwire.sending.attempt import MessageSender
from tellwire.sending.worker import SendingWorker
from tellwire.settings import SETTINGS, Settings, variable_of
from tellwire.stores.alert_store import SqlAlertStore
from tellwire.stores.disks import FileSystems
from tellwire.stores.files import open_files
from tellwire.stores.opening import OpenedStore, open_store
from tellwire.stores.verdict_store import SqlVerdictStore
from tellwire.stores.work_queues import WorkQueues
from tellwire.verdict.graph_clock import ClockedGraph
from tellwire.verdict.observed import Observed
from tellwire.verdict.ports import Disks
from tellwire.verdict.watch import Watch
from tellwire_sdk import hub_signature, sign

_LEAST_GRACE = 1.0
NAMES = {name: module.names for name, module in FORMATS.items()}
"""Per payload format, the names under which an event is subscribed to."""
_MODEL_ANSWERS = _PROVIDER_ANSWERS = ConnectionLimits(body=256 * 1024, wire=512 * 1024)
_LARGE_POSTS = 6
"""How many large POSTs of Meta's are read and applied at a time, shared by organization."""
_BACKGROUND_PARTITION = 0
"""The process that owns this partition does the background work for all."""

Role = Literal["all", "ingest", "deliver"]
"""What a process does: `ingest` answers HTTP, `deliver` delivers and does the background work."""


class App:
    """Everything of one process, joined. With the role `ingest` it delivers nothing and does no background work."""

    def __init__(
        self,
        settings: Settings,
        opened: OpenedStore,
        sender: Sender,
        *,
        clock: Clock,
        files: MediaStore | None = None,
        role: Role = "all",
        on_attempt: Callable[[Attempt, Delivery], None] | None = None,
        tracer: OtelTracer | None = None,
        disks: Disks | None = None,
    ) -> None:
        self.settings, self.clock, self.role, self.tracer = settings, clock, role, tracer
        self.store = store = opened.store
        self.counters = counters = store.counters
        self.files = files = files or open_files(settings.media_location)
        self.descriptors = descriptors = descriptors_of(role)
        graph_url, timeout = settings.meta_graph_url, settings.delivery_timeout_seconds
        observed = Observed(time.monotonic)
        self.graph: Graph = ClockedGraph(open_graph(graph_url), clock, observed)
        media_wire = HttpMediaWire(graph_url)
        models, tools = _models(settings), _tools(settings)
        model_sender, tool_sender = _sender(settings, models, limits=_MODEL_ANSWERS), _sender(settings, tools)
        alert_sender = open_sender(reach=ANYWHERE)
        resolver = SystemResolver()
        self.check_url = UrlCheck(_deliveries(settings), resolver)
        self.check_model_url, self.check_tool_url = UrlCheck(models, resolver), UrlCheck(tools, resolver)
        self.login_provider = _login_provider(settings, clock)
        provided = () if self.login_provider is None else (self.login_provider,)
        self._open = (model_sender, tool_sender, alert_sender, sender, *provided, self.graph, media_wire, files, store)
        self._started = False
        self._on_attempt = on_attempt
        queues, ids, window = WorkQueues(store, NAMES), IdMaker(), _window(settings)
        options = Options(
            auto_accounts=settings.auto_accounts, window=window, tracing=settings.tracing, public_url=settings.base_url
        )
        self.ingest = Ingest(
            store,
            options,
            aside=in_a_thread_one_by_one(),
            place=FairSlots(_LARGE_POSTS).place,
            on_newest=observed.newest_item,
        )
        self.wire = signed = Wire(formats=FORMATS, sign=sign, hub_signature=hub_signature, timeout_seconds=timeout)
        self.dispatcher = Dispatcher(
            opened.outbox,
            sender,
            clock,
            wire=replace(signed, traceparent=tracer.traceparent if tracer else None),
            schedule=settings.retry_schedule,
            limits=SideLaneLimits(in_flight=descriptors.deliveries),
            random=random.random,
            observers=Observers(counters=counters, tracer=tracer, on_attempt=self._attempted),
        )
        self.endpoint_worker = EndpointWorker(
            queues.health,
            queues.recoveries,
            clock,
            supplied=self.dispatcher.wake,
            counted=observed.tally.attempted,
        )
        self.endpoint_tester = EndpointTester(
            sender,
            clock,
            formats=FORMATS,
            wire=signed,
            origin=settings.base_url,
            new_id=lambda: ids.make(clock.now()),
            new_token=lambda: uuid.uuid4().hex,
        )
        self.send_answers = SendAnswers()
        self.sending_worker = SendingWorker(
            store,
            queues.sends,
            clock,
            self.dispatcher.leases,
            MessageSender(
                store,
                queues.sends,
                self.graph,
                clock,
                holds=self.dispatcher.leases.holds,
                options=options,
                random=random.random,
                counters=counters,
                ready=Uploads(queues.media, files, media_wire, clock).ready,
                answers=self.send_answers,
                on_accepted=observed.tally.sent,
            ),
            counters=counters,
            most=max(1, descriptors.meta),
        )
        source = DownloadSource(
            graph=self.graph, wire=media_wire, graph_url=graph_url, most_bytes=settings.media_max_bytes
        )
        self.download_worker = DownloadWorker(
            store, queues.media, files, clock, source, owns=self._does_background_work, counters=counters
        )
        model_of = model_selector(model_sender, tool_sender)
        self.agent_trial = AgentTrial(model_of, model_sender)
        self.agent_worker = AgentWorker(
            store,
            queues.turns,
            clock,
            model_of=model_of,
            owned=lambda: self.dispatcher.partitions,
            window=window,
            counters=counters,
            graph=self.graph,
        )
        turn = FairSlots(template_sync.MAX_CONCURRENT).place
        self.template_sync = TemplateSync(queues.templates, self.graph, clock, random.random, turn)
        self.housekeeping = Housekeeping(store, queues.held_items, self.ingest, clock, window=window)
        self.erasure_worker = ErasureWorker(
            store, queues.erasures, clock, self.dispatcher.forget, self.download_worker.sweep
        )
        self.watch = Watch(
            SqlVerdictStore(store),
            disks or FileSystems(_folders(settings)),
            clock,
            observed=observed,
            failing=lambda: [each for each in (self.dispatcher.failing, self.sending_worker.failing) if each],
        )
        self.alerts = Alerts(
            SqlAlertStore(store),
            clock,
            routes=routes_of(
                settings, alert_sender, lambda at: Smtp(at, name=mail_name(settings.base_url)), sign, clock
            ),
            limits=limits_of(settings),
            tells=self._does_background_work,
            url=settings.base_url,
            counters=counters,
        )
        periods = RetentionPeriods.of_days(settings.retention_days, settings.retention_messages_days, window=window)
        retention = Retention(queues.retention, clock, periods, rest=asyncio.sleep, counters=counters)
        here = partial(only_when, self._does_background_work)
        background = here(
            in_turn(self.housekeeping.round, self.erasure_worker.round, self.housekeeping.route_new_accounts)
        )
        everywhere: tuple[Runnable, ...] = (
            self.watch,
            Loop("background", in_turn(store.refresh, background), seconds=1.0, failed="chore_failed"),
            Loop("failures", here(partial(take_stock, queues.failures, clock)), seconds=2.0, failed="chore_failed"),
            Loop("templates", here(self.template_sync.synchronise_due), seconds=2.0, failed="templates_failed"),
            Loop("retention", here(retention.round), seconds=600.0, failed="retention_failed"),
        )
        delivering = (self.endpoint_worker, self.agent_worker, self.download_worker)
        if self.alerts.routes:
            self.watch.on_lines.append(self.alerts.take)
            everywhere = (*everywhere, self.alerts)
        self.loops: tuple[Runnable, ...] = everywhere if role == "ingest" else (*everywhere, *delivering)

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
        """Open the store and everything that uses it; nothing is delivered before `start`.

        `serving=False` is for a command beside a running server: it may read and change keys, accounts and endpoints.
        `lenient` leaves out those whose secrets no master key decrypts.
        A SQLite database is always migrated first, a PostgreSQL database only with `migrate`.

        Raises:
            BadSettings: a setting is not valid, or the role needs PostgreSQL.
            AlreadyRunning: another process serves this database.
            NotMigrated: the database lacks this version's schema.
            Unavailable: the database cannot be reached.
        """
        if role != "all" and settings.sqlite_path is not None:
            raise BadSettings(f"--role {role} needs PostgreSQL: on SQLite one process does everything (--role all)")
        clock = clock or SystemClock()
        tracer = open_tracer() if settings.tracing and serving else None
        files = open_files(settings.media_location)
        _check_login(settings)
        opened = await open_store(
            settings.database_url,
            clock=clock,
            master_keys=settings.master_key,
            window=_window(settings),
            names=NAMES,
            serving=serving,
            pooled=settings.database_pooler,
            migrate=migrate,
            lenient=lenient,
        )
        limits = ConnectionLimits(connections=max(1, descriptors_of(role).deliveries))
        sender = _sender(settings, _deliveries(settings), limits=limits)
        return cls(settings, opened, sender, clock=clock, files=files, role=role, on_attempt=on_attempt, tracer=tracer)

    async def start(self) -> None:
        """Start the loops of the role: delivery and background work, or only those that follow what other processes
        change."""
        if self.role != "ingest":
            await self.dispatcher.start(f"process-{uuid.uuid4()}")
            self.sending_worker.start()
        for loop in self.loops:
            loop.start()
        self._started = True

    async def stop(self, *, grace_seconds: float = 10.0) -> None:
        """Finish what is in flight within the grace time, commit what waits, and close everything."""
        if self._started:
            await asyncio.gather(*(loop.stop() for loop in self.loops))
            await self.erasure_worker.stop()
            if self.role != "ingest":
                loop_time = asyncio.get_running_loop().time
                deadline = loop_time() + grace_seconds
                await self.sending_worker.stop(grace_seconds)
                await self.dispatcher.stop(max(deadline - loop_time(), _LEAST_GRACE))
                await self.endpoint_worker.last_report()
            await self.watch.write_down()
        for each in self._open:
            await each.close()
        if self.tracer is not None:
            await asyncio.to_thread(self.tracer.close)

    def _attempted(self, attempt: Attempt, delivery: Delivery) -> None:
        self.endpoint_worker.attempted(attempt, delivery)
        if self._on_attempt is not None:
            self._on_attempt(attempt, delivery)

    def _does_background_work(self) -> bool:
        return _BACKGROUND_PARTITION in self.dispatcher.partitions


def descriptors_of(role: Role) -> Descriptors:
    """Return how a process of this role shares its file descriptors out."""
    return shared_out(descriptor_limit(), delivers=role != "ingest")


def _sender(settings: Settings, reach: Reach, *, limits: ConnectionLimits | None = None) -> Sender:
    proxy = settings.delivery_proxy
    return open_sender(reach=reach, limits=limits, proxy=None if proxy is None else Proxy(proxy.host, proxy.port))


def _login_provider(settings: Settings, clock: Clock) -> LoginProvider | None:
    """Return the provider at OIDC_ISSUER, None without one.

    Raises:
        BadSettings: what it needs is missing.
    """
    if not settings.oidc_issuer:
        return None
    _check_login(settings)
    from tellwire.http_client.oidc import HttpLoginProvider  # noqa: PLC0415 - it comes with the extra

    return HttpLoginProvider(
        open_sender(reach=ANYWHERE, limits=_PROVIDER_ANSWERS),
        clock,
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        secret=settings.oidc_client_secret,
        name=settings.oidc_name,
        trusts_email=settings.oidc_trust_email,
    )


def _check_login(settings: Settings) -> None:
    """Raise BadSettings if there is to be a provider and what it needs is missing."""
    if not settings.oidc_issuer:
        return
    for name in ("oidc_client_id", "oidc_client_secret", "public_url"):
        if not getattr(settings, name):
            raise BadSettings(f"TELLWIRE_OIDC_ISSUER needs {variable_of(name)}: {SETTINGS[name].all_it_takes}")
    if missing := lacking("oidc", "OIDC_ISSUER needs"):
        raise BadSettings(missing)


def _deliveries(settings: Settings) -> Reach:
    return _reach(settings, "deliveries", "DELIVERY_ALLOW_CIDRS", settings.delivery_allow_cidrs)


def _models(settings: Settings) -> Reach:
    return _reach(settings, "models", "MODEL_ALLOW_CIDRS", settings.model_allow_cidrs)


def _tools(settings: Settings) -> Reach:
    return _reach(settings, "tools", "TOOL_ALLOW_CIDRS", settings.tool_allow_cidrs)


def _reach(settings: Settings, what: str, setting: str, allow: tuple[AllowedNetwork, ...]) -> Reach:
    return Reach(
        what=what,
        setting=setting,
        allow=allow,
        own_port=settings.port,
        is_own=is_own_address,
        shows_answers=settings.show_allow_listed_answers,
    )


def _folders(settings: Settings) -> list[tuple[str, Path]]:
    """Return what we keep on this machine's disks, and where."""
    media = urlsplit(settings.media_location)
    database = [("the database", settings.sqlite_path.absolute().parent)] if settings.sqlite_path else []
    return [*database, *([("media", Path(unquote(media.path)))] if media.scheme == "file" else [])]


def _window(settings: Settings) -> Micros:
    """Return after how many micros an idle conversation closes."""
    return int(settings.conversation_window_hours * HOUR)
