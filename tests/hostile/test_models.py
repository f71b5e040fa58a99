"""A tenant's model answers with whatever costs most: it costs the others nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from msgspec import Struct
from tests.acceptance.processes import until
from tests.hostile.bodies import NUMBER, WABA
from tests.hostile.hostile_world import MIB, Target, serving
from tests.hostile.inside import Heard, Inside, Said, listening
from tests.hostile.test_bodies import Probe

pytestmark = pytest.mark.alone

_STALLED = 0.3
_GROWN = 100 * MIB
"""Memory that one answer may take; the libraries that ask models are loaded by then."""


def completion(**message: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": "stop"}
    return json.dumps(
        {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    ).encode()


def calls(count: int, name: str = "look", arguments: str = "{}") -> bytes:
    function = {"name": name, "arguments": arguments}
    return completion(
        tool_calls=[{"id": f"call_{number}", "type": "function", "function": function} for number in range(count)]
    )


ANSWERS: dict[str, Callable[[], bytes]] = {
    "thousands of calls": lambda: calls(2_500),
    "calls that fill a megabyte": lambda: calls(9_000),
    "calls of a tool that is none": lambda: calls(2_000, "none"),
    "one large call": lambda: calls(1, arguments=json.dumps({"what": "x" * 900_000})),
    "a large call that fits": lambda: calls(1, arguments=json.dumps({"what": "x" * 200_000})),
    "choices": lambda: b'{"choices":[' + b"{}," * 80_000 + b"{}]}",
    "a deep answer": lambda: b"[" * 100_000 + b"]" * 100_000,
    "a text": lambda: completion(content="x" * 200_000),
    "numbers": lambda: (
        completion(content="x")[:-1] + b',"usage":{"prompt_tokens":1e400,"x":[' + b"0," * 90_000 + b"0]}}"
    ),
}


class Place(Struct):
    """A server whose tenants have models at `inside`; `said`: what each model answers, by its place in `ANSWERS`."""

    inside: Inside
    target: Target
    said: dict[str, bytes]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    said: dict[str, bytes] = {}

    def answer(heard: Heard) -> Said:
        return Said(200, said[heard.path.split("/")[1]] if heard.path.endswith("/completions") else b"x" * 16_000)

    with (
        listening(answer) as inside,
        serving(
            tmp_path_factory.mktemp("models"),
            SHOW_ALLOW_LISTED_ANSWERS="true",
            META_GRAPH_URL=inside.url,
            MODEL_ALLOW_CIDRS="127.0.0.0/8",
            TOOL_ALLOW_CIDRS="127.0.0.0/8",
        ) as target,
    ):
        yield Place(inside, target, said)


@pytest.mark.parametrize("name", ANSWERS)
def test_no_answer_of_a_model_holds_anybody_up(place: Place, name: str) -> None:
    inside, target = place.inside, place.target
    mine = str(list(ANSWERS).index(name))
    place.said[mine] = completion(content="Hello!")
    parameters = {"type": "object", "properties": {"what": {"type": "string"}}}
    tool = {"name": "look", "url": f"{inside.url}/{mine}/tool", "parameters": parameters}
    agent = {"name": "A", "kind": "ai", "model": "m", "base_url": f"{inside.url}/{mine}/v1", "debounce_seconds": 0}
    agent |= {"tools": [tool], "allowed_tool_origins": [inside.url]}
    status, made = target.call("/v1/agents", method="POST", body=agent)
    assert status == 201, made
    number = f"{NUMBER}{mine}"
    account = {"phone_number_id": number, "waba_id": WABA, "agent_id": made["id"]}
    account |= {"display_phone_number": f"+1555000111{mine}", "access_token": "an-invented-token"}
    assert target.call("/v1/accounts", method="POST", body=account)[0] == 201

    def runs() -> list[Any]:
        return list(target.call(f"/v1/agents/{made['id']}/runs")[1]["data"])

    target.post(message(number, f"wamid.{mine}.1"))
    until(lambda: [run for run in runs() if run["outcome"] == "replied"], what="the library is loaded")
    place.said[mine], asked = ANSWERS[name](), len(inside.heard)
    before = target.rss()
    with Probe(target).running() as probe:
        target.post(message(number, f"wamid.{mine}.2"))
        outcome = until(lambda: runs()[0]["outcome"] != "replied" and runs()[0], what="the outcome")
    assert outcome["outcome"] in ("retrying", "failed"), outcome
    assert probe.longest <= _STALLED
    assert target.rss() - before <= _GROWN
    assert sum(heard.path == f"/{mine}/tool" for heard in inside.heard[asked:]) <= 32


def message(number: str, wamid: str) -> dict[str, Any]:
    written = {"from": "15551230001", "id": wamid, "timestamp": str(int(time.time()))}
    metadata = {"display_phone_number": f"1555000111{number[-1]}", "phone_number_id": number}
    value = {"metadata": metadata, "messages": [written | {"type": "text", "text": {"body": "Hi"}}]}
    return {
        "object": "whatsapp_business_account",
        "entry": [{"id": WABA, "changes": [{"field": "messages", "value": {"messaging_product": "whatsapp"} | value}]}],
    }
