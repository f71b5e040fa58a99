"""Check where the URLs of an agent lead, when they are set: its model's and those of its tools."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tellwire.agents.settings import AgentSettings, Fault
from tellwire.agents.tool_calls import with_samples
from tellwire.errors import Forbidden
from tellwire.security.addresses import ANYWHERE, Origin, check_url
from tellwire.web.services import Services

Check = Callable[[str], Awaitable[None]]


async def unreachable(services: Services, settings: AgentSettings) -> list[Fault]:
    """Return which of an agent's URLs its requests may not go to; of several tools on one server only the first.

    Args:
        settings: without other faults, so that every URL is one.
    """
    asked: list[tuple[str, str, Check]] = []
    if settings.base_url:
        asked.append(("/base_url", settings.base_url, services.check_model_url))
    servers: set[Origin] = set()
    for number, tool in enumerate(settings.tools):
        url = with_samples(tool.url)
        server = check_url(url, ANYWHERE).origin
        if server not in servers:
            servers.add(server)
            asked.append((f"/tools/{number}/url", url, services.check_tool_url))
    why = await asyncio.gather(*(_why_not(check, url) for _, url, check in asked))
    return [(pointer, words) for (pointer, _, _), words in zip(asked, why, strict=True) if words]


async def _why_not(check: Check, url: str) -> str:
    try:
        await check(url)
    except Forbidden as refusal:
        return str(refusal)
    return ""
