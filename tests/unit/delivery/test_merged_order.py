"""A delivery that stands behind one of another key (docs/reference/delivery.md, "Order")."""

from __future__ import annotations

from msgspec.structs import replace
from tests.unit.delivery.dispatching import BAD, OK, Process, endpoint_of, started, turns, until

from tellwire.model.deliveries import DeliveryState


def behind(process: Process, delivery_id: str, *others: str, hint: bool = True) -> None:
    """Let a delivery stand behind others, and tell of it."""
    process.outbox.rows[delivery_id] = replace(process.row(delivery_id), behind=" ".join(others))
    if hint:
        process.outbox.tell(delivery_id)


async def test_it_waits_until_the_other_has_had_its_turn() -> None:
    async with started(Process()) as process:
        process.sender.hangs.add("000001")
        process.outbox.commit("younger")
        process.outbox.commit("survivor", "survivor", "else", hint=False)
        behind(process, "000002", "000001")
        process.outbox.tell("000003", "000004")
        await until(lambda: "000004" in process.sender.sent)
        assert process.sender.sent == ["000001", "000004"]
        process.sender.let_go("000001")
        await until(lambda: len(process.sender.sent) == 4)
        assert process.sender.sent[2:] == ["000002", "000003"]


async def test_what_had_its_turn_already_holds_nothing_up() -> None:
    async with started(Process()) as process:
        process.outbox.commit("younger")
        await until(lambda: process.outbox.states() == ["delivered"])
        process.outbox.commit("survivor", hint=False)
        behind(process, "000002", "000001", "of another time")
        await until(lambda: process.outbox.states() == ["delivered"] * 2)


async def test_an_endpoint_that_is_down_is_not_probed_with_it() -> None:
    async with started(Process()) as process:
        process.sender.answers = dict.fromkeys(("000001", "000002", "000003"), BAD)
        process.outbox.commit("younger")
        process.outbox.commit("survivor", hint=False)
        behind(process, "000002", "000001")
        for _ in range(6):
            await process.quiet()
            process.move(30)
        assert "000002" not in process.sender.sent
        process.sender.answers = {}
        for _ in range(6):
            await process.quiet()
            process.move(60)
        await until(lambda: process.outbox.states() == ["delivered"] * 2)
        assert process.sender.sent[-1] == "000002"


async def test_without_an_order_it_goes_at_once() -> None:
    async with started(Process(endpoint_of(ordering="none"))) as process:
        process.sender.hangs.add("000001")
        process.outbox.commit("younger")
        process.outbox.commit("survivor", hint=False)
        behind(process, "000002", "000001")
        await until(lambda: "000002" in process.sender.sent)
        process.sender.let_go("000001", OK)


async def test_it_is_asked_for_again_when_the_other_is_another_processs() -> None:
    async with started(Process()) as process:
        process.outbox.commit("younger", hint=False)
        row = process.row("000001")
        process.outbox.rows["000001"] = replace(row, endpoint_id="of another process")
        process.outbox.commit("survivor", hint=False)
        behind(process, "000002", "000001")
        process.outbox.broken = ["in_line"]
        await turns()
        process.dispatcher.wake()
        await turns()
        assert process.sender.sent == []
        process.outbox.rows["000001"] = replace(row, state=DeliveryState.DELIVERED)
        process.dispatcher.wake()
        await until(lambda: process.sender.sent == ["000002"])
