"""Strangers on raw connections to a real `serve`: heads, bodies and connections cost no more than their bounds.

Deadlines that would take long are shortened in tests/unit/web; here the real ones run side by side.
"""

from __future__ import annotations

import json
import select
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.acceptance.processes import catching, until
from tests.hostile.hostile_world import (
    ADMIN_KEY,
    MIB,
    Target,
    allow_many_descriptors,
    drip,
    rest_of,
    send,
    serving,
    status_of,
    together,
)
from tests.world import envelope, incoming

FIELDS = b"Host: localhost\r\nAuthorization: Bearer %b\r\n" % ADMIN_KEY.encode()
JSON = FIELDS + b"Content-Type: application/json\r\n"
ENDPOINT_SECRET = "a row secret of the hostile tests"


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with serving(tmp_path_factory.mktemp("hostile"), AUTO_ACCOUNTS="true") as running:
        running.call("/v1/accounts")
        yield running


def get(path: bytes = b"/livez", *fields: bytes) -> bytes:
    """A request without a body."""
    return b"GET %b HTTP/1.1\r\nHost: localhost\r\n%b\r\n" % (path, b"".join(field + b"\r\n" for field in fields))


# --- heads ------------------------------------------------------------------------------------------------------------


@pytest.mark.alone
def test_twenty_megabytes_of_tiny_fields_cost_nothing(target: Target) -> None:
    before, used = target.rss(), target.cpu()
    lines = b"a:b\r\n" * 13_000
    answer = target.answer_to(b"GET / HTTP/1.1\r\n", *[lines] * 320)
    assert status_of(answer) == 431
    assert target.rss() - before < 30 * MIB
    assert target.cpu() - used < 1


@pytest.mark.alone
def test_one_value_of_64_megabytes_is_cut_off(target: Target) -> None:
    before, used = target.rss(), target.cpu()
    with target.connect() as sock:
        taken = send(sock, [b"GET / HTTP/1.1\r\nX: ", *[b"x" * 16_384] * 4096])
        answer = rest_of(sock)
    assert status_of(answer) == 431
    assert taken < 16 * MIB  # most of it in the buffers of both sockets
    assert target.rss() - before < 30 * MIB
    assert target.cpu() - used < 1


