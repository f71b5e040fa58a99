"""Which answers of a model are not read: those that would cost more than any answer to a customer is worth."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellwire.agents.answer_bounds import MAX_CALL_BYTES, MAX_CALLS, MAX_DEPTH, MAX_VALUES, fault


def calls(count: int, arguments: str = "{}") -> Any:
    call = {"id": "call_1", "type": "function", "function": {"name": "t", "arguments": arguments}}
    return {"choices": [{"message": {"role": "assistant", "content": None, "tool_calls": [call] * count}}]}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (calls(1), ""),
        (calls(MAX_CALLS), ""),
        ({"choices": [{"message": {"content": "one, two, " * 10_000, "tool_calls": None}}]}, ""),
        ({"choices": [{"message": {"content": '\\"{[,' * 10_000}}], "usage": {"prompt_tokens": 1}}, ""),
        ({"choices": []}, ""),
        (calls(MAX_CALLS + 1), "the model asked for more than 16 calls of tools at once"),
        ({"choices": calls(MAX_CALLS)["choices"] * 2}, "the model asked for more than 16 calls of tools at once"),
        (calls(1, "x" * MAX_CALL_BYTES), "what the model asked tools for is too long"),
        ({"choices": [{}] * MAX_VALUES}, "the model's answer holds too many values"),
        ({"choices": [], "more": list(range(MAX_VALUES))}, "the model's answer holds too many values"),
        ({"choices": [{"message": "calls"}]}, "the model's answer could not be used"),
        ({"choices": [{"message": {"tool_calls": {"0": {}}}}]}, "the model's answer could not be used"),
        ([], "the model's answer could not be used"),
    ],
)
def test_what_an_answer_may_hold(answer: Any, why: str) -> None:
    assert fault(200, json.dumps(answer).encode()) == why


def test_no_depth_gets_to_a_reader_that_goes_down_into_it() -> None:
    nested = b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1)
    assert fault(200, b'{"choices":[],"more":%b}' % nested) == "the model's answer holds too many values"


def test_an_error_may_have_any_shape() -> None:
    assert fault(400, b'[{"error":{"code":400}}]') == ""
    assert fault(502, b"<html>") == ""
    assert fault(502, b"[]," * MAX_VALUES) == "the model's answer holds too many values"


@given(st.integers(100, 599), st.binary(max_size=200))
def test_any_bytes_are_read_or_have_a_reason(status: int, body: bytes) -> None:
    assert isinstance(fault(status, body), str)
