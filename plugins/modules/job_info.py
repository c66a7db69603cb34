#!/usr/bin/python
# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: job_info
short_description: Find jobs of an IBM Quantum instance, wait for them, and bring their results home
version_added: "0.1.0"
description:
  - Lists the jobs of the caller in the instance, filtered, or reads jobs by their IDs.
  - Waits for them if wanted, with one poll for all, and returns their results decoded or writes them to files. It does
    not matter who submitted them, and with what.
  - Nothing is sent to the hosts of the play.
options:
  ids:
    description:
      - The IDs of jobs. It is an error if the instance does not have one of them.
    type: list
    elements: str
  name:
    description:
      - The name of jobs that the module M(ibm_quantum.platform.job) submitted.
    type: str
  tags:
    description:
      - Only jobs that have all of these tags.
    type: list
    elements: str
  program_id:
    description:
      - Only jobs of this program.
    type: str
  backend:
    description:
      - Only jobs of this backend.
    type: str
  pending:
    description:
      - Only jobs that wait or run, or only those that have ended.
    type: bool
  session_id:
    description:
      - Only jobs of the session or batch of this ID.
    type: str
  session:
    description:
      - Only jobs that were submitted with this name of a session. See the module M(ibm_quantum.platform.job).
    type: str
  created_after:
    description:
      - Only jobs made after this time, in ISO 8601. Without an offset it is UTC.
    type: str
  created_before:
    description:
      - Only jobs made before this time.
    type: str
  sort:
    description:
      - Which jobs come first.
    type: str
    choices: [newest, oldest]
    default: newest
  limit:
    description:
      - The most jobs to list. V(0) is for all.
    type: int
    default: 200
  wait:
    description:
      - Whether to wait until these jobs have ended. However they end, it is no error.
    type: bool
    default: false
  wait_timeout:
    description:
      - For how many seconds. Jobs that take longer are an error, but go on.
    type: int
    default: 3600
  results:
    description:
      - How the results of jobs that have ended are returned. V(decoded) has counts, expectation values and standard
        errors, V(raw) is what IBM sent, V(none) leaves them out.
      - Those of private jobs are read with O(result_dir) only, as IBM deletes them then.
    type: str
    choices: [decoded, raw, none]
    default: none
  result_dir:
    description:
      - A folder for the results, on the machine that makes the calls. Those of each job that has ended go to the file
        C(ID.json), byte for byte as IBM sends them.
    type: path
  details:
    description:
      - What else to return of each job; each is a request of its own.
    type: list
    elements: str
    choices: [metrics, logs, params]
    default: []
attributes:
  check_mode:
    support: full
    details: Writes no files, and does not read the results of private jobs.
  diff_mode:
    support: N/A
    details: It changes nothing but files of results.
notes:
  - While a task waits, it shows how many jobs have ended. Stopping the run does not stop the jobs.
seealso:
  - module: ibm_quantum.platform.job
  - module: ibm_quantum.platform.workload_info
  - plugin: ibm_quantum.platform.counts
    plugin_type: filter
author:
  - ibm_quantum.platform contributors (@ibm-quantum-platform)
extends_documentation_fragment:
  - ibm_quantum.platform.api
  - ibm_quantum.platform.api.module
"""

EXAMPLES = r"""
- name: List what waits or runs
  ibm_quantum.platform.job_info:
    pending: true
  register: pending
  run_once: true

- name: Wait for all of it, and save the results
  ibm_quantum.platform.job_info:
    ids: "{{ pending.jobs | map(attribute='id') }}"
    wait: true
    wait_timeout: 86400
    result_dir: "{{ lookup('ansible.builtin.env', 'HOME') }}"
  run_once: true

- name: Read the QPU time of yesterday's jobs with a tag
  ibm_quantum.platform.job_info:
    tags: [nightly]
    created_after: "{{ '%Y-%m-%d' | ansible.builtin.strftime(now(utc=true).timestamp() - 86400) }}"
    limit: 0
  register: nightly
  run_once: true

