"""PURE. JSON of other people's cut into its members, whatever is in it."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from tellwire.meta.raw_json import verbatim

_members = msgspec.json.Decoder(dict[str, Raw]).decode


def members_of(text: bytes | Raw) -> dict[str, Raw]:
    """Return the members of an object, verbatim and in order; none of anything else.

    What no decoder takes as a whole, as half a surrogate pair, is cut all the same.
    """
    try:
        return _members(text)
    except verbatim.REFUSALS:
        found = verbatim.members(bytes(text)) or {}
        return {name: Raw(bytes(value)) for name, value in found.items()}
