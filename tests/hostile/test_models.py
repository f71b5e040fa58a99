"""A tenant's model answers with whatever costs most: it costs the others nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.processes import until
from tests.hostile.bodies import NUMBER, WABA
from tests.hostile.hostile_world import MIB, serving
from tests.hostile.inside import Heard, Said, listening
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


@pytest.mark.parametrize("name", ANSWERS)
def test_no_answer_of_a_model_holds_anybody_up(tmp_path: Path, name: str) -> None:
    hostile, said = ANSWERS[name](), [completion(content="Hello!")]

    def answer(heard: Heard) -> Said:
        return Said(200, said[0] if heard.path.endswith("/completions") else b"x" * 16_000)

    with (
        listening(answer) as inside,
        serving(
            tmp_path,
            SHOW_ALLOW_LISTED_ANSWERS="true",
            META_GRAPH_URL=inside.url,
            MODEL_ALLOW_CIDRS="127.0.0.0/8",
            TOOL_ALLOW_CIDRS="127.0.0.0/8",
        ) as target,
    ):
        parameters = {"type": "object", "properties": {"what": {"type": "string"}}}
        tool = {"name": "look", "url": f"{inside.url}/tool", "parameters": parameters}
        agent = {"name": "A", "kind": "ai", "model": "m", "base_url": f"{inside.url}/v1", "debounce_seconds": 0}
        agent |= {"tools": [tool], "allowed_tool_origins": [inside.url]}
        status, made = target.call("/v1/agents", method="POST", body=agent)
        assert status == 201, made
        account = {"phone_number_id": NUMBER, "waba_id": WABA, "agent_id": made["id"]}
        account |= {"display_phone_number": "+15550001111", "access_token": "an-invented-token"}
        assert target.call("/v1/accounts", method="POST", body=account)[0] == 201

        def runs() -> list[Any]:
            return list(target.call(f"/v1/agents/{made['id']}/runs")[1]["data"])

        target.post(message(1))
        until(lambda: [run for run in runs() if run["outcome"] == "replied"], what="the library is loaded")
        said[0], asked = hostile, len(inside.heard)
        before = target.rss()
        with Probe(target).running() as probe:
            target.post(message(2))
            outcome = until(lambda: runs()[0]["outcome"] != "replied" and runs()[0], what="the outcome")
        assert outcome["outcome"] in ("retrying", "failed"), outcome
        assert probe.longest <= _STALLED
        assert target.rss() - before <= _GROWN
        assert sum(heard.path.startswith("/tool") for heard in inside.heard[asked:]) <= 32


def message(number: int) -> dict[str, Any]:
    written = {"from": f"1555123000{number}", "id": f"wamid.{number}", "timestamp": str(int(time.time()))}
    metadata = {"display_phone_number": "15550001111", "phone_number_id": NUMBER}
    value = {"metadata": metadata, "messages": [written | {"type": "text", "text": {"body": "Hi"}}]}
    return {
        "object": "whatsapp_business_account",
        "entry": [{"id": WABA, "changes": [{"field": "messages", "value": {"messaging_product": "whatsapp"} | value}]}],
    }
