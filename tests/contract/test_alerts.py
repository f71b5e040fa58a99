"""Alerts over a real database: what is told once stays told over restarts and processes, and nothing is forgotten."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress

import pytest
from msgspec.structs import replace
from tests.world import World

from tellwire.alerts.channels import Sent
from tellwire.alerts.findings import ABSENT, ChannelName
from tellwire.alerts.message import Message
from tellwire.alerts.rules import FLAPPING, TOGETHER, Thresholds
from tellwire.alerts.teller import Alerts
from tellwire.errors import Unavailable
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.model.units import DAY, HOUR, MICROS, MINUTE, Micros
from tellwire.observability.counters import Counters
from tellwire.stores.alert_store import SqlAlertStore
from tellwire.stores.queries import verdict_figures
from tellwire.verdict.rules import Line

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("each_store")]

STEP: Micros = 15 * MICROS
BROKEN = Line(kind="endpoint_failing", cause="It fails.", organization_id=DEFAULT_ORGANIZATION, endpoint_id="e")
WRONG = Line(kind="app_secret_wrong", cause="The last came 1 minute ago.")
FULL = Line(kind="store_failing", cause="The disk is full.")


class Ear:
    """A channel that takes what it is told while it is up."""

    def __init__(self, name: ChannelName = "webhook", heard: list[Message] | None = None) -> None:
        self.name, self.to, self.up = name, "here", True
        self.heard: list[Message] = [] if heard is None else heard

    async def send(self, message: Message, may_send: Callable[[], bool]) -> Sent:
        if not self.up or not may_send():
            return Sent(ok=False, answer="connection refused")
        self.heard.append(message)
        return Sent(ok=True, answer="it answered 200")

    @property
    def said(self) -> list[list[str]]:
        """What each message said, and of which kinds."""
        return [[f"{item.what} {item.finding.line.kind}" for item in message.items] for message in self.heard]


class AwayStore(SqlAlertStore):
    """The database, which can be away."""

    away = False

    async def _write(self, work):
        if self.away:
            raise Unavailable("the disk is full")
        return await super()._write(work)

    async def read(self):
        if self.away:
            raise Unavailable("the disk is full")
        return await super().read()


class Process:
    """One process's alerts, and its verdict."""

    def __init__(self, world: World, *ears: Ear, tells: bool = True, **limits: object) -> None:
        self.world, self.ears, self.tells = world, ears, tells
        self.lines: list[Line] = []
        self.store = AwayStore(world.store)
        self.counters = Counters()
        self.alerts = Alerts(
            self.store,
            world.clock,
            routes=ears,
            limits=replace(Thresholds(after=MINUTE, repeat=DAY, severity="warning"), **limits),
            tells=lambda: self.tells,
            url="https://wa.example.org",
            counters=self.counters,
        )

    async def live(self, span: Micros, *others: Process, step: Micros = 0) -> None:
        """Let time pass, with a look at the verdict every 15 s, or 45 s when it is long."""
        until = self.world.clock.at + span
        step = step or (STEP if span <= 5 * MINUTE else 3 * STEP)
        while self.world.clock.at < until:
            self.world.clock.move(min(step, until - self.world.clock.at))
            for each in (self, *others):
                each.alerts.take(each.lines)
                await each.alerts.round()


async def test_a_finding_is_told_once_it_stood_and_when_it_is_over(world: World) -> None:
    ear = Ear()
    here = Process(world, ear)
    await here.live(HOUR)
    assert ear.said == []
    here.lines = [BROKEN]
    await here.live(MINUTE)
    assert ear.said == []
    await here.live(HOUR)
    assert ear.said == [["came endpoint_failing"]]
    assert ear.heard[0].names == {DEFAULT_ORGANIZATION: "Default"}
    here.lines = [replace(BROKEN, own_severity="critical", cause="It still fails.")]
    await here.live(HOUR)
    assert ear.said[1:] == [["changed endpoint_failing"]]
    assert ear.heard[1].items[0].finding.line.cause == "It still fails."
    assert ear.heard[1].before(ear.heard[1].items[0]) == "warning"
    here.lines = []
    await here.live(ABSENT - STEP)
    assert ear.said[2:] == []
    await here.live(HOUR)
    assert ear.said[2:] == [["over endpoint_failing"]]
    assert here.counters.alerts == {("webhook", "sent"): 3}


async def test_what_flaps_is_told_every_quarter_of_an_hour_at_most(world: World) -> None:
    ear = Ear()
    here = Process(world, ear, after=0)
    for _ in range(15):
        here.lines = [BROKEN]
        await here.live(MINUTE)
        here.lines = []
        await here.live(2 * MINUTE)
    assert len(ear.said) == 6  # within three quarters of an hour
    came = [message.at for message in ear.heard if message.items[0].what == "came"]
    assert all(second - first >= FLAPPING for first, second in itertools.pairwise(came))


