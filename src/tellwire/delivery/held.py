"""PURE. Which deliveries of one endpoint are in memory, counted against its organization's share."""

from __future__ import annotations

from collections.abc import Iterable

from tellwire.delivery.side_lanes import OrganizationShare
from tellwire.model.deliveries import Work


class Held:
    """The ids of one endpoint's deliveries that are in memory."""

    def __init__(self, share: OrganizationShare) -> None:
        self._share = share
        self._ids: set[str] = set()

    def __contains__(self, delivery_id: str) -> bool:
        return delivery_id in self._ids

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, delivery_id: str) -> None:
        """Count one that comes into memory."""
        self._ids.add(delivery_id)
        self._share.hold(1)

    def remove(self, delivery_id: str) -> None:
        """Count one that leaves memory."""
        self._ids.remove(delivery_id)
        self._share.hold(-1)

    def forget(self, works: Iterable[Work]) -> None:
        """Count all of these that leave memory, those that are sent with them too."""
        ids, before = self._ids, len(self._ids)
        for work in works:
            ids.remove(work.delivery.id)
            for member in work.more:
                ids.remove(member.delivery.id)
        self._share.hold(len(ids) - before)

    def keep(self, delivery_ids: set[str]) -> None:
        """Count all that leave memory but these."""
        self._share.hold(len(delivery_ids) - len(self._ids))
        self._ids = delivery_ids
