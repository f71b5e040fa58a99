from __future__ import annotations


class BenchError(Exception):
    """Raised when the benchmark cannot go on; the text says why and, where possible, what to do."""
