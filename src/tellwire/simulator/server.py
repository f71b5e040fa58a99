"""Serve the simulated Meta: the Graph API under any version prefix, media, and the control API."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from tellwire.errors import NotAllowed, Problem
from tellwire.http_client.sender import open_sender
from tellwire.ports.http_out import Sender
from tellwire.security.addresses import ANYWHERE
from tellwire.simulator import apps, control, files, graph
from tellwire.simulator.payloads import Business
from tellwire.simulator.poster import Poster
from tellwire.simulator.refusals import Refusal, not_there
from tellwire.simulator.sending import SendReply, send
from tellwire.simulator.state import State

_VERSION = re.compile(r"v[0-9]{1,3}\.[0-9]+")
_LARGEST = 1024 * 1024


class Simulator:
    """A simulated Meta for your own tests: point your code at `url`, and let it receive webhooks at `callback`.

    Args:
        state: numbers, tokens, knobs and history; a new one unless given.
        callback: the URL that webhooks are posted to; "" posts none.
        secret: the app secret that signs them.
        sender: makes the requests to the callback; one that reaches any address unless given.
    """

    def __init__(
        self, state: State | None = None, *, callback: str = "", secret: str = "", sender: Sender | None = None
    ) -> None:
        self.state = state or State()
        self._given_sender = sender
        self._callback = callback
        self._secret = secret
        self._sender: Sender | None = None
        self._runner: web.AppRunner | None = None
        self._stopping = asyncio.Event()
        self._loopback = False

    @property
    def url(self) -> str:
        """Return the URL that it listens on, without a slash at the end; "" before `start`."""
        return self.state.url

    async def start(self, sock: socket.socket | None = None, *, port: int = 0, url: str = "") -> str:
        """Listen on a socket, or on a port of 127.0.0.1 (0: a free one); return the URL.

        Args:
            url: the URL by which others reach it, if it is another one.
        """
        app = web.Application(client_max_size=_LARGEST)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
        await self._runner.setup()
        listening = sock or socket.create_server(("127.0.0.1", port))
        await web.SockSite(self._runner, listening).start()
        host, number = listening.getsockname()[:2]
        self._loopback = ipaddress.ip_address(host.partition("%")[0]).is_loopback
        self.state.url = url or (f"http://[{host}]:{number}" if ":" in host else f"http://{host}:{number}")
        self._sender = self._given_sender or open_sender(reach=ANYWHERE)
        self.set_callback(self._callback, self._secret)
        self.state.webhooks.start()
        return self.url

    def set_callback(self, url: str, secret: str) -> None:
        """Post webhooks to this URL from now on, signed with this secret; "" posts none."""
        self._callback, self._secret = url, secret
        self.state.app.secret = secret or self.state.app.secret
        if self._sender is not None:
            self.state.webhooks.poster = Poster(self._sender, url, secret) if url else None

    async def stop(self) -> None:
        """Stop listening and posting, and delete all media."""
        self._stopping.set()
        await self.state.webhooks.stop()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._sender is not None:
            await self._sender.close()
        self.state.media_files.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a request; all requests come here."""
        path = request.path.strip("/")
        version, _, rest = path.partition("/")
        if _VERSION.fullmatch(version):
            path = rest
        try:
            self._keep_web_pages_out(request)
            if path.startswith("_simulator"):
                return await self._control(request, path.removeprefix("_simulator").strip("/"))
            self.state.journal.counts.requests += 1
            if self.state.knobs.latency:
                await asyncio.sleep(self.state.knobs.latency)
            return await self._graph(request, path)
        except Refusal as refused:
            trace = f"A{self.state.random.getrandbits(96):024x}"
            return _json(refused.body(trace), refused.http)
        except Problem as problem:
            return _json({"error": problem.detail, "fields": dict(problem.fields)}, problem.status)

    def _keep_web_pages_out(self, request: web.Request) -> None:
        """Raise `NotAllowed` for what a web page may have sent that is open in a browser on this machine: browsers say
        so in `Origin`, and pages whose name leads here (DNS rebinding) name it in `Host`."""
        if "Origin" in request.headers:
            raise NotAllowed("the simulator takes nothing from web pages")
        name = _name_of(request.host)
        if self._loopback and name not in {"localhost", urlsplit(self.url).hostname} and not _is_address(name):
            raise NotAllowed("the Host header names neither localhost nor an address")

    async def _control(self, request: web.Request, path: str) -> web.StreamResponse:
        body = _object(await request.read())  # not by Content-Type: `curl -d` says that it is a form
        return _json(control.answer(self.state, request.method, path, request.query, body))

    async def _graph(self, request: web.Request, path: str) -> web.StreamResponse:
        if path == "oauth/access_token":
            return _json(graph.new_token(self.state))
        token = request.headers.get("Authorization", "").removeprefix("Bearer ") or request.query.get(
            "access_token", ""
        )
        self.state.admit(token)
        if path == "whatsapp_business/attachments" and request.method == "GET":
            return files.download(self.state, request)
        first, _, edge = path.partition("/")
        if request.method == "POST" and first and edge in ("messages", "media"):
            return await self._of_number(request, self.state.business(first), edge)
        if not edge and self.state.media_files.find(first, self.state.clock.now()) is not None:
            return self._of_medium(request, first)
        body = await _body(request)
        if (request.method, path) == ("POST", f"{apps.APP_ID}/subscriptions"):
            return await self._subscribe(body)
        call = graph.Call(method=request.method, path=path, query=request.query, body=body, base=_base(request))
        return _json(graph.answer(self.state, call))

    async def _subscribe(self, body: Mapping[str, Any]) -> web.StreamResponse:
        """Subscribe the app, once its callback URL has answered the handshake; webhooks go there from then on."""
        wanted, sender = self.state.app.asked_for(body), self._sender
        if sender is None:
            raise apps.unverified()
        challenge = str(self.state.random.randrange(10**9, 10**10))
        if not await Poster(sender, wanted.callback_url, "").handshake(wanted.verify_token, challenge):
            raise apps.unverified()
        self.state.app.subscription = wanted
        self.set_callback(wanted.callback_url, self.state.app.secret)
        return _json({"success": True})

    def _of_medium(self, request: web.Request, media_id: str) -> web.StreamResponse:
        match request.method:
            case "GET":
                number = request.query.get("phone_number_id", "")
                return _json(files.describe(self.state, media_id, number, _base(request)))
            case "DELETE":
                self.state.media_files.remove(media_id, self.state.clock.now())
                return _json({"success": True})
            case method:
                raise not_there(media_id, method.lower())

    async def _of_number(self, request: web.Request, business: Business, edge: str) -> web.StreamResponse:
        if edge == "media":
            return _json(await files.upload(self.state, business, request))
        return await self._respond(request, send(self.state, business, await _body(request)))

    async def _respond(self, request: web.Request, reply: SendReply) -> web.StreamResponse:
        """Return the answer to a send, unless the connection is to hang or to break."""
        if reply.early is not None:
            await self.state.webhooks.post_now(reply.early)
        if reply.manner == "hang":
            await self._hang()
        if reply.manner != "answer" and request.transport is not None:
            request.transport.abort()
        if reply.body is None:
            return web.Response(status=reply.http)
        return _json(reply.body, reply.http)

    async def _hang(self) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), self.state.knobs.hang_seconds)
        except TimeoutError:
            return


def _base(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}"


def _name_of(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=json.dumps(value).encode(), status=status, content_type="application/json")


async def _body(request: web.Request) -> Mapping[str, Any]:
    """Return the JSON object or the form of a request; {} for anything else."""
    if request.content_type in ("application/x-www-form-urlencoded", "multipart/form-data"):
        return {key: value for key, value in (await request.post()).items() if isinstance(value, str)}
    return _object(await request.read())


def _object(raw: bytes) -> Mapping[str, Any]:
    try:
        given = json.loads(raw) if raw else {}
    except (ValueError, RecursionError):
        raise Refusal(100, "the body is not JSON") from None
    return given if isinstance(given, dict) else {}
