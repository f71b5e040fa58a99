"""One trace from Meta's POST to the subscriber's answer, read by a real OTLP receiver, over a restart in between."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.served import APP_SECRET, SETTINGS, sign
from tests.world import CUSTOMER, NUMBER, envelope, incoming

from tellwire.app import App
from tellwire.cli.serving import services_of
from tellwire.errors import BadSettings
from tellwire.model.deliveries import Attempt, Delivery
from tellwire.observability import traces
from tellwire.settings import Settings
from tellwire.settings.values import allowed_network
from tellwire.web import create_app


class Taken:
    """What a listener on loopback was sent; `answer` says what it answers next."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answer = 200

    def spans(self) -> list[Any]:
        """Every span that came, as OTLP."""
        found = []
        for _, body in self.requests:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                assert any(each.value.string_value == "tellwire" for each in resource.resource.attributes)
                found += [span for scope in resource.scope_spans for span in scope.spans]
        return found


@contextmanager
def listener() -> Iterator[Taken]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            taken.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(taken.answer)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        taken = Taken(server.server_address[1])
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        try:
            yield taken
        finally:
            server.shutdown()
            serving.join()


class Attempts:
    """The attempts that an app recorded, to wait for."""

    def __init__(self) -> None:
        self.made: list[tuple[Attempt, Delivery]] = []
        self._came = asyncio.Event()

    def __call__(self, attempt: Attempt, delivery: Delivery) -> None:
        self.made.append((attempt, delivery))
        self._came.set()

    async def until(self, enough: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not enough():
                self._came.clear()
                await self._came.wait()


def settings_of(tmp_path: Path, *, tracing: bool) -> Settings:
    return Settings(
        database_url=f"sqlite:///{tmp_path / 'traced.db'}",
        admin_key="an-invented-admin-key",
        meta_app_secret=SETTINGS.meta_app_secret,
        auto_accounts=True,
        delivery_allow_cidrs=(allowed_network("127.0.0.0/8"),),
        retry_schedule=(0.05, 0.05, 0.05, 3600.0),
        tracing=tracing,
    )


async def run(settings: Settings, work: Callable[[App, Attempts], Any]) -> None:
    attempts = Attempts()
    app = await App.open(settings, on_attempt=attempts)
    await app.start()
    try:
        await work(app, attempts)
    finally:
        await app.stop(grace_seconds=5)


async def call(app: App, path: str, body: Any, headers: dict[str, str]) -> int:
    """Make a request to the app's HTTP side."""
    raw = json.dumps(body).encode()
    sent: list[Any] = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8700),
        "headers": [
            (b"host", b"127.0.0.1"),
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(raw)),
        ]
        + [(name.encode(), value.encode()) for name, value in headers.items()],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": raw, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await create_app(services_of(app))(scope, receive, send)
    assert sent[0]["status"] < 400, sent
    return int(sent[0]["status"])


async def message(app: App, wamid: str) -> None:
    body = envelope(incoming(wamid, "a secret between two"))
    signed = {"x-hub-signature-256": "sha256=" + sign(json.dumps(body).encode(), APP_SECRET)}
    assert await call(app, "/meta/webhook", body, signed) == 200


async def subscribe(app: App, url: str) -> None:
    draft = {"url": url, "format": "row", "events": ["messages.insert"]}
    assert await call(app, "/v1/webhook-endpoints", draft, {"authorization": "Bearer an-invented-admin-key"}) == 201


def test_one_trace_from_the_post_to_the_answer_over_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with listener() as collector, listener() as subscriber:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        settings = settings_of(tmp_path, tracing=True)
        subscriber.answer = 500

        async def before(app: App, attempts: Attempts) -> None:
            await subscribe(app, f"{subscriber.url}/hook")
            await message(app, "wamid.1")
            await attempts.until(lambda: len(attempts.made) >= 2)

        async def after(_app: App, attempts: Attempts) -> None:
            await attempts.until(lambda: attempts.made[-1:] != [] and attempts.made[-1][0].outcome == "delivered")

        asyncio.run(run(settings, before))
        failures = len(subscriber.requests)
        subscriber.answer = 204
        asyncio.run(run(settings, after))

        spans = {name: [s for s in collector.spans() if s.name == name] for name in ("commit", "deliver")}
        [post] = [span for span in collector.spans() if span.name == "POST /meta/webhook"]
        [commit] = spans["commit"]
        assert len({span.trace_id for span in collector.spans()}) == 1
        assert not post.parent_span_id
        assert commit.parent_span_id == post.span_id
        assert all(span.parent_span_id == post.span_id for span in spans["deliver"])
        assert len(spans["deliver"]) == failures + 1 == len(subscriber.requests)
        assert post.start_time_unix_nano <= commit.start_time_unix_nano <= commit.end_time_unix_nano
        assert commit.end_time_unix_nano == post.end_time_unix_nano
        assert [span.status.code for span in spans["deliver"]] == [2] * failures + [0]
        # The subscriber was told the trace, and the very span of each attempt.
        told = [headers["traceparent"] for headers, _ in subscriber.requests]
        assert told == [f"00-{post.trace_id.hex()}-{span.span_id.hex()}-01" for span in spans["deliver"]]
        assert len({span.span_id for span in collector.spans()}) == len(collector.spans())
        written = b"".join(body for _, body in collector.requests)
        for private in (CUSTOMER, NUMBER, "a secret between two", "Bharath", "wamid.1", APP_SECRET):
            assert private.encode() not in written


def test_a_sampler_that_takes_nothing_is_told_to_the_subscriber(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listener() as collector, listener() as subscriber:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")

        async def work(app: App, attempts: Attempts) -> None:
            await subscribe(app, f"{subscriber.url}/hook")
            await message(app, "wamid.1")
            await attempts.until(lambda: len(attempts.made) >= 1)

        asyncio.run(run(settings_of(tmp_path, tracing=True), work))
        assert subscriber.requests[0][0]["traceparent"].endswith("-00")
        assert collector.requests == []


def test_without_tracing_nothing_is_sent_and_nothing_kept(tmp_path: Path) -> None:
    with listener() as subscriber:

        async def work(app: App, attempts: Attempts) -> None:
            await subscribe(app, f"{subscriber.url}/hook")
            await message(app, "wamid.1")
            await attempts.until(lambda: len(attempts.made) >= 1)
            bodies = await app.store.read(lambda c: [row[0] for row in c.exec_driver_sql("SELECT body FROM events")])
            assert bodies
            assert all(b'"trace"' not in body for body in bodies)

        asyncio.run(run(settings_of(tmp_path, tracing=False), work))
        assert "traceparent" not in subscriber.requests[0][0]


def test_nothing_of_opentelemetry_is_imported_unless_it_is_on() -> None:
    code = "import sys, tellwire.app, tellwire.cli.serve; print(sorted(m for m in sys.modules if 'opentelemetry' in m))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(BadSettings, match=r"pip install 'tellwire\[otel\]'"):
        traces.open_tracer()


def test_ids_are_derived_and_valid() -> None:
    post = "0193e0b0-1111-7000-8000-000000000001"
    assert f"{traces.trace_id(post):032x}" == post.replace("-", "")
    spans = {traces.attempt_span_id(post, number) for number in range(1, 200)} | {traces.span_id("post", post)}
    assert len(spans) == 200
    assert all(0 < span < 1 << 64 for span in spans)
