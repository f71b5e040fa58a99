"""Implement `tellwire agents`: people and models that answer for the business."""

from __future__ import annotations

from typing import Annotated

import typer

from tellwire.cli import printing
from tellwire.cli.ids import whole
from tellwire.cli.json_input import json_of
from tellwire.cli.listing import Asked, Key, group, lists, print_one
from tellwire.cli.output import Json, print_json
from tellwire.cli.server import Api, talks_to_server

agents = group("Create, list, show, change, try, pause and delete agents.")
_NOUN = "agents"
_ID = "0a1b2c3d"
Fields = Annotated[
    str, typer.Option("--with", metavar="JSON|@FILE", help="Fields of the REST call, such as model and instructions.")
]


@agents.command("list", epilog="Example: tellwire agents list")
@lists("id", "name", "kind", "state", "model", "created_at")
def list_(_: Api) -> Asked:
    """List the agents."""
    return Asked((_NOUN,), {})


@agents.command(epilog=f"Example: tellwire agents show {_ID}")
@talks_to_server()
def show(api: Api, agent_id: Key, *, json: Json = False) -> None:
    """Show an agent; its API key only as there or not there."""
    print_one(api, "GET", _NOUN, whole(api, agent_id, _NOUN), json=json)


@agents.command(epilog="Example: tellwire agents create Night --kind ai --with @agent.json")
@talks_to_server()
def create(
    api: Api,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called.")],
    *,
    kind: Annotated[str, typer.Option(help="human or ai.")] = "human",
    more: Fields = "{}",
    json: Json = False,
) -> None:
    """Create an agent."""
    draft = {"name": name, "kind": kind} | json_of("--with", more)
    print_one(api, "POST", _NOUN, body=draft, json=json)


@agents.command(epilog=f"""Example: tellwire agents update {_ID} --with '{{"temperature": 0.2}}'""")
@talks_to_server()
def update(api: Api, agent_id: Key, *, more: Fields, json: Json = False) -> None:
    """Change what is given, leave the rest."""
    print_one(api, "PATCH", _NOUN, whole(api, agent_id, _NOUN), body=json_of("--with", more), json=json)


@agents.command(epilog=f"Example: tellwire agents pause {_ID}")
@talks_to_server()
def pause(api: Api, agent_id: Key, *, json: Json = False) -> None:
    """Have it answer nobody."""
    print_one(api, "PATCH", _NOUN, whole(api, agent_id, _NOUN), body={"state": "paused"}, json=json)


@agents.command(epilog=f"Example: tellwire agents resume {_ID}")
@talks_to_server()
def resume(api: Api, agent_id: Key, *, json: Json = False) -> None:
    """Have it answer again."""
    print_one(api, "PATCH", _NOUN, whole(api, agent_id, _NOUN), body={"state": "active"}, json=json)


@agents.command("try", epilog=f'Example: tellwire agents try {_ID} "Are you open on Sundays?"')
@talks_to_server()
def try_(
    api: Api,
    agent_id: Key,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What the customer writes.")] = "Hello",
    *,
    json: Json = False,
) -> None:
    """Ask its model as a customer's first message would; exit code 1 when it did not answer. Nothing is sent."""
    came = api.call("POST", _NOUN, whole(api, agent_id, _NOUN), "try", body={"text": text})
    if json:
        print_json(came)
    else:
        printing.out_exactly(f"{came['text'] or came['handed_over'] or came['cause']}\n")
        printing.err(
            f"{came['model']}: {came['seconds']:.1f} s, {came['input_tokens']} tokens in, {came['output_tokens']} out\n"
        )
    if not came["ok"]:
        raise typer.Exit(1)


@agents.command(epilog=f"Example: tellwire agents runs {_ID}")
@lists("id", "started_at", "outcome", "detail", "model", "input_tokens", "output_tokens", "conversation_id")
def runs(api: Api, agent_id: Key) -> Asked:
    """List what became of its turns, newest first."""
    return Asked((_NOUN, whole(api, agent_id, _NOUN), "runs"), {})


@agents.command(epilog=f"Example: tellwire agents delete {_ID}")
@talks_to_server()
def delete(api: Api, agent_id: Key, *, json: Json = False) -> None:
    """Delete an agent; what it wrote stays."""
    name = whole(api, agent_id, _NOUN)
    api.call("DELETE", _NOUN, name)
    if json:
        print_json({"ok": True})
    else:
        printing.out(f"deleted {name}\n")
