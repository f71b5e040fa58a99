"""What people note about conversations: labels, notes, who is to answer and what was read."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from tellwire.model.units import Micros

Colour = Literal["grey", "red", "orange", "yellow", "green", "blue", "purple"]


class Label(Struct, frozen=True, kw_only=True):
    """A label of an organization; its name is unique there."""

    id: str
    organization_id: str
    name: str
    colour: Colour = "grey"
    created_at: Micros = 0
    updated_at: Micros = 0


class Note(Struct, frozen=True, kw_only=True):
    """A note about a conversation, for the organization's own people. `written_by`: as the audit names its writer."""

    id: str
    organization_id: str
    conversation_id: str
    text: str
    written_by: str
    created_at: Micros


class Marks(Struct, frozen=True, kw_only=True):
    """What is noted about one conversation: the ids of its labels, whom it is assigned to (a member's or an agent's id,
    "" for nobody), and the newest message that somebody has read here."""

    labels: tuple[str, ...] = ()
    assignee: str = ""
    read_until: str = ""
