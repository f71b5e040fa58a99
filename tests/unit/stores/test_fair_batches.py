"""Whose jobs are in the next commit: everybody's first ones, and of nobody more than a part while others wait."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from tellwire.stores.fair_batches import MOST_PER_COMMIT, FairBatches, Job

NOBODY = cast("asyncio.Future[Any]", None)
Named = tuple[str, int, int]
"""A job of these tests: whose it is, its number among theirs, its size."""


def waiting(*jobs: Named) -> FairBatches:
    batches = FairBatches(size=lambda job: job[2], whose=lambda job: job[0])
    for job in jobs:
        batches.add((job, NOBODY))
    return batches


def names(batch: list[Job]) -> list[Named]:
    return [job for job, _ in batch]


def test_who_waits_alone_fills_the_commit_in_order() -> None:
    jobs = [("a", number, 1) for number in range(MOST_PER_COMMIT + 1)]
    batches = waiting(*jobs)
    assert names(batches.take()) == jobs[:-1]
    assert names(batches.take()) == jobs[-1:]
    assert not batches
    assert batches.take() == []


def test_who_comes_with_little_is_in_the_next_commit() -> None:
    batches = waiting(*(("flood", number, 250) for number in range(1_000)), ("other", 0, 1), ("third", 0, 5))
    assert names(batches.take()) == [("flood", 0, 250), ("other", 0, 1), ("third", 0, 5)]
    batches.add((("other", 1, 1), NOBODY))
    assert ("other", 1, 1) in names(batches.take())


def test_small_jobs_of_a_flood_are_a_quarter_while_others_wait() -> None:
    batches = waiting(*(("flood", number, 1) for number in range(1_000)), ("other", 0, 1))
    assert Counter(whose for whose, _, _ in names(batches.take())) == {"flood": MOST_PER_COMMIT // 4, "other": 1}


def test_what_is_put_back_goes_first() -> None:
    batches = waiting(*(("a", number, 1) for number in range(4)), ("b", 0, 1))
    batch = batches.take()
    batches.add((("a", 4, 1), NOBODY))
    batches.put_back(batch[2:])
    assert [job for job in names(batches.take()) if job[0] == "a"] == [("a", n, 1) for n in (1, 2, 3, 4)]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 300))), st.integers(1, 3))
def test_everything_is_taken_once_and_in_order(given_jobs: list[tuple[str, int]], keep: int) -> None:
    jobs = [(whose, number, size) for number, (whose, size) in enumerate(given_jobs)]
    batches, done = waiting(*jobs), list[Named]()
    while batches:
        batch = batches.take()
        assert batch
        done += names(batch[:keep])
        batches.put_back(batch[keep:])
    assert sorted(done, key=lambda job: job[1]) == jobs
    for whose in "abc":
        assert [job for job in done if job[0] == whose] == [job for job in jobs if job[0] == whose]
