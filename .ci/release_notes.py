"""Print what the changelog says of the release that a tag names: `python3 .ci/release_notes.py v1.2.3`.

Exit 1 when the tag is not the version of the code, or the changelog has no such release with something in it; so a
release is stopped before it begins. Needs nothing but Python.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
VERSIONS = ("src/tellwire/__init__.py", "sdk/src/tellwire_sdk/__init__.py")


class NotReadyError(Exception):
    """What the tag names cannot be released; the text says why, and what to do."""


def notes(tag: str, versions: dict[str, str], changelog: str) -> str:
    """Return the changelog's words about a tag's version.

    Args:
        tag: such as v1.2.3.
        versions: the file that states a version → that version.
        changelog: the text of CHANGELOG.md.

    Raises:
        NotReadyError: the files or the changelog do not name the tag's version.
    """
    version = tag.removeprefix("v")
    for path, stated in versions.items():
        if tag != f"v{stated}":
            raise NotReadyError(f"the tag is {tag}, and {path} says {stated}: tag v{stated}, or change the version")
    found = re.search(rf"(?ms)^## \[?{re.escape(version)}\]?(?: - \d{{4}}-\d\d-\d\d)?\n(.*?)(?=^## |\Z)", changelog)
    if not found or not found[1].strip():
        raise NotReadyError(
            f'CHANGELOG.md says nothing under "## {version} - YYYY-MM-DD": rename "Unreleased" to it, and tag again'
        )
    return found[1].strip() + "\n"


def stated(path: Path) -> str:
    """Return the version that a module states."""
    found = re.search(r'(?m)^__version__ = "(.+)"$', path.read_text())
    if not found:
        raise NotReadyError(f"{path} states no version")
    return found[1]


def main(arguments: list[str]) -> int:
    """Print the notes of the tag that is named, or why there are none."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python3 .ci/release_notes.py v1.2.3\n")
        return 2
    try:
        versions = {path: stated(ROOT / path) for path in VERSIONS}
        sys.stdout.write(notes(arguments[0], versions, (ROOT / "CHANGELOG.md").read_text()))
    except NotReadyError as error:
        sys.stderr.write(f"release: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
