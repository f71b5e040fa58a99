"""Hold the state of a simulated Meta: numbers, tokens, customers, media, templates, limits, and what happened.

Whatever the control API does is a method or an attribute here, for tests that run in the same process.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import Any

from tellwire.clock import SystemClock
from tellwire.model.units import DAY, HOUR, MICROS
from tellwire.ports.clock import Clock
from tellwire.simulator.apps import SimulatedApp
from tellwire.simulator.counts import Journal
from tellwire.simulator.customer import Customer
from tellwire.simulator.knobs import Knobs, changed_knobs
from tellwire.simulator.limits import PairBuckets, Window
from tellwire.simulator.media import MediaFiles
from tellwire.simulator.payloads import Business, Person, notice
from tellwire.simulator.refusals import How, PlannedError, Refusal, not_there
from tellwire.simulator.templates import SimulatedTemplate, SimulatedTemplates
from tellwire.simulator.threads import Threads
from tellwire.simulator.traffic import BUSINESS
from tellwire.simulator.webhook_queue import WebhookQueue

TOKEN = "a-simulated-token"  # noqa: S105 - known to everybody
_EXPIRED = 463
_WINDOW = DAY


class State:
    """The state of a simulated Meta.

    Args:
        businesses: the numbers that exist.
        tokens: the valid tokens; with none, any token is valid.
        knobs: see `Knobs`.
        seed: the same seed and the same requests, one after the other, make the same ids, errors and statuses.
        clock: of limits, links, the customer service window and timestamps; pauses are real time.
    """

    def __init__(
        self,
        *,
        businesses: Sequence[Business] = (BUSINESS,),
        tokens: Sequence[str] = (TOKEN,),
        knobs: Knobs | None = None,
        seed: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.random = Random(seed)  # noqa: S311 - nothing here is secret
        self.clock: Clock = clock or SystemClock()
        self.knobs = knobs or Knobs()
        self.app = SimulatedApp()
        self.journal = Journal()
        self.webhooks = WebhookQueue(lambda: self.knobs)
        self.media_files = MediaFiles(self.random)
        self.url = ""
        self.businesses: dict[str, Business] = {}
        self.templates: dict[str, SimulatedTemplates] = {}
        self.subscribed: set[str] = set()
        for business in businesses:
            self.add_business(business)
        self._valid = dict.fromkeys(tokens)
        self._expired: set[str] = set()
        self._any_token = not tokens
        self._planned_errors: deque[PlannedError] = deque()
        self._customers: dict[tuple[str, str], Customer] = {}
        self._wrote: dict[tuple[str, str], int] = {}
        self._begin()

    def _begin(self) -> None:
        self.rates: dict[str, Window] = {}
        self.pairs: dict[str, PairBuckets] = {}
        self.management: dict[str, Window] = {}
        self.threads = Threads()

    # --- turning ------------------------------------------------------------------------------------------------------

    def turn(self, **knobs: Any) -> None:
        """Change knobs.

        Raises:
            Invalid: there is no such knob, or it does not take that value.
        """
        self.knobs = changed_knobs(self.knobs, knobs)

    def fail_next(self, code: int, *, count: int = 1, how: How = "usual") -> None:
        """Let the next `count` sends end with an error."""
        self._planned_errors.extend([PlannedError(code, how)] * count)

    def next_error(self) -> PlannedError | None:
        """Take the error that the next send is to end with; None for none."""
        return self._planned_errors.popleft() if self._planned_errors else None

    def clear(self) -> None:
        """Forget what happened and what was planned; numbers, tokens, templates, media and knobs stay."""
        self.journal.clear()
        self._planned_errors.clear()
        self._customers.clear()
        self._wrote.clear()
        self.webhooks.clear()
        self._begin()

    # --- numbers and tokens -------------------------------------------------------------------------------------------

    def add_business(self, business: Business) -> None:
        """Add a number, and its account unless that exists."""
        self.businesses[business.phone_number_id] = business
        if business.waba_id not in self.templates:
            self.templates[business.waba_id] = SimulatedTemplates()
            self.subscribed.add(business.waba_id)

    def business(self, phone_number_id: str = "") -> Business:
        """Return a number, the first one if none is named.

        Raises:
            Refusal: there is no such number.
        """
        if not phone_number_id:
            return next(iter(self.businesses.values()))
        found = self.businesses.get(phone_number_id)
        if found is None:
            raise not_there(phone_number_id)
        return found

    def add_token(self, token: str) -> None:
        """Make a token valid."""
        self._expired.discard(token)
        self._valid[token] = None

    def invalidate(self, token: str = "") -> None:
        """Let a token expire, or all of them: calls with it are answered 190."""
        gone = [token] if token else [*self._valid]
        self._expired.update(gone)
        for each in gone:
            self._valid.pop(each, None)

    def validity(self, token: str) -> str:
        """Return the state of a token: valid, expired or unknown."""
        if token in self._expired:
            return "expired"
        return "valid" if token in self._valid or (self._any_token and token) else "unknown"

    def admit(self, token: str) -> None:
        """Check that a token is valid.

        Raises:
            Refusal: 190, the token is not valid.
        """
        if "|" in token:
            self.app.admit(token)
            return
        match self.validity(token):
            case "valid":
                return
            case "expired":
                raise Refusal(190, subcode=_EXPIRED, message="Error validating access token: Session has expired")
            case _:
                raise Refusal(190, message="Invalid OAuth access token - Cannot parse access token")

    # --- limits -------------------------------------------------------------------------------------------------------

    def manage(self, waba_id: str) -> None:
        """Count a call about an account.

        Raises:
            Refusal: 80007, the account's limit is reached.
        """
        window = self.management.setdefault(waba_id, Window(HOUR))
        if not window.take(self.clock.now(), self.knobs.management_per_hour):
            raise Refusal(80007, "too many calls about this WhatsApp Business account within an hour")

    def take_send(self, business: Business) -> bool:
        """Count a send of a number. Return whether it is within the number's limit."""
        window = self.rates.setdefault(business.phone_number_id, Window(MICROS))
        return window.take(self.clock.now(), self.knobs.sends_per_second)

    def take_pair(self, business: Business, recipient: str) -> bool:
        """Count a send to a recipient. Return whether it is within the limit of the pair."""
        pairs = self.pairs.setdefault(business.phone_number_id, PairBuckets())
        burst, seconds = self.knobs.pair_burst, self.knobs.pair_seconds
        return pairs.take(recipient, self.clock.now(), burst=burst, seconds=seconds)

    # --- customers ----------------------------------------------------------------------------------------------------

    def customer(self, business: Business, person: Person) -> Customer:
        """Return the customer with this number or user id, created with a user id when unknown."""
        keys = [(business.phone_number_id, each) for each in (person.wa_id, person.user_id) if each]
        known = next((self._customers[key] for key in keys if key in self._customers), None)
        if known is None:
            user_id = person.user_id or f"US.{self.random.randrange(10**19, 10**20)}"
            name = person.name or f"Customer {person.address[-4:]}"
            met = Person(name=name, wa_id=person.wa_id, user_id=user_id, username=person.username)
            known = Customer(met, business, self.random)
            keys.append((business.phone_number_id, user_id))
        for key in keys:
            self._customers[key] = known
        return known

    def address(self, business: Business, recipient: str) -> str:
        """Return the one address of the customer with this number or user id: both count for the same pair limit."""
        known = self._customers.get((business.phone_number_id, recipient))
        return known.person.address if known else recipient

    def open_window(self, customer: Customer) -> None:
        """Open the customer service window: the customer writes now."""
        self._wrote[customer.business.phone_number_id, customer.person.address] = self.clock.now()

    def in_window(self, customer: Customer) -> bool:
        """Return whether a customer wrote within 24 hours."""
        at = self._wrote.get((customer.business.phone_number_id, customer.person.address))
        return at is not None and self.clock.now() - at < _WINDOW

    # --- accounts -----------------------------------------------------------------------------------------------------

    def notify(self, field: str, value: Mapping[str, Any], *, waba_id: str = "") -> None:
        """Post a webhook about an account: `account_update`, `phone_number_quality_update` and so on."""
        account = waba_id or self.business().waba_id
        self.post_notices(account, [(field, value)])

    def post_notices(self, waba_id: str, notices: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Post webhooks about an account, given as (field, value), if the app is subscribed to it."""
        if waba_id not in self.subscribed:
            return
        for field, value in notices:
            self.webhooks.post_body(notice(waba_id, field, dict(value), at=self.clock.now() // MICROS))

    def set_template_status(
        self, name: str, status: str, *, reason: str | None = None, waba_id: str = ""
    ) -> list[SimulatedTemplate]:
        """Give a template, in every language, a status (APPROVED, REJECTED, PAUSED, DISABLED), and post the webhook.

        Raises:
            Refusal: there is no such template.
        """
        account = waba_id or self.business().waba_id
        templates = self.templates.get(account)
        if templates is None:
            raise not_there(account)
        found = templates.named(name)
        if not found:
            raise Refusal(132001, f"there is no template {name}")
        for template in found:
            self._set_status(template, account, status, reason)
        return found

    def approve_later(self, template: SimulatedTemplate, waba_id: str) -> None:
        """Approve a pending template after the knob `approve_seconds`, unless that is negative."""
        if self.knobs.approve_seconds >= 0:
            loop = asyncio.get_running_loop()
            loop.call_later(self.knobs.approve_seconds, self._approve, template, waba_id)

    def _approve(self, template: SimulatedTemplate, waba_id: str) -> None:
        if template.status == "PENDING":
            self._set_status(template, waba_id, "APPROVED", None)

    def _set_status(self, template: SimulatedTemplate, waba_id: str, status: str, reason: str | None) -> None:
        template.status = status
        value = {
            "event": status,
            "message_template_id": int(template.id),
            "message_template_name": template.name,
            "message_template_language": template.language,
            "reason": reason or ("NONE" if status == "APPROVED" else None),
        }
        self.post_notices(waba_id, [("message_template_status_update", value)])
