"""The keys of the rows that a decision over a ledger needs, which the store loads."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct, field


class ConversationKey(NamedTuple):
    """The organization that a conversation is of, and its id."""

    organization_id: str
    id: str


class Keys(Struct, kw_only=True):
    """The keys of the rows that a decision needs; the first part of each pair is the phone_number_id."""

    messages: set[tuple[str, str]] = field(default_factory=set)
    """(phone_number_id, wamid)"""
    statuses: set[tuple[str, str]] = field(default_factory=set)
    """(phone_number_id, wamid): whose status facts are needed"""
    addresses: set[tuple[str, str]] = field(default_factory=set)
    """(phone_number_id, alias): with the number's variants"""
    parties: set[tuple[str, str]] = field(default_factory=set)
    """(phone_number_id, group id)"""
    latest: bool = False
    """whether the latest conversation of each party is needed too, open or not"""
    conversations: set[tuple[str, str]] = field(default_factory=set)
    """(organization id, conversation id)"""
    own: set[tuple[str, str]] = field(default_factory=set)
    """(phone_number_id, id of a message of ours): the message, its send if there is one, its statuses"""
    notices: set[tuple[str, str, str]] = field(default_factory=set)
    """(WABA id, display phone number, `notices.key_of`): of a notice about a business account"""

    answers: set[tuple[str, str]] = field(default_factory=set)
    """(organization id, Idempotency-Key): whether another process has kept an answer meanwhile"""
    scheduled: set[str] = field(default_factory=set)
    """ids of organizations: how many messages they have scheduled"""
    whose: str = ""
    """id of the organization in whose turn the decision is made; "" for what is no single one's"""
    agents: bool = False
    """whether turns and hand-overs of the conversations are needed even while there are no agents"""

    @property
    def size(self) -> int:
        """About how many items the decision is about, at least 1."""
        return max(1, len(self.messages), len(self.statuses), len(self.conversations), len(self.notices))

    def add(self, other: Keys) -> None:
        """Add the keys that another decision needs."""
        self.messages |= other.messages
        self.statuses |= other.statuses
        self.addresses |= other.addresses
        self.parties |= other.parties
        self.conversations |= other.conversations
        self.own |= other.own
        self.answers |= other.answers
        self.scheduled |= other.scheduled
        self.notices |= other.notices
        self.latest |= other.latest
        self.agents |= other.agents
