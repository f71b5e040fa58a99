"""1 000 calls of the Graph façade, many at once, against a Meta that throttles, breaks and falls silent."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import pywa.errors
from tests.acceptance.graph_site import Site, site
from tests.acceptance.processes import until

CALLS, AT_ONCE, RECIPIENTS, RATE = 1000, 32, 60, 150
TRANSIENT = {2, 4, 130429, 131000, 131016, 131056, 131057, 133004}


def calls(at: Site) -> list[tuple[int, Any]]:
    """Make every call once, as an impatient client does that asks for no answer twice."""
    rng = random.Random(20261130)
    recipients = [f"52155{rng.randrange(RECIPIENTS):08}" for _ in range(CALLS)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda n: at.send(recipients[n], text={"body": f"call {n}"}), range(CALLS)))


@pytest.mark.alone
def test_a_thousand_calls(tmp_path: Path) -> None:
    trouble: dict[str, Any] = {
        "throttle_rate": 0.002,
        "error_rate": 0.02,
        "error_accept_rate": 0.5,
        "timeout_rate": 0.02,
        "hang_seconds": 0.2,
        "sends_per_second": RATE,
        "delivered_rate": 0.0,
        "loss_rate": 1.0,
    }
    with site(tmp_path, rate=RATE, **trouble) as at:
        answers = calls(at)
        until(lambda: not at.messages("queued") and not at.messages("sending"), what="the end")
        counts, accepted = at.control("counts"), at.accepted()
        unknown = {row["id"] for row in at.messages("unknown")}
        cancelled = at.messages("cancelled")
    said = [each["body"]["text"]["body"] for each in accepted]
    assert len({*said}) == len(said), "a call was sent twice"
    assert (counts["rate"], counts["pairs"]["broken"]) == (
        {number: window | {"broken": 0} for number, window in counts["rate"].items()},
        0,
    )
    wamids = {each["id"]: each["body"]["text"]["body"] for each in accepted}
    outcomes: Counter[str] = Counter()
    for number, (status, answer) in enumerate(answers):
        if status == 200:
            assert wamids[answer["messages"][0]["id"]] == f"call {number}"
            outcomes["accepted"] += 1
            continue
        found = pywa.errors.WhatsAppError.from_dict(answer["error"])
        assert found.code in TRANSIENT, answer
        assert 400 <= status < 600
        if found.is_transient is False:
            outcomes["unknown"] += 1
            assert answer["error"]["error_data"]["message_id"] in unknown
        else:
            outcomes[str(found.code)] += 1
            assert f"call {number}" not in said, "it is answered as not sent, and was"
    assert outcomes["unknown"] == len(unknown)
    assert outcomes["accepted"] > CALLS / 10, outcomes
    assert sum(outcomes.values()) == CALLS
    assert {row["send_state"] for row in cancelled} <= {"cancelled"}
