"""PURE. The turns of organizations, and of the endpoints of each: to send, to read rows, to use a place in a lane."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from tellwire.delivery.endpoint_queue import EndpointQueue
from tellwire.delivery.side_lanes import OrganizationShare, Shares, SideLaneLimits
from tellwire.delivery.turns import Turns
from tellwire.model.deliveries import Endpoint

_LANE_TURNS = 4
"""How many endpoints, and organizations, have a turn when a place for a late retry or a replay becomes free: the first
may have nothing to send just now. Each has one again within a second anyway."""


class Organization:
    """One organization, with its `share` of what all share.

    `turns`: of its endpoints, by what they have in flight. `wanting_page`: those that rows are to be read for.
    `wanting_lane`: those whose late retries or replays had no place.
    """

    __slots__ = ("share", "turns", "wanting_lane", "wanting_page")

    def __init__(self, share: OrganizationShare) -> None:
        self.share = share
        self.turns: Turns[EndpointQueue] = Turns()
        self.wanting_page: OrderedDict[EndpointQueue, None] = OrderedDict()
        self.wanting_lane: OrderedDict[EndpointQueue, None] = OrderedDict()


class Organizations:
    """All organizations that have had deliveries. Each call costs the same however many there are."""

    def __init__(self, limits: SideLaneLimits, shares: Shares) -> None:
        self._limits = limits
        self._shares = shares
        self._known: dict[str, Organization] = {}
        self._turns: Turns[Organization] = Turns()
        self._changed: dict[EndpointQueue, None] = {}
        self._wanting_page: OrderedDict[Organization, None] = OrderedDict()
        self._wanting_lane: OrderedDict[Organization, None] = OrderedDict()

    def share_of(self, endpoint: Endpoint) -> OrganizationShare:
        """Return what the endpoint's organization has of what all share."""
        known = self._known.get(endpoint.organization_id)
        if known is None:
            known = Organization(OrganizationShare(self._limits, self._shares))
            self._known[endpoint.organization_id] = known
        return known.share

    def _of(self, queue: EndpointQueue) -> Organization:
        return self._known[queue.endpoint.organization_id]

    # --- sending ------------------------------------------------------------------------------------------------------

    def first(self) -> EndpointQueue | None:
        """Return the endpoint whose turn it is, if there is a place for it: of the organization that has the fewest in
        flight the endpoint that has the fewest."""
        if self._changed:
            for queue in self._changed:
                self._enlist(queue)
            self._changed.clear()
        turns = self._turns
        if 0 <= turns.lowest < self._limits.in_flight - self._shares.in_flight:
            return turns.first().turns.first()
        return None

    def enlist(self, queue: EndpointQueue) -> None:
        """Give an endpoint its turn if it wants one, or another after what it has in flight has changed: before the
        next look at whose turn it is, since much may change until then."""
        self._changed[queue] = None

    def _enlist(self, queue: EndpointQueue) -> None:
        organization = self._of(queue)
        if queue.wants_turn:
            organization.turns.put(queue, queue.in_flight)
        else:
            organization.turns.remove(queue)
        self._place(organization)

    def delist(self, queue: EndpointQueue) -> None:
        """Take its turn from an endpoint that has nothing to send just now."""
        organization = self._of(queue)
        organization.turns.remove(queue)
        self._place(organization)
        if queue.extras.refused and queue.extras.waiting:
            organization.wanting_lane[queue] = None
            self._wanting_lane[organization] = None

    def _place(self, organization: Organization) -> None:
        """Give an organization its turn. Its level says how many places have to be free, and one more, for its next
        attempt: as many as it has, and for the endpoint the rule is the same within its organization's half."""
        lowest = organization.turns.lowest
        if lowest < 0:
            self._turns.remove(organization)
        else:
            self._turns.put(organization, organization.share.in_flight + 2 * lowest)

    # --- reading ------------------------------------------------------------------------------------------------------

    def want_page(self, queue: EndpointQueue) -> None:
        """Note that there may be rows to read for an endpoint."""
        organization = self._of(queue)
        organization.wanting_page[queue] = None
        self._wanting_page[organization] = None

    def next_for_page(self) -> EndpointQueue | None:
        """Take the endpoint for which rows are read next; each organization has its turn."""
        if not self._wanting_page:
            return None
        organization, _ = self._wanting_page.popitem(last=False)
        queue, _ = organization.wanting_page.popitem(last=False)
        if organization.wanting_page:
            self._wanting_page[organization] = None
        return queue

    # --- late retries and replays -------------------------------------------------------------------------------------

    def wanting_lane(self, queue: EndpointQueue) -> Iterator[EndpointQueue]:
        """Take some of those that had no place for a late retry or a replay, now that one of this endpoint's is
        settled."""
        own = self._of(queue).wanting_lane
        for _ in range(min(_LANE_TURNS, len(own))):
            yield own.popitem(last=False)[0]
        for _ in range(min(_LANE_TURNS, len(self._wanting_lane))):
            organization, _ = self._wanting_lane.popitem(last=False)
            if organization.wanting_lane:
                yield organization.wanting_lane.popitem(last=False)[0]
            if organization.wanting_lane:
                self._wanting_lane[organization] = None
