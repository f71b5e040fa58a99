"""Whether a message arrived, by the steps of its way."""

from __future__ import annotations

from typing import get_args

import pytest

from tellwire.cli.why import arrived
from tellwire.journeys.step import StepState


@pytest.mark.parametrize("state", get_args(StepState))
def test_a_message_has_arrived_with_every_step_that_was_to_come(state: str) -> None:
    journey = {"steps": [{"state": "done"}, {"state": state}, {"state": "done"}]}
    assert arrived(journey) == (state in ("done", "skipped"))
