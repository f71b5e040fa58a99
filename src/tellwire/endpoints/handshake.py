"""The challenge that a `chat` endpoint answers when it is registered (docs/reference/formats.md, "Registration")."""

from __future__ import annotations

from urllib.parse import quote

import msgspec
from msgspec import Struct

from tellwire.errors import Invalid
from tellwire.ports.http_out import Answer, Request, Sender

_SHOWN = 2048
_ASKED = 'a `chat` endpoint answers GET …?challenge=X with 200 and {"challenge": "X"}'


class _Echo(Struct):
    challenge: str


async def challenge(sender: Sender, url: str, token: str, *, timeout: float) -> None:  # noqa: ASYNC109 - the sender's
    """Ask a URL for its consent: `GET <url>?challenge=<token>`, to be answered 200 with `{"challenge": "<token>"}`.

    Args:
        sender: what makes the request, address check included.
        url: of the endpoint; a query that it has already is kept.
        token: fresh and unguessable.
        timeout: seconds over everything.

    Raises:
        Invalid: it was not answered so; the text says what came back, except bodies of allow-listed addresses.
    """
    answer = await sender.send(Request(url=challenge_url(url, token), method="GET", timeout=timeout))
    if answer.status != 200 or answer.failure:
        raise _refusal(answer.cause or f"your server answered {answer.status}", answer)
    try:
        echo = msgspec.json.decode(answer.body, type=_Echo)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        raise _refusal('the answer is not JSON of the form {"challenge": "…"}', answer) from None
    if echo.challenge != token:
        raise _refusal("the answer holds another challenge than the one asked", answer)


def challenge_url(url: str, token: str) -> str:
    """Return the URL with the challenge added to its query."""
    address, _, _ = url.partition("#")
    _, mark, query = address.partition("?")
    joint = "?" if not mark else "&" if query and not query.endswith("&") else ""
    return f"{address}{joint}challenge={quote(token, safe='')}"


def _refusal(reason: str, answer: Answer) -> Invalid:
    shown = "" if answer.allow_listed else answer.body[:_SHOWN].decode(errors="replace")
    came = f"; it said: {shown}" if shown else ""
    return Invalid(f"the challenge was not met: {reason}{came} ({_ASKED})", ("/url", reason))
