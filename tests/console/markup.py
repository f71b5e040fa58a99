"""What the HTML of a page holds, and that it is whole and runs nothing but our own files."""

from __future__ import annotations

from html import unescape
from html.parser import HTMLParser

from tests.served import Reply

VOID = ("meta", "link", "br", "img", "input", "hr", "path")
MARKUP = "<img src=x onerror=alert(1)>"
"""What a stranger may give as the text of anything."""


class Markup(HTMLParser):
    """A page, read as a browser does."""

    def __init__(self, page: str | Reply) -> None:
        super().__init__()
        self.text = page if isinstance(page, str) else page.body.decode()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(self.text)
        self.close()
        assert self._open == []
        assert self.of("img") == self.of("style") == self.of("iframe") == self.of("object") == []
        for attributes in self.of("script"):
            assert attributes["type"] == "module"
            assert (attributes["src"] or "").startswith("/static/")
        for tag, attributes in self.tags:
            for name, value in attributes.items():
                assert not name.startswith("on"), (tag, attributes)
                assert name != "style", (tag, attributes)
                assert not (value or "").lower().lstrip().startswith("javascript:"), (tag, attributes)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of each element of a kind."""
        return [attributes for name, attributes in self.tags if name == tag]


def plain(page: str | Reply) -> str:
    """What a page says, after a look at whether it would run anything of a stranger's."""
    return unescape(Markup(page).text)
