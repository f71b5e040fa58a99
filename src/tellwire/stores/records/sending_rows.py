"""Conversions between rows and records of what is sent, for every database."""

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
from tellwire.model.units import DAY, Micros
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
    """Return the send that a row holds, with the columns in `SEND`'s order."""
    values = dict(zip(SEND, row, strict=True))
    for flag in ("unchecked", "despite_stop"):
        values[flag] = bool(values[flag])
    return Send(**values)


def turn(row: Any) -> AgentTurn:
    """Return the turn that a row holds, with the columns in `TURN`'s order."""
    return AgentTurn(**dict(zip(TURN, row, strict=True)))


_AGENT_COLUMNS = ("id", "organization_id", "name", "kind", "state", "options", "debounce", "created_at", "updated_at")


def agent(row: Any, vault: Vault) -> Agent:
    """Return the agent that a mapping of columns holds."""
    secrets = msgspec.json.decode(vault.unseal(row["sealed"], f"agents/{row['id']}"), type=dict[str, str])
    return Agent(**{name: row[name] for name in _AGENT_COLUMNS}, secrets=secrets)


def agent_values(value: Agent, vault: Vault) -> dict[str, Any]:
    """Return the columns of an agent, its secrets sealed."""
    columns = {name: getattr(value, name) for name in _AGENT_COLUMNS}
    return columns | {"sealed": vault.seal(_encode(value.secrets).decode(), f"agents/{value.id}")}


MEDIA_KEY = "media"
"""The name of the key that links to media are signed with (`sealed_keys`)."""


def media_key(sealed: str | None, vault: Vault, *, lenient: bool) -> bytes:
    """Return the key `MEDIA_KEY`; b"" while there is none, and with `lenient` when no master key opens it."""
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
    """Return a new random key for links to media, sealed."""
    return ledger_rows.key_sealed(os.urandom(32), vault, MEDIA_KEY)


RUN = AgentRun.__struct_fields__
run_row = attrgetter(*RUN)
HANDOVER = ("organization_id", "conversation_id", "reason", "handed_by")


class TemplateUpdate(NamedTuple):
    """The columns of a template to set, and the parameters: their values, then those that identify the row."""

    columns: list[str]
    values: list[Any]


def template_update(change: TemplateChange, now: Micros) -> TemplateUpdate:
    """Return the update for a change that a webhook of Meta reported."""
    known = (change.organization_id, change.waba_id, change.meta_id, change.name, change.language)
    return TemplateUpdate([*change.values, "updated_at"], [*change.values.values(), now, *known])


_SYNC_DELAY = 10_000_000
_SYNC_INTERVAL = 60_000_000


class SyncRequest(NamedTuple):
    """The parameters of the statement that requests an early synchronisation of a business account's templates.

    It is due at `due_at`, but at least `interval` micros after the last one.
    """

    asked_at: Micros
    due_at: Micros
    interval: Micros
    organization_id: str
    waba_id: str


def sync_request(change: TemplateChange, now: Micros) -> SyncRequest:
    """Return the request for a synchronisation in ten seconds, but not twice in a minute."""
    return SyncRequest(now, now + _SYNC_DELAY, _SYNC_INTERVAL, change.organization_id, change.waba_id)


def account_changes(account: Account) -> dict[str, Any]:
    """Return the columns of an account that Meta's answers and webhooks may change."""
    names = ("display_phone_number", "name", "sending_paused", "about", "updated_at")
    return {name: getattr(account, name) for name in names}


class AnswerRow(NamedTuple):
    """The columns of a stored answer, which is sealed."""

    organization_id: str
    key: str
    request_hash: str
    status: int
    answer: bytes
    created_at: Micros


def answer_row(vault: Vault, organization_id: str, key: str, answer: KeptAnswer, now: Micros) -> AnswerRow:
    """Return the row of an answer, sealed."""
    body = sealed(vault, organization_id, key, answer.body)
    return AnswerRow(organization_id, key, answer.request_hash, answer.status, body, now)


def add_agents(ledger: Ledger, turns: Iterable[Any], handovers: Iterable[Any]) -> None:
    """Add stored turns, and handovers with the columns in `HANDOVER`'s order, to a ledger."""
    for row in turns:
        ledger.turns[row[1]] = turn(row)
    for row in handovers:
        ledger.handovers[row[1]] = Handover(*row)


class AgentUse(NamedTuple):
    """What an agent used on a day, as the columns of its row."""

    organization_id: str
    agent_id: str
    day: int
    replies: int
    tokens: int


def day_of(at: Micros) -> int:
    """Return the days since 1970-01-01 in UTC."""
    return at // DAY


def use_rows(runs: Iterable[AgentRun]) -> list[AgentUse]:
    """Return the replies and tokens that runs add to the use of their agents, by day."""
    found: dict[tuple[str, str, int], AgentUse] = {}
    for run in runs:
        place = (run.organization_id, run.agent_id, day_of(run.finished_at))
        use = found.get(place) or AgentUse(*place, replies=0, tokens=0)
        tokens = use.tokens + run.input_tokens + run.output_tokens
        found[place] = use._replace(replies=use.replies + bool(run.message_id), tokens=tokens)
    return list(found.values())


def sealed(vault: Vault, organization_id: str, key: str, body: bytes) -> bytes:
    """Return the body of a stored answer, sealed."""
    return vault.seal(body.decode(), sealed_place(organization_id, key)).encode()


def sealed_place(organization_id: str, key: str) -> str:
    """Return the context that a stored answer is sealed for."""
    return f"idempotency/{organization_id}/{key}"
