"""The sending worker over each store: at most once, in order, and the outcome of each answer of Meta."""

from __future__ import annotations

import asyncio

import pytest
from tests.contract.sending_world import LOST, PATIENCE, UNREACHED, Stumbling, add_account, error, hears, office, taken
from tests.world import NUMBER, START, WABA, World, envelope, incoming, status, statuses, value

from tellwire.accounts.templates import Template
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.ports.http_out import Answer
from tellwire.stores.queries import organizations, service_windows, templates
from tellwire.stores.queries.audit import AuditChange

pytestmark = pytest.mark.usefixtures("each_store")

SECOND = 1_000_000
TEMPLATE = b'{"type":"template","template":{"name":"x","language":{"code":"en"}}}'


async def test_what_is_queued_is_sent_once_and_its_row_gets_metas_id(world: World):
    async with office(world) as at:
        sent = await at.queue()
        await at.until("accepted")
        ((token, path, body),) = at.meta.asked
        assert (token, path) == ("EAA-invented", f"{NUMBER}/messages")
        assert body == {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": "+5215588392274",
            "type": "text",
            "text": {"body": "Hello!"},
            "biz_opaque_callback_data": sent,
        }
        rows = [row for row in await world.rows() if row.get("id") == sent]
        assert [row.get("wa_id") for row in rows] == [None, f"wamid.{sent}"]
        assert at.counters.sends == {"accepted": 1}


async def test_messages_of_one_conversation_go_one_after_the_other_and_others_beside_them(world: World):
    async with office(world) as at:
        at.meta.gate.clear()
        first = [await at.queue("+4915112345671") for _ in range(3)]
        second = [await at.queue("+4915112345672") for _ in range(3)]
        await at.meta.came.acquire()
        await at.meta.came.acquire()
        await at.rounds()
        assert at.meta.most_under_way == 2
        at.meta.gate.set()
        await at.until(*["accepted"] * 6)
        order = [body["biz_opaque_callback_data"] for body in at.meta.bodies]
        assert [one for one in order if one in first] == first
        assert [one for one in order if one in second] == second


@pytest.mark.parametrize(
    ("answers", "state", "words"),
    [
        ([LOST], "unknown", {"unknown": 1}),
        ([error(131026)], "failed", {"failed": 1}),
        ([error(133010)], "failed", {"failed": 1}),
    ],
)
async def test_an_answer_that_ends_it(world: World, answers, state, words):
    async with office(world) as at:
        at.meta.answers.extend(answers)
        sent, after = await at.queue(), await at.queue()
        await at.until(state, "accepted")
        assert [body["biz_opaque_callback_data"] for body in at.meta.bodies] == [sent, after]
        assert at.counters.sends == words | {"accepted": 1}
        status = await at.statuses(sent)
        assert ("failed" in status) == (state == "failed")


@pytest.mark.parametrize(
    ("answer", "word", "attempts"),
    [
        (error(131016, 503), "retry", 1),
        (error(130429), "throttled", 1),
        (error(131056), "pair", 1),
        (UNREACHED, "not_sent", 0),
    ],
)
async def test_what_meta_did_not_take_goes_again_when_its_time_has_come_and_the_next_waits(
    world: World, answer, word, attempts
):
    async with office(world) as at:
        at.meta.answers.append(answer)
        first, second = await at.queue(), await at.queue()
        await at.meta.came.acquire()
        await at.until("queued", "queued")
        await at.rounds()
        assert len(at.meta.asked) == 1
        send = (await at.sends())[first]
        assert (send.attempts, send.due_at) == (attempts, world.clock.now() + SECOND)
        world.clock.move(SECOND)
        await at.until("accepted", "accepted")
        assert [body["biz_opaque_callback_data"] for body in at.meta.bodies] == [first, first, second]
        assert at.counters.sends == {word: 1, "accepted": 2}


