"""Somebody who uses the console over plain HTTP: follows links and sends forms, with a cookie and no script."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import Self
from urllib.parse import urlencode, urlsplit

from tests.served import ADMIN, Reply, Served

FORM = {"content-type": "application/x-www-form-urlencoded"}


class Visitor:
    """Somebody with a cookie, or with none yet."""

    def __init__(self, app: Served, cookie: str = "") -> None:
        self.app = app
        self.cookie = cookie

    @classmethod
    def entered(cls, app: Served, *, email: str = "", key: str = ADMIN) -> Self:
        """Somebody who came by a login link: a member, or without an address who runs the installation."""
        link = app.post("/v1/login-links", {"email": email} if email else {}, key=key)["url"]
        visitor = cls(app)
        reply = visitor.post(urlsplit(link).path, {})
        assert reply.status == 303, (reply.status, reply.body)
        return visitor

    def get(self, path: str, **headers: str) -> Reply:
        """Open a page."""
        return self._kept(self.app.send("GET", path, None, self._headers() | headers))

    def page(self, path: str) -> str:
        """The HTML of a page that must be there."""
        reply = self.get(path)
        assert reply.status == 200, (path, reply.status, reply.body)
        return reply.body.decode()

    def post(self, path: str, fields: Mapping[str, str], **headers: str) -> Reply:
        """Send a form as it stands here."""
        return self.send_form(path, list(fields.items()), **headers)

    def send_form(self, path: str, fields: Sequence[tuple[str, str]], **headers: str) -> Reply:
        """Send a form in which a field may occur several times."""
        sent = self._headers() | FORM | {"origin": f"http://127.0.0.1:{self.app.port}"} | headers
        return self._kept(self.app.send("POST", path, urlencode(fields).encode(), sent))

    def submit(self, page: str, action: str, **fields: str) -> Reply:
        """Fill in the form of a page that is sent to `action`, and send it with what it carries."""
        for form in re.findall(r"<form\b.*?</form>", self.page(page), re.DOTALL):
            if f'action="{html.escape(action)}"' in form:
                hidden = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', form)
                return self.post(action, {name: html.unescape(value) for name, value in hidden} | fields)
        raise AssertionError(f"{page} has no form for {action}")

    def _headers(self) -> dict[str, str]:
        return {"cookie": f"tellwire_session={self.cookie}"} if self.cookie else {}

    def _kept(self, reply: Reply) -> Reply:
        if found := re.match(r"tellwire_session=([^;]*)", reply.headers.get("set-cookie", "")):
            self.cookie = found[1].strip('"')
        return reply
