"""Ask whether advisories are known about what requirements.lock pins: `./run advisories`.

pip-audit asks pypi.org, or the OSV service that the variable ADVISORIES_OSV_URL names. Exit 1 when an advisory is
known; 0 when none is, and when that could not be asked, which the last line then says (decision 0019).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

LOCK = Path(__file__).parents[1] / "requirements.lock"
_SECONDS = 120
_SECONDS_EACH = "10"
_PYPI = "https://pypi.org/simple"


def main(lock: Path) -> int:
    """Check a lock, and print what is known of it."""
    service = os.environ.get("ADVISORIES_OSV_URL", "")
    index = _index()
    if not service and urlsplit(index).hostname != urlsplit(_PYPI).hostname:
        return _unchecked("advisories are asked of pypi.org, and packages come from another index here", lock)
    answer = _ask(lock, ["-s", "osv", "--osv-url", service] if service else ["-s", "pypi"])
    if isinstance(answer, str):
        return _unchecked(answer, lock)
    known = [(each, vuln) for each in answer for vuln in each.get("vulns", ())]
    for each, vuln in known:
        fixed = ", ".join(vuln["fix_versions"]) or "no version yet"
        _say(f"{each['name']} {each['version']} has {vuln['id']}, fixed in {fixed}: ./run lock --upgrade-package …")
    skipped = [each for each in answer if "skip_reason" in each]
    if known:
        return 1
    if len(skipped) == len(answer):
        return _unchecked(skipped[0]["skip_reason"] if skipped else "it pins nothing", lock)
    _say(f"nothing is known about {len(answer) - len(skipped)} of {len(answer)} packages")
    if skipped:
        return _unchecked(f"for {', '.join(each['name'] for each in skipped)}", lock)
    return 0


def _ask(lock: Path, service: list[str]) -> list[dict[str, Any]] | str:
    """Return what is known of each package, or why that cannot be told."""
    with tempfile.TemporaryDirectory() as cache:
        asked = ["-r", str(lock), "--require-hashes", "--disable-pip", "-f", "json", "--cache-dir", cache]
        command = [sys.executable, "-m", "pip_audit", *asked, "--timeout", _SECONDS_EACH, *service]
        try:
            done = subprocess.run(  # noqa: S603 - our own arguments
                [*command, "--progress-spinner", "off"], capture_output=True, text=True, timeout=_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return f"no answer within {_SECONDS} s"
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return (done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1][:300]
    return found


def _index() -> str:
    """Return the index that packages come from."""
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        if given := os.environ.get(name):
            return given
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own arguments
    return done.stdout.strip() or _PYPI


def _unchecked(why: str, lock: Path) -> int:
    _say(f"{lock.name} COULD NOT BE CHECKED: {why}")
    return 0


def _say(words: str) -> None:
    print(f"advisories: {words}", flush=True)  # noqa: T201 - its answer


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else LOCK))
