"""Pass a call on to Meta with the account's own token, and its answer back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from tellwire.meta.outgoing.answers import Refused, read_answer
from tellwire.model.tenancy import Account
from tellwire.ports.http_out import Answer
from tellwire.web.graph.calls import Call
from tellwire.web.graph.errors import SERVICE, SOMETHING, GraphError
from tellwire.web.graph.replies import passed_on

_SECONDS = 20.0
_METHODS: dict[str, Literal["GET", "POST", "DELETE"]] = {"POST": "POST", "DELETE": "DELETE"}


async def asked(
    call: Call,
    account: Account,
    path: str,
    *,
    query: Mapping[str, str] | None = None,
    body: bytes = b"",
    seconds: float = _SECONDS,
) -> bytes:
    """Make a call at Meta with the method of the caller's; return the body of its answer.

    Raises:
        GraphError: Meta's error as it came, or that there was no answer.
    """
    graph = call.context.services.graph
    method = _METHODS.get(call.method, "GET")
    answer = await graph.ask(account.access_token, path, method=method, query=query, body=body, timeout_seconds=seconds)
    if answer.ok and not answer.truncated:
        return answer.body
    raise refused(answer, account, changes=method != "GET")


def refused(answer: Answer, account: Account, *, changes: bool) -> GraphError:
    """Return the error that an unsuccessful answer of Meta's is; `changes`: whether the call changes something."""
    came = read_answer(answer.status, answer.body, written=answer.written, cause=answer.cause)
    if isinstance(came, Refused) and came.code is not None:
        return passed_on(answer.status, answer.body, account)
    words = f"Meta did not answer as it should: {answer.cause or f'it answered {answer.status}'}."
    if changes and answer.written and not 400 <= answer.status < 500:
        return GraphError(SOMETHING, f"{words} It may have done it.", http=400, transient=False)
    return GraphError(SERVICE, words, transient=True)
