"""Leases as a store keeps them, over a dict and by the store's own time."""

from __future__ import annotations

from collections.abc import Collection

from tellwire.model.routing import PARTITIONS
from tellwire.ports.storage import Lease

LENGTH = 6_000_000


class LeaseTable:
    """Who owns which partition, until when, under which epoch; `moves` notes every taking."""

    def __init__(self) -> None:
        self.owners: dict[int, tuple[str, int]] = {}
        self.epochs = dict.fromkeys(range(PARTITIONS), 0)
        self.seen: dict[str, int] = {}
        self.moves: list[tuple[str, int]] = []

    def renew(self, owner: str, now: int) -> Lease:
        """See `ports.Outbox.renew`."""
        self.seen[owner] = now
        self.seen = {name: at for name, at in self.seen.items() if at + LENGTH > now}
        share = -(-PARTITIONS // len(self.seen))
        mine = [p for p, (name, _) in self.owners.items() if name == owner]
        for partition in range(PARTITIONS):
            name, until = self.owners.get(partition, ("", 0))
            if name != owner and until <= now and len(mine) < share:
                self.epochs[partition] += 1
                self.moves.append((owner, partition))
                mine.append(partition)
        for partition in mine:
            self.owners[partition] = (owner, now + LENGTH)
        return Lease({p: self.epochs[p] for p in mine}, now + LENGTH, share)

    def release(self, owner: str, partitions: Collection[int] | None) -> None:
        """See `ports.Outbox.release`."""
        for partition in list(self.owners) if partitions is None else partitions:
            if self.owners[partition][0] == owner:
                del self.owners[partition]
        if partitions is None:
            self.seen.pop(owner, None)

    def owner(self, partition: int) -> str:
        return self.owners.get(partition, ("", 0))[0]
