"""PURE. Which answers of a model are not read because of what they would cost (docs/how-to/ai-agents.md, "Tools").

Whoever set the agent up chose the model's server, and the library makes an object of every value and a task of every
call before it looks at any.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tellwire.meta.raw_json import verbatim

MAX_CALLS = 16
"""Calls of tools in one answer of the model."""
MAX_CALL_BYTES = 64 * 1024
"""Bytes of all calls in one answer."""
MAX_VALUES = 2_000
MAX_DEPTH = 50

_TEXT = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_UNUSABLE = "the model's answer could not be used"


def fault(status: int, body: bytes) -> str:
    """Return why an answer is not read, in plain words; "" when it may be.

    Only an answer 2xx can hold calls; of another one the size alone counts.
    """
    if verbatim.most_values(_TEXT.sub(b"", body)) > MAX_VALUES or verbatim.is_deeper(body, MAX_DEPTH):
        return "the model's answer holds too many values"
    if not 200 <= status < 300:
        return ""
    try:
        calls = _calls(json.loads(body))  # msgspec refuses half a surrogate pair, which models do say
    except (ValueError, TypeError, AttributeError):
        return _UNUSABLE
    if len(calls) > MAX_CALLS:
        return f"the model asked for more than {MAX_CALLS} calls of tools at once"
    if sum(len(json.dumps(call)) for call in calls) > MAX_CALL_BYTES:
        return "what the model asked tools for is too long"
    return ""


def _calls(answer: Any) -> list[Any]:
    """Return the calls in all choices; an answer of another shape raises."""
    found: list[Any] = []
    for choice in answer.get("choices") or ():
        calls = (choice.get("message") or {}).get("tool_calls") or []
        if not isinstance(calls, list):
            raise TypeError("calls are a list")
        found += calls
    return found
