"""PURE. Defines the settings of an AI agent, which its record keeps as JSON, and checks them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from tellwire.agents import tool_calls
from tellwire.errors import Forbidden
from tellwire.model.agents import Agent

SCRIPTED = "scripted"
"""The name that stands for no model: answers come from a script, and say so."""
API_KEY = "api_key"
HAND_OVER_TOOL = "hand_over_to_human"
"""The name of the tool that every agent has."""
MAX_TOOLS = 32

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]{1,4096}")
_RESERVED_HEADERS = frozenset(
    {
        *("connection", "content-length", "content-type", "expect", "host", "keep-alive", "proxy-authorization"),
        *("proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "user-agent", "accept-encoding"),
    }
)

Fault = tuple[str, str]
"""JSON pointer, and what is wrong there"""
Count = Annotated[int, Meta(ge=1, le=1_000_000_000)]


class Budget(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How much an agent may do; none given: as much as it likes. A day is one in UTC."""

    replies_per_conversation: Count | None = None
    replies_per_day: Count | None = None
    tokens_per_day: Count | None = None


class Tool(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that the model may ask for over HTTP.

    `parameters` is a JSON Schema of an object. `{name}` in `url` stands for a parameter; the others go into the query
    (GET, DELETE) or a JSON body (POST). `headers`: their values are kept encrypted and never shown again.
    """

    name: Annotated[str, Meta(max_length=64)]
    url: Annotated[str, Meta(max_length=2048)]
    description: Annotated[str, Meta(max_length=1024)] = ""
    method: Literal["GET", "POST", "DELETE"] = "GET"
    parameters: dict[str, Any] = {}
    headers: dict[str, str] = {}

    @property
    def names(self) -> frozenset[str]:
        """Return the names of the parameters."""
        properties = self.parameters.get("properties")
        return frozenset(properties if isinstance(properties, dict) else ())


class AgentSettings(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The settings of an AI agent that hold no secret (`Agent.options`)."""

    instructions: str = ""
    model: str = ""
    base_url: str = ""
    history_messages: int = 30
    typing: bool = True
    tools: tuple[Tool, ...] = ()
    allowed_tool_origins: tuple[str, ...] = ()
    budget: Budget = Budget()
    temperature: float | None = None
    max_tokens: int = 1024
    on_failure: Literal["hand_over", "nothing"] = "nothing"


_decode = msgspec.json.Decoder(AgentSettings).decode


def settings_of(agent: Agent) -> AgentSettings:
    """Return an agent's settings; the header values of its tools are not among them."""
    return _decode(agent.options)


def is_scripted(agent: Agent) -> bool:
    """Return whether an agent answers from the script, and so needs no model."""
    return settings_of(agent).model == SCRIPTED


def secret_name(tool: str, header: str) -> str:
    """Return the name of a tool's header value among an agent's secrets."""
    return f"tools/{tool}/{header.lower()}"


def headers_of(agent: Agent, tool: Tool) -> dict[str, str]:
    """Return a tool's headers with their values."""
    return {name: agent.secrets.get(secret_name(tool.name, name), "") for name in tool.headers}


def faults(settings: AgentSettings) -> list[Fault]:
    """Return what is wrong with an AI agent's settings beyond their types. The headers of tools must still have their
    values."""
    found = [] if settings.model else [("/model", "is required: an AI agent needs a model, or `scripted`")]
    if settings.model != SCRIPTED and not settings.base_url:
        found.append(("/base_url", "is required: the address of an OpenAI-compatible API, such as https://…/v1"))
    if settings.base_url and not re.fullmatch(r"https?://[^?#@\s]+", settings.base_url):
        found.append(("/base_url", "must be an http or https URL without query, fragment or user name"))
    if len(settings.tools) > MAX_TOOLS:
        found.append(("/tools", f"at most {MAX_TOOLS}"))
    for number, origin in enumerate(settings.allowed_tool_origins):
        if not tool_calls.origin_of(origin):
            found.append((f"/allowed_tool_origins/{number}", "must be an origin such as https://api.example.com"))
    names: set[str] = set()
    for number, tool in enumerate(settings.tools):
        pointer = f"/tools/{number}"
        if tool.name in names or tool.name == HAND_OVER_TOOL:
            found.append((f"{pointer}/name", "is the name of another tool"))
        names.add(tool.name)
        found += [(pointer + within, words) for within, words in _tool_faults(tool, settings.allowed_tool_origins)]
    return found


def _tool_faults(tool: Tool, origins: Sequence[str]) -> Iterator[Fault]:
    if not _NAME.fullmatch(tool.name):
        yield "/name", "takes letters, digits, _ and -, at most 64"
    if tool.parameters and tool.parameters.get("type") != "object":
        yield "/parameters", 'must be a JSON Schema with "type": "object"'
    if unknown := tool_calls.placeholders(tool.url) - tool.names:
        yield "/url", f"has a placeholder that is no parameter: {min(unknown)}"
    else:
        try:
            tool_calls.check_origin(tool_calls.with_samples(tool.url), origins)
        except Forbidden as refusal:
            yield "/url", str(refusal)
    for name, value in tool.headers.items():
        if not _HEADER.fullmatch(name) or name.lower() in _RESERVED_HEADERS:
            yield "/headers", f"{name} cannot be set here" if _HEADER.fullmatch(name) else "a name is no header's"
        elif not _VALUE.fullmatch(value):
            yield "/headers", f"the value of {name} is empty or has characters that no header takes"
