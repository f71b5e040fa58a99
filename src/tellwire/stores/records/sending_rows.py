"""Rows of what goes out as records of the model, and back: one place for every dialect."""

from __future__ import annotations

import os
from collections.abc import Iterable
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from tellwire.model.agents import Agent, AgentRun, AgentTurn
from tellwire.model.ledger import Handover, KeptAnswer, Ledger, TemplateChange
from tellwire.model.messaging import Media, Send
from tellwire.model.tenancy import Account
from tellwire.model.units import Micros
from tellwire.security.vault import Vault
from tellwire.stores.records import ledger_rows

_encode = msgspec.json.Encoder().encode

SEND = Send.__struct_fields__
MEDIA = Media.__struct_fields__
TURN = AgentTurn.__struct_fields__

send_row = attrgetter(*SEND)
media_row = attrgetter(*MEDIA)
turn_row = attrgetter(*TURN)


def send(row: Any) -> Send:
    """A record of the columns in `SEND`'s order."""
    values = dict(zip(SEND, row, strict=True))
    values["unchecked"] = bool(values["unchecked"])
    return Send(**values)


def turn(row: Any) -> AgentTurn:
    """A record of the columns in `TURN`'s order."""
    return AgentTurn(**dict(zip(TURN, row, strict=True)))


_AGENT_COLUMNS = ("id", "organization_id", "name", "kind", "state", "options", "debounce", "created_at", "updated_at")


def agent(row: Any, vault: Vault) -> Agent:
    """An agent of a mapping of its columns."""
    secrets = msgspec.json.decode(vault.unseal(row["sealed"], f"agents/{row['id']}"), type=dict[str, str])
    return Agent(**{name: row[name] for name in _AGENT_COLUMNS}, secrets=secrets)


def agent_values(value: Agent, vault: Vault) -> dict[str, Any]:
    """The columns of an agent, its secrets sealed."""
    columns = {name: getattr(value, name) for name in _AGENT_COLUMNS}
    return columns | {"sealed": vault.seal(_encode(value.secrets).decode(), f"agents/{value.id}")}


MEDIA_KEY = "media"
"""The name of the key that links to media are signed with (`sealed_keys`)."""


def media_key(sealed: str | None, vault: Vault, *, lenient: bool) -> bytes:
    """That key; b"" while there is none, and with `lenient` when no master key opens it."""
    return (
        next(
            ledger_rows.opened(
                lambda row, vault: ledger_rows.sealed_key(row, vault, MEDIA_KEY), [sealed], vault, lenient=lenient
            ),
            b"",
        )
        if sealed
        else b""
    )


def new_media_key(vault: Vault) -> str:
    """A new one, sealed."""
    return ledger_rows.key_sealed(os.urandom(32), vault, MEDIA_KEY)


RUN = AgentRun.__struct_fields__
run_row = attrgetter(*RUN)
HANDOVER = ("organization_id", "conversation_id", "reason", "handed_by")


class TemplateUpdate(NamedTuple):
    """The columns of a template to set, and the parameters: their values, then what the row is known by."""

    columns: list[str]
    values: list[Any]


def template_update(change: TemplateChange, now: Micros) -> TemplateUpdate:
    """What a change that Meta told of sets."""
    known = (change.organization_id, change.waba_id, change.meta_id, change.name, change.language)
    return TemplateUpdate([*change.values, "updated_at"], [*change.values.values(), now, *known])


_SOON = 10_000_000
_APART = 60_000_000


class SyncRequest(NamedTuple):
    """The parameters of the statement that has the templates of a business account synchronised soon.

    `due_at` is when, yet at least `apart` micros after the last time.
    """

    asked_at: Micros
    due_at: Micros
    apart: Micros
    organization_id: str
    waba_id: str


def sync_request(change: TemplateChange, now: Micros) -> SyncRequest:
    """Ask for a synchronisation soon, yet not twice in a minute."""
    return SyncRequest(now, now + _SOON, _APART, change.organization_id, change.waba_id)


def account_changes(account: Account) -> dict[str, Any]:
    """The columns of an account that Meta's answers and webhooks may change."""
    names = ("display_phone_number", "name", "sending_paused", "about", "updated_at")
    return {name: getattr(account, name) for name in names}


class AnswerRow(NamedTuple):
    """The columns of a kept answer, which is sealed."""

    organization_id: str
    key: str
    request_hash: str
    status: int
    answer: bytes
    created_at: Micros


def answer_row(vault: Vault, organization_id: str, key: str, answer: KeptAnswer, now: Micros) -> AnswerRow:
    """An answer as it is stored."""
    body = sealed(vault, organization_id, key, answer.body)
    return AnswerRow(organization_id, key, answer.request_hash, answer.status, body, now)


def know_agents(ledger: Ledger, turns: Iterable[Any], handovers: Iterable[Any]) -> None:
    """Put turns, and hand-overs in the order of `HANDOVER`, into a ledger as they are stored."""
    for row in turns:
        ledger.turns[row[1]] = turn(row)
    for row in handovers:
        ledger.handovers[row[1]] = Handover(*row)


_DAY: Micros = 24 * 3600 * 1_000_000


class AgentUse(NamedTuple):
    """What an agent has used up on a day, as the columns of its row."""

    organization_id: str
    agent_id: str
    day: int
    replies: int
    tokens: int


def day_of(at: Micros) -> int:
    """Days since 1970-01-01 in UTC."""
    return at // _DAY


def use_rows(runs: Iterable[AgentRun]) -> list[AgentUse]:
    """What runs add to the use of their agents, by day."""
    found: dict[tuple[str, str, int], AgentUse] = {}
    for run in runs:
        place = (run.organization_id, run.agent_id, day_of(run.finished_at))
        use = found.get(place) or AgentUse(*place, replies=0, tokens=0)
        tokens = use.tokens + run.input_tokens + run.output_tokens
        found[place] = use._replace(replies=use.replies + bool(run.message_id), tokens=tokens)
    return list(found.values())


def sealed(vault: Vault, organization_id: str, key: str, body: bytes) -> bytes:
    """An answer as it is stored."""
    return vault.seal(body.decode(), sealed_place(organization_id, key)).encode()


def sealed_place(organization_id: str, key: str) -> str:
    """What a kept answer is sealed for."""
    return f"idempotency/{organization_id}/{key}"