- name: Sum it up
  ansible.builtin.debug:
    msg: "{{ nightly.jobs | map(attribute='usage.qpu_charge_time_seconds', default=0) | sum }} s"
  run_once: true
"""

RETURN = r"""
jobs:
  description: The jobs, in the order of O(ids) or sorted by age, with what was brought home.
  returned: success, and when jobs took too long
  type: list
  elements: dict
  contains:
    id:
      description: The ID.
      type: str
    name:
      description: The name, if the module M(ibm_quantum.platform.job) gave it one.
      type: str
    backend:
      description: The backend.
      type: str
    program:
      description: The program, its name as C(id).
      type: dict
    created:
      description: When IBM took the job.
      type: str
    state:
      description: The state V(Queued), V(Running), V(Completed), V(Cancelled) or V(Failed) as C(status); of a job that
        did not complete C(reason), C(reason_code) and C(reason_solution).
      type: dict
    status:
      description: The same in one word, or V(Cancelled - Ran too long).
      type: str
    cost:
      description: The most seconds of QPU time that it may take.
      type: int
    usage:
      description: QPU seconds charged as C(qpu_charge_time_seconds); with C(status) V(pending) they are not final. Of a
        job that has ended.
      type: dict
    estimated_running_time_seconds:
      description: IBM's estimate of its QPU time.
      type: float
    tags:
      description: The tags, without those of this collection.
      type: list
      elements: str
    user_id:
      description: Who submitted it.
      type: str
    session_id:
      description: The session that it is a part of, if any.
      type: str
    session:
      description: The name of that session, if the job was submitted by it.
      type: str
    private:
      description: V(true) for a private job, else not there.
      type: bool
    calibration_id:
      description: The calibration that it uses, if one was asked for.
      type: str
    runtime:
      description: The program's image, of old jobs.
      type: str
    results:
      description: The results, as the module M(ibm_quantum.platform.job) returns them. Returned with O(results).
      type: raw
    result_file:
      description: The file with the results. Returned with O(result_dir).
      type: str
    error_text:
      description: What the program said at its end, if it failed. Returned with O(results).
      type: str
    metrics:
      description: Times, use of the QPU, versions. Returned with O(details).
      type: dict
    logs:
      description: The log. Returned with O(details).
      type: str
    params:
      description: What was submitted. Returned with O(details); of private jobs never.
      type: dict
  sample:
    - id: d4kq2vl8r0fs73c1u2mg
      name: bell
      backend: ibm_fez
      program: {id: sampler}
      created: "2026-11-28T02:13:56.562Z"
      state: {status: Completed}
      status: Completed
      cost: 10800
      usage: {qpu_charge_time_seconds: 2, status: complete}
      tags: []
"""

from typing import Any

from ansible_collections.ibm_quantum.platform.plugins.module_utils._collect import DETAILS, RESULTS
from ansible_collections.ibm_quantum.platform.plugins.module_utils._job_search import search
from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import ModuleLike, main
from ansible_collections.ibm_quantum.platform.plugins.module_utils._options import argument_spec

ARGUMENT_SPEC = argument_spec(
    ids={"type": "list", "elements": "str"},
    name={"type": "str"},
    tags={"type": "list", "elements": "str"},
    program_id={"type": "str"},
    backend={"type": "str"},
    pending={"type": "bool"},
    session_id={"type": "str"},
    session={"type": "str"},
    created_after={"type": "str"},
    created_before={"type": "str"},
    sort={"type": "str", "choices": ["newest", "oldest"], "default": "newest"},
    limit={"type": "int", "default": 200},
    wait={"type": "bool", "default": False},
    wait_timeout={"type": "int", "default": 3600},
    results={"type": "str", "choices": RESULTS, "default": "none"},
    result_dir={"type": "path"},
    details={"type": "list", "elements": "str", "choices": DETAILS, "default": []},
)


def run(module: ModuleLike) -> dict[str, Any]:
    return search(module)


if __name__ == "__main__":
    main(run, ARGUMENT_SPEC)
