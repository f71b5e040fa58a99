"""PURE. What subscribers saw against what was accepted: what is lost, invented, reordered or repeated too often.

A request counts when it has come whole, whatever was answered: a receiver has acted on it by then.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from msgspec import Struct

Lane = tuple[str, str]
"""(endpoint, whom it is about): what is kept in order."""


class Arrival(Struct, frozen=True, kw_only=True):
    """A request as a subscriber got it. `fact` is what it tells, in words of the test's own, with this `sequence`;
    `before`: what it tells before that."""

    endpoint: str
    key: str
    fact: str
    sequence: int
    webhook_id: str
    before: tuple[str, ...] = ()

    @property
    def facts(self) -> tuple[str, ...]:
        """All that it tells, in order."""
        return (*self.before, self.fact)

    @property
    def lane(self) -> Lane:
        return self.endpoint, self.key


class Verdict(Struct, frozen=True, kw_only=True):
    """What was found. `duplicates` counts every repeat, `excess` names those that no kill explains."""

    accepted: int
    delivered: int
    lost: list[str]
    invented: list[str]
    reordered: list[str]
    excess: list[str]
    duplicates: int
    in_flight: int

    @property
    def faults(self) -> list[str]:
        """Everything that must not be; empty when the promises were kept."""
        found = [
            f"{word}: {one}" for word in ("lost", "invented", "reordered", "excess") for one in getattr(self, word)
        ]
        if self.duplicates > self.in_flight:
            found.append(f"{self.duplicates} duplicates, though only {self.in_flight} were in flight at the kills")
        return found


def reconcile(
    accepted: Mapping[Lane, Sequence[str]], arrivals: Sequence[Arrival], kills: Iterable[Iterable[str]] = ()
) -> Verdict:
    """Compare what is owed with what came.

    Args:
        accepted: the facts that were answered 200, in order, by lane.
        arrivals: everything that the subscribers got, in order.
        kills: for each kill the webhook-ids in flight then: those had come and were not recorded, and may come once
            more.
    """
    lanes: dict[Lane, list[Arrival]] = defaultdict(list)
    for arrival in arrivals:
        lanes[arrival.lane].append(arrival)
    may_repeat = Counter(chain.from_iterable(kills))
    repeats = Counter(arrival.webhook_id for arrival in arrivals)
    lost, invented, reordered, excess = list[str](), list[str](), list[str](), list[str]()
    for lane in sorted({*accepted, *lanes}):
        owed, came = list(accepted.get(lane, ())), lanes[lane]
        told = {fact for arrival in came for fact in arrival.facts}
        lost += [_name(lane, fact) for fact in owed if fact not in told]
        invented += [_name(lane, fact) for fact in sorted(told.difference(owed))]
        reordered += [_name(lane, words) for words in [*_out_of_sequence(came), *_out_of_order(owed, came)]]
        excess += [_name(lane, words) for words in _told_twice(came)]
    for webhook_id, times in repeats.items():
        if times - 1 > may_repeat[webhook_id]:
            excess.append(f"{webhook_id} came {times} times and was in flight at {may_repeat[webhook_id]} kills")
    return Verdict(
        accepted=sum(map(len, accepted.values())),
        delivered=sum(len(told & set(accepted.get(lane, ()))) for lane, told in _told(lanes).items()),
        lost=lost,
        invented=invented,
        reordered=reordered,
        excess=excess,
        duplicates=sum(times - 1 for times in repeats.values()),
        in_flight=may_repeat.total(),
    )


def _told(lanes: Mapping[Lane, Sequence[Arrival]]) -> dict[Lane, set[str]]:
    return {lane: {fact for arrival in came for fact in arrival.facts} for lane, came in lanes.items()}


def _out_of_sequence(came: Sequence[Arrival]) -> list[str]:
    """What breaks 1, 2, 3, … of a lane; only the last one that came may come again before the next."""
    found: list[str] = []
    seen: set[str] = set()
    latest, top = "", 0
    for arrival in came:
        if arrival.webhook_id in seen:
            if arrival.webhook_id != latest:
                found.append(f"{arrival.sequence} again, after {top}")
            continue
        first = arrival.sequence - len(arrival.before)
        if first != top + 1:
            found.append(f"{first} after {top}")
        seen.add(arrival.webhook_id)
        latest, top = arrival.webhook_id, max(top, arrival.sequence)
    return found


def _out_of_order(owed: Sequence[str], came: Sequence[Arrival]) -> list[str]:
    """Facts whose first telling came after the first telling of a later one: sequences alone could lie."""
    place = {fact: number for number, fact in enumerate(owed)}
    found: list[str] = []
    latest = -1
    for fact in dict.fromkeys(fact for arrival in came for fact in arrival.facts):
        number = place.get(fact, latest)
        if number < latest:
            found.append(f"{fact} after {owed[latest]}")
        latest = max(latest, number)
    return found


def _told_twice(came: Sequence[Arrival]) -> list[str]:
    """One fact under two webhook-ids: it was applied twice."""
    ids: dict[str, set[str]] = defaultdict(set)
    for arrival in came:
        for fact in arrival.facts:
            ids[fact].add(arrival.webhook_id)
    return [f"{fact} under {len(each)} webhook-ids" for fact, each in ids.items() if len(each) > 1]


def _name(lane: Lane, words: str) -> str:
    return f"{lane[0]}/{lane[1]}: {words}"
