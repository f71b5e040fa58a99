"""An installation that is whole: an app, a TLS proxy before it at a public name, and a simulated Meta that posts there.

Nothing leaves this machine: names resolve to what a test says, and every connection goes to a port of loopback.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import create_connection, create_server, socket
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from msgspec.structs import replace
from tests.served import APP_SECRET, SETTINGS, VERIFY, Served, served
from tests.world import SetClock

from tellwire.doctor.meta_answers import FIELDS
from tellwire.http_client.graph import open_graph
from tellwire.http_client.self_calls import SelfCalls
from tellwire.http_client.sender import open_sender
from tellwire.ports.http_out import Answer, Request, Sender
from tellwire.security.addresses import ANYWHERE
from tellwire.settings import Settings
from tellwire.simulator import BUSINESS, TOKEN, Simulator, State
from tellwire.simulator.apps import Subscription
from tellwire.verdict.graph_clock import ClockedGraph

HOST = "hooks.example.com"
PUBLIC = f"https://{HOST}"
CALLBACK = f"{PUBLIC}/meta/webhook"
ADDRESS = "52.0.0.10"
NUMBER, WABA = BUSINESS.phone_number_id, BUSINESS.waba_id
__all__ = ["ADDRESS", "APP_SECRET", "CALLBACK", "HOST", "NUMBER", "PUBLIC", "TOKEN", "VERIFY", "WABA", "Site", "site"]


# --- certificates -----------------------------------------------------------------------------------------------------


class Authority:
    """A certificate authority of the tests, and the certificates that it signs."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An invented authority")])
        self.certificate = self._signed(self._name, self._key, days=300, authority=True)

    def _signed(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, *, days: float, authority: bool = False
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=30))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        )
        return made.sign(self._key, hashes.SHA256())

    def server(self, folder: Path, *, days: float) -> ssl.SSLContext:
        """A server's context with a certificate for HOST."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)]), key, days=days)
        plain = serialization.NoEncryption()
        file = folder / f"certificate-{days}.pem"
        file.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def trust(self) -> ssl.SSLContext:
        """A client's context that trusts this authority alone."""
        text = self.certificate.public_bytes(serialization.Encoding.PEM).decode()
        return ssl.create_default_context(cadata=text)


@cache
def authority() -> Authority:
    return Authority()


# --- the proxy --------------------------------------------------------------------------------------------------------


