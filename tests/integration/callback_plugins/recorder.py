# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what every task returned to a file, for the tests: a JSON object a line. It sees what any callback sees."""

from __future__ import annotations

DOCUMENTATION = r"""
name: recorder
type: aggregate
short_description: Record results for the tests
description:
  - Appends every result to the file that E(RECORDER_FILE) names.
"""

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "recorder"
    CALLBACK_NEEDS_ENABLED = True

    def _add(self, event: str, **row: Any) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        with os.fdopen(os.open(os.environ["RECORDER_FILE"], flags, 0o600), "w", encoding="utf-8") as file:
            file.write(json.dumps({"event": event, **row}, default=str) + "\n")

    def _result(self, event: str, result: Any, failed: bool = False) -> None:
        returned = result.result if hasattr(result, "result") else result._result  # the latter before ansible-core 2.19
        row = {**returned, "failed": failed}  # Ansible takes it out of what callbacks get
        self._add(event, host=result._host.get_name(), task=result._task.get_name(), result=row)

    def v2_runner_on_ok(self, result: Any) -> None:
        self._result("ok", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._result("failed", result, failed=True)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._result("skipped", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._result("unreachable", result)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        self._result("item", result)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        self._result("item", result, failed=True)

    def v2_runner_retry(self, result: Any) -> None:
        self._result("retry", result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._add("stats", stats={host: stats.summarize(host) for host in stats.processed})
