"""The loop: the flow, failures, a store that cannot, leases, changes of endpoints, replays, stopping."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace
from tests.unit.delivery.dispatching import (
    BAD,
    GONE,
    OK,
    SECOND,
    START,
    Process,
    endpoint_of,
    run,
    started,
    turns,
    until,
)

from tellwire.delivery.side_lanes import SideLaneLimits
from tellwire.errors import Unavailable
from tellwire.model.deliveries import DeliveryState, ReplayEdit
from tellwire.model.routing import PARTITIONS, order_key
from tellwire.ports.http_out import Answer

# --- the flow ---------------------------------------------------------------------------------------------------------


def test_what_is_committed_is_sent_and_recorded() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.listener_fails = True
        ids = p.outbox.commit("a", "b", "a")
        await until(lambda: p.outbox.states() == ["delivered"] * 3)
        assert sorted(p.sender.sent) == ids
        assert [a.outcome for a in p.outbox.attempts] == ["delivered"] * 3
        assert p.told == [(1, "delivered")] * 3
        await p.quiet()
        assert (p.dispatcher.attempts, p.dispatcher.delivered, p.dispatcher.held) == (3, 3, 0)

    run(scenario)


def test_the_next_of_a_key_waits_for_the_commit_of_the_one_before() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.outbox.gate.clear()
        first, second, other = p.outbox.commit("a", "a", "b")
        await until(lambda: len(p.outbox.attempts) == 0 and p.dispatcher.unrecorded == 2)
        await turns()
        assert sorted(p.sender.sent) == [first, other]
        assert p.dispatcher.in_flight == 2
        p.outbox.gate.set()
        await until(lambda: second in p.sender.sent)

    run(scenario)


def test_rows_that_wait_are_found_at_start_and_go_before_what_is_committed_meanwhile() -> None:
    async def scenario(p: Process) -> None:
        old = p.outbox.commit(*["a"] * 20, hint=False)
        async with started(p):
            new = p.outbox.commit("a", "a")
            await until(lambda: p.outbox.states() == ["delivered"] * 22)
        assert p.sender.sent == old + new

    run(scenario, start=False, limits=SideLaneLimits(window=8))


def test_a_missed_hint_costs_latency_only() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.outbox.commit("a", "b", hint=False)
        await turns()
        assert p.sender.sent == []
        p.dispatcher.wake()
        await until(lambda: p.outbox.states() == ["delivered"] * 2)

    run(scenario)


def test_rows_that_could_not_be_read_are_read_again() -> None:
    async def scenario(p: Process) -> None:
        p.outbox.commit("a", hint=False)
        p.outbox.broken = ["backlog", "due"]
        async with started(p):
            await until(lambda: p.outbox.states() == ["delivered"])
            assert p.outbox.broken == []
            p.outbox.broken = ["waiting"]
            p.outbox.commit("b", hint=False)
            p.dispatcher.wake()
            await until(lambda: not p.outbox.broken)
            p.dispatcher.wake()
            await until(lambda: p.outbox.states() == ["delivered"] * 2)

    run(scenario, start=False)


def test_results_that_come_together_are_written_together() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.outbox.commit(*(f"k{n}" for n in range(60)))
        await until(lambda: p.outbox.states() == ["delivered"] * 60)
        assert len(p.outbox.writes) <= 4

    run(scenario)


def test_caps_hold() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.outbox.commit(*(f"k{n}" for n in range(100)))
        await until(lambda: p.outbox.states() == ["delivered"] * 100)
        assert p.sender.most == 3

    run(scenario, endpoint_of(max_in_flight=3))


# --- failures ---------------------------------------------------------------------------------------------------------


def test_a_head_is_tried_again_when_its_time_has_come() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.sender.answers["000001"] = BAD
        first, second = p.outbox.commit("a", "a")
        await until(lambda: p.row(first).attempts == 1)
        assert p.row(first).state is DeliveryState.RETRYING
        assert p.row(first).due_at == START + 2 * SECOND
        p.move(1.9)
        await turns()
        assert p.sender.sent == [first]
        p.sender.answers.clear()
        p.move(0.1)
        await until(lambda: p.outbox.states() == ["delivered"] * 2)
        assert p.sender.sent == [first, first, second]
        assert [a.number for a in p.outbox.attempts] == [1, 2, 1]
        assert [dict(r.headers)["tellwire-attempt"] for r in p.sender.requests] == ["1", "2", "1"]

    run(scenario)


def test_a_given_schedule_ends_in_failed() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.sender.answers["000001"] = Answer(failure="refused", cause="connection refused")
        (only,) = p.outbox.commit("a")
        for attempts in (1, 2, 3):
            await p.quiet()
            assert p.row(only).attempts == attempts
            p.move(1)
        assert p.row(only).state is DeliveryState.FAILED
        assert [a.cause for a in p.outbox.attempts] == ["connection refused"] * 3

    run(scenario, schedule=(1.0, 1.0))


def test_a_poisoned_head_is_overtaken_and_tried_later() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.sender.answers["000001"] = BAD
        first, second = p.outbox.commit("bad", "bad")
        for _ in range(61):
            p.outbox.commit("good")
            await turns()
            p.move(1)
        await until(lambda: p.row(second).state is DeliveryState.DELIVERED)
        assert (p.row(first).lane, p.row(first).out_of_order) == ("late", True)
        attempts = p.row(first).attempts
        p.clock.at = p.row(first).due_at
        p.sender.answers.clear()
        p.dispatcher.wake()
        await until(lambda: p.row(first).state is DeliveryState.DELIVERED)
        assert p.row(first).attempts == attempts + 1

    run(scenario)


def test_a_late_retry_that_is_due_soon_needs_no_sweep() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.sender.answers["000001"] = BAD
        (only,) = p.outbox.commit("a")
        await until(lambda: p.row(only).attempts == 1)
        assert p.row(only).lane == "late"
        p.clock.at = p.row(only).due_at
        p.sender.answers.clear()
        await until(lambda: p.row(only).state is DeliveryState.DELIVERED, seconds=3)

    run(scenario, endpoint_of(ordering="none", retry_schedule=(0.1,)))


def test_what_cannot_be_encoded_or_sent_costs_only_itself() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.outbox.commit("a", external=True)
        p.outbox.commit("b", history=True)
        p.outbox.commit("c", "d")
        p.sender.answers["000003"] = RuntimeError("a bug")
        await until(lambda: p.outbox.states() == ["retrying", "cancelled", "retrying", "delivered"])
        causes = {a.delivery_id: a.cause for a in p.outbox.attempts}
        assert causes["000001"] == "the request could not be made (ValueError)"
        assert causes["000003"] == "the request could not be made (RuntimeError)"
        assert "000002" not in causes

    run(scenario)


def test_gone_disables_the_endpoint() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.sender.answers["000001"] = GONE
        p.outbox.commit("a", "a")
        await until(lambda: p.outbox.disabled)
        p.outbox.commit("b")
        await turns()
        assert p.outbox.disabled == [("ep", "it answered 410 Gone")]
        assert p.sender.sent == ["000001"]
        assert p.outbox.states()[:2] == ["parked", "parked"]
        assert p.row("000001").attempts == 1

    run(scenario)


def test_disabling_is_repeated_until_it_is_durable() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.sender.answers["000001"] = GONE
        p.outbox.commit("a")
        await until(lambda: p.outbox.attempts)
        p.outbox.fails = Unavailable("disk full")
        await turns()
        assert p.outbox.disabled == []
        p.outbox.fails = None
        await until(lambda: p.outbox.disabled)
        assert p.sender.sent == ["000001"]

    run(scenario)


# --- a store that cannot ----------------------------------------------------------------------------------------------


def test_results_outlive_a_full_disk_and_nothing_is_sent_twice() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.outbox.fails = Unavailable("disk full")
        first, second = p.outbox.commit("a", "a")
        await until(lambda: p.dispatcher.failing)
        assert (p.dispatcher.unrecorded, p.dispatcher.failing) == (1, "disk full")
        p.dispatcher.wake()
        await turns(200)
        assert p.sender.sent == [first]
        p.outbox.fails = None
        p.dispatcher.wake()
        await until(lambda: p.outbox.states() == ["delivered"] * 2)
        assert p.sender.sent == [first, second]
        assert (p.dispatcher.unrecorded, p.dispatcher.failing) == (0, "")

    run(scenario)


def test_what_cannot_be_sent_on_is_bounded_by_the_caps() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.outbox.fails = Unavailable("disk full")
        p.outbox.commit(*(f"k{n}" for n in range(100)))
        await until(lambda: p.dispatcher.failing)
        await turns(200)
        assert len(p.sender.sent) == 5

    run(scenario, endpoint_of(max_in_flight=5))


def test_one_result_that_cannot_be_written_does_not_hold_up_the_others() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.outbox.poison = "000002"
        p.outbox.commit("a", "b", "c", "b")
        await until(lambda: p.outbox.states() == ["delivered", "pending", "delivered", "pending"])
        assert p.dispatcher.unrecorded == 1
        p.outbox.commit("d")
        await until(lambda: p.row("000005").state is DeliveryState.DELIVERED)
        p.outbox.poison = ""
        p.dispatcher.wake()
        await until(lambda: p.outbox.states() == ["delivered"] * 5)
        assert sorted(p.sender.sent) == sorted(set(p.sender.sent))

    run(scenario)


# --- leases -----------------------------------------------------------------------------------------------------------


def test_what_another_took_is_refused_and_no_longer_sent_and_the_rest_goes_on() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.sender.hangs = {"000001", "000002"}
        p.outbox.commit("a", "b", "a", "b")
        await until(lambda: len(p.sender.hanging) == 2)
        theirs = p.row("000001").partition
        p.outbox.take_over(theirs)
        p.sender.let_go("000001")
        await until(lambda: p.dispatcher.refused == 1)
        await turns()
        assert theirs not in p.dispatcher.partitions
        assert len(p.dispatcher.partitions) == PARTITIONS - 1
        p.sender.let_go("000002")
        await until(lambda: p.row("000004").state is DeliveryState.DELIVERED)
        p.outbox.commit("a")
        await turns()
        assert p.outbox.states() == ["pending", "delivered", "pending", "delivered", "pending"]
        p.sender.hangs.clear()
        p.outbox.leases.release("another", None)
        p.outbox.hint_released()
        await until(lambda: p.outbox.states() == ["delivered"] * 5)
        assert [i for i in p.sender.sent if i in ("000001", "000003", "000005")] == [
            "000001",
            "000001",
            "000003",
            "000005",
        ]

    run(scenario)


def test_a_process_that_was_frozen_past_its_lease_asks_before_it_sends() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.sender.hangs = {"000001"}
        p.outbox.commit("a", "a", "b", "b")
        await until(lambda: p.row("000004").state is DeliveryState.DELIVERED)
        p.sender.sent.clear()
        p.outbox.deaf = True
        p.clock.at += 7 * SECOND
        p.outbox.commit("c")
        p.sender.let_go("000001")
        await p.quiet()
        await turns(200)
        assert p.sender.sent == []
        assert list(p.dispatcher.partitions) == []
        assert p.row("000001").state is DeliveryState.DELIVERED
        p.outbox.deaf = False
        p.dispatcher.wake()
        await until(lambda: p.outbox.states() == ["delivered"] * 5)
        assert sorted(p.sender.sent) == ["000002", "000005"]

    run(scenario)


def test_an_attempt_that_was_not_yet_written_when_the_lease_ended_is_none() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.sender.connecting = asyncio.Event()
        (only,) = p.outbox.commit("a")
        await until(lambda: p.sender.sent)
        p.outbox.deaf = True
        p.clock.at += 7 * SECOND
        p.sender.connecting.set()
        await until(lambda: p.sender.withheld)
        await p.quiet()
        assert (p.outbox.attempts, p.outbox.writes, p.dispatcher.attempts) == ([], [], 0)
        assert p.dispatcher.held == 0
        p.outbox.deaf = False
        p.dispatcher.wake()
        await until(lambda: p.row(only).state is DeliveryState.DELIVERED)
        assert [a.number for a in p.outbox.attempts] == [1]

    run(scenario)


def test_a_slow_connection_may_outlast_a_lease_that_is_renewed() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.sender.connecting = asyncio.Event()
        (only,) = p.outbox.commit("a")
        await until(lambda: p.sender.sent)
        for _ in range(5):
            p.move(4)
            p.dispatcher.wake()
            await turns()
        p.sender.connecting.set()
        await until(lambda: p.row(only).state is DeliveryState.DELIVERED)
        assert p.sender.sent == [only]

    run(scenario)


def test_what_others_committed_is_read() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.outbox.commit("a", "b", hint=False)
        p.outbox.elsewhere(["ep"])
        await until(lambda: p.outbox.states() == ["delivered"] * 2)

    run(scenario)


# --- endpoints that change --------------------------------------------------------------------------------------------


def test_a_failure_under_a_paused_endpoint_is_parked_and_goes_on_when_it_is_back() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.sender.hangs = {"000001"}
        first, second = p.outbox.commit("a", "a")
        await until(lambda: p.sender.hanging)
        p.outbox.change("ep", state="paused")
        p.sender.let_go(first, BAD)
        await p.quiet()
        assert p.outbox.states() == ["parked", "parked"]
        assert p.dispatcher.held == 0
        p.sender.hangs.clear()
        p.outbox.change("ep", state="active")
        p.move(2)
        await until(lambda: p.outbox.states() == ["delivered"] * 2)
        assert p.sender.sent == [first, first, second]

    run(scenario)


def test_a_result_that_overtook_a_change_of_its_endpoint_is_put_right() -> None:
    """Paused and resumed while a result is on its way: the row must not stay parked, nor be tried while paused."""

    async def scenario(p: Process) -> None:
        await turns()
        p.sender.hangs = {"000001"}
        (only,) = p.outbox.commit("a")
        await until(lambda: p.sender.hanging)
        p.outbox.change("ep", state="paused")
        p.outbox.gate.clear()
        p.sender.let_go(only, BAD)
        await until(lambda: p.dispatcher.unrecorded)
        p.outbox.change("ep", state="active")
        p.outbox.gate.set()
        await p.quiet()
        assert p.row(only).state is DeliveryState.RETRYING
        await until(lambda: p.dispatcher.held == 1)
        p.outbox.gate.clear()
        p.move(2)
        await until(lambda: p.sender.hanging)
        p.sender.let_go(only, BAD)
        await until(lambda: p.dispatcher.unrecorded)
        p.outbox.change("ep", state="paused")
        p.outbox.gate.set()
        await p.quiet()
        assert p.row(only).state is DeliveryState.PARKED

    run(scenario)


def test_a_failure_of_a_deleted_endpoint_is_cancelled() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.sender.hangs = {"000001"}
        (only,) = p.outbox.commit("a")
        await until(lambda: p.sender.hanging)
        p.outbox.delete("ep")
        p.sender.let_go(only, BAD)
        await until(lambda: p.row(only).state is DeliveryState.CANCELLED)
        assert len(p.outbox.attempts) == 1

    run(scenario)


# --- replays ----------------------------------------------------------------------------------------------------------


def test_a_replay_goes_out_when_woken_also_many() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        ids = p.outbox.commit(*(f"k{n}" for n in range(300)))
        await until(lambda: p.outbox.states() == ["delivered"] * 300)
        for identifier in ids:
            p.outbox.rows[identifier] = replace(
                p.row(identifier), state=DeliveryState.PENDING, lane="replay", replay=1, first_attempt_at=0
            )
        p.dispatcher.wake()
        await until(lambda: p.outbox.states() == ["delivered"] * 300, seconds=4)
        assert len(p.sender.sent) == 600
        assert {row.attempts for row in p.outbox.rows.values()} == {2}
        assert dict(p.sender.requests[-1].headers)["tellwire-replay"] == "1"

    run(scenario)


def _replayed(p: Process, identifier: str, edit: ReplayEdit) -> None:
    p.outbox.rows[identifier] = replace(
        p.row(identifier), state=DeliveryState.PENDING, lane="replay", replay=1, first_attempt_at=0
    )
    p.outbox.edits[identifier, 1] = edit
    p.dispatcher.wake()


def test_a_replay_may_go_elsewhere_with_another_body_and_says_so() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        (only,) = p.outbox.commit("a")
        await until(lambda: p.outbox.states() == ["delivered"])
        _replayed(p, only, ReplayEdit(url="https://b.example/", body=b"{}"))
        await until(lambda: len(p.outbox.attempts) == 2)
        request = p.sender.requests[-1]
        assert (request.url, request.body) == ("https://b.example/", b"{}")
        assert dict(request.headers)["tellwire-replay-edited"] == "url, body"
        assert [a.edited for a in p.outbox.attempts] == [(), ("url", "body")]

    run(scenario)


@pytest.mark.parametrize("answer", [GONE, Answer(failure="refused", cause="connection refused"), OK])
def test_what_another_server_answers_says_nothing_of_the_endpoint(answer: Answer) -> None:
    async def scenario(p: Process) -> None:
        await turns()
        (first,) = p.outbox.commit("a")
        await until(lambda: p.outbox.states() == ["delivered"])
        p.sender.answers[first] = answer
        _replayed(p, first, ReplayEdit(url="https://b.example/"))
        await until(lambda: len(p.outbox.attempts) == 2)
        p.outbox.commit("b")
        await until(lambda: len(p.outbox.attempts) == 3)
        assert p.outbox.disabled == []
        assert p.outbox.attempts[-1].outcome == "delivered"
        state = DeliveryState.DELIVERED if answer is OK else DeliveryState.RETRYING
        assert p.row(first).state is state
        assert p.row(first).counted_attempts == (answer is not OK)

    run(scenario)


def test_a_replay_whose_edit_cannot_be_read_is_not_sent_unedited() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        (only,) = p.outbox.commit("a")
        await until(lambda: p.outbox.states() == ["delivered"])
        p.outbox.unreadable = True
        _replayed(p, only, ReplayEdit(body=b"{}"))
        await until(lambda: len(p.outbox.attempts) == 2)
        assert p.sender.sent == [only]
        assert p.outbox.attempts[-1].cause == "the request could not be made (OSError)"
        assert p.row(only).state is DeliveryState.RETRYING

    run(scenario)


def test_what_was_cancelled_is_not_sent() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.sender.hangs = {"000001"}
        first, second, third = p.outbox.commit("a", "a", "a")
        await until(lambda: p.sender.hanging)
        p.outbox.rows[second] = replace(p.row(second), state=DeliveryState.CANCELLED)
        p.dispatcher.forget([second])
        p.sender.let_go(first)
        await until(lambda: p.row(third).state is DeliveryState.DELIVERED)
        assert p.sender.sent == [first, third]

    run(scenario)


def test_what_is_of_a_person_who_is_being_erased_elsewhere_is_not_sent_any_more() -> None:
    async def scenario(p: Process) -> None:
        await turns()
        p.sender.hangs = {"000001"}
        theirs = order_key("account", "contact")
        first, second, third = p.outbox.commit(theirs, theirs, "another")
        await until(lambda: p.sender.hanging and p.row(third).state is DeliveryState.DELIVERED)
        p.outbox.erase("account", "contact")
        p.sender.let_go(first)
        await until(lambda: p.row(second).state is DeliveryState.CANCELLED)
        assert p.sender.sent == [first, third]

    run(scenario)


# --- stopping ---------------------------------------------------------------------------------------------------------


def test_stopping_finishes_what_is_in_flight_and_takes_nothing_more() -> None:
    async def scenario(p: Process) -> None:
        await p.dispatcher.start("me")
        await turns()
        p.sender.hangs = {"000001"}
        first, _ = p.outbox.commit("a", "a")
        await until(lambda: p.sender.hanging)
        stopping = asyncio.create_task(p.dispatcher.stop(10))
        await turns()
        p.outbox.commit("b")
        assert not stopping.done()
        p.sender.let_go(first)
        await stopping
        assert p.outbox.states() == ["delivered", "pending", "pending"]
        assert p.outbox.released == ["me"]
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(scenario, start=False)


def test_stopping_does_not_wait_longer_than_its_bound() -> None:
    async def scenario(p: Process) -> None:
        await p.dispatcher.start("me")
        await turns()
        p.sender.hangs = {"000001"}
        p.outbox.commit("a", "b")
        await until(lambda: p.row("000002").state is DeliveryState.DELIVERED)
        p.outbox.fails = Unavailable("disk full")
        p.outbox.commit("c")
        await until(lambda: p.dispatcher.failing)
        async with asyncio.timeout(5):
            await p.dispatcher.stop(0.05)
        assert p.outbox.states() == ["pending", "delivered", "pending"]
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(scenario, start=False)
