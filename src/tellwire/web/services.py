"""What the web needs of the rest of the process; the composition root hands it in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from msgspec import Struct
from sqlalchemy import Connection

from tellwire.accounts.templates import SyncCounts
from tellwire.inbox.ingest import Ingest
from tellwire.model.deliveries import Attempt, Endpoint
from tellwire.model.ledger import Keys, Ledger
from tellwire.model.registry import Registry
from tellwire.model.tenancy import Account
from tellwire.observability.counters import Counters
from tellwire.ports.clock import Clock
from tellwire.ports.formats import Format, Handshake
from tellwire.ports.http_out import Answer, Graph
from tellwire.ports.media import MediaStore
from tellwire.ports.tracing import Tracer
from tellwire.security.vault import Vault

T = TypeVar("T")


class Store(Protocol):
    """What of a store the web uses (`stores.opening.Store`)."""

    @property
    def vault(self) -> Vault: ...

    @property
    def failing(self) -> str:
        """Why the last commit failed; "" when it did not."""
        ...

    def registry(self) -> Registry: ...

    def new_id(self) -> str: ...

    def on_events(self, wake: Callable[[], None]) -> None:
        """Call `wake` on the event loop after every commit that recorded events."""
        ...

    async def read(self, work: Callable[[Connection], T]) -> T: ...

    async def write(self, work: Callable[[Connection], T]) -> T: ...

    async def apply(self, keys: Keys, decide: Callable[[Ledger], T]) -> T: ...


class Engine(Protocol):
    """What the web shows of the dispatcher."""

    @property
    def in_flight(self) -> int: ...

    @property
    def held(self) -> int: ...

    @property
    def unrecorded(self) -> int: ...

    @property
    def failing(self) -> str:
        """Why results can't be written; "" when they can."""
        ...

    @property
    def partitions(self) -> Collection[int]: ...

    @property
    def lease_moves(self) -> int: ...

    @property
    def refused(self) -> int: ...


class SendingState(Protocol):
    """What the web shows of the courier."""

    @property
    def in_flight(self) -> int: ...

    @property
    def unrecorded(self) -> int: ...

    @property
    def failing(self) -> str:
        """Why Meta's answers can't be written down; "" when they can."""
        ...


class Templates(Protocol):
    """The templates of business accounts at Meta (`templates_sync.Templates`); each call raises Meta's problem."""

    async def synchronise(self, account: Account) -> SyncCounts: ...

    async def create(self, account: Account, draft: Mapping[str, object]) -> tuple[str, str, str]:
        """Returns Meta's id, the status and the category."""
        ...

    async def delete(self, account: Account, name: str, meta_id: str = "") -> None: ...


class AppSecret(Protocol):
    """A secret of Meta's app; `bound_to` is the one id that it speaks for, "" for every one."""

    @property
    def value(self) -> str: ...

    @property
    def bound_to(self) -> str: ...


class WebSettings(Protocol):
    """The settings that the web reads, named as in docs/reference/settings.md."""

    @property
    def admin_key(self) -> str: ...

    @property
    def meta_verify_token(self) -> str: ...

    @property
    def meta_app_secret(self) -> Sequence[AppSecret]: ...

    @property
    def base_url(self) -> str:
        """What links begin with."""
        ...

    @property
    def media_max_bytes(self) -> int: ...

    @property
    def accepted_hosts(self) -> Sequence[str]:
        """Host headers to answer, without port: names, `*.example.org`, or `*` for any."""
        ...


class Services(Struct, frozen=True, kw_only=True):
    """Everything that `create_app` is given.

    `formats` by name; `stream_format` is the one that streams show; `event_names` are those of the `tellwire-event`
    header; `schemas` are the JSON Schemas of the bodies that we send, by name; `webhooks` the section of that name for
    the OpenAPI document. `check_url` raises `Forbidden`; `ask_for_consent` raises `Invalid`; `whsec_form` gives a
    customer's own secret as stock libraries want it.
    `send_test` sends a test event of a name ("" for the usual one) and returns its name, the attempt and the answer.
    `route_unrouted` applies what waited for an account; `erase` goes on with an erasure (organization id, id) that has
    been begun; `wake` tells the dispatcher of replays, `wake_downloads` that files are to be fetched or removed.
    `files` holds the bytes of media; `templates` are those at Meta, `graph` is Meta's API. `counters` holds the
    process's counts;
    `engine` is its dispatcher and `courier` its courier, None when it has none; `tracer` is there while tracing
    is on.
    """

    store: Store
    ingest: Ingest
    clock: Clock
    settings: WebSettings
    formats: Mapping[str, Format]
    stream_format: Format
    event_names: Sequence[str]
    schemas: Mapping[str, Mapping[str, Any]]
    webhooks: Mapping[str, Any]
    check_url: Callable[[str], Awaitable[None]]
    ask_for_consent: Callable[[Endpoint, Handshake], Awaitable[None]]
    send_test: Callable[[Endpoint, str], Awaitable[tuple[str, Attempt, Answer]]]
    whsec_form: Callable[[str], str]
    route_unrouted: Callable[[str], Awaitable[object]]
    erase: Callable[[str, str], asyncio.Future[None]]
    wake: Callable[[], None]
    wake_downloads: Callable[[], None]
    files: MediaStore
    counters: Counters
    graph: Graph
    templates: Templates
    engine: Engine | None = None
    courier: SendingState | None = None
    tracer: Tracer | None = None
