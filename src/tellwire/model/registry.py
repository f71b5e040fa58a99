"""The accounts, agents, endpoints and sources that a process keeps in memory."""

from __future__ import annotations

from msgspec import Struct, field

from tellwire.model.agents import Agent
from tellwire.model.deliveries import (
    Endpoint,
)
from tellwire.model.sources import Source
from tellwire.model.tenancy import Account


class Registry(Struct, frozen=True, kw_only=True):
    """Accounts, agents, endpoints and sources as of the last commit that changed them; shared, never edited."""

    version: int
    accounts: dict[str, Account]
    """by phone_number_id"""
    endpoints: dict[str, Endpoint]
    """by id"""
    agents: dict[str, Agent] = field(default_factory=dict)
    """by id"""
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
