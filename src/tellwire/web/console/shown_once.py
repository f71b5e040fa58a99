"""Show a new secret on one page, once: it travels there in a cookie that only this server can read.

So a reload does not show it again, no page needs a script for that, and any process may serve the page.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote

import msgspec
from litestar import Request, Response
from litestar.datastructures import Cookie

from tellwire.errors import BadSettings
from tellwire.web.console.pages import Visit
from tellwire.web.services import Services

_COOKIE = "tellwire_shown_once"
_SECONDS = 60


def give(answer: Response[Any], services: Services, visit: Visit, path: str, values: dict[str, str]) -> None:
    """Send texts along with an answer that leads to the page at `path`, which is shown within the next minute."""
    sealed = services.store.vault.seal(msgspec.json.encode(values).decode(), _context(visit, path))
    answer.set_cookie(
        Cookie(
            key=_COOKIE,
            value=quote(sealed, safe=""),
            path=path,
            max_age=_SECONDS,
            httponly=True,
            samesite="strict",
            secure=services.settings.base_url.startswith("https:"),
        )
    )


def take(request: Request[Any, Any, Any], services: Services, visit: Visit) -> dict[str, str]:
    """Return what came along to this page, nothing when it was shown before; `forget` belongs to the answer."""
    try:
        sealed = unquote(request.cookies.get(_COOKIE, ""))
        plain = services.store.vault.unseal(sealed, _context(visit, visit.path))
        return msgspec.json.decode(plain or "{}", type=dict[str, str])
    except (BadSettings, ValueError, msgspec.MsgspecError):
        return {}


def forget(answer: Response[Any], visit: Visit) -> None:
    """Have the browser forget what was shown."""
    answer.delete_cookie(_COOKIE, path=visit.path)


def _context(visit: Visit, path: str) -> str:
    return f"shown once, {visit.session.stored.hash}, {path}"
