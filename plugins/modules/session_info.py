#!/usr/bin/python
# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: session_info
short_description: Read sessions and batches of IBM Quantum, and the jobs in them
version_added: "0.1.0"
description:
  - Reads sessions by their IDs, or by the name that the module M(ibm_quantum.platform.session) gave one.
  - IBM does not list sessions; M(ibm_quantum.platform.workload_info) has them as workloads.
  - Nothing is sent to the hosts of the play.
options:
  ids:
    description:
      - The IDs of sessions.
    type: list
    elements: str
  name:
    description:
      - The name of a session. If none of that name is open, it is the last one that was.
    type: str
  jobs:
    description:
      - Read the jobs of each session too.
    type: bool
    default: false
  missing:
    description:
      - What to do about a session that is not there; V(skip) leaves it out of the result.
    type: str
    choices: [error, skip]
    default: error
attributes:
  check_mode:
    support: full
    details: Only reads.
  diff_mode:
    support: none
    details: Only reads.
seealso:
  - module: ibm_quantum.platform.session
  - module: ibm_quantum.platform.workload_info
author:
  - ibm_quantum.platform contributors (@ibm-quantum-platform)
extends_documentation_fragment:
  - ibm_quantum.platform.api
  - ibm_quantum.platform.api.module
"""

EXAMPLES = r"""
- name: List the newest batches
  ibm_quantum.platform.workload_info:
    instance: "{{ ibm_quantum_instance }}"
    mode: batch
    limit: 5
  register: batches

- name: Read those that are still there, with their jobs
  ibm_quantum.platform.session_info:
    instance: "{{ ibm_quantum_instance }}"
    ids: "{{ batches.workloads | map(attribute='id') }}"
    jobs: true
    missing: skip
  register: found

- name: Show the jobs in them that wait
  ansible.builtin.debug:
    msg: "{{ found.sessions | map(attribute='jobs') | flatten | selectattr('state.status', '==', 'Queued') }}"

- name: Has the batch of that name been closed
  ibm_quantum.platform.session_info:
    instance: "{{ ibm_quantum_instance }}"
    name: nightly
    missing: skip
"""

RETURN = r"""
sessions:
  description: The sessions as IBM represents them, that of O(name) first, then those of O(ids) in their order.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: The ID.
      type: str
    name:
      description: The name, of the session that was asked for by it.
      type: str
    jobs:
      description:
        - The jobs in the session as IBM represents them, the newest first, without what was submitted. See
          M(ibm_quantum.platform.job_info).
      returned: O(jobs=true)
      type: list
      elements: dict
    backend_name:
      description: The backend. IBM may not tell it before the first job.
      type: str
    mode:
      description: V(batch) or V(dedicated).
      type: str
    state:
      description:
        - V(open) before its first job, V(active) while it has the backend or runs jobs, V(inactive) in between,
          V(closed).
      type: str
    state_reason:
      description: Why it is in that state, if IBM tells.
      type: str
    accepting_jobs:
      description: Whether it takes jobs.
      type: bool
    max_ttl:
      description: How many seconds it may last.
      type: int
    interactive_ttl:
      description: How many seconds it stays active between two jobs.
      type: int
    active_ttl:
      description: How many seconds are left of its time.
      type: int
    started_at:
      description: When its first job started.
      type: str
    activated_at:
      description: When it became active.
      type: str
    closed_at:
      description: When it was closed.
      type: str
    last_job_started:
      description: When its last job started.
      type: str
    last_job_completed:
      description: When its last job ended.
      type: str
    timestamps:
      description: When it entered each state, a list of V(status) and V(timestamp).
      type: list
      elements: dict
    user_id:
      description: Who made it.
      type: str
    elapsed_time:
      description: Its usage in seconds, once it is closed.
      type: float
  sample:
    - id: 0a6c9d4e-5b1f-4f0e-9d55-3c1c0f3a7b21
      backend_name: ibm_fez
      mode: batch
      state: active
      accepting_jobs: true
      max_ttl: 28800
"""

from typing import Any

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _tags
from ansible_collections.ibm_quantum.platform.plugins.module_utils._client import Client
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import ModuleLike, main
from ansible_collections.ibm_quantum.platform.plugins.module_utils._options import argument_spec
from ansible_collections.ibm_quantum.platform.plugins.module_utils._sessions import Session, Sessions

ARGUMENT_SPEC = argument_spec(
    ids={"type": "list", "elements": "str"},
    name={"type": "str"},
    jobs={"type": "bool", "default": False},
    missing={"type": "str", "choices": ["error", "skip"], "default": "error"},
)

CONSTRAINTS = {"required_one_of": [("ids", "name")]}


def run(module: ModuleLike) -> dict[str, Any]:
    options = module.params
    ids: list[str] = options["ids"] or []
    if not all(session_id.strip() for session_id in ids):
        raise OptionError("'ids' has an empty one: leave it out")
    if options["name"] is not None:
        _tags.checked_name("name", options["name"], _tags.LONGEST_SESSION_NAME)
    sessions = Sessions(Client(module))
    found: dict[str, Session] = {}
    named = sessions.find(options["name"]) if options["name"] is not None else None
    if named:
        found[named["id"]] = {**named, "name": options["name"]}
    elif options["name"] is not None and options["missing"] == "error":
        raise OptionError(f"'name': no session {options['name']!r} is known here, and no job has its tag")
    for session_id in ids:
        session = sessions.get(session_id) if options["missing"] == "error" else sessions.peek(session_id)
        if session:
            found.setdefault(session_id, session)
    rows = list(found.values())
    if options["jobs"]:
        rows = [{**row, "jobs": sessions.jobs(row["id"])} for row in rows]
    return {"changed": False, "sessions": rows}


if __name__ == "__main__":
    main(run, ARGUMENT_SPEC, **CONSTRAINTS)
