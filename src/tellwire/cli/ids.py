"""Find the whole id that a person means by its beginning or its end (`cli/short_ids.py`)."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from tellwire.cli import MISUSED, NOT_FOUND
from tellwire.cli.server import Api
from tellwire.cli.short_ids import is_id
from tellwire.cli.times import ago
from tellwire.errors import TellwireError

MOST = 2_000
"""Among so many of the newest rows a part of an id is looked for."""
_PAGE = 200
_PART = re.compile(r"[0-9a-f][0-9a-f-]{3,34}")


class Unclear(TellwireError):  # noqa: N818 - what an id is
    """A part of an id that fits none, or several; the text lists them."""

    def __init__(self, said: str, exit_code: int) -> None:
        super().__init__(said)
        self.exit_code = exit_code


def whole(api: Api, given: str, *noun: str, what: str = "", or_name: bool = False) -> str:
    """Return the one id of a noun that begins or ends with what was given, of at least 4 characters.

    A whole id, and a text that can be no part of one (a phone_number_id, a name), are returned as they are: the server
    says whether there is one.

    Args:
        noun: the path of the list after /v1, in parts.
        what: what one of them is called, such as "delivery".
        or_name: whether one may have another name that looks like a part, as a phone_number_id does; what fits none is
            then returned as it is.

    Raises:
        Unclear: several fit (exit code 2), or none of the newest rows (4).
    """
    given = given.strip().lower() if _PART.fullmatch(given.strip().lower()) else given
    if is_id(given) or not _PART.fullmatch(given):
        return given
    called = what or noun[-1].removesuffix("s")
    found, looked = _candidates(api, given, noun)
    if not found:
        if or_name:
            return given
        raise Unclear(
            f"no {called} has an id that begins or ends with {given} among the newest {looked}; give the whole id",
            NOT_FOUND,
        )
    if len(found) > 1:
        now = time.time()
        some = ", ".join(f"{row['id']} ({ago(str(row.get('created_at') or ''), now)})" for row in found[:5])
        more = f", and {len(found) - 5} more" if len(found) > 5 else ""
        raise Unclear(f"{given} fits several: {some}{more}; give more of the id", MISUSED)
    return str(found[0]["id"])


def _candidates(api: Api, given: str, noun: tuple[str, ...]) -> tuple[list[Mapping[str, Any]], int]:
    found: list[Mapping[str, Any]] = []
    looked, query = 0, {"limit": str(_PAGE)}
    while looked < MOST:
        page = api.call("GET", *noun, query=query)
        looked += len(page["data"])
        found += [row for row in page["data"] if row["id"].startswith(given) or row["id"].endswith(given)]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    return found, looked
