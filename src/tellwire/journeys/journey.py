"""PURE. Put the steps of a message in their order."""

from __future__ import annotations

from tellwire.journeys.answering import agents_turn
from tellwire.journeys.arriving import arrival
from tellwire.journeys.records import Records
from tellwire.journeys.sending import statuses, writing
from tellwire.journeys.step import Step
from tellwire.journeys.telling import endpoints


def journey(records: Records) -> list[Step]:
    """Return the whole way of a message, or of an item that has become none, in the order in which it goes it.

    What is still to come, or should have come, stands where it belongs, not at its time.
    """
    begins = writing(records) if records.send is not None else arrival(records)
    return [*begins, *endpoints(records), *statuses(records), *agents_turn(records)]
