# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulator's own clock: it can be put forward, and be wrong, without anybody waiting."""

from __future__ import annotations

import time

from tests.emulator.results import iso


class Clock:
    """``advance`` adds up (time passes: tokens grow old); ``skew`` is set (IBM's clock differs from yours)."""

    def __init__(self) -> None:
        self.advanced = 0.0
        self.skew = 0.0

    def steady(self) -> float:
        """Seconds since the epoch without the skew: a clock that is set right or wrong makes nothing happen."""
        return time.time() + self.advanced

    def now(self) -> float:
        """Seconds since the epoch."""
        return self.steady() + self.skew

    def stamp(self, steady: float) -> str:
        """A time of :meth:`steady` as this clock shows it."""
        return iso(steady + self.skew)

    def iso(self, offset: float = 0.0) -> str:
        """Now (and ``offset`` seconds), like ``2026-07-04T16:13:56.562Z``."""
        return iso(self.now() + offset)
