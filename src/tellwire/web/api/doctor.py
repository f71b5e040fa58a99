"""Serve `/v1/doctor`: examine the installation, for who runs it."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Annotated

from litestar import Response, post
from msgspec import Meta, Struct
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from tellwire import __version__
from tellwire.doctor import meta, public_url, server_figures
from tellwire.doctor.check import Finding, State
from tellwire.doctor.checks import CHECKS, fault, fine, works
from tellwire.doctor.public_url import WEBHOOK, Place
from tellwire.errors import NotAllowed, Unavailable
from tellwire.http_client.descriptors import descriptor_limit
from tellwire.model.agents import Agent
from tellwire.model.units import MICROS
from tellwire.stores.disks import file_system_of
from tellwire.stores.queries import agents, database_facts
from tellwire.web.api.shapes import When, when
from tellwire.web.request import ContextDependency, RequestContext
from tellwire.web.responses import json_response
from tellwire.web.services import Services

_MOST_AGENTS = 20


class FindingRead(Struct, kw_only=True):
    """What a check found."""

    check: Annotated[str, Meta(description="The name of the check, of docs/how-to/doctor.md.")]
    title: Annotated[str, Meta(description="What is true when it is ok.")]
    state: State
    about: Annotated[str | None, Meta(description="Which account, endpoint or organization; null: the installation.")]
    fault: Annotated[str | None, Meta(description="The name of what is wrong.")]
    cause: Annotated[str, Meta(description="What was seen.")]
    remedy: Annotated[str | None, Meta(description="What to do.")]
    command: Annotated[str | None, Meta(description="A command that mends it or says more.")]


class DoctorRead(Struct, kw_only=True):
    """What an examination found. `works`: nothing is broken."""

    works: bool
    version: str
    python: str
    at: When
    checks: list[FindingRead]


@post("/doctor", summary="Examine the installation", opt={"scopes": ("admin",)}, status_code=200)
async def examine(context: ContextDependency) -> Response[DoctorRead]:
    """Check the public URL by requests to it, ask Meta about every account with its token, and look at the server's own
    figures. Nothing is changed. For operators only."""
    if not context.caller.operator:
        raise NotAllowed("Only who runs the installation may have it examined.")
    services = context.services
    now = services.clock.now()
    place = _place(services)
    accounts = list(services.store.registry().accounts.values())
    secrets = [(secret.value, secret.bound_to) for secret in services.settings.meta_app_secret]
    callback = f"{place.public_url.rstrip('/')}{WEBHOOK}" if place.public_url else ""
    before = await services.watch.lines()  # our own handshake ends what the verdict says of a refused one
    found: list[Finding] = [
        *await public_url.examine(services.probe, place, now / MICROS),
        *await meta.examine(services.graph, accounts, meta.Ours(callback, secrets), now / MICROS),
        *await _database(context),
        server_figures.of_descriptors(descriptor_limit()),
        *await _models(context),
    ]
    lines = {line.about: line for line in (*before, *await services.watch.lines())}  # Graph has told what time it is
    found += server_figures.of_verdict(list(lines.values()))
    order = {name: number for number, name in enumerate(CHECKS)}
    found.sort(key=lambda each: order[each.check])
    return json_response(
        DoctorRead(
            works=works(found),
            version=__version__,
            python=platform.python_version(),
            at=when(now) or "",
            checks=[_shown(each) for each in found],
        )
    )


def _place(services: Services) -> Place:
    settings = services.settings
    shared = [
        (
            each.value,
            "META_APP_SECRET" if len(settings.meta_app_secret) == 1 else f"secret {number} of META_APP_SECRET",
            "",
        )
        for number, each in enumerate(settings.meta_app_secret, 1)
    ]
    own = [
        (account.app_secret, f"the app secret of the account {account.phone_number_id}", account.phone_number_id)
        for account in services.store.registry().accounts.values()
        if account.app_secret
    ][: meta.MOST_ACCOUNTS]
    return Place(
        public_url=settings.public_url,
        local_url=settings.local_url,
        hosts=settings.accepted_hosts,
        verify_token=settings.meta_verify_token,
        secrets=[*shared, *own],
    )


async def _database(context: RequestContext) -> Sequence[Finding]:
    settings, clock = context.services.settings, context.services.clock
    path = settings.sqlite_path
    kind = file_system_of(path) if path else ""
    try:
        facts = await context.read(lambda c: database_facts.read(c, clock.now(), file_system=kind))
        used = await context.read(lambda c: database_facts.used(c, settings.quotas, clock.now()))
    except (DBAPIError, Unavailable) as error:
        return [fault("database", "unread", str(getattr(error, "orig", error)))]
    return [*server_figures.of_database(facts), *server_figures.of_quotas(used)]


async def _models(context: RequestContext) -> list[Finding]:
    def read(connection: Connection) -> list[Agent]:
        return agents.answering(connection, context.services.store.vault, most=_MOST_AGENTS)

    trial = context.services.agent_trial
    found = [
        fault("models", "unreached", f"{obstacle[0].lstrip('/')} {obstacle[1]}.", about=agent.name)
        for agent in await context.read(read)
        if (obstacle := await trial.obstacle(agent))
    ]
    return found or [fine("models")]


def _shown(finding: Finding) -> FindingRead:
    return FindingRead(
        check=finding.check,
        title=CHECKS[finding.check].title,
        state=finding.state,
        about=finding.about or None,
        fault=finding.fault or None,
        cause=finding.cause,
        remedy=finding.remedy or None,
        command=finding.command or None,
    )


HANDLERS = (examine,)
