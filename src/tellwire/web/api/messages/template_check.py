"""Check whether a message may be made of its template, as far as the template is known."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection

from tellwire.accounts.templates import Template, TemplateStatus, refusals
from tellwire.errors import Invalid
from tellwire.model.tenancy import Account
from tellwire.stores.queries import templates
from tellwire.web.request import RequestContext


async def check_template(context: RequestContext, account: Account, content: bytes) -> None:
    """Check that the business account has the template, approved, and that the parameters fit it.

    Args:
        content: the content of the message's row, checked for its shape. Anything but a template passes, and so does
            everything while the templates were never synchronised.

    Raises:
        Invalid: the template is missing or not approved, or the parameters do not fit; all faults are named.
    """
    given: dict[str, Any] = msgspec.json.decode(content).get("template")
    if not given or not account.waba_id:
        return

    def look(connection: Connection) -> tuple[TemplateStatus | None, list[Template]]:
        place = (account.organization_id, account.waba_id)
        return (
            templates.sync_status(connection, *place),
            templates.named(connection, *place, str(given["name"])),
        )

    faults = refusals(*await context.read(look), given)
    if faults:
        raise Invalid("The message does not fit its template.", *faults, kind="template-mismatch")
