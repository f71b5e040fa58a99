"""PURE. List the sizes that a scenario goes through, and name them."""

from __future__ import annotations


def powers(first: int, last: int) -> list[int]:
    """Return `first`, ten times as many, and so on, and `last`."""
    sizes = []
    size = first
    while size < last:
        sizes.append(size)
        size *= 10
    return [*sizes, last]


def words(size: int) -> str:
    """Return the short name of a size: 1, 100, 10 k, 1 M, 1.5 M."""
    for unit, letter in ((1_000_000, "M"), (1_000, "k")):
        if size >= unit:
            return f"{size / unit:g} {letter}"
    return str(size)