async def test_many_share_a_message(world: World) -> None:
    ear = Ear()
    here = Process(world, ear)
    for number in range(12):
        here.lines.append(replace(BROKEN, endpoint_id=str(number)))
        await here.live(STEP)
    await here.live(10 * MINUTE)
    assert 2 <= len(ear.heard) <= 5
    assert sum(len(message.items) for message in ear.heard) == 12
    at = [message.at for message in ear.heard]
    assert all(second - first >= TOGETHER for first, second in itertools.pairwise(at))
    await here.live(2 * DAY, step=2 * HOUR)
    assert [len(message.items) for message in ear.heard if message.items[0].what == "stands"] == [12, 12]


async def test_a_restart_neither_repeats_nor_forgets(world: World) -> None:
    heard: list[Message] = []
    before = Process(world, Ear(heard=heard))
    before.lines = [BROKEN, WRONG]
    await before.live(10 * MINUTE)
    assert [len(message.items) for message in heard] == [2]
    world.clock.move(10 * MINUTE)  # nothing runs
    after = Process(world, Ear(heard=heard))
    after.lines = [BROKEN]  # what was refused is not known to a process that has just begun
    await after.live(50 * MINUTE)
    assert len(heard) == 1
    await after.live(30 * MINUTE)
    assert [[item.what for item in message.items] for message in heard[1:]] == [["over"]]
    assert heard[1].items[0].finding.line.kind == WRONG.kind
    world.clock.move(HOUR)
    last = Process(world, Ear(heard=heard))
    await last.live(2 * MINUTE)  # it was mended while nothing ran
    assert [[item.what for item in message.items] for message in heard[2:]] == [["over"]]


async def test_a_debounce_goes_on_over_a_restart(world: World) -> None:
    ear = Ear()
    first = Process(world, ear, after=10 * MINUTE)
    first.lines = [BROKEN]
    await first.live(9 * MINUTE)
    second = Process(world, ear, after=10 * MINUTE)
    second.lines = [BROKEN]
    await second.live(2 * MINUTE)
    assert ear.said == [["came endpoint_failing"]]


async def test_of_two_processes_one_tells_what_either_sees(world: World) -> None:
    heard: list[Message] = []
    deliver, ingest = Process(world, Ear(heard=heard)), Process(world, Ear(heard=heard), tells=False)
    deliver.lines = [BROKEN]
    ingest.lines = [WRONG, BROKEN]
    await deliver.live(10 * MINUTE, ingest)
    assert len(heard) == 1
    assert {item.finding.line.kind for item in heard[0].items} == {WRONG.kind, BROKEN.kind}
    deliver.tells, ingest.tells = False, True  # the lease moves
    await deliver.live(10 * MINUTE, ingest)
    assert len(heard) == 1
    ingest.lines = [BROKEN]
    deliver.lines = []  # it looked a moment earlier
    await deliver.live(10 * MINUTE, ingest)
    assert [[item.finding.line.kind for item in message.items] for message in heard[1:]] == [[WRONG.kind]]


async def test_a_channel_that_is_down_is_told_when_it_is_back_and_shown_meanwhile(world: World) -> None:
    ear, mail = Ear(), Ear("mail")
    mail.up = False
    here = Process(world, ear, mail)
    here.lines = [BROKEN]
    await here.live(10 * MINUTE)
    assert ear.said == [["came endpoint_failing"]]
    assert here.counters.alerts["mail", "failed"] < 10  # with growing pauses
    stored = await world.store.read(lambda c: verdict_figures.read(c, world.clock.at))
    [failing] = stored.failing_channels
    assert (failing.channel, failing.cause) == ("mail", "connection refused")
    known = await here.alerts.known()
    assert here.alerts.waiting(known, mail) == [(DEFAULT_ORGANIZATION, "endpoint.e")]
    assert here.alerts.waiting(known, ear) == []
    here.lines = [Line(kind="alerts_failing", cause="mail has failed.")]
    await here.live(HOUR)
    assert {each for message in ear.said[1:] for each in message} == {"over endpoint_failing", "came alerts_failing"}
    mail.up = True
    await here.alerts.test()
    mail.heard.clear()
    ear.heard.pop()
    await here.live(3 * STEP)  # the line is still there, and is not told to the channel that it is about
    here.lines = []
    await here.live(HOUR)
    assert mail.said == [["was endpoint_failing"]]
    assert ear.said[-1] == ["over alerts_failing"]
    assert not (await world.store.read(lambda c: verdict_figures.read(c, world.clock.at))).failing_channels


async def test_a_test_that_is_taken_ends_the_pause(world: World) -> None:
    ear = Ear()
    ear.up = False
    here = Process(world, ear)
    here.lines = [BROKEN]
    await here.live(HOUR)
    [tested] = await here.alerts.test()
    assert (tested.sent.ok, tested.sent.answer) == (False, "connection refused")
    ear.up = True
    [tested] = await here.alerts.test()
    assert tested.sent.ok
    assert [message.items for message in ear.heard] == [()]
    await here.live(STEP)
    assert ear.said[1:] == [["came endpoint_failing"]]