@pytest.mark.parametrize(("code", "others"), [(130429, 0), (131056, 1)])
async def test_throttling_holds_the_account_and_a_pair_limit_only_its_recipient(world: World, code, others):
    async with office(world) as at:
        at.meta.answers.append(error(code))
        await at.queue("+4915112345671")
        await at.meta.came.acquire()
        await at.until("queued")
        await at.queue("+4915112345672")
        await at.rounds()
        await at.until("queued", "accepted" if others else "queued")
        assert len(at.meta.asked) == 1 + others
        world.clock.move(SECOND)
        await at.until("accepted", "accepted")


@pytest.mark.parametrize("code", [130429, 190])
async def test_what_holds_one_account_up_holds_up_no_other(world: World, code):
    async with office(world) as at:
        at.meta.answers.append(error(code))
        await at.queue("+4915112345671")
        await at.meta.came.acquire()
        await at.until("queued")
        await add_account(world, "222")
        await at.queue("+4915112345671", number="222")
        await at.until("queued", "accepted")
        assert [path for _, path, _ in at.meta.asked] == [f"{NUMBER}/messages", "222/messages"]


async def test_accounts_share_the_calls_that_may_be_under_way(world: World):
    async with office(world, most=1) as at:
        for number in ("221", "222", "223"):
            await add_account(world, number)
        for n in range(9):
            await at.queue(f"+491511234567{n}", number=("221", "222", "223")[n // 3])
        await at.until(*["accepted"] * 9)
        assert at.meta.most_under_way == 1


async def test_an_attempt_limit_of_a_code_ends_it_with_metas_error(world: World):
    async with office(world) as at:
        at.meta.answers.extend([error(1), error(1)])
        sent = await at.queue()
        await at.meta.came.acquire()
        await at.until("queued")
        world.clock.move(SECOND)
        await at.until("failed")
        assert (await at.statuses(sent))["errors"][0]["code"] == 1


async def test_a_day_of_trying_ends_it(world: World):
    async with office(world) as at:
        at.meta.answers.extend([error(131016, 503)] * 2)
        sent = await at.queue(unchecked=True)
        await at.meta.came.acquire()
        await at.until("queued")
        world.clock.move(24 * 3600 * SECOND)
        await at.until("failed")
        assert (await at.statuses(sent))["errors"][0]["code"] == 131016


async def test_a_bad_token_pauses_the_account_once_and_resuming_sends_what_waited(world: World):
    async with office(world) as at:
        at.meta.gate.clear()
        at.meta.answers.extend([error(190, 401)] * 3)
        for n in range(3):
            await at.queue(f"+491511234567{n}")
        for _ in range(3):
            await at.meta.came.acquire()
        at.meta.gate.set()
        await at.until("queued", "queued", "queued")
        await at.queue()
        await at.rounds()
        assert at.account.sending_paused == "190: Access token has expired"
        assert (await world.names()).count("account.paused") == 1
        assert len(at.meta.asked) == 3
        await at.change(sending_paused="", access_token="EAA-new")
        await at.until(*["accepted"] * 4)
        assert {token for token, _, _ in at.meta.asked[3:]} == {"EAA-new"}


async def test_a_scheduled_message_waits_for_its_time_and_holds_nobody_up(world: World):
    async with office(world) as at:
        await at.queue(scheduled_at=world.clock.now() + 10 * SECOND)
        await at.queue()
        await at.until("scheduled", "accepted")
        world.clock.move(10 * SECOND)
        await at.until("accepted", "accepted")


async def test_nothing_is_sent_without_a_token(world: World):
    async with office(world) as at:
        await at.change(access_token="")
        await at.queue()
        await at.rounds()
        assert at.meta.asked == []
        await at.change(access_token="EAA-invented")
        await at.until("accepted")


async def test_the_rate_is_kept(world: World):
    async with office(world) as at:
        await at.change(send_rate=3)
        for n in range(5):
            await at.queue(f"+491511234567{n}")
        await at.until("accepted", "accepted", "accepted", "queued", "queued")
        await at.rounds()
        assert len(at.meta.asked) == 3
        world.clock.move(SECOND)
        await at.until(*["accepted"] * 5)


async def test_a_frozen_owner_sends_nothing_and_the_message_stays_queued(world: World):
    async with office(world) as at:
        held = at.leases.holds
        at.sending_worker._sender._holds = lambda _partition, _epoch: False
        await at.queue()
        await at.rounds(3)
        assert at.meta.asked == []
        at.sending_worker._sender._holds = held
        await at.until("accepted")
        assert (await at.sends()).popitem()[1].attempts == 1


async def test_what_another_process_was_sending_is_unknown_and_the_next_goes(world: World):
    async with office(world) as at:
        at.meta.gate.clear()
        lost, after = await at.queue(), await at.queue()
        await at.meta.came.acquire()
        for task in at.sending_worker._carried.values():  # as kill -9 leaves it
            task.cancel()
        await at.sending_worker.stop(0)
    async with office(world, owner="two") as at:
        await at.until("unknown", "accepted")
        assert [body["biz_opaque_callback_data"] for body in at.meta.bodies] == [after]
        assert (await at.sends())[lost].cause
        assert at.counters.sends == {"abandoned": 1, "accepted": 1}


async def test_stopping_waits_for_answers_and_records_what_is_known_of_the_rest(world: World):
    async with office(world) as at:
        at.meta.gate.clear()
        await at.queue("+4915112345671")
        await at.queue("+4915112345671")
        await at.meta.came.acquire()
        await at.sending_worker.stop(0.05)
        assert await at.states() == ["unknown", "queued"]


async def test_what_a_message_held_may_be_erased_before_its_turn(world: World):
    async with office(world) as at:
        sent = await at.queue(content=b'{"type":"text"}')
        await at.until("failed")
        assert at.meta.asked == []
        assert (await at.statuses(sent))["errors"][0]["error_data"]["details"].startswith("Not sent")


async def test_codes_of_authentication_templates_are_hidden_once_meta_has_them(world: World):
    content = (
        b'{"type":"template","template":{"name":"code","language":{"code":"en"},"components":['
        b'{"type":"body","parameters":[{"type":"text","text":"123456"}]},'
        b'{"type":"button","sub_type":"url","index":"0","parameters":[{"type":"text","text":"123456"}]}]}}'
    )

    async with office(world) as at:
        sent = await at.queue(content=content)
        await at.until("accepted")
        assert "123456" in str(at.meta.bodies[0])
        told = [row for row in await world.rows() if row.get("id") == sent]
        assert len(told) == 2
        assert "123456" not in str(told), "nor in what was told before"
        assert all("****" in str(row["content"]) for row in told)


async def test_meta_may_hold_a_template_for_quality(world: World):
    async with office(world) as at:
        held = taken({"biz_opaque_callback_data": "x"})
        at.meta.answers.append(
            type(held)(
                status=200,
                body=b'{"messages":[{"id":"wamid.x","message_status":"held_for_quality_assessment"}]}',
                written=True,
            )
        )
        sent = await at.queue()
        await at.until("accepted")
        assert "held_for_quality_assessment" in await at.statuses(sent)


# --- limits, also over a change of owners -----------------------------------------------------------------------------


async def test_a_recipient_gets_a_burst_and_then_one_message_each_six_seconds_while_others_go_on(world: World):
    async with office(world) as at:
        for _ in range(47):
            await at.queue("+4915112345671")
        await at.until(*["accepted"] * 45, "queued", "queued")
        await at.queue("+4915112345672")
        await at.until(*["accepted"] * 45, "queued", "queued", "accepted")
        world.clock.move(6 * SECOND)
        await at.until(*["accepted"] * 46, "queued", "accepted")
        world.clock.move(6 * SECOND)
        await at.until(*["accepted"] * 48)


async def test_the_next_owner_knows_what_was_sent(world: World):
    async with office(world) as at:
        await at.change(send_rate=1000)
        for _ in range(45):
            await at.queue("+4915112345671")
        await at.until(*["accepted"] * 45)
    async with office(world, owner="two") as at:
        await at.change(send_rate=46)
        await at.queue("+4915112345671")
        await at.queue("+4915112345672")
        await at.queue("+4915112345673")
        await at.until(*["accepted"] * 45, "queued", "accepted", "queued")
        world.clock.move(7 * SECOND)
        await at.until(*["accepted"] * 48)


async def test_more_calls_than_allowed_are_never_under_way(world: World):
    async with office(world, most=4) as at:
        at.meta.gate.clear()
        for n in range(5):
            await at.queue(f"+491511234567{n}")
        await at.meta.came.acquire()
        await at.meta.came.acquire()
        await at.rounds()
        assert at.meta.under_way == 2
        at.meta.gate.set()
        await at.until(*["accepted"] * 5)
        assert at.meta.most_under_way == 2


async def test_calls_of_one_organization_leave_places_for_anothers(world: World):
    """Meta does not answer: one organization's many accounts have half of the calls, and the next one is called for."""
    async with office(world, most=8) as at:
        at.meta.gate.clear()
        other = await another_organization(world)
        for number in range(5):
            await add_account(world, f"22{number}")
            for n in range(3):
                await at.queue(f"+4915112345{number}{n}", number=f"22{number}")
        for _ in range(4):
            await at.meta.came.acquire()
        await at.rounds()
        assert at.meta.under_way == 4
        await add_account(world, "333", other)
        await at.queue("+4915112345999", number="333")
        await at.meta.came.acquire()
        await at.rounds()
        assert at.meta.under_way == 5
        assert at.meta.asked[-1][1] == "333/messages"
        at.meta.gate.set()
        await at.until(*["accepted"] * 16)
        assert at.meta.most_under_way <= 8


async def another_organization(world: World) -> str:
    change = AuditChange(DEFAULT_ORGANIZATION, "test", world.clock.now(), world.store.new_id)
    return (await world.store.write(lambda c: organizations.add(c, change, "Another"))).id


# --- the customer service window --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heard", "content", "unchecked", "state"),
    [
        (-23 * 3600, b'{"type":"text","text":{"body":"x"}}', False, "failed"),
        (-21 * 3600, b'{"type":"text","text":{"body":"x"}}', False, "accepted"),
        (None, b'{"type":"text","text":{"body":"x"}}', False, "accepted"),
        (-23 * 3600, b'{"type":"text","text":{"body":"x"}}', True, "accepted"),
        (-23 * 3600, b'{"type":"template","template":{"name":"x","language":{"code":"en"}}}', False, "accepted"),
    ],
)
async def test_the_window_is_looked_at_again_when_a_scheduled_message_is_due(
    world: World, heard, content, unchecked, state
):
    async with office(world) as at:
        if heard is not None:
            await hears(world, sender="4915112345671", at=START // SECOND + heard)
        due = world.clock.now() + 2 * 3600 * SECOND
        sent = await at.queue("+4915112345671", content, scheduled_at=due, unchecked=unchecked)
        await at.rounds()
        world.clock.move(2 * 3600 * SECOND)
        await at.until(state)
        assert len(at.meta.asked) == (state == "accepted")
        if state == "failed":
            error = (await at.statuses(sent))["errors"][0]
            assert error["code"] == 131047
            assert error["error_data"]["details"].startswith("Not sent")


# --- marketing that its recipient has stopped -------------------------------------------------------------------------


async def offered(world: World, category: str) -> None:
    """A template that the business account has."""
    made = Template(
        id=world.store.new_id(), organization_id=DEFAULT_ORGANIZATION, waba_id=WABA, meta_id="1", name="x",
        language="en", category=category, status="APPROVED",
    )  # fmt: skip
    await world.store.write(lambda c: templates.put(c, made))


async def prefers(world: World, word: str, at: int, **whose: str) -> None:
    entry = {"category": "marketing_messages", "value": word, "timestamp": at} | (whose or {"wa_id": "5491155550001"})
    await world.post(value(user_preferences=[entry]), field="user_preferences")


@pytest.mark.parametrize(
    ("category", "words", "options", "state"),
    [
        ("MARKETING", ["stop"], {}, "failed"),
        ("MARKETING", ["stop", "resume"], {}, "accepted"),
        ("MARKETING", [], {}, "accepted"),
        ("UTILITY", ["stop"], {}, "accepted"),
        ("", ["stop"], {}, "accepted"),
        ("MARKETING", ["stop"], {"despite_stop": True}, "accepted"),
        ("MARKETING", ["stop"], {"unchecked": True}, "failed"),
        ("MARKETING", ["stop"], {"unchecked": True, "despite_stop": True}, "accepted"),
    ],
)
async def test_a_stop_is_looked_at_again_when_scheduled_marketing_is_due(world: World, category, words, options, state):
    async with office(world) as at:
        await at.change(waba_id=WABA)
        if category:
            await offered(world, category)
        due = world.clock.now() + 2 * 3600 * SECOND
        sent = await at.queue("+5491155550001", TEMPLATE, scheduled_at=due, **options)
        for number, word in enumerate(words):
            await prefers(world, word, START // SECOND + number)
        world.clock.move(2 * 3600 * SECOND)
        await at.until(state)
        assert len(at.meta.asked) == (state == "accepted")
        if state == "failed":
            (error,) = (await at.statuses(sent))["errors"]
            assert (error["code"], error["error_data"]["details"][:9]) == (131050, "Not sent:")


# --- a store that fails -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["refusing", "forgetful"])
async def test_an_answer_is_kept_until_the_store_takes_it(world: World, way):
    store = Stumbling(world)
    async with office(world, store=store) as at:
        at.meta.gate.clear()
        await at.queue()
        await at.queue()
        await at.meta.came.acquire()
        setattr(store, way, 3)
        at.meta.gate.set()
        await at.until("accepted", "accepted")
        assert (store.failed, len(at.meta.asked)) == (3, 2)
        assert (at.sending_worker.unrecorded, at.sending_worker.failing) == (0, "")


@pytest.mark.parametrize("way", ["refusing", "forgetful"])
async def test_a_claim_that_was_not_confirmed_sends_nothing_and_is_made_again(world: World, way):
    store = Stumbling(world)
    setattr(store, way, 1)
    async with office(world, store=store) as at:
        await at.queue()
        await at.until("accepted")
        assert (store.failed, len(at.meta.asked)) == (1, 1)
        assert (await at.sends()).popitem()[1].attempts == 1


async def test_a_request_that_cannot_be_made_is_tried_five_times_and_then_fails_in_plain_sight(world: World):
    async with office(world) as at:

        async def broken(*_: object) -> dict[str, str]:
            raise ValueError("a defect")

        at.sending_worker._sender._ready = broken
        sent = await at.queue()
        for _ in range(4):
            await at.tried(sent)
            world.clock.move(300 * SECOND)
        await at.until("failed")
        assert at.meta.asked == []
        assert at.counters.sends == {"retry": 4, "failed": 1}
        assert (await at.statuses(sent))["errors"][0]["code"] == 990002


@pytest.mark.parametrize(
    "title",
    ["a\\u0000b", "a\\ud800b", "", "x" * 300, "x" * 300_000],
    ids=["NUL", "surrogate", "empty", "usual", "long"],
)
async def test_whatever_metas_title_of_an_unknown_code_holds_the_message_fails_and_the_next_goes(world: World, title):
    async with office(world) as at:
        body = b'{"error":{"code":99999,"message":"%b"}}' % title.encode()
        at.meta.answers.append(Answer(status=400, body=body, written=True))
        sent = await at.queue()
        await at.queue()
        await at.until("failed", "accepted")
        assert at.sending_worker.failing == ""
        assert len((await at.sends())[sent].cause) < 600


async def test_an_answer_that_cannot_be_read_leaves_its_outcome_unknown_and_the_next_goes(world: World):
    async with office(world) as at:
        at.meta.answers.append(Answer(status=400, headers=(("retry-after", 5),), written=True))  # type: ignore[arg-type]
        await at.queue()
        await at.queue()
        await at.until("unknown", "accepted")


async def test_what_was_refused_for_a_token_that_was_replaced_meanwhile_goes_again_and_pauses_nothing(world: World):
    async with office(world) as at:
        at.meta.gate.clear()
        at.meta.answers.append(error(190, 401))
        await at.queue()
        await at.meta.came.acquire()
        await at.change(access_token="EAA-new")
        at.meta.gate.set()
        await at.until("accepted")
        assert [token for token, _, _ in at.meta.asked] == ["EAA-invented", "EAA-new"]
        assert at.account.sending_paused == ""
        assert at.counters.sends == {"retry": 1, "accepted": 1}


async def test_the_time_of_a_pause_does_not_count_as_time_of_trying(world: World):
    async with office(world) as at:
        at.meta.answers.append(error(190, 401))
        sent = await at.queue(content=TEMPLATE)
        await at.rounds()
        while not at.account.sending_paused:
            await at.rounds(1)
        world.clock.move(2 * 24 * 3600 * SECOND)
        at.meta.answers.append(UNREACHED)
        await at.change(sending_paused="", access_token="EAA-new")
        await at.tried(sent)
        world.clock.move(30 * SECOND)
        await at.until("accepted")


async def test_a_refusal_after_a_status_that_says_otherwise_changes_nothing(world: World):
    async with office(world) as at:
        at.meta.gate.clear()
        at.meta.answers.append(error(131026))
        sent = await at.queue("+4915112345671")
        await at.meta.came.acquire()
        told = status("wamid.1", "sent", to="4915112345671", biz_opaque_callback_data=sent)
        await world.post(statuses(told))
        at.meta.gate.set()
        await at.until("accepted")
        assert "failed" not in await at.statuses(sent)


async def test_an_id_of_metas_that_another_message_has_stays_with_that_one(world: World):
    async with office(world) as at:
        same = Answer(status=200, body=b'{"messages":[{"id":"wamid.same"}]}', written=True)
        at.meta.answers.extend([same, same])
        first, second = await at.queue(), await at.queue()
        await at.until("accepted", "accepted")
        rows = {row["id"]: row for row in await world.rows()}
        assert (rows[first]["wa_id"], rows[first]["content"]["type"]) == ("wamid.same", "text")
        assert "wa_id" not in rows[second]


async def test_the_order_in_a_conversation_is_kept_when_the_clock_is_set_back(world: World):
    async with office(world, started=False) as at:
        sent = [await at.queue()]
        world.clock.move(-SECOND)
        sent += [await at.queue(), await at.queue()]
        world.clock.move(2 * SECOND)
        at.sending_worker.start()
        await at.until(*["accepted"] * 3)
        assert [body["biz_opaque_callback_data"] for body in at.meta.bodies] == sent


async def test_a_window_is_known_however_much_was_sent_since(world: World):
    async with office(world, started=False) as at:
        number, day = "4915112345671", 24 * 3600
        now = world.clock.now() // SECOND
        await world.post_body(envelope(incoming("wamid.old", sender=number, at=now)))
        world.clock.move(3 * day * SECOND)
        await world.post_body(envelope(incoming("wamid.new", sender=number, at=now + 3 * day)))
        for _ in range(201):
            await at.queue(f"+{number}")
        ((contact,),) = await world.query("SELECT DISTINCT party FROM conversations")
        heard = await world.store.read(
            lambda c: service_windows.last_incoming_at(c, at.account.organization_id, at.account.id, contact)
        )
        assert heard == now + 3 * day


async def test_stopping_in_the_middle_of_an_upload_leaves_the_message_queued(world: World):
    async with office(world) as at:
        begun = asyncio.Event()

        async def hanging(*_: object) -> dict[str, str]:
            begun.set()
            await asyncio.Event().wait()
            return {}

        at.sending_worker._sender._ready = hanging
        await at.queue()
        async with asyncio.timeout(PATIENCE):
            await begun.wait()
        await at.sending_worker.stop(0.05)
        assert await at.states() == ["queued"]
    async with office(world, owner="two") as at:
        await at.until("accepted")
        assert len(at.meta.asked) == 1
