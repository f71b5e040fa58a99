"""An endpoint with a buffer, over real HTTP: bursts come as one POST that verifies, and everything else as ever."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.processes import catching, every, request, until
from tests.acceptance.test_main_job import ADMIN, post, serving, store  # noqa: F401 - a fixture
from tests.world import CUSTOMER, START, envelope, incoming, status, statuses

from tellwire.cli.dev.catcher import Catch
from tellwire_sdk import MessageRow, RowEvent, RowEvents

SECRETS = {"row": "whsec_" + base64.b64encode(b"a key of thirty-two bytes, ours!").decode()}
HOUR_AGO = START // 1_000_000


def subscribe(url: str, target: str, **buffer: Any) -> str:
    draft = {"url": f"{target}/row", "format": "row", "secret": SECRETS["row"], "buffer": buffer}
    code, answer = request(f"{url}/v1/webhook-endpoints", key=ADMIN, method="POST", body=draft)
    assert code == 201, answer
    assert answer["buffer"] == {"types": []} | buffer
    return str(answer["id"])


def write(url: str, number: int) -> None:
    assert post(url, envelope(incoming(f"wamid.{number}", f"message {number}", sender=CUSTOMER)))[0] == 200


def texts(catch: Catch) -> list[str]:
    match catch.payload:
        case RowEvents():
            return [str((row.content or {})["text"]["body"]) for row in catch.payload.data]
        case RowEvent(data=MessageRow(direction="incoming", content={"text": {"body": str(words)}})):
            return [words]
        case _:
            return []


def told(catches: list[Catch]) -> list[list[str]]:
    """The texts of each POST that has some."""
    return [found for found in map(texts, list(catches)) if found]


def test_ten_quick_messages_come_as_one_post(tmp_path: Path, store: dict[str, str]) -> None:  # noqa: F811
    with catching(SECRETS) as (target, catches), serving(tmp_path, **store) as (url, _):
        subscribe(url, target, seconds=60, most=10)
        for number in range(10):
            write(url, number)
        until(lambda: told(catches), what="the burst")
        assert told(catches) == [[f"message {number}" for number in range(10)]]
        [burst] = [catch for catch in catches if texts(catch)]
        assert burst.verified
        assert list(json.loads(burst.body)) == ["data", "entity", "action"]
        headers = burst.headers
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + burst.body
        mac = hmac.new(base64.b64decode(SECRETS["row"][6:]), signed, hashlib.sha256).digest()
        assert headers["webhook-signature"] == f"v1,{base64.b64encode(mac).decode()}"
        assert (headers["tellwire-count"], headers["tellwire-sequence"]) == ("10", "11")
        assert headers["tellwire-event"] == "messages.insert"
        assert headers["tellwire-message-id"] == json.loads(burst.body)["data"][0]["id"]

        group = f"deliveries?webhook_id={headers['webhook-id']}"
        until(lambda: all(each["state"] == "delivered" for each in listed(url, group)), what="their results")
        members = listed(url, group)
        assert [(each["together"], each["attempt_count"]) for each in members] == [(headers["webhook-id"], 1)] * 10
        replayed = members[4]
        path = f"{url}/v1/deliveries/{replayed['id']}/replay"
        assert request(path, key=ADMIN, method="POST")[0] == 202
        until(lambda: len(told(catches)) == 2, what="the replay")
        assert catches[-1].headers["webhook-id"] == replayed["webhook_id"] != headers["webhook-id"]
        assert len(texts(catches[-1])) == 1
        assert catches[-1].verified


def listed(url: str, query: str) -> list[dict[str, Any]]:
    code, page = request(f"{url}/v1/{query}&limit=200", key=ADMIN)
    assert code == 200, page
    return list(page["data"])


def test_a_burst_comes_when_its_time_is_over(tmp_path: Path) -> None:
    with catching(SECRETS) as (target, catches), serving(tmp_path) as (url, _):
        subscribe(url, target, seconds=1.5, most=100)
        for number in range(3):
            write(url, number)
        until(lambda: told(catches), what="the burst")
        assert told(catches) == [["message 0", "message 1", "message 2"]]
        assert all(catch.verified for catch in catches)


def test_a_status_takes_the_burst_before_it_along(tmp_path: Path) -> None:
    with catching(SECRETS) as (target, catches), serving(tmp_path) as (url, _):
        subscribe(url, target, seconds=60, most=100)
        for number in range(2):
            write(url, number)
        assert post(url, envelope(statuses(status("wamid.out", "sent", HOUR_AGO, to=CUSTOMER))))[0] == 200
        until(lambda: len(catches) == 3, what="all of it")
        assert [catch.event for catch in catches] == ["conversations.insert", "messages.insert", "messages.insert"]
        assert told(catches) == [["message 0", "message 1"]]
        assert json.loads(catches[2].body)["data"]["status"].keys() == {"sent"}


@pytest.mark.parametrize(
    ("draft", "pointer"),
    [
        ({"format": "chat", "buffer": {"seconds": 1, "most": 2}}, "/buffer"),
        ({"format": "row", "ordering": "none", "buffer": {"seconds": 1, "most": 2}}, "/buffer"),
        ({"format": "row", "buffer": {"seconds": 0.4, "most": 2}}, "/buffer/seconds"),
        ({"format": "row", "buffer": {"seconds": 61, "most": 2}}, "/buffer/seconds"),
        ({"format": "row", "buffer": {"seconds": 1, "most": 0}}, "/buffer/most"),
        ({"format": "row", "buffer": {"seconds": 1, "most": 101}}, "/buffer/most"),
        ({"format": "row", "buffer": {"seconds": 1}}, "/buffer/most"),
        ({"format": "row", "buffer": {"seconds": 1, "most": 2, "more": 3}}, "/buffer/more"),
    ],
)
def test_a_buffer_that_cannot_be_is_refused(serving_one: str, draft: dict[str, Any], pointer: str) -> None:
    body = {"url": "https://hooks.example.com/in", **draft}
    code, answer = request(f"{serving_one}/v1/webhook-endpoints", key=ADMIN, method="POST", body=body)
    assert code == 422
    assert [error["pointer"] for error in answer["errors"]] == [pointer]


@pytest.fixture(scope="module")
def serving_one(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with serving(tmp_path_factory.mktemp("one")) as (url, _):
        yield url


def test_a_buffer_may_be_changed_and_removed(serving_one: str) -> None:
    made = subscribe(serving_one, "https://hooks.example.com", seconds=2, most=5)
    path = f"{serving_one}/v1/webhook-endpoints/{made}"
    code, answer = request(path, key=ADMIN, method="PATCH", body={"ordering": "none"})
    assert (code, [error["pointer"] for error in answer["errors"]]) == (422, ["/buffer"])
    buffer = {"seconds": 3.0, "most": 7, "types": ["text"]}
    assert request(path, key=ADMIN, method="PATCH", body={"buffer": buffer})[1]["buffer"] == buffer
    code, answer = request(path, key=ADMIN, method="PATCH", body={"buffer": None, "ordering": "none"})
    assert (code, answer["buffer"]) == (200, None)
    assert made in {each["id"] for each in every(serving_one, "webhook-endpoints", key=ADMIN)}
