"""What mends a line: calls that exist under the scope that is named, and commands that are safe to paste."""

from __future__ import annotations

import re
import shlex

import pytest

from tellwire.verdict import remedies
from tellwire.verdict.rules import KINDS, Line
from tellwire.web.api import NOUNS

ROUTES = {
    path: set(handler.opt["scopes"])
    for noun in NOUNS.values()
    for handler in noun.HANDLERS
    if "POST" in handler.http_methods
    for path in handler.paths
}


def line(kind: str, number: str = "400500600700", endpoint: str = "an-endpoint") -> Line:
    if kind.startswith(("account", "number", "secret", "app")):
        return Line(kind=kind, cause="", phone_number_id=number)
    return Line(kind=kind, cause="", endpoint_id=endpoint)


@pytest.mark.parametrize("kind", KINDS)
def test_every_action_is_a_call_of_the_api(kind: str) -> None:
    action = remedies.action_of(line(kind))
    if action is None:
        assert not kind.startswith(("account", "endpoint"))
        return
    shape = re.sub("400500600700", "{account_id:str}", action.path).replace("an-endpoint", "{endpoint_id:str}")
    assert action.scope in ROUTES[shape.removeprefix("/v1")]


@pytest.mark.parametrize("name", ["1; rm -rf /", "$(id)", "`id`", "a b", "", "x" * 65, "-h", "1\n2", "--json"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_command_holds_what_a_stranger_calls_a_number(kind: str, name: str) -> None:
    command = remedies.command_of(Line(kind=kind, cause="", phone_number_id=name))
    assert not name or name not in shlex.split(command)
    assert "rm" not in command


def test_the_command_names_what_it_mends() -> None:
    assert remedies.command_of(line("number_unknown")) == "tellwire accounts create 400500600700"
    assert remedies.command_of(line("endpoint_disabled")) == "tellwire endpoints resume an-endpoint"
    assert remedies.command_of(line("store_failing")) == ""
