"""Implement `tellwire conversations`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from tellwire.cli.ids import whole
from tellwire.cli.listing import Account, Asked, Key, group, lists, print_one
from tellwire.cli.nouns import messages
from tellwire.cli.nouns.words import who
from tellwire.cli.output import Json
from tellwire.cli.server import Api, talks_to_server
from tellwire.errors import BadSettings

conversations = group("List, show, close, reopen and assign conversations; their messages and notes.")
_NOUN = "conversations"
_ID = "0a1b2c3d"


def _last(row: Mapping[str, Any]) -> str:
    return str((row.get("last_message") or {}).get("text") or "-")


def _assignee(row: Mapping[str, Any]) -> str:
    return str((row.get("assignee") or {}).get("name") or "-")


@conversations.command("list", epilog="Example: tellwire conversations list --status open --unread")
@lists("id", "last_row_at", "status", ("who", who), ("last message", _last), ("assignee", _assignee))
def list_(
    _: Api,
    *,
    status: Annotated[str, typer.Option(help="open or closed.")] = "",
    account: Account = "",
    contact: Annotated[str, typer.Option(metavar="WHO", help="A phone number, a user id, or our id.")] = "",
    label: Annotated[str, typer.Option(metavar="ID", help="Only with this label.")] = "",
    assignee: Annotated[str, typer.Option(metavar="ID", help="A member's or an agent's id, me or none.")] = "",
    unread: Annotated[bool, typer.Option("--unread", help="Only what nobody has read.")] = False,
    search: Annotated[str, typer.Option("--search", metavar="TEXT", help="A name or a number.")] = "",
    order: Annotated[str, typer.Option(help="By activity, or by created.")] = "activity",
) -> Asked:
    """List conversations, those with the newest messages first."""
    return Asked(
        (_NOUN,),
        {
            "status": status,
            "account": account,
            "contact": contact,
            "label": label,
            "assignee": assignee,
            "unread": "true" if unread else "",
            "q": search,
            "order": order,
        },
    )


@conversations.command("messages", epilog=f"Example: tellwire conversations messages {_ID}")
@lists(*messages.COLUMNS)
def messages_(api: Api, conversation_id: Key) -> Asked:
    """List the messages of a conversation, newest first."""
    return Asked((_NOUN, whole(api, conversation_id, _NOUN), "messages"), {})


@conversations.command(epilog=f"Example: tellwire conversations show {_ID}")
@talks_to_server()
def show(api: Api, conversation_id: Key, *, json: Json = False) -> None:
    """Show a conversation."""
    print_one(api, "GET", _NOUN, whole(api, conversation_id, _NOUN), json=json)


@conversations.command(epilog=f"Example: tellwire conversations close {_ID}")
@talks_to_server()
def close(api: Api, conversation_id: Key, *, json: Json = False) -> None:
    """Close a conversation; the next message opens a new one."""
    print_one(api, "POST", _NOUN, whole(api, conversation_id, _NOUN), "close", json=json)


@conversations.command(epilog=f"Example: tellwire conversations reopen {_ID}")
@talks_to_server()
def reopen(api: Api, conversation_id: Key, *, json: Json = False) -> None:
    """Open a closed conversation again."""
    print_one(api, "POST", _NOUN, whole(api, conversation_id, _NOUN), "reopen", json=json)


@conversations.command(epilog=f"Example: tellwire conversations assign {_ID} --agent 9d550a1b")
@talks_to_server()
def assign(
    api: Api,
    conversation_id: Key,
    *,
    member: Annotated[str, typer.Option(metavar="ID", help="To this member.")] = "",
    agent: Annotated[str, typer.Option(metavar="ID", help="To this agent.")] = "",
    nobody: Annotated[bool, typer.Option("--nobody", help="To nobody.")] = False,
    json: Json = False,
) -> None:
    """Say who deals with a conversation."""
    if (bool(member), bool(agent), nobody).count(True) != 1:
        raise BadSettings("give one of --member, --agent and --nobody")
    wanted = {"member_id": whole(api, member, "members")} if member else {"agent_id": whole(api, agent, "agents")}
    wanted = {} if nobody else wanted
    print_one(api, "POST", _NOUN, whole(api, conversation_id, _NOUN), "assign", body=wanted, json=json)


@conversations.command(epilog=f"Example: tellwire conversations read {_ID}")
@talks_to_server()
def read(api: Api, conversation_id: Key, *, json: Json = False) -> None:
    """Mark a conversation as read by you; the customer is told nothing."""
    print_one(api, "POST", _NOUN, whole(api, conversation_id, _NOUN), "read", json=json)


@conversations.command(epilog=f'Example: tellwire conversations note {_ID} "Wants it in blue."')
@talks_to_server()
def note(
    api: Api,
    conversation_id: Key,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="For those who work here; the customer never sees it.")],
    *,
    json: Json = False,
) -> None:
    """Add a note to a conversation."""
    path = (_NOUN, whole(api, conversation_id, _NOUN), "notes")
    print_one(api, "POST", *path, body={"text": text}, json=json)


@conversations.command(epilog=f"Example: tellwire conversations notes {_ID}")
@lists("id", "created_at", "author", "text")
def notes(api: Api, conversation_id: Key) -> Asked:
    """List the notes of a conversation."""
    return Asked((_NOUN, whole(api, conversation_id, _NOUN), "notes"), {})


@conversations.command("pause-agent", epilog=f"Example: tellwire conversations pause-agent {_ID}")
@talks_to_server()
def pause_agent(api: Api, conversation_id: Key, *, json: Json = False) -> None:
    """Have the AI agent be silent in a conversation; people answer."""
    print_one(api, "POST", _NOUN, whole(api, conversation_id, _NOUN), "agent", "pause", json=json)


@conversations.command("resume-agent", epilog=f"Example: tellwire conversations resume-agent {_ID}")
@talks_to_server()
def resume_agent(api: Api, conversation_id: Key, *, json: Json = False) -> None:
    """Have the AI agent answer again."""
    print_one(api, "POST", _NOUN, whole(api, conversation_id, _NOUN), "agent", "resume", json=json)
