"""Meta's webhook over a real socket: the handshake, signatures, limits, and what is answered when."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.served import APP_SECRET, SETTINGS, VERIFY, Reply, Served, served, sign
from tests.world import NUMBER, WABA, envelope, incoming, value

from tellwire.errors import Unavailable
from tellwire.model.inbound import SpeaksFor
from tellwire.settings import AppSecret

BODY = json.dumps(envelope(incoming("wamid.A"))).encode()
OTHER_SECRET = "another-invented-app-secret"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("meta")) as running:
        yield running


def shake(app: Served, query: str) -> Reply:
    return app.send("GET", f"/meta/webhook?{query}", None, {"host": "anything.example"})


# --- handshake --------------------------------------------------------------------------------------------------------


def test_handshake_echoes_the_challenge_as_plain_text(app: Served) -> None:
    reply = shake(app, f"hub.mode=subscribe&hub.verify_token={VERIFY}&hub.challenge=1158201444")
    assert (reply.status, reply.body) == (200, b"1158201444")
    assert reply.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "hub.mode=subscribe&hub.verify_token=wrong&hub.challenge=1",
        f"hub.mode=unsubscribe&hub.verify_token={VERIFY}&hub.challenge=1",
        f"hub.mode=subscribe&hub.verify_token={VERIFY}",
        "hub.mode=subscribe&hub.verify_token=&hub.challenge=1",
        "hub.mode=subscribe&hub.verify_token=%FF%00%C3&hub.challenge=1",
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token",
    ],
)
def test_handshake_refuses(app: Served, query: str) -> None:
    reply = shake(app, query)
    assert reply.status == 403
    assert VERIFY not in reply.body.decode()


def test_handshake_without_a_verify_token_confirms_nothing(tmp_path: Path) -> None:
    with served(tmp_path, settings=replace(SETTINGS, meta_verify_token="")) as bare:
        reply = shake(bare, "hub.mode=subscribe&hub.verify_token=&hub.challenge=1")
        assert "META_VERIFY_TOKEN" in reply.json["detail"]
        assert reply.status == 403


# --- signatures -------------------------------------------------------------------------------------------------------


def test_post_is_durable_when_it_is_answered(app: Served) -> None:
    reply = app.meta(envelope(incoming("wamid.durable")))
    assert (reply.status, reply.body) == (200, b"")
    assert app.query("SELECT count(*) FROM messages WHERE wamid = 'wamid.durable'") == [(1,)]


def test_upper_case_hex_is_taken(app: Served) -> None:
    raw = json.dumps(envelope(incoming("wamid.upper"))).encode()
    assert app.meta(raw, **{"x-hub-signature-256": "sha256=" + sign(raw).upper()}).status == 200


HOSTILE = {
    "missing": [],
    "empty": [b""],
    "no prefix": [sign(BODY).encode()],
    "sha1": [b"sha1=" + sign(BODY).encode()],
    "other secret": [b"sha256=" + sign(BODY, "wrong").encode()],
    "short": [b"sha256=" + sign(BODY).encode()[:-2]],
    "long": [b"sha256=" + sign(BODY).encode() + b"00"],
    "not hex": [b"sha256=" + b"z" * 64],
    "full-width digits": [b"sha256=" + "０".encode() * 64],
    "not ASCII": [b"sha256=\xff\xfe" + sign(BODY).encode()],
    "twice the right one": [b"sha256=" + sign(BODY).encode()] * 2,
    "ten": [b"sha256=" + sign(BODY).encode()] * 10,
    "a list": [b"sha256=" + sign(BODY).encode() + b", sha256=" + sign(BODY).encode()],
    "16 KB": [b"sha256=" + b"a" * 16_384],
    "inner space": [b"sha256= " + sign(BODY).encode()],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_signature_is_401_and_keeps_nothing(app: Served, name: str) -> None:
    before = app.query("SELECT count(*) FROM inbound")
    lines = [b"POST /meta/webhook HTTP/1.1", b"host: x", b"connection: close", b"content-length: %d" % len(BODY)]
    lines += [b"x-hub-signature-256: " + each for each in HOSTILE[name]]
    status, body = raw_request(app, b"\r\n".join([*lines, b"", BODY]))
    assert status == 401, body
    problem = json.loads(body)
    assert problem["type"] == "urn:tellwire:problem:bad-signature"
    assert APP_SECRET not in body.decode()
    assert sign(BODY) not in body.decode()
    assert app.query("SELECT count(*) FROM inbound") == before


def test_signature_covers_the_exact_bytes(app: Served) -> None:
    changed = BODY.replace(b"Hello!", b"Hallo!")
    assert app.meta(changed, **{"x-hub-signature-256": "sha256=" + sign(BODY)}).status == 401


def raw_request(app: Served, request: bytes) -> tuple[int, bytes]:
    with socket.create_connection(("127.0.0.1", app.port), timeout=20) as connection:
        connection.sendall(request)
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


# --- bodies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b"\xff\xfe", b'{"a": NaN}', b"[" * 100], ids=repr)
def test_what_is_no_json_is_400(app: Served, body: bytes) -> None:
    assert app.meta(body).problem_like(400)["type"] == "urn:tellwire:problem:not-json"


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[]",
        b"null",
        b'"\\u0000"',
        b'{"entry": "\\ud800"}',
        b'{"entry": 1e999}',
        b"[" * 2000 + b"]" * 2000,
        b'{"object": "whatsapp_business_account", "entry": [{"changes": [{"field": "messages", "value": 7}]}]}',
    ],
    ids=lambda body: repr(body[:30]),
)
def test_odd_json_is_kept_and_200(app: Served, body: bytes) -> None:
    assert app.meta(body).status == 200
    assert app.query("SELECT body FROM inbound ORDER BY id DESC LIMIT 1") == [(body,)]


def test_chunked_body_is_taken(app: Served) -> None:
    raw = json.dumps(envelope(incoming("wamid.chunked"))).encode()
    chunks = b"".join(b"1\r\n" + raw[i : i + 1] + b"\r\n" for i in range(len(raw)))
    head = (
        b"POST /meta/webhook HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n"
        b"x-hub-signature-256: sha256=" + sign(raw).encode() + b"\r\n\r\n"
    )
    status, _ = raw_request(app, head + chunks + b"0\r\n\r\n")
    assert status == 200


def test_four_mebibytes_are_taken_and_a_byte_more_is_413(app: Served) -> None:
    limit = 4 * 1024 * 1024
    fits = b'"' + b"a" * (limit - 2) + b'"'
    assert app.meta(fits).status == 200
    assert app.meta(fits + b" ").problem_like(413)["type"] == "urn:tellwire:problem:too-large"


def test_announced_size_is_refused_before_the_body_comes(app: Served) -> None:
    head = (
        b"POST /meta/webhook HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\nx-hub-signature-256: sha256="
        + sign(b"").encode()
        + b"\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", app.port), timeout=20) as connection:
        connection.sendall(head)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 413")


def test_unannounced_size_is_refused(app: Served) -> None:
    connection = app.connection()
    signature = {"x-hub-signature-256": "sha256=" + "0" * 64}
    connection.request("POST", "/meta/webhook", (b"a" * 0x100000 for _ in range(5)), signature, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_client_that_goes_away_leaves_nothing(app: Served) -> None:
    before = app.query("SELECT count(*) FROM inbound")
    head = b"POST /meta/webhook HTTP/1.1\r\nhost: x\r\ncontent-length: 500\r\nx-hub-signature-256: sha256=" + b"0" * 64
    with socket.create_connection(("127.0.0.1", app.port), timeout=20) as connection:
        connection.sendall(head + b"\r\n\r\n" + b"a" * 100)
    assert app.meta(envelope(incoming("wamid.after-it"))).status == 200
    assert app.query("SELECT count(*) FROM inbound") == [(before[0][0] + 1,)]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"])
def test_other_methods_are_405(app: Served, method: str) -> None:
    reply = app.send(method, "/meta/webhook", None, {})
    assert (reply.status, reply.headers["allow"]) == (405, "GET, POST")


# --- whose secret -----------------------------------------------------------------------------------------------------


def test_without_any_app_secret_it_is_503(tmp_path: Path) -> None:
    with served(tmp_path, settings=replace(SETTINGS, meta_app_secret=())) as bare:
        reply = bare.meta(BODY)
        assert reply.status == 503
        assert "META_APP_SECRET" in reply.json["detail"]
        assert reply.headers["retry-after"]
        bare.post("/v1/accounts", {"phone_number_id": NUMBER, "app_secret": OTHER_SECRET})
        assert bare.meta(BODY, OTHER_SECRET).status == 200


def speaks(app: Served) -> Any:
    ((speaks_for,),) = app.query("SELECT speaks_for FROM inbound ORDER BY id DESC LIMIT 1")
    return json.loads(speaks_for)


def test_secrets_speak_for_what_they_are_bound_to(tmp_path: Path) -> None:
    secrets = (AppSecret("bound-to-a-waba", WABA), AppSecret("bound-to-another", "999"))
    with served(tmp_path, settings=replace(SETTINGS, meta_app_secret=secrets)) as app:
        assert app.meta(BODY, APP_SECRET).status == 401
        assert app.meta(BODY, "bound-to-a-waba").status == 200
        assert speaks(app) == {"meta_ids": [WABA]}
        assert app.get("/v1/inbound")["data"][0]["outcome"] == "applied"
        app.meta(envelope(incoming("wamid.B")), "bound-to-another")
        assert speaks(app) == {"meta_ids": ["999"]}
        assert app.get("/v1/inbound")["data"][0]["outcome"] == "unrouted"


def test_account_secret_speaks_for_its_account_alone(tmp_path: Path) -> None:
    with served(tmp_path, settings=replace(SETTINGS, auto_accounts=False)) as app:
        mine = app.post("/v1/accounts", {"phone_number_id": "111", "app_secret": OTHER_SECRET})
        app.post("/v1/accounts", {"phone_number_id": "222"})
        body = envelope(
            value(number="111", messages=[message("wamid.1")]), value(number="222", messages=[message("wamid.2")])
        )
        assert app.meta(body, OTHER_SECRET).status == 200
        assert speaks(app) == {"account_ids": [mine["id"]]}
        assert [item["outcome"] for item in app.get("/v1/inbound")["data"][0]["items"]] == ["applied", "unrouted"]
        elsewhere = envelope(value(number="222", messages=[message("wamid.3")]))
        assert app.meta(elsewhere, OTHER_SECRET).status == 401


def test_several_that_match_speak_together(tmp_path: Path) -> None:
    settings = replace(SETTINGS, meta_app_secret=(AppSecret(OTHER_SECRET, "777"),), auto_accounts=False)
    with served(tmp_path, settings=settings) as app:
        first = app.post("/v1/accounts", {"phone_number_id": "111", "waba_id": WABA, "app_secret": OTHER_SECRET})
        second = app.post("/v1/accounts", {"phone_number_id": "222", "waba_id": WABA, "app_secret": OTHER_SECRET})
        app.post("/v1/accounts", {"phone_number_id": "333", "app_secret": OTHER_SECRET})
        assert app.meta(envelope(value(number="111", messages=[message("wamid.1")])), OTHER_SECRET).status == 200
        given = speaks(app)
        assert given.pop("meta_ids") == ["777"]
        assert sorted(given.pop("account_ids")) == sorted([first["id"], second["id"]])
        assert given == {}


def test_many_accounts_with_secrets_are_told_apart(tmp_path: Path) -> None:
    with served(tmp_path, settings=replace(SETTINGS, meta_app_secret=(), auto_accounts=False)) as app:
        made = {}
        for number in range(1000, 1020):
            draft = {"phone_number_id": str(number), "app_secret": f"secret-of-{number}"}
            made[number] = app.post("/v1/accounts", draft)["id"]
        body = envelope(value(number="1007", messages=[message("wamid.1")]))
        assert app.meta(body, "secret-of-1008").status == 401
        assert app.meta(body, "secret-of-1007").status == 200
        assert speaks(app) == {"account_ids": [made[1007]]}
        app.call("PATCH", "/v1/accounts/1007", {"app_secret": "changed-since-then"})
        assert app.meta(body, "secret-of-1007").status == 401
        assert app.meta(body, "changed-since-then").status == 200


def message(wamid: str) -> dict[str, Any]:
    return {"id": wamid, "from": "5215500000001", "timestamp": "1778038763", "type": "text", "text": {"body": "Hi"}}


# --- when it cannot be kept -------------------------------------------------------------------------------------------


class Refusing:
    """An ingest that cannot."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def receive(self, body: bytes, speaks_for: SpeaksFor, *, whose: str = "") -> Any:
        raise self.error


def test_what_cannot_be_made_durable_is_503(tmp_path: Path) -> None:
    with served(tmp_path, ingest=Refusing(Unavailable("disk full"))) as app:
        reply = app.meta(BODY)
        assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        assert "disk" not in reply.body.decode()


def test_a_stumble_is_500_and_says_nothing_of_it(tmp_path: Path) -> None:
    with served(tmp_path, ingest=Refusing(RuntimeError("an inner secret"))) as app:
        assert "inner" not in json.dumps(app.meta(BODY).problem_like(500))
