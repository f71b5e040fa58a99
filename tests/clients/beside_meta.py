"""A real `serve` with a simulated Meta on loopback, an account on both, and a customer who has just written."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

from tests.acceptance.processes import SECONDS, logged_url, request, running
from tests.simulator.running import AT_ONCE

import tellwire_sdk
from tellwire.clock import SystemClock
from tellwire.model.units import MICROS
from tellwire.simulator import BUSINESS, TOKEN, Knobs, Simulator, State
from tellwire.simulator.knobs import changed_knobs

ADMIN_KEY = "an-invented-admin-key-of-40-characters-x"
APP_SECRET = "an-invented-app-secret"
CUSTOMER = "5215500000001"
KNOWN = "wamid.known"
NUMBER = BUSINESS.phone_number_id
WABA = BUSINESS.waba_id


class Beside:
    """Where both listen, and a key."""

    def __init__(self, url: str, graph: str, key: str) -> None:
        self.url = url
        self.graph = graph
        self.key = key

    def call(self, path: str, method: str = "GET", body: Any = None) -> tuple[int, Any]:
        """A request with the key."""
        return request(f"{self.url}{path}", key=self.key, method=method, body=body)

    def post(self, body: dict[str, Any]) -> int:
        """POST as Meta does."""
        raw = json.dumps(body).encode()
        signed = {"X-Hub-Signature-256": tellwire_sdk.hub_signature(raw, APP_SECRET)}
        return request(f"{self.url}/meta/webhook", method="POST", body=raw, headers=signed)[0]

    def write(self, *messages: dict[str, Any], name: str = "Luz Vera") -> int:
        """POST what a customer wrote."""
        value = {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": BUSINESS.display_phone_number, "phone_number_id": NUMBER},
            "contacts": [{"profile": {"name": name}, "wa_id": CUSTOMER}],
            "messages": list(messages),
        }
        changes = [{"field": "messages", "value": value}]
        return self.post({"object": "whatsapp_business_account", "entry": [{"id": WABA, "changes": changes}]})


@contextmanager
def simulated() -> Iterator[str]:
    """The base URL of a simulated Meta, in a thread of its own."""
    started: Queue[str] = Queue()
    ended = threading.Event()

    async def simulate() -> None:
        simulator = Simulator(State(knobs=changed_knobs(Knobs(), AT_ONCE)))
        started.put(await simulator.start())
        await asyncio.to_thread(ended.wait)
        await simulator.stop()

    thread = threading.Thread(target=lambda: asyncio.run(simulate()))
    thread.start()
    try:
        yield started.get(timeout=SECONDS)
    finally:
        ended.set()
        thread.join(SECONDS)


@contextmanager
def beside_meta(folder: Path) -> Iterator[Beside]:
    """Both, with an account, a key of its organization, and a message from the customer."""
    with simulated() as graph:
        settings = {
            "META_GRAPH_URL": graph,
            "META_APP_SECRET": APP_SECRET,
            "ADMIN_KEY": ADMIN_KEY,
            "DELIVERY_ALLOW_CIDRS": "127.0.0.0/8",
        }
        with running("serve", cwd=folder, **settings) as process:
            url = process.wait_for(logged_url, stream="err")
            beside = Beside(url, graph, ADMIN_KEY)
            account = {"phone_number_id": NUMBER, "waba_id": WABA, "access_token": TOKEN}
            account["display_phone_number"] = BUSINESS.display_phone_number
            assert beside.call("/v1/accounts", "POST", account)[0] == 201
            said = {"from": CUSTOMER, "id": KNOWN, "timestamp": _now(), "type": "text", "text": {"body": "Hi"}}
            assert beside.write(said) == 200
            yield beside


def _now() -> str:
    return str(SystemClock().now() // MICROS)
