from __future__ import annotations


class BenchError(Exception):
    """The benchmark cannot go on; the text says why, and what to do where something can be done."""
