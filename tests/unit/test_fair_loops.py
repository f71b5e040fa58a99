"""Every loop that has places for all organizations leaves some to the next: files, answers, recoveries, templates,
erasures."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from tellwire.accounts.template_sync import TemplateSync
from tellwire.accounts.templates import SyncCounts, TemplateStatus
from tellwire.agents import worker as agents
from tellwire.agents.worker import AgentWorker
from tellwire.clock import SystemClock
from tellwire.endpoints.recovery import Job, RecoveryStep, Wanted
from tellwire.endpoints.worker import RecoveryRunner
from tellwire.media import downloads
from tellwire.media.downloads import DownloadSource, DownloadWorker
from tellwire.model.agents import AgentTurn
from tellwire.model.messaging import Media
from tellwire.model.registry import Registry
from tellwire.model.routing import PARTITIONS
from tellwire.model.tenancy import Account
from tellwire.observability.counters import Counters
from tellwire.ports.http_out import Answer
from tellwire.privacy import erasure
from tellwire.privacy.erasure import ErasureWorker

pytestmark = pytest.mark.anyio
BACKLOG = 100


def account_of(organization: str, number: int = 0) -> Account:
    name = f"{organization}{number}"
    return Account(id=name, organization_id=organization, phone_number_id=name, waba_id=name, access_token="invented")


class Store:
    """A store whose registry has an account of each organization."""

    def __init__(self, *accounts: Account) -> None:
        self._registry = Registry(version=1, accounts={a.phone_number_id: a for a in accounts}, endpoints={})

    def registry(self) -> Registry:
        return self._registry

    def on_due_work(self, _: Callable[[], None]) -> None: ...


class HangingGraph:
    """Meta's API, which never answers, and what it was asked for by token and path."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def ask(self, _: str, path: str, **__: Any) -> Answer:
        self.asked.append(path)
        await asyncio.Event().wait()
        return Answer()

    async def close(self) -> None: ...


async def rounds() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


class DueFiles:
    """Files that are due, the longest due first."""

    def __init__(self) -> None:
        self.waiting: list[Media] = []

    def add(self, organization: str, count: int) -> None:
        for number in range(count):
            name = f"{organization}{number}"
            whose = f"{organization}0"
            self.waiting.append(Media(id=name, organization_id=organization, account_id=whose, meta_id="1"))

    async def due(self, _: int, without: Collection[str], limit: int, *, not_of: Collection[str] = ()) -> list[Media]:
        return [m for m in self.waiting if m.id not in without and m.organization_id not in not_of][:limit]

    async def erased(self, *_: Any) -> Sequence[Media]:
        return ()


async def test_files_of_one_organization_leave_places_for_anothers() -> None:
    due, graph = DueFiles(), HangingGraph()
    files: Any = SimpleNamespace(remove_leftovers=lambda _: asyncio.sleep(0))
    store: Any = Store(account_of("greedy"), account_of("quiet"))
    source: Any = DownloadSource(graph=graph, wire=SimpleNamespace(), graph_url="", most_bytes=1)  # type: ignore[arg-type]
    worker = DownloadWorker(store, due, files, SystemClock(), source, owns=lambda: True, counters=Counters())  # type: ignore[arg-type]
    due.add("greedy", BACKLOG)
    await worker.round()
    await rounds()
    assert len(graph.asked) == downloads.MAX_CONCURRENT // 2
    due.add("quiet", 1)
    await worker.round()
    await rounds()
    assert len(graph.asked) == downloads.MAX_CONCURRENT // 2 + 1
    await worker.stop()


class DueTurns:
    """Turns that are due, and a situation that never comes."""

    def __init__(self) -> None:
        self.waiting: list[AgentTurn] = []
        self.begun: Counter[str] = Counter()

    def add(self, organization: str, count: int) -> None:
        for number in range(count):
            name = f"{organization}{number}"
            turn = AgentTurn(
                organization_id=organization,
                conversation_id=name,
                account_id=f"{organization}0",
                agent_id="a",
                message_id=name,
                due_at=len(self.waiting),
            )
            self.waiting.append(turn)

    async def due(
        self, _: int, *, limit: int, after: AgentTurn | None = None, not_of: Collection[str] = ()
    ) -> list[AgentTurn]:
        first = -1 if after is None else after.due_at
        return [t for t in self.waiting if t.due_at > first and t.organization_id not in not_of][:limit]

    async def next_due(self, _: int) -> None: ...

    async def situation(self, turn: AgentTurn, *_: Any, **__: Any) -> None:
        self.begun[turn.organization_id] += 1
        await asyncio.Event().wait()


