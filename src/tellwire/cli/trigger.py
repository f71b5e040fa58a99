"""Implement `tellwire trigger`: post one of every kind of webhook that Meta makes, and tell what came of it."""

from __future__ import annotations

import base64
import difflib
import hmac
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Annotated, Any

import msgspec
import typer

from tellwire.cli import DONE, FAILED, printing, profiles
from tellwire.cli.client import Client
from tellwire.cli.json_edit import changed
from tellwire.cli.output import Json, print_json, print_table
from tellwire.cli.records import secret_of
from tellwire.cli.server import Where, connected
from tellwire.errors import BadSettings

_HOOK = "/meta/webhook"
_ON_THE_WAY = {"pending", "delivering"}
_PAUSE = 0.2
_RECENT = "50"


def trigger(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What happens; --list names all.")] = "",
    *,
    list_: Annotated[bool, typer.Option("--list", help="List what can happen, and post nothing.")] = False,
    file: Annotated[
        str, typer.Option("--file", metavar="FILE", help="Instead of NAME: a body of your own; - is stdin.")
    ] = "",
    to: Annotated[
        str,
        typer.Option("--to", metavar="ACCOUNT", help="The business number, or its phone_number_id; the newest one."),
    ] = "",
    sender: Annotated[str, typer.Option("--from", metavar="NUMBER", help="The customer's number.")] = "",
    name_of: Annotated[str, typer.Option("--name", metavar="TEXT", help="The customer's name.")] = "Ana Example",
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PATH=VALUE",
            help="Change the message, status or notice: text.body=Hi; a path with a slash begins at the whole body: "
            "/entry/0/id=1. Repeatable.",
        ),
    ] = None,
    secret: Annotated[
        str,
        typer.Option(
            help="The Meta app secret to sign with, @FILE reads it from a file; unless given, that of the settings or "
            "of the `tellwire dev`."
        ),
    ] = "",
    wait: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long to wait for what comes of it.")] = 5,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Only post.")] = False,
    show_body: Annotated[bool, typer.Option("--print", help="Print the bodies, and post nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Also to a server that is not a `tellwire dev`.")] = False,
    json: Json = False,
    server_url: Annotated[str, typer.Option("--url", metavar="URL", help="The server; with --key.")] = "",
    server_key: Annotated[str, typer.Option("--key", metavar="KEY", help="Its API key.")] = "",
    server_profile: Annotated[str, typer.Option("--profile", metavar="NAME", help="A saved server.")] = "",
    organization: Annotated[str, typer.Option("--organization", metavar="ID", help="Act in this organization.")] = "",
) -> int:
    """Post to the server what Meta would, signed, and tell what came of it.

    What it invents is stored and delivered like a real message, so a server that is not a `tellwire dev` takes it only
    with --yes. Exit code 1: it was not answered 200, or a delivery failed.
    """
    if list_:
        _list(as_json=json)
        return DONE
    if bool(name) is bool(file):
        raise BadSettings("say what happens: a NAME of `tellwire trigger --list`, or --file with a body of your own")
    if show_body:
        for each in _bodies(name, file, set_ or [], _somebody(sender, name_of), {}):
            printing.out_exactly(each.decode() + "\n")
        return DONE
    with connected(Where(server_url, server_key, server_profile, organization)) as api:
        dev = _dev(api)
        if dev is None and not yes:
            raise BadSettings(
                f"{api.url} is no `tellwire dev` of this machine: what is invented here would be stored and delivered "
                "there like a real message; give --yes if that is what you want"
            )
        account = {} if file else _account(api, to)
        bodies = _bodies(name, file, set_ or [], _somebody(sender, name_of), account)
        key = secret_of("--secret", secret) or _configured_secret(dev, str(account.get("phone_number_id", "")))
        before = "" if no_wait else _newest(api)
        answers = [_post(api, each, key) for each in bodies]
        taken = all(status == 200 for status, _ in answers)
        came = _came_of(api, bodies, before, wait) if taken and not no_wait else None
    _print(answers, came, as_json=json)
    failed = came is not None and any(each["state"] == "failed" for each in came["deliveries"])
    return DONE if taken and not failed else FAILED


def _list(*, as_json: bool) -> None:
    from tellwire.simulator.catalogue import TRIGGERS  # noqa: PLC0415 - the simulator; --help needs none of it

    if as_json:
        print_json({"data": [{"name": name, "line": each.line} for name, each in TRIGGERS.items()]})
    else:
        print_table([[name, each.line] for name, each in TRIGGERS.items()], header=["NAME", "WHAT HAPPENS"])


def _somebody(number: str, name: str) -> tuple[str, str]:
    digits = number.removeprefix("+")
    if digits and not digits.isdigit():
        raise BadSettings(f"--from takes a phone number such as +5215500000001, not {number}")
    return digits, name


def _bodies(
    name: str, file: str, changes: Sequence[str], person: tuple[str, str], account: dict[str, Any]
) -> list[bytes]:
    """Return the bodies of the POSTs; what is changed is the last one."""
    made = [_read(file)] if file else _made(name, person, account)
    for each in changes:
        made[-1] = changed(made[-1], each)
    return made


def _read(file: str) -> bytes:
    try:
        body = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise BadSettings(f"--file names {file}, which cannot be read: {error.strerror}") from None
    try:
        msgspec.json.decode(body)
    except msgspec.MsgspecError as error:
        raise BadSettings(f"--file names {file}, which is no JSON: {error}") from None
    return body


