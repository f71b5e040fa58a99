"""One organization never holds up another, whatever it has in flight, in memory, on disk or in retries."""

from __future__ import annotations

from collections import Counter
from functools import partial

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.delivery.simulated import Reply, Simulation, endpoint

from tellwire.delivery.scheduler import Scheduler
from tellwire.delivery.side_lanes import SideLaneLimits
from tellwire.delivery.turns import Turns
from tellwire.model.deliveries import Delivery, DeliveryState

HANGS = Reply(failure="timeout", after=15_000_000)
SOON = Reply(after=20_000)
MANY = 800
GREEDY = [endpoint(f"greedy{n}", "greedy") for n in range(MANY)]
QUIET = endpoint("quiet", "quiet")


def only_quiet_answers(delivery: Delivery, _: float) -> Reply:
    return SOON if delivery.endpoint_id == "quiet" else HANGS


# --- examples ---------------------------------------------------------------------------------------------------------


def test_another_organization_does_not_see_800_endpoints_that_hang() -> None:
    simulation = Simulation([*GREEDY, QUIET], only_quiet_answers)
    simulation.commits(*((each.id, "k") for each in GREEDY))
    assert simulation.lanes.shares.in_flight == simulation.limits.in_flight // 2
    ids = simulation.commits(*(("quiet", f"k{n}") for n in range(100)))
    simulation.run(0.03)
    assert simulation.accepted("quiet") == ids


def test_its_own_endpoints_do_not_take_all_places_from_one_another() -> None:
    simulation = Simulation([replace(GREEDY[0], max_in_flight=1000), GREEDY[1]], only_quiet_answers)
    simulation.commits(*(("greedy0", f"k{n}") for n in range(1000)))
    assert simulation.lanes.shares.in_flight == 256, "half of what its organization could have"
    simulation.commits(*(("greedy1", f"k{n}") for n in range(100)))
    simulation.run(0.01)
    assert simulation.lanes.shares.in_flight > 256 + 90


def test_two_that_want_everything_get_a_third_each_and_a_newcomer_finds_room() -> None:
    endpoints = [endpoint(f"{name}{n}", name) for name in "abc" for n in range(300)]
    simulation = Simulation(endpoints, lambda d, at: HANGS, limits=SideLaneLimits(in_flight=300))
    simulation.commits(*((each.id, "k") for each in endpoints if each.organization_id == "a"))
    assert by_organization(simulation) == {"a": 150}
    simulation.commits(*((each.id, "k") for each in endpoints if each.organization_id == "b"))
    assert by_organization(simulation) == {"a": 150, "b": 75}
    simulation.commits(*((each.id, "k") for each in endpoints if each.organization_id == "c"))
    assert by_organization(simulation) == {"a": 150, "b": 75, "c": 38}


def by_organization(simulation: Simulation) -> Counter[str]:
    flying: Counter[str] = Counter()
    for identifier, count in simulation.flying.items():
        flying[simulation.endpoints[identifier].organization_id] += count
    return +flying


def test_a_place_that_becomes_free_is_used_whoever_made_it_free() -> None:
    """Two organizations that wait for room get it when a third has finished."""
    endpoints = [endpoint(name, name, max_in_flight=1000) for name in "abc"]
    simulation = Simulation(
        endpoints,
        lambda d, at: Reply(after=1_000_000) if d.endpoint_id == "a" else HANGS,
        limits=SideLaneLimits(in_flight=60),
    )
    for name in "abc":
        simulation.commits(*((name, f"k{n}") for n in range(100 if name != "a" else 20)))
    before = by_organization(simulation)
    simulation.run(6)
    after = by_organization(simulation)
    assert after["a"] == 0
    assert after["b"] > before["b"] - 1
    assert after["c"] > before["c"]


def test_rows_are_read_for_each_organization_in_turn() -> None:
    lanes = Scheduler(SideLaneLimits())
    lanes.begin({each.id: each for each in (*GREEDY, QUIET)}, 1)
    lanes.own(dict.fromkeys(range(64), 1), 1)
    lanes.sweep([each.id for each in (*GREEDY, QUIET)], 1, lanes.leases)
    assert "quiet" in [page.endpoint_id for page in lanes.pages(4)]


def test_what_one_organization_has_in_memory_leaves_room_for_another() -> None:
    limits = SideLaneLimits(held=1000, window=512, in_flight=64)
    simulation = Simulation([*GREEDY[:4], QUIET], lambda d, at: HANGS, limits=limits)
    for n in range(1000):
        simulation.commits(*((each.id, f"k{n}") for each in GREEDY[:4]))
    assert simulation.lanes.shares.held <= 500 + 4 * 8
    before = simulation.lanes.shares.held
    simulation.commits(*(("quiet", f"k{n}") for n in range(400)))
    assert simulation.lanes.shares.held - before > 150


def test_probes_of_one_organization_leave_room_for_anothers() -> None:
    """800 endpoints that hang are down; another organization's, which is back, is probed in its own time."""
    down = Reply(failure="refused", after=1_000)
    simulation = Simulation(
        [*GREEDY, QUIET], lambda d, at: HANGS if d.endpoint_id != "quiet" else down if at < 45 else SOON
    )
    simulation.commits(*((each.id, key) for each in GREEDY for key in "ab"))
    simulation.run(40)
    assert simulation.lanes.shares.probes >= simulation.limits.probes // 2
    (only,) = simulation.commits(("quiet", "k"))
    simulation.run(60)
    assert simulation.rows[only].state is DeliveryState.DELIVERED
    assert simulation.tries(only) == [40.0, 42.0, 46.0], "no probe waited for a place"


