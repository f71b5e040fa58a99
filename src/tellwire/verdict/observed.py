"""PURE. What one process saw of Meta: refused POSTs, numbers that got messages, and what Meta's clock says.

To note something costs one or two look-ups, because the hot path does it. What strangers can make it keep is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from email.utils import parsedate_to_datetime

from msgspec.structs import replace

from tellwire.model.inbound import Inbound, Outcome
from tellwire.model.units import MICROS, Micros, Seconds
from tellwire.verdict.figures import ClockOffset, Refusals
from tellwire.verdict.traffic import Heard, Tally

_MOST_NAMES = 200
_LOOKED_AT = 4096
"""So many bytes of a refused body are looked at: Meta names itself and the account first."""
_ENVELOPE = b"whatsapp_business_account"
_SIGNATURE = re.compile(rb"sha256=[0-9a-f]{64}")
_NUMBER = re.compile(rb'"phone_number_id"\s*:\s*"(\d{1,20})"')
_WABA = re.compile(rb'"id"\s*:\s*"(\d{1,20})"')
_STEP_SECONDS = 5.0
"""When our clock goes by so much more or less than the seconds that passed, somebody has set it."""
_FRESH_SECONDS = 60.0
_GRAPH = "the clock of Meta's Graph API"
_POSTS = "the times in Meta's POSTs"
_KNOWN_FOR = 3600.0


class Observed:
    """What a process saw.

    Args:
        monotonic: seconds of a clock that nobody sets.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.tally = Tally()
        self._monotonic = monotonic
        self._refusals = Refusals()
        self._signatures: dict[str, Micros] = {}
        self._heard: dict[str, list[int]] = {}
        self._heard_at: dict[str, Micros] = {}
        self._offset: ClockOffset | None = None
        self._measured: tuple[Micros, float] = 0, 0.0

    # --- POSTs of Meta's ----------------------------------------------------------------------------------------------

    def refused_signature(self, given: bytes, body: bytes, now: Micros) -> None:
        """Note a POST that is answered 401, if it looks like Meta's: a signature in its form, and its envelope."""
        start = body[:_LOOKED_AT]
        if _ENVELOPE not in start or not _SIGNATURE.fullmatch(given):
            return
        found = _NUMBER.search(start) or _WABA.search(start)
        name = found[1].decode() if found else ""
        if name not in self._signatures and len(self._signatures) >= _MOST_NAMES:
            name = ""
        self._signatures[name] = now

    def refused_without_secret(self, given: Iterable[bytes], now: Micros) -> None:
        """Note a POST that is answered 503 because no app secret is known, if it is signed as Meta signs."""
        if any(_SIGNATURE.fullmatch(each) for each in given):
            self._refusals = replace(self._refusals, without_secret=now)

    def handshake(self, *, taken: bool, now: Micros) -> None:
        """Note a handshake; one that is taken ends what was refused before."""
        self._refusals = replace(self._refusals, handshake=0 if taken else now)

    def accepted(self, inbound: Inbound) -> None:
        """Note a POST that was applied: which numbers got messages, and that their secrets are right."""
        if self._refusals.without_secret:
            self._refusals = replace(self._refusals, without_secret=0)
        at = inbound.received_at
        for item in inbound.items:
            name = item.phone_number_id
            if self._signatures:
                self._signatures.pop(name, None)
            if item.field == "messages" and item.outcome is Outcome.APPLIED and not item.kind.startswith("status "):
                known = self._heard.get(name)
                if known is None:
                    self._heard[name] = [1, at, at]  # how many, the first and the last
                else:
                    known[0] += 1
                    known[2] = at

    @property
    def refusals(self) -> Refusals:
        """Return what was refused."""
        return replace(self._refusals, signatures=dict(self._signatures))

    @property
    def heard_at(self) -> dict[str, Micros]:
        """Return when numbers last got a message, by phone_number_id."""
        return self._heard_at | {name: last for name, (_, _, last) in self._heard.items()}

    def take_heard(self) -> dict[str, Heard]:
        """Return the messages since the last call, by phone_number_id."""
        self._heard_at = self.heard_at
        heard, self._heard = self._heard, {}
        return {name: Heard(*each) for name, each in heard.items()}

    def put_back(self, heard: dict[str, Heard]) -> None:
        """Take back what could not be written."""
        for name, each in heard.items():
            messages, _, last = self._heard.get(name, (0, 0, each.last_at))
            self._heard[name] = [each.messages + messages, each.first_at, last]

    # --- the clock ----------------------------------------------------------------------------------------------------

    def graph_date(self, headers: Iterable[tuple[str, str]], now: Micros) -> None:
        """Compare our clock with the `Date` of an answer of Graph's, which counts whole seconds."""
        for name, value in headers:
            if name.lower() == "date":
                try:
                    theirs = parsedate_to_datetime(value).timestamp() + 0.5
                except (ValueError, TypeError, IndexError, OverflowError):
                    return
                self._note(ClockOffset(now / MICROS - theirs, _GRAPH), now)
                return

    def newest_item(self, timestamp: Seconds, now: Micros) -> None:
        """Compare our clock with the newest time in a POST of Meta's.

        A time that lies ahead says that our clock is behind. One that is past may be a repeated POST's, and says
        nothing but that our clock is not behind when it is of just now.
        """
        ahead = timestamp - now / MICROS
        if ahead > _FRESH_SECONDS or (
            ahead >= -_FRESH_SECONDS and self._offset is not None and self._offset.source == _POSTS
        ):
            self._note(ClockOffset(-ahead, _POSTS), now)

    def clock(self, now: Micros) -> ClockOffset | None:
        """Return the last comparison; None when there is none, it is old, or our clock was set since."""
        at, then = self._measured
        passed = self._monotonic() - then
        if passed > _KNOWN_FOR or abs((now - at) / MICROS - passed) > _STEP_SECONDS:
            self._offset = None
        return self._offset

    def _note(self, offset: ClockOffset, now: Micros) -> None:
        self._offset, self._measured = offset, (now, self._monotonic())
