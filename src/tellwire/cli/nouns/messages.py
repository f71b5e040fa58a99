"""Implement `tellwire messages`."""

from __future__ import annotations

import secrets
import sys
from typing import Annotated, Any

import typer

from tellwire.cli import printing
from tellwire.cli.ids import whole
from tellwire.cli.json_input import json_of
from tellwire.cli.listing import Account, Asked, Key, Since, group, lists, print_one
from tellwire.cli.nouns.words import says, state, who
from tellwire.cli.output import Json
from tellwire.cli.records import print_record
from tellwire.cli.server import Api, talks_to_server
from tellwire.cli.short_ids import short
from tellwire.cli.times import moment
from tellwire.errors import BadSettings

messages = group("Send, list and show messages; cancel, resend and mark what was not sent.")
_NOUN = "messages"
_ID = "0a1b2c3d"
COLUMNS = ("id", "created_at", "direction", ("who", who), ("says", says), ("state", state))


@messages.command("list", epilog="Example: tellwire messages list --since 1h --direction incoming")
@lists(*COLUMNS)
def list_(
    api: Api,
    *,
    conversation: Annotated[str, typer.Option(metavar="ID", help="Only of this conversation.")] = "",
    account: Account = "",
    direction: Annotated[str, typer.Option(help="incoming or outgoing.")] = "",
    send_state: Annotated[
        str, typer.Option(help="scheduled, queued, sending, accepted, unknown, failed or cancelled.")
    ] = "",
    since: Since = "",
) -> Asked:
    """List messages, newest first."""
    return Asked(
        (_NOUN,),
        {
            "conversation_id": whole(api, conversation, "conversations"),
            "account": account,
            "direction": direction,
            "send_state": send_state,
            "since": moment("--since", since),
        },
    )


@messages.command(epilog=f"Example: tellwire messages show {_ID}")
@talks_to_server()
def show(api: Api, message_id: Key, *, json: Json = False) -> None:
    """Show a message with its statuses."""
    print_one(api, "GET", _NOUN, whole(api, message_id, _NOUN), json=json)


@messages.command(epilog='Example: tellwire messages send +5215500000001 "It is on its way."')
@talks_to_server()
def send(
    api: Api,
    to: Annotated[str, typer.Argument(metavar="TO", help="A phone number, or a user id.")] = "",
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What it says; for other types give --body.")] = "",
    *,
    account: Annotated[str, typer.Option(metavar="ACCOUNT", help="From which number; the only one unless given.")] = "",
    conversation: Annotated[str, typer.Option(metavar="ID", help="Into this conversation, instead of TO.")] = "",
    template: Annotated[
        str, typer.Option(metavar="NAME:LANGUAGE", help="A template without parameters, such as hello:en_US.")
    ] = "",
    body: Annotated[
        str, typer.Option(metavar="JSON|@FILE", help="Any message, as the body of the REST call says it; TO as well.")
    ] = "",
    at: Annotated[str, typer.Option(metavar="TIME", help="When to send it (RFC 3339).")] = "",
    reply_to: Annotated[str, typer.Option(metavar="WAMID", help="The message that it answers.")] = "",
    json: Json = False,
) -> None:
    """Send a message: it is checked, kept and queued, and this says under which id."""
    draft: dict[str, Any] = json_of("--body", body) if body else {}
    if text:
        draft |= {"type": "text", "text": {"body": text}}
    elif template:
        name, _, language = template.partition(":")
        draft |= {"type": "template", "template": {"name": name, "language": {"code": language or "en_US"}}}
    elif not body:
        raise BadSettings("say what to send: TEXT, --template or --body")
    if conversation:
        draft["conversation_id"] = whole(api, conversation, "conversations")
    elif to:
        draft["to"] = to
    if "to" not in draft and "conversation_id" not in draft:
        raise BadSettings("say whom to send to: TO or --conversation")
    draft |= {"scheduled_at": at} if at else {}
    draft |= {"context": {"message_id": reply_to}} if reply_to else {}
    draft["account"] = account or draft.get("account") or _only_account(api)
    made = api.call("POST", _NOUN, body=draft, once=secrets.token_hex(16))
    if json or not sys.stdout.isatty():
        print_record(made, as_json=json)
    else:
        name = short(made["id"])
        printing.out(f"{name}  {made.get('send_state', 'queued')}; `tellwire why {name}` follows it\n")


@messages.command(epilog=f"Example: tellwire messages cancel {_ID}")
@talks_to_server()
def cancel(api: Api, message_id: Key, *, json: Json = False) -> None:
    """Do not send a message that still waits."""
    print_one(api, "POST", _NOUN, whole(api, message_id, _NOUN), "cancel", json=json)


@messages.command(epilog=f"Example: tellwire messages resend {_ID}")
@talks_to_server()
def resend(api: Api, message_id: Key, *, json: Json = False) -> None:
    """Send a message again that failed, or whose outcome is unknown, as a new one."""
    print_one(api, "POST", _NOUN, whole(api, message_id, _NOUN), "resend", json=json)


@messages.command("mark-failed", epilog=f"Example: tellwire messages mark-failed {_ID}")
@talks_to_server()
def mark_failed(api: Api, message_id: Key, *, json: Json = False) -> None:
    """Settle a message whose outcome is unknown: it was not sent."""
    print_one(api, "POST", _NOUN, whole(api, message_id, _NOUN), "mark-failed", json=json)


@messages.command(epilog=f"Example: tellwire messages read {_ID} --typing")
@talks_to_server()
def read(
    api: Api,
    message_id: Key,
    *,
    typing: Annotated[bool, typer.Option("--typing", help="Show too that an answer is being written.")] = False,
    json: Json = False,
) -> None:
    """Tell the customer that a message was read."""
    print_one(api, "POST", _NOUN, whole(api, message_id, _NOUN), "read", body={"typing": typing}, json=json)


def _only_account(api: Api) -> str:
    found = api.call("GET", "accounts", query={"limit": "10"})["data"]
    if len(found) == 1:
        return str(found[0]["id"])
    known = ", ".join(f"{each['phone_number_id']} ({each['name'] or each['display_phone_number']})" for each in found)
    raise BadSettings(
        f"say from which number with --account: {known or 'there is none yet, `tellwire accounts create`'}"
    )
