"""PURE. Every check of the doctor in one table, and how a finding is made of it.

`tellwire doctor --reference` prints the table as docs/how-to/doctor.md. Commands import it: nothing heavy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import convert

from tellwire.doctor.check import Check, Finding
from tellwire.doctor.checks_here import HERE
from tellwire.doctor.checks_meta import META
from tellwire.doctor.checks_public import PUBLIC
from tellwire.doctor.checks_server import SERVER

CHECKS: Mapping[str, Check] = {**HERE, **PUBLIC, **META, **SERVER}
"""Every check by its name, in the order in which they are told."""


def fine(check: str, cause: str = "", *, about: str = "") -> Finding:
    """Return that a check found nothing wrong."""
    return Finding(check=check, state="ok", about=about, cause=cause)


def fault(check: str, name: str, cause: str, *, about: str = "", **given: str) -> Finding:
    """Return what a check found wrong; `given` goes into the command."""
    known = CHECKS[check].faults[name]
    return Finding(
        check=check,
        state=known.state,
        about=about,
        fault=name,
        cause=cause,
        remedy=known.remedy,
        command=known.command.format(**given),
    )


def read(row: Mapping[str, object]) -> Finding:
    """Return a finding out of an answer of the server; its other fields are left out."""
    return convert({name: value or "" for name, value in row.items()}, Finding)


def works(findings: Iterable[Finding]) -> bool:
    """Return whether nothing is broken; warnings and what cannot be checked are not."""
    return all(each.state != "broken" for each in findings)
