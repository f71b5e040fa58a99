"""A whole process beside a whole Meta: templates come by themselves, and webhooks change them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.contract.listening import PATIENCE
from tests.served import APP_SECRET

from tellwire.app import App
from tellwire.cli.serving import Site, url_of
from tellwire.model.tenancy import DEFAULT_ORGANIZATION, Account
from tellwire.settings import AppSecret, Settings
from tellwire.simulator import BUSINESS, TOKEN, Knobs, Simulator, State
from tellwire.stores.queries import accounts, templates
from tellwire.stores.queries.audit import AuditChange
from tellwire.web.server import listening


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await condition():  # noqa: ASYNC110 - nobody is told of a row
            await asyncio.sleep(0.02)


def test_an_account_with_a_token_gets_its_templates_and_their_news(tmp_path: Path) -> None:
    async def run() -> None:
        state = State(seed=1, knobs=Knobs())
        with listening("127.0.0.1", 0) as sock:
            simulator = Simulator(state, callback=f"{url_of(sock)}/meta/webhook", secret=APP_SECRET)
            await simulator.start()
            settings = Settings(
                database_url=f"sqlite:///{tmp_path}/own.db",
                meta_app_secret=(AppSecret(APP_SECRET),),
                meta_graph_url=f"{simulator.url}/v24.0",
            )
            app = await App.open(settings)
            await app.start()
            site = Site(app, sock)
            await site.start()
            try:
                await templates_come_and_change(app, state)
            finally:
                await site.stop()
                await app.stop()
                await simulator.stop()

    asyncio.run(run())


async def templates_come_and_change(app: App, state: State) -> None:
    deed = AuditChange(DEFAULT_ORGANIZATION, "a test", app.clock.now(), app.store.new_id)

    def make(connection):
        account = Account(
            id=deed.new_id(),
            organization_id=DEFAULT_ORGANIZATION,
            phone_number_id=BUSINESS.phone_number_id,
            waba_id=BUSINESS.waba_id,
            access_token=TOKEN,
        )
        accounts.add(connection, deed, app.store.vault, account)

    def status(wanted: str) -> Callable[[], Awaitable[bool]]:
        place = (DEFAULT_ORGANIZATION, BUSINESS.waba_id, "hello_world", "en_US")

        async def reached() -> bool:
            found = await app.store.read(lambda c: templates.of(c, *place))
            return found is not None and found.status == wanted

        return reached

    await app.store.write(make)
    await until(status("APPROVED"))
    state.set_template_status("hello_world", "PAUSED", reason="LOW_QUALITY")
    await until(status("PAUSED"))
