"""Check whether a message may be made of its template, as far as the template is known, and whether it is wanted."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection

from tellwire.accounts.templates import Template, TemplateStatus, refusals
from tellwire.conversations.outgoing import Draft
from tellwire.errors import Invalid
from tellwire.meta.outgoing.masking import TEMPLATE
from tellwire.model.tenancy import Account
from tellwire.model.units import MICROS
from tellwire.stores.queries import marketing, service_windows, templates
from tellwire.web.request import RequestContext


async def check_wanted(context: RequestContext, draft: Draft) -> None:
    """Check that a marketing template does not go to somebody who has stopped marketing on this number.

    Raises:
        Invalid: they have.
    """
    if draft.despite_stop or not draft.content.startswith(TEMPLATE):
        return
    account, conversation, now = draft.account, draft.conversation, context.services.clock.now() // MICROS

    def unwanted(connection: Connection) -> bool:
        party = conversation.party if conversation else service_windows.party_of(connection, account, draft.to, now)
        return bool(party) and marketing.unwanted(connection, account.organization_id, account.id, party, draft.content)

    if await context.read(unwanted):
        raise Invalid(
            "The contact has stopped marketing messages of this number in WhatsApp; only they can resume them.",
            ("/template/name", "must not be of the category MARKETING; skip_opt_out_check sends it all the same"),
            kind="opted-out",
        )


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
