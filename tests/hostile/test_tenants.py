"""One tenant asks for as much as it may, by the same proxy as another, whose calls are answered as before."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.processes import until
from tests.hostile.hostile_world import Target, allow_many_descriptors, serving

CONNECTIONS = 64


class Tenant:
    """An organization with a key of its own."""

    def __init__(self, target: Target, name: str) -> None:
        self.target = target
        self.id = target.call("/v1/organizations", method="POST", body={"name": name})[1]["id"]
        key = {"organization_id": self.id, "scopes": ["admin"]}
        self.key = target.call("/v1/api-keys", method="POST", body=key)[1]["key"]

    def call(self, path: str, **more: Any) -> tuple[int, Any]:
        return self.target.call(path, key=self.key, **more)

    def begin(self, line: str, *fields: str) -> socket.socket:
        """Begin a request and leave it unfinished, or its answer unread."""
        sock = self.target.connect(receives=4096)
        head = [f"{line} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {self.key}", *fields]
        sock.sendall("\r\n".join([*head, "", ""]).encode())
        return sock


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    allow_many_descriptors()
    folder: Path = tmp_path_factory.mktemp("tenants")
    with serving(folder, HTTP_MAX_CONNECTIONS=str(CONNECTIONS)) as running:
        yield running


def test_unfinished_requests_of_one_tenant_leave_room_for_another(target: Target) -> None:
    greedy, quiet = Tenant(target, "greedy"), Tenant(target, "quiet")
    form = ("Content-Type: multipart/form-data; boundary=f", "Transfer-Encoding: chunked")
    with ExitStack() as held:
        for _ in range(CONNECTIONS):
            held.enter_context(greedy.begin("POST /v1/media", *form))
        until(lambda: quiet.call("/v1/messages")[0] == 200 or None, what="an answer")
        for _ in range(20):
            assert quiet.call("/v1/messages")[0] == 200
            assert target.call("/livez")[0] == 200
    until(lambda: greedy.call("/v1/messages")[0] == 200 or None, what="an answer")
