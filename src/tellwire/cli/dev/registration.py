"""Create through the real REST API what `dev` needs, and find it again at the next start: the catcher's endpoints, the
account that customers write to, and the agents that answer them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from tellwire.cli.dev.rest import Rest
from tellwire.simulator import BUSINESS, TOKEN

_ENDPOINTS, _ACCOUNTS, _AGENTS = "/v1/webhook-endpoints", "/v1/accounts", "/v1/agents"
_PERSON = {"name": "You, in the terminal of tellwire dev", "kind": "human"}
_SCRIPTED = {"name": "Scripted demo agent of tellwire dev", "kind": "ai", "model": "scripted", "debounce_seconds": 1.0}


class DevAgents(Struct, frozen=True, kw_only=True):
    """The agents that answer customers: their ids, "" for none.

    Args:
        person: the person who types in the terminal.
        scripted: the demo agent, if it answers.
        own, own_name: the user's own agent, if the account has one.
    """

    person: str
    scripted: str = ""
    own: str = ""
    own_name: str = ""


async def register(rest: Rest, targets: Mapping[str, str], secrets: Mapping[str, str], *, anew: bool) -> dict[str, str]:
    """Make sure that the catcher's endpoints exist, lead to it and are active.

    Args:
        targets: the URL at the catcher by format.
        secrets: the signing secret by format.
        anew: whether existing endpoints have other secrets and are to be replaced.

    Returns: the format by endpoint id.
    """
    known = {endpoint["description"]: endpoint for endpoint in await rest.every(_ENDPOINTS)}
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


async def settle_account(rest: Rest, *, simulated: bool) -> dict[str, Any]:
    """Return the account that simulated customers write to, created if it does not exist; fields that it has are kept.

    Args:
        simulated: whether messages go to the simulator, which accepts any token: the account gets one if it has none.
    """
    wanted: dict[str, Any] = {"waba_id": BUSINESS.waba_id, "display_phone_number": BUSINESS.display_phone_number}
    accounts = {account["phone_number_id"]: account for account in await rest.every(_ACCOUNTS)}
    known: dict[str, Any] | None = accounts.get(BUSINESS.phone_number_id)
    if known is None:
        draft = {"phone_number_id": BUSINESS.phone_number_id, "name": "simulated", **wanted}
        known = await rest.call("POST", _ACCOUNTS, draft | ({"access_token": TOKEN} if simulated else {}))
        return known
    missing = {name: value for name, value in wanted.items() if not known[name]}
    if simulated and not known["has_access_token"]:
        missing["access_token"] = TOKEN
    if missing:
        known = await rest.call("PATCH", f"{_ACCOUNTS}/{known['id']}", missing)
    return known


async def settle_agents(rest: Rest, account: Mapping[str, Any], *, scripted: bool) -> DevAgents:
    """Create the person's agent and the demo agent if they are missing, and set who answers the account's customers.

    An agent that the user assigned to the account stays.

    Args:
        scripted: whether the demo agent answers when the user has assigned no agent.
    """
    agents = {agent["name"]: agent for agent in await rest.every(_AGENTS)}
    person = agents.get(_PERSON["name"]) or await rest.call("POST", _AGENTS, _PERSON)
    demo = agents.get(_SCRIPTED["name"])
    has = account["agent_id"] or ""
    if has and (demo is None or has != demo["id"]):
        name = next((agent["name"] for agent in agents.values() if agent["id"] == has), "")
        return DevAgents(person=person["id"], own=has, own_name=name)
    if scripted and demo is None:
        demo = await rest.call("POST", _AGENTS, _SCRIPTED)
    answers = demo["id"] if scripted and demo is not None else ""
    if has != answers:
        await rest.call("PATCH", f"{_ACCOUNTS}/{account['id']}", {"agent_id": answers})
    return DevAgents(person=person["id"], scripted=answers)
