"""Docs can't rot: what is made from code equals it, and every link leads somewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from bench import page as results

from tellwire import settings
from tellwire.cli import COMMANDS
from tellwire.meta.outgoing import reference_page as limits
from tellwire.web.operations import metrics

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

GENERATED: dict[str, tuple[Callable[[], str], str]] = {
    "docs/reference/settings.md": (settings.reference, "./run config --reference > docs/reference/settings.md"),
    "docs/reference/metrics.md": (metrics.reference, "./run config --metrics > docs/reference/metrics.md"),
    "docs/reference/sending-limits.md": (
        limits.reference,
        "./run config --sending-limits > docs/reference/sending-limits.md",
    ),
    "docs/reference/performance.md": (results.made, "python -m bench page"),
}
"""Page → what it must equal, and the command that makes it so."""


@pytest.mark.parametrize("page", GENERATED)
def test_page_is_what_the_code_says(page: str) -> None:
    made, command = GENERATED[page]
    assert (ROOT / page).read_text() == made(), f"run: {command}"


@pytest.mark.parametrize("page", [str(path.relative_to(ROOT)) for path in PAGES])
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        address, _, anchor = target.partition("#")
        if "://" in address or address.startswith("mailto:"):
            continue
        there = (path.parent / address).resolve() if address else path
        assert there.exists(), f"{page} links to {target}"
        if anchor and there.suffix == ".md":
            assert anchor in _anchors(there), f"{page} links to {target}"


def _anchors(path: Path) -> set[str]:
    headings = re.findall(r"(?m)^#+ (.+)$", path.read_text())
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_no_two_decisions_share_a_number() -> None:
    numbers = [path.name[:4] for path in (ROOT / "docs/decisions").glob("*.md")]
    assert all(re.fullmatch(r"[0-9]{4}", number) for number in numbers)
    assert sorted(set(numbers)) == sorted(numbers)


def test_the_readme_quotes_the_ratio_that_the_bench_printed() -> None:
    result = json.loads((ROOT / "bench/results/end-to-end.json").read_text())
    [claim] = [each for each in result["claims"] if each["title"] == "messages/s, tellwire / user-built"]
    assert f"**{claim['value']:.1f}×**" in (ROOT / "README.md").read_text()


def test_the_readmes_commands_are_commands() -> None:
    shown = set(re.findall(r"(?m)^\./run (\w+)", (ROOT / "README.md").read_text()))
    assert {"dev", "test"} <= shown
    assert shown <= {"dev", "test", "check", "lock", *COMMANDS}
