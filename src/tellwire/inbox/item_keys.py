"""PURE. What the items of a POST need to be decided, and what a held item waits for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from tellwire.accounts import notices
from tellwire.inbox import told
from tellwire.inbox.statuses import our_id
from tellwire.meta.webhooks.items import (
    AccountNotice,
    AccountProblem,
    AddressChange,
    CallMade,
    ControlChange,
    Item,
    MessageItem,
    Notice,
    NotUnderstood,
    PreferenceChange,
    Recorded,
    StandbyCopy,
    StatusUpdate,
    TemplateNotice,
    WebhookContact,
)
from tellwire.model.keys import Keys


def waits_for(item: Item) -> str:
    """Return the wamid of the message that a held item needs, "" for none."""
    match item:
        case MessageItem():
            return item.revokes or item.edits
        case StatusUpdate():
            return item.wamid
        case AddressChange() | CallMade() | AccountProblem() | AccountNotice() | TemplateNotice():
            return ""
        case PreferenceChange() | StandbyCopy() | ControlChange() | Recorded() | NotUnderstood():
            return ""
        case _:
            assert_never(item)


def keys_of(items: Iterable[Item], digest: str) -> Keys:
    """Return what has to be loaded before the items can be decided."""
    keys = Keys()
    for item in items:
        number = item.place.phone_number_id
        match item:
            case MessageItem():
                keys.messages.add((number, item.wamid))
                if item.edits or item.revokes:
                    keys.messages.add((number, item.edits or item.revokes))
                    keys.statuses.add((number, item.edits or item.revokes))
                keys.latest |= item.origin == "history"
                _add_who(keys, number, item.who, item.group_id)
            case StatusUpdate():
                keys.messages.add((number, item.wamid))
                keys.statuses.add((number, item.wamid))
                keys.latest = True
                if own := our_id(item):
                    keys.own.add((number, own))
                _add_who(keys, number, item.who, item.group_id)
            case StandbyCopy() | ControlChange() | PreferenceChange():
                keys.statuses.add((number, told.key_of(item)))
                _add_who(keys, number, item.who, "")
            case AddressChange() | CallMade():
                _add_who(keys, number, item.who, "")
            case AccountProblem() | AccountNotice() | TemplateNotice():
                _add_notice_keys(keys, number, item, notices.key_of(item, digest))
            case Recorded() | NotUnderstood():
                keys.messages |= {(number, item.wamid)} if isinstance(item, NotUnderstood) and item.wamid else set()
            case _:
                assert_never(item)
    return keys


def _add_notice_keys(keys: Keys, number: str, item: AccountProblem | Notice, key: str) -> None:
    """Add the keys that tell whether a notice was applied before, and by which accounts."""
    if number or isinstance(item, AccountProblem):
        keys.statuses.add((number, key))
    else:
        keys.notices.add((item.place.waba_id, item.place.display_phone_number, key))


def _add_who(keys: Keys, number: str, who: WebhookContact | None, group_id: str) -> None:
    if who is not None:
        keys.addresses.update((number, alias) for alias in (*who.aliases, *who.adds))
    if group_id:
        keys.parties.add((number, group_id))
