# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills the run it belongs to, with SIGKILL, at a place that a test names: before a task, or in the midst of one."""

from __future__ import annotations

DOCUMENTATION = r"""
name: killer
type: aggregate
short_description: Kill the run for the tests
description:
  - Kills its own process group when the task that E(KILL_AT) names is to begin, or, with E(KILL_AFTER), when so many
    hosts have done it.
"""

import os
import signal
from typing import Any

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "killer"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._left = int(os.environ.get("KILL_AFTER", "0"))

    def _is_named(self, task: Any) -> bool:
        return bool(os.environ.get("KILL_AT")) and task.get_name().rpartition(" : ")[2] == os.environ["KILL_AT"]

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        if self._left == 0 and self._is_named(task):
            os.killpg(0, signal.SIGKILL)

    def v2_runner_on_ok(self, result: Any) -> None:
        if self._left and self._is_named(result._task):
            self._left -= 1
            if self._left == 0:
                os.killpg(0, signal.SIGKILL)
