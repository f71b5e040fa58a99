"""Implement `tellwire verify`: why does this signature fail."""

from __future__ import annotations

import base64
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from tellwire.cli import DONE, FAILED, printing
from tellwire.cli.output import GREEN, RED, Json, painted, print_json
from tellwire.cli.records import secret_of
from tellwire.cli.server import Where, connected
from tellwire.cli.signature_faults import Request, diagnose
from tellwire.errors import BadSettings


def verify(
    *,
    secret: Annotated[
        list[str] | None,
        typer.Option(help="The signing secret, or the app secret; @FILE reads it from a file. Repeatable."),
    ] = None,
    body: Annotated[str, typer.Option(metavar="TEXT|@FILE", help="The body as received; @- reads it from stdin.")] = "",
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", metavar="'NAME: VALUE'", help="A header of it; repeatable.")
    ] = None,
    request: Annotated[
        str, typer.Option(metavar="FILE", help="Instead: a whole HTTP request, headers, empty line, body; - is stdin.")
    ] = "",
    delivery: Annotated[
        str, typer.Option(metavar="ID", help="Instead: what the server sent of this delivery; needs no --secret.")
    ] = "",
    now: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Unix time to judge the age by; the clock unless given.")
    ] = None,
    tolerance: Annotated[int, typer.Option(min=0, metavar="SECONDS", help="How old it may be.")] = 300,
    server_url: Annotated[str, typer.Option("--url", metavar="URL", help="With --delivery: the server.")] = "",
    server_key: Annotated[str, typer.Option("--key", metavar="KEY", help="Its API key.")] = "",
    server_profile: Annotated[str, typer.Option("--profile", metavar="NAME", help="A saved server.")] = "",
    organization: Annotated[str, typer.Option("--organization", metavar="ID", help="Act in this organization.")] = "",
    json: Json = False,
) -> int:
    """Say why a signature fails: which key fits, which mistake explains it, what to do. Nothing leaves this machine.

    Takes Standard Webhooks (webhook-signature), X-Hub-Signature-256 and X-Wappcloud-Signature. Exit code 1: it fails.
    """
    if delivery:
        if body or header or request:
            raise BadSettings("--delivery brings its own body and headers")
        where = Where(server_url, server_key, server_profile, organization)
        return _of_delivery(where, delivery, secret or [], now, tolerance, as_json=json)
    if bool(request) is bool(body or header):
        raise BadSettings("give --body with --header, or --request, or --delivery")
    asked = _pasted(_bytes("--request", f"@{request}")) if request else _given(body, header or [])
    if not secret:
        raise BadSettings("give --secret: the endpoint's signing secret, or the app secret for X-Hub-Signature-256")
    secrets = [secret_of("--secret", each) for each in secret]
    found = diagnose(asked, secrets, now=time.time() if now is None else now, tolerance=tolerance)
    _print(
        {
            "ok": found.ok,
            "fault": found.fault or None,
            "said": found.said,
            "remedy": found.remedy or None,
            "header": found.header or None,
            "secret": found.secret or None,
            "body_bytes": len(asked.body),
        },
        as_json=json,
    )
    return DONE if found.ok else FAILED


def _of_delivery(
    where: Where, given: str, secrets: list[str], now: float | None, tolerance: int, *, as_json: bool
) -> int:
    """Check what the server says that it sent; with secrets, those against the bytes and headers of the last one."""
    from tellwire.cli.ids import whole  # noqa: PLC0415

    with connected(where) as api:
        name = whole(api, given, "deliveries", what="delivery")
        sent = api.call("GET", "deliveries", name, "sent")
        attempts = api.call("GET", "deliveries", name)["attempts"]
    if sent["body"] is None and sent["body_base64"] is None:
        raise BadSettings(f"the body of this delivery cannot be made again: {sent['why_not']}")
    body = sent["body"].encode() if sent["body"] is not None else base64.b64decode(sent["body_base64"])
    if secrets and attempts:
        headers = {name.lower(): value for name, value in attempts[-1]["request_headers"]}
        at = float(headers.get("webhook-timestamp", "0")) if now is None else now
        found = diagnose(
            Request(body, headers), [secret_of("--secret", each) for each in secrets], now=at, tolerance=tolerance
        )
        ok, said, remedy, fault = found.ok, found.said, found.remedy, found.fault
    else:
        ok, fault = bool(sent["verified"]), "" if sent["verified"] else "not_verified"
        which = next((each["secret"].replace("_", " ") for each in sent["secrets"] if each["matches"]), "")
        said = (
            f"the server signed these bytes with the {which} secret" if ok else str(sent["why_not"] or "not sent yet")
        )
        remedy = "" if ok else "give --secret to check one that you have"
    _print(
        {"ok": ok, "fault": fault or None, "said": said, "remedy": remedy or None, "body_bytes": len(body)},
        as_json=as_json,
    )
    return DONE if ok else FAILED


def _print(told: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(told)
        return
    mark = painted("✓", GREEN) if told["ok"] else painted("✗", RED)
    printing.out(f"{mark} {told['said']}\n")
    if told["remedy"]:
        printing.out(f"  → {told['remedy']}\n")
    printing.out(f"  {told['body_bytes']} bytes of body\n")


def _given(body: str, headers: list[str]) -> Request:
    found: dict[str, str] = {}
    for each in headers:
        name, colon, value = each.partition(":")
        if not colon or not name.strip():
            raise BadSettings(f"--header takes 'NAME: VALUE', not {each}")
        _put(found, name, value)
    return Request(_bytes("--body", body) if body.startswith("@") else body.encode(), found)


def _pasted(raw: bytes) -> Request:
    """Read a request as it is pasted: perhaps a request line, headers, an empty line, the body.

    A body that an editor ended with a line break is taken without it if Content-Length says so.
    """
    ends = [(raw.find(end), end) for end in (b"\r\n\r\n", b"\n\n") if end in raw]
    head, _, body = raw.partition(min(ends)[1]) if ends else (raw, b"", b"")
    found: dict[str, str] = {}
    for number, line in enumerate(head.decode("latin-1").splitlines()):
        name, colon, value = line.partition(":")
        if colon and " " not in name.strip():
            _put(found, name, value)
        elif number or " HTTP/" not in line:
            raise BadSettings(f"--request: line {number + 1} is no header: {line[:60]}")
    length = found.get("content-length", "")
    if length.isdigit() and len(body) > int(length) and not body[int(length) :].strip():
        body = body[: int(length)]
    return Request(body, found)


def _put(found: dict[str, str], name: str, value: str) -> None:
    key, value = name.strip().lower(), value.strip()
    found[key] = f"{found[key]} {value}" if key in found and key == "webhook-signature" else value


def _bytes(option: str, given: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if given == "@-" else Path(given[1:]).read_bytes()
    except OSError as error:
        raise BadSettings(f"{option} names {given[1:]}, which cannot be read: {error.strerror}") from None
