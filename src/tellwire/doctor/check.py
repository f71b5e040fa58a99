"""PURE. A check of the doctor, what can be wrong with it, and what it found. Commands import it: nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

State = Literal["ok", "warning", "broken", "unknown"]
"""`unknown`: it cannot be checked."""
STATES: Mapping[State, str] = {
    "ok": "ok",
    "warning": "warning",
    "broken": "broken",
    "unknown": "cannot be checked",
}
"""The states in words."""


class Fault(Struct, frozen=True):
    """Something that can be wrong: what state that is, what to do, and a command that mends it or says more."""

    state: State
    remedy: str
    command: str = ""


class Check(Struct, frozen=True):
    """A check: what is true when it is ok, and what can be wrong by name."""

    title: str
    faults: Mapping[str, Fault]


class Finding(Struct, frozen=True, kw_only=True):
    """What a check found. `about`: which account, endpoint or file it is about, "" for the installation; `fault`: which
    of the check's faults, "" when it is ok; `cause`: what was seen, in words."""

    check: str
    state: State
    about: str = ""
    fault: str = ""
    cause: str = ""
    remedy: str = ""
    command: str = ""
