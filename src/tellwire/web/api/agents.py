"""Serve `/v1/agents`: the people and AI models that write for the business."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from litestar import Request, Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.json import encode
from msgspec.structs import asdict, replace
from sqlalchemy import Connection

from tellwire.agents import settings as agent_settings
from tellwire.agents.settings import AgentSettings, Budget, Tool, settings_of
from tellwire.agents.tool_calls import MASK, same_origin
from tellwire.errors import Invalid
from tellwire.model.agents import Agent, AgentRun, RunOutcome
from tellwire.model.row_json import instant
from tellwire.model.units import MICROS, micros
from tellwire.security.pasted import token_of
from tellwire.stores.queries import agents
from tellwire.web.api import agent_trial
from tellwire.web.api.agent_trial import check_can_run, known_agent
from tellwire.web.api.agent_urls import unreachable
from tellwire.web.api.shapes import LINE, Id, NextCursor, When
from tellwire.web.parameters import Cursor, Limit, page_request
from tellwire.web.request import ContextDependency, RequestContext
from tellwire.web.responses import page_response, raw_json_response

_READ = {"scopes": ("read", "agents:manage")}
_MANAGE = {"scopes": ("agents:manage",)}
_NOUN = "agents"
_RUNS = "agent-runs"

Name = Annotated[str, Meta(min_length=1, max_length=256, pattern=LINE)]
Instructions = Annotated[str, Meta(max_length=32_768, description="What the model is told of the business.")]
ModelName = Annotated[
    str, Meta(max_length=256, pattern=LINE, description="As its server names it; `scripted` for a demo without one.")
]
Url = Annotated[
    str, Meta(max_length=2048, pattern=LINE, description="Of an OpenAI-compatible API, such as https://…/v1.")
]
ApiKeyText = Annotated[str, Meta(max_length=4096, pattern=LINE, description="Kept encrypted, never shown again.")]
Messages = Annotated[int, Meta(ge=1, le=200, description="How many of the conversation's last messages are told.")]
Debounce = Annotated[
    float,
    Meta(
        ge=0, le=300, description="How long the customer must have paused; who writes on and on waits four times that."
    ),
]
Tools = Annotated[tuple[Tool, ...], Meta(max_length=agent_settings.MAX_TOOLS)]
Origins = Annotated[
    tuple[Annotated[str, Meta(max_length=512)], ...],
    Meta(max_length=64, description="Scheme, host and port that tools may reach, such as https://api.example.com."),
]
Temperature = Annotated[float, Meta(ge=0, le=2)]
MaxTokens = Annotated[int, Meta(ge=1, le=100_000)]
OnFailure = Annotated[
    Literal["hand_over", "nothing"], Meta(description="What happens to the conversation when the model fails for good.")
]
State = Literal["active", "paused"]


class AgentDraft(Struct, kw_only=True, forbid_unknown_fields=True):
    """An agent to create. A `human` has a name and a state; the rest is for an `ai`."""

    name: Name
    kind: Literal["human", "ai"]
    state: State = "active"
    instructions: Instructions = ""
    model: ModelName = ""
    base_url: Url = ""
    api_key: ApiKeyText = ""
    history_messages: Messages = 30
    debounce_seconds: Debounce = 3.0
    typing: bool = True
    tools: Tools = ()
    allowed_tool_origins: Origins = ()
    budget: Budget = Budget()
    temperature: Temperature | None = None
    max_tokens: MaxTokens = 1024
    on_failure: OnFailure = "nothing"


class AgentChange(Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change of an agent. What is left out stays; null takes the default again. A header value of a tool that
    is given as `********` stays as it is. With another server in `base_url` the `api_key` is to be given anew, with
    another in a tool's `url` its headers are: secrets go to whom they were given for."""

    name: Name | UnsetType = UNSET
    state: State | UnsetType = UNSET
    instructions: Instructions | UnsetType | None = UNSET
    model: ModelName | UnsetType | None = UNSET
    base_url: Url | UnsetType | None = UNSET
    api_key: ApiKeyText | UnsetType | None = UNSET
    history_messages: Messages | UnsetType | None = UNSET
    debounce_seconds: Debounce | UnsetType | None = UNSET
    typing: bool | UnsetType | None = UNSET
    tools: Tools | UnsetType | None = UNSET
    allowed_tool_origins: Origins | UnsetType | None = UNSET
    budget: Budget | UnsetType | None = UNSET
    temperature: Temperature | UnsetType | None = UNSET
    max_tokens: MaxTokens | UnsetType | None = UNSET
    on_failure: OnFailure | UnsetType | None = UNSET


