"""WappCloud's send API, as docs/reference/wappcloud.md tells it: every kind of message, every field and error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.test_api_media import PNG
from tests.served import ADMIN, Reply, Served, served
from tests.world import CUSTOMER, NUMBER, START, WABA, envelope, incoming

from tellwire.accounts.templates import Template, TemplateStatus
from tellwire.errors import Unavailable
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.stores.queries import templates
from tellwire.web.wappcloud.routes import MEDIA_TYPES, PATH

LATE = "5215500000002"
TO = f"+{CUSTOMER}"
TEXT = {"contact_number": TO, "messageType": "text", "message": {"messageBody": "Hello"}}
SENT = {"success": True, "code": 200, "message": "Message sent successfully"}
HELLO = [{"type": "BODY", "text": "Hello {{1}}, {{2}}"}]
RICH = [
    {"type": "HEADER", "format": "IMAGE"},
    {"type": "BODY", "text": "Hello"},
    {
        "type": "BUTTONS",
        "buttons": [
            {"type": "QUICK_REPLY", "text": "Yes"},
            {"type": "URL", "text": "Home", "url": "https://example.com/"},
            {"type": "URL", "text": "Order", "url": "https://example.com/{{1}}"},
        ],
    },
]
NAMED = [{"type": "HEADER", "format": "TEXT", "text": "Hi {{who}}"}, {"type": "BODY", "text": "Order {{order}}"}]
TEMPLATES: tuple[tuple[str, str, list[Any], str, str], ...] = (
    ("hello", "en", HELLO, "APPROVED", ""),
    ("rich", "de", RICH, "APPROVED", ""),
    ("named", "en", NAMED, "APPROVED", "NAMED"),
    ("two", "en", [], "APPROVED", ""),
    ("two", "de", [], "APPROVED", ""),
    ("draft", "en", [], "PENDING", ""),
    ("one_left", "en", [], "DELETED", ""),
    ("one_left", "fr", [], "APPROVED", ""),
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("wappcloud")) as running:
        shop(running)
        yield running


def shop(app: Served) -> None:
    """An account, a customer who has just written and one who did so long ago, and templates as Meta listed them."""
    account = {"phone_number_id": NUMBER, "waba_id": WABA, "access_token": "an-invented-token"}
    app.post("/v1/accounts", account | {"display_phone_number": "+91 91234 56789"})
    at = START // 1_000_000
    app.meta(envelope(incoming("wamid.late", sender=LATE, timestamp=str(at - 172_800))))
    app.meta(envelope(incoming("wamid.in", timestamp=str(at))))
    for number, (name, language, components, state, style) in enumerate(TEMPLATES):
        template = Template(
            id=app.world.store.new_id(),
            organization_id=DEFAULT_ORGANIZATION,
            waba_id=WABA,
            meta_id=str(900 + number),
            name=name,
            language=language,
            category="UTILITY",
            status=state,
            parameter_format=style,
            components=json.dumps(components).encode(),
            created_at=1,
            updated_at=1,
        )
        app.write(partial(templates.put, template=template))
    listed = TemplateStatus(organization_id=DEFAULT_ORGANIZATION, waba_id=WABA, synchronised_at=1)
    app.write(lambda c: templates.put_sync_status(c, listed))


def call(app: Served, body: Any, query: str = "", **headers: str) -> Reply:
    return app.call("POST", PATH + query, body, headers={name.replace("_", "-"): v for name, v in headers.items()})


def form(app: Served, content: bytes = PNG, *, name: str = "a.png", file: str = "chatMedia", **fields: str) -> Reply:
    given = {"contact_number": TO, "messageType": "file", "mediaType": "image"} | fields
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{text}\r\n'.encode()
        for key, text in given.items()
        if text
    ]
    head = f'--b\r\nContent-Disposition: form-data; name="{file}"; filename="{name}"\r\n\r\n'.encode()
    body = b"".join(parts) + head + content + b"\r\n--b--\r\n"
    return app.call("POST", PATH, body, headers={"content-type": "multipart/form-data; boundary=b"})


def wrong(reply: Reply, code: int, words: str = "") -> None:
    """The reply must be an error of WappCloud's."""
    assert reply.status == code, (reply.status, reply.body)
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "no-store"
    assert list(reply.json) == ["success", "code", "message"]
    assert (reply.json["success"], reply.json["code"]) == (False, code)
    assert words in reply.json["message"], reply.json


def sent(app: Served) -> list[Any]:
    found: list[Any] = app.get("/v1/messages?direction=outgoing&limit=200")["data"]
    return found


# --- what is sent -----------------------------------------------------------------------------------------------------


