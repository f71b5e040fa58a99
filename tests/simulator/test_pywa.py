"""Code written for Meta works against the simulator: pywa sends through it, and takes its webhooks, signature checked.

pywa is told nothing of the simulator but the base URL of its HTTP session.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import flask
import httpx
import pytest
import pywa
import pywa.errors
from pywa import types
from pywa.handlers import CallbackButtonHandler, MessageHandler, MessageStatusHandler, TemplateStatusUpdateHandler
from pywa.types.templates import (
    BodyText,
    ParamFormat,
    Template,
    TemplateCategory,
    TemplateLanguage,
    TemplateStatus,
)
from tests.simulator.running import AT_ONCE, CUSTOMER, NUMBER, SECRET, WABA
from werkzeug.serving import make_server

from tellwire.simulator import PEOPLE, TOKEN, Knobs, Simulator, State, number_for
from tellwire.simulator.acts import write
from tellwire.simulator.knobs import changed_knobs

BODY: Any = BodyText  # its `params` takes words, whatever its annotations say
VERIFY = "an-invented-verify-token"


class Shop:
    """Somebody's code for Meta's API: a pywa client and what its handlers got."""

    def __init__(self, server: flask.Flask, session: httpx.Client) -> None:
        self.client = pywa.WhatsApp(
            phone_id=NUMBER,
            token=TOKEN,
            waba_id=WABA,
            session=session,
            server=server,
            webhook_endpoint="/webhook",
            verify_token=VERIFY,
            app_secret=SECRET,
        )
        self.received: list[Any] = []
        self._news = threading.Condition()
        for handler in (MessageHandler, MessageStatusHandler, CallbackButtonHandler, TemplateStatusUpdateHandler):
            self.client.add_handlers(handler(self._take))

    def _take(self, _: pywa.WhatsApp, update: Any) -> None:
        with self._news:
            self.received.append(update)
            self._news.notify_all()

    def until(self, condition: Callable[[], Any]) -> Any:
        """What `condition` says once it says anything."""
        with self._news:
            assert self._news.wait_for(condition, timeout=10), self.received
            return condition()

    def statuses(self, message_id: str) -> list[types.MessageStatus[Any]]:
        return [each for each in self.received if isinstance(each, types.MessageStatus) and each.id == message_id]

    def of(self, kind: type) -> list[Any]:
        return [each for each in self.received if isinstance(each, kind)]


@asynccontextmanager
async def shop() -> AsyncIterator[tuple[Shop, Simulator]]:
    """A simulator, and a shop that serves its own webhook."""
    application = flask.Flask("shop")
    simulator = Simulator(State(seed=1, knobs=changed_knobs(Knobs(), AT_ONCE)))
    await simulator.start()
    with httpx.Client(timeout=10) as session:
        ours = Shop(application, session)
        session.base_url = f"{simulator.url}/v24.0"
        server = make_server("127.0.0.1", 0, application, threaded=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        simulator.set_callback(f"http://127.0.0.1:{server.server_port}/webhook", SECRET)
        try:
            yield ours, simulator
        finally:
            await simulator.stop()
            await asyncio.to_thread(server.shutdown)
            server.server_close()


def played(act: Callable[[Shop], None], **knobs: Any) -> None:
    """Run what a shop does, in a thread of its own as pywa blocks."""

    async def run() -> None:
        async with shop() as (ours, simulator):
            simulator.state.turn(**knobs)
            await asyncio.to_thread(act, ours)

    asyncio.run(run())


def test_the_handshake_passes() -> None:
    async def run() -> None:
        async with shop() as (_, simulator):
            poster = simulator.state.webhooks.poster
            assert poster is not None
            assert await poster.handshake(VERIFY, "31415")
            assert not await poster.handshake("wrong", "31415")

    asyncio.run(run())


def test_texts_and_buttons_are_sent_and_their_statuses_come() -> None:
    def act(ours: Shop) -> None:
        sent = ours.client.send_message(CUSTOMER, "Hola", tracker="order-1")
        assert sent.id.startswith("wamid.")
        ours.until(lambda: len(ours.statuses(sent.id)) == 3)
        states = [each.status for each in ours.statuses(sent.id)]
        assert states == [
            types.MessageStatusType.SENT,
            types.MessageStatusType.DELIVERED,
            types.MessageStatusType.READ,
        ]
        first = ours.statuses(sent.id)[0]
        assert first.tracker == "order-1"
        assert first.from_user.wa_id == CUSTOMER
        assert first.pricing is not None
        assert first.pricing.billable
        asked = ours.client.send_message(
            "+" + CUSTOMER,
            "Yes or no?",
            footer="Please",
            buttons=[types.Button(title="Yes", callback_data="y"), types.Button(title="No", callback_data="n")],
        )
        ours.until(lambda: ours.statuses(asked.id))

    played(act)


def test_errors_are_pywas_errors() -> None:
    def act(ours: Shop) -> None:
        with pytest.raises(pywa.errors.RateLimitHit):
            ours.client.send_message(number_for(130429), "Hola")
        with pytest.raises(pywa.errors.WhatsAppError) as caught:
            ours.client.send_message(number_for(132001), "Hola")
        assert caught.value.code == 132001
        sent = ours.client.send_message(number_for(131026), "Hola")
        [failed] = ours.until(lambda: ours.statuses(sent.id))
        assert failed.status == types.MessageStatusType.FAILED
        assert failed.error.code == 131026

    played(act, failed_contacts=True)  # pywa takes no failed status without


def test_templates_are_made_listed_and_sent() -> None:
    def act(ours: Shop) -> None:
        made = ours.client.create_template(
            Template(
                name="order_ready",
                category=TemplateCategory.UTILITY,
                language=TemplateLanguage.SPANISH_MEX,
                parameter_format=ParamFormat.POSITIONAL,
                components=[BodyText("Hola {{1}}, tu pedido {{2}} está listo", "Ana", "42")],
            )
        )
        [approved] = ours.until(lambda: ours.of(types.templates.TemplateStatusUpdate))
        assert (approved.template_name, approved.new_status) == ("order_ready", TemplateStatus.APPROVED)
        assert {each.name for each in ours.client.get_templates()} == {"hello_world", "order_ready"}
        assert ours.client.get_template(made.id).status == TemplateStatus.APPROVED
        sent = ours.client.send_template(
            CUSTOMER, "order_ready", TemplateLanguage.SPANISH_MEX, params=[BODY.params("Ana", "42")]
        )
        assert sent.status == "accepted"
        ours.until(lambda: len(ours.statuses(sent.id)) == 3)
        with pytest.raises(pywa.errors.WhatsAppError) as caught:
            ours.client.send_template(
                CUSTOMER, "order_ready", TemplateLanguage.SPANISH_MEX, params=[BODY.params("Ana")]
            )
        assert caught.value.code == 132000

    played(act)


def test_media_goes_up_and_down() -> None:
    def act(ours: Shop) -> None:
        picture = bytes(range(256)) * 40
        uploaded = ours.client.upload_media(picture, mime_type="image/png", filename="x.png")
        sent = ours.client.send_image(CUSTOMER, uploaded.id, caption="A picture")
        ours.until(lambda: ours.statuses(sent.id))
        link = ours.client.get_media_url(uploaded.id)
        assert (link.mime_type, link.file_size) == ("image/png", len(picture))
        assert link.sha256 == hashlib.sha256(picture).hexdigest()
        assert ours.client.get_media_bytes(link.url) == picture
        assert ours.client.delete_media(uploaded.id)
        with pytest.raises(pywa.errors.WhatsAppError):
            ours.client.get_media_url(uploaded.id)

    played(act)


def test_customers_messages_arrive_and_can_be_answered() -> None:
    async def run() -> None:
        async with shop() as (ours, simulator):
            state = simulator.state
            write(state, {"wa_id": CUSTOMER, "name": PEOPLE[0].name, "text": "¿Abren hoy?"})
            [message] = await asyncio.to_thread(ours.until, lambda: ours.of(types.Message))
            assert (message.text, message.from_user.wa_id, message.from_user.name) == (
                "¿Abren hoy?",
                CUSTOMER,
                PEOPLE[0].name,
            )
            await asyncio.to_thread(message.mark_as_read)
            await asyncio.to_thread(message.indicate_typing)
            assert [*state.journal.receipts] == [message.id, message.id]
            assert state.journal.counts.typing == 1
            reply = await asyncio.to_thread(message.reply, "Sí, hasta las 8")
            assert state.journal.accepted[-1].recipient == message.from_user.bsuid
            await asyncio.to_thread(ours.until, lambda: ours.statuses(reply.id))
            write(state, {"wa_id": CUSTOMER, "type": "tap", "id": "y", "title": "Yes", "reply_to": reply.id})
            [tap] = await asyncio.to_thread(ours.until, lambda: ours.of(types.CallbackButton))
            assert (tap.data, tap.title) == ("y", "Yes")

    asyncio.run(run())


def test_a_customers_media_is_downloaded_with_its_hash() -> None:
    async def run() -> None:
        async with shop() as (ours, simulator):
            write(simulator.state, {"wa_id": CUSTOMER, "type": "image", "size": 100_000, "caption": "Mira"})
            [message] = await asyncio.to_thread(ours.until, lambda: ours.of(types.Message))
            content = await asyncio.to_thread(message.image.get_bytes)
            assert len(content) == 100_000
            assert (await asyncio.to_thread(ours.client.get_media_url, message.image.id)).sha256 == hashlib.sha256(
                content
            ).hexdigest()

    asyncio.run(run())


def test_a_customer_without_a_phone_number_is_written_to_by_user_id() -> None:
    async def run() -> None:
        async with shop() as (ours, simulator):
            write(simulator.state, {"user_id": "MX.90000000000000000009", "username": "ana", "text": "Hola"})
            [message] = await asyncio.to_thread(ours.until, lambda: ours.of(types.Message))
            assert (message.from_user.wa_id, message.from_user.bsuid) == (None, "MX.90000000000000000009")
            reply = await asyncio.to_thread(message.reply, "Hola")
            assert simulator.state.journal.accepted[-1].recipient == "MX.90000000000000000009"
            await asyncio.to_thread(ours.until, lambda: len(ours.statuses(reply.id)) == 3)

    asyncio.run(run())
