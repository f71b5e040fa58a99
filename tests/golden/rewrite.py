"""Write the golden files of the wire formats and of alerts anew from their cases, and remove those without one.

usage: PYTHONPATH=src:sdk/src:. python -m tests.golden.rewrite      then read the difference before committing it
"""

from __future__ import annotations

from tests.golden.alerts import cases as alerts
from tests.golden.formats.cases import CASES, FOLDER


def main() -> None:
    """Rewrite every file."""
    for stale in set(FOLDER.glob("*/*.json")) - {case.path for case in CASES}:
        stale.unlink()
    for case in CASES:
        body = case.body()
        assert body is not None, case.name
        case.path.parent.mkdir(exist_ok=True)
        case.path.write_bytes(body)
    for path, text in alerts.texts().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
