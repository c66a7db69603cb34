# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task of the modules job and job_info, run in this process."""

from __future__ import annotations

from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import outcome
from ansible_collections.ibm_quantum.platform.tests.unit.scripted import CRN, TOKEN, Module


class Task:
    """What came of a task: its result, its warnings, and what it showed as it went."""

    def __init__(self, module, **options):
        credential = {} if "api_key" in options else {"bearer_token": TOKEN}
        self.module = Module(module.ARGUMENT_SPEC, **{"instance": CRN, **credential, **options})
        self.result = outcome(module.run, self.module)
        self.warnings, self.shown = self.module.warnings, self.module.shown

    def __getitem__(self, name):
        return self.result[name]

    def __contains__(self, name):
        return name in self.result

    @property
    def ids(self):
        return [row["id"] for row in self.result["jobs"]]


def run(module, **options):
    """A task that goes well."""
    task = Task(module, **options)
    assert "failed" not in task, task["msg"]
    return task


def failed(module, **options):
    """A task that fails."""
    task = Task(module, **options)
    assert task.result.get("failed"), task.result
    return task
