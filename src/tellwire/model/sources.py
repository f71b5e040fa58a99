"""Sources: other systems that send us what they get from Meta, beside Meta itself."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

from msgspec import Struct

from tellwire.model.inbound import SpeaksFor
from tellwire.model.units import Micros

META = "meta"
"""Meta itself, as the name of a source."""

SourceKind = Literal["360dialog", "gupshup", "wakit", "wappcloud"]
Authentication = Literal["header", "query", "hmac"]
"""How a source shows that it has the secret: as the value of a header, as `?token=`, or by the HMAC-SHA256 of the body
in a header."""
Mode = Literal["rows", "compare"]

KINDS: tuple[SourceKind, ...] = get_args(SourceKind)
ENVELOPES: frozenset[SourceKind] = frozenset({"360dialog", "gupshup"})
"""The kinds that send Meta's own envelope; what the others send is translated into it."""
WITHOUT_WAMIDS: frozenset[SourceKind] = frozenset({"wappcloud"})
"""The kinds that do not name Meta's message ids, so that their items are compared by what they say."""


class Source(Struct, frozen=True, kw_only=True):
    """Another system that sends to `POST /sources/{id}`. The secret is plain here and encrypted at rest.

    `account_id`: the account that it speaks for, "" for every account of the organization; `phone_number_id` is that
    account's. `mode`: whether rows are made of what it brings, or it is only compared.
    """

    id: str
    organization_id: str
    name: str
    kind: SourceKind
    authentication: Authentication
    header: str = ""
    secret: str = ""
    account_id: str = ""
    phone_number_id: str = ""
    mode: Mode = "rows"
    created_at: Micros = 0
    updated_at: Micros = 0

    @property
    def speaks_for(self) -> SpeaksFor:
        """Return what its POSTs may change; they make no account."""
        if self.account_id:
            return SpeaksFor(account_ids=(self.account_id,))
        return SpeaksFor(organization_id=self.organization_id)


ItemKind = Literal["message", "echo", "status"]


class SourceItem(NamedTuple):
    """That a source brought an item, in the order of the table's columns.

    `source`: its id, or `META`. `key`: a keyed hash of what the item is unique by; `fingerprint`: one of what it says,
    for sources that do not name Meta's ids. What the item was stands in the report of its POST.
    """

    organization_id: str
    key: str
    source: str
    fingerprint: str
    kind: ItemKind
    account_id: str
    inbound_id: str
    pointer: str
    at: Micros
