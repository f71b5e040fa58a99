"""Which URLs may see a token: a table of hostile spellings."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from tellwire.media.hosts import may_see_token

GRAPH = "https://graph.facebook.com/v24.0"
LOCAL = "http://127.0.0.1:8711/v24.0"


@pytest.mark.parametrize(
    "url",
    [
        "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1&ext=2&hash=Ab-_%3D",
        "https://LOOKASIDE.fbsbx.com/a",
        "https://lookaside.fbsbx.com:443/a",
        "https://mmg.whatsapp.net/a",
        "https://media.eu.whatsapp.net/a",
        "https://graph.facebook.com/v24.0/a",
        "https://lookaside.fbsbx.com",
    ],
)
def test_metas_hosts_may(url: str) -> None:
    assert may_see_token(url, GRAPH)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "lookaside.fbsbx.com/a",
        "//lookaside.fbsbx.com/a",
        "http://lookaside.fbsbx.com/a",
        "ftp://lookaside.fbsbx.com/a",
        "https://lookaside.fbsbx.com:8443/a",
        "https://lookaside.fbsbx.com:/a",
        "https://lookaside.fbsbx.com./a",
        "https://lookaside..fbsbx.com/a",
        "https://.fbsbx.com/a",
        "https://scontent.xx.fbcdn.net/v/t1.jpg",
        "https://z-m.facebook.com/a",
        "https://fbsbx.com/a",
        "https://whatsapp.net/a",
        "https://evilfbsbx.com/a",
        "https://xn--a.fbsbx.com/a",
        "https://a.XN--bcher-kva.fbsbx.com/a",
        "https://evil-whatsapp.net/a",
        "https://fbsbx.com.example.com/a",
        "https://graph.facebook.com:8443/v24.0/a",
        "https://graph.facebook.com./v24.0/a",
        "https://xgraph.facebook.com/v24.0/a",
        "http://graph.facebook.com/v24.0/a",
        "https://xn--fbsbx-xyz.com/a",
        "HTTPS://lookaside.fbsbx.com/a",
        "https://lookaside.fbsbx.com.example.com/a",
        "https://lookaside.fbsbx.com@example.com/a",
        "https://example.com@lookaside.fbsbx.com/a",
        "https://example.com:443@lookaside.fbsbx.com/a",
        "https://user:pass@lookaside.fbsbx.com/a",
        "https://example.com/@lookaside.fbsbx.com",
        "https://example.com#@lookaside.fbsbx.com/",
        "https://example.com?@lookaside.fbsbx.com/",
        "https://example.com\\@lookaside.fbsbx.com/",
        "https://example.com\\.lookaside.fbsbx.com/",
        "https://lookaside.fbsbx.com\\@example.com/",
        "https://lookaside.fbsbx.com\\.example.com/a",
        "https:\\\\lookaside.fbsbx.com/a",
        "https:lookaside.fbsbx.com/a",
        "https:///lookaside.fbsbx.com/a",
        "https://lookaside.fbsbx.com/a\\b",
        "https://lookaside.fbsbx.com /a",
        " https://lookaside.fbsbx.com/a",
        "https://lookaside.fbsbx.com/a\r\nHost: example.com",
        "https://lookaside.fbsbx.com/a\n",
        "https://lookaside\t.fbsbx.com/a",
        "https://lookaside.fbsbx.com%2eexample.com/a",
        "https://lookaside.fbsbx.com%00.example.com/a",
        "https://lookaside。fbsbx.com/a",
        "https://ﬂookaside.fbsbx.com/a",
        "https://lookаside.fbsbx.com/a",
        "https://example.com/lookaside.fbsbx.com",
        "https://[::1]/a",
        "https://127.0.0.1/a",
        "https://2130706433/a",
        "http://127.0.0.1:8711/a",
    ],
)
def test_others_may_not(url: str) -> None:
    assert not may_see_token(url, GRAPH)


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("http://127.0.0.1:8711/whatsapp_business/attachments/?mid=1", True),
        ("http://127.0.0.1:8712/a", False),
        ("https://127.0.0.1:8711/a", False),
        ("http://127.0.0.1/a", False),
        ("http://localhost:8711/a", False),
        ("http://127.0.0.1:8711@example.com/a", False),
        ("http://127.0.0.1:08711/a", True),
    ],
)
def test_the_graph_urls_own_host_and_port_may(url: str, may: bool) -> None:
    assert may_see_token(url, LOCAL) is may


SCHEMES = st.sampled_from(["https", "http", "HTTPS", "ftp", "", "https+x"])
LABELS = st.sampled_from(
    ["lookaside", "a", "evil", "xn--a", "ﬂ", "ü", "LOOK", "-", "_", "%2e", "127.0.0.1", "graph", ""]
)
DOMAINS = st.sampled_from(
    ["fbsbx.com", "FBSBX.com", "whatsapp.net", "evilfbsbx.com", "fbsbx.com.evil", "fbsbx.com.", "facebook.com", "evil"]
)
USERS = st.sampled_from(["", "", "", "u@", "u:p@", "@", "lookaside.fbsbx.com@", "lookaside.fbsbx.com:443@"])
PORTS = st.sampled_from(["", "", ":443", ":0443", ":", ":80", ":8443", ":x", ":443@evil"])
PATHS = st.sampled_from(
    ["", "/", "/a?b=c", "?x", "#x", "/@evil", "\\evil", "/a\\b", "/\n", " ", "\t", "//evil", "/..//evil"]
)
URLS = st.builds(
    lambda scheme, user, labels, domain, port, path: f"{scheme}://{user}{'.'.join((*labels, domain))}{port}{path}",
    SCHEMES,
    USERS,
    st.lists(LABELS, max_size=3),
    DOMAINS,
    PORTS,
    PATHS,
)


@given(URLS | st.text())
@settings(max_examples=1000)
def test_what_may_see_a_token_is_read_alike_by_whoever_connects_there(url: str) -> None:
    if not may_see_token(url, GRAPH):
        return
    connected, parsed = URL(url, encoded=True), urlsplit(url)  # aiohttp's and the standard library's reading
    assert (connected.scheme, connected.port, connected.user, connected.password) == ("https", 443, None, None)
    assert connected.host == parsed.hostname
    assert connected.host is not None
    name, _, last = connected.host.rpartition(".")
    above = f"{name.rpartition('.')[2]}.{last}"
    assert above in ("fbsbx.com", "whatsapp.net") or connected.host == "graph.facebook.com"
    assert connected.host != above


@given(st.text())
def test_any_text_is_judged(text: str) -> None:
    may_see_token(text, GRAPH)