def test_text(app: Served) -> None:
    reply = call(app, TEXT)
    assert (reply.status, reply.json) == (200, SENT)
    assert (sent(app)[0]["content"], sent(app)[0]["to"]) == ({"type": "text", "text": {"body": "Hello"}}, CUSTOMER)
    assert call(app, {name: text for name, text in TEXT.items() if name != "messageType"}).json == SENT


def parameters(kind: str, *found: dict[str, Any], **more: str) -> dict[str, Any]:
    return {"type": kind, **more, "parameters": list(found)}


def text(words: str, **more: str) -> dict[str, str]:
    return {"type": "text", **more, "text": words}


IMAGE = {"type": "image", "url": "https://files.example.com/a.png"}


@pytest.mark.parametrize(
    ("message", "language", "components"),
    [
        ({"template_name": "one_left"}, "fr", []),
        ({"template_name": "two", "language": "de"}, "de", []),
        (
            {"template_name": "hello", "body": {"variables": {"2": 7, "1": "Ada"}}},
            "en",
            [parameters("body", text("Ada"), text("7"))],
        ),
        (
            {"template_name": "rich", "header": IMAGE, "buttons": [{"type": "url", "text": "A1"}]},
            "de",
            [
                parameters("header", {"type": "image", "image": {"link": IMAGE["url"]}}),
                parameters("button", text("A1"), sub_type="url", index="2"),
            ],
        ),
        (
            {
                "template_name": "named",
                "header": {"type": "text", "text": "Ada"},
                "body": {"variables": {"order": "A1"}},
            },
            "en",
            [
                parameters("header", text("Ada") | {"parameter_name": "who"}),
                parameters("body", text("A1") | {"parameter_name": "order"}),
            ],
        ),
    ],
)
def test_templates(app: Served, message: dict[str, Any], language: str, components: list[Any]) -> None:
    reply = call(app, {"contact_number": TO, "message": message})
    made = sent(app)[0]
    assert reply.status == 200, reply.body
    assert reply.json == {
        "code": 200,
        "success": True,
        "data": {"message_uid": made["id"]},
        "message": "Request processed and messages sent successfully.",
    }
    template = made["content"]["template"]
    assert (template["name"], template["language"]) == (message["template_name"], {"code": language})
    assert template.get("components", []) == components


