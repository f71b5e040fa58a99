"""The system's clock behind the `Clock` port."""

from __future__ import annotations

import time


class SystemClock:
    """Wall time, in micros."""

    def now(self) -> int:
        return time.time_ns() // 1000
