"""How it goes with the channels of alerts, under the installation's settings; and the button that tries them."""

from __future__ import annotations

from html import unescape

from tests.acceptance.test_api_alerts import BROKEN, Channel, live
from tests.console.visitor import Visitor
from tests.served import Served


def shown(owner: Visitor) -> str:
    reply = owner.get("/settings/effective")
    assert reply.status == 200
    return unescape(reply.body.decode())


def test_the_settings_say_how_it_goes_with_each_channel(app: Served, owner: Visitor) -> None:
    assert "Nobody is told when something does not work." in shown(owner)
    works, down = Channel("webhook"), Channel("mail", "connection refused")
    app.outside.alert_routes += [works, down]
    assert "webhook to https://ops.example.org: nothing had to be told yet." in shown(owner)
    live(app, BROKEN)
    page = shown(owner)
    assert "webhook to https://ops.example.org: took its last alert at " in page
    assert "mail to https://ops.example.org: takes nothing since " in page
    assert "(connection refused); 1 wait." in page


def test_the_line_of_home_tries_the_channels(app: Served, owner: Visitor) -> None:
    app.outside.alert_routes[:] = [down := Channel("mail", "connection refused")]
    app.call("POST", "/v1/alerts/test")
    app.clock.move(10_000_000)
    assert "Send a test alert" in owner.page("/")
    tried = owner.submit("/", "/", line="alerts_failing")
    assert "Send a test alert:</strong> it does not work. mail: connection refused" in unescape(tried.body.decode())
    down.answer = ""
    assert "Send a test alert:</strong> it works." in owner.submit("/", "/", line="alerts_failing").body.decode()
    app.clock.move(10_000_000)
    assert app.get("/v1/verdict")["works"]