async def test_answers_of_one_organizations_agents_leave_places_for_anothers() -> None:
    turns = DueTurns()
    store: Any = Store(account_of("greedy"), account_of("quiet"))
    worker = AgentWorker(
        store,
        turns,  # type: ignore[arg-type]
        SystemClock(),
        model_of=lambda _: None,  # type: ignore[arg-type,return-value]
        owned=lambda: range(PARTITIONS),
        window=0,
        counters=Counters(),
    )
    turns.add("greedy", BACKLOG)
    await worker.round()
    await rounds()
    assert turns.begun == {"greedy": agents.MAX_CONCURRENT // 2}
    turns.add("quiet", 1)
    await worker.round()
    await rounds()
    assert turns.begun["quiet"] == 1
    await worker.stop()


class Recoveries:
    """Recoveries that go on for ever; the order of their batches."""

    def __init__(self, *jobs: Job) -> None:
        self.jobs = jobs
        self.order: list[str] = []

    async def open_jobs(self) -> list[Job]:
        return list(self.jobs)

    async def advance(self, job: Job, _: int) -> RecoveryStep:
        self.order.append(job.organization_id)
        return RecoveryStep(job, "on")

    async def give_up(self, *_: Any) -> None: ...


async def test_recoveries_of_one_organization_have_the_batches_of_one() -> None:
    wanted = Wanted(since=0, until=1, include="all", new_id=False)
    jobs = [Job(id=f"{n}", organization_id="greedy", endpoint_id=f"{n}", wanted=wanted) for n in range(20)]
    recoveries = Recoveries(*jobs, Job(id="q", organization_id="quiet", endpoint_id="q", wanted=wanted))
    await RecoveryRunner(recoveries, SystemClock(), lambda: None).go_on()
    done = Counter(recoveries.order)
    assert done["greedy"] == done["quiet"] == 20


class Templates:
    """Business accounts that are all due; whose turn it was."""

    def __init__(self, *accounts: Account) -> None:
        self.accounts = list(accounts)
        self.order: list[str] = []

    def registry(self) -> Registry:
        return Registry(version=1, accounts={a.phone_number_id: a for a in self.accounts}, endpoints={})

    async def sync_statuses(self) -> list[TemplateStatus]:
        return []

    async def keep(self, account: Account, *_: Any, **__: Any) -> SyncCounts:
        self.order.append(account.organization_id)
        if len(self.order) == 1:
            self.accounts.append(account_of("latecomer"))
        return SyncCounts(added=0, changed=0, removed=0, total=0)

    async def failed(self, *_: Any, **__: Any) -> None: ...


class EmptyGraph:
    async def ask(self, *_: Any, **__: Any) -> Answer:
        return Answer(status=200, body=b'{"data":[]}')

    async def close(self) -> None: ...


async def test_templates_are_synchronised_of_each_organization_in_turn() -> None:
    templates = Templates(*(account_of("greedy", n) for n in range(20)), account_of("quiet"))
    sync = TemplateSync(templates, EmptyGraph(), SystemClock(), lambda: 0.0)
    assert await sync.synchronise_due() == 22
    assert templates.order[:4] == ["greedy", "quiet", "greedy", "latecomer"]


class Erasures:
    """Erasures that never end; how many of whom are under way."""

    def __init__(self) -> None:
        self.begun: dict[str, int] = defaultdict(int)

    async def get(self, organization_id: str, _: str) -> None:
        self.begun[organization_id] += 1
        await asyncio.Event().wait()


async def test_erasures_of_one_organization_leave_places_for_anothers() -> None:
    erasures = Erasures()
    worker = ErasureWorker(None, erasures, SystemClock(), lambda _: None, lambda: asyncio.sleep(0))  # type: ignore[arg-type]
    for number in range(BACKLOG):
        worker.start("greedy", f"{number}")
    await rounds()
    worker.start("quiet", "another")
    await rounds()
    assert erasures.begun == {"greedy": erasure.MAX_CONCURRENT // 2, "quiet": 1}
    await worker.stop()
