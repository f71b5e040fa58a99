"""Which URLs may see a token: a table of hostile spellings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellwire.media.hosts import may_see_token

GRAPH = "https://graph.facebook.com/v24.0"
LOCAL = "http://127.0.0.1:8711/v24.0"


@pytest.mark.parametrize(
    "url",
    [
        "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1&ext=2&hash=Ab-_%3D",
        "https://LOOKASIDE.fbsbx.com/a",
        "https://lookaside.fbsbx.com:443/a",
        "https://scontent.xx.fbcdn.net/v/t1.jpg",
        "https://mmg.whatsapp.net/a",
        "https://z-m.facebook.com/a",
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
        "https://fbcdn.net/a",
        "https://evilfbcdn.net/a",
        "https://fbcdn.net.example.com/a",
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


@given(st.text())
def test_any_text_is_judged(text: str) -> None:
    may_see_token(text, GRAPH)
