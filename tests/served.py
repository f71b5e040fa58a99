"""The HTTP side over a real store, served on a port of the OS's choice, and a plain client for it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import http.client
import json
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection
from tests.media_world import downloads_of
from tests.world import DAY, KIND, START, Kind, SetClock, World

import tellwire_sdk
from tellwire.accounts.template_sync import TemplateSync
from tellwire.agents.ports import Model
from tellwire.agents.scripted import ScriptedModel
from tellwire.agents.trial import AgentTrial
from tellwire.alerts.channels import Route
from tellwire.alerts.rules import Thresholds
from tellwire.alerts.teller import Alerts
from tellwire.delivery.attempt import Wire
from tellwire.doctor.ports import Reached
from tellwire.endpoints import ping
from tellwire.errors import Forbidden, Invalid
from tellwire.formats import FORMATS, SCHEMAS, event_names, row
from tellwire.formats.openapi import webhooks
from tellwire.http_client.graph import HttpGraph
from tellwire.http_client.media import HttpMediaWire
from tellwire.ids import IdMaker
from tellwire.inbox import housekeeping
from tellwire.media.downloads import DownloadSource, DownloadWorker
from tellwire.model.deliveries import Attempt, Endpoint
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.model.units import MINUTE
from tellwire.ports.formats import Handshake
from tellwire.ports.http_out import Answer, Request
from tellwire.privacy.erasure import ErasureWorker
from tellwire.settings import AppSecret, Settings
from tellwire.stores.alert_store import SqlAlertStore
from tellwire.stores.files.folder import Folder
from tellwire.stores.migrate import migrate_sqlite
from tellwire.stores.template_repository import SqlTemplateRepository
from tellwire.stores.verdict_store import SqlVerdictStore
from tellwire.stores.work_queues.erasures import SqlErasures
from tellwire.verdict.figures import Disk
from tellwire.verdict.observed import Observed
from tellwire.verdict.watch import Watch
from tellwire.web import Services, create_app
from tellwire.web.server import Server, listening

T = TypeVar("T")

ADMIN = "an-invented-admin-key"
APP_SECRET = "an-invented-app-secret"
VERIFY = "an-invented-verify-token"
SETTINGS = Settings(
    admin_key=ADMIN,
    meta_app_secret=(AppSecret(APP_SECRET),),
    meta_verify_token=VERIFY,
    auto_accounts=True,
    quota_api_keys=10_000,  # the tests of a module share an app
    quota_sources=10_000,
    quota_webhook_endpoints=10_000,
)
HOOK = "https://hooks.example.com/in"
WIRE = Wire(formats=FORMATS, sign=tellwire_sdk.sign, hub_signature=tellwire_sdk.hub_signature)
MISSING = "01970000-0000-7000-8000-000000000000"


class Reply(Struct, frozen=True):
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def problem_like(self, status: int) -> Any:
        """The problem that this answer must be, of a path that sends no X-Request-Id."""
        assert self.status == status, (self.status, self.body)
        assert self.headers["content-type"] == "application/problem+json"
        return self.json

    def problem(self, status: int, *pointers: str) -> Any:
        """The problem that this answer must be."""
        assert self.status == status, (self.status, self.body)
        assert self.headers["content-type"] == "application/problem+json"
        problem = self.json
        assert problem["status"] == status
        assert problem["type"].startswith("urn:tellwire:problem:")
        assert problem["title"]
        assert problem["detail"]
        assert problem["request_id"] == self.headers["x-request-id"]
        assert [error["pointer"] for error in problem["errors"]] == list(pointers)
        return problem


class BrokenStore:
    """A store that can neither read nor write."""

    def __init__(self, store: object, error: Exception) -> None:
        self._store = store
        self._error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def read(self, work: object) -> None:
        raise self._error

    async def write(self, work: object) -> None:
        raise self._error


class Outside:
    """What the app asks of the outside, set by tests."""

    def __init__(self) -> None:
        self.woken = 0
        self.disks: list[Disk] = []
        self.watch: Watch | None = None
        self.alert_routes: list[Route] = []
        self.alerts: Alerts | None = None
        self.forgotten: list[str] = []
        self.challenged: list[str] = []
        self.refusal: Invalid | None = None
        self.hold: threading.Event | None = None
        self.sent: list[Request] = []
        self.model: Model = ScriptedModel()
        self.download_worker: DownloadWorker | None = None
        self.asked: list[tuple[str, str, Any, bytes]] = []
        self.graph: HttpGraph | None = None
        self.refused: Answer | None = None
        self.shows: dict[str, dict[str, dict[str, Any]]] = {}
        self._ids = IdMaker()
        self.answer = Answer(status=200, body=b"thank you", durations={"total": 1.5})

    async def check_url(self, url: str) -> None:
        if not url.startswith("https://"):
            raise Forbidden("only https reaches the outside")

    async def check_tool_url(self, url: str) -> None:
        """Tools may go anywhere."""

    async def ask_for_consent(self, endpoint: Endpoint, handshake: Handshake) -> None:
        self.challenged.append(endpoint.url)
        if self.hold is not None:
            await asyncio.to_thread(self.hold.wait, 10)
        if self.refusal is not None:
            raise self.refusal

    async def send_test(self, endpoint: Endpoint, event_name: str) -> tuple[str, Attempt]:
        return await ping.send_test(
            self,
            endpoint,
            event_name,
            formats=FORMATS,
            wire=WIRE,
            now=START,
            new_id=lambda: self._ids.make(START),
        )

    async def send(self, request: Request) -> Answer:
        self.sent.append(request)
        return self.answer

    async def close(self) -> None: ...

    async def ask(self, token: str, path: str, *, method: Any = "GET", **given: Any) -> Answer:
        """Meta's Graph API: it lists no templates and takes every one. `shows`: what it shows of an id, by token."""
        self.asked.append((method, path, given.get("query"), given.get("body", b"")))
        if self.graph is not None:
            answer: Answer = await self.graph.ask(token, path, method=method, **given)
            return answer
        if self.shows and method == "GET" and "/" not in path:
            return shown(self.shows.get(token, {}).get(path))
        bodies = {"GET": b'{"data":[]}', "POST": b'{"id":"400000000000001","status":"PENDING","category":"UTILITY"}'}
        return self.refused or Answer(status=200, body=bodies.get(method, b'{"success":true}'))

    def wake(self) -> None:
        self.woken += 1

    async def usage(self) -> list[Disk]:
        """The disks that a test has."""
        return self.disks

    async def sweep(self) -> None:
        """Remove the bytes of erased media, where a test has any."""
        if self.download_worker is not None:
            await self.download_worker.sweep()


