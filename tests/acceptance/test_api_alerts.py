"""`/v1/alerts` and its command: channels, what each was told and what waits, and a test through every channel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.served import Served, served

from tellwire.alerts.channels import Sent
from tellwire.alerts.findings import ChannelName
from tellwire.alerts.message import Message
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.model.units import MINUTE
from tellwire.verdict.rules import Line

BROKEN = Line(kind="endpoint_failing", cause="It fails.", organization_id=DEFAULT_ORGANIZATION, endpoint_id="e")


class Channel:
    """A channel that takes messages, or does not."""

    def __init__(self, name: ChannelName, answer: str = "") -> None:
        self.name, self.to, self.answer = name, "https://ops.example.org", answer
        self.messages: list[Message] = []

    async def send(self, message: Message, may_send: Callable[[], bool]) -> Sent:
        self.messages.append(message)
        return Sent(not self.answer, self.answer or "it answered 200")


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        yield running


def live(app: Served, *lines: Line) -> None:
    """Let a verdict stand for two minutes."""
    alerts = app.alerts
    for _ in range(5):
        alerts.take(lines)
        app.run(alerts.round())
        app.world.clock.move(MINUTE // 2)


def test_without_a_channel_nothing_is_told_and_a_test_says_what_to_set(app: Served) -> None:
    assert app.get("/v1/alerts") == {"channels": [], "findings": []}
    problem = app.call("POST", "/v1/alerts/test").problem(409)
    assert "TELLWIRE_ALERT_WEBHOOK_URL" in problem["detail"]


def test_what_each_channel_was_told_and_what_waits(app: Served) -> None:
    works, down = Channel("webhook"), Channel("mail", "connection refused")
    app.outside.alert_routes += [works, down]
    [unused, _] = app.get("/v1/alerts")["channels"]
    assert (unused["state"], unused["sent_at"], unused["waiting"]) == ("unused", None, 0)
    live(app, BROKEN)
    shown = app.get("/v1/alerts")
    [one, other] = shown["channels"]
    assert (one["channel"], one["state"], one["waiting"], one["to"]) == ("webhook", "working", 0, works.to)
    assert (other["state"], other["waiting"], other["cause"]) == ("failing", 1, "connection refused")
    assert other["failing_since"]
    assert other["retry_at"]
    [finding] = shown["findings"]
    assert (finding["kind"], finding["severity"], finding["over_at"]) == ("endpoint_failing", "warning", None)
    assert [(each["channel"], each["severity"]) for each in finding["told"]] == [("webhook", "warning")]
    assert finding["waits_for"] == ["mail"]
    kinds = [line["kind"] for line in app.get("/v1/verdict")["lines"]]
    assert kinds == ["alerts_failing"]
    assert 'tellwire_alerts_total{channel="webhook",outcome="sent"} 1' in app.call("GET", "/metrics").body.decode()


def test_a_test_goes_through_every_channel(app: Served) -> None:
    works, down = Channel("webhook"), Channel("mail", "connection refused")
    app.outside.alert_routes += [works, down]
    tested = app.call("POST", "/v1/alerts/test").json
    assert (tested["ok"], tested["cause"]) == (False, "mail: connection refused")
    assert [(each["channel"], each["ok"], each["answer"]) for each in tested["channels"]] == [
        ("webhook", True, "it answered 200"),
        ("mail", False, "connection refused"),
    ]
    down.answer = ""
    assert app.call("POST", "/v1/alerts/test").json["ok"]
    assert app.get("/v1/alerts")["channels"][1]["state"] == "unused"
    assert all(not message.items for message in (*works.messages, *down.messages))


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/alerts"), ("POST", "/v1/alerts/test")])
def test_alerts_are_for_operators(app: Served, method: str, path: str) -> None:
    assert app.call(method, path, key=app.key("admin")).status == 403
