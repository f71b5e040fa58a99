"""Order, fairness, caps and outages, on a clock that jumps."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.delivery.simulated import Reply, Simulation, endpoint

from tellwire.delivery.side_lanes import SideLaneLimits
from tellwire.model.deliveries import Delivery, DeliveryState
from tellwire.model.routing import PARTITIONS, partition, partitions

OK = Reply()
BAD = Reply(status=500)
REFUSED = Reply(failure="refused", after=1_000)


def _keys(*names: str, of: str = "ep0") -> list[tuple[str, str]]:
    return [(of, name) for name in names]


def _poisoned(key: str, reply: Reply = BAD):
    return lambda delivery, at: reply if delivery.order_key == key else OK


def _down_until(seconds: float, reply: Reply = REFUSED):
    return lambda delivery, at: reply if at < seconds else OK


def _in_order(simulation: Simulation, endpoint_id: str = "ep0") -> bool:
    keys = {row.order_key for row in simulation.rows.values()}
    return all((ids := simulation.accepted(endpoint_id, key)) == sorted(ids) for key in keys)


# --- the healthy flow -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ordering", ["keyed", "strict", "none"])
def test_everything_goes_out_once_and_in_order(ordering) -> None:
    simulation = Simulation([endpoint(ordering=ordering)], lambda d, at: OK)
    for _ in range(50):
        simulation.commits(*_keys("a", "b", "a", "c"))
    simulation.run(10)
    assert simulation.states() == {"delivered": 200}
    assert len(simulation.sent) == 200
    assert ordering == "none" or _in_order(simulation)
    assert simulation.lanes.shares.held == simulation.lanes.shares.in_flight == 0


def test_the_next_of_a_key_goes_when_the_result_is_committed() -> None:
    simulation = Simulation([endpoint()], lambda d, at: OK, commit=1_000_000)
    first, second = simulation.commits(*_keys("a", "a"))
    simulation.run(5)
    assert simulation.tries(first) == [0.0]
    assert simulation.tries(second) == [1.02]


def test_one_endpoint_never_takes_all_places() -> None:
    hang = Reply(failure="timeout", after=15_000_000)
    simulation = Simulation(
        [endpoint("ep0", max_in_flight=1000), endpoint("ep1")],
        lambda d, at: hang if d.endpoint_id == "ep0" else OK,
        limits=SideLaneLimits(in_flight=16),
    )
    simulation.commits(*[("ep0", f"k{n}") for n in range(100)])
    simulation.run(1)
    assert simulation.lanes.shares.in_flight == 4
    simulation.commits(*[("ep1", f"k{n}") for n in range(100)])
    simulation.run(3)
    assert len(simulation.accepted("ep1")) == 100


def test_endpoints_take_turns() -> None:
    simulation = Simulation([endpoint("ep0"), endpoint("ep1")], lambda d, at: OK, limits=SideLaneLimits(in_flight=30))
    simulation.commits(*[("ep0", f"k{n}") for n in range(400)], *[("ep1", f"k{n}") for n in range(100)])
    simulation.run(60)
    last = max(s.at for s in simulation.sent if s.delivery.endpoint_id == "ep1")
    assert sum(s.at <= last for s in simulation.sent if s.delivery.endpoint_id == "ep0") <= 120


def test_a_rate_limit_is_kept() -> None:
    simulation = Simulation([endpoint(rate_limit_per_second=5.0)], lambda d, at: OK)
    simulation.commits(*_keys(*(f"k{n}" for n in range(50))))
    simulation.run(60)
    times = [s.at for s in simulation.sent]
    assert len(times) == 50
    assert all(sum(start <= at < start + 1 for at in times) <= 10 for start in times)
    assert max(times) == pytest.approx(9, abs=0.1)


def test_a_slow_rate_limit_is_kept() -> None:
    simulation = Simulation([endpoint(rate_limit_per_second=0.1)], lambda d, at: OK)
    simulation.commits(*_keys("a", "b", "c"))
    simulation.run(60)
    assert [round(s.at) for s in simulation.sent] == [0, 10, 20]


# --- memory -----------------------------------------------------------------------------------------------------------


def test_a_backlog_stays_on_disk_and_is_drained_in_order() -> None:
    simulation = Simulation([endpoint()], lambda d, at: OK, limits=SideLaneLimits(window=16, per_endpoint=4))
    for n in range(50):
        simulation.commits(*_keys("a", "b", f"k{n}", "a"))
    simulation.run(30)
    assert simulation.states() == {"delivered": 200}
    assert len(simulation.sent) == 200
    assert _in_order(simulation)
    assert simulation.most_held <= 16


def test_many_endpoints_share_what_memory_holds() -> None:
    endpoints = [endpoint(f"ep{n}") for n in range(20)]
    simulation = Simulation(endpoints, _down_until(30), limits=SideLaneLimits(window=64, held=200))
    for _ in range(64):
        simulation.commits(*[(e.id, "k") for e in endpoints])
    simulation.run(20)
    assert simulation.most_held <= 200 + 20 * 8
    simulation.run(300)
    assert simulation.states() == {"delivered": 64 * 20}
    assert all(_in_order(simulation, e.id) for e in endpoints)


def test_a_page_that_took_long_is_not_taken_at_its_word() -> None:
    """Rows are settled, and committed, between the reading of a page and its arrival."""
    simulation = Simulation(
        [endpoint()], lambda d, at: OK, limits=SideLaneLimits(window=8, per_endpoint=3), read=200_000
    )
    for n in range(100):
        simulation.at(n / 20, partial(simulation.commits, *_keys("a", "b", "c", f"k{n}")))
    simulation.run(60)
    assert simulation.states() == {"delivered": 400}
    assert len(simulation.sent) == 400
    assert _in_order(simulation)


def test_after_a_restart_too_what_waits_behind_a_blocked_head_takes_no_room() -> None:
    simulation = Simulation([endpoint()], _poisoned("bad"), limits=SideLaneLimits(window=16))
    simulation.commits(*_keys(*["bad"] * 100))
    simulation.run(21)
    good = simulation.commits(*_keys(*(f"k{n}" for n in range(40))), hint=False)
    simulation.kill()
    simulation.run(23)
    assert sorted(simulation.accepted()) == good


def test_a_head_has_its_time_though_its_endpoint_is_never_idle() -> None:
    simulation = Simulation([endpoint()], _poisoned("bad"), limits=SideLaneLimits(in_flight=1))
    (first,) = simulation.commits(*_keys("bad"))
    for n in range(200):
        simulation.at(0.01 + n / 20, partial(simulation.commits, *_keys(*(f"k{n}x{m}" for m in range(4)))))
    simulation.run(4)
    assert simulation.tries(first) == pytest.approx([0, 2], abs=0.2)


@pytest.mark.parametrize("ordering", ["keyed", "strict"])
def test_what_waits_behind_a_blocked_head_takes_no_room_from_other_keys(ordering) -> None:
    simulation = Simulation([endpoint(ordering=ordering)], _poisoned("bad"), limits=SideLaneLimits(window=16))
    simulation.commits(*_keys(*["bad"] * 100))
    simulation.run(1)
    good = simulation.commits(*_keys(*(f"k{n}" for n in range(40))))
    simulation.run(5)
    assert sorted(simulation.accepted()) == good
    assert simulation.most_held <= 16 + 1


def test_what_was_left_on_disk_behind_a_head_follows_it_in_order() -> None:
    simulation = Simulation(
        [endpoint(ordering="strict")],
        lambda d, at: BAD if d.order_key == "bad" and at < 40 else OK,
        limits=SideLaneLimits(window=16),
    )
    simulation.commits(*_keys(*["bad"] * 100))
    for n in range(30):
        simulation.at(n + 1, partial(simulation.commits, *_keys(f"k{n}", "bad", f"j{n}")))
    simulation.run(80)
    assert simulation.states() == {"delivered": 190}
    assert _in_order(simulation)


def test_hints_that_never_came_are_found_by_the_sweep() -> None:
    simulation = Simulation([endpoint()], lambda d, at: OK)
    simulation.run(1)
    simulation.commits(*_keys("a", "a", "b"), hint=False)
    simulation.run(12)
    assert simulation.states() == {"delivered": 3}


def test_a_hint_that_comes_while_rows_are_read_is_not_lost() -> None:
    simulation = Simulation([endpoint()], lambda d, at: OK, limits=SideLaneLimits(window=8))
    simulation.commits(*_keys(*["a"] * 20))
    for n in range(400):
        simulation.at(n / 2000, lambda: simulation.commits(("ep0", "a")))
    simulation.run(30)
    assert simulation.states() == {"delivered": 420}
    assert _in_order(simulation)


def test_after_a_restart_rows_are_read_again_and_heads_keep_their_times() -> None:
    simulation = Simulation([endpoint()], lambda d, at: BAD if at < 5 else OK)
    first, *rest = simulation.commits(*_keys("a", "a", "a"))
    simulation.run(3)
    simulation.kill()
    simulation.run(30)
    assert simulation.tries(first) == pytest.approx([0, 2, 7], abs=0.1)
    assert simulation.accepted() == [first, *rest]


# --- a key that fails -------------------------------------------------------------------------------------------------


def _steady(simulation: Simulation, key: str, until: int) -> None:
    """An event of this key every second."""
    for second in range(until):
        simulation.at(second + 0.5, lambda: simulation.commits(("ep0", key)))


def test_a_poisoned_key_delays_only_itself_for_a_minute_then_shows_its_gap() -> None:
    first = "00000001"
    simulation = Simulation([endpoint()], lambda d, at: BAD if d.id == first else OK)
    assert simulation.commits(*_keys("bad", "bad", "bad"))[0] == first
    _steady(simulation, "good", 120)
    simulation.run(59.9)
    assert simulation.accepted(key="bad") == []
    assert simulation.tries(first) == pytest.approx([0, 2, 7, 20, 50, 55], abs=0.2)
    simulation.run(61)
    assert simulation.accepted(key="bad") == ["00000002", "00000003"]
    row = simulation.rows[first]
    assert (row.lane, row.out_of_order, row.state) == ("late", True, DeliveryState.RETRYING)
    assert not any(r.out_of_order for r in simulation.rows.values() if r.id != first)
    simulation.run(130)
    waits = [s.at - int(s.at) - 0.5 for s in simulation.sent if s.delivery.order_key == "good"]
    assert len(waits) == 120
    assert max(waits) < 0.1
    simulation.run(400 * 3600)
    assert simulation.rows[first].state is DeliveryState.FAILED
    assert len(simulation.tries(first)) == 14


def test_the_bound_is_the_endpoints() -> None:
    simulation = Simulation([endpoint(head_of_line_seconds=10.0)], lambda d, at: BAD if d.id == "00000001" else OK)
    simulation.commits(*_keys("bad", "bad"))
    _steady(simulation, "good", 30)
    simulation.run(9.9)
    assert simulation.accepted(key="bad") == []
    simulation.run(10.5)
    assert simulation.accepted(key="bad") == ["00000002"]


def test_without_others_to_compare_with_a_head_keeps_its_place() -> None:
    simulation = Simulation([endpoint()], lambda d, at: BAD if at < 3600 else OK)
    ids = simulation.commits(*_keys("a", "a", "a"))
    simulation.run(3700)
    assert simulation.accepted() == ids
    assert not any(row.out_of_order for row in simulation.rows.values())


def test_evidence_may_come_after_the_bound() -> None:
    simulation = Simulation([endpoint()], lambda d, at: BAD if d.id == "00000001" else OK)
    simulation.commits(*_keys("bad", "bad"))
    simulation.at(100, lambda: simulation.commits(("ep0", "good")))
    simulation.run(300)
    assert "00000002" in simulation.accepted()
    assert simulation.rows["00000001"].out_of_order


def test_a_follower_may_come_after_the_bound() -> None:
    simulation = Simulation([endpoint()], lambda d, at: BAD if d.id == "00000001" else OK)
    simulation.commits(*_keys("bad"))
    _steady(simulation, "good", 200)
    simulation.run(100)
    assert not simulation.rows["00000001"].out_of_order
    simulation.commits(*_keys("bad"))
    simulation.run(101)
    assert simulation.accepted(key="bad") == ["00000102"]
    assert simulation.rows["00000001"].out_of_order


def test_strict_blocks_its_key_until_it_fails() -> None:
    simulation = Simulation(
        [endpoint(ordering="strict", retry_schedule=(100.0, 200.0))], lambda d, at: BAD if d.id == "00000001" else OK
    )
    simulation.commits(*_keys("bad", "bad"))
    _steady(simulation, "good", 320)
    simulation.run(299)
    assert simulation.accepted(key="bad") == []
    assert len(simulation.accepted(key="good")) == 299
    simulation.run(310)
    assert simulation.rows["00000001"].state is DeliveryState.FAILED
    assert simulation.accepted(key="bad") == ["00000002"]


def test_without_order_a_failure_waits_alone() -> None:
    simulation = Simulation([endpoint(ordering="none")], lambda d, at: BAD if d.id == "00000001" else OK)
    simulation.commits(*_keys("a", "a", "b"))
    _steady(simulation, "good", 20)
    simulation.run(1)
    assert {"00000002", "00000003"} <= set(simulation.accepted())
    assert simulation.rows["00000001"].lane == "late"
    simulation.run(20)
    assert simulation.tries("00000001") == [0.0, 5.02]
    assert not simulation.rows["00000001"].out_of_order


@pytest.mark.parametrize(
    "reply", [Reply(status=503), Reply(failure="timeout", after=15_000_000), Reply(failure="broken")]
)
def test_a_key_that_looks_like_an_outage_is_found_out(reply: Reply) -> None:
    """Answers that speak of the whole endpoint, but only ever for two keys."""
    simulation = Simulation([endpoint()], lambda d, at: reply if d.order_key in {"bad", "worse"} else OK)
    simulation.commits(*_keys("bad", "worse", "bad", "worse"))
    _steady(simulation, "good", 300)
    simulation.run(320)
    delays = sorted(s.at - int(s.at) - 0.5 + 0 for s in simulation.sent if s.delivery.order_key == "good")
    assert len(simulation.accepted(key="good")) == 300
    assert sum(delay > 0.1 or delay < 0 for delay in delays) < 60
    assert simulation.rows["00000001"].lane == "late"
    assert simulation.rows["00000002"].lane == "late"


# --- an endpoint that fails -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        REFUSED,
        BAD,
        Reply(status=503),
        Reply(status=429),
        Reply(status=404),
        Reply(failure="timeout", after=15_000_000),
        Reply(failure="dns"),
    ],
)
@pytest.mark.parametrize("keys", [1, 7])
@pytest.mark.parametrize("ordering", ["keyed", "strict"])
def test_after_ten_minutes_of_outage_every_key_drains_in_order(reply: Reply, keys: int, ordering) -> None:
    simulation = Simulation(
        [endpoint(ordering=ordering)],
        lambda d, at: reply if 10 <= at < 610 else OK,
        limits=SideLaneLimits(window=64),
    )
    for second in range(700):
        simulation.at(second, partial(simulation.commits, *_keys(f"k{second % keys}", f"k{second * 3 % keys}")))
    simulation.run(900)
    assert simulation.states() == {"delivered": 1400}
    assert not any(row.out_of_order for row in simulation.rows.values())
    assert all(row.lane == "live" for row in simulation.rows.values())
    assert _in_order(simulation)
    assert simulation.most_held <= 64 + 8


def test_after_an_outage_every_head_goes_at_once() -> None:
    simulation = Simulation([endpoint()], _down_until(600))
    simulation.commits(*_keys(*(f"k{n}" for n in range(30))))
    simulation.run(700)
    recovered = min(s.at for s in simulation.sent if s.ok)
    assert max(s.at for s in simulation.sent) < recovered + 1


def test_a_head_that_fails_once_more_after_an_outage_keeps_its_place() -> None:
    """The minute for which it may hold up its key begins when the endpoint is back."""
    simulation = Simulation(
        [endpoint()], lambda d, at: REFUSED if at < 600 else BAD if d.id == "00000001" and at < 640 else OK
    )
    simulation.commits(*_keys("a", "a", "b", "b"))
    _steady(simulation, "c", 700)
    simulation.run(720)
    assert simulation.states() == {"delivered": 704}
    assert any(s.at > 600 and not s.ok for s in simulation.sent)
    assert not any(row.out_of_order for row in simulation.rows.values())


def test_after_an_outage_no_head_waits_for_a_long_gap() -> None:
    simulation = Simulation([endpoint(retry_schedule=(3600.0,))], _down_until(100, BAD))
    simulation.commits(*_keys(*(f"k{n}" for n in range(12))))
    simulation.run(200)
    recovered = min(s.at for s in simulation.sent if s.ok)
    assert len(simulation.accepted()) == 12
    assert max(s.at for s in simulation.sent) < recovered + 1


def test_after_an_outage_a_head_still_waits_as_long_as_the_receiver_asked() -> None:
    def script(delivery: Delivery, at: float) -> Reply:
        if at < 0.01 and delivery.order_key == "held":
            return Reply(status=500, after=1_000, headers=(("Retry-After", "500"),))
        return BAD if at < 100 else OK

    simulation = Simulation([endpoint(retry_schedule=(3600.0,))], script)
    (held, *_) = simulation.commits(*_keys("held", *(f"k{n}" for n in range(12))))
    simulation.run(400)
    assert len(simulation.accepted()) == 12
    assert simulation.tries(held) == [0]
    simulation.run(600)
    assert simulation.tries(held) == [0, 500]


def test_an_outage_that_only_one_key_saw_does_not_cost_it_its_place() -> None:
    simulation = Simulation([endpoint()], _down_until(600), jitter=1.0)
    simulation.commits(*_keys("a", "a"))
    simulation.at(601, partial(simulation.commits, *_keys("b")))
    simulation.run(700)
    assert simulation.states() == {"delivered": 3}
    assert not any(row.out_of_order for row in simulation.rows.values())


def test_a_bound_that_runs_out_during_an_outage_costs_nothing() -> None:
    simulation = Simulation(
        [endpoint()], lambda d, at: REFUSED if 40 < at < 100 else BAD if d.order_key == "a" and at < 100 else OK
    )
    simulation.commits(*_keys("a", "a"))
    _steady(simulation, "b", 120)
    simulation.run(200)
    assert simulation.accepted(key="a") == ["00000001", "00000002"]
    assert not any(row.out_of_order for row in simulation.rows.values())


def test_an_outage_is_probed_one_at_a_time_with_growing_gaps_and_counts_for_nothing() -> None:
    simulation = Simulation([endpoint()], _down_until(600))
    simulation.commits(*_keys("a"))
    simulation.run(1)
    simulation.commits(*_keys("b", "c", "b"))
    simulation.run(500)
    times = [s.at for s in simulation.sent]
    gaps = [round(b - a) for a, b in pairwise(times)]
    assert gaps[:7] == [2, 4, 8, 16, 32, 60, 60]
    assert [s.delivery.order_key for s in simulation.sent][:6] == ["a", "a", "b", "b", "c", "c"]
    assert all(row.counted_attempts == 0 for row in simulation.rows.values())
    assert simulation.rows["00000001"].attempts >= 2
    simulation.run(700)
    assert simulation.states() == {"delivered": 4}


def test_many_failures_over_several_keys_open_the_breaker() -> None:
    simulation = Simulation([endpoint()], lambda d, at: BAD)
    simulation.commits(*_keys(*(f"k{n}" for n in range(10))))
    simulation.run(1)
    assert simulation.lanes.queues["ep0"].health.down
    more = simulation.commits(*_keys("fresh"))
    simulation.run(1.5)
    assert simulation.tries(more[0]) == []


def test_a_single_key_needs_thirty_seconds_of_failure() -> None:
    simulation = Simulation([endpoint()], lambda d, at: BAD)
    simulation.commits(*_keys("a"))
    simulation.run(49)
    assert not simulation.lanes.queues["ep0"].health.down
    simulation.run(51)
    assert simulation.lanes.queues["ep0"].health.down


def test_a_given_schedule_is_kept_while_the_endpoint_is_refused() -> None:
    simulation = Simulation([endpoint(retry_schedule=(1.0, 1.0))], lambda d, at: REFUSED)
    first, second = simulation.commits(*_keys("a", "a"))
    simulation.run(20)
    assert simulation.tries(first) == [0.0, 1.0, 2.0]
    assert len(simulation.tries(second)) == 3
    assert simulation.states() == {"failed": 2}


def test_retry_after_holds_the_endpoint() -> None:
    limited = Reply(status=429, headers=(("Retry-After", "100"),))
    simulation = Simulation([endpoint()], lambda d, at: limited if at < 1 else OK)
    simulation.commits(*_keys("a", "b"))
    simulation.run(99)
    assert len(simulation.sent) == 2
    simulation.run(110)
    assert simulation.states() == {"delivered": 2}


def test_gone_stops_at_once() -> None:
    simulation = Simulation([endpoint()], lambda d, at: Reply(status=410))
    simulation.commits(*_keys("a"))
    simulation.run(1)
    simulation.commits(*_keys("b", "c"))
    simulation.run(30)
    assert len(simulation.sent) == 1
    assert simulation.lanes.shares.held == 0


# --- pausing ----------------------------------------------------------------------------------------------------------


def test_pausing_parks_and_resuming_drains_in_order() -> None:
    simulation = Simulation([endpoint()], lambda d, at: Reply(after=500_000), limits=SideLaneLimits(window=16))
    simulation.commits(*_keys(*["a", "b"] * 20))
    simulation.run(2.1)
    simulation.change("ep0", state="paused")
    simulation.commits(*_keys("a", "b"))
    simulation.run(20)
    assert simulation.lanes.shares.held == 0
    sent = len(simulation.sent)
    assert 0 < sent < 42
    assert simulation.states() == {"delivered": sent, "parked": 42 - sent}
    simulation.change("ep0", state="active")
    simulation.run(60)
    assert simulation.states() == {"delivered": 42}
    assert _in_order(simulation)
    assert len(simulation.sent) == 42


def test_resuming_while_one_is_in_flight_does_not_send_it_twice() -> None:
    simulation = Simulation([endpoint()], lambda d, at: Reply(after=3_000_000))
    ids = simulation.commits(*_keys("a", "a", "a"))
    simulation.at(1, lambda: simulation.change("ep0", state="paused"))
    simulation.at(2, lambda: simulation.change("ep0", state="active"))
    simulation.run(30)
    assert [s.delivery.id for s in simulation.sent] == ids


def test_resuming_starts_gently() -> None:
    simulation = Simulation([endpoint()], lambda d, at: Reply(after=1_000_000))
    simulation.change("ep0", state="paused")
    simulation.commits(*_keys(*(f"k{n}" for n in range(200))))
    simulation.change("ep0", state="active")
    simulation.run(0.9)
    assert simulation.lanes.shares.in_flight == 2
    simulation.run(10)
    assert simulation.states() == {"delivered": 200}


def _most_in_flight(simulation: Simulation, seconds: range) -> list[int]:
    """How many were in flight in the middle of each second."""
    counts: list[int] = []
    for second in seconds:
        simulation.run(second + 0.5)
        counts.append(simulation.lanes.shares.in_flight)
    return counts


def test_a_resumed_endpoint_is_ramped_up_however_much_waits() -> None:
    simulation = Simulation([endpoint(max_in_flight=32)], lambda d, at: Reply(after=1_000_000 - 3_000))
    simulation.change("ep0", state="paused")
    simulation.commits(*_keys(*(f"k{n}" for n in range(500))))
    simulation.run(10)
    simulation.change("ep0", state="active")
    assert _most_in_flight(simulation, range(10, 17)) == [2, 4, 8, 16, 32, 32, 32]


def test_after_an_outage_an_endpoint_is_ramped_up_and_its_backlog_drains_in_order() -> None:
    def script(delivery: Delivery, at: float) -> Reply:
        return REFUSED if 1 <= at < 300 else Reply(after=1_000_000 - 3_000)

    simulation = Simulation([endpoint(max_in_flight=32)], script)
    simulation.at(2, partial(simulation.commits, *_keys(*(f"k{n % 250}" for n in range(500)))))
    simulation.run(300)
    while not simulation.lanes.shares.in_flight:
        simulation.run(simulation.seconds + 0.01)  # the probe that finds it well
    start = simulation.seconds
    counts: list[int] = []
    for second in range(1, 8):
        simulation.run(start + second + 0.5)
        counts.append(simulation.lanes.shares.in_flight)
    assert counts == [2, 4, 8, 16, 32, 32, 32]
    simulation.run(start + 120)
    assert simulation.states() == {"delivered": 500}
    assert _in_order(simulation)


def test_what_is_resumed_leaves_room_for_others() -> None:
    simulation = Simulation([endpoint("ep0"), endpoint("ep1")], lambda d, at: Reply(after=100_000))
    simulation.change("ep0", state="paused")
    simulation.commits(*[("ep0", f"k{n}") for n in range(5_000)])
    simulation.change("ep0", state="active")
    for second in range(1, 6):
        simulation.at(second, partial(simulation.commits, ("ep1", f"k{second}")))
    simulation.run(6)
    waits = [s.at - int(s.delivery.order_key[1:]) for s in simulation.sent if s.delivery.endpoint_id == "ep1"]
    assert len(waits) == 5
    assert max(waits) < 0.01


def test_another_order_is_taken_up() -> None:
    simulation = Simulation([endpoint()], lambda d, at: Reply(after=1_000_000))
    simulation.commits(*_keys("a", "a", "a", "a"))
    simulation.run(0.5)
    simulation.change("ep0", ordering="none")
    simulation.run(2.5)
    assert simulation.states() == {"delivered": 4}


def test_an_endpoint_that_is_gone_leaves_memory() -> None:
    simulation = Simulation([endpoint("ep0"), endpoint("ep1")], lambda d, at: Reply(after=1_000_000))
    simulation.commits(("ep0", "a"), ("ep0", "a"), ("ep1", "a"))
    simulation.endpoints = {"ep1": simulation.endpoints["ep1"]}
    simulation.lanes.configure(simulation.endpoints, simulation.now)
    simulation.run(1.5)
    simulation.lanes.configure(simulation.endpoints, simulation.now)
    assert set(simulation.lanes.queues) == {"ep1"}
    assert simulation.lanes.shares.held == simulation.lanes.shares.in_flight == 0


# --- late retries and replays -----------------------------------------------------------------------------------------


def test_replays_go_in_order_among_themselves_and_leave_room_for_live_ones() -> None:
    simulation = Simulation([endpoint()], lambda d, at: Reply(after=100_000 + int(d.id) * 7919 % 90_000))
    old = simulation.commits(*_keys(*["a", "b"] * 100))
    simulation.run(60)
    simulation.sent.clear()
    simulation.replay(*old)
    fresh = simulation.commits(*_keys(*(f"k{n}" for n in range(64))))
    simulation.run(60.3)
    assert {s.delivery.id for s in simulation.sent if s.ok} >= set(fresh)
    simulation.run(200)
    assert simulation.states() == {"delivered": 264}
    for key in ("a", "b"):
        replayed = [i for i in simulation.accepted(key=key) if i in set(old)]
        assert replayed == sorted(replayed)
        assert len(replayed) == 100


def test_replays_go_in_the_order_in_which_they_were_asked_for() -> None:
    simulation = Simulation([endpoint()], lambda d, at: OK)
    first, second, third = simulation.commits(*_keys("a", "a", "a"))
    simulation.run(1)
    simulation.sent.clear()
    for wait, identifier in enumerate((third, first, second)):
        row = simulation.rows[identifier]
        due_at = simulation.now + wait
        simulation.store(
            replace(row, state=DeliveryState.PENDING, lane="replay", replay=1, first_attempt_at=0, due_at=due_at)
        )
    simulation.run(10)
    assert simulation.accepted() == [third, first, second]


def test_a_replay_probes_an_endpoint_that_is_down() -> None:
    simulation = Simulation([endpoint(retry_schedule=())], _down_until(10))
    (only,) = simulation.commits(*_keys("a"))
    simulation.run(5)
    assert simulation.rows[only].state is DeliveryState.FAILED
    simulation.run(11)
    simulation.replay(only)
    simulation.run(12)
    assert simulation.rows[only].state is DeliveryState.DELIVERED


def test_asking_for_a_delivery_that_waits_sends_it_as_a_replay() -> None:
    simulation = Simulation([endpoint()], lambda d, at: BAD if at < 40 and d.order_key == "bad" else OK)
    first, second = simulation.commits(*_keys("bad", "bad"))
    simulation.run(25)
    simulation.replay(first)
    simulation.run(400)
    assert sorted(simulation.accepted(key="bad")) == [first, second]
    assert simulation.rows[first].lane == "replay"


def test_what_was_cancelled_is_not_sent() -> None:
    simulation = Simulation([endpoint()], lambda d, at: Reply(after=1_000_000))
    first, second, third = simulation.commits(*_keys("a", "a", "a"))
    simulation.store(replace(simulation.rows[second], state=DeliveryState.CANCELLED))
    simulation.lanes.forget([second], simulation.now)
    simulation.run(10)
    assert simulation.accepted() == [first, third]


# --- whatever happens -------------------------------------------------------------------------------------------------

OUTAGES = (REFUSED, BAD, Reply(status=503), Reply(status=429), Reply(failure="timeout", after=15_000_000))
KEYS = ("a", "b", "c", "d")


class World(NamedTuple):
    simulation: Simulation
    poisoned: list[tuple[str, str]]
    sure: bool
    """Whether only poisoned keys may be overtaken."""


@st.composite
def _worlds(draw: st.DrawFn) -> World:
    """Some endpoints that fail for a while and are paused, with keys that fail for longer, under load."""
    endpoints = [
        endpoint(
            f"ep{n}",
            draw(st.sampled_from(("o", "p"))),
            ordering=draw(st.sampled_from(("keyed", "keyed", "strict", "none"))),
            max_in_flight=draw(st.sampled_from((None, 1, 3))),
            rate_limit_per_second=draw(st.sampled_from((None, None, 5.0))),
        )
        for n in range(draw(st.integers(1, 3)))
    ]
    ids = [e.id for e in endpoints]
    outages = draw(
        st.lists(
            st.tuples(st.sampled_from(ids), st.floats(0, 60), st.floats(0, 120), st.sampled_from(OUTAGES)), max_size=3
        )
    )
    poisoned = draw(st.lists(st.tuples(st.sampled_from(ids), st.sampled_from(KEYS)), max_size=2))
    latency = draw(st.sampled_from((1_000, 50_000, 700_000)))

    def script(delivery: Delivery, at: float) -> Reply:
        for identifier, start, length, reply in outages:
            if delivery.endpoint_id == identifier and start <= at < start + length:
                return reply
        if (delivery.endpoint_id, delivery.order_key) in poisoned and at < 400:
            return BAD
        return Reply(after=latency + (int(delivery.id) * 7919 + delivery.attempts * 31) % 1000 * latency // 1000)

    limits = SideLaneLimits(
        in_flight=draw(st.sampled_from((4, 16, 256))),
        window=draw(st.sampled_from((4, 16, 512))),
        held=draw(st.sampled_from((16, 16_384))),
        per_endpoint=draw(st.sampled_from((2, 64))),
        head_of_line_seconds=draw(st.sampled_from((0.0, 5.0, 60.0))),
    )
    simulation = Simulation(
        endpoints,
        script,
        limits=limits,
        jitter=draw(st.floats(0, 1)),
        commit=draw(st.sampled_from((1_000, 30_000))),
        read=draw(st.sampled_from((1_000, 100_000))),
    )
    places = st.lists(st.tuples(st.sampled_from(ids), st.sampled_from(KEYS)), min_size=1, max_size=8)
    for at, batch in draw(st.lists(st.tuples(st.floats(0, 90), places), max_size=30)):
        simulation.at(at, partial(simulation.commits, *batch))
    pauses = draw(st.lists(st.tuples(st.floats(0, 90), st.sampled_from(ids), st.floats(0, 20)), max_size=2))
    for at, identifier, length in pauses:
        simulation.at(at, partial(simulation.change, identifier, state="paused"))
        simulation.at(at + length, partial(simulation.change, identifier, state="active"))
    # A pause, or a short bound, may end before an outage is seen to be one.
    sure = not pauses and limits.head_of_line_seconds == 60
    return World(simulation, poisoned, sure)


@given(_worlds())
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_nothing_is_forgotten_or_reordered_and_no_cap_is_exceeded(world: World) -> None:
    """The simulation itself asserts the caps, one in flight per key, and that no earlier one of a key waits."""
    simulation, poisoned, sure = world
    simulation.run(200 * 3600)
    assert simulation.states() == ({"delivered": len(simulation.rows)} if simulation.rows else {})
    assert simulation.lanes.shares.held == simulation.lanes.shares.in_flight == simulation.lanes.shares.probes == 0
    oks = [s.delivery.id for s in simulation.sent if s.ok]
    assert len(oks) == len(set(oks))
    for identifier, settings_ in simulation.endpoints.items():
        if settings_.ordering == "none":
            continue
        for key in KEYS:
            ids = [i for i in simulation.accepted(identifier, key) if not simulation.rows[i].out_of_order]
            assert ids == sorted(ids)
    overtaken = [row for row in simulation.rows.values() if row.out_of_order]
    if sure:
        assert all((row.endpoint_id, row.order_key) in poisoned for row in overtaken)
    assert all(simulation.endpoints[row.endpoint_id].ordering == "keyed" for row in overtaken)


@given(_worlds(), st.lists(st.floats(0, 150), min_size=1, max_size=3))
@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_a_kill_at_any_time_loses_nothing(world: World, kills: list[float]) -> None:
    simulation = world.simulation
    for at in sorted(kills):
        simulation.run(at)
        simulation.kill()
    simulation.run(200 * 3600)
    assert simulation.states() == ({"delivered": len(simulation.rows)} if simulation.rows else {})
    for identifier, settings_ in simulation.endpoints.items():
        if settings_.ordering == "none":
            continue
        for key in KEYS:
            ids = [i for i in simulation.accepted(identifier, key) if not simulation.rows[i].out_of_order]
            firsts = list(dict.fromkeys(ids))
            assert firsts == sorted(firsts)


# --- partitions that come and go --------------------------------------------------------------------------------------


def _of(*keys: str) -> set[int]:
    return {partition("ep0", key) for key in keys}


def test_what_is_anothers_is_not_sent_and_is_read_when_it_comes_back() -> None:
    simulation = Simulation([endpoint()], lambda d, at: OK)
    simulation.lose(*_of("a"))
    ids = simulation.commits(*_keys("a", "b", "a", "b"))
    others = [i for i in ids if simulation.rows[i].partition not in simulation.away]
    simulation.run(10)
    assert simulation.accepted() == others
    simulation.gain(*_of("a"))
    simulation.run(20)
    assert sorted(simulation.accepted()) == ids
    assert _in_order(simulation)


def test_a_planned_move_sends_nothing_twice() -> None:
    simulation = Simulation([endpoint()], lambda d, at: Reply(after=1_000_000))
    simulation.commits(*_keys("a", "a", "b", "b"))
    simulation.run(0.5)
    here = _of("a")
    under_way = sum(simulation.lanes.under_way(p) for p in here)
    assert under_way
    simulation.hand_over(*here)
    simulation.run(30)
    assert sum(simulation.lanes.under_way(p) for p in here) == 0
    assert simulation.refused == 0
    assert len(simulation.sent) == len(set(simulation.accepted()))
    simulation.gain(*here)
    simulation.run(60)
    assert simulation.states() == {"delivered": 4}
    assert len(simulation.sent) == 4


def test_a_result_that_is_refused_leaves_its_key_to_the_rows() -> None:
    """Lost and taken back while a head is in flight: its followers must not go ahead of it."""
    simulation = Simulation([endpoint()], lambda d, at: Reply(after=2_000_000))
    ids = simulation.commits(*_keys("a", "a", "a"))
    simulation.run(1)
    simulation.lose(*_of("a"))
    simulation.gain(*_of("a"))
    simulation.run(1.5)
    assert len(simulation.sent) == 0
    simulation.run(60)
    assert simulation.refused == 1
    assert simulation.accepted() == [ids[0], *ids]


def test_leases_that_move_do_not_touch_an_endpoints_health() -> None:
    simulation = Simulation([endpoint()], _down_until(600))
    simulation.commits(*_keys("a", "b"))
    simulation.run(30)
    health = simulation.lanes.queues["ep0"].health
    assert health.down
    tried = len(simulation.sent)
    simulation.hand_over(*_of("a", "b"))
    simulation.run(70)
    simulation.gain(*_of("a", "b"))
    assert simulation.lanes.queues["ep0"].health is health
    assert health.down
    simulation.run(130)
    assert len(simulation.sent) - tried <= 4
    simulation.run(900)
    assert simulation.states() == {"delivered": 2}


def test_the_limits_of_an_endpoint_are_divided_among_the_owners_of_its_partitions() -> None:
    limited = endpoint(max_in_flight=6, rate_limit_per_second=30.0)
    simulation = Simulation([limited], lambda d, at: Reply(after=100_000))
    places = partitions("ep0")
    assert len(places) == 3
    simulation.commits(*_keys(*(f"k{n}" for n in range(60))))
    assert simulation.lanes.queues["ep0"].in_flight == 6
    simulation.run(10)
    simulation.sent.clear()
    simulation.hand_over(*places[:2])
    here = [f"k{n}" for n in range(999) if partition("ep0", f"k{n}") == places[2]][:60]
    simulation.commits(*_keys(*here))
    assert simulation.lanes.queues["ep0"].in_flight == 2
    simulation.run(30)
    times = [s.at for s in simulation.sent]
    assert len(times) == 60
    assert all(sum(start <= at < start + 1 for at in times) <= 20 for start in times)
    assert max(times) - min(times) == pytest.approx(5, abs=0.5)


def test_a_rate_is_not_spent_anew_when_leases_move() -> None:
    simulation = Simulation([endpoint(rate_limit_per_second=10.0)], lambda d, at: OK)
    simulation.commits(*_keys(*(f"k{n}" for n in range(200))))
    simulation.run(0.5)
    sent = len(simulation.sent)
    for _ in range(5):
        simulation.hand_over(partitions("ep0")[0])
        simulation.gain(partitions("ep0")[0])
    simulation.run(0.6)
    assert len(simulation.sent) - sent <= 2


def test_what_others_committed_is_read_on_from_where_memory_is() -> None:
    simulation = Simulation([endpoint()], lambda d, at: OK)
    simulation.run(1)
    old = simulation.commits(*_keys("a"))
    simulation.run(2)
    new = simulation.commits(*_keys("a", "b"), hint=False)
    simulation.lanes.elsewhere(["ep0", "unknown"], simulation.now)
    simulation.run(2.5)
    assert sorted(simulation.accepted()) == old + new


def test_what_others_committed_goes_before_what_a_hint_names() -> None:
    simulation = Simulation([endpoint()], lambda d, at: OK)
    simulation.run(1)
    first = simulation.commits(*_keys("a"), hint=False)
    simulation.lanes.elsewhere(["ep0"], simulation.now)
    second = simulation.commits(*_keys("a"))
    simulation.run(1.5)
    assert simulation.accepted() == first + second


@given(
    _worlds(),
    st.lists(
        st.tuples(
            st.floats(0, 150),
            st.sampled_from(("lose", "hand_over", "gain", "elsewhere")),
            st.sampled_from(KEYS),
            st.floats(0, 30),
        ),
        max_size=12,
    ),
)
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_leases_that_come_and_go_lose_and_reorder_nothing(
    world: World, moves: list[tuple[float, str, str, float]]
) -> None:
    """The simulation asserts that nothing of another's is sent, one in flight per key, and no earlier one waits."""
    simulation = world.simulation
    for at, move, key, length in moves:
        for identifier in simulation.endpoints:
            place = partition(identifier, key)
            if move == "elsewhere":
                simulation.at(at, partial(simulation.delivered_elsewhere, identifier, key))
                continue
            if move != "gain":
                simulation.at(at, partial(getattr(simulation, move), place))
                at += length  # noqa: PLW2901 - and it comes back
            simulation.at(at, partial(simulation.gain, place))
    simulation.run(190)
    simulation.gain(*range(PARTITIONS))
    simulation.run(200 * 3600)
    assert simulation.states() == ({"delivered": len(simulation.rows)} if simulation.rows else {})
    assert simulation.lanes.shares.held == simulation.lanes.shares.in_flight == simulation.lanes.shares.probes == 0
    assert not any(simulation.lanes.under_way(p) for p in range(PARTITIONS))
    oks = [s.delivery.id for s in simulation.sent if s.ok]
    assert len(oks) - len(set(oks)) <= simulation.refused
    for identifier, settings_ in simulation.endpoints.items():
        if settings_.ordering == "none":
            continue
        for key in KEYS:
            ids = [i for i in simulation.accepted(identifier, key) if not simulation.rows[i].out_of_order]
            firsts = list(dict.fromkeys(ids))
            assert firsts == sorted(firsts)
