"""Message templates of business accounts, and their synchronisation with Meta's."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, replace
from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select, update

from tellwire.accounts.templates import DELETED, Listed, SyncCounts, Template, TemplateStatus
from tellwire.model.units import Micros
from tellwire.stores.queries.paging import Page, PageRequest, columns, newest
from tellwire.stores.schema.sending import template_syncs, templates

_LISTED = Listed.__struct_fields__
_GONE = "Meta lists it no longer"
_AT_ONCE = 500


class TemplateFilter(Struct, frozen=True, kw_only=True):
    """Filters of a list of templates; "" filters nothing."""

    waba_id: str = ""
    status: str = ""
    name: str = ""
    language: str = ""
    category: str = ""
    quality: str = ""


def page(connection: Connection, organization_id: str, chosen: TemplateFilter, request: PageRequest) -> Page[Template]:
    """Return a page of the templates of an organization."""
    query = select(templates).where(templates.c.organization_id == organization_id)
    for name, wanted in asdict(chosen).items():
        if wanted:
            query = query.where(templates.c[name] == wanted)
    return newest(connection, query, templates.c.id, request, _template)


def get(connection: Connection, organization_id: str, name: str) -> Template | None:
    """Return a template by our id or Meta's, None when there is none."""
    query = select(templates).where(
        templates.c.organization_id == organization_id, (templates.c.id == name) | (templates.c.meta_id == name)
    )
    row = connection.execute(query.order_by(templates.c.id.desc())).first()
    return None if row is None else _template(row)


def named(connection: Connection, organization_id: str, waba_id: str, name: str) -> list[Template]:
    """Return the templates of a name, one for each language."""
    query = select(templates).where(_of(organization_id, waba_id), templates.c.name == name)
    return [_template(row) for row in connection.execute(query.order_by(templates.c.language))]


def of(connection: Connection, organization_id: str, waba_id: str, name: str, language: str) -> Template | None:
    """Return the template of a name in a language, None when there is none."""
    found = named(connection, organization_id, waba_id, name)
    return next((template for template in found if template.language == language), None)


def sync_status(connection: Connection, organization_id: str, waba_id: str) -> TemplateStatus | None:
    """Return the state of a business account's synchronisation; None when it was never tried."""
    query = select(template_syncs).where(
        template_syncs.c.organization_id == organization_id, template_syncs.c.waba_id == waba_id
    )
    row = connection.execute(query).first()
    return None if row is None else TemplateStatus(**columns(row))


def sync_statuses(connection: Connection) -> list[TemplateStatus]:
    """Return the states of synchronisation of every organization."""
    return [TemplateStatus(**columns(row)) for row in connection.execute(select(template_syncs))]


def put_sync_status(connection: Connection, found: TemplateStatus) -> None:
    """Write the state of a business account's synchronisation."""
    owner = and_(template_syncs.c.organization_id == found.organization_id, template_syncs.c.waba_id == found.waba_id)
    connection.execute(delete(template_syncs).where(owner))
    connection.execute(insert(template_syncs).values(asdict(found)))


def put(connection: Connection, template: Template) -> Template:
    """Store a template; it replaces one of the same name and language, whose id stays. Return it as stored."""
    known = of(connection, template.organization_id, template.waba_id, template.name, template.language)
    if known is None:
        connection.execute(insert(templates).values(asdict(template)))
        return template
    kept = replace(template, id=known.id, created_at=known.created_at)
    connection.execute(update(templates).where(templates.c.id == known.id).values(asdict(kept)))
    return kept


def forget(connection: Connection, template: Template) -> None:
    """Delete a template that was deleted at Meta."""
    owner = templates.c.organization_id == template.organization_id
    connection.execute(delete(templates).where(owner, templates.c.id == template.id))


def keep(
    connection: Connection,
    new_id: Callable[[], str],
    *,
    of_: TemplateStatus,
    listed: Mapping[tuple[str, str], Listed],
    started: Micros,
    now: Micros,
) -> SyncCounts:
    """Make some templates of a business account, by name and language, what Meta listed for a request at `started`.

    Changes by webhooks since then are newer and stay.
    """
    owner = _of(of_.organization_id, of_.waba_id)
    query = select(templates).where(owner, templates.c.name.in_({name for name, _ in listed}))
    known = {(row.name, row.language): row for row in map(_template, connection.execute(query))}
    changed = 0
    added: list[dict[str, Any]] = []
    for place, each in listed.items():
        row = known.get(place)
        if row is None:
            made = Template(
                **asdict(each),
                id=new_id(),
                organization_id=of_.organization_id,
                waba_id=of_.waba_id,
                synchronised_at=now,
                created_at=now,
                updated_at=now,
            )
            added.append(asdict(made))
        elif row.updated_at <= started and any(getattr(row, name) != getattr(each, name) for name in _LISTED):
            values = asdict(each) | {"updated_at": now}
            connection.execute(update(templates).where(owner, templates.c.id == row.id).values(values))
            changed += 1
    if added:
        connection.execute(insert(templates), added)
    return SyncCounts(added=len(added), changed=changed, removed=0, total=len(listed))


def drop_unlisted(
    connection: Connection, *, of_: TemplateStatus, listed: Container[tuple[str, str]], started: Micros, now: Micros
) -> int:
    """Mark templates that Meta lists no longer as deleted, and return how many; the others are synchronised now."""
    owner = _of(of_.organization_id, of_.waba_id)
    kept = owner & (templates.c.status != DELETED)
    query = select(templates.c.id, templates.c.name, templates.c.language).where(
        kept, templates.c.updated_at <= started
    )
    unlisted = [row.id for row in connection.execute(query) if (row.name, row.language) not in listed]
    for start in range(0, len(unlisted), _AT_ONCE):
        some = templates.c.id.in_(unlisted[start : start + _AT_ONCE])
        values = {"status": DELETED, "reason": _GONE, "updated_at": now}
        connection.execute(update(templates).where(owner, some).values(values))
    connection.execute(update(templates).where(kept).values(synchronised_at=now))
    return len(unlisted)


def _of(organization_id: str, waba_id: str) -> ColumnElement[bool]:
    return and_(templates.c.organization_id == organization_id, templates.c.waba_id == waba_id)


def _template(row: Any) -> Template:
    return Template(**columns(row))
