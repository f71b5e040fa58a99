"""A reverse proxy that shares one host between Tellwire, below a path, and nothing else."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade"}


class ReverseProxy(ThreadingHTTPServer):
    """Passes on what comes for its path, answers everything else 404 and notes it in `strays`.

    Args:
        path: below which Tellwire is, such as `/tellwire`.
        strips: whether it takes the path away, as `proxy_pass` with a slash does, or passes it on.
    """

    daemon_threads = True

    def __init__(self, path: str, *, strips: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.path = path
        self.strips = strips
        self.upstream = 0
        self.strays: list[str] = []
        self.passed: list[str] = []

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def url(self) -> str:
        """Where Tellwire is reached."""
        return self.root + self.path


class _Handler(BaseHTTPRequestHandler):
    server: ReverseProxy

    def do_GET(self) -> None:
        proxy = self.server
        plain = self.path.partition("?")[0]
        if plain != proxy.path and not plain.startswith(f"{proxy.path}/"):
            proxy.strays.append(self.path)
            self.send_error(404)
            return
        proxy.passed.append(plain)
        target = (self.path[len(proxy.path) :] or "/") if proxy.strips else self.path
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
        upstream = http.client.HTTPConnection("127.0.0.1", proxy.upstream, timeout=20)
        try:
            upstream.request(self.command, target, body or None, headers | {"Connection": "close"})
            self._answer(upstream.getresponse())
        finally:
            upstream.close()

    do_POST = do_PATCH = do_DELETE = do_HEAD = do_GET  # noqa: N815 - the names that the server calls

    def _answer(self, answer: http.client.HTTPResponse) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP:
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        with suppress(OSError):  # the client has left
            while piece := answer.read1(65536):
                self.wfile.write(piece)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@contextmanager
def reverse_proxy(path: str, *, strips: bool) -> Iterator[ReverseProxy]:
    """A proxy that runs; set its `upstream` to a port before anything is asked."""
    with ReverseProxy(path, strips=strips) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()