class AgentRead(Struct, kw_only=True):
    """An agent, without its secrets: values of tools' headers are masked."""

    id: Id
    organization_id: Id
    name: str
    kind: Literal["human", "ai"]
    state: State
    instructions: str
    model: str
    base_url: str
    has_api_key: bool
    history_messages: int
    debounce_seconds: float
    typing: bool
    tools: tuple[Tool, ...]
    allowed_tool_origins: tuple[str, ...]
    budget: Budget
    temperature: float | None
    max_tokens: int
    on_failure: Literal["hand_over", "nothing"]
    created_at: When
    updated_at: When


class AgentList(Struct, kw_only=True):
    """A page of agents, newest first."""

    data: list[AgentRead]
    next_cursor: NextCursor


class RunRead(Struct, kw_only=True):
    """What became of a turn. `superseded`: the customer wrote more, or somebody else answered meanwhile; `retrying`:
    the model failed and is asked again; `declined`: it was not asked; `detail` says why."""

    id: Id
    agent_id: Id
    organization_id: Id
    conversation_id: Id
    message_id: Annotated[str | None, Meta(description="The reply, or the first part of it.")]
    outcome: RunOutcome
    detail: str
    model: str
    input_tokens: int
    output_tokens: int
    tool_calls: int
    started_at: When
    finished_at: When


class RunList(Struct, kw_only=True):
    """A page of runs, newest first."""

    data: list[RunRead]
    next_cursor: NextCursor


_SETTINGS = AgentSettings.__struct_fields__
_DEFAULTS = AgentDraft(name="", kind="ai")


def _shown(agent: Agent) -> bytes:
    settings = settings_of(agent)
    fields = {name: getattr(settings, name) for name in _SETTINGS}
    fields["tools"] = tuple(replace(tool, headers=dict.fromkeys(tool.headers, MASK)) for tool in settings.tools)
    return encode(
        AgentRead(
            id=agent.id,
            organization_id=agent.organization_id,
            name=agent.name,
            kind=agent.kind,
            state=agent.state,
            has_api_key=bool(agent.secrets.get(agent_settings.API_KEY)),
            debounce_seconds=agent.debounce / MICROS,
            created_at=instant(agent.created_at),
            updated_at=instant(agent.updated_at),
            **fields,
        )
    )


def _run_shown(run: AgentRun) -> bytes:
    fields: dict[str, Any] = asdict(run)
    times = {name: instant(fields[name]) for name in ("started_at", "finished_at")}
    return encode(RunRead(**fields | times | {"message_id": run.message_id or None}))


async def _made(context: RequestContext, draft: AgentDraft, agent: Agent) -> Agent:
    """Return the agent that a draft describes; `agent` is the former one, for its ids and secrets.

    Raises:
        Invalid: the draft is not valid.
    """
    if draft.kind == "human":
        _only_a_name(draft)
        return replace(agent, name=draft.name, kind="human", state=draft.state, secrets={})
    api_key = token_of(draft.api_key, "/api_key")
    settings = AgentSettings(**{name: getattr(draft, name) for name in _SETTINGS})
    settings = replace(settings, tools=tuple(_with_values(tool, agent) for tool in settings.tools))
    faults = agent_settings.faults(settings)
    faults = faults or await unreachable(context.services, settings)
    if faults:
        raise Invalid("The agent is not valid.", *faults)
    secrets = {
        agent_settings.secret_name(tool.name, name): value
        for tool in settings.tools
        for name, value in tool.headers.items()
    }
    if api_key:
        secrets[agent_settings.API_KEY] = api_key
    bare = tuple(replace(tool, headers=dict.fromkeys(tool.headers, "")) for tool in settings.tools)
    return replace(
        agent,
        name=draft.name,
        kind="ai",
        state=draft.state,
        options=encode(replace(settings, tools=bare)),
        secrets=secrets,
        debounce=micros(draft.debounce_seconds),
    )


def _only_a_name(draft: AgentDraft) -> None:
    of_people = {"name", "kind", "state"}
    wrong = [
        (f"/{name}", "is for agents of the kind ai")
        for name, value in asdict(draft).items()
        if name not in of_people and value != getattr(_DEFAULTS, name)
    ]
    if wrong:
        raise Invalid("The agent is not valid.", *wrong)


def _with_values(tool: Tool, agent: Agent) -> Tool:
    """Return a tool whose masked header values are the former ones, if those were given for this server."""
    before = next((each for each in settings_of(agent).tools if each.name == tool.name), tool)
    known = agent_settings.headers_of(agent, tool) if same_origin(before.url, tool.url) else {}
    kept = {name: known.get(name, "") if value == MASK else value for name, value in tool.headers.items()}
    return replace(tool, headers=kept)


def _check_key(agent: Agent, draft: AgentDraft, *, given: bool) -> None:
    """Check that a key that is not `given` again stays with the server that it was given for."""
    before = settings_of(agent).base_url if agent.kind == "ai" else ""
    if given or not draft.api_key or not draft.base_url or same_origin(before, draft.base_url):
        return
    raise Invalid("The agent is not valid.", ("/api_key", "was given for another server: give one, or null for none"))