def test_a_template_that_nobody_knows_goes_out_as_it_is_asked_for(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        app.post("/v1/accounts", {"phone_number_id": NUMBER, "access_token": "an-invented-token"})
        message = {
            "template_name": "bill",
            "header": {"type": "document", "url": "https://files.example.com/a.pdf", "filename": "a.pdf"},
            "buttons": [{"type": "url", "text": "1"}, {"type": "url", "text": "2"}],
        }
        assert call(app, {"contact_number": TO, "message": message}).status == 200
        template = sent(app)[0]["content"]["template"]
        assert template["language"] == {"code": "en_US"}
        file = {"link": "https://files.example.com/a.pdf", "filename": "a.pdf"}
        assert template["components"] == [
            parameters("header", {"type": "document", "document": file}),
            parameters("button", text("1"), sub_type="url", index="0"),
            parameters("button", text("2"), sub_type="url", index="1"),
        ]


FILES = {
    "image": ("a.png", "image/png"),
    "video": ("a.mp4", "video/mp4"),
    "audio": ("a.mp3", "audio/mpeg"),
    "document": ("a.pdf", "application/pdf"),
}


@pytest.mark.parametrize("kind", MEDIA_TYPES)
def test_files(app: Served, kind: str) -> None:
    name, mime_type = FILES[kind]
    reply = form(app, b"some bytes", name=name, mediaType=kind)
    assert (reply.status, reply.json) == (200, SENT)
    made = sent(app)[0]
    [file] = made["media"]
    assert made["content"] == {
        "type": kind,
        kind: {"id": file["id"]} | ({"filename": name} if kind == "document" else {}),
    }
    kept = app.get(f"/v1/media/{file['id']}")
    assert (kept["mime_type"], kept["size"], kept["state"]) == (mime_type, 10, "stored")
    assert app.call("GET", f"/v1/media/{file['id']}/content").body == b"some bytes"


def test_a_caption(app: Served) -> None:
    assert form(app, caption="Look").json == SENT
    assert sent(app)[0]["content"]["image"]["caption"] == "Look"


# --- once -------------------------------------------------------------------------------------------------------------


def test_a_message_uid_sends_once(tmp_path: Path, each_store: None) -> None:
    with served(tmp_path) as app:
        shop(app)
        once = {"contact_number": TO, "message": {"template_name": "one_left"}, "message_uid": "DSF 1"}
        first, again = call(app, once), call(app, once)
        assert first.json["data"] == {"message_uid": "DSF 1"}
        assert (first.status, again.status, first.body) == (200, 200, again.body)
        assert again.headers["idempotency-replayed"] == "true"
        assert len(sent(app)) == 1
        wrong(call(app, once | {"contact_number": f"+{LATE}"}), 422, "This message_uid came with another request")
        for given in (TEXT | {"message_uid": 5}, TEXT | {"message_uid": "DSF 2"}):
            assert [call(app, given).json for _ in range(2)] == [SENT, SENT]
        assert len(sent(app)) == 3
        assert [form(app, message_uid="file").json for _ in range(2)] == [SENT, SENT]
        assert len(sent(app)) == 4
        assert len(app.get("/v1/media")["data"]) == 1
        for _ in range(2):
            assert call(app, TEXT, idempotency_key="k").json == SENT
        assert len(sent(app)) == 5
        assert call(app, TEXT, idempotency_key="5").json == SENT  # a header's value is no message_uid
        assert len(sent(app)) == 6


def test_a_message_uid_that_was_refused_may_come_again(app: Served) -> None:
    late = {"contact_number": f"+{LATE}", "message": {"messageBody": "Hello"}, "message_uid": "late"}
    wrong(call(app, late), 422, "24 hours ago")
    assert call(app, late | {"contact_number": TO}).json == SENT


# --- errors -----------------------------------------------------------------------------------------------------------


def with_template(**more: Any) -> dict[str, Any]:
    return {"contact_number": TO, "message": {"template_name": "hello"} | more}


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (b"{", 400, "not JSON"),
        (b"", 400, "not JSON"),
        (b"[]", 422, ""),
        (b" " * 1_100_000, 413, "1 MiB"),
        (b'{"message":{"messageBody":"\\ud800"}}', 400, ""),
        ({}, 422, "message must be an object"),
        (TEXT | {"message": "Hello"}, 422, "message must be an object"),
        (TEXT | {"message": {}}, 422, "messageBody"),
        (TEXT | {"message": {"messageBody": ""}}, 422, "messageBody"),
        (TEXT | {"message": {"messageBody": 5}}, 422, "messageBody"),
        (TEXT | {"message": {"messageBody": "x" * 4097}}, 422, "text.body"),
        (TEXT | {"messageType": "file"}, 422, "form"),
        (TEXT | {"messageType": ["text"]}, 422, "messageType"),
        ({"message": TEXT["message"]}, 422, "contact_number"),
        (TEXT | {"contact_number": 5}, 422, "contact_number"),
        (TEXT | {"contact_number": "+0"}, 422, "contact_number"),
        (TEXT | {"contact_number": "12"}, 422, "contact_number"),
        (TEXT | {"contact_number": f"+{LATE}"}, 422, "takes only templates"),
        (TEXT | {"message_uid": "x" * 256}, 422, "message_uid"),
        (TEXT | {"message_uid": ["a"]}, 422, "message_uid"),
        (with_template(), 422, "2 parameters"),
        (with_template(template_name=5), 422, "template_name"),
        (with_template(template_name="UPPER"), 422, "template"),
        (with_template(template_name="a\0b"), 422, "template"),
        (with_template(template_name="unknown"), 422, "not a template"),
        (with_template(template_name="draft"), 422, "PENDING"),
        (with_template(template_name="two"), 422, "message.language"),
        (with_template(language=5), 422, "message.language"),
        (with_template(language="xx"), 422, "not a language"),
        (with_template(header="x"), 422, "message.header.type"),
        (with_template(header={"type": "sticker"}), 422, "message.header.type"),
        (with_template(header={"type": ["text"]}), 422, "message.header.type"),
        (with_template(header={"type": "image"}), 422, "message.header.url"),
        (with_template(header={"type": "text"}), 422, "message.header.text"),
        (with_template(header={"type": "image", "url": "ftp://a"}), 422, "link"),
        (with_template(body="x"), 422, "variables"),
        (with_template(body={"variables": ["a"]}), 422, "variables"),
        (with_template(body={"variables": {"1": "a", "3": "b"}}), 422, "without gaps"),
        (with_template(body={"variables": {"1": "a", "name": "b"}}), 422, "without gaps"),
        (with_template(body={"variables": {"1": None}}), 422, "variables.1"),
        (with_template(buttons={"type": "url"}), 422, "buttons"),
        (with_template(buttons=[{"type": "call"}]), 422, "must be url"),
        (with_template(buttons=["url"]), 422, "must be url"),
        (with_template(buttons=[{"type": "url"}]), 422, "buttons[0].text"),
    ],
)
def test_errors(app: Served, body: Any, code: int, words: str) -> None:
    before = len(sent(app))
    wrong(call(app, body), code, words)
    assert len(sent(app)) == before


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"mediaType": ""}, "mediaType"),
        ({"mediaType": "sticker"}, "mediaType"),
        ({"messageType": "text"}, "messageType"),
        ({"contact_number": ""}, "contact_number"),
        ({"contact_number": "x"}, "contact_number"),
        ({"contact_number": f"+{LATE}"}, "takes only templates"),
        ({"mediaType": "video"}, "as video"),
        ({"message_uid": "x" * 256}, "message_uid"),
        ({"account": NUMBER}, "account: is not a field here"),
        ({"file": "other", "content": b"small"}, "chatMedia: is required"),
        ({"name": "a.exe"}, "chatMedia: must be one that Meta takes"),
        ({"content": b""}, "chatMedia: is empty"),
        ({"content": b"x" * 6_000_000}, "chatMedia: has 6000000 bytes"),
        ({"mediaType": "audio", "name": "a.mp3", "caption": "No"}, "audio.caption"),
    ],
)
def test_wrong_forms_leave_nothing_behind(app: Served, fields: dict[str, Any], words: str) -> None:
    before = len(sent(app)), app.get("/v1/media?limit=200")["data"]
    wrong(form(app, **fields), 422, words)
    assert (len(sent(app)), app.get("/v1/media?limit=200")["data"]) == before


