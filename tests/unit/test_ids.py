"""Ids: valid UUIDv7, and strictly rising whatever the clock does."""

from __future__ import annotations

import uuid
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tellwire.ids import IdMaker, micros_of

TIMES = st.integers(0, (1 << 48) * 1000 - 1)


@given(st.lists(TIMES, min_size=1, max_size=50), TIMES)
def test_ids_rise_whatever_the_clock_does_and_after_a_restart(times, later):
    maker = IdMaker()
    made = [maker.make(now) for now in times]
    made.append(IdMaker(floor=made[-1]).make(later))
    assert all(before < after for before, after in pairwise(made))


@given(TIMES, st.integers(1, 5))
def test_an_id_is_a_uuid_version_7_of_its_millisecond(now, count):
    maker = IdMaker()
    for _ in range(count):
        made = maker.make(now)
        parsed = uuid.UUID(made)
        assert (str(parsed), parsed.version, parsed.variant) == (made, 7, uuid.RFC_4122)
        assert micros_of(made) == now // 1000 * 1000


def test_a_counter_that_overflows_starts_the_next_millisecond():
    floor = "00000000-0001-7000-bfff-ffffffffffff"
    made = IdMaker(floor=floor, random=lambda _: 0).make(1000)
    assert made > floor
    assert micros_of(made) == 2000


@given(TIMES, TIMES)
def test_a_floor_raises_what_is_made_and_never_lowers_it(one, other):
    maker = IdMaker()
    first, foreign = maker.make(one), IdMaker().make(other)
    maker.rise(foreign)
    second = maker.make(one)
    assert second > max(first, foreign)
    maker.rise(first)
    maker.rise("")
    assert maker.make(one) > second


def test_two_that_rise_to_the_same_floor_part():
    floor = IdMaker().make(2_000_000)
    made = set()
    for _ in range(100):
        maker = IdMaker()
        maker.rise(floor)
        made.add(maker.make(1_000_000))
    assert len(made) == 100
