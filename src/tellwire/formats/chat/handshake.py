"""The challenge that the receiver of a `chat` endpoint answers (docs/reference/formats.md, "Registration")."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec import Struct

from tellwire.formats.urls import with_query
from tellwire.ports.formats import Registration
from tellwire.ports.http_out import Answer, Request

_JSON = (("Content-Type", "application/json"),)


class _Echo(Struct):
    challenge: str


class Challenge:
    """`GET <url>?challenge=<token>`, to be answered 200 with `{"challenge": "<token>"}`."""

    ASKED = 'a `chat` endpoint answers GET …?challenge=X with 200 and {"challenge": "X"}'

    def request(self, registration: Registration) -> Request:
        """The challenge; a query that the URL has already is kept."""
        return Request(url=with_query(registration.endpoint.url, {"challenge": registration.token}), method="GET")

    def refusal(self, registration: Registration, answer: Answer) -> str:
        """Why the challenge was not met; "" when the answer holds the same token."""
        if answer.status != 200 or answer.failure:
            return answer.cause or f"your server answered {answer.status}"
        reason = _fault(answer.actual.body, registration.token)
        return "the answer does not hold the challenge" if reason and answer.hidden else reason

    def consent(self, method: str, target: str, headers: Mapping[str, str]) -> Answer | None:  # noqa: ARG002
        """The challenge as it came, or 400 when there is none."""
        if method != "GET":
            return None
        asked = parse_qs(urlsplit(target).query).get("challenge", [""])[0]
        if not asked:
            return Answer(status=400, headers=_JSON, body=b'{"error": "no challenge"}')
        return Answer(status=200, headers=_JSON, body=msgspec.json.encode(_Echo(asked)))


def _fault(body: bytes, token: str) -> str:
    try:
        echo = msgspec.json.decode(body, type=_Echo)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return 'the answer is not JSON of the form {"challenge": "…"}'
    return "" if echo.challenge == token else "the answer holds another challenge than the one asked"
