"""Declare what the web needs from the rest of the process; `cli/serving.py` passes it in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from tellwire.accounts.template_sync import TemplateSync
from tellwire.agents.trial import AgentTrial
from tellwire.alerts.teller import Alerts
from tellwire.delivery.attempt import Wire
from tellwire.doctor.ports import Probe
from tellwire.inbox.ingest import Ingest
from tellwire.model.deliveries import Attempt, Endpoint
from tellwire.observability.counters import Counters
from tellwire.ports.clock import Clock
from tellwire.ports.formats import Format, Handshake
from tellwire.ports.http_out import Graph
from tellwire.ports.login_provider import LoginProvider
from tellwire.ports.media import MediaStore
from tellwire.ports.tracing import Tracer
from tellwire.sending.answers import SendAnswers
from tellwire.sending.worker import Hindrance
from tellwire.settings import Settings
from tellwire.stores.opening import Store
from tellwire.verdict.watch import Watch


class SendingState(Protocol):
    """The state of a loop that sends and records results, as the web shows it."""

    @property
    def in_flight(self) -> int: ...

    @property
    def unrecorded(self) -> int: ...

    @property
    def failing(self) -> str:
        """Return why results cannot be recorded; "" when they can."""
        ...


class MessageSending(SendingState, Protocol):
    """The loop that sends to Meta, as far as those ask who want to know whether a message can go out now."""

    def sends_for(self, account_id: str) -> bool:
        """Return whether this process is the one that sends for an account."""
        ...

    def hindrance(self, account_id: str, recipient: str) -> Hindrance:
        """Return which limit keeps a message to an address from being sent now, "" for none that is known here."""
        ...


class Engine(SendingState, Protocol):
    """The state of the dispatcher, as the web shows it."""

    @property
    def held(self) -> int: ...

    @property
    def partitions(self) -> Collection[int]: ...

    @property
    def lease_moves(self) -> int: ...

    @property
    def refused(self) -> int: ...


class PhoneMessage(Struct, frozen=True):
    """A message on the simulated customer's phone, at `at` (micros); `mine`: whether the customer wrote it."""

    at: int
    mine: bool
    kind: str
    text: str


class PhoneCatch(Struct, frozen=True):
    """What a subscriber got, and why it did not verify, "" when it did."""

    format: str
    event: str
    error: str
    body: str
    message_id: str


class Phone(Protocol):
    """The phone of a simulated customer, which `dev` has."""

    @property
    def name(self) -> str:
        """Return the customer's name."""
        ...

    def messages(self) -> Sequence[PhoneMessage]:
        """Return the newest messages of the chat, oldest first."""
        ...

    def catches(self) -> Sequence[PhoneCatch]:
        """Return what the subscribers got, newest first."""
        ...

    async def act(self, what: str, text: str) -> None:
        """Let the customer do something; raise `Invalid` if they cannot do it just now."""
        ...


class Services(Struct, frozen=True, kw_only=True):
    """Everything that `create_app` is given.

    `formats` by name; `stream_format` is the one that streams show; `event_names` are those of the `tellwire-event`
    header; `schemas` are the JSON Schemas of the bodies that we send, by name; `webhooks` the section of that name for
    the OpenAPI document. `check_url` raises `Forbidden` where deliveries may not go, `check_model_url` and
    `check_tool_url` where requests to models and tools may not; `ask_for_consent` raises `Invalid`; `whsec_form` gives
    a customer's own secret as stock libraries want it, and `wire` makes the requests of deliveries.
    `agent_trial` tries AI agents.
    `send_test` sends a test event of a name ("" for the usual one) and returns its name and the attempt.
    `route_unrouted` applies what waited for an account; `erase` goes on with an erasure (organization id, id) that has
    been begun; `wake` tells the dispatcher of replays, `wake_downloads` that files are to be fetched or removed.
    `files` holds the bytes of media; `template_sync` reads, creates and deletes templates at Meta; `graph` is Meta's
    API, and `probe` makes requests to our own URLs. `watch` knows what does not work, `alerts` what was told of it.
    `counters` holds the process's counts; `engine` is its dispatcher and `sending_worker` the loop that sends to Meta,
    None when it has none; `send_answers` has Meta's answers to messages whose callers wait; `tracer` is there while
    tracing is on, `phone` under `dev`, `login_provider` where people log in elsewhere. `setting_sources` says by field
    name where each setting came from. `local_key` is a key of this process alone, for the command line of who runs it:
    it may do what ADMIN_KEY may, and is gone with the process.
    """

    store: Store
    ingest: Ingest
    clock: Clock
    settings: Settings
    formats: Mapping[str, Format]
    stream_format: Format
    event_names: Sequence[str]
    schemas: Mapping[str, Mapping[str, Any]]
    webhooks: Mapping[str, Any]
    check_url: Callable[[str], Awaitable[None]]
    check_model_url: Callable[[str], Awaitable[None]]
    check_tool_url: Callable[[str], Awaitable[None]]
    agent_trial: AgentTrial
    ask_for_consent: Callable[[Endpoint, Handshake], Awaitable[None]]
    send_test: Callable[[Endpoint, str], Awaitable[tuple[str, Attempt]]]
    whsec_form: Callable[[str], str]
    wire: Wire
    route_unrouted: Callable[[str], Awaitable[object]]
    erase: Callable[[str, str], asyncio.Future[None]]
    wake: Callable[[], None]
    wake_downloads: Callable[[], None]
    files: MediaStore
    counters: Counters
    watch: Watch
    alerts: Alerts
    graph: Graph
    probe: Probe
    template_sync: TemplateSync
    engine: Engine | None = None
    sending_worker: MessageSending | None = None
    send_answers: SendAnswers = SendAnswers()
    tracer: Tracer | None = None
    phone: Phone | None = None
    login_provider: LoginProvider | None = None
    setting_sources: Mapping[str, str] = {}
    local_key: str = ""