async def test_a_channel_that_is_set_later_is_told_what_stands_and_nothing_older(world: World) -> None:
    here = Process(world, Ear())
    here.lines = [WRONG, BROKEN]
    await here.live(10 * MINUTE)
    here.lines = [BROKEN]
    await here.live(10 * MINUTE)
    mail = Ear("mail")
    later = Process(world, mail)  # in place of the other
    later.lines = [BROKEN]
    await later.live(10 * MINUTE)
    assert mail.said == [["came endpoint_failing"]]
    again = Ear()
    last = Process(world, again, mail)  # the first one comes back: it knows of nothing
    last.lines = [BROKEN]
    await last.live(10 * MINUTE)
    assert again.said == [["came endpoint_failing"]]
    assert len(mail.said) == 1


async def test_that_the_database_takes_no_commits_is_told_without_it(world: World) -> None:
    heard: list[Message] = []
    here, other = Process(world, Ear(heard=heard)), Process(world, Ear(heard=heard), tells=False)
    await here.live(MINUTE, other)
    here.store.away = other.store.away = True
    here.lines = other.lines = [FULL]
    await here.live(HOUR, other)
    assert [[item.finding.line.kind for item in message.items] for message in heard] == [[FULL.kind]]
    here.store.away = other.store.away = False
    here.lines = other.lines = []
    await here.live(HOUR, other)
    assert [[item.what for item in message.items] for message in heard] == [["came"], ["over"]]
    after = Process(world, Ear(heard=heard))
    await after.live(HOUR)
    assert len(heard) == 2


async def test_a_lease_that_lapsed_with_the_database_does_not_silence_it(world: World) -> None:
    ear = Ear()
    here = Process(world, ear)
    await here.live(MINUTE)
    here.store.away, here.tells = True, False  # nothing is written just now, so nobody has noticed yet
    await here.live(MINUTE)
    here.lines = [FULL]
    await here.live(5 * MINUTE)
    assert ear.said == [["came store_failing"]]


async def test_what_is_seen_again_meanwhile_is_not_over(world: World) -> None:
    here = Process(world, Ear())
    here.lines = [BROKEN]
    await here.live(STEP)
    [stale] = (await here.alerts.known()).findings.values()
    await here.live(2 * STEP)
    await here.store.over([stale], world.clock.at)
    [seen] = (await here.alerts.known()).findings.values()
    assert seen.over_at == 0


async def test_a_database_that_is_away_for_a_moment_changes_nothing(world: World) -> None:
    ear = Ear()
    here = Process(world, ear)
    here.lines = [BROKEN]
    await here.live(5 * MINUTE)
    here.store.away = True
    await here.live(5 * MINUTE)
    here.store.away = False
    await here.live(5 * MINUTE)
    assert ear.said == [["came endpoint_failing"]]


async def test_a_test_says_what_was_answered_without_a_database_too(world: World) -> None:
    here = Process(world, Ear())
    here.store.away = True
    [tested] = await here.alerts.test()
    assert tested.sent.ok


class Forgetful(AwayStore):
    """A database that goes away when it is to be written down that the webhook was told."""

    async def keep(self, findings, channel):
        if findings and channel.name == "webhook":
            raise Unavailable("the disk is full")
        await super().keep(findings, channel)


async def test_what_cannot_be_written_down_comes_again_under_the_same_id(world: World) -> None:
    ear = Ear()
    here = Process(world, ear)
    here.alerts._store = Forgetful(world.store)
    here.lines = [BROKEN]
    for _ in range(6):
        with suppress(Unavailable):
            await here.live(STEP)
    assert len(ear.heard) == 2
    assert len({message.id for message in ear.heard}) == 1


async def test_a_channel_that_cannot_be_written_down_stops_no_other(world: World) -> None:
    ear, mail = Ear(), Ear("mail")
    here = Process(world, ear, mail)
    here.alerts._store = Forgetful(world.store)
    here.lines = [BROKEN]
    for _ in range(6):
        with suppress(Unavailable):
            await here.live(STEP)
    assert mail.said == [["came endpoint_failing"]]


async def test_what_is_long_over_is_forgotten(world: World) -> None:
    here = Process(world, Ear())
    here.lines = [BROKEN]
    await here.live(5 * MINUTE)
    here.lines = []
    await here.live(5 * MINUTE)
    assert len((await here.alerts.known()).findings) == 1
    world.clock.move(31 * DAY)
    here.lines = [WRONG]
    await here.live(5 * MINUTE)
    here.lines = []
    await here.live(5 * MINUTE)
    assert [name for _, name in (await here.alerts.known()).findings] == ["app_secret_wrong"]