def test_broken_forms(app: Served) -> None:
    for kind, code in (("multipart/form-data", 415), ("multipart/mixed; boundary=b", 415)):
        wrong(call(app, b"x", content_type=kind), code, "form")
    wrong(call(app, b"--b\r\nnonsense", content_type="multipart/form-data; boundary=b"), 400)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_other_methods(app: Served, method: str) -> None:
    wrong(app.call(method, PATH), 405, "POST")


def test_other_paths_have_its_errors_too(app: Served) -> None:
    wrong(app.call("POST", "/api/v1/external", {}), 404)
    wrong(app.call("POST", f"{PATH}/", {}), 404)
    wrong(app.call("POST", PATH, TEXT, headers={"host": "evil.example.com"}), 400, "ALLOWED_HOSTS")


def test_no_database(tmp_path: Path) -> None:
    with served(tmp_path, store_error=Unavailable("away")) as app:
        wrong(app.call("POST", PATH, TEXT, key="tw_" + "a" * 43), 503, "database")


def test_keys_and_scopes(app: Served) -> None:
    body = json.dumps(TEXT).encode()

    def code(**headers: str) -> Reply:
        return app.send("POST", PATH, body, {name.replace("_", "-"): v for name, v in headers.items()})

    other = "tw_" + "a" * 43
    for headers in ({}, {"x_api_key": other}, {"authorization": f"Bearer {other}"}, {"x_api_key": ""}):
        wrong(code(**headers), 401)
    wrong(code(x_api_key=app.key("read")), 403, "messages:write")
    for scope in ("messages:write", "admin"):
        key = app.key(scope)
        assert code(x_api_key=key).json == SENT
        assert code(authorization=f"Bearer {key}").json == SENT
        assert code(x_api_key=key, authorization=f"Bearer {other}").json == SENT
    wrong(code(x_api_key=other, authorization=f"Bearer {ADMIN}"), 401)


# --- accounts and organizations ---------------------------------------------------------------------------------------


def test_which_account_sends(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        wrong(call(app, TEXT), 422, "no account")
        shop(app)
        app.post("/v1/accounts", {"phone_number_id": "222", "name": "Bar", "access_token": "another-invented-token"})
        ours = app.get(f"/v1/accounts/{NUMBER}")["id"]
        wrong(call(app, TEXT), 422, "?account=<phone_number_id>")
        wrong(form(app), 422, NUMBER)
        for name in (NUMBER, ours, "919123456789", "%2B91%2091234%2056789"):
            assert call(app, TEXT, f"?account={name}").json == SENT
            assert sent(app)[0]["account_id"] == ours
        assert call(app, TEXT, "?account=222").json == SENT
        wrong(call(app, TEXT, "?account=333"), 422, "There is no account")
        app.post("/v1/accounts", {"phone_number_id": "444"})
        wrong(call(app, TEXT, "?account=444"), 422, "access_token")


def test_anothers_account_templates_and_uids_are_not_there(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        shop(app)
        key = app.key("admin", organization=app.organization())
        app.outside.shows = {"their-invented-token": {"222": {"id": "222"}}}
        app.post("/v1/accounts", {"phone_number_id": "222", "access_token": "their-invented-token"}, key=key)
        once = TEXT | {"message_uid": "same"}
        for each in (ADMIN, key):
            assert app.call("POST", PATH, once, key=each).json == SENT
        assert [len(app.get("/v1/messages?direction=outgoing", key=each)["data"]) for each in (ADMIN, key)] == [1, 1]
        wrong(app.call("POST", f"{PATH}?account={NUMBER}", TEXT, key=key), 422, "There is no account")
        told = app.call("POST", PATH, with_template(template_name="two"), key=key)
        assert told.status == 200  # the other organization's templates do not count
        assert app.get("/v1/messages?limit=1", key=key)["data"][0]["content"]["template"]["language"]["code"] == "en_US"
