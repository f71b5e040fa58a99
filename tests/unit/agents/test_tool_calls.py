"""Calls of tools: what a model may bring about with parameters that a customer has put into its mouth."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellwire.agents import tool_calls
from tellwire.errors import Forbidden
from tellwire.ports.http_out import Answer, Request, without_what_was_said
from tellwire.security.addresses import ANYWHERE, check_url

API = ("https://api.example.com",)
KNOWN = frozenset({"order", "lang", "note", "host"})


def call(
    url: str = "https://api.example.com/orders/{order}",
    method: Literal["GET", "POST", "DELETE"] = "GET",
    allowed: tuple[str, ...] = API,
    **arguments: Any,
) -> Request:
    headers = {"Authorization": "Bearer s"}
    return tool_calls.request(url, method, arguments, known=KNOWN, headers=headers, allowed=allowed)


@pytest.mark.parametrize(
    ("url", "method", "arguments", "target", "body"),
    [
        ("/orders/{order}", "GET", {"order": "A-1 ü".replace(" ", "_")}, "/orders/A-1_%C3%BC", b""),
        ("/orders/{order}", "GET", {"order": 17}, "/orders/17", b""),
        ("/orders/{order}?lang={lang}", "GET", {"order": 1, "lang": "a&b=c#d"}, "/orders/1?lang=a%26b%3Dc%23d", b""),
        ("/orders/{order}?lang={lang}", "GET", {"order": 1}, "/orders/1?lang=", b""),
        ("/orders", "GET", {"order": "../x", "note": [1, "a"]}, "/orders?order=..%2Fx&note=%5B1%2C%22a%22%5D", b""),
        ("/orders?a=1", "DELETE", {"lang": True}, "/orders?a=1&lang=true", b""),
        ("/orders/{order}", "POST", {"order": "1", "note": "hi"}, "/orders/1", b'{"note":"hi"}'),
        ("/orders#part", "POST", {}, "/orders", b"{}"),
    ],
)
def test_parameters_go_where_they_belong(
    url: str, method: Literal["GET", "POST", "DELETE"], arguments: dict[str, Any], target: str, body: bytes
) -> None:
    request = call(f"https://api.example.com{url}", method, **arguments)
    assert request.url == f"https://api.example.com{target}"
    assert (request.method, request.body) == (method, body)
    assert ("Authorization", "Bearer s") in request.headers
    assert (("Content-Type", "application/json") in request.headers) == (method == "POST")


@pytest.mark.parametrize(
    "value",
    [
        *("..", ".", "", "../admin", "..%2fadmin", "%2e%2e", "%2e%2e/admin", "a/b", "a\\b", "..\\admin", "/admin"),
        *("//evil.example", "?admin=1", "1?x", "#x", "1#x", "a b", "a\nb", "a\x00b", "a\tb", "1%00", "%"),
        *("@evil.example/", "https://evil.example/"),
    ],
)
def test_no_parameter_changes_the_path(value: str) -> None:
    with pytest.raises(Forbidden):
        call(order=value)


@pytest.mark.parametrize("value", [None, True, ["a"], {"a": 1}])
def test_a_place_in_the_path_takes_texts_and_numbers(value: object) -> None:
    with pytest.raises(Forbidden, match="text or a number"):
        call(order=value)


def test_parameters_that_nobody_knows_or_gave() -> None:
    with pytest.raises(Forbidden, match="no parameter 'admin'"):
        call(order="1", admin=True)
    with pytest.raises(Forbidden, match="'order'"):
        call()


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com.evil.example/",
        "https://api.example.comevil.example/",
        "https://api.example.com@evil.example/",
        "https://user:pass@api.example.com/",
        "https://api.example.com:8443/",
        "https://api.example.com:443@evil.example/",
        "http://api.example.com/",
        "https://evil.example/https://api.example.com/",
        "https://evil.example\\@api.example.com/",
        "https://api.example.com/../../etc",
        "https://api.example.com/a/%2e%2E/b",
        "https://api.example.com/a/.%2e",
        "https://api.example.com/./a",
        "https://api.example.com\n.evil.example/",
        "https://api%2eexample%2ecom.evil.example/",
        "https://аpi.example.com/",
        "https://[::1]/",
        "https://127.1/",
        "ftp://api.example.com/",
        "//api.example.com/",
        "api.example.com",
        "",
    ],
)
def test_other_origins_and_paths_that_climb_are_refused(url: str) -> None:
    with pytest.raises(Forbidden):
        tool_calls.check_origin(url, API)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com/",
        "https://API.example.com/x",
        "https://api.example.com:443/x",
        "https://api.example.com./x",
        "https://api%2eexample.com/x",
        "https://api.example.com/a..b/...",
        "https://api.example.com/x?u=https://evil.example/../",
    ],
)
def test_spellings_of_the_same_origin_are_taken(url: str) -> None:
    assert tool_calls.check_origin(url, API).host == "api.example.com"


@pytest.mark.parametrize("value", ["evil.example/", "evil.example#", "evil.example?", "x@evil.example", "evil", "a.b"])
def test_a_parameter_in_the_host_leads_nowhere(value: str) -> None:
    with pytest.raises(Forbidden):
        call("https://{host}.example.com/", host=value)


@given(st.text(), st.text())
def test_whatever_is_given_the_origin_and_the_path_stay(order: str, lang: str) -> None:
    try:
        request = call("https://api.example.com/orders/{order}/items?lang={lang}", order=order, lang=lang)
    except Forbidden:
        return
    except UnicodeEncodeError:  # half of a character is nothing that JSON can bring
        return
    target = check_url(request.url, ANYWHERE)
    path, _, query = target.path.partition("?")
    assert (target.scheme, target.host, target.port) == ("https", "api.example.com", 443)
    assert [path.split("/")[1], path.split("/")[3]] == ["orders", "items"]
    assert len(path.split("/")) == 4
    assert query.startswith("lang=")
    assert "&" not in query


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://api.example.com", ("https", "api.example.com", 443)),
        ("https://api.example.com/", ("https", "api.example.com", 443)),
        ("api.example.com", ("https", "api.example.com", 443)),
        ("http://127.0.0.1:8080", ("http", "127.0.0.1", 8080)),
        ("https://api.example.com/path", None),
        ("https://api.example.com?x", None),
        ("https://a@b.example", None),
        ("*.example.com", None),
        ("", None),
    ],
)
def test_origins_of_the_allow_list(text: str, origin: tuple[str, str, int] | None) -> None:
    assert tool_calls.origin_of(text) == origin


def test_secrets_do_not_come_back() -> None:
    told = tool_calls.result_for_model(
        Answer(status=200, body=b'{"got": "Bearer tops3cret"}'), ["Bearer tops3cret", "tops3cret"]
    )
    assert "tops3cret" not in told
    assert "********" in told
    assert "dns" in tool_calls.result_for_model(Answer(failure="dns", cause="no address of api.internal"), [])
    assert "internal" not in tool_calls.result_for_model(Answer(failure="dns", cause="no address of api.internal"), [])


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (
            Answer(status=200, body=b"inside", headers=(("x-a", "inside"),), truncated=True),
            {"status": 200, "body": "", "cut": False, "note": "what addresses on the allow list answer is not shown"},
        ),
        (Answer(failure="tls", body=b"inside"), {"error": "the tool could not be reached", "failure": "tls"}),
    ],
)
def test_what_an_allow_listed_address_says_is_not_told(answer: Answer, told: dict[str, Any]) -> None:
    assert json.loads(tool_calls.result_for_model(without_what_was_said(answer), [])) == told
