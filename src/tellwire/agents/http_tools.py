"""USE CASE. Calls a tool over HTTP as a model asked, and returns what the model is shown of the answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from tellwire.agents import tool_calls
from tellwire.agents.settings import AgentSettings, Tool, headers_of
from tellwire.errors import Forbidden
from tellwire.model.agents import Agent
from tellwire.ports.http_out import Sender

_SHORTEST_SECRET = 6
_encode = msgspec.json.Encoder().encode


async def call(sender: Sender, agent: Agent, settings: AgentSettings, tool: Tool, arguments: Mapping[str, Any]) -> str:
    """Call a tool and return what the model is shown, as JSON; never raises for what a model or a server does."""
    headers = headers_of(agent, tool)
    try:
        request = tool_calls.request(
            tool.url,
            tool.method,
            arguments,
            known=tool.names,
            headers=headers,
            allowed=settings.allowed_tool_origins,
        )
    except Forbidden as refusal:
        return _encode({"error": str(refusal)}).decode()
    request = replace(request, organization_id=agent.organization_id)
    return tool_calls.result_for_model(await sender.send(request), _secrets(headers))


def _secrets(headers: Mapping[str, str]) -> list[str]:
    """Return what must not be shown to the model: the values, and their parts (a token behind `Bearer`), the longest
    first."""
    found = {part for value in headers.values() for part in (value, *re.split(r"[\s=:,;]+", value))}
    return sorted((each for each in found if len(each) >= _SHORTEST_SECRET), key=len, reverse=True)
