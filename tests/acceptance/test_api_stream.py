"""`/v1/events/stream` over a real socket."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct
from tests.served import ADMIN, MISSING, Served, served
from tests.world import envelope, incoming

from tellwire.formats import FORMATS
from tellwire.model.deliveries import Endpoint, SentAs
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.stores.queries import organizations
from tellwire.stores.queries.audit import AuditChange

PATH = "/v1/events/stream"


class Frame(Struct):
    """One event of a stream."""

    id: str
    event: str
    data: bytes


class Stream:
    """An open stream."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.answer = answer

    def next(self) -> Frame:
        """The next event, comments skipped."""
        while True:
            lines = self.lines()
            fields = dict(line.split(b": ", 1) for line in lines if not line.startswith(b":") and b": " in line)
            if b"id" in fields:
                data = [line[6:] for line in lines if line.startswith(b"data: ")]
                return Frame(fields[b"id"].decode(), fields[b"event"].decode(), b"\n".join(data))

    def lines(self) -> list[bytes]:
        """The lines up to the next empty one."""
        lines = []
        while line := self.answer.readline().rstrip(b"\n"):
            lines.append(line)
        return lines

    def ended(self) -> bool:
        """Read on to the stream's end."""
        return self.answer.read() is not None


@contextmanager
def streaming(app: Served, path: str = PATH, *, key: str = ADMIN, **headers: str) -> Iterator[Stream]:
    connection = app.connection()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("GET", path, None, {"authorization": f"Bearer {key}"} | names)
    answer = connection.getresponse()
    assert answer.status == 200
    assert answer.getheader("content-type", "").startswith("text/event-stream")
    stream = Stream(answer)
    assert stream.lines()[0].startswith(b":")
    try:
        yield stream
    finally:
        answer.close()
        connection.close()


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        yield running


def say(app: Served, index: int) -> None:
    assert app.meta(envelope(incoming(f"wamid.{index}", f"Line\n{index}"))).status == 200


def test_events_come_as_they_happen_in_the_row_format(app: Served) -> None:
    with streaming(app) as stream:
        say(app, 1)
        first, second = stream.next(), stream.next()
        assert (first.event, second.event) == ("conversations.insert", "messages.insert")
        events = {each.id: each for each in app.run(app.world.events())}
        endpoint = Endpoint(id="", organization_id="", url="", format="row")
        for frame in (first, second):
            assert frame.data == FORMATS["row"].encode(events[frame.id], endpoint, SentAs("an id"))
        say(app, 2)
        assert json.loads(stream.next().data)["data"]["content"]["text"]["body"] == "Line\n2"


def test_stream_begins_now(app: Served) -> None:
    say(app, 1)
    with streaming(app) as stream:
        say(app, 2)
        assert json.loads(stream.next().data)["data"]["wa_id"] == "wamid.2"


@pytest.mark.parametrize("how", ["header", "query"])
def test_stream_is_resumed_without_gap_or_double(app: Served, how: str) -> None:
    for index in range(60):
        say(app, index)
    events = [each["id"] for each in app.get("/v1/events?limit=200")["data"]][::-1]
    assert len(events) == 61
    last = events[5]
    options: dict[str, Any] = {"last_event_id": last} if how == "header" else {"path": f"{PATH}?last_event_id={last}"}
    with streaming(app, **options) as stream:
        assert [stream.next().id for _ in events[6:]] == events[6:]
        say(app, 100)
        assert stream.next().id not in events


def test_streams_show_one_organization(app: Served) -> None:
    other = app.organization()
    app.post("/v1/accounts", {"phone_number_id": "222"}, headers={"tellwire-organization": other})
    with streaming(app, key=app.key("read", organization=other)) as stream:
        say(app, 1)
        value = incoming("wamid.other")
        value["metadata"]["phone_number_id"] = "222"
        app.meta(envelope(value))
        assert json.loads(stream.next().data)["data"]["organization_id"] == other


def test_many_streams_get_the_same(app: Served) -> None:
    with streaming(app) as one, streaming(app) as two, streaming(app) as three:
        say(app, 1)
        assert one.next() == two.next() == three.next()


def test_a_client_that_leaves_is_let_go(app: Served) -> None:
    for _ in range(5):
        with streaming(app):
            pass
    say(app, 1)
    with streaming(app, last_event_id=MISSING) as stream:
        assert stream.next().event == "conversations.insert"


@pytest.mark.parametrize("last", ["nonsense", "%00", MISSING[:-1] + "A"])
def test_bad_event_ids_are_404(app: Served, last: str) -> None:
    app.call("GET", f"{PATH}?last_event_id={last}").problem(404)


def test_other_parameters_are_422(app: Served) -> None:
    app.call("GET", f"{PATH}?limit=5").problem(422, "/limit")


def test_streams_end_when_the_server_stops(tmp_path: Path) -> None:
    with served(tmp_path) as app:
        connection = app.connection()
        connection.request("GET", PATH, None, {"authorization": f"Bearer {ADMIN}"})
        answer = connection.getresponse()
        assert Stream(answer).lines()
    assert answer.read() == b""
    connection.close()


# --- keys that are valid no more --------------------------------------------------------------------------------------


def _made(app: Served, **draft: Any) -> tuple[str, str]:
    made = app.post("/v1/api-keys", {"scopes": ["read", "messages:write"]} | draft)
    return made["id"], made["key"]


def test_a_revoked_keys_stream_ends_at_once(app: Served) -> None:
    key_id, key = _made(app)
    _, other = _made(app)
    with streaming(app, key=key) as stream, streaming(app, key=other) as going_on:
        app.call("DELETE", f"/v1/api-keys/{key_id}")
        say(app, 1)
        assert stream.answer.read() == b""
        assert going_on.next().event == "conversations.insert"


def test_an_expired_keys_stream_ends(app: Served) -> None:
    _, key = _made(app, expires_at="2026-05-06T04:39:23Z")
    with streaming(app, key=key) as stream:
        app.clock.move(3600 * 1_000_000)
        say(app, 1)
        assert stream.answer.read() == b""


def test_a_stream_ends_whose_key_another_process_revoked(app: Served) -> None:
    """The other process is a write that this process's cache of keys is not told of, as `tellwire keys revoke` is."""
    key_id, key = _made(app)
    change = AuditChange(DEFAULT_ORGANIZATION, "test", app.clock.now(), app.world.store.new_id)
    with streaming(app, key=key) as stream:
        assert app.call("GET", "/v1/accounts", key=key).status == 200
        app.write(lambda c: organizations.revoke_key(c, change, key_id, operators=False))
        assert stream.answer.read() == b""
        app.call("GET", "/v1/accounts", key=key).problem(401)
