"""Serve what people note about conversations: labels on them, whom they are assigned to, and how far they were read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from litestar import Response, delete, get, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct
from sqlalchemy import Connection

from tellwire.errors import Invalid
from tellwire.stores.queries import conversation_activity, conversation_marks, members, messages
from tellwire.stores.queries.audit import AuditChange
from tellwire.stores.queries.paging import PageRequest
from tellwire.web.api.conversation_rows import Assignee, ConversationRead, assignees, known, shown_alone
from tellwire.web.api.labels import known_label
from tellwire.web.api.shapes import LINE
from tellwire.web.parameters import our_id
from tellwire.web.request import ContextDependency, RequestContext
from tellwire.web.responses import json_response, raw_json_response

_READ = {"scopes": ("read", "inbox")}
_WRITE = {"scopes": ("messages:write",)}
_PATH = "/conversations/{conversation_id:str}"
_ALL = PageRequest(200)

_Id = Annotated[str, Meta(max_length=64, pattern=LINE)]


class AssigneeList(Struct, kw_only=True):
    """Whom a conversation can be assigned to: the newest 200 members, then the agents."""

    data: list[Assignee]


class AssignmentWanted(Struct, kw_only=True, forbid_unknown_fields=True):
    """Whom a conversation is assigned to: a member, an agent, or with neither nobody."""

    member_id: Annotated[_Id | None, Meta(description="Our id of a member.")] = None
    agent_id: Annotated[_Id | None, Meta(description="Our id of an agent.")] = None


class ReadUntil(Struct, kw_only=True, forbid_unknown_fields=True):
    """Up to where it was read; without it, up to its newest message."""

    message_id: Annotated[_Id, Meta(description="Our id of the newest message that was read.")] = ""


@get("/conversations/assignees", summary="List whom conversations can be assigned to", opt=_READ)
async def list_assignees(context: ContextDependency) -> Response[AssigneeList]:
    """The members and agents of the organization, by name; what else is known of them is in their own lists."""

    def look(connection: Connection) -> list[Assignee]:
        people = members.page(connection, context.organization_id, _ALL).items
        return list(assignees(connection, context, {each.id for each in people}).values())

    agents = context.services.store.registry().agents.values()
    ours = [
        Assignee(kind="agent", id=a.id, name=a.name) for a in agents if a.organization_id == context.organization_id
    ]
    people = sorted(await context.read(look), key=lambda each: each.name.casefold())
    return json_response(AssigneeList(data=[*people, *sorted(ours, key=lambda each: each.name.casefold())]))


@post(f"{_PATH}/labels/{{label_id:str}}", summary="Put a label on a conversation", opt=_WRITE, status_code=200)
async def label_conversation(
    conversation_id: FromPath[str], label_id: FromPath[str], context: ContextDependency
) -> Response[ConversationRead]:
    """One that it has already stays."""
    return await _relabelled(context, conversation_id, label_id, conversation_marks.put_label)


@delete(f"{_PATH}/labels/{{label_id:str}}", summary="Take a label off a conversation", opt=_WRITE, status_code=200)
async def unlabel_conversation(
    conversation_id: FromPath[str], label_id: FromPath[str], context: ContextDependency
) -> Response[ConversationRead]:
    """One that it does not have changes nothing."""
    return await _relabelled(context, conversation_id, label_id, conversation_marks.take_label)


async def _relabelled(
    context: RequestContext,
    conversation_id: str,
    label_id: str,
    change_label: Callable[[Connection, AuditChange, str, str], object],
) -> Response[ConversationRead]:
    """Change whether a conversation has a label, and show it."""
    name, label, change = (
        await context.conversation_id(conversation_id),
        our_id(label_id, "label"),
        context.audit_change(),
    )

    def work(connection: Connection) -> bytes:
        conversation = known(connection, context, name)
        change_label(connection, change, name, known_label(connection, context, label).id)
        return shown_alone(connection, context, conversation)

    return raw_json_response(await context.write(work), ConversationRead)


@post(f"{_PATH}/assign", summary="Assign a conversation", opt=_WRITE, status_code=200)
async def assign_conversation(
    conversation_id: FromPath[str], context: ContextDependency, data: JSONBody[AssignmentWanted]
) -> Response[ConversationRead]:
    """Say who is to answer. It pauses and resumes no AI agent: `…/agent/pause` and `…/agent/resume` do."""
    if data.member_id and data.agent_id:
        raise Invalid("A conversation is assigned to one only.", ("/agent_id", "give either member_id or agent_id"))
    name, change = await context.conversation_id(conversation_id), context.audit_change()
    wanted, kind = data.member_id or data.agent_id or "", "member" if data.member_id else "agent"

    def work(connection: Connection) -> bytes:
        conversation = known(connection, context, name)
        if wanted:
            found = assignees(connection, context, {wanted}).get(wanted)
            if found is None or found.kind != kind:
                raise Invalid("The assignee is not known.", (f"/{kind}_id", f"there is no {kind} with this id"))
        conversation_marks.assign(connection, change, name, wanted)
        return shown_alone(connection, context, conversation)

    return raw_json_response(await context.write(work), ConversationRead)


@post(f"{_PATH}/read", summary="Mark a conversation as read", opt=_WRITE, status_code=200)
async def read_conversation_here(
    conversation_id: FromPath[str], context: ContextDependency, data: JSONBody[ReadUntil | None] = None
) -> Response[ConversationRead]:
    """Say that people have read it here, so that it is unread no more; WhatsApp tells the customer nothing."""
    name = await context.conversation_id(conversation_id)
    until = await context.message_id(data.message_id) if data is not None and data.message_id else ""

    def work(connection: Connection) -> bytes:
        conversation = known(connection, context, name)
        if until:
            entry = messages.get(connection, context.organization_id, until)
            if entry is None or entry.message.conversation_id != name:
                raise Invalid("The message is not known.", ("/message_id", "is not a message of this conversation"))
        last = until or conversation_activity.last_of(connection, name)
        conversation_marks.read(connection, context.organization_id, name, last)
        return shown_alone(connection, context, conversation)

    return raw_json_response(await context.write(work), ConversationRead)


HANDLERS = (list_assignees, label_conversation, unlabel_conversation, assign_conversation, read_conversation_here)
