"""What the requests of organizations take while they are under way is shared by organization: connections, with the
file that an upload or a download has open, and memory for answers that their clients have not taken.

Source: docs/reference/delivery.md, "Lanes".
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from tellwire.errors import Busy
from tellwire.model.shares import FairShare

_STATE = "place"
_MOST_REQUESTS = 1000
_MOST_ANSWERS = 256 * 1024 * 1024
"""How many bytes of answers may be in memory at once."""
PIECE = 64 * 1024
"""Bytes of an answer that are given to the connection at a time, and that are not counted."""


class Places:
    """Everything that requests take, and who has how much of it."""

    def __init__(self, requests: int = _MOST_REQUESTS, answers: int = _MOST_ANSWERS) -> None:
        self.requests = FairShare(requests)
        self.answers = FairShare(answers)

    def take(self, scope: MutableMapping[str, Any], organization_id: str) -> None:
        """Give a request its place, which `of` finds and whoever answers it leaves.

        Raises:
            Busy: the organization has as many requests under way as it may.
        """
        if not self.requests.admits(organization_id):
            raise Busy("Too many requests of this organization are under way; try again when some are answered.")
        scope["state"][_STATE] = Place(self, organization_id)


class Place:
    """What one request of an organization has taken."""

    def __init__(self, places: Places, organization_id: str) -> None:
        self._places = places
        self.organization_id = organization_id
        self._size = 0
        places.requests.take(organization_id)

    def holds(self, size: int) -> bool:
        """Take memory for an answer; return False if there is none for the organization now."""
        answers = self._places.answers
        if not answers.admits(self.organization_id):
            return False
        answers.take(self.organization_id, size)
        self._size += size
        return True

    def leave(self) -> None:
        """Give everything back, once the request is answered."""
        self._places.requests.give_back(self.organization_id)
        if self._size:
            self._places.answers.give_back(self.organization_id, self._size)


def of(scope: MutableMapping[str, Any]) -> Place | None:
    """Return the place of a request; None before its organization is known."""
    place: Place | None = scope["state"].get(_STATE)
    return place
