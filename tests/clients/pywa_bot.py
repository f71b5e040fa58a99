"""pywa's webhook server in a thread, and every update that it has made of what came."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import flask
import pywa
from pywa.handlers import RawUpdateHandler
from werkzeug.serving import make_server


class PywaBot:
    """What pywa has understood so far (`updates`), and every body whose signature held (`bodies`)."""

    def __init__(self) -> None:
        self.updates: list[Any] = []
        self.bodies: list[dict[str, Any]] = []


@contextmanager
def pywa_bot(*, secret: str, verify_token: str) -> Iterator[tuple[PywaBot, str]]:
    """A bot with a handler for every kind of update that pywa knows, and its address."""
    application, bot = flask.Flask("shop"), PywaBot()
    server = make_server("127.0.0.1", 0, application, threaded=True)
    client = pywa.WhatsApp(
        token="an-invented-token",
        server=application,
        webhook_endpoint="/webhook",
        verify_token=verify_token,
        app_secret=secret,
        filter_updates=False,
    )
    for kind in client._handlers_to_updates:
        client.add_handlers(kind(lambda _, update: bot.updates.append(update)))
    client.add_handlers(RawUpdateHandler(lambda _, update: bot.bodies.append(dict(update))))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield bot, f"http://127.0.0.1:{server.server_port}/webhook"
    finally:
        server.shutdown()
        server.server_close()
