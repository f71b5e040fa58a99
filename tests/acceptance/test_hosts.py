"""The Host allow list over real sockets: whatever way a request names its host, one list decides."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from msgspec.structs import replace
from tests.served import ADMIN, SETTINGS, Served, served


def answer(app: Served, *lines: str) -> int:
    """The status of the answer to a request as it is written here."""
    with socket.create_connection(("127.0.0.1", app.port), timeout=10) as sock:
        head = [*lines, f"Authorization: Bearer {ADMIN}", "Connection: close"]
        sock.sendall("\r\n".join([*head, "", ""]).encode())
        told = b""
        while data := sock.recv(65536):
            told += data
    return int(told.split(b" ", 2)[1])


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = replace(SETTINGS, allowed_hosts=("api.example.org", "*.wild.example.org", "::1", "localhost"))
    with served(tmp_path_factory.mktemp("hosts"), settings=settings) as running:
        yield running


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("api.example.org", 200),
        ("API.Example.ORG", 200),
        ("api.example.org:443", 200),
        ("api.example.org:1", 200),
        ("a.wild.example.org:8700", 200),
        ("[::1]", 200),
        ("[::1]:8700", 200),
        ("localhost:8700", 200),
        ("127.0.0.1", 400),
        ("127.0.0.1:8700", 400),
        ("wild.example.org", 400),
        ("evil.example.org", 400),
        ("api.example.org.evil.example", 400),
        ("evilapi.example.org", 400),
        ("api.example.org@evil.example", 400),
        ("api.example.org:80:80", 400),
        ("[::2]", 400),
        ("[0:0:0:0:0:0:0:1]", 400),
        ("::1", 400),
        ("", 400),
    ],
)
@pytest.mark.parametrize("path", ["/v1/accounts", "/login", "/openapi.json"])
def test_a_host_that_is_not_on_the_list_is_400_everywhere(app: Served, host: str, status: int, path: str) -> None:
    assert answer(app, f"GET {path} HTTP/1.1", f"Host: {host}") == status


def test_no_host_and_two_hosts_are_400(app: Served) -> None:
    assert answer(app, "GET /v1/accounts HTTP/1.0") == 400
    assert answer(app, "GET /v1/accounts HTTP/1.1", "Host: api.example.org", "Host: evil.example") == 400


@pytest.mark.parametrize("target", ["http://evil.example/v1/accounts", "http://api.example.org/v1/accounts"])
@pytest.mark.parametrize(("host", "admitted"), [("api.example.org", True), ("evil.example", False)])
def test_an_absolute_target_is_no_way_around_the_header(app: Served, target: str, host: str, admitted: bool) -> None:
    """What the target names is not looked at: it is never used to build a URL either."""
    status = answer(app, f"GET {target} HTTP/1.1", f"Host: {host}")
    assert (status == 400) is not admitted
    assert status in ({200, 404} if admitted else {400})


def test_forwarded_hosts_count_for_nothing(app: Served) -> None:
    assert answer(app, "GET / HTTP/1.1", "Host: evil.example", "X-Forwarded-Host: api.example.org") == 400


def test_probes_are_answered_under_any_host(app: Served) -> None:
    assert answer(app, "GET /livez HTTP/1.1", "Host: 10.0.0.1") == 200
