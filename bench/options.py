"""Parse the command line of `python -m bench`, with the standard library only, so that any Python can start it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

SYSTEM_NAMES = ("user-built", "bare", "tellwire", "tellwire-postgresql")
"""The compared systems, in the order of each round."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    """A scenario: the module with its `run(options)`, what it measures, and its own defaults of options."""

    module: str
    about: str
    defaults: Mapping[str, object] = field(default_factory=dict)


SCENARIOS = {
    "end-to-end": Scenario(
        module="bench.scenarios.end_to_end",
        about="beside what a user would build: capacity, CPU, latency",
        defaults={"contacts": 5000, "messages": 4000},
    ),
    "many": Scenario(
        module="bench.scenarios.many",
        about="one installation of one and of several processes on PostgreSQL",
    ),
    "isolation": Scenario(
        module="bench.scenarios.isolation",
        about="200 quiet endpoints beside a hanging and a flooding one",
        defaults={"seconds": 20.0},
    ),
    "failing": Scenario(
        module="bench.scenarios.failing",
        about="5 % of the endpoints hang, 10 % fail: what the others see",
        defaults={"rate": 200.0},
    ),
    "retry-storm": Scenario(
        module="bench.scenarios.retry_storm",
        about="100 000 due retries beside fresh events of another endpoint",
        defaults={"events": 100_000, "rate": 20.0, "seconds": 20.0},
    ),
    "endpoints": Scenario(
        module="bench.scenarios.endpoints",
        about="1 to 10 000 endpoints of which one matches",
        defaults={"events": 10_000, "messages": 3000},
    ),
    "parked": Scenario(
        module="bench.scenarios.parked",
        about="a million parked deliveries on disk",
        defaults={"messages": 3000},
    ),
    "growth": Scenario(
        module="bench.scenarios.growth",
        about="from 10 000 stored events up: cost per event, start, lists",
        defaults={"messages": 3000},
    ),
    "start": Scenario(
        module="bench.scenarios.start", about="how soon `serve` is ready, by stored events", defaults={"rounds": 5}
    ),
    "burst": Scenario(
        module="bench.scenarios.burst",
        about="one POST with many updates",
        defaults={"events": 4000, "messages": 5, "pad": 60},
    ),
    "memory": Scenario(
        module="bench.scenarios.memory",
        about="memory under steady load with a million deliveries waiting on disk",
        defaults={"rounds": 1, "seconds": 300.0, "rate": 100.0},
    ),
    "page": Scenario(module="bench.page", about="no run: write the page of the results anew from bench/results"),
}
"""The scenarios by name; a new one is a module and a row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """The options of a run; rates in messages/s, spans in seconds, `pad` in bytes of text per message.

    `events` is the largest number of rows that a scenario works with: stored events, due retries, endpoints, updates
    of one POST.
    """

    scenario: str
    database: Literal["sqlite", "postgresql"] = "sqlite"
    systems: tuple[str, ...] = SYSTEM_NAMES
    rounds: int = 3
    messages: int = 4000
    contacts: int = 1000
    connections: int = 64
    processes: int = 2
    pad: int = 560
    events: int = 1_000_000
    rate: float = 100.0
    seconds: float = 10.0
    equal_rate: float = 40.0
    equal_seconds: float = 10.0
    half_seconds: float = 5.0
    limit_seconds: float = 300.0
    json: Path = Path("bench/results/end-to-end.json")
    folder: Path | None = None
    tellwire_python: Path | None = None


def parse(arguments: list[str]) -> Options:
    """Parse the command line; on a mistake print the usage and exit, as argparse does."""
    width = max(map(len, SCENARIOS))
    listed = "\n".join(
        f"  {name:<{width}}  {scenario.about}{_changed(scenario)}" for name, scenario in SCENARIOS.items()
    )
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Tellwire on this machine, over loopback: beside its peers, and under what hurts.",
        epilog=f"scenarios, with defaults of their own:\n{listed}\n\nexample: python -m bench growth --events 5000000",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("scenario", choices=SCENARIOS, metavar="SCENARIO", help="what to run, see below")
    add = parser.add_argument
    known = Options(scenario="")
    add("--systems", type=_systems, help="end-to-end: which, comma-separated; all of " + ", ".join(SYSTEM_NAMES))
    add("--database", choices=("sqlite", "postgresql"), help="all but end-to-end and many: Tellwire's store (sqlite)")
    for name, kind, about in _NUMBERS:
        add(f"--{name.replace('_', '-')}", type=kind, help=f"{about} ({getattr(known, name):,})")
    add("--json", type=Path, help="result file; the picture goes beside it as .svg (bench/results/SCENARIO.json)")
    add("--folder", type=Path, help="where databases go: a real disk, not memory (the system's temporary folder)")
    add("--tellwire-python", type=Path, help="interpreter with Tellwire's dependencies (./run's own)")
    given = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None}
    scenario = str(given["scenario"])
    store = "-postgresql" if given.get("database") == "postgresql" else ""
    place = {"json": Path("bench/results") / f"{scenario}{store}.json"}
    return Options(**(place | dict(SCENARIOS[scenario].defaults) | given))  # type: ignore[arg-type]  # argparse's types


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


_NUMBERS = (
    ("rounds", _positive, "rounds; claims need 3 or more"),
    ("messages", _positive, "messages at capacity; burst: POSTs of each size"),
    ("contacts", _positive, "contacts, each warmed by one message"),
    ("connections", _positive, "connections of the load"),
    ("processes", _positive, "many: how many share the work"),
    ("pad", _positive, "bytes of text in a message"),
    ("events", _positive, "stored events, due retries, endpoints or updates of a POST, at most"),
    ("rate", float, "messages/s of the steady load"),
    ("seconds", float, "length of the steady load"),
    ("equal_rate", float, "end-to-end: messages/s for the CPU comparison"),
    ("equal_seconds", float, "its length; 0 leaves it out"),
    ("half_seconds", float, "end-to-end: length at half capacity; 0 omits it"),
    ("limit_seconds", float, "bound of one phase"),
)


def _changed(scenario: Scenario) -> str:
    shown = ", ".join(f"--{name.replace('_', '-')} {value}" for name, value in scenario.defaults.items())
    return f" [{shown}]" if shown else ""


def _systems(text: str) -> tuple[str, ...]:
    names = text.split(",")
    unknown = sorted(set(names) - set(SYSTEM_NAMES))
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown {', '.join(unknown)}; known: {', '.join(SYSTEM_NAMES)}")
    return tuple(name for name in SYSTEM_NAMES if name in names)
