"""Define the messages between the runner and the driver process: one JSON object per line over the driver's pipes."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

SinkWay = Literal["takes", "fails", "hangs"]
"""How the subscriber answers a delivery: 200 at once, 500 at once, or never."""


class Aim(Struct, frozen=True, tag="aim", kw_only=True):
    """The command that sets the system to load: its ports of 127.0.0.1, the path of its webhook, both secrets.

    The messages come in on `accounts` business numbers from `first_account` on, taking turns. Drivers that load one
    system at once number their messages from different `first_message`s. `sink` is what the subscriber does.
    """

    ports: tuple[int, ...]
    path: str
    app_secret: str
    signing_secret: str
    accounts: int = 1
    first_account: int = 0
    first_message: int = 0
    sink: SinkWay = "takes"


class Prepare(Struct, frozen=True, tag="prepare", kw_only=True):
    """The command to make the messages of a phase and open its connections; `rate` in POSTs/s, None: closed loop.

    `updates` is how many messages one POST holds; with `awaited` False the phase is over when all was sent.
    """

    messages: int
    contacts: int
    connections: int
    pad: int
    limit_seconds: float
    rate: float | None = None
    updates: int = 1
    awaited: bool = True


class Go(Struct, frozen=True, tag="go"):
    """The command to send what was prepared; the answer is the PhaseResult, once everything has arrived."""


Command = Aim | Prepare | Go


class Hello(Struct, frozen=True, tag="hello"):
    """The driver's first line, with the port of its sink."""

    sink_port: int


class Done(Struct, frozen=True, tag="done"):
    """The answer to Aim and Prepare."""


class Quantiles(Struct, frozen=True):
    """Quantiles of a list of spans, in milliseconds."""

    p50: float
    p99: float
    max: float


class PhaseResult(Struct, frozen=True, tag="result", kw_only=True):
    """One phase as the driver saw it.

    `seconds` runs from the first send to the last delivery; `ack` from send to the 200, `end_to_end` from send to
    the last byte of the delivery at the sink. At a fixed rate "send" is the intended time, so the delay of a system
    (or a driver) that falls behind counts; `late` is how far the driver itself was behind.
    `lost` were answered 200 and not delivered within the limit; `reordered` counts, among `ordered_pairs`
    consecutive messages of a contact of which the second was sent after the 200 of the first, those that
    arrived the wrong way round.
    """

    messages: int
    accepted: int
    refused: int
    delivered: int
    lost: int
    duplicates: int
    foreign: int
    signatures_checked: int
    signatures_bad: int
    ordered_pairs: int
    reordered: int
    seconds: float
    messages_per_second: float
    ack: Quantiles
    end_to_end: Quantiles
    late: Quantiles
    driver_cpu_ms_per_message: float
    trouble: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Return whether every message was accepted and delivered, with a good signature, in order."""
        return not (self.refused or self.lost or self.signatures_bad or self.reordered)


class Failed(Struct, frozen=True, tag="failed"):
    """The answer to a command that the driver could not execute."""

    error: str


class FilledEndpoint(Struct, frozen=True, kw_only=True):
    """Endpoints to create in a database, `count` alike; number k is bound to account `first_account + k`."""

    url: str
    count: int = 1
    first_account: int = 0
    state: Literal["active", "paused"] = "active"


BatchState = Literal["delivered", "waiting", "parked", "late"]


class Batch(Struct, frozen=True, kw_only=True):
    """Messages to create in a database, each with a delivery to one endpoint in the given state.

    `delivered` with an attempt; `waiting` as committed and not sent; `parked`; `late` as retries that are due.
    """

    messages: int
    endpoint: int
    state: BatchState


class Fill(Struct, frozen=True, kw_only=True):
    """What the filler creates in an empty database; a batch's `endpoint` counts all endpoints in their order."""

    secret: str
    accounts: int
    contacts: int
    endpoints: list[FilledEndpoint]
    batches: list[Batch] = []
    pad: int = 60
    first_message: int = 9_000_000_000
    hours: float = 20.0


class Filled(Struct, frozen=True, kw_only=True):
    """What the filler did: the id of each entry's first endpoint, rows by table, seconds, the file's size in MiB."""

    endpoints: list[str]
    rows: dict[str, int]
    seconds: float
    mib: float
