"""The loop behind what is done again and again: when its rounds follow, what an error costs, how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest
from structlog.testing import capture_logs

from tellwire.errors import Unavailable
from tellwire.loops import After, Loop, Work, in_turn, only_when, woken_or_after

PATIENCE = 10.0


class Enough(Exception):  # noqa: N818 - it ends a test, and is no error
    """A loop has made as many rounds as the test wants to see."""


class Pauses:
    """Pauses that take no time: how long each would have been, and whether the loop had been woken by then."""

    def __init__(self, most: int) -> None:
        self.seconds: list[float] = []
        self.woken: list[bool] = []
        self._most = most

    async def __call__(self, woken: asyncio.Event, seconds: float) -> None:
        self.seconds.append(seconds)
        self.woken.append(woken.is_set())
        if len(self.seconds) == self._most:
            raise Enough


def paused(work: Work, *, rounds: int, **options: Any) -> Pauses:
    """Make so many rounds of a loop whose usual pause is 5 seconds."""
    pauses = Pauses(rounds)
    loop = Loop("a test", work, seconds=5.0, failed="it_failed", pause=pauses, **options)
    with pytest.raises(Enough):
        asyncio.run(loop.run())
    return pauses


def saying(results: Iterable[bool | After | Exception | None]) -> Work:
    """Work whose rounds come to these, one after the other."""
    left = iter(results)

    async def work() -> bool | After | None:
        result = next(left)
        if isinstance(result, Exception):
            raise result
        return result

    return work


@pytest.mark.parametrize(
    ("result", "seconds"),
    [
        pytest.param(None, 5.0, id="nothing said"),
        pytest.param(False, 5.0, id="nothing more"),
        pytest.param(True, 0.0, id="more at once"),
        pytest.param(After(3.0), 3.0, id="more before the usual pause is over"),
        pytest.param(After(0.0), 0.0, id="more that is due"),
        pytest.param(After(99.0), 5.0, id="never later than usual"),
    ],
)
def test_a_round_says_when_the_next_one_follows(result: bool | After | None, seconds: float) -> None:
    assert paused(saying([result]), rounds=1).seconds == [seconds]


def test_an_error_ends_the_round_and_not_the_loop() -> None:
    with capture_logs() as logs:
        pauses = paused(saying([Unavailable("the disk is full"), ValueError("a defect"), True]), rounds=3)
    assert pauses.seconds == [5.0, 5.0, 0.0]
    assert [(each["log_level"], each["event"]) for each in logs] == [
        ("warning", "store_unavailable"),
        ("error", "it_failed"),
    ]
    assert logs[0]["detail"] == "the disk is full"
    assert logs[1]["exc_info"]


def test_the_pause_after_an_error_and_the_words_can_be_others() -> None:
    results = [Unavailable("gone"), ValueError("a defect"), None]
    with capture_logs() as logs:
        pauses = paused(saying(results), rounds=3, after_failure=1.0, unavailable="media_unavailable")
    assert pauses.seconds == [1.0, 1.0, 5.0]
    assert [each["event"] for each in logs] == ["media_unavailable", "it_failed"]


def test_what_wakes_during_a_round_is_heeded_after_it_once() -> None:
    pauses = Pauses(3)
    rounds = 0

    async def work() -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 2:
            loop.wake()

    loop = Loop("a test", work, seconds=5.0, failed="it_failed", pause=pauses)
    loop.wake()  # before a round: the round is what was asked for
    with pytest.raises(Enough):
        asyncio.run(loop.run())
    assert pauses.woken == [False, True, False]


def test_a_pause_ends_when_it_is_over_when_woken_and_at_once_when_it_is_none() -> None:
    async def scenario() -> None:
        woken = asyncio.Event()
        async with asyncio.timeout(PATIENCE):
            await woken_or_after(woken, 0.0)
            await woken_or_after(woken, 0.001)
            asyncio.get_running_loop().call_soon(woken.set)
            await woken_or_after(woken, 3600.0)
            await woken_or_after(woken, 3600.0)

    asyncio.run(scenario())


class Busy:
    """Work that never ends by itself."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.cancelled = 0

    async def __call__(self) -> None:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


def within_patience(scenario: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(PATIENCE):
            await scenario()

    asyncio.run(run())


def test_it_runs_from_its_start_to_its_stop() -> None:
    async def scenario() -> None:
        busy = Busy()
        loop = Loop("a test", busy, seconds=5.0, failed="it_failed")
        await loop.stop()  # it was not started: nothing to do
        for times in (1, 2):  # it can be started again
            busy.begun.clear()
            loop.start()
            await busy.begun.wait()
            assert "a test" in {task.get_name() for task in asyncio.all_tasks()}
            await loop.stop()
            assert busy.cancelled == times
            assert len(asyncio.all_tasks()) == 1
        await loop.stop()

    within_patience(scenario)


def test_it_can_be_stopped_in_a_pause_and_is_woken_from_one() -> None:
    async def scenario() -> None:
        done: asyncio.Queue[None] = asyncio.Queue()

        async def work() -> None:
            done.put_nowait(None)

        loop = Loop("a test", work, seconds=3600.0, failed="it_failed")
        loop.start()
        await done.get()
        loop.wake()
        await done.get()
        await loop.stop()
        assert done.empty()

    within_patience(scenario)


def test_pieces_of_work_in_turn_are_one_round_that_an_error_ends() -> None:
    did: list[str] = []

    def piece(name: str) -> Callable[[], Awaitable[int]]:
        async def work() -> int:
            did.append(name)
            if name == "broken":
                raise ValueError
            return 7

        return work

    assert asyncio.run(_awaited(in_turn(piece("one"), piece("two")))) is None
    with pytest.raises(ValueError):  # noqa: PT011 - ours
        asyncio.run(_awaited(in_turn(piece("three"), piece("broken"), piece("never"))))
    assert did == ["one", "two", "three", "broken"]


def test_work_of_another_process_is_left_to_it() -> None:
    did: list[str] = []

    async def work() -> None:
        did.append("it")

    here = iter([False, True, False])
    round_ = only_when(lambda: next(here), work)
    for expected in ([], ["it"], ["it"]):
        assert asyncio.run(_awaited(round_)) is None
        assert did == expected


async def _awaited(work: Work) -> bool | After | None:
    return await work()
