# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes how long each task took, in seconds, as JSON lines to the file in BENCHMARK_TIMES."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "task_times"

    def __init__(self) -> None:
        super().__init__()
        self._task: tuple[str, float] | None = None

    def _end(self) -> None:
        if self._task:
            name, start = self._task
            with open(os.environ["BENCHMARK_TIMES"], "a", encoding="utf-8") as file:
                file.write(json.dumps({"task": name, "seconds": time.perf_counter() - start}) + "\n")
        self._task = None

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._end()
        self._task = (task.get_name().strip(), time.perf_counter())

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._end()
