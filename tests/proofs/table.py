"""PURE. The kill matrix as people read it: Markdown, aligned."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from tests.proofs.reconciler import Verdict

MATRIX = (
    "store", "victim", "seed", "kills", "POSTs", "accepted", "delivered", "lost", "reordered", "duplicates",
    "in flight", "longest silence",
)  # fmt: skip
"""The head of the kill matrix."""


class Row(Struct, frozen=True, kw_only=True):
    """One cell's line. `silence`: the longest time without a delivery, in seconds."""

    store: str
    victim: str
    seed: int
    kills: int
    posts: int
    verdict: Verdict
    silence: float

    def cells(self) -> tuple[str, ...]:
        found = self.verdict
        numbers = (
            self.seed, self.kills, self.posts, found.accepted, found.delivered, len(found.lost), len(found.reordered),
            found.duplicates, found.in_flight,
        )  # fmt: skip
        return (self.store, self.victim, *map(str, numbers), f"{self.silence:.1f} s")


SENT = (
    "store", "seed", "kills", "messages", "recipients", "accepted", "failed", "unknown", "settled by a status", "twice",
    "out of order", "over the rate", "over a pair's", "most a second", "took",
)  # fmt: skip
"""The head of the table of messages that were sent to a Meta in trouble."""


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows under their head."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    texts = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([texts[0], rule, *texts[1:]])