REFUSED = {
    "a URL of 9 KiB": (get(b"/" + b"u" * 9 * 1024), 414, "url_too_long"),
    "101 fields": (get(b"/livez", *[b"a: b"] * 100), 431, "too_many_fields"),
    "a head of 33 KiB": (get(b"/livez", *[b"a: " + b"b" * 1024] * 32), 431, "head_too_big"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "malformed"),
    "HTTP/0.9": (b"GET /livez\r\n", 400, "malformed"),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "malformed"),
    "two spaces": (b"GET  /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "malformed"),
    "a fragment": (get(b"/livez#x"), 400, "malformed"),
    "CONNECT": (b"CONNECT localhost:22 HTTP/1.1\r\n\r\n", 400, "malformed"),
    "length and chunked": (
        b"POST /v1/accounts HTTP/1.1\r\n%bContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % JSON,
        400,
        "malformed",
    ),
    "two lengths": (
        b"POST /v1/accounts HTTP/1.1\r\n%bContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}" % JSON,
        400,
        "malformed",
    ),
    "an absurd extension of a chunk": (
        b"POST /v1/accounts HTTP/1.1\r\n%bTransfer-Encoding: chunked\r\n\r\n2;%b\r\n{}\r\n0\r\n\r\n"
        % (JSON, b"e" * 100_000),
        400,
        "malformed",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_too_much_is_refused_counted_and_the_end(target: Target, name: str) -> None:
    asked, status, reason = REFUSED[name]
    before = target.closed(reason)
    answer = target.answer_to(asked + get())
    assert status_of(answer) == status
    assert answer.count(b"HTTP/1.1 ") == 1, "nothing behind it is answered"
    head, _, body = answer.partition(b"\r\n\r\n")
    problem = json.loads(body)
    assert (problem["status"], f"x-request-id: {problem['request_id']}".encode() in head) == (status, True)
    assert target.closed(reason) == before + 1


@pytest.mark.parametrize(
    "asked",
    [
        get(b"/livez", *[b"a: b"] * 98, b"Connection: close"),
        get(b"/" + b"u" * 8191, b"Connection: close"),
        get(b"/livez", b"X: " + b"x" * 32_000, b"Connection: close"),
        get(b"/livez", b"Upgrade: websocket", b"Connection: Upgrade, close"),
        b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET http://localhost/livez HTTP/1.0\r\nHost: localhost\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc",
    ],
    ids=range(7),
)
def test_what_is_within_bounds_is_answered(target: Target, asked: bytes) -> None:
    assert 200 <= status_of(target.answer_to(asked)) < 500


def test_trailers_authorize_nobody(target: Target) -> None:
    body = json.dumps({"name": "made by a trailer"}).encode()
    asked = (
        b"POST /v1/api-keys HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
        b"Transfer-Encoding: chunked\r\nTrailer: Authorization\r\n\r\n%x\r\n%b\r\n0\r\nAuthorization: Bearer %b\r\n\r\n"
        % (len(body), body, ADMIN_KEY.encode())
    )
    assert status_of(target.answer_to(asked)) == 401
    with target.connect() as sock:  # also where the head and the trailers come apart
        send(sock, asked.partition(b"0\r\nAuth"))
        assert status_of(rest_of(sock)) == 401
    assert "made by a trailer" not in json.dumps(target.call("/v1/api-keys")[1])


# --- deadlines --------------------------------------------------------------------------------------------------------

FORM = b'--frontier\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
DRIPS = {
    "a head": (b"", get(b"/livez", b"X: " + b"x" * 100)),
    "a body": (b"POST /v1/accounts HTTP/1.1\r\n%bContent-Length: 90000\r\n\r\n" % JSON, b"{" + b" " * 100),
    "chunks": (b"POST /v1/accounts HTTP/1.1\r\n%bTransfer-Encoding: chunked\r\n\r\n" % JSON, b"1\r\n \r\n" * 30),
    "a form": (
        b"POST /v1/media HTTP/1.1\r\n%bContent-Length: 90000\r\n"
        b"Content-Type: multipart/form-data; boundary=frontier\r\n\r\n%b" % (FIELDS, FORM),
        b"x" * 100,
    ),
    "the fields of a form": (
        b"POST /v1/media HTTP/1.1\r\n%bContent-Length: 90000\r\n"
        b"Content-Type: multipart/form-data; boundary=frontier\r\n\r\n" % FIELDS,
        FORM,
    ),
    "Meta's": (
        b"POST /meta/webhook HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256=%064d\r\nContent-Length: 90000\r\n\r\n"
        % 0,
        b"{" + b" " * 100,
    ),
}


def test_what_drips_is_408_and_what_is_silent_is_closed(target: Target) -> None:
    heads, bodies = target.closed("head_timeout"), target.closed("body_timeout")

    def dripped(start: bytes, more: bytes) -> tuple[bytes, float]:
        with target.connect() as sock:
            sock.sendall(start)
            return drip(sock, more, pause=0.4, longest=20)

    def silent() -> tuple[bytes, float]:
        with target.connect() as sock:
            began = time.monotonic()
            return rest_of(sock), time.monotonic() - began

    works = [lambda drops=drops: dripped(*drops) for drops in DRIPS.values()]
    *answers, (nothing, seconds) = together(*works, silent)
    assert [status_of(answer) for answer, _ in answers] == [408] * len(DRIPS)
    assert all(9 <= took <= 13 for _, took in [*answers, (b"", seconds)]), answers
    assert nothing == b""
    assert target.closed("head_timeout") == heads + 2
    assert target.closed("body_timeout") == bodies + len(DRIPS) - 1


# --- bodies -----------------------------------------------------------------------------------------------------------


@pytest.mark.alone
def test_bodies_that_nobody_wants_are_not_collected(target: Target) -> None:
    before = target.rss()
    for head in (
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\n",
        b"POST /v1/accounts HTTP/1.1\r\n" + JSON,
        b"POST /v1/accounts HTTP/1.1\r\nHost: localhost\r\n",
        b"POST /meta/webhook HTTP/1.1\r\nHost: localhost\r\n",
        b"POST /nothing HTTP/1.1\r\nHost: localhost\r\n",
    ):
        for length in (b"Content-Length: 67108864\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n4000000\r\n"):
            with target.connect() as sock:
                taken = send(sock, [head + length, *[b" " * 65_536] * 1024])
                answer = rest_of(sock)
            assert taken < 32 * MIB, "it is closed before the end"
            assert answer.count(b"HTTP/1.1 ") <= 1
            assert status_of(answer) in (0, 200, 401, 404, 413), answer
    assert target.rss() - before < 30 * MIB


@pytest.mark.alone
def test_tiny_chunks_are_cheap(target: Target) -> None:
    used = target.cpu()
    head = (
        b"POST /meta/webhook HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256=%064d\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n" % 0
    )
    assert status_of(target.answer_to(head, *[b"1\r\n \r\n" * 10_000] * 400)) == 400
    assert target.cpu() - used < 1


@pytest.mark.alone
def test_a_flood_of_pipelined_requests_is_not_collected(target: Target) -> None:
    before = target.rss()
    with target.connect(receives=4096) as sock:
        sock.settimeout(2)
        taken = send(sock, [get() * 1000] * 400)
    assert taken < 20 * MIB
    assert target.rss() - before < 30 * MIB
    assert target.call("/livez")[0] == 200


def test_pipelined_requests_are_answered_in_order(target: Target) -> None:
    paths = [b"/livez", b"/nothing", b"/meta/webhook", b"/readyz"] * 5
    answer = target.answer_to(b"".join(map(get, paths)) + get(b"/livez", b"Connection: close"))
    statuses = [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [200, 404, 403, 200] * 5 + [200]


# --- connections ------------------------------------------------------------------------------------------------------


@pytest.mark.alone
def test_deliveries_and_new_clients_go_on_beside_1500_silent_connections(tmp_path: Path) -> None:
    allow_many_descriptors()
    with (
        catching({"row": ENDPOINT_SECRET}) as (url, catches),
        serving(tmp_path, descriptors=1024, AUTO_ACCOUNTS="true") as target,
        ExitStack() as silent,
    ):
        draft = {"url": f"{url}/row", "format": "row", "secret": ENDPOINT_SECRET}
        assert target.call("/v1/webhook-endpoints", method="POST", body=draft)[0] == 201
        for number in range(1500):
            silent.enter_context(target.connect(f"127.0.0.{2 + number % 7}"))
        for number in range(10):
            assert target.post(envelope(incoming(f"wamid.beside.{number}"))) == 200
        until(lambda: len([each for each in catches if each.event == "messages.insert"]) >= 10, what="deliveries")
        assert target.call("/v1/accounts")[0] == 200
        assert target.descriptors() < 512
        assert target.metric("tellwire_http_connections") <= 320
        assert target.closed("made_room") > 1000
        told = [line for line in target.process.err if "http_connection_refused" in line]
        assert 1 <= len(told) <= 10, "the log says it, and is not filled by it"


@pytest.mark.alone
def test_a_server_without_descriptors_goes_on_accepting(tmp_path: Path) -> None:
    with serving(tmp_path, descriptors=48) as target:
        with ExitStack() as held:
            for _ in range(200):
                held.enter_context(target.connect())
            assert target.call("/livez")[0] == 200
        assert target.call("/v1/accounts")[0] == 200
        assert any("few_descriptors" in line for line in target.process.err)


def test_a_peer_has_a_share_of_the_connections(tmp_path: Path) -> None:
    with (
        serving(tmp_path, HTTP_MAX_CONNECTIONS="30", HTTP_MAX_CONNECTIONS_PER_PEER="10") as target,
        ExitStack() as held,
    ):
        made = [target.call("/v1/organizations", method="POST", body={"name": f"{n}"})[1]["id"] for n in range(3)]
        for organization_id, streams in zip(["", *made], (5, 3, 1, 1), strict=True):  # as organizations share requests
            acting = b"Tellwire-Organization: %b\r\n" % organization_id.encode() if organization_id else b""
            for _ in range(streams):
                sock = held.enter_context(target.connect("127.0.0.2"))
                sock.sendall(b"GET /v1/events/stream HTTP/1.1\r\n%b%b\r\n" % (FIELDS, acting))
                assert sock.recv(100).startswith(b"HTTP/1.1 200 "), "the request is in progress: it makes no room"
        with target.connect("127.0.0.2") as refused:
            answer = rest_of(refused)
        assert status_of(answer) == 503
        assert b"retry-after: 1" in answer
        assert target.closed("too_many_from_peer") == 1
        with target.connect("127.0.0.3") as other:
            other.sendall(get(b"/livez", b"Connection: close"))
            assert status_of(rest_of(other)) == 200


META = b"POST /meta/webhook HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256=%064d\r\n" % 0
HOLDERS = {
    "bodies that do not end": META + b"Content-Length: 60000\r\n\r\n{",
    "chunks that do not end": META + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    "100 Continue without a body": META + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n",
    "answers that are not taken": get(b"/openapi.json") * 40,
}


@pytest.mark.parametrize("name", HOLDERS)
def test_strangers_who_hold_every_connection_keep_nobody_out(tmp_path: Path, name: str) -> None:
    with (
        serving(tmp_path, HTTP_MAX_CONNECTIONS="60", AUTO_ACCOUNTS="true") as target,
        ExitStack() as held,
    ):
        assert target.call("/openapi.json")[0] == 200
        for number in range(80):
            sock = held.enter_context(target.connect(f"127.0.0.{2 + number % 4}", receives=2048))
            sock.sendall(HOLDERS[name])
        until(lambda: all(target.call("/livez")[0] == 200 for _ in range(30)), what="an end of what they asked for")
        assert target.metric("tellwire_http_connections") > 50
        for number in range(10):
            assert target.post(envelope(incoming(f"wamid.held.{number}"))) == 200
        assert target.call("/v1/accounts")[0] == 200
        made_room = target.closed("made_room")
        assert made_room > 0
        # A stranger who comes while all others are being answered is refused, so that room is made for fewer later.
        assert made_room + target.closed("too_many_connections") >= 20


@pytest.mark.alone
def test_strangers_who_fill_the_memory_for_bodies_keep_nobody_out(tmp_path: Path) -> None:
    allow_many_descriptors()
    with serving(tmp_path, AUTO_ACCOUNTS="true") as target, ExitStack() as held:
        target.call("/v1/accounts")
        for size in [4 * MIB] * 63 + [MIB // 8] * 150:
            sock = held.enter_context(target.connect())
            sock.sendall(META + b"Content-Length: %d\r\n\r\n{" % size + b" " * (size - 2))
            if size < MIB and select.select([sock], [], [], 0.03)[0]:
                break  # refused: as much as may be is there
        before = target.rss()
        for number in range(5):
            large = envelope(*[incoming(f"wamid.large.{number}.{each}", "x" * 4000) for each in range(200)])
            assert target.post(large) == 200
        assert target.rss() - before < 60 * MIB


# --- logs -------------------------------------------------------------------------------------------------------------


def test_strangers_do_not_fill_the_log(target: Target) -> None:
    lines = len(target.process.err)
    for _ in range(100):
        assert status_of(target.answer_to(b"nonsense\r\n\r\n")) == 400
        with target.connect() as sock:  # gone in the middle of a body
            sock.sendall(b"POST /v1/accounts HTTP/1.1\r\n%bContent-Length: 900\r\n\r\n{" % JSON)
    assert target.call("/livez")[0] == 200
    told = target.process.err[lines:]
    assert len(told) <= 4, told
    assert not [line for line in told if '"error"' in line]
