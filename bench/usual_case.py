"""Measure the usual figures and the list calls, on databases that are filled once and used by every round."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench import lists
from bench.load_process import LoadProcess
from bench.options import Options
from bench.report import Run
from bench.rounds import say, troubles
from bench.stage import SECRET, USUAL, FilledDatabase, usual

METRICS = [*USUAL, *lists.METRICS]


@dataclass(frozen=True, slots=True)
class UsualCase:
    """The case runner of such a scenario. `listed`: the index of the filled endpoint that the list calls ask for."""

    options: Options
    kept: dict[str, FilledDatabase]
    load: LoadProcess
    listed: int = 0

    def one(self, number: int, case: str, folder: Path) -> Run:
        """Start Tellwire on the case's database, run the usual phases, then the list calls."""
        kept = self.kept[case]
        with kept.serving(folder, fresh=False) as served:
            self.load.aim(served.aim(SECRET))
            figures, phases = usual(number, case, self.load, served, self.options)
            found, each = lists.timed(served, kept.filled.endpoints[self.listed])
        slowest = max(each, key=each.__getitem__)
        say(f"round {number}  {case:<18}  lists: slowest {slowest}, p95 {each[slowest]:.1f} ms")
        return Run(
            round=number,
            case=case,
            figures=figures | found,
            phases=phases,
            troubles=troubles(phases),
            more={"lists_p95_ms": each, "filled": kept.filled},
        )
