"""A secret that was pasted with a line break or the like is refused without being quoted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tellwire.cli.client import Client
from tellwire.cli.graph_calls import GraphCalls
from tellwire.errors import TellwireError

NOWHERE = "http://127.0.0.1:1"


def _client(secret: str) -> str:
    try:
        Client(NOWHERE, secret).call("GET", "accounts")
    except TellwireError as error:
        return str(error)
    raise AssertionError


_USES: dict[str, Callable[[str], str]] = {
    "API key": _client,
    "token of a GET": lambda secret: GraphCalls(NOWHERE).get(secret, "me").words,
    "token of a POST": lambda secret: GraphCalls(NOWHERE).post(secret, "me").words,
}


@pytest.mark.parametrize(
    "secret", ["Secret1\nSecret2", "Secret1\rSecret2", "Secret1\x00Secret2", "Secret1…Secret2", "Secret1\udcff"]
)
@pytest.mark.parametrize("use", _USES)
def test_no_error_quotes_a_secret(use: str, secret: str) -> None:
    said = _USES[use](secret)
    assert said
    assert "secret1" not in said.lower()
