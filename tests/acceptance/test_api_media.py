"""`/v1/media` and the links: uploaded, served, ranged, refused, deleted; what Meta is told of it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.client import IncompleteRead
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection
from tests.media_world import MediaWorld, visit
from tests.served import ADMIN, MISSING, SETTINGS, Served, served
from tests.simulator.running import NUMBER as SIMULATED
from tests.world import CUSTOMER, DAY, NUMBER, START, SetClock, contact, envelope, value

from tellwire.media.uploads import FRESH, NotUploaded, Uploads
from tellwire.meta.outgoing.answers import Refused
from tellwire.meta.outgoing.media import with_media_ids
from tellwire.model.messaging import Media
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.observability.counters import Counters
from tellwire.ports.http_out import Answer
from tellwire.privacy.retention import Retention, RetentionPeriods
from tellwire.stores.queries import media as media_queries
from tellwire.stores.work_queues.media import SqlMediaFiles
from tellwire.stores.work_queues.retention import SqlRetention

PNG = bytes(range(256)) * 40
PDF = "application/pdf"


pytestmark = pytest.mark.usefixtures("each_store")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, each_store: None) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("media")) as running:
        running.post("/v1/accounts", {"phone_number_id": NUMBER, "access_token": "a-token"})
        yield running


def uploaded(app: Served, content: bytes = PNG, **options: Any) -> dict[str, Any]:
    reply = app.upload(content, ("account", NUMBER), **options)
    assert reply.status == 201, reply.body
    made: dict[str, Any] = reply.json
    return made


def path_of(media: dict[str, Any]) -> str:
    base = f"http://{SETTINGS.host}:{SETTINGS.port}"
    assert media["url"].startswith(base)
    return str(media["url"].removeprefix(base))


def image(wamid: str, **file: Any) -> dict[str, Any]:
    """A value with one picture of a customer."""
    told = {"id": "1234567890", "mime_type": "image/jpeg", "sha256": hashlib.sha256(PNG).hexdigest(), **file}
    message = {"from": CUSTOMER, "id": wamid, "timestamp": "1778038763", "type": "image", "image": told}
    return value(contacts=[contact()], messages=[message])


def received(app: Served, wamid: str, **file: Any) -> dict[str, Any]:
    assert app.meta(envelope(image(wamid, **file))).status == 200
    newest: dict[str, Any] = app.get("/v1/media")["data"][0]
    return newest


def settle(app: Served, media_id: str, content: bytes = b"", **fields: Any) -> None:
    """What a download comes to."""

    async def pieces() -> Any:
        yield content

    def work(connection: Connection) -> None:
        before = media_queries.find(connection, media_id)
        assert before is not None
        assert media_queries.settle(connection, before, replace(before, **fields))

    if content:
        app.run(app.files.write(media_id, pieces()))
    app.write(work)


# --- uploads ----------------------------------------------------------------------------------------------------------


def test_an_upload_is_listed_read_and_served(app: Served) -> None:
    made = uploaded(app, name="año.png")
    assert made["state"] == "stored"
    assert (made["size"], made["sha256"]) == (len(PNG), hashlib.sha256(PNG).hexdigest())
    assert (made["mime_type"], made["filename"], made["message_id"], made["meta_id"]) == (
        "image/png",
        "año.png",
        None,
        None,
    )
    assert app.get(f"/v1/media/{made['id']}") == made
    assert app.get("/v1/media")["data"][0] == made
    assert app.get(f"/v1/media?state=stored&account={NUMBER}")["data"][0] == made
    assert app.get("/v1/media?state=failed")["data"] == []
    for path, key in ((path_of(made), None), (f"/v1/media/{made['id']}/content", "an-invented-admin-key")):
        reply = app.call("GET", path, key=key)
        assert (reply.status, reply.body) == (200, PNG)
        assert reply.headers["content-type"] == "image/png"
        assert reply.headers["etag"] == f'"{made["sha256"]}"'
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["content-security-policy"] == "sandbox; default-src 'none'"
        assert reply.headers["content-disposition"] == "inline; filename=\"a_o.png\"; filename*=UTF-8''a%C3%B1o.png"
        assert reply.headers["content-length"] == str(len(PNG))


@pytest.mark.parametrize(
    ("options", "fields", "pointers"),
    [
        ({}, (), ["/account"]),
        ({}, (("account", "nobody"),), ["/account"]),
        ({}, (("account", NUMBER), ("account", NUMBER)), ["/account"]),
        ({}, (("account", NUMBER), ("colour", "red")), ["/colour"]),
        ({"kind": "text/html"}, (("account", NUMBER),), ["/type"]),
        ({"kind": "image/svg+xml"}, (("account", NUMBER),), ["/type"]),
        ({"kind": ""}, (("account", NUMBER), ("type", "image/gif")), ["/type"]),
        ({"name": "x.exe", "kind": "application/octet-stream"}, (("account", NUMBER),), ["/type"]),
        ({}, (("account", "x" * 2000),), ["/account"]),
    ],
)
def test_bad_forms(
    app: Served, options: dict[str, Any], fields: tuple[tuple[str, str], ...], pointers: list[str]
) -> None:
    before = len(app.get("/v1/media?limit=200")["data"])
    app.upload(PNG, *fields, **options).problem(422, *pointers)
    assert len(app.get("/v1/media?limit=200")["data"]) == before


@pytest.mark.parametrize(
    ("size", "kind", "status"),
    [
        (5 * 1024 * 1024, "image/png", 201),
        (5 * 1024 * 1024 + 1, "image/png", 422),
        (500 * 1024 + 1, "image/webp", 422),
        (5 * 1024 * 1024 + 1, PDF, 201),
        (0, "image/png", 422),
    ],
)
def test_sizes_are_metas(app: Served, size: int, kind: str, status: int) -> None:
    assert app.upload(bytes(size), ("account", NUMBER), kind=kind).status == status


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", "application/json", 415),
        (b"", "multipart/form-data", 415),
        (b"nothing of a form", "multipart/form-data; boundary=x", 400),
        (b"--x--\r\n", "multipart/form-data; boundary=x", 422),
        (
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\ncut',
            "multipart/form-data; boundary=x",
            400,
        ),
        (b"--x\r\nnonsense\r\n\r\n--x--\r\n", "multipart/form-data; boundary=x", 400),
        (
            b'--x\r\nContent-Disposition: form-data; name="account"\r\n\r\n\xff\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
            422,
        ),
    ],
)
def test_what_is_no_form(app: Served, body: bytes, content_type: str, status: int) -> None:
    app.call("POST", "/v1/media", body, headers={"content-type": content_type}).problem_like(status)


def test_a_file_above_every_limit_is_413(tmp_path: Path) -> None:
    with served(tmp_path, settings=replace(SETTINGS, media_max_bytes=1000)) as small:
        small.post("/v1/accounts", {"phone_number_id": NUMBER})
        small.upload(bytes(1001), ("account", NUMBER)).problem(413)
        assert [each for each in (tmp_path / "media").rglob("*") if each.is_file()] == []


def test_an_idempotency_key_uploads_once(app: Served) -> None:
    headers = {"idempotency-key": "upload-1"}
    made = uploaded(app, headers=headers)
    again = app.upload(PNG, ("account", NUMBER), headers=headers)
    assert (again.status, again.json, again.headers["idempotency-replayed"]) == (201, made, "true")
    app.upload(PNG[1:], ("account", NUMBER), headers=headers).problem(422)
    app.upload(PNG, ("account", NUMBER), name="other.png", headers=headers).problem(422)


def revocable(app: Served) -> tuple[str, str]:
    made = app.post("/v1/api-keys", {"scopes": ["read", "messages:write"]})
    return made["id"], made["key"]


def test_a_download_is_cut_off_when_its_key_is_revoked(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        app.post("/v1/accounts", {"phone_number_id": NUMBER, "access_token": "a-token"})
        made = uploaded(app, bytes(32 * 1024 * 1024), name="long.pdf", kind=PDF)
        key_id, key = revocable(app)
        connection = app.connection()
        connection.request("GET", f"/v1/media/{made['id']}/content", headers={"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        assert len(answer.read(1000)) == 1000
        app.call("DELETE", f"/v1/api-keys/{key_id}")
        with pytest.raises(IncompleteRead) as cut:
            answer.read()
        assert len(cut.value.partial) < made["size"] - 1000
        connection.close()


def test_an_upload_ends_when_its_key_is_revoked(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        app.post("/v1/accounts", {"phone_number_id": NUMBER, "access_token": "a-token"})
        key_id, key = revocable(app)
        head = b'--x\r\nContent-Disposition: form-data; name="account"\r\n\r\n' + NUMBER.encode()
        head += b'\r\n--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n' + PNG
        connection = app.connection()
        connection.putrequest("POST", "/v1/media")
        for name, given in (
            ("Authorization", f"Bearer {key}"),
            ("Content-Type", "multipart/form-data; boundary=x"),
            ("Content-Length", str(len(head) + len(PNG) + 9)),
        ):
            connection.putheader(name, given)
        connection.endheaders()
        connection.send(head)
        while not app.query("SELECT id FROM media"):
            pass
        app.call("DELETE", f"/v1/api-keys/{key_id}")
        connection.send(PNG + b"\r\n--x--\r\n")
        answer = connection.getresponse()
        assert answer.status == 401
        assert json.loads(answer.read())["type"] == "urn:tellwire:problem:invalid-key"
        assert app.query("SELECT state FROM media") == [("erased",)]
        assert [each for each in (tmp_path / "media").rglob("*") if each.is_file()] == []
        connection.close()


def test_a_change_whose_body_comes_slowly_is_refused_when_its_key_is_revoked(app: Served) -> None:
    key_id, key = revocable(app)
    app.post("/v1/api-keys", {"scopes": ["read"]})
    body = json.dumps({"account": NUMBER, "to": f"+{CUSTOMER}", "type": "text", "text": {"body": "x"}}).encode()
    before = app.query("SELECT count(*) FROM sends")
    connection = app.connection()
    connection.putrequest("POST", "/v1/messages")
    for name, given in (("Authorization", f"Bearer {key}"), ("Content-Type", "application/json")):
        connection.putheader(name, given)
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders()
    connection.send(body[:-1])
    while app.get(f"/v1/api-keys/{key_id}")["last_used_at"] is None:
        pass
    app.call("DELETE", f"/v1/api-keys/{key_id}")
    connection.send(body[-1:])
    assert connection.getresponse().status == 401
    assert app.query("SELECT count(*) FROM sends") == before
    connection.close()


def test_an_upload_that_ended_in_between_is_swept_away(tmp_path: Path) -> None:
    clock = SetClock(START)
    with served(tmp_path, clock=clock) as app:
        app.post("/v1/accounts", {"phone_number_id": NUMBER})
        hold = threading.Event()
        body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n' + PNG
        connection = app.connection()
        connection.putrequest("POST", "/v1/media")
        for name, given in (("Authorization", f"Bearer {ADMIN}"), ("Content-Type", "multipart/form-data; boundary=x")):
            connection.putheader(name, given)
        connection.putheader("Content-Length", "1000000")
        connection.endheaders(body)
        while app.query("SELECT count(*) FROM media") != [(1,)]:
            hold.wait(0.01)
        assert app.get("/v1/media")["data"] == []
        [(reserved,)] = app.query("SELECT id FROM media")
        clock.move(3_600_000_000)
        app.run(app.outside.sweep())
        rest = PNG + b'\r\n--x\r\nContent-Disposition: form-data; name="account"\r\n\r\n%b' % NUMBER.encode()
        tail = b"\r\n--x--\r\n"
        connection.send(rest + tail + b" " * (1_000_000 - len(body) - len(rest) - len(tail)))
        answer = connection.getresponse()
        assert answer.status == 409, answer.read()
        connection.close()
        assert app.call("GET", f"/v1/media/{reserved}").status == 404
        clock.move(3_600_000_000)
        app.run(app.outside.sweep())
        assert app.query("SELECT count(*) FROM media") == [(0,)]
        assert [each for each in (tmp_path / "media").rglob("*") if each.is_file()] == []


# --- links ------------------------------------------------------------------------------------------------------------


def test_only_its_own_signature_opens_a_file(app: Served) -> None:
    path = path_of(uploaded(app))
    bare, _, signature = path.partition("?signature=")
    for wrong in (
        bare,
        f"{bare}?signature=",
        f"{bare}?signature={signature[:-1]}",
        f"{path}A",
        f"{path}%00",
        f"{path}=",
        path.replace(bare, f"/media/{MISSING}"),
        f"/media/x?signature={signature}",
        path_of(uploaded(app)).replace("signature=", "signature=A"),
    ):
        problem = app.call("GET", wrong, key=None).problem_like(404)
        assert problem["detail"] == "There is no such file."


def test_parts_of_a_file(app: Served) -> None:
    path = path_of(uploaded(app))

    def get(**headers: str) -> Any:
        return app.call("GET", path, key=None, headers={k.replace("_", "-"): v for k, v in headers.items()})

    whole = get()
    assert whole.headers["accept-ranges"] == "bytes"
    tag = whole.headers["etag"]
    part = get(range="bytes=10-19")
    assert (part.status, part.body) == (206, PNG[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(PNG)}"
    assert get(range="bytes=-5").body == PNG[-5:]
    assert get(range=f"bytes={len(PNG) - 1}-").body == PNG[-1:]
    assert get(range="bytes=0-4", if_range=tag).status == 206
    assert get(range="bytes=0-4", if_range='"another"').body == PNG
    assert get(range="bytes=0-1,3-4").status == 200
    get(range=f"bytes={len(PNG)}-").problem_like(416)
    same = get(if_none_match=f'W/"x", {tag}')
    assert (same.status, same.body) == (304, b"")
    head = app.call("HEAD", path, key=None)
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(PNG)))


@pytest.mark.parametrize(
    ("state", "status", "kind"),
    [("waiting", 503, "media-waiting"), ("failed", 404, "media-failed"), ("expired", 410, "media-expired")],
)
def test_why_a_file_is_not_there(app: Served, state: str, status: int, kind: str) -> None:
    media = received(app, f"wamid.{state}")
    settle(app, media["id"], state=state, cause="a cause")
    reply = app.call("GET", path_of(media), key=None)
    problem = reply.problem_like(status)
    assert problem["type"].endswith(kind)
    assert "a cause" in problem["detail"]
    assert ("retry-after" in reply.headers) is (status == 503)
    assert app.get(f"/v1/media/{media['id']}")["cause"] == "a cause"
    app.call("GET", f"/v1/media/{media['id']}/content").problem_like(status)


def test_what_a_browser_would_run_is_downloaded_instead(app: Served) -> None:
    media = received(app, "wamid.html", mime_type="text/html", filename="a.html")
    settle(app, media["id"], b"<script>", state="stored", size=8)
    reply = app.call("GET", path_of(media), key=None)
    assert reply.headers["content-type"] == "application/octet-stream"
    assert reply.headers["content-disposition"].startswith("attachment; ")
    assert reply.body == b"<script>"


# --- retried, deleted, erased -----------------------------------------------------------------------------------------


def test_a_file_is_asked_for_again(app: Served) -> None:
    media = received(app, "wamid.retry")
    settle(app, media["id"], state="failed", cause="a cause", attempts=3, due_at=0)
    woken = app.outside.woken
    again = app.post(f"/v1/media/{media['id']}/retry", status=202)
    assert (again["state"], again["cause"], again["attempts"]) == ("waiting", None, 0)
    assert app.outside.woken == woken + 1
    app.call("POST", f"/v1/media/{uploaded(app)['id']}/retry").problem(409)


def test_deleting_says_whether_meta_deleted_its_copy_too(app: Served) -> None:
    app.outside.asked.clear()
    never_sent = uploaded(app)
    gone = app.call("DELETE", f"/v1/media/{never_sent['id']}").json
    assert gone == {"id": never_sent["id"], "deleted_at_meta": None, "cause": None}
    assert app.outside.asked == []
    app.call("GET", f"/v1/media/{never_sent['id']}").problem(404)
    app.call("GET", path_of(never_sent), key=None).problem_like(410)
    sent = uploaded(app)
    settle(app, sent["id"], meta_id="99", meta_id_at=START)
    app.outside.refused = Answer(status=400)
    gone = app.call("DELETE", f"/v1/media/{sent['id']}").json
    app.outside.refused = None
    assert (gone["deleted_at_meta"], gone["cause"]) == (False, "Meta answered 400")
    assert app.outside.asked == [("DELETE", "99", {"phone_number_id": NUMBER}, b"")]


def test_an_export_lists_files_with_links_and_an_erasure_removes_them(tmp_path: Path) -> None:
    clock = SetClock(START)
    with served(tmp_path, clock=clock) as app:
        media = received(app, "wamid.1")
        settle(app, media["id"], PNG, state="stored", size=len(PNG))
        person = app.get("/v1/contacts")["data"][0]["id"]
        [listed] = app.get(f"/v1/contacts/{person}/export")["media"]
        assert (listed["id"], listed["url"], listed["message_id"]) == (media["id"], media["url"], media["message_id"])
        assert app.call("DELETE", f"/v1/contacts/{person}").status == 202
        for _ in range(200):
            told = app.get(f"/v1/contacts/{person}/erasure")
            if told["state"] == "done":
                break
        assert (told["state"], told["erased"]["media"]) == ("done", 1)
        [row] = app.query("SELECT state, meta_id, sha256, filename, mime_type FROM media")
        assert row == ("erased", "", "", "", "")
        assert [each for each in (tmp_path / "media").rglob("*") if each.is_file()] == []
        app.call("GET", path_of(media), key=None).problem_like(410)
        assert app.get("/v1/media")["data"] == []


def test_an_export_lists_the_files_that_were_sent_to_the_person(app: Served) -> None:
    made, never_sent = uploaded(app), uploaded(app)
    for _ in range(2):
        app.post("/v1/messages", message("image", made["id"]), status=202)
    [person] = app.get(f"/v1/contacts?alias={CUSTOMER}")["data"]
    listed = [each["id"] for each in app.get(f"/v1/contacts/{person['id']}/export")["media"]]
    assert listed.count(made["id"]) == 1
    assert never_sent["id"] not in listed


def test_retention_of_messages_takes_their_files(tmp_path: Path) -> None:
    clock = SetClock(START)
    with served(tmp_path, clock=clock) as app:
        media = received(app, "wamid.1")
        clock.move(30 * DAY)

        async def rest(_: float) -> None: ...

        keeping = RetentionPeriods(payloads=10 * DAY, messages=10 * DAY)
        app.run(Retention(SqlRetention(app.world.store), clock, keeping, rest=rest, counters=Counters()).round())
        assert app.query("SELECT count(*) FROM messages") == [(0,)]
        assert app.query("SELECT id, state, due_at FROM media") == [(media["id"], "erased", clock.now())]


# --- in messages to be sent ------------------------------------------------------------------------------------------


def message(kind: str, media_id: str) -> dict[str, Any]:
    return {"account": NUMBER, "to": f"+{CUSTOMER}", "type": kind, kind: {"id": media_id}}


def test_the_row_of_a_message_shows_the_file_that_goes_with_it(app: Served) -> None:
    made = uploaded(app)
    row = app.post("/v1/messages", message("image", made["id"]), status=202)
    shown = {name: made[name] for name in ("id", "url", "mime_type", "sha256", "filename")}
    assert row["media"] == [shown]
    assert row["content"]["image"] == {"id": made["id"]}
    assert "media" not in app.post("/v1/messages", message("image", "1234567890"), status=202)


@pytest.mark.parametrize(
    ("kind", "type_", "state", "words"),
    [
        ("video", "image/png", "stored", "as video"),
        ("sticker", "image/png", "stored", "as sticker"),
        ("image", "image/webp", "stored", "as image"),
        ("document", "image/png", "failed", "is failed"),
        ("document", "image/png", "erased", "no file"),
    ],
)
def test_a_file_that_cannot_go_with_a_message(app: Served, kind: str, type_: str, state: str, words: str) -> None:
    made = uploaded(app, kind=type_)
    settle(app, made["id"], state=state)
    problem = app.call("POST", "/v1/messages", message(kind, made["id"])).problem(422, f"/{kind}/id")
    assert words in problem["errors"][0]["message"]
    app.call("POST", "/v1/messages", message(kind, MISSING)).problem(422, f"/{kind}/id")


# --- Meta's ids of our files ------------------------------------------------------------------------------------------


def test_a_file_of_ours_is_uploaded_when_it_is_first_sent_and_after_29_days(tmp_path: Path) -> None:
    async def scenario(media_world: MediaWorld) -> None:
        uploads = Uploads(
            SqlMediaFiles(media_world.world.store), media_world.files, media_world.wire, media_world.clock
        )
        account = media_world.world.store.registry().accounts[SIMULATED]
        media = Media(
            id=media_world.world.store.new_id(),
            organization_id=DEFAULT_ORGANIZATION,
            account_id=account.id,
            mime_type="image/png",
            filename='a "ñ".png',
            size=len(PNG),
            sha256=hashlib.sha256(PNG).hexdigest(),
            state="stored",
        )
        await media_world.world.store.write(lambda c: media_queries.add(c, media))

        async def pieces() -> Any:
            yield PNG

        await media_world.files.write(media.id, pieces())
        content = json.dumps({"type": "image", "image": {"id": media.id}}).encode()
        known = await uploads.ready(account, content)
        at_meta = media_world.meta.state.media_files.find(known[media.id], media_world.clock.now(), SIMULATED)
        assert at_meta is not None
        assert (at_meta.sha256, at_meta.mime_type) == (media.sha256, "image/png")
        assert json.loads(with_media_ids(content, known))["image"]["id"] == known[media.id]
        media_world.clock.move(FRESH - 1)
        assert await uploads.ready(account, content) == known
        media_world.clock.move(1)
        fresh = await uploads.ready(account, content)
        assert fresh[media.id] != known[media.id]
        foreign = b'{"type":"image","image":{"id":"1234567890"}}'
        assert await uploads.ready(account, foreign) == {}
        assert await uploads.ready(account, b'{"type":"text","text":{"body":"Hi"}}') == {}
        refused = replace(account, access_token="another")
        media_world.clock.move(FRESH)
        with pytest.raises(NotUploaded) as caught:
            await uploads.ready(refused, content)
        assert isinstance(caught.value.outcome, Refused)
        assert (caught.value.outcome.kind, caught.value.outcome.code) == ("pause", 190)
        await media_world.files.delete(media.id)
        with pytest.raises(NotUploaded) as caught:
            await uploads.ready(account, content)
        assert isinstance(caught.value.outcome, Refused)
        assert caught.value.outcome.kind == "fail"

    visit(tmp_path, scenario)


def test_a_file_that_a_customer_sent_can_be_sent_on(tmp_path: Path) -> None:
    async def scenario(media_world: MediaWorld) -> None:
        uploads = Uploads(
            SqlMediaFiles(media_world.world.store), media_world.files, media_world.wire, media_world.clock
        )
        waiting = await media_world.receives(size=1000)
        account = media_world.world.store.registry().accounts[SIMULATED]
        content = json.dumps({"type": "image", "image": {"id": waiting.id}}).encode()
        with pytest.raises(NotUploaded):
            await uploads.ready(account, content)
        media = await media_world.fetched()
        known = await uploads.ready(account, content)
        assert known[media.id] != media.meta_id
        assert await media_world.media() == [media]  # its own id is for fetching

    visit(tmp_path, scenario)


def test_the_type_that_a_customer_gives_a_file_adds_nothing_to_what_is_uploaded(tmp_path: Path) -> None:
    async def scenario(media_world: MediaWorld) -> None:
        uploads = Uploads(
            SqlMediaFiles(media_world.world.store), media_world.files, media_world.wire, media_world.clock
        )
        await media_world.receives(size=1000)
        body = json.loads(json.dumps(media_world.meta.callback.bodies[-1]))
        [message] = body["entry"][0]["changes"][0]["value"]["messages"]
        message["id"] = "wamid.broken"
        message["image"]["mime_type"] = "image/jpeg;\r\nX-Own: 1\r\n\r\nin front of the file"
        await media_world.world.post_body(body)
        media = await media_world.fetched()
        account = media_world.world.store.registry().accounts[SIMULATED]
        content = json.dumps({"type": "image", "image": {"id": media.id}}).encode()
        known = await uploads.ready(account, content)
        at_meta = media_world.meta.state.media_files.find(known[media.id], media_world.clock.now(), SIMULATED)
        assert at_meta is not None
        assert (at_meta.size, at_meta.sha256) == (media.size, media.sha256)

    visit(tmp_path, scenario)
