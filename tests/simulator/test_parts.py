"""The pure parts of the simulator: limits, plans of statuses, knobs, recipients that stand for errors."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellwire.errors import Invalid
from tellwire.meta.codes import CODES
from tellwire.simulator import Knobs, number_for
from tellwire.simulator.knobs import changed_knobs
from tellwire.simulator.limits import PairBuckets, Window
from tellwire.simulator.plan import pricing, steps
from tellwire.simulator.refusals import PlannedError, Refusal, error_for, failure

SECOND = 1_000_000
TIMES = st.lists(st.integers(0, 20 * SECOND), max_size=80).map(sorted)

# --- limits -----------------------------------------------------------------------------------------------------------


@given(TIMES, st.integers(1, 10))
def test_no_stretch_of_a_window_lets_more_in_than_the_limit(times: list[int], limit: int) -> None:
    window = Window(SECOND)
    let_in = [now for now in times if window.take(now, limit)]
    for now in let_in:
        assert sum(now - SECOND < each <= now for each in let_in) <= limit
    assert window.broken == len(times) - len(let_in)
    assert window.peak_let_in <= min(limit, window.peak)
    assert window.peak == max((sum(now - SECOND < each <= now for each in times) for now in times), default=0)


@given(TIMES, st.integers(1, 6), st.sampled_from([0.5, 1.0, 6.0]))
def test_a_pair_gets_its_burst_and_then_one_at_a_time(times: list[int], burst: int, seconds: float) -> None:
    pairs = PairBuckets()
    let_in = [now for now in times if pairs.take("a", now, burst=burst, seconds=seconds)]
    for start in range(len(let_in)):
        for end in range(start, len(let_in)):
            free = burst + (let_in[end] - let_in[start]) / (seconds * SECOND)
            assert end - start + 1 <= free + 1e-6
    assert pairs.broken.get("a", 0) == len(times) - len(let_in)
    assert pairs.sends.get("a", 0) == len(times)


def test_without_a_limit_everything_is_let_in_and_counted() -> None:
    window, pairs = Window(SECOND), PairBuckets()
    assert all(window.take(0, 0) for _ in range(1000))
    assert (window.broken, window.peak_let_in) == (0, 1000)
    assert all(pairs.take("a", 0, burst=0, seconds=6) for _ in range(1000))
    assert (pairs.broken, pairs.sends) == ({}, {"a": 1000})


# --- plans ------------------------------------------------------------------------------------------------------------


def planned(*, voice: bool = False, failure_code: int = 0, seed: int = 1, **knobs: Any) -> list[tuple[str, float]]:
    made = steps(Knobs(**knobs), Random(seed), voice=voice, failure_code=failure_code)
    return [(step.name, round(step.after, 3)) for step in made]


@pytest.mark.parametrize(
    ("given_", "plan"),
    [
        ({}, [("sent", 0), ("delivered", 0.05), ("read", 0.1)]),
        ({"voice": True}, [("sent", 0), ("delivered", 0.05), ("read", 0.1), ("played", 0.15)]),
        ({"sent_after": 1, "delivered_after": 2, "read_after": 3}, [("sent", 1), ("delivered", 3), ("read", 6)]),
        ({"read_rate": 0}, [("sent", 0), ("delivered", 0.05)]),
        ({"delivered_rate": 0}, [("sent", 0)]),
        ({"open_chat_rate": 1}, [("sent", 0), ("read", 0.1)]),
        ({"open_chat_rate": 1, "read_rate": 0}, [("sent", 0), ("delivered", 0.05)]),
        ({"failure_code": 131026, "failed_after": 2}, [("failed", 2)]),
        ({"loss_rate": 1}, []),
        ({"late_rate": 1, "late_seconds": 9}, [("sent", 9), ("delivered", 9.05), ("read", 9.1)]),
        ({"duplicate_rate": 1, "read_rate": 0}, [("sent", 0), ("sent", 0), ("delivered", 0.05), ("delivered", 0.05)]),
        ({"reorder_rate": 1}, [("read", 0), ("delivered", 0.05), ("sent", 0.1)]),
    ],
)
def test_statuses_are_planned_as_the_knobs_say(given_: dict[str, Any], plan: list[tuple[str, float]]) -> None:
    assert planned(**given_) == plan


@given(st.booleans(), st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 99))
def test_the_price_stands_on_sent_and_on_one_more_at_most(voice: bool, share: float, seed: int) -> None:
    made = steps(Knobs(open_chat_rate=share, read_rate=share, delivered_rate=share), Random(seed), voice=voice)
    priced = [step.name for step in made if step.priced]
    assert priced in (["sent"], ["sent", "delivered"], ["sent", "read"])
    assert len({*priced, *(step.name for step in made)} & {"delivered", "read"}) in (0, 1, 2)
    assert [step.happens for step in made] == sorted(step.happens for step in made)


@pytest.mark.parametrize(
    ("category", "in_window", "billable"),
    [
        ("service", True, False),
        ("utility", True, False),
        ("marketing", True, True),
        ("authentication", True, True),
        ("service", False, True),
        ("utility", False, True),
    ],
)
def test_what_is_free_within_the_window_costs_outside(category: str, *, in_window: bool, billable: bool) -> None:
    price = pricing(category, in_window=in_window)
    assert price == {
        "billable": billable,
        "pricing_model": "PMP",
        "category": category,
        "type": "regular" if billable else "free_customer_service",
    }


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_recipient_an_answer_and_a_failed_status(code: int) -> None:
    known = CODES[code]
    usual = error_for(number_for(code))
    assert usual == PlannedError(code, "usual")
    assert usual.late == (known.late and known.kind == "fail")
    forced = [error_for(number_for(code, how)) for how in ("answer", "status")]
    assert [each and each.late for each in forced] == [False, True]
    assert error_for(f"MX.ERROR0{code:07d}") == usual
    refused = Refusal(code, "because")
    assert refused.http == known.http
    assert refused.body("T")["error"] == {
        "message": f"(#{code}) {known.title}",
        "type": "OAuthException",
        "code": code,
        "error_data": {"messaging_product": "whatsapp", "details": "because"},
        "fbtrace_id": "T",
    }
    assert failure(code)["title"] == failure(code)["message"] == known.title


@pytest.mark.parametrize("recipient", ["5215500000001", "999", "99930131026", "9990013102", "999001310261", "MX.1"])
def test_other_recipients_stand_for_nothing(recipient: str) -> None:
    assert error_for(recipient) is None


# --- knobs ------------------------------------------------------------------------------------------------------------


def test_knobs_are_turned_one_by_one() -> None:
    knobs = changed_knobs(changed_knobs(Knobs(), {"latency": 1}), {"throttle_rate": 0.5, "codes": {"131026": 0.1}})
    assert (knobs.latency, knobs.throttle_rate, knobs.codes) == (1, 0.5, {131026: 0.1})


@pytest.mark.parametrize(
    ("given_", "field"),
    [
        ({"latncy": 1}, "/latncy"),
        ({"throttle_rate": 2}, "/throttle_rate"),
        ({"throttle_rate": -0.1}, "/throttle_rate"),
        ({"batch": 0}, "/batch"),
        ({"batch": 1001}, "/batch"),
        ({"codes": {"131026": 2}}, "/codes"),
        ({"country_code": "+52"}, "/country_code"),
        ({"wrong_hash": "perhaps"}, "/wrong_hash"),
    ],
)
def test_what_a_knob_does_not_take_is_named(given_: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        changed_knobs(Knobs(), given_)
    assert [name for name, _ in caught.value.fields] == [field]
