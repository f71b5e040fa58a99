"""PURE but for the `Random` that is passed in. What customers do, as the POSTs that Meta makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from tellwire.simulator.customer import Customer, Happening
from tellwire.simulator.payloads import Business, Person, Update, body_of

BUSINESS = Business(waba_id="100200300400501", phone_number_id="100200300400500", display_phone_number="525500000000")
"""The number that simulated customers write to unless told otherwise."""

PEOPLE = (
    Person(name="Lucía Ejemplo", wa_id="5215500000001", user_id="MX.90000000000000000001"),
    Person(name="João Amostra", wa_id="5511900000002", user_id="BR.90000000000000000002"),
    Person(name="Asha नमूना", wa_id="919000000003", user_id="IN.90000000000000000003", username="asha.namuna"),
)
"""Invented people who write unless told otherwise."""

Round = tuple[bytes, ...]
"""Bodies that are posted at the same time."""


def happenings(customers: Sequence[Customer], kinds: Sequence[Happening], count: int, *, at: int) -> list[Update]:
    """Let `count` things happen: kinds in turn, each with the next customer; everything from `at` (Unix seconds) on."""
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
        updates: what Meta has to tell, in the order it happened.
        random: decides the order of what is shuffled.
        batch: updates in one POST (Meta: up to 1000).
        duplicates: every POST comes twice: every other one twice at once, the rest again at the end.
        shuffle: updates come in any order, statuses before their messages too.

    Returns: rounds to post one after the other.
    """
    told = list(updates)
    if shuffle:
        random.shuffle(told)
    bodies = [body_of(told[start : start + batch]) for start in range(0, len(told), batch)]
    singles: list[Round] = [(body,) for body in bodies]
    if not duplicates:
        return singles
    return [one if number % 2 else one * 2 for number, one in enumerate(singles)] + singles[1::2]
