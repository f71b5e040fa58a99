"""What stands inside an operator's network in these tests: services on loopback that say a secret, and a Meta that
lies."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from msgspec import Struct

PLANTED = "planted"
BODY, HEADER, CODE = f"{PLANTED}-in-the-body", f"{PLANTED}-in-a-header", f"{PLANTED}_code"
CONTENT = json.dumps(
    {"secret": BODY, "challenge": BODY, "error": {"code": CODE, "type": CODE, "message": BODY}, "choices": BODY}
).encode()


class Heard(Struct, frozen=True):
    """A request that came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Said(Struct, frozen=True):
    """What is answered; without a status `body` is all that goes over the wire."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


class Inside(Struct, frozen=True):
    """A service, and what it was asked."""

    port: int
    heard: list[Heard]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def listening(answer: Callable[[Heard], Said]) -> Iterator[Inside]:
    """A service on loopback that answers every method as it is told."""
    heard: list[Heard] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            came = Heard(
                self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, self.rfile.read(length)
            )
            heard.append(came)
            said = answer(came)
            if not said.status:
                self.wfile.write(said.body)
                self.close_connection = True
                return
            self.send_response(said.status)
            for name, value in (*said.headers, ("Content-Length", str(len(said.body)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said.body)

        def __getattr__(self, name: str) -> Callable[[], None]:
            if name.startswith("do_"):
                return self.handle_any
            raise AttributeError(name)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.02,))
        serving.start()
        try:
            yield Inside(server.server_address[1], heard)
        finally:
            server.shutdown()
            serving.join()


def secretive(heard: Heard) -> Said:
    """Answer with the secret everywhere: `/401/…` with that status, `/garbage` without HTTP, `/half` not to the end."""
    first = heard.path.strip("/").partition("/")[0].partition("?")[0]
    if first == "garbage":
        return Said(0, f"{BODY} is not HTTP\r\n\r\n".encode())
    if first == "half":
        return Said(0, f"HTTP/1.1 200 OK\r\nX-Secret: {HEADER}\r\nContent-Length: 999\r\n\r\n{BODY}".encode())
    headers = (
        ("X-Secret", HEADER),
        ("Set-Cookie", f"session={HEADER}"),
        ("Location", f"http://127.0.0.1/{HEADER}"),
        ("Content-Type", "application/json"),
    )
    body = b"\xff" + CONTENT if first == "bytes" else CONTENT
    return Said(int(first) if first.isdigit() else 200, body, headers)
