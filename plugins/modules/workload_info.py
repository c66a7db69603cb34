#!/usr/bin/python
# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: workload_info
short_description: List the workloads of an IBM Quantum instance
version_added: "0.1.0"
description:
  - Lists jobs, sessions and batches of the instance, filtered, as many pages as are needed.
  - A session or batch is one workload, whatever jobs it has. A job outside of any is one as well.
  - Nothing is sent to the hosts of the play.
options:
  mine:
    description:
      - Only those of the identity that the task authenticates as.
    type: bool
    default: false
  sort:
    description:
      - Which come first, and are in the result if there are more than O(limit).
    type: str
    choices: [newest, oldest]
    default: newest
  backend:
    description:
      - Only those on this backend.
    type: str
  search:
    description:
      - Only those that have this text in their ID or in one of their tags.
    type: str
  status:
    description:
      - Only those in one of these states.
    type: list
    elements: str
    choices: [pending, in_progress, completed, canceled, failed]
  mode:
    description:
      - Only V(job), jobs outside of any session, V(session), dedicated sessions, or V(batch).
    type: str
    choices: [job, session, batch]
  created_after:
    description:
      - Only those that were made after this time of ISO 8601, as V(2026-11-22T10:15:00Z). Without an offset it is UTC;
        a date is its first moment.
    type: str
  created_before:
    description:
      - Only those that were made before this time, in the same forms.
    type: str
  tags:
    description:
      - Only those that have all of these tags.
    type: list
    elements: str
  limit:
    description:
      - How many to return at most, V(0) for all. IBM sends 50 in an answer.
    type: int
    default: 200
attributes:
  check_mode:
    support: full
    details: Only reads.
  diff_mode:
    support: none
    details: Only reads.
seealso:
  - module: ibm_quantum.platform.job_info
  - module: ibm_quantum.platform.session_info
  - module: ibm_quantum.platform.usage_info
author:
  - ibm_quantum.platform contributors (@ibm-quantum-platform)
extends_documentation_fragment:
  - ibm_quantum.platform.api
  - ibm_quantum.platform.api.module
"""

EXAMPLES = r"""
- name: What waits or runs
  ibm_quantum.platform.workload_info:
    instance: "{{ ibm_quantum_instance }}"
    status: [pending, in_progress]
    limit: 0
  register: now

- name: Show it
  ansible.builtin.debug:
    msg: "{{ now.workloads | map(attribute='id') }}"

- name: What of mine failed this year
  ibm_quantum.platform.workload_info:
    instance: "{{ ibm_quantum_instance }}"
    mine: true
    status: [failed]
    created_after: 2026-01-01
"""

RETURN = r"""
workloads:
  description: The workloads as IBM represents them.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: The ID of the job or session.
      type: str
    created:
      description: When it was made.
      type: str
    ended:
      description: When it ended, if it did.
      type: str
    backend:
      description: The backend.
      type: str
    instance:
      description: The instance.
      type: str
    user_id:
      description: Whose it is.
      type: str
    mode:
      description: V(job), V(session) for a dedicated session, or V(batch).
      type: str
    status:
      description: V(pending), V(in_progress), V(completed), V(canceled) or V(failed).
      type: str
    status_reason:
      description: Why a job has that status, if IBM tells.
      type: str
    accepting_jobs:
      description: Whether it takes jobs. For sessions and batches.
      type: bool
    tags:
      description: The tags of its jobs.
      type: list
      elements: str
    usage:
      description: What it used of the QPU, V(qpu_charge_time_seconds), once it is known.
      type: dict
    estimated_running_time_seconds:
      description: What it is expected to use of the QPU.
      type: float
  sample:
    - id: d3k1p2c4u5ns73a9f0g0
      created: "2026-11-22T10:15:00.562Z"
      backend: ibm_fez
      mode: job
      status: completed
      tags: [nightly]
      usage:
        qpu_charge_time_seconds: 3
total_count:
  description: How many workloads fit the options, as IBM says, also those above O(limit).
  returned: success
  type: int
  sample: 1
"""

from typing import Any

from ansible_collections.ibm_quantum.platform.plugins.module_utils._client import Client
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import ModuleLike, main
from ansible_collections.ibm_quantum.platform.plugins.module_utils._options import argument_spec
from ansible_collections.ibm_quantum.platform.plugins.module_utils._times import ibm_interval
from ansible_collections.ibm_quantum.platform.plugins.module_utils._workloads import (
    NEWEST_FIRST,
    OLDEST_FIRST,
    Workloads,
)

ARGUMENT_SPEC = argument_spec(
    mine={"type": "bool", "default": False},
    sort={"type": "str", "choices": ["newest", "oldest"], "default": "newest"},
    backend={"type": "str"},
    search={"type": "str"},
    status={
        "type": "list",
        "elements": "str",
        "choices": ["pending", "in_progress", "completed", "canceled", "failed"],
    },
    mode={"type": "str", "choices": ["job", "session", "batch"]},
    created_after={"type": "str"},
    created_before={"type": "str"},
    tags={"type": "list", "elements": "str"},
    limit={"type": "int", "default": 200},
)


def run(module: ModuleLike) -> dict[str, Any]:
    options = module.params
    if options["limit"] < 0:
        raise OptionError(f"'limit' must be 0, for all, or more, not {options['limit']}")
    filters = {
        "user": "me" if options["mine"] else None,
        "sort": NEWEST_FIRST if options["sort"] == "newest" else OLDEST_FIRST,
        **{name: options[name] for name in ("backend", "search", "status", "mode", "tags")},
        **ibm_interval(options, "created_after", "created_before"),
    }
    workloads, total = Workloads(Client(module)).find(filters, options["limit"] or None)
    return {"changed": False, "workloads": workloads, "total_count": total}


if __name__ == "__main__":
    main(run, ARGUMENT_SPEC)