def late(simulation: Simulation, *ids: str) -> None:
    for identifier in ids:
        moved = replace(simulation.rows[identifier], lane="late", state=DeliveryState.RETRYING, attempts=5)
        simulation.store(replace(moved, due_at=simulation.now - 1))


def test_late_retries_of_one_organization_leave_room_for_anothers() -> None:
    simulation = Simulation([*GREEDY, QUIET], only_quiet_answers)
    late(simulation, *simulation.commits(*((each.id, f"k{n}") for each in GREEDY for n in range(3)), hint=False))
    simulation.run(10)
    assert simulation.lanes.shares.flying["late"] == simulation.limits.late // 2
    (only,) = simulation.commits(("quiet", "k"), hint=False)
    late(simulation, only)
    simulation.run(15.1)
    assert simulation.rows[only].state is DeliveryState.DELIVERED


def test_late_retries_of_one_organization_do_not_fill_memory() -> None:
    """What is read and has no room is passed over, all endpoints of its organization at once."""
    simulation = Simulation([*GREEDY, QUIET], only_quiet_answers)
    late(simulation, *simulation.commits(*((each.id, f"k{n}") for each in GREEDY for n in range(3)), hint=False))
    works = simulation.works(lane="late")
    simulation.lanes.begin_due()
    full = simulation.lanes.due(works, simulation.now)
    assert full == {each.id for each in GREEDY}
    assert simulation.lanes.shares.held == simulation.limits.extras_per_organization


def test_a_place_for_a_late_retry_goes_to_whoever_waits_for_it() -> None:
    """800 endpoints with one late retry each, all of which are answered: none waits for the next second."""
    simulation = Simulation(GREEDY, lambda d, at: SOON, commit=1_000)
    late(simulation, *simulation.commits(*((each.id, "k") for each in GREEDY), hint=False))
    simulation.run(5.0)
    began = simulation.seconds
    simulation.run(began + 0.8)
    assert len(simulation.sent) == MANY


# --- whatever happens -------------------------------------------------------------------------------------------------


class Watched(Simulation):
    """Checks, whenever everything that may be sent was sent, that nobody was left out."""

    def _pump(self) -> None:
        super()._pump()
        limit, flying, theirs = self.limits.in_flight, self.flying, by_organization(self)
        free = limit - flying.total()
        assert free >= 0
        for identifier, settings_ in self.endpoints.items():
            most = settings_.max_in_flight or self.limits.per_endpoint
            if flying[identifier] < most and self.waits(identifier):
                level = 2 * flying[identifier] + theirs[settings_.organization_id]
                assert level >= free, f"{identifier} has {level}, {free} are free, and it has something to send"


@st.composite
def _mixes(draw: st.DrawFn) -> Watched:
    """Organizations of some endpoints, each of which answers soon, slowly, or long after everybody else."""
    speeds: dict[str, int] = {}
    endpoints = []
    for organization in range(draw(st.integers(1, 6))):
        for number in range(draw(st.integers(1, 5))):
            identifier = f"{organization}.{number}"
            speeds[identifier] = draw(st.sampled_from((1_000, 20_000, 3_000_000, 15_000_000)))
            most = draw(st.sampled_from((None, 1, 5, 100)))
            endpoints.append(endpoint(identifier, f"o{organization}", ordering="none", max_in_flight=most))
    limits = SideLaneLimits(in_flight=draw(st.integers(6, 40)), per_endpoint=draw(st.sampled_from((2, 64))))
    simulation = Watched(endpoints, lambda d, at: Reply(after=speeds[d.endpoint_id]), limits=limits)
    bursts = st.tuples(st.floats(0, 20), st.sampled_from(sorted(speeds)), st.integers(1, 40))
    for at, identifier, count in draw(st.lists(bursts, min_size=1, max_size=25)):
        simulation.at(at, partial(simulation.commits, *((identifier, f"k{n}") for n in range(count))))
    return simulation


@given(_mixes())
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_no_organization_is_left_out_and_no_place_is_left_unused(simulation: Watched) -> None:
    simulation.run(24 * 3600)
    assert simulation.states() == {"delivered": len(simulation.rows)}
    assert simulation.lanes.shares.held == simulation.lanes.shares.in_flight == 0


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(-1, 5)), max_size=200))
def test_turns_go_to_the_lowest_level_and_there_to_who_came_first(steps: list[tuple[str, int]]) -> None:
    turns: Turns[str] = Turns()
    expected: dict[str, int] = {}
    for member, level in steps:
        if level < 0:
            turns.remove(member)
            expected.pop(member, None)
        elif expected.get(member) != level:
            turns.put(member, level)
            expected.pop(member, None)
            expected[member] = level
        assert turns.lowest == min(expected.values(), default=-1)
        if expected:
            assert turns.first() == next(each for each, at in expected.items() if at == turns.lowest)