class Nowhere:
    """A probe that reaches nothing: tests of the doctor bring one of their own."""

    async def addresses(self, host: str) -> list[str]:
        return []

    async def ask(self, url: str, **_: Any) -> Reached:
        return Reached(failure="connect", cause="nothing is there")


class Served:
    """A running app."""

    def __init__(
        self, world: World, outside: Outside, loop: asyncio.AbstractEventLoop, port: int, files: Folder
    ) -> None:
        self.world = world
        self.files = files
        self.clock = world.clock
        self.outside = outside
        self.port = port
        self._loop = loop

    @property
    def watch(self) -> Watch:
        """What computes the app's verdict."""
        assert self.outside.watch is not None
        return self.outside.watch

    @property
    def alerts(self) -> Alerts:
        """The app's alerts."""
        assert self.outside.alerts is not None
        return self.outside.alerts

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something on the app's event loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = ADMIN,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Make a request; a body that is no bytes is sent as JSON."""
        sent = {"authorization": f"Bearer {key}"} if key else {}
        if body is not None:
            sent["content-type"] = "application/json"
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.send(method, path, body, sent | (headers or {}))

    def send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Reply:
        connection = self.connection()
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, names, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **options: Any) -> Any:
        """The JSON of a GET that must succeed."""
        reply = self.call("GET", path, **options)
        assert reply.status == 200, (path, reply.status, reply.body)
        return reply.json

    def post(self, path: str, body: Any = None, *, status: int = 201, **options: Any) -> Any:
        """The JSON of a POST that must succeed."""
        reply = self.call("POST", path, body, **options)
        assert reply.status == status, (path, reply.status, reply.body)
        return reply.json

    def upload(
        self, content: bytes, *fields: tuple[str, str], name: str = "photo.png", kind: str = "image/png", **options: Any
    ) -> Reply:
        """POST a file, in a form whose other fields come behind it."""
        parts = [f'Content-Disposition: form-data; name="{key}"\r\n\r\n{value}'.encode() for key, value in fields]
        head = f'Content-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: {kind}\r\n\r\n'
        body = b"".join(b"--frontier\r\n%b\r\n" % part for part in (head.encode() + content, *parts))
        sent = {"content-type": "multipart/form-data; boundary=frontier"} | options.pop("headers", {})
        return self.call("POST", "/v1/media", body + b"--frontier--\r\n", headers=sent, **options)

    def meta(self, body: Any, secret: str = APP_SECRET, **headers: str) -> Reply:
        """POST as Meta does."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        signed = {"x-hub-signature-256": "sha256=" + sign(raw, secret), "content-type": "application/json"}
        return self.send("POST", "/meta/webhook", raw, signed | headers)

    def key(self, *scopes: str, organization: str = DEFAULT_ORGANIZATION, operator: bool = False) -> str:
        """A new API key."""
        draft: dict[str, Any] = {"name": "test", "organization_id": organization}
        draft |= {"operator": True} if operator else {}
        made = self.post("/v1/api-keys", draft | ({"scopes": list(scopes)} if scopes else {}))
        return str(made["key"])

    def organization(self, name: str = "Another") -> str:
        """A new organization."""
        return str(self.post("/v1/organizations", {"name": name})["id"])

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return self.run(self.world.query(sql))

    def write(self, work: Callable[[Connection], T]) -> T:
        return self.run(self.world.store.write(work))


def shown(node: dict[str, Any] | None) -> Answer:
    """Meta's answer to who asks for an id: what there is, or that there is nothing for this token."""
    if node is not None:
        return Answer(status=200, body=json.dumps(node).encode())
    error = {"message": "Unsupported get request. Object does not exist", "type": "GraphMethodException", "code": 100}
    return Answer(status=400, body=json.dumps({"error": error}).encode())


