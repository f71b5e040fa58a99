"""Sends to the simulated Meta over real sockets: answers, webhooks, limits, errors, and what the knobs do."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from tests.simulator.running import CUSTOMER, NUMBER, Meta, meta, running, text
from tests.world import SetClock

from tellwire.meta.codes import CODES
from tellwire.simulator import BUSINESS, number_for

SECOND = 1_000_000


def test_a_send_is_accepted_and_its_statuses_come_signed() -> None:
    async def test(there: Meta) -> None:
        status, answer = await there.send(text("+52 1 55 0000-0001", biz_opaque_callback_data="ours"))
        assert status == 200
        wamid = answer["messages"][0]["id"]
        [contact] = answer["contacts"]
        assert contact["input"] == "+52 1 55 0000-0001"
        assert contact["wa_id"] == CUSTOMER
        await there.callback.until(lambda: len(there.callback.statuses()) == 3)
        statuses = there.callback.statuses()
        assert [each["status"] for each in statuses] == ["sent", "delivered", "read"]
        assert {each["id"] for each in statuses} == {wamid}
        assert {each["recipient_id"] for each in statuses} == {CUSTOMER}
        assert {each["biz_opaque_callback_data"] for each in statuses} == {"ours"}
        assert ["pricing" in each for each in statuses] == [True, True, False]
        assert all("conversation" not in each for each in statuses)
        assert there.callback.unsigned == 0
        [kept] = (await there.look("accepted"))["data"]
        assert (kept["id"], kept["recipient"], kept["callback_data"]) == (wamid, CUSTOMER, "ours")
        assert kept["body"]["text"] == {"body": "Hi"}

    running(test)


@pytest.mark.parametrize("prefix", ["", "/v24.0", "/v17.0", "/v99.12"])
def test_any_version_or_none_is_taken(prefix: str) -> None:
    async def test(there: Meta) -> None:
        status, _ = await there.call("POST", f"{prefix}/{NUMBER}/messages", json=text())
        assert status == 200

    running(test)


@pytest.mark.parametrize(
    ("token", "message"),
    [
        pytest.param("", "Cannot parse access token", id="none"),
        pytest.param("another", "Cannot parse access token", id="unknown"),
        pytest.param("old", "Session has expired", id="expired"),
    ],
)
def test_without_a_valid_token_everything_is_401(token: str, message: str) -> None:
    async def test(there: Meta) -> None:
        there.state.add_token("old")
        there.state.invalidate("old")
        status, answer = await there.send(text(), token=token)
        assert status == 401
        assert answer["error"]["code"] == 190
        assert message in answer["error"]["message"]
        assert {"message", "type", "code", "fbtrace_id"} <= answer["error"].keys()

    running(test)


def test_an_unknown_number_is_refused_as_meta_does() -> None:
    async def test(there: Meta) -> None:
        status, answer = await there.send(text(), number="123")
        assert status == 400
        assert (answer["error"]["code"], answer["error"]["error_subcode"]) == (100, 33)

    running(test)


# --- errors -----------------------------------------------------------------------------------------------------------


def test_every_code_comes_on_demand_by_recipient_number() -> None:
    async def test(there: Meta) -> None:
        there.state.turn(sends_per_second=0)
        late = {code for code, known in CODES.items() if known.late and known.kind == "fail"}
        for code, known in CODES.items():
            status, answer = await there.send(text("+" + number_for(code)))
            if code in late:
                assert status == 200, code
                continue
            assert status == known.http, code
            assert answer["error"]["code"] == code
            assert answer["error"]["error_data"]["messaging_product"] == "whatsapp"
            assert answer["error"]["error_data"]["details"]
        await there.callback.until(lambda: len(there.callback.statuses()) == len(late))
        assert {each["errors"][0]["code"] for each in there.callback.statuses()} == late
        assert {each["status"] for each in there.callback.statuses()} == {"failed"}
        assert all("contacts" not in value for value in there.callback.values())

    running(test)


def test_any_code_comes_as_an_answer_or_as_a_failed_status() -> None:
    async def test(there: Meta) -> None:
        status, answer = await there.send(text(number_for(131026, "answer")))
        assert (status, answer["error"]["code"]) == (400, 131026)
        status, _ = await there.send(text(number_for(131000, "status")))
        assert status == 200
        await there.callback.until(there.callback.statuses)
        assert there.callback.statuses()[0]["errors"][0]["code"] == 131000
        status, answer = await there.send({**text(), "to": "", "recipient": "MX.ERROR10131056"})
        assert (status, answer["error"]["code"]) == (400, 131056)

    running(test)


def test_the_next_sends_fail_as_told_and_a_share_of_all() -> None:
    async def test(there: Meta) -> None:
        assert (await there.control("fail", code=131016, count=2))[0] == 200
        assert [(await there.send(text()))[0] for _ in range(3)] == [503, 503, 200]
        assert (await there.control("knobs", codes={"131048": 1}))[0] == 200
        status, answer = await there.send(text())
        assert (status, answer["error"]["code"]) == (400, 131048)
        assert (await there.look("counts"))["refused"] == {"131016": 2, "131048": 1}

    running(test)


# --- limits -----------------------------------------------------------------------------------------------------------


def test_the_number_may_send_so_many_a_second_and_breaches_are_counted() -> None:
    clock = SetClock()

    async def test(there: Meta) -> None:
        codes = [(await there.send(text(f"52155{number:08d}")))[0] for number in range(82)]
        assert codes == [200] * 80 + [400] * 2
        clock.move(SECOND)
        assert (await there.send(text()))[0] == 200
        counts = await there.look("counts")
        assert counts["rate"][NUMBER] == {"broken": 2, "peak": 82, "peak_let_in": 80}
        assert counts["refused"] == {"130429": 2}

    running(test, clock=clock)


def test_a_recipient_may_be_sent_a_burst_then_one_in_six_seconds() -> None:
    clock = SetClock()

    async def test(there: Meta) -> None:
        codes = [(await there.send(text()))[0] for _ in range(46)]
        assert codes == [200] * 45 + [400]
        assert (await there.send(text("5215500000002")))[0] == 200
        clock.move(6 * SECOND)
        answers = [await there.send(text()) for _ in range(2)]
        assert [status for status, _ in answers] == [200, 400]
        assert answers[1][1]["error"]["code"] == 131056
        assert (await there.look("counts"))["pairs"] == {
            "broken": 2,
            "recipients": 2,
            "recipients_broken": 1,
            "most_to_one": 48,
        }

    running(test, clock=clock)


# --- weather ----------------------------------------------------------------------------------------------------------


def test_throttling_and_outages_come_at_their_rates_and_by_the_seed() -> None:
    async def answers() -> list[tuple[int, Any]]:
        async with meta(throttle_rate=0.2, error_rate=0.4, sends_per_second=0, pair_burst=0) as there:
            return [
                (status, answer and answer.get("error", {}).get("code"))
                for status, answer in [await there.send(text()) for _ in range(200)]
            ]

    first = asyncio.run(answers())
    assert asyncio.run(answers()) == first
    assert 20 <= first.count((400, 130429)) <= 60
    outages = [each for each in first if each[0] >= 500]
    assert 50 <= len(outages) <= 110
    assert {code for _, code in outages} == {None, 131000, 131016}
    assert (200, None) in first


def test_a_send_that_is_accepted_may_never_be_answered() -> None:
    async def test(there: Meta) -> None:
        for number in range(2):
            with pytest.raises((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, TimeoutError)):
                await there.send(text(biz_opaque_callback_data=str(number)), timeout=aiohttp.ClientTimeout(total=0.2))
        await there.callback.until(lambda: len(there.callback.statuses()) == 6)
        counts = await there.look("counts")
        assert (counts["accepted"], counts["unanswered"]) == (2, 2)

    running(test, timeout_rate=1)


def test_it_stops_though_answers_hang_and_webhooks_wait() -> None:
    async def test(there: Meta) -> None:
        sending = asyncio.create_task(there.send(text()))
        await there.callback.until(there.callback.statuses)
        async with asyncio.timeout(5):
            await there.simulator.stop()
        with pytest.raises(aiohttp.ClientError):
            await sending

    running(test, timeout_rate=1, delivered_after=60)


def test_the_first_status_may_come_before_the_answer() -> None:
    async def test(there: Meta) -> None:
        await there.send(text())
        assert [each["status"] for each in there.callback.statuses()][:1] == ["sent"]
        await there.callback.until(lambda: len(there.callback.statuses()) == 3)

    running(test, early_rate=1, delivered_after=0.05)


def test_webhooks_come_again_until_they_are_answered_200() -> None:
    async def test(there: Meta) -> None:
        there.callback.answers = [500, 401]
        await there.send(text())
        await there.callback.until(lambda: len(there.callback.statuses()) == 3)
        assert (await there.look("counts"))["webhooks"]["refused"] == 2

    running(test)


def test_webhooks_are_given_up_at_last() -> None:
    async def test(there: Meta) -> None:
        there.callback.answers = [500] * 6
        await there.send(text())
        await there.state.webhooks.idle()
        assert there.state.webhooks.posted.given_up == 3
        assert there.callback.statuses() == []

    running(test, webhook_tries=2)


def test_statuses_come_in_batches() -> None:
    async def test(there: Meta) -> None:
        await there.send(text())
        await there.callback.until(lambda: len(there.callback.statuses()) == 3)
        assert len(there.callback.bodies) == 1

    running(test, batch=100, batch_seconds=0.02)


def test_own_number_as_recipient_is_refused() -> None:
    async def test(there: Meta) -> None:
        status, answer = await there.send(text(BUSINESS.display_phone_number))
        assert (status, answer["error"]["code"]) == (400, 131021)

    running(test)
