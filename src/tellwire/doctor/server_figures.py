"""PURE. What the server's own figures say: its verdict, its database, its limits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from tellwire.doctor.check import Finding, State
from tellwire.doctor.checks import fault, fine
from tellwire.model.quotas import QuotaName
from tellwire.verdict import remedies
from tellwire.verdict.rules import Line

OLDEST_SQLITE, OLDEST_POSTGRES = (3, 35), (14,)
NETWORK_FILE_SYSTEMS = frozenset(
    ("9p", "afs", "ceph", "cifs", "fuse.sshfs", "glusterfs", "lustre", "nfs", "nfs4", "smb3")
)
_CLOCK_SECONDS = 10.0
_FEW_DESCRIPTORS = 1024
_NEAR = 0.9

OF_VERDICT: Mapping[str, tuple[str, State]] = {
    "store_failing": ("commits", "broken"),
    "disk_nearly_full": ("disk", "broken"),
    "clock_off": ("clock", "broken"),
    "app_secret_missing": ("refused", "broken"),
    "app_secret_wrong": ("refused", "broken"),
    "verify_token_wrong": ("refused", "warning"),
    "number_unknown": ("unrouted", "broken"),
    "secret_of_another": ("unrouted", "broken"),
    "number_silent": ("silent", "warning"),
    "account_paused": ("accounts", "broken"),
    "account_problem": ("accounts", "warning"),
    "endpoint_failing": ("endpoints", "broken"),
    "endpoint_behind": ("endpoints", "warning"),
    "endpoint_disabled": ("endpoints", "broken"),
    "alerts_failing": ("alerts", "broken"),
}
"""Kind of a line of the verdict → its check here, and how grave it is."""


class Database(Struct, frozen=True, kw_only=True):
    """What a database says of itself. `journal` and `file_system` are of SQLite; `ahead`: by how many seconds the
    server's clock is ahead of the database's."""

    kind: str
    version: str
    journal: str = ""
    file_system: str = ""
    ahead: float = 0.0


class Used(Struct, frozen=True):
    """How much an organization has of what a quota bounds."""

    organization_id: str
    quota: QuotaName
    count: int
    bound: int


def of_verdict(lines: Sequence[Line]) -> list[Finding]:
    """Return the lines of the verdict as findings, and which of its checks found nothing."""
    found = [_of_line(line) for line in lines]
    seen = {each.check for each in found}
    checks = dict.fromkeys(check for check, _ in OF_VERDICT.values())
    return [*found, *(fine(check) for check in checks if check not in seen)]


def _of_line(line: Line) -> Finding:
    check, state = OF_VERDICT[line.kind]
    return Finding(
        check=check,
        state=state,
        about=line.endpoint_id or line.phone_number_id,
        fault=line.kind,
        cause=line.cause,
        remedy=line.remedy,
        command=remedies.command_of(line),
    )


def of_database(database: Database) -> Iterator[Finding]:
    """Yield what is found about the database."""
    name = f"{database.kind} {database.version}"
    faults = []
    if database.file_system in NETWORK_FILE_SYSTEMS:
        faults.append(fault("database", "network", f"It lies on {database.file_system}."))
    if database.kind == "SQLite" and database.journal.lower() != "wal":
        faults.append(fault("database", "journal", f"Its journal is {database.journal}, not WAL."))
    oldest = OLDEST_SQLITE if database.kind == "SQLite" else OLDEST_POSTGRES
    if numbers(database.version) < oldest:
        faults.append(fault("database", "old", f"{name} is older than {'.'.join(map(str, oldest))}."))
    yield from faults or [fine("database", name)]
    if database.kind == "SQLite":
        return
    if abs(database.ahead) > _CLOCK_SECONDS:
        yield fault("database_clock", "differ", f"They differ by {abs(database.ahead):.0f} s.")
    else:
        yield fine("database_clock")


def numbers(version: str) -> tuple[int, ...]:
    """Return the numbers that a version begins with."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


def of_descriptors(limit: int) -> Finding:
    """Return whether a process may open enough files."""
    if limit < _FEW_DESCRIPTORS:
        return fault("descriptors", "few", f"It may open {limit}.")
    return fine("descriptors", f"{limit:,}")


def of_quotas(used: Iterable[Used]) -> list[Finding]:
    """Return the quotas that are nearly used up."""
    near = [each for each in used if each.count >= _NEAR * each.bound and each.count > 1]
    return [
        fault(
            "quotas",
            "near",
            f"It has {each.count} of {each.bound} {each.quota.replace('_', ' ')} (QUOTA_{each.quota.upper()}).",
            about=each.organization_id,
        )
        for each in near
    ] or [fine("quotas")]
