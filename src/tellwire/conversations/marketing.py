"""PURE. Which people want no marketing, by account: what Meta told last (docs/reference/formats.md, "Marketing
preferences").

A contact keeps it as a JSON object by account id, "" while nothing was told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import msgspec
from msgspec import Struct

from tellwire.model.units import Seconds

CATEGORY = "marketing_messages"
"""Meta's name for the category."""
Choice = Literal["stop", "resume"]
CHOICES: tuple[Choice, ...] = get_args(Choice)

_encode = msgspec.json.Encoder().encode


class Preference(Struct, frozen=True):
    """What a person wants; `at` is Meta's time, else ours. Of two at the same time a stop counts."""

    choice: Choice
    at: Seconds

    @property
    def rank(self) -> tuple[Seconds, bool]:
        """What the later of two has more of."""
        return self.at, self.choice == "stop"


_preferences = msgspec.json.Decoder(dict[str, Preference])


def known(marketing: str) -> dict[str, Preference]:
    """Return what a contact's column holds, by account id."""
    return _preferences.decode(marketing) if marketing else {}


def stopped(marketing: str, account_id: str) -> bool:
    """Return whether the contact wants no marketing of an account."""
    found = known(marketing).get(account_id)
    return found is not None and found.choice == "stop"


def merged(one: str, other: str) -> str:
    """Return the column of two contacts that are one person: of each account the later word counts."""
    return with_preferences(one, known(other)) if other else one


def with_preferences(marketing: str, new: Mapping[str, Preference]) -> str:
    """Return the column with what was told by account id; what is older than the known changes nothing."""
    kept = known(marketing)
    later = {
        account_id: each
        for account_id, each in new.items()
        if account_id not in kept or each.rank > kept[account_id].rank
    }
    return _encode(kept | later).decode() if later else marketing