class Proxy:
    """A reverse proxy that ends TLS; `manner` is what is wrong with it."""

    def __init__(self, folder: Path) -> None:
        self.manner = ""
        self.behind = 0
        self.tls = authority().server(folder, days=200)
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                proxy.answer(self)

            do_POST = do_GET  # noqa: N815 - the name that http.server asks for

            def log_message(self, *_: Any) -> None: ...

        class Quiet(ThreadingHTTPServer):
            def get_request(self) -> tuple[socket, Any]:
                plain, peer = super().get_request()
                return proxy.tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), peer

            def handle_error(self, *_: Any) -> None:
                """A client that does not trust the certificate goes away."""

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Pass a request on, or do what is wrong with this proxy."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        headers = dict(handler.headers.items())
        status, said, more = 200, b"", dict[str, str]()
        if self.manner == "redirects":
            status, more = 301, {"Location": f"https://www.{HOST}{handler.path}"}
        elif self.manner == "another" or (self.manner == "takes anything" and handler.command == "POST"):
            said = b"It works!"
        else:
            if self.manner == "drops the signature":
                headers.pop("X-Hub-Signature-256", None)
            path = handler.path.partition("?")[0] if self.manner == "drops the query" else handler.path
            connection = HTTPConnection("127.0.0.1", self.behind, timeout=10)
            connection.request(handler.command, path, body or None, headers)
            passed = connection.getresponse()
            status, said = passed.status, passed.read()
            connection.close()
            if self.manner == "adds to answers" and handler.path.startswith("/meta"):
                said += b"\n"
        handler.send_response(status)
        for name, value in {**more, "Content-Length": str(len(said))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(said)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


# --- the installation -------------------------------------------------------------------------------------------------


class MetasSender:
    """How the simulated Meta reaches the public name: over plain HTTP to the app behind the proxy."""

    def __init__(self, behind: int) -> None:
        self._sender: Sender = open_sender(reach=ANYWHERE)
        self._url = f"http://127.0.0.1:{behind}"
        self._cut = False

    def cut(self) -> None:
        """Reach nothing any more."""
        self._cut = True

    async def send(self, request: Request) -> Answer:
        if self._cut or not request.url.startswith(PUBLIC):
            return Answer(failure="dns", cause="could not resolve the host name")
        return await self._sender.send(replace(request, url=request.url.replace(PUBLIC, self._url, 1)))

    async def close(self) -> None:
        await self._sender.close()


class Site:
    """An installation, which a test damages."""

    def __init__(
        self,
        folder: Path,
        app: Served,
        *,
        proxy: Proxy,
        simulator: Simulator,
        names: dict[str, list[str]],
        ports: dict[tuple[str, int], int],
    ) -> None:
        self.app, self.proxy, self.simulator, self.names, self.ports = app, proxy, simulator, names, ports
        self.folder = folder
        self.metas_sender = MetasSender(app.port)
        self.url = f"http://127.0.0.1:{app.port}"

    @property
    def meta(self) -> State:
        return self.simulator.state

    def distrust(self) -> None:
        """Give the proxy a certificate of an authority that nobody knows."""
        self.proxy.tls = Authority().server(self.folder, days=200)

    def account(self, **changes: Any) -> Any:
        """Make the number's account, with what differs."""
        draft = {"phone_number_id": NUMBER, "waba_id": WABA, "access_token": TOKEN, "name": "Shop"} | changes
        return self.app.post("/v1/accounts", draft)


@contextmanager
def site(folder: Path, *, clock: SetClock | None = None, account: bool = True, **settings: Any) -> Iterator[Site]:
    """Run a whole installation; `settings` replace those of a healthy one."""
    proxy = Proxy(folder)
    names = {HOST: [ADDRESS]}
    ports = {(HOST, 443): proxy.port}

    def resolve(host: str) -> list[str] | OSError:
        return names.get(host) or OSError("not known")

    def dial(host: str, port: int) -> socket:
        if host == HOST and not names.get(host):
            raise ConnectionRefusedError(111, "Connection refused")
        if (host, port) not in ports:
            raise ConnectionRefusedError(111, "Connection refused")
        return create_connection(("127.0.0.1", ports[host, port]), timeout=10)

    metas = create_server(("127.0.0.1", 0))
    graph_url = f"http://127.0.0.1:{metas.getsockname()[1]}/v24.0"
    healthy: dict[str, Any] = {
        "public_url": PUBLIC,
        "allowed_hosts": (HOST, "127.0.0.1"),
        "meta_graph_url": graph_url,
    } | settings
    in_force: Settings = replace(SETTINGS, **healthy)
    probe = SelfCalls(resolve=resolve, dial=dial, tls=authority().trust())
    now = clock or SetClock(time.time_ns() // 1000)
    with served(folder, settings=in_force, clock=now, probe=probe) as app:
        proxy.behind = app.port
        ports["127.0.0.1", in_force.port] = app.port
        state = State()
        metas_sender = MetasSender(app.port)
        simulator = Simulator(state, secret=APP_SECRET, sender=metas_sender)
        app.run(simulator.start(metas))
        state.app.subscription = Subscription(CALLBACK, FIELDS, VERIFY)
        observed = app.watch.observed
        graph = ClockedGraph(open_graph(graph_url), app.clock, observed)
        app.outside.graph = graph  # type: ignore[assignment]
        found = Site(folder, app, proxy=proxy, simulator=simulator, names=names, ports=ports)
        found.metas_sender = metas_sender
        try:
            if account:
                found.account()
            yield found
        finally:
            app.run(graph.close())
            app.run(simulator.stop())
            proxy.stop()
