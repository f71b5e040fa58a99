"""The settings that bound what an organization may have."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from tellwire.model.quotas import Quotas
from tellwire.settings import values
from tellwire.settings.setting import Setting


class QuotaFields(Struct, frozen=True, kw_only=True):
    """Every quota with its value."""

    quota_accounts: Annotated[
        int,
        Setting(
            help="How many accounts an organization may have that were created over the API.",
            takes="a whole number, more than 0",
            parse=values.count,
        ),
    ] = 1000
    quota_agents: Annotated[
        int,
        Setting(
            help="How many agents an organization may have, people included.",
            takes="a whole number, more than 0",
            parse=values.count,
        ),
    ] = 100
    quota_api_keys: Annotated[
        int,
        Setting(
            help="How many API keys of an organization may be valid at a time.",
            takes="a whole number, more than 0",
            parse=values.count,
        ),
    ] = 100
    quota_event_streams: Annotated[
        int,
        Setting(
            help="How many event streams an organization may have open at a time, of 200 that all share.",
            takes="a whole number, more than 0",
            parse=values.count,
        ),
    ] = 20
    quota_members: Annotated[
        int,
        Setting(
            help="How many members (people who use the console) an organization may have.",
            takes="a whole number, more than 0",
            parse=values.count,
        ),
    ] = 200
    quota_portal_links: Annotated[
        int,
        Setting(
            help="How many portal links an organization may have that have not expired.",
            takes="a whole number, more than 0",
            parse=values.count,
        ),
    ] = 1000
    quota_scheduled_messages: Annotated[
        int,
        Setting(
            help="How many messages an organization may have scheduled for later.",
            takes="a whole number, more than 0",
            parse=values.count,
        ),
    ] = 10_000
    quota_sources: Annotated[
        int,
        Setting(
            help="How many sources (other systems that send beside Meta) an organization may have.",
            takes="a whole number, more than 0",
            parse=values.count,
        ),
    ] = 20
    quota_webhook_endpoints: Annotated[
        int,
        Setting(
            help="How many webhook endpoints an organization may have.",
            takes="a whole number, more than 0",
            parse=values.count,
        ),
    ] = 100

    @property
    def quotas(self) -> Quotas:
        """The bounds of all quotas."""
        return Quotas(
            accounts=self.quota_accounts,
            agents=self.quota_agents,
            api_keys=self.quota_api_keys,
            event_streams=self.quota_event_streams,
            members=self.quota_members,
            portal_links=self.quota_portal_links,
            scheduled_messages=self.quota_scheduled_messages,
            sources=self.quota_sources,
            webhook_endpoints=self.quota_webhook_endpoints,
        )
