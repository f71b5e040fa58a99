"""Meta and its users as seen from outside: people who write, webhook bodies, and the POSTs that bring them to us.

`payloads` shapes the bytes, `customer` decides what happens, `traffic` what is posted when, `poster` posts it.
"""

from tellwire.simulator.customer import HAPPENINGS, Customer, Happening
from tellwire.simulator.payloads import Business, Person, Update, body_of
from tellwire.simulator.poster import Poster
from tellwire.simulator.traffic import BUSINESS, PEOPLE, Round, happenings, rounds

__all__ = [
    "BUSINESS",
    "HAPPENINGS",
    "PEOPLE",
    "Business",
    "Customer",
    "Happening",
    "Person",
    "Poster",
    "Round",
    "Update",
    "body_of",
    "happenings",
    "rounds",
]
