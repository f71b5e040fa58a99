"""Places are shared by organization, and no place is lost, whoever is cancelled."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellwire.loops import FairSlots
from tellwire.model.shares import FairShare

LIMIT = 8


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60))
def test_a_share_keeps_its_limit_and_leaves_room_for_a_newcomer(steps: list[tuple[str, bool]]) -> None:
    share, has = FairShare(LIMIT), Counter[str]()
    for who, more in steps:
        if more and share.admits(who):
            share.take(who)
            has[who] += 1
        elif not more and has[who]:
            share.give_back(who)
            has[who] -= 1
        assert has.total() < LIMIT
        assert share.admits("newcomer")
        assert {name: share.has(name) for name in "abc"} == {name: has[name] for name in "abc"}
        assert set(share.full) == {n for n in "abc" if has[n] and not share.admits(n)}


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 4)), st.lists(st.sampled_from("abcdef"), unique=True))
def test_what_is_divided_is_what_would_be_taken_one_by_one(has: dict[str, int], wanting: list[str]) -> None:
    share = FairShare(LIMIT)
    for who, count in has.items():
        for _ in range(count):
            if share.admits(who):
                share.take(who)
    before = {who: share.has(who) for who in wanting}
    divided = share.divided(wanting)
    for who, count in divided.items():
        for _ in range(count):
            share.take(who)
    assert not [who for who in wanting if share.admits(who)]
    assert all(share.has(who) >= before[who] for who in wanting)


@pytest.mark.anyio
async def test_one_alone_gets_half_and_another_does_not_wait() -> None:
    slots, ended = FairSlots(LIMIT), asyncio.Event()
    holding: Counter[str] = Counter()

    async def hold(who: str) -> None:
        async with slots.place(who):
            holding[who] += 1
            await ended.wait()
            holding[who] -= 1

    tasks = [asyncio.create_task(hold("greedy")) for _ in range(20)]
    await asyncio.sleep(0)
    assert holding == {"greedy": LIMIT // 2}
    tasks += [asyncio.create_task(hold("quiet")) for _ in range(2)]
    await asyncio.sleep(0)
    assert holding == {"greedy": LIMIT // 2, "quiet": 2}
    ended.set()
    await asyncio.gather(*tasks)
    assert not holding.total()


@pytest.mark.anyio
async def test_those_that_have_as_few_take_turns() -> None:
    slots, order = FairSlots(1), list[str]()

    async def hold(who: str) -> None:
        async with slots.place(who):
            order.append(who)
            await asyncio.sleep(0)

    await asyncio.gather(*(hold(who) for who in ["greedy"] * 5 + ["quiet"] * 2))
    assert order == ["greedy", "greedy", "quiet", "greedy", "quiet", "greedy", "greedy"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(("ask", "end", "cancel"))), max_size=60))
def test_no_place_is_lost_and_no_one_is_forgotten(steps: list[tuple[str, str]]) -> None:
    async def play() -> None:
        slots = FairSlots(LIMIT)
        tasks: dict[asyncio.Task[None], asyncio.Event] = {}

        async def hold(who: str, ended: asyncio.Event) -> None:
            async with slots.place(who):
                await ended.wait()

        for number, (who, step) in enumerate(steps):
            if step == "ask":
                ended = asyncio.Event()
                tasks[asyncio.create_task(hold(who, ended))] = ended
            elif tasks:
                task = list(tasks)[number % len(tasks)]
                if step == "end":
                    tasks[task].set()
                else:
                    task.cancel()
            if number % 3:
                await asyncio.sleep(0)
        for ended in tasks.values():
            ended.set()
        async with asyncio.timeout(5):
            await asyncio.gather(*tasks, return_exceptions=True)
            for who in "abcd" * LIMIT:
                async with slots.place(who):
                    pass

    asyncio.run(play())


@pytest.mark.anyio
async def test_who_comes_later_waits_for_one_of_another_and_not_for_all() -> None:
    slots, order = FairSlots(1), list[str]()

    async def work(who: str) -> None:
        async with slots.place(who):
            order.append(who)
            await asyncio.sleep(0)

    await asyncio.gather(*(work(who) for who in ["a"] * 10 + ["b", "c", "b"]))
    assert order == ["a", "a", "b", "c", "a", "b", *"aaaaaaa"]
