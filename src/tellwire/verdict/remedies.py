"""PURE. What mends a line of the verdict: a call of the REST API that a button can make, or a command to run."""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct

from tellwire.security.api_keys import Scope
from tellwire.verdict.rules import Line


class Action(Struct, frozen=True, kw_only=True):
    """A call that mends something, or says more about it. `label`: what a button says; `scope`: what it takes."""

    method: Literal["POST"] = "POST"
    path: str
    label: str
    scope: Scope


_WORD = re.compile(r"[0-9A-Za-z_.]{1,64}")
_OF_ACCOUNT = {
    "account_paused": ("resume-sending", "Send again"),
    "account_problem": ("check", "Check the token"),
    "number_silent": ("check", "Check the token"),
}
_OF_ENDPOINT = {
    "endpoint_failing": ("test", "Send a test event"),
    "endpoint_behind": ("test", "Send a test event"),
    "endpoint_disabled": ("resume", "Resume"),
}
_COMMANDS = {
    "clock_off": "sudo timedatectl set-ntp true",
    "number_unknown": "tellwire accounts create {phone_number_id}",
    "endpoint_disabled": "tellwire endpoints resume {endpoint_id}",
    "endpoint_failing": "tellwire endpoints test {endpoint_id}",
    "endpoint_behind": "tellwire endpoints test {endpoint_id}",
    "alerts_failing": "tellwire alerts test",
}


def action_of(line: Line) -> Action | None:
    """Return the call that mends a line, None where a person has to do something elsewhere."""
    if line.phone_number_id and line.kind in _OF_ACCOUNT:
        call, label = _OF_ACCOUNT[line.kind]
        return Action(path=f"/v1/accounts/{line.phone_number_id}/{call}", label=label, scope="accounts:manage")
    if line.endpoint_id and line.kind in _OF_ENDPOINT:
        call, label = _OF_ENDPOINT[line.kind]
        return Action(path=f"/v1/webhook-endpoints/{line.endpoint_id}/{call}", label=label, scope="webhooks:manage")
    if line.kind == "alerts_failing":
        return Action(path="/v1/alerts/test", label="Send a test alert", scope="admin")
    return None


def command_of(line: Line) -> str:
    """Return the command that mends a line, "" for none."""
    if line.phone_number_id and not _WORD.fullmatch(line.phone_number_id):
        return ""  # what an unknown number is called, whoever sent the POST has said
    return _COMMANDS.get(line.kind, "").format(phone_number_id=line.phone_number_id, endpoint_id=line.endpoint_id)