def _made(name: str, person: tuple[str, str], account: dict[str, Any]) -> list[bytes]:
    from tellwire.simulator.catalogue import TRIGGERS  # noqa: PLC0415
    from tellwire.simulator.customer import Customer  # noqa: PLC0415
    from tellwire.simulator.payloads import Business, Person  # noqa: PLC0415
    from tellwire.simulator.traffic import BUSINESS, PEOPLE  # noqa: PLC0415

    if name not in TRIGGERS:
        close = difflib.get_close_matches(name, TRIGGERS, n=1)
        hint = f"did you mean {close[0]}?" if close else "`tellwire trigger --list` names all"
        raise BadSettings(f"nothing is called {name}; {hint}")
    business = Business(
        waba_id=account.get("waba_id") or BUSINESS.waba_id,
        phone_number_id=account.get("phone_number_id") or BUSINESS.phone_number_id,
        display_phone_number=(account.get("display_phone_number") or BUSINESS.display_phone_number).lstrip("+"),
    )
    customer = Customer(Person(name=person[1], wa_id=person[0] or PEOPLE[0].wa_id), business, Random())  # noqa: S311
    return list(TRIGGERS[name].make(customer, int(time.time())))


def _dev(api: Client) -> profiles.Profile | None:
    """Return the profile of the `dev` of this machine that the server is, None when it is another."""
    known = profiles.every().values()
    return next((each for each in known if each.url == api.url and each.made_by == "dev" and each.runs), None)


def _configured_secret(dev: profiles.Profile | None, phone_number_id: str) -> str:
    """Return the app secret of the `dev`, else that of the settings for this number or for all."""
    from tellwire.cli import settings_in_force  # noqa: PLC0415
    from tellwire.cli.dev.home import FOLDER, read_home  # noqa: PLC0415

    if dev is not None and (home := read_home(Path(dev.folder) / FOLDER)) is not None:
        return home.app_secret
    for each in settings_in_force.load().meta_app_secret:
        if each.bound_to in ("", phone_number_id):
            return each.value
    raise BadSettings("--secret or TELLWIRE_META_APP_SECRET must say what to sign with: the server's Meta app secret")


def _account(api: Client, wanted: str) -> dict[str, Any]:
    rows = api.every("accounts")
    digits = wanted.removeprefix("+")
    names = ("id", "phone_number_id", "name")
    for row in rows:
        if not wanted or wanted in [row[each] for each in names] or row["display_phone_number"].lstrip("+") == digits:
            return row
    if not wanted:
        return {}
    known = ", ".join(row["phone_number_id"] for row in rows) or "none"
    raise BadSettings(f"--to takes an account's number, phone_number_id or name; there are: {known}")


def _post(api: Client, body: bytes, secret: str) -> tuple[int, str]:
    signature = "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()
    headers = {"X-Hub-Signature-256": signature, "Content-Type": "application/json"}
    status, answer = api.exchange("POST", _HOOK, body=body, headers=headers)
    return status, answer[:500].decode("utf-8", "replace").strip()


def _newest(api: Client) -> str:
    rows = api.call("GET", "inbound", query={"limit": "1"})["data"]
    return str(rows[0]["id"]) if rows else ""


def _came_of(api: Client, bodies: Sequence[bytes], before: str, seconds: float) -> dict[str, Any]:
    """Return the items, events and deliveries of what was posted, once no delivery is on its way or the time is over.

    A POST is known again by its content, among those after the id `before`: ids rise.
    """
    until = time.monotonic() + seconds
    posts = api.call("GET", "inbound", query={"limit": _RECENT})["data"]
    read = [api.call("GET", "inbound", each["id"]) for each in reversed(posts) if each["id"] > before]
    wanted = [msgspec.json.decode(each) for each in bodies]
    ours = [each for each in read if _document(each) in wanted]
    items = [item for each in ours for item in each["items"]]
    message_ids = list(dict.fromkeys(item["message_id"] for item in items if item["message_id"]))
    while True:
        found = [row for each in message_ids for row in api.every("deliveries", query={"message_id": each})]
        rows = [row for row in found if row["id"] > before]
        if not any(row["state"] in _ON_THE_WAY for row in rows) or time.monotonic() >= until:
            return {"inbound_ids": [each["id"] for each in ours], "items": items, "deliveries": rows}
        time.sleep(_PAUSE)


def _document(post: dict[str, Any]) -> Any:
    return post["body"] if post["body_base64"] is None else msgspec.json.decode(base64.b64decode(post["body_base64"]))


def _print(answers: Sequence[tuple[int, str]], came: dict[str, Any] | None, *, as_json: bool) -> None:
    if as_json:
        told = [{"status": status, "body": said} for status, said in answers]
        print_json({"ok": all(status == 200 for status, _ in answers), "answers": told, **(came or {})})
        return
    for status, said in answers:
        printing.out(f"answered {status}{'' if status == 200 else f': {printing.on_one_line(said)}'}\n")
    if answers[-1][0] == 401:
        printing.err("tellwire: this is another app secret than the server's; give --secret\n")
    if came is None:
        return
    for item in came["items"]:
        why = f": {printing.on_one_line(item['reason'])}" if item["reason"] else ""
        printing.out(f"{item['kind'] or item['field']}  {item['outcome'].replace('_', ' ')}{why}\n")
    if came["deliveries"]:
        rows = [
            [
                row["event_name"] or "-",
                row["endpoint_name"] or "-",
                row["state"],
                row["cause"] or str(row["last_status"] or ""),
            ]
            for row in came["deliveries"]
        ]
        print_table(rows, header=["EVENT", "ENDPOINT", "STATE", "ANSWER"])
    elif came["items"]:
        printing.out("no endpoint has a delivery of it; `tellwire tail` shows the events\n")
