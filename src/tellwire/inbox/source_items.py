"""PURE. Which source brought which item, for comparing them (docs/reference/rest-api.md, "Sources").

Kept is a keyed hash of what an item is unique by and one of what it says, nothing of a person. It is kept only while
the organization has a source.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import blake2b

from tellwire.meta.phone_numbers import alias
from tellwire.meta.raw_json import verbatim
from tellwire.meta.webhooks.items import Item, MessageItem, StatusUpdate
from tellwire.model.inbound import ItemReport, ItemResult, Outcome
from tellwire.model.ledger import Ledger
from tellwire.model.sources import META, ItemKind, SourceItem
from tellwire.model.units import Micros

_HAD = (Outcome.APPLIED, Outcome.RECORDED, Outcome.DUPLICATE, Outcome.HELD)


def only_compared(ledger: Ledger) -> ItemResult | None:
    """Return what an item comes to where the source of its POST is only compared; None where it is applied."""
    source = ledger.registry.sources.get(ledger.source)
    if source is None or source.mode == "rows":
        return None
    return ItemResult(Outcome.RECORDED, "its source is only compared")


def note(
    ledger: Ledger, item: Item, report: ItemReport, *, owners: Collection[str], inbound_id: str, received_at: Micros
) -> None:
    """Note that the source of the POST had a message or a status; messages of the past count for nothing."""
    if not ledger.registry.compared:
        return
    kind = _kind_of(item)
    account = ledger.account(item.place.phone_number_id)
    if kind is None or account is None or report.outcome not in _HAD:
        return
    owner = account.organization_id
    if owner not in owners or owner not in ledger.registry.compared:
        return
    key = ledger.registry.media_key
    found = SourceItem(
        organization_id=owner,
        key=_hash(key, "key", account.id, kind, *_key_of(item)),
        source=ledger.source or META,
        fingerprint=_hash(key, "fingerprint", account.id, kind, *_said_by(item)),
        kind=kind,
        account_id=account.id,
        inbound_id=inbound_id,
        pointer=item.place.pointer,
        at=received_at,
    )
    ledger.new_source_items.setdefault(found[:3], found)


def _kind_of(item: Item) -> ItemKind | None:
    match item:
        case MessageItem(origin="customer"):
            return "message"
        case MessageItem(origin="echo"):
            return "echo"
        case StatusUpdate():
            return "status"
        case _:
            return None


def _key_of(item: Item) -> tuple[str, ...]:
    match item:
        case MessageItem():
            return (item.wamid,)
        case StatusUpdate():
            return item.wamid, item.name, item.participant, "payment" if item.payment else ""
        case _:
            return ()


def _said_by(item: Item) -> tuple[str, ...]:
    """Return what an item says, as far as every source passes it on: who, when by Meta's clock, and what."""
    if not isinstance(item, MessageItem | StatusUpdate):
        return ()
    who = alias(item.who.address) if item.who else item.group_id
    said = (item.type, _text_of(item)) if isinstance(item, MessageItem) else (item.name,)
    return who, str(item.timestamp or 0), *said


def _text_of(item: MessageItem) -> str:
    text = verbatim.readable_members(item.content).get("text") if item.type == "text" else None
    body = text.get("body") if isinstance(text, dict) else None
    return body if isinstance(body, str) else ""


def _hash(key: bytes, *parts: str) -> str:
    return blake2b("\0".join(parts).encode(errors="surrogatepass"), key=key[:64], digest_size=16).hexdigest()
