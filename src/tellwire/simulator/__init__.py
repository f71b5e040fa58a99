"""Simulate Meta and its users: people who write, the webhooks that bring it to us, and the Graph API.

Webhooks alone: `payloads` shapes the bytes, `customer` decides what happens, `traffic` what is posted when, `poster`
posts it. The whole of Meta: `server` answers HTTP from a `state`, `sending` decides about a message, `plan` about its
statuses, `webhook_queue` posts them in time; `knobs` lists what can be set, `control` is the API that sets it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from tellwire.simulator.customer import HAPPENINGS, Customer, Happening
from tellwire.simulator.knobs import Knobs
from tellwire.simulator.payloads import Business, Person, Update, body_of
from tellwire.simulator.refusals import number_for
from tellwire.simulator.state import TOKEN, State
from tellwire.simulator.traffic import BUSINESS, PEOPLE, Round, happenings, rounds

if TYPE_CHECKING:
    from tellwire.simulator.poster import Poster
    from tellwire.simulator.server import Simulator

_ON_USE = {"Poster": "poster", "Simulator": "server"}
"""What needs HTTP, by its module. It is loaded on use, because a command that invents payloads needs none of it."""


def __getattr__(name: str) -> object:
    if name in _ON_USE:
        return getattr(import_module(f"{__name__}.{_ON_USE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "BUSINESS",
    "HAPPENINGS",
    "PEOPLE",
    "TOKEN",
    "Business",
    "Customer",
    "Happening",
    "Knobs",
    "Person",
    "Poster",
    "Round",
    "Simulator",
    "State",
    "Update",
    "body_of",
    "happenings",
    "number_for",
    "rounds",
]
