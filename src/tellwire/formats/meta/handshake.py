"""The question of Meta's that the receiver of a `meta` endpoint answers (docs/reference/formats.md, "Registration")."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

from tellwire.formats.urls import with_query
from tellwire.ports.formats import Registration
from tellwire.ports.http_out import Answer, Request

_TEXT = (("Content-Type", "text/plain"),)


class Subscribe:
    """`GET <url>?hub.mode=subscribe&hub.verify_token=<token>&hub.challenge=<random>`, to be answered 200 with the
    challenge."""

    ASKED = "a `meta` endpoint answers GET …?hub.mode=subscribe&hub.verify_token=T&hub.challenge=X with 200 and X"

    def request(self, registration: Registration) -> Request:
        """The question; a query that the URL has already is kept."""
        asked = {
            "hub.mode": "subscribe",
            "hub.verify_token": registration.endpoint.verify_token,
            "hub.challenge": registration.token,
        }
        return Request(url=with_query(registration.endpoint.url, asked), method="GET")

    def refusal(self, registration: Registration, answer: Answer) -> str:
        """Why the answer is no consent; "" when it is the challenge."""
        if answer.status != 200 or answer.failure:
            return answer.cause or f"your server answered {answer.status}"
        if answer.actual.body.strip() == registration.token.encode():
            return ""
        return "the answer is not the challenge"

    def consent(self, method: str, target: str, headers: Mapping[str, str]) -> Answer | None:  # noqa: ARG002
        """The challenge as it came, whatever the token; 400 when there is none."""
        if method != "GET":
            return None
        asked = parse_qs(urlsplit(target).query)
        challenge = asked.get("hub.challenge", [""])[0]
        if not challenge or asked.get("hub.mode") != ["subscribe"]:
            return Answer(status=400, headers=_TEXT, body=b"no hub.challenge")
        return Answer(status=200, headers=_TEXT, body=challenge.encode())
