"""PURE. Why an endpoint was not told of an event: what `model.routing` decides, in words."""

from __future__ import annotations

from collections.abc import Collection

from tellwire.model.deliveries import Endpoint, Event
from tellwire.model.registry import META
from tellwire.model.tenancy import Account


def why_not(endpoint: Endpoint, event: Event, names: Collection[str], account: Account | None) -> str:
    """Return why an event was not for an endpoint as it is now.

    Args:
        endpoint: an endpoint of the event's organization.
        event: not of the entity `meta`.
        names: those under which the event goes in the endpoint's format.
        account: the event's.

    Returns: the reason, which speaks of being younger than the event where nothing else kept it away.
    """
    if endpoint.format == META:
        return "the format meta gets what Meta sends, not what is made of it, and nothing of this message"
    if not names:
        return f"the format {endpoint.format} has no place for {event.name}"
    if not _of_its_accounts(endpoint, event, account):
        number = account.phone_number_id if account else event.account_id
        return f"it takes the numbers {', '.join(endpoint.accounts)} only, and this one is {number}"
    if endpoint.events and set(names).isdisjoint(endpoint.events):
        return f"it takes {', '.join(endpoint.events)} only, and this is {' or '.join(sorted(names))}"
    if event.entity == "operational" and not endpoint.events:
        return f"operational events are for endpoints that name them, and it does not name {event.name}"
    if event.entity == "operational" and event.name.startswith("standby.") and not endpoint.standby:
        return "it does not take what other apps handle (standby: false)"
    if event.history and not endpoint.history:
        return "the message is of the past, and the endpoint does not take those (history: false)"
    if event.external and not endpoint.external:
        return "other software sent the message, and the endpoint does not take those (external: false)"
    if endpoint.created_at > event.created_at:
        return "it was made later; `recover` with include: missing delivers it"
    return "it did not take this when the message came; `recover` with include: missing delivers it"


def _of_its_accounts(endpoint: Endpoint, event: Event, account: Account | None) -> bool:
    if not endpoint.accounts or not event.account_id:
        return True
    return event.account_id in endpoint.accounts or (
        account is not None and account.phone_number_id in endpoint.accounts
    )
