"""The accounts, agents, endpoints and sources that a process keeps in memory."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, field

from tellwire.model.agents import Agent
from tellwire.model.deliveries import (
    Endpoint,
)
from tellwire.model.sources import Source
from tellwire.model.tenancy import Account

META = "meta"
"""The payload format whose endpoints get what Meta sent."""


class MetaTakers(Struct, frozen=True):
    """The ids of the organizations that have endpoints of the format `meta`: for single items, for whole POSTs, and for
    echoes of what they sent. `cuts`: whether POSTs have to be cut for any of them."""

    items: frozenset[str] = frozenset()
    posts: frozenset[str] = frozenset()
    echoes: frozenset[str] = frozenset()
    cuts: bool = False


def takers_of(endpoints: Iterable[Endpoint]) -> MetaTakers:
    """Return who has such endpoints, in whatever state they are."""
    some = [each for each in endpoints if each.format == META]
    return MetaTakers(
        items=frozenset(each.organization_id for each in some if each.batching == "item"),
        posts=frozenset(each.organization_id for each in some if each.batching == "as_received"),
        echoes=frozenset(each.organization_id for each in some if each.echoes),
        cuts=bool(some),
    )


class Registry(Struct, frozen=True, kw_only=True):
    """Accounts, agents, endpoints and sources as of the last commit that changed them; shared, never edited."""

    version: int
    accounts: dict[str, Account]
    """by phone_number_id"""
    endpoints: dict[str, Endpoint]
    """by id"""
    agents: dict[str, Agent] = field(default_factory=dict)
    """by id"""
    meta: MetaTakers = MetaTakers()
    """who gets what Meta sent; asked before any work is done for that"""
    media_key: bytes = b""
    """the key that signs links to media"""
    erased_key: bytes = b""
    """the key of the hashes in tombstones; b"" while there are no tombstones"""
    erasing: frozenset[str] = frozenset()
    """the ids of the contacts that are being erased just now"""
    sources: dict[str, Source] = field(default_factory=dict)
    """by id"""
    compared: frozenset[str] = frozenset()
    """the ids of the organizations that have a source, of whose items it is kept who brought them"""