def sign(body: bytes, secret: str = APP_SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@contextmanager
def served(
    tmp_path: Path, *, settings: Settings = SETTINGS, clock: SetClock | None = None, **changes: Any
) -> Iterator[Served]:
    """Serve an app over a fresh database; `changes` replace fields of its `Services`, and with
    `store_error` its store does nothing but raise that; with `probes_only` it is one that only delivers; `bounds` are
    those of its connections."""
    ready: Future[Served] = Future()
    stop: Future[Callable[[], None]] = Future()
    kind = KIND.get()
    thread = threading.Thread(
        target=lambda: asyncio.run(
            _serve(
                tmp_path,
                settings=settings,
                clock=clock or SetClock(START),
                kind=kind,
                changes=changes,
                ready=ready,
                stop=stop,
            )
        )
    )
    thread.start()
    try:
        yield ready.result(20)
    finally:
        stop.result(20)()
        thread.join(20)
    assert not thread.is_alive()


async def _serve(
    tmp_path: Path,
    *,
    settings: Settings,
    clock: SetClock,
    kind: Kind,
    changes: dict[str, Any],
    ready: Future[Served],
    stop: Future[Callable[[], None]],
) -> None:
    try:
        if kind == "sqlite":
            (tmp_path / "served.db").write_bytes(_migrated())
        world = World(tmp_path / "served.db", clock, DAY, settings.auto_accounts, kind=kind)
        await world.store.open()
        outside = Outside()
        files = Folder(tmp_path / "media")
        source = DownloadSource(graph=outside, wire=HttpMediaWire(""), graph_url="", most_bytes=0)
        outside.download_worker = downloads_of(world, files, source)
        services = services_of(world, outside, settings, files)
        if error := changes.pop("store_error", None):
            changes["store"] = BrokenStore(world.store, error)
        probes_only = changes.pop("probes_only", False)
        bounds = changes.pop("bounds", None)
        app = create_app(replace(services, **changes), probes_only=probes_only)
        server = Server(app, grace_seconds=5, bounds=bounds)
    except Exception as error:  # noqa: BLE001 - the test's thread is told of it
        stop.set_result(lambda: None)
        ready.set_exception(error)
        return
    loop = asyncio.get_running_loop()

    def finish() -> None:
        loop.call_soon_threadsafe(setattr, server, "should_exit", True)

    stop.set_result(finish)
    with listening("127.0.0.1", 0) as socket:
        serving = asyncio.ensure_future(server.serve([socket]))
        try:
            ready.set_result(Served(world, outside, loop, socket.getsockname()[1], files))
            await serving
        finally:
            await world.close()


@cache
def _migrated() -> bytes:
    """An empty database of the newest schema."""
    with TemporaryDirectory() as folder:
        migrate_sqlite(Path(folder) / "empty.db")
        return (Path(folder) / "empty.db").read_bytes()


def services_of(world: World, outside: Outside, settings: Settings, files: Folder | None = None) -> Services:
    """Services over a world."""

    async def route_unrouted(phone_number_id: str) -> int:
        return await housekeeping.route_unrouted(world.store, world.ingest, phone_number_id)

    outside.watch = Watch(
        SqlVerdictStore(world.store), outside, world.clock, observed=Observed(lambda: world.clock.now() / 1_000_000)
    )
    outside.alerts = Alerts(
        SqlAlertStore(world.store),
        world.clock,
        routes=outside.alert_routes,
        limits=Thresholds(after=MINUTE, repeat=DAY, severity="warning"),
        tells=lambda: True,
        url=settings.base_url,
        counters=world.store.counters,
    )
    return Services(
        store=world.store,
        ingest=world.ingest,
        clock=world.clock,
        settings=settings,
        formats=FORMATS,
        stream_format=row,
        event_names=event_names.ALL,
        schemas=SCHEMAS,
        webhooks=webhooks(),
        check_url=outside.check_url,
        check_model_url=outside.check_url,
        check_tool_url=outside.check_tool_url,
        agent_trial=AgentTrial(lambda _: outside.model, outside),
        ask_for_consent=outside.ask_for_consent,
        send_test=outside.send_test,
        whsec_form=tellwire_sdk.whsec_form,
        wire=WIRE,
        route_unrouted=route_unrouted,
        erase=ErasureWorker(
            world.store, SqlErasures(world.store), world.clock, outside.forgotten.extend, outside.sweep
        ).start,
        wake=outside.wake,
        wake_downloads=outside.wake,
        files=files or Folder(Path("no-media")),
        counters=world.store.counters,
        watch=outside.watch,
        alerts=outside.alerts,
        graph=outside,
        probe=Nowhere(),
        template_sync=TemplateSync(SqlTemplateRepository(world.store), outside, world.clock, lambda: 0.0),
    )
