"""Read JSON that was given on the command line, or in the file of `@FILE`."""

from __future__ import annotations

from typing import Any

import msgspec

from tellwire.cli.records import secret_of
from tellwire.errors import BadSettings


def json_of(option: str, given: str) -> dict[str, Any]:
    """Return the JSON object that an option has.

    Raises:
        BadSettings: it is none, or its file cannot be read.
    """
    try:
        return msgspec.json.decode(secret_of(option, given), type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise BadSettings(f"{option} takes a JSON object, or @FILE with one: {error}") from None
