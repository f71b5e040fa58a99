"""Serve `/v1/verdict`: what does not work just now, with cause and remedy."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import Response, get
from msgspec import Meta, Struct
from msgspec.structs import asdict

from tellwire.verdict import remedies, rules
from tellwire.verdict.rules import Line
from tellwire.web.api.shapes import Id, When, when
from tellwire.web.request import ContextDependency, RequestContext
from tellwire.web.responses import json_response


class ActionRead(Struct, kw_only=True):
    """A call that mends it, or says more: a POST without a body."""

    method: Literal["POST"]
    path: str
    label: Annotated[str, Meta(description="What a button for it says.")]
    scope: Annotated[str, Meta(description="The scope that the call takes.")]


class LineRead(Struct, kw_only=True):
    """Something that does not work just now."""

    id: Annotated[str, Meta(description="The same as long as it is the same trouble.")]
    kind: Annotated[str, Meta(description="One of the kinds of docs/how-to/operate.md.")]
    organization_id: Annotated[str | None, Meta(description="Whose trouble it is; null for the installation's.")]
    phone_number_id: str | None
    endpoint_id: Annotated[str | None, Meta(description="The webhook endpoint that it is about.")]
    severity: Annotated[
        Literal["warning", "critical"],
        Meta(description="`critical`: messages do not come or do not go, or soon will not."),
    ]
    title: str
    cause: str
    since: Annotated[When | None, Meta(description="Since when, as far as is known.")]
    hurts: Annotated[str, Meta(description="Whom or what it hurts, in words.")]
    count: Annotated[
        int | None, Meta(description="How many wait because of it, 10,000 at the most; null: not counted.")
    ]
    remedy: str
    command: Annotated[str | None, Meta(description="A command that mends it.")]
    action: ActionRead | None


class WaitingRead(Struct, kw_only=True):
    """A queue in which deliveries wait."""

    endpoint_id: Id
    oldest_at: Annotated[When | None, Meta(description="When the oldest delivery that waits was recorded.")]


class VerdictRead(Struct, kw_only=True):
    """Whether it works, as of the last 5 seconds: `lines` holds what does not, the gravest first."""

    works: bool
    lines: list[LineRead]
    waiting: Annotated[
        list[WaitingRead], Meta(description="The endpoints of the organization with live deliveries waiting.")
    ]


@get("/verdict", summary="What does not work", opt={"scopes": ("read",)})
async def read_verdict(context: ContextDependency) -> Response[VerdictRead]:
    """What does not work: of everything for operators, else of the organization's accounts and endpoints. An empty
    list of lines means that all works."""
    watch = context.services.watch
    every = await watch.lines()
    lines = every if context.caller.operator else rules.seen_by(every, context.organization_id)
    mine = {
        each.id
        for each in context.services.store.registry().endpoints.values()
        if each.organization_id == context.organization_id
    }
    waiting = [
        WaitingRead(endpoint_id=endpoint_id, oldest_at=when(at))
        for endpoint_id, at in sorted(watch.oldest.items(), key=lambda pair: pair[1])
        if endpoint_id in mine
    ]
    return json_response(VerdictRead(works=not lines, lines=[_shown(context, line) for line in lines], waiting=waiting))


def _shown(context: RequestContext, line: Line) -> LineRead:
    """Return a line as it is shown; what another organization's key has to do is offered to nobody else."""
    ours = line.organization_id in ("", context.organization_id)
    action = remedies.action_of(line) if ours else None
    return LineRead(
        id=".".join(part for part in line.about if part),
        kind=line.kind,
        organization_id=line.organization_id or None,
        phone_number_id=line.phone_number_id or None,
        endpoint_id=line.endpoint_id or None,
        severity=line.severity,
        title=line.title,
        cause=line.cause,
        since=when(line.since),
        hurts=line.hurts,
        count=line.count or None,
        remedy=line.remedy,
        command=remedies.command_of(line) or None,
        action=ActionRead(**asdict(action)) if action else None,
    )


HANDLERS = (read_verdict,)
