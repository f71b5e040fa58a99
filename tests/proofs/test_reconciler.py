"""The judge is judged: every fault that is planted must be found, and nothing else."""

from __future__ import annotations

import random

import pytest
from msgspec.structs import replace
from tests.proofs.reconciler import Arrival, Verdict, reconcile

FACTS = [f"fact {number}" for number in range(1, 7)]
LANES = [("row", "ann"), ("row", "ben"), ("chat", "ann")]
ACCEPTED = dict.fromkeys(LANES, FACTS)
LANE = ("row", "ann")


def arrival(number: int, lane: tuple[str, str] = LANE) -> Arrival:
    return Arrival(
        endpoint=lane[0],
        key=lane[1],
        fact=f"fact {number}",
        sequence=number,
        webhook_id=f"msg_{lane[0]}_{lane[1]}_{number}",
    )


def everything() -> list[Arrival]:
    """All of it, the lanes mixed as they may be."""
    left = {lane: list(range(1, len(FACTS) + 1)) for lane in LANES}
    order = [lane for lane in LANES for _ in FACTS]
    random.Random(5).shuffle(order)
    return [arrival(left[lane].pop(0), lane) for lane in order]


def place(arrivals: list[Arrival], number: int) -> int:
    return arrivals.index(arrival(number))


def judged(arrivals: list[Arrival], *kills: list[str]) -> Verdict:
    return reconcile(ACCEPTED, arrivals, kills)


def kinds(verdict: Verdict) -> dict[str, int]:
    counts = {word: len(getattr(verdict, word)) for word in ("lost", "invented", "reordered", "excess")}
    return {word: count for word, count in counts.items() if count}


def test_all_in_order_is_no_fault() -> None:
    verdict = judged(everything())
    assert verdict.faults == []
    assert (verdict.accepted, verdict.delivered, verdict.duplicates, verdict.in_flight) == (18, 18, 0, 0)


@pytest.mark.parametrize("number", [1, 3, 6])
def test_one_that_is_lost_is_found_wherever_it_stood(number: int) -> None:
    arrivals = everything()
    del arrivals[place(arrivals, number)]
    verdict = judged(arrivals)
    assert verdict.lost == [f"row/ann: fact {number}"]
    assert verdict.delivered == 17
    assert kinds(verdict) == ({"lost": 1} if number == 6 else {"lost": 1, "reordered": 1}), "a gap is no order"


def test_a_contact_that_is_lost_whole_is_found() -> None:
    verdict = judged([each for each in everything() if each.lane != LANE])
    assert len(verdict.lost) == 6
    assert verdict.faults


def test_two_that_changed_places_are_found() -> None:
    arrivals = everything()
    one, other = place(arrivals, 3), place(arrivals, 4)
    arrivals[one], arrivals[other] = arrivals[other], arrivals[one]
    verdict = judged(arrivals)
    assert kinds(verdict) == {"reordered": 3}
    assert verdict.reordered[0] == "row/ann: 4 after 2"


def test_content_in_the_wrong_order_is_found_though_the_sequences_rise() -> None:
    arrivals = everything()
    one, other = place(arrivals, 3), place(arrivals, 4)
    arrivals[one] = replace(arrivals[one], fact="fact 4")
    arrivals[other] = replace(arrivals[other], fact="fact 3")
    verdict = judged(arrivals)
    assert verdict.reordered == ["row/ann: fact 3 after fact 4"]


def test_a_sequence_that_begins_late_or_skips_is_found() -> None:
    lane = [each for each in everything() if each.lane == LANE]
    assert kinds(reconcile({LANE: FACTS}, [replace(each, sequence=each.sequence + 1) for each in lane]))
    skipping = [replace(each, sequence=each.sequence + (each.sequence > 3)) for each in lane]
    assert reconcile({LANE: FACTS}, skipping).reordered == ["row/ann: 5 after 3"]


def test_what_nobody_posted_is_found() -> None:
    stranger = replace(arrival(6), fact="fact 7", sequence=7, webhook_id="msg_stranger")
    assert kinds(judged([*everything(), stranger])) == {"invented": 1}


def test_a_fact_that_was_applied_twice_is_found() -> None:
    again = replace(arrival(6), sequence=7, webhook_id="msg_again")
    assert kinds(judged([*everything(), again])) == {"excess": 1}


def test_a_repeat_of_what_was_in_flight_at_a_kill_is_a_duplicate_and_no_fault() -> None:
    arrivals = everything()
    arrivals.insert(place(arrivals, 3) + 1, arrival(3))
    verdict = judged(arrivals, [arrival(3).webhook_id, arrival(4, LANES[1]).webhook_id])
    assert verdict.faults == []
    assert (verdict.duplicates, verdict.in_flight) == (1, 2)


def test_a_repeat_without_a_kill_is_found() -> None:
    arrivals = everything()
    arrivals.insert(place(arrivals, 3) + 1, arrival(3))
    verdict = judged(arrivals)
    assert kinds(verdict) == {"excess": 1}
    assert "1 duplicates, though only 0 were in flight at the kills" in verdict.faults


def test_a_repeat_of_another_than_was_in_flight_is_found() -> None:
    arrivals = everything()
    arrivals.insert(place(arrivals, 3) + 1, arrival(3))
    assert kinds(judged(arrivals, [arrival(4).webhook_id])) == {"excess": 1}


def test_one_repeat_more_than_there_were_kills_is_found() -> None:
    arrivals = everything()
    at = place(arrivals, 3) + 1
    arrivals[at:at] = [arrival(3), arrival(3)]
    one = [arrival(3).webhook_id]
    assert judged(arrivals, one, one).faults == []
    assert kinds(judged(arrivals, one)) == {"excess": 1}


def test_a_repeat_after_a_later_one_is_out_of_order_even_if_it_was_in_flight() -> None:
    arrivals = everything()
    arrivals.insert(place(arrivals, 4) + 1, arrival(3))
    assert kinds(judged(arrivals, [arrival(3).webhook_id])) == {"reordered": 1}


def joined(*numbers: int) -> Arrival:
    """Several facts in one request."""
    last = arrival(numbers[-1])
    return replace(last, before=tuple(f"fact {each}" for each in numbers[:-1]), webhook_id=f"msg_{numbers}")


def of_the_lane(*arrivals: Arrival) -> dict[str, int]:
    return kinds(reconcile({LANE: FACTS}, arrivals, [[each.webhook_id for each in arrivals]]))


def test_facts_that_come_together_are_judged_one_by_one() -> None:
    assert of_the_lane(joined(1, 2, 3), arrival(4), joined(5, 6)) == {}
    assert of_the_lane(joined(1, 2, 3), joined(1, 2, 3), arrival(4), joined(5, 6)) == {}, "a copy"
    assert of_the_lane(joined(1, 2), joined(4, 5, 6)) == {"lost": 1, "reordered": 1}
    swapped = replace(joined(1, 3, 2), sequence=3)
    assert of_the_lane(swapped, joined(4, 5, 6)) == {"reordered": 1}
    assert "reordered" in of_the_lane(joined(4, 5, 6), joined(1, 2, 3))
    assert of_the_lane(joined(1, 2), joined(1, 2, 3), joined(4, 5, 6)) == {"reordered": 1, "excess": 2}, "other members"
