"""The challenge of `chat` endpoints, over the real sender and, for public addresses, over one that only answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contract.listening import Peer, Script, listening, on_both_loops, sending

from tellwire.endpoints.handshake import ask_for_consent
from tellwire.errors import Invalid
from tellwire.formats.chat.handshake import Challenge
from tellwire.formats.urls import with_query
from tellwire.model.deliveries import Endpoint
from tellwire.ports.formats import Registration
from tellwire.ports.http_out import Answer, Request, Sender

TOKEN = "a9-_~token"


async def challenge(sender: Sender, url: str, *, timeout: float) -> None:  # noqa: ASYNC109 - the sender's
    endpoint = Endpoint(id="", organization_id="", url=url, format="chat")
    asked = Registration(endpoint=endpoint, token=TOKEN, origin="https://us.example")
    await ask_for_consent(sender, Challenge(), asked, timeout=timeout)


class Public:
    """A sender whose requests are all answered alike, from a public address."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[Request] = []

    async def send(self, request: Request) -> Answer:
        self.requests.append(request)
        return self.answer

    async def close(self) -> None:
        return


def echoing(body: str, status: str = "200 OK") -> Script:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

    return script


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("https://a.example", "https://a.example?challenge=t%26"),
        ("https://a.example/x", "https://a.example/x?challenge=t%26"),
        ("https://a.example/x?", "https://a.example/x?challenge=t%26"),
        ("https://a.example/x?y=1", "https://a.example/x?y=1&challenge=t%26"),
        ("https://a.example/x?y=1&#z", "https://a.example/x?y=1&challenge=t%26"),
        ("https://a.example/x#?y", "https://a.example/x?challenge=t%26"),
    ],
)
def test_the_challenge_joins_the_query(url, asked):
    assert with_query(url, {"challenge": "t&"}) == asked


@on_both_loops
async def test_an_echo_is_consent():
    body = f'{{"challenge": "{TOKEN}", "more": [1]}}'
    async with listening(echoing(body)) as server, sending() as sender:
        await challenge(sender, f"{server.url}?a=b", timeout=5)
        assert server.requests[0].startswith(b"GET /hook?a=b&challenge=a9-_~token HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ('{"challenge": "other"}', "200 OK", "another challenge"),
        (TOKEN, "200 OK", "not JSON of the form"),
        ("", "200 OK", "not JSON of the form"),
        (f'["{TOKEN}"]', "200 OK", "not JSON of the form"),
        ('{"challenge": 1}', "200 OK", "not JSON of the form"),
        ("[" * 9999, "200 OK", "not JSON of the form"),
        ('{"a":' * 3000, "200 OK", "not JSON of the form"),
        (f'{{"challenge": "{TOKEN}"}}', "201 Created", "answered 201"),
        (f'{{"challenge": "{TOKEN}"}}', "404 Not Found", "answered 404"),
        (f'{{"challenge": "{TOKEN}"}}', "302 Found", "redirects are not followed"),
    ],
)
@on_both_loops
async def test_anything_else_is_not_and_an_allow_listed_address_is_not_quoted(body, status, reason):
    async with listening(echoing(body, status)) as server:
        async with sending() as sender:
            with pytest.raises(Invalid, match=reason):
                await challenge(sender, server.url, timeout=5)
        async with sending(shows_answers=False) as sender:
            reason = "does not hold the challenge" if status == "200 OK" else reason
            with pytest.raises(Invalid, match=reason) as refusal:
                await challenge(sender, server.url, timeout=5)
    assert refusal.value.status == 422
    assert [pointer for pointer, _ in refusal.value.fields] == ["/url"]
    assert "it said" not in refusal.value.detail
    assert 'GET …?challenge=X with 200 and {"challenge": "X"}' in refusal.value.detail
    assert not body or body not in refusal.value.detail


@on_both_loops
async def test_an_address_that_is_out_of_reach_gets_no_challenge():
    async with listening(echoing("")) as server, sending("10.0.0.0/8") as sender:
        with pytest.raises(Invalid, match="loopback"):
            await challenge(sender, server.url, timeout=5)
        assert server.connections == 0


@on_both_loops
async def test_what_a_public_address_said_is_quoted_up_to_2_kib():
    sender = Public(Answer(status=500, cause="your server answered 500", body=b"\xffno such hook" + b"x" * 9999))
    with pytest.raises(Invalid, match=r"answered 500; it said: .no such hookx") as refusal:
        await challenge(sender, "https://a.example/", timeout=3.5)
    assert len(refusal.value.detail) < 2048 + 200
    assert sender.requests == [Request(url=f"https://a.example/?challenge={TOKEN}", method="GET", timeout=3.5)]


@given(st.binary())
def test_any_answer_is_consent_or_a_refusal(body):
    async def main() -> None:
        await challenge(Public(Answer(status=200, body=body)), "https://a.example/", timeout=1)

    coroutine = main()
    with pytest.raises(Invalid):
        coroutine.send(None)
