"""PURE. The customer service window: free-form messages only within 24 hours of a person's last message or call.

Source: Meta, "Send messages", customer service windows. Templates need none; that is the caller's to know.
"""

from __future__ import annotations

from tellwire.model.units import MICROS, Micros, Seconds

WINDOW: Seconds = 24 * 3600


def window_closed(now: Micros, last_incoming: Seconds | None) -> bool:
    """Return whether the window is known to be over.

    Args:
        now: our clock.
        last_incoming: Meta's time of the person's last message or call; None when none was ever seen, which says
            nothing: they may have written before Tellwire received Meta's webhooks.
    """
    return last_incoming is not None and now >= (last_incoming + WINDOW) * MICROS
