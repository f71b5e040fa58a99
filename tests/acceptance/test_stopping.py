"""The end of a server: what is still under way then."""

from __future__ import annotations

import http.client
import logging
import socket
from pathlib import Path

import pytest
from tests.served import ADMIN, Served, served


def begun(app: Served, path: str) -> socket.socket:
    """A POST of which only the first byte comes."""
    half = socket.create_connection(("127.0.0.1", app.port), timeout=20)
    half.sendall(
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ADMIN}\r\nContent-Length: 100\r\n"
        "Content-Type: application/json\r\nX-Hub-Signature-256: sha256=00\r\n\r\n{".encode()
    )
    return half


def test_requests_that_never_come_whole_are_answered_503(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), served(tmp_path) as app:
        halves = [begun(app, path) for path in ("/meta/webhook", "/v1/organizations")]
        assert app.get("/livez") == {"status": "ok"}
    for half in halves:
        with half, http.client.HTTPResponse(half) as answer:
            answer.begin()
            assert answer.status == 503
            assert answer.getheader("content-type") == "application/problem+json"
            assert b"stopping" in answer.read()
    assert not [record for record in caplog.records if record.exc_info]
