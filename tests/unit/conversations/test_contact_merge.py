"""Two contacts that turn out to be one person: what either of them knew is kept."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tellwire.conversations.contacts import merge
from tellwire.model.ledger import Ledger
from tellwire.model.messaging import Contact
from tellwire.model.registry import Registry
from tellwire.model.routing import Routes

OF_THE_ROW = {"id", "organization_id", "merged_into", "created_at", "updated_at"}
"""The fields that say which row it is and what became of it. Every other field is knowledge about the person."""
KNOWN = {"marketing": '{"account":{"choice":"stop","at":1790000000}}'}
"""What the younger contact knows, where not every text will do."""
REGISTRY = Registry(version=0, accounts={}, endpoints={})


@pytest.mark.parametrize("field", sorted(set(Contact.__struct_fields__) - OF_THE_ROW))
def test_what_only_the_younger_contact_knows_is_kept(field: str) -> None:
    ledger = Ledger(now=3, new_id=lambda: "unused", registry=REGISTRY, routes=Routes(REGISTRY, {}))
    older = Contact(id="a", organization_id="o", created_at=1)
    known = KNOWN.get(field, {bool: True, int: 7}.get(type(getattr(older, field)), "known"))
    younger = replace(older, id="b", created_at=2, **{field: known})
    kept = merge(ledger, [younger, older])
    assert kept.id == "a"
    assert getattr(kept, field) == known, f"say in `merge` of conversations/contacts.py what becomes of Contact.{field}"
