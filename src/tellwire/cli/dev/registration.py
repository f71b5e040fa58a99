"""The catcher's endpoints, through the real REST API: created at the first start, used again at the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tellwire.cli.dev.rest import Rest

_ENDPOINTS = "/v1/webhook-endpoints"


async def register(rest: Rest, targets: Mapping[str, str], secrets: Mapping[str, str], *, anew: bool) -> dict[str, str]:
    """See to it that the catcher's endpoints are there, lead to it and are active.

    Args:
        targets: format → URL at the catcher.
        secrets: format → signing secret.
        anew: what is there was signed with other secrets: replace it.

    Returns: endpoint id → format.
    """
    known = {endpoint["description"]: endpoint for endpoint in await _all(rest)}
    registered = {}
    for name, url in targets.items():
        description = f"built-in catcher of tellwire dev ({name})"
        endpoint = known.get(description)
        if endpoint is not None and anew:
            await rest.call("DELETE", f"{_ENDPOINTS}/{endpoint['id']}")
            endpoint = None
        if endpoint is None:
            draft = {"url": url, "format": name, "secret": secrets[name], "description": description}
            endpoint = await rest.call("POST", _ENDPOINTS, draft)
        elif endpoint["url"] != url:
            await rest.call("PATCH", f"{_ENDPOINTS}/{endpoint['id']}", {"url": url})
        if endpoint["state"] != "active":
            await rest.call("POST", f"{_ENDPOINTS}/{endpoint['id']}/resume")
        registered[str(endpoint["id"])] = name
    return registered


async def create_account(rest: Rest, phone_number_id: str) -> None:
    """Make the account that simulated customers write to, unless it is there."""
    page = await rest.call("GET", "/v1/accounts?limit=200")
    if phone_number_id not in {account["phone_number_id"] for account in page["data"]}:
        await rest.call("POST", "/v1/accounts", {"phone_number_id": phone_number_id, "name": "simulated"})


async def _all(rest: Rest) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = await rest.call("GET", f"{_ENDPOINTS}?limit=200{cursor}")
        found += page["data"]
        if not page["next_cursor"]:
            return found
        cursor = f"&cursor={page['next_cursor']}"
