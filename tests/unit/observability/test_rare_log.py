"""What strangers can cause at will is logged at once, then once in a while with the count."""

from __future__ import annotations

import structlog

from tellwire.observability.rare_log import RareLog


def test_a_reason_has_a_line_at_once_and_then_one_with_the_count() -> None:
    with structlog.testing.capture_logs() as lines:
        log = RareLog("tellwire.web", "refused", pause_seconds=10.0)
        log.note("a", 100.0, peer="192.0.2.1")
        for second in range(1, 6):
            log.note("a", 100.0 + second, peer=f"192.0.2.{second}")
        log.note("b", 105.0)
        log.flush(109.0)
        log.flush(110.0)
        log.flush(130.0)
    told = [(line["reason"], line["count"], line.get("peer")) for line in lines]
    assert told == [("a", 1, "192.0.2.1"), ("b", 1, None), ("a", 5, "192.0.2.5")]
    assert {line["event"] for line in lines} == {"refused"}
