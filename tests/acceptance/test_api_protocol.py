"""What holds for every call: problems, request ids, hosts, methods, content types, sizes, malformed bodies."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.served import ADMIN, HOOK, MISSING, SETTINGS, Served, served

from tellwire.errors import Unavailable
from tellwire.web.api import NOUNS

DRAFT = {"url": HOOK, "format": "row"}
BODIES = [
    (min(handler.http_methods), "/v1" + re.sub(r"\{\w+:str\}", MISSING, path), field.is_optional)
    for noun in NOUNS.values()
    for handler in noun.HANDLERS
    for path in handler.paths
    if (field := handler.parsed_data_field) is not None
]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("protocol")) as running:
        yield running


# --- paths and methods ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/nope",
        "/v1",
        "/v1/",
        "/v1/nope",
        "/v1/accounts/x/y",
        "/v2/accounts",
        "/V1/accounts",
        "/v1/%2e%2e/accounts",
        "/%00",
        "/%FF",
        "/schema",
        "/schema/openapi.json",
        "/meta",
        "/meta/webhook/x",
        "/" + "x" * 5000,
    ],
)
def test_unknown_paths_are_404(app: Served, path: str) -> None:
    app.call("GET", path).problem(404)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "HEAD"])
def test_other_methods_are_405(app: Served, method: str) -> None:
    reply = app.call(method, "/v1/accounts")
    assert reply.status == 405
    assert {"GET", "POST"} <= set(reply.headers["allow"].split(", "))
    if method != "HEAD":
        assert reply.problem(405)["type"] == "urn:tellwire:problem:method-not-allowed"


@pytest.mark.parametrize(
    "path",
    [
        *("//metrics", "///metrics", "/metrics/", "/metrics%2f", "/%2Fmetrics", "/%6detrics", "/metri%63s"),
        *("//", "//livez", "/livez/", "/version/", "/%76ersion", "/openapi%2ejson", "/%6deta/webhook"),
        *("//v1/accounts", "/v1//accounts", "/v1/accounts//", "/v1%2faccounts", "/v1/%61ccounts"),
    ],
)
def test_a_path_has_one_spelling(app: Served, path: str) -> None:
    app.call("GET", path).problem(404)


def test_trailing_slashes_do_not_matter(app: Served) -> None:
    assert app.call("GET", "/v1/accounts/").status == 200


# --- bodies -----------------------------------------------------------------------------------------------------------

MALFORMED = {
    "cut": b'{"url": ',
    "bare": b"nonsense",
    "nan": b'{"url": NaN}',
    "not UTF-8": b'{"url": "\xff\xfe"}',
    "half a surrogate": b'{"url": "\\ud800"}',
    "byte order mark": b"\xef\xbb\xbf{}",
    "two": b"{} {}",
    "UTF-16": '{"url": "x"}'.encode("utf-16"),
}


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.parametrize(("method", "path", "optional"), BODIES)
def test_malformed_bodies_are_400(app: Served, method: str, path: str, name: str, optional: bool) -> None:
    assert app.call(method, path, MALFORMED[name]).problem(400)["type"] == "urn:tellwire:problem:not-json"


@pytest.mark.parametrize("body", [b"[]", b"5", b'"x"', b"true", b"null"], ids=repr)
@pytest.mark.parametrize("path", ["/v1/organizations", "/v1/webhook-endpoints", "/v1/accounts", "/v1/api-keys"])
def test_what_is_no_object_is_422(app: Served, path: str, body: bytes) -> None:
    app.call("POST", path, body).problem(422, "")


@pytest.mark.parametrize(
    ("body", "pointer"), [(b'{"\\u0000": 1}', "/\x00"), (b'{"": 1}', "/"), (b'{"name": 1e999}', "/name")], ids=repr
)
def test_odd_fields_are_named(app: Served, body: bytes, pointer: str) -> None:
    app.call("POST", "/v1/organizations", body).problem(422, pointer)


@pytest.mark.parametrize("body", [b"[" * 19_000, b'{"a":' + b"[" * 9_000 + b"]" * 9_000 + b"}"], ids=len)
def test_deep_bodies_are_400(app: Served, body: bytes) -> None:
    assert app.call("POST", "/v1/organizations", body).problem(400)["type"] == "urn:tellwire:problem:not-json"


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"a":' + b"[" * 400_000 + b"]" * 400_000 + b"}", b"[" + b"0," * 300_000 + b"0]"], ids=len
)
def test_bodies_of_many_values_are_422(app: Served, body: bytes) -> None:
    assert app.call("POST", "/v1/organizations", body).problem(422)["type"] == "urn:tellwire:problem:too-many-values"


@pytest.mark.parametrize(("method", "path", "optional"), BODIES)
def test_a_body_is_there_where_it_is_needed(app: Served, method: str, path: str, optional: bool) -> None:
    reply = app.call(method, path)
    if optional:
        reply.problem(404)
    else:
        assert reply.problem(400)["type"] == "urn:tellwire:problem:no-body"


def test_empty_chunked_body_is_no_body(app: Served) -> None:
    connection = app.connection()
    headers = {"authorization": f"Bearer {ADMIN}", "content-type": "application/json"}
    connection.request("POST", "/v1/accounts", iter(()), headers, encode_chunked=True)
    assert 400 <= connection.getresponse().status < 500
    connection.close()


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/msgpack",
        "",
        "application/jsonp",
        "application/xml",
        "nonsense",
        "\xe9",
    ],
)
def test_other_content_types_are_415(app: Served, media_type: str) -> None:
    app.call("POST", "/v1/webhook-endpoints", DRAFT, headers={"content-type": media_type}).problem(415)


@pytest.mark.parametrize("media_type", ["application/json", "Application/JSON", "application/json; charset=utf-8"])
def test_json_is_taken(app: Served, media_type: str) -> None:
    reply = app.call("POST", "/v1/webhook-endpoints", DRAFT, headers={"content-type": media_type})
    assert reply.status == 201


def test_a_mebibyte_is_taken_and_more_is_413(app: Served) -> None:
    fits = json.dumps(DRAFT).encode().ljust(1024 * 1024)
    assert app.call("POST", "/v1/webhook-endpoints", fits).status == 201
    app.call("POST", "/v1/webhook-endpoints", fits + b" ").problem(413)
    connection = app.connection()
    headers = {"authorization": f"Bearer {ADMIN}", "content-type": "application/json"}
    connection.request("POST", "/v1/webhook-endpoints", (b" " * 65536 for _ in range(17)), headers, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


# --- request ids ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["abc", "a" * 128, "01970000-0000-7000-8000-000000000000", "a.b_c:d/e+f=g@h-i"])
def test_request_ids_come_back(app: Served, given: str) -> None:
    sane = {"x-request-id": given}
    assert app.call("GET", "/v1/accounts", headers=sane).headers["x-request-id"] == given
    assert app.call("GET", "/v1/nope", headers=sane).problem(404)["request_id"] == given
    assert app.send("POST", "/meta/webhook", b"", sane).json["request_id"] == given


@pytest.mark.parametrize("given", ["", "a" * 129, "a b", "<script>", "é", 'a"b', "a,b"])
def test_odd_request_ids_are_replaced(app: Served, given: str) -> None:
    made = app.call("GET", "/v1/accounts", headers={"x-request-id": given}).headers["x-request-id"]
    assert re.fullmatch(r"req_[0-9a-f]{32}", made)


def test_every_request_has_its_own_id(app: Served) -> None:
    assert len({app.call("GET", "/livez").headers["x-request-id"] for _ in range(5)}) == 5


# --- hosts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:8700", "[::1]:8700", "127.0.0.1:1"])
def test_own_hosts_are_answered(app: Served, host: str) -> None:
    assert app.call("GET", "/v1/accounts", headers={"host": host}).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.", "", "localhost@evil.example", "127.0.0.1:x", "é"]
)
@pytest.mark.parametrize("path", ["/v1/accounts", "/", "/metrics", "/openapi.json"])
def test_other_hosts_are_400(app: Served, host: str, path: str) -> None:
    problem = app.call("GET", path, headers={"host": host}).problem(400)
    assert "ALLOWED_HOSTS" in problem["detail"]


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_probes_may_name_any_host(app: Served, path: str) -> None:
    assert app.call("GET", path, key=None, headers={"host": "10.1.2.3:8700"}).status == 200


def test_two_hosts_are_refused(app: Served) -> None:
    request = b"GET /v1/accounts HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", app.port), timeout=20) as connection:
        connection.sendall(request)
        assert connection.recv(65536).startswith(b"HTTP/1.1 400")


def test_allowed_hosts(tmp_path: Path) -> None:
    with served(tmp_path, settings=replace(SETTINGS, allowed_hosts=("api.example.com", "*.example.org"))) as app:
        for host in ("api.example.com", "API.example.com:443", "a.example.org", "a.b.example.org"):
            assert app.call("GET", "/v1/accounts", headers={"host": host}).status == 200
        for host in ("localhost", "example.org", "aexample.org", "www.example.com"):
            app.call("GET", "/v1/accounts", headers={"host": host}).problem(400)


# --- headers and failures ---------------------------------------------------------------------------------------------


def test_answers_are_not_kept_by_caches(app: Served) -> None:
    reply = app.call("GET", "/v1/accounts")
    assert (reply.headers["cache-control"], reply.headers["x-content-type-options"]) == ("no-store", "nosniff")


@pytest.fixture(params=["read", "write"])
def verb(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_what_cannot_be_made_durable_is_503(tmp_path: Path, verb: str) -> None:
    with served(tmp_path, store_error=Unavailable("disk full")) as app:
        reply = (
            app.call("GET", "/v1/accounts")
            if verb == "read"
            else app.call("POST", "/v1/accounts", {"phone_number_id": "1"})
        )
        reply.problem(503)
        assert reply.headers["retry-after"] == "1"


def test_bugs_are_problems_that_say_nothing_of_the_inside(tmp_path: Path) -> None:
    with served(tmp_path, store_error=RuntimeError("an inner secret")) as app:
        problem = app.call("GET", "/v1/accounts").problem(500)
        assert "inner" not in json.dumps(problem)
