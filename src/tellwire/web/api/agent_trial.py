"""Serve `/v1/agents/{id}/try`, and refuse AI agents that could not run."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct
from msgspec.json import encode
from sqlalchemy import Connection

from tellwire.agents.settings import settings_of
from tellwire.errors import Invalid, NotFound
from tellwire.model.agents import Agent
from tellwire.stores.queries import agents
from tellwire.web.api.shapes import LINE
from tellwire.web.parameters import our_id
from tellwire.web.request import ContextDependency, RequestContext
from tellwire.web.responses import raw_json_response

_MANAGE = {"scopes": ("agents:manage",)}


class TryWanted(Struct, kw_only=True, forbid_unknown_fields=True):
    """What to say to the agent, as a customer would."""

    text: Annotated[str, Meta(min_length=1, max_length=4096, pattern=LINE)] = "Hello!"


class TryRead(Struct, kw_only=True):
    """What its model said. Nothing of it is kept, and nothing is sent to a customer."""

    ok: bool
    cause: Annotated[str, Meta(description="In plain words why there is no answer; empty when there is one.")]
    text: str
    handed_over: Annotated[str, Meta(description="Why it wants a person to take over; empty when it does not.")]
    model: str
    input_tokens: int
    output_tokens: int
    tool_calls: int
    seconds: float


def known_agent(connection: Connection, context: RequestContext, name: str) -> Agent:
    """Return the agent with this id.

    Raises:
        NotFound: the organization has no such agent.
    """
    identifier = our_id(name, "agent")
    agent = agents.get(connection, context.services.store.vault, context.organization_id, identifier)
    if agent is None:
        raise NotFound("There is no agent with this id.")
    return agent


async def check_can_run(context: RequestContext, agent: Agent, *, before: Agent) -> None:
    """Check that an active AI agent can run here, if it could not be known of the agent as it was before.

    Raises:
        Invalid: it could only be silent; says why, and what to do.
    """
    if agent.kind != "ai" or agent.state != "active" or (before.id and _runs_alike(before, agent)):
        return
    fault = await context.services.agent_trial.obstacle(agent)
    if fault is not None:
        raise Invalid("The agent cannot run. Mend this, or set its `state` to `paused` for now.", fault)


def _runs_alike(before: Agent, after: Agent) -> bool:
    was, is_now = settings_of(before), settings_of(after)
    return before.state == after.state and (was.model, was.base_url) == (is_now.model, is_now.base_url)


@post("/agents/{agent_id:str}/try", summary="Try an agent", opt=_MANAGE, status_code=200)
async def try_agent(
    agent_id: FromPath[str], context: ContextDependency, data: JSONBody[TryWanted | None] = None
) -> Response[TryRead]:
    """Ask its model as a customer's first message would, and answer with what it said, or with why it said nothing.
    Tools are called if it asks for them. Also of a paused agent."""
    agent = await context.read(lambda c: known_agent(c, context, agent_id))
    if agent.kind != "ai":
        raise Invalid("A person cannot be tried: this is for agents of the kind ai.")
    tried = await context.services.agent_trial.ask(agent, (data or TryWanted()).text)
    shown = TryRead(
        ok=not tried.cause,
        cause=tried.cause,
        text=tried.text,
        handed_over=tried.handed_over,
        model=settings_of(agent).model,
        input_tokens=tried.usage.input_tokens,
        output_tokens=tried.usage.output_tokens,
        tool_calls=tried.usage.tool_calls,
        seconds=round(tried.seconds, 3),
    )
    return raw_json_response(encode(shown), TryRead)


HANDLERS = (try_agent,)