def _as_draft(agent: Agent) -> AgentDraft:
    settings = settings_of(agent)
    tools = tuple(replace(tool, headers=agent_settings.headers_of(agent, tool)) for tool in settings.tools)
    return AgentDraft(
        name=agent.name,
        kind=agent.kind,
        state=agent.state,
        api_key=agent.secrets.get(agent_settings.API_KEY, ""),
        debounce_seconds=agent.debounce / MICROS,
        **{name: getattr(settings, name) for name in _SETTINGS} | {"tools": tools},
    )


@get("/agents", summary="List agents", opt=_READ)
async def list_agents(context: ContextDependency, limit: Limit = 50, cursor: Cursor = "") -> Response[AgentList]:
    """The agents of the organization."""
    vault, paging = context.services.store.vault, page_request(_NOUN, limit, cursor)
    page = await context.read(lambda c: agents.page(c, vault, context.organization_id, paging))
    return page_response(_NOUN, page, _shown, AgentList)


@post("/agents", summary="Create an agent", opt=_MANAGE)
async def create_agent(
    request: Request[Any, Any, Any], context: ContextDependency, data: JSONBody[AgentDraft]
) -> Response[AgentRead]:
    """A person who writes for the business, or a model that answers customers: set it as an account's `agent_id`. One
    that could not run, because an extra is not installed or its model cannot be reached, is refused unless `paused`."""
    async with context.once(request) as once:
        if once.kept:
            return once.kept
        audit_change, vault = context.audit_change(), context.services.store.vault
        blank = Agent(
            id="",
            organization_id=context.organization_id,
            name="",
            created_at=audit_change.at,
            updated_at=audit_change.at,
        )
        agent = await _made(context, data, blank)
        await check_can_run(context, agent, before=blank)

        def work(connection: Connection) -> tuple[Agent, bytes]:
            context.check_quota(connection, "agents")
            made = agents.add(connection, audit_change, vault, replace(agent, id=audit_change.new_id()))
            return made, _shown(made)

        _, body = await once.write(work)
    return raw_json_response(body, AgentRead, status=201)


@get("/agents/{agent_id:str}", summary="Read an agent", opt=_READ)
async def read_agent(agent_id: FromPath[str], context: ContextDependency) -> Response[AgentRead]:
    """One agent."""
    return raw_json_response(_shown(await context.read(lambda c: known_agent(c, context, agent_id))), AgentRead)


@patch("/agents/{agent_id:str}", summary="Change an agent", opt=_MANAGE)
async def change_agent(
    agent_id: FromPath[str], context: ContextDependency, data: JSONBody[AgentChange]
) -> Response[AgentRead]:
    """Change what is given, leave the rest. The kind stays. What is being answered just now is answered as before."""
    given = {name: value for name, value in asdict(data).items() if value is not UNSET}
    changes = {name: getattr(_DEFAULTS, name) if value is None else value for name, value in given.items()}
    audit_change, vault = context.audit_change(), context.services.store.vault
    while True:
        before = await context.read(lambda c: known_agent(c, context, agent_id))
        draft = replace(_as_draft(before), **changes)
        _check_key(before, draft, given=bool(given.keys() & {"api_key"}))
        after = await _made(context, draft, before)
        await check_can_run(context, after, before=before)
        after = replace(after, updated_at=max(audit_change.at, before.updated_at + 1))

        def work(connection: Connection, before: Agent = before, after: Agent = after) -> Agent | None:
            if known_agent(connection, context, agent_id) != before:
                return None
            return agents.change(connection, audit_change, vault, after)

        if (changed := await context.write(work)) is not None:
            return raw_json_response(_shown(changed), AgentRead)


@delete("/agents/{agent_id:str}", summary="Delete an agent", opt=_MANAGE, status_code=204)
async def delete_agent(agent_id: FromPath[str], context: ContextDependency) -> None:
    """Forget an agent; what it wrote stays. 409 while an account has it as its `agent_id`."""
    audit_change = context.audit_change()
    await context.write(lambda c: agents.remove(c, audit_change, known_agent(c, context, agent_id).id))


@get("/agents/{agent_id:str}/runs", summary="List an agent's runs", opt=_READ)
async def list_runs(
    agent_id: FromPath[str], context: ContextDependency, limit: Limit = 50, cursor: Cursor = ""
) -> Response[RunList]:
    """What became of its turns: answers, failures, and why it did not answer."""
    paging = page_request(_RUNS, limit, cursor)
    page = await context.read(
        lambda c: agents.runs(c, context.organization_id, known_agent(c, context, agent_id).id, paging)
    )
    return page_response(_RUNS, page, _run_shown, RunList)


HANDLERS = (list_agents, create_agent, read_agent, change_agent, delete_agent, list_runs, *agent_trial.HANDLERS)
