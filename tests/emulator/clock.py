# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulator's own clock: it can be put forward, and be wrong, without anybody waiting."""

from __future__ import annotations

import time
from datetime import datetime, timezone


class Clock:
    """``advance`` adds up (time passes: tokens grow old); ``skew`` is set (IBM's clock differs from yours)."""

    def __init__(self) -> None:
        self.advanced = 0.0
        self.skew = 0.0

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time() + self.advanced + self.skew

    def iso(self, offset: float = 0.0) -> str:
        """Now (and ``offset`` seconds), like ``2026-07-04T16:13:56.562Z``."""
        moment = datetime.fromtimestamp(self.now() + offset, tz=timezone.utc)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
