"""PURE but for the `Random` that is passed in. Turn what customers do into Meta's POSTs."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from tellwire.simulator.customer import Customer, Happening
from tellwire.simulator.payloads import Business, Person, Update, body_of

BUSINESS = Business(waba_id="100200300400501", phone_number_id="100200300400500", display_phone_number="525500000000")
"""The number that simulated customers write to by default."""

PEOPLE = (
    Person(name="Lucía Ejemplo", wa_id="5215500000001", user_id="MX.90000000000000000001"),
    Person(name="João Amostra", wa_id="5511900000002", user_id="BR.90000000000000000002"),
    Person(name="Asha नमूना", wa_id="919000000003", user_id="IN.90000000000000000003", username="asha.namuna"),
)
"""The invented people who write by default."""

Round = tuple[bytes, ...]
"""Bodies that are posted at the same time."""


def happenings(customers: Sequence[Customer], kinds: Sequence[Happening], count: int, *, at: int) -> list[Update]:
    """Let `count` things happen, from `at` (Unix seconds) on: the kinds take turns, and so do the customers."""
    updates: list[Update] = []
    for number in range(count):
        happen = kinds[number % len(kinds)]
        updates += happen(customers[number % len(customers)], at)
    return updates


def rounds(
    updates: Sequence[Update], random: Random, *, batch: int = 1, duplicates: bool = False, shuffle: bool = False
) -> list[Round]:
    """Plan the POSTs.

    Args:
        updates: Meta's updates in the order in which they happened.
        random: decides the order when shuffling.
        batch: updates in one POST (Meta: up to 1000).
        duplicates: post everything twice: every other POST twice at once, the rest again at the end.
        shuffle: put the updates in any order, so that statuses may come before their messages.

    Returns: rounds to post one after the other.
    """
    ordered = list(updates)
    if shuffle:
        random.shuffle(ordered)
    bodies = [body_of(ordered[start : start + batch]) for start in range(0, len(ordered), batch)]
    singles: list[Round] = [(body,) for body in bodies]
    if not duplicates:
        return singles
    return [one if number % 2 else one * 2 for number, one in enumerate(singles)] + singles[1::2]
