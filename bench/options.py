"""The command line of `python -m bench`; standard library only, so that any Python can start it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

SYSTEM_NAMES = ("user-built", "bare", "tellwire")
"""The systems compared, in the order of each round."""

SCENARIOS = {"end-to-end": "bench.scenarios.end_to_end"}
"""Scenario → the module whose `run(options)` carries it out; a new scenario is a module and a row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What was asked for; rates in messages/s, spans in seconds, `pad` in bytes of text per message."""

    scenario: str
    systems: tuple[str, ...] = SYSTEM_NAMES
    rounds: int = 3
    messages: int = 4000
    contacts: int = 5000
    connections: int = 64
    pad: int = 560
    equal_rate: float = 40.0
    equal_seconds: float = 10.0
    half_seconds: float = 5.0
    limit_seconds: float = 300.0
    json: Path = Path("bench/results/end-to-end.json")
    folder: Path | None = None
    tellwire_python: Path | None = None


def parse(arguments: list[str]) -> Options:
    """Read the command line; prints the usage and exits on a mistake, as argparse does."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Tellwire beside its peers, on this machine, over loopback.",
        epilog="example: python -m bench end-to-end --rounds 3 --json bench/results/end-to-end.json",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    known = Options(scenario="")
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("--systems", type=_systems, default=",".join(SYSTEM_NAMES), help="which, comma-separated")
    parser.add_argument("--rounds", type=_positive, default=known.rounds, help="rounds; claims need 3 or more")
    parser.add_argument("--messages", type=_positive, default=known.messages, help="messages at capacity")
    parser.add_argument("--contacts", type=_positive, default=known.contacts, help="contacts, each warmed by one")
    parser.add_argument("--connections", type=_positive, default=known.connections, help="connections of the load")
    parser.add_argument("--pad", type=_positive, default=known.pad, help="bytes of text in a message")
    parser.add_argument("--equal-rate", type=float, default=known.equal_rate, help="messages/s for the CPU comparison")
    parser.add_argument("--equal-seconds", type=float, default=known.equal_seconds, help="its length; 0 leaves it out")
    parser.add_argument("--half-seconds", type=float, default=known.half_seconds, help="at half capacity; 0 omits it")
    parser.add_argument("--limit-seconds", type=float, default=known.limit_seconds, help="bound of one phase")
    parser.add_argument("--json", type=Path, help="result file; the picture goes beside it as .svg")
    parser.add_argument("--folder", type=Path, help="where databases go: a real disk, not memory")
    parser.add_argument("--tellwire-python", type=Path, help="interpreter with Tellwire's dependencies")
    given = vars(parser.parse_args(arguments))
    given["json"] = given["json"] or Path("bench/results") / f"{given['scenario']}.json"
    return Options(**given)


def _systems(text: str) -> tuple[str, ...]:
    names = text.split(",")
    unknown = sorted(set(names) - set(SYSTEM_NAMES))
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown {', '.join(unknown)}; known: {', '.join(SYSTEM_NAMES)}")
    return tuple(name for name in SYSTEM_NAMES if name in names)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number
