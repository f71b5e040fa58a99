"""What the sub-path is taken from, and what gets it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tellwire.errors import BadSettings
from tellwire.web.sub_path import PASSED_ON, check, enter, in_page, leaving


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("/t", "/"),
        ("/t/", "/"),
        ("/t/v1/accounts", "/v1/accounts"),
        ("/v1/accounts", "/v1/accounts"),
        ("/tt/v1", "/tt/v1"),
        ("/t/t/v1", "/t/v1"),
        ("/t//v1", "//v1"),
        ("/", "/"),
    ],
)
def test_the_path_of_a_request(raw: str, path: str) -> None:
    scope: dict[str, Any] = {"path": raw, "raw_path": raw.encode()}
    enter(scope, "/t")
    assert (scope["path"], scope["raw_path"]) == (path, path.encode())
    assert (PASSED_ON in scope.get("state", {})) is (path != raw)


@pytest.mark.parametrize(
    ("name", "value", "sent"),
    [
        (b"location", b"/login?next=%2F", b"/t/login?next=%2F"),
        (b"Location", b"/", b"/t/"),
        (b"location", b"https://example.com/", b"https://example.com/"),
        (b"location", b"//example.com/", b"//example.com/"),
        (b"set-cookie", b"a=1; Path=/; HttpOnly", b"a=1; Path=/t; HttpOnly"),
        (b"set-cookie", b"a=1; path=/endpoints/1/secret", b"a=1; path=/t/endpoints/1/secret"),
        (b"set-cookie", b"a=1; HttpOnly", b"a=1; HttpOnly"),
        (b"link", b"/x", b"/x"),
    ],
)
def test_the_headers_of_an_answer(name: bytes, value: bytes, sent: bytes) -> None:
    messages: list[Any] = []

    async def keep(message: Any) -> None:
        messages.append(message)

    start = {"type": "http.response.start", "status": 200, "headers": [(name, value)]}
    asyncio.run(leaving(keep, "/t")(start))  # type: ignore[arg-type]
    assert messages[0]["headers"] == [(name, sent)]


@pytest.mark.parametrize(
    ("page", "shown"),
    [
        ('<a href="/inbox">', '<a href="/t/inbox">'),
        ('<form method="post"\n  action="/login">', '<form method="post"\n  action="/t/login">'),
        ('<link rel="icon" href="//example.com/x">', '<link rel="icon" href="//example.com/x">'),
        ('<a href="https://example.com/">', '<a href="https://example.com/">'),
        ('<a href="#top">', '<a href="#top">'),
        ('<input value="/inbox" data-key="/">', '<input value="/inbox" data-key="/">'),
        ("<pre>curl href=&#34;/inbox&#34;</pre>", "<pre>curl href=&#34;/inbox&#34;</pre>"),
    ],
)
def test_the_addresses_of_a_page(page: str, shown: str) -> None:
    assert in_page(page, "/t") == shown
    assert in_page(page, "") == page


def test_a_path_of_our_own_is_refused() -> None:
    check("/tellwire/v1", ("v1", "inbox"))
    with pytest.raises(BadSettings, match="/inbox is a path of Tellwire's own"):
        check("/inbox/more", ("v1", "inbox"))
