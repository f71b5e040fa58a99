"""What Tellwire sends, the simulated Meta takes; what that refuses, Tellwire puts in the class of its code."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.simulator.running import NUMBER, Meta, running, text
from tests.unit.meta.outgoing.cases import SENDABLE

from tellwire.http_client.graph import open_graph
from tellwire.meta.codes import CODES
from tellwire.meta.outgoing.answers import Accepted, Refused, Unknown, read_answer
from tellwire.meta.outgoing.body import body_of
from tellwire.meta.outgoing.recipient import Recipient
from tellwire.simulator import TOKEN, refusals
from tellwire.simulator.checks import INTERACTIVE_TYPES, read

PHONE = Recipient("phone", "+5215500000001")


@pytest.mark.parametrize(("kind", "value"), SENDABLE)
def test_what_tellwire_sends_is_taken(kind: str, value: Any) -> None:
    body = body_of(json.dumps({"type": kind, kind: value}).encode(), PHONE, callback="ours")
    assert body is not None
    sent = read(json.loads(body))
    assert (sent.type, sent.phone, sent.callback_data) == (kind, "5215500000001", "ours")


def test_every_interactive_kind_that_tellwire_sends_is_known() -> None:
    assert {value["type"] for kind, value in SENDABLE if kind == "interactive"} <= {*INTERACTIVE_TYPES}


@pytest.mark.parametrize("code", CODES)
def test_a_refusal_is_read_as_its_code_says(code: int) -> None:
    refused = refusals.Refusal(code, "because")
    read_as = read_answer(refused.http, json.dumps(refused.body("T")).encode())
    assert isinstance(read_as, Refused)
    assert (read_as.code, read_as.kind) == (code, CODES[code].kind)


@pytest.mark.parametrize(
    ("knobs", "kinds"),
    [
        pytest.param({}, {Accepted}, id="fair weather"),
        pytest.param({"timeout_rate": 1, "hang_seconds": 0.05}, {Unknown}, id="never answered"),
        pytest.param({"error_rate": 1}, {Unknown, Refused}, id="out of order"),
        pytest.param({"throttle_rate": 1}, {Refused}, id="throttled"),
    ],
)
def test_tellwires_own_client_sees_what_became_of_a_send(knobs: dict[str, Any], kinds: set[type]) -> None:
    async def test(there: Meta) -> None:
        graph = open_graph(there.simulator.url + "/v24.0")
        answers = [
            await graph.ask(TOKEN, f"{NUMBER}/messages", method="POST", body=json.dumps(text()).encode())
            for _ in range(20)
        ]
        await graph.close()
        assert {type(read_answer(each.status, each.body, written=each.written)) for each in answers} == kinds

    running(test, **knobs)
