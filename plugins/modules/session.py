#!/usr/bin/python
# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: session
short_description: Open and close sessions and batches of IBM Quantum
version_added: "0.1.0"
description:
  - A session reserves a backend for jobs that follow each other, a batch runs jobs that do not depend on each other
    close together. Both are called session here and in IBM's API.
  - IBM gives sessions an ID, but no name, and does not list them. With O(name) a session is found again in the next
    run, see the notes.
  - Nothing is sent to the hosts of the play.
options:
  name:
    description:
      - A name for the session, of up to 70 characters. If a session of that name is usable, none is made.
      - Without O(name) and O(id), O(state=open) makes a new session each time.
    type: str
  id:
    description:
      - The ID of the session. None is made then.
      - Together with O(name), the session is known by that name from then on.
    type: str
  state:
    description:
      - V(open) makes a session if there is none that is not closed, and opens one again that accepts no jobs.
      - V(not_accepting) lets it take no more jobs. What is in it runs, then IBM closes it.
      - V(closed) closes it now. Jobs that wait will not run, those that run go on to their end.
      - A session that is not there or is closed is no error with V(not_accepting) and V(closed).
    type: str
    choices: [open, not_accepting, closed]
    default: open
  mode:
    description:
      - V(batch), or V(dedicated) for a session that has the backend to itself. A new one is a V(batch) by default.
      - The Open plan has no dedicated sessions.
    type: str
    choices: [batch, dedicated]
  backend:
    description:
      - The name of the backend. A new session needs it.
    type: str
  max_ttl:
    description:
      - How many seconds the session may last from its first job on. By default as IBM decides, 8 hours.
    type: int
  interactive_ttl:
    description:
      - How many seconds it stays active between two jobs. For instances of the Channel Partner plan only.
    type: int
  active_ttl:
    description:
      - How many seconds it may be active. For instances of the Channel Partner plan only.
      - It is not compared with a session that is there already, as IBM tells what is left of it.
    type: int
attributes:
  check_mode:
    support: full
    details: A new session has no ID then.
  diff_mode:
    support: full
notes:
  - IBM changes neither mode, backend nor times of a session. If a session is there that differs from an option that is
    set, it is an error that names the option.
  - A name is kept in a file below C($XDG_STATE_HOME) or C(~/.local/state) of the user, on the machine that makes the
    calls. On other machines a session is found by the tag C(ansible-session:NAME) of jobs in it, so once it has a job
    that the module M(ibm_quantum.platform.job) submitted with its option O(ibm_quantum.platform.job#module:session).
  - Neither a lost answer nor a run that was killed makes a second session. If several sessions may be the one that was
    made, it is an error with their IDs.
  - In a play over several hosts, use C(run_once). Tasks of one user with the same O(name) wait for each other.
seealso:
  - module: ibm_quantum.platform.session_info
  - module: ibm_quantum.platform.job
author:
  - ibm_quantum.platform contributors (@ibm-quantum-platform)
extends_documentation_fragment:
  - ibm_quantum.platform.api
  - ibm_quantum.platform.api.module
"""

EXAMPLES = r"""
- name: Open a batch, or find it
  ibm_quantum.platform.session:
    instance: "{{ ibm_quantum_instance }}"
    name: nightly
    backend: ibm_fez
    max_ttl: 3600
  register: nightly
  run_once: true

- name: Let what is in it run, and take no more
  ibm_quantum.platform.session:
    instance: "{{ ibm_quantum_instance }}"
    name: nightly
    state: not_accepting
  run_once: true

- name: Open a session for this run only
  ibm_quantum.platform.session:
    instance: "{{ ibm_quantum_instance }}"
    mode: dedicated
    backend: ibm_torino
  register: once
  run_once: true

- name: Close it, whatever waits
  ibm_quantum.platform.session:
    instance: "{{ ibm_quantum_instance }}"
    id: "{{ once.session.id }}"
    state: closed
  run_once: true
"""

RETURN = r"""
session:
  description:
    - The session as IBM represents it. In check mode a new one has only what was asked for.
    - V(null) if O(state=not_accepting) or O(state=closed) found none.
  returned: success
  type: dict
  contains:
    id:
      description: The ID.
      type: str
    name:
      description: The name, if the task gives it.
      type: str
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
    id: 0a6c9d4e-5b1f-4f0e-9d55-3c1c0f3a7b21
    name: nightly
    backend_name: ibm_fez
    mode: batch
    state: open
    accepting_jobs: true
    max_ttl: 3600
"""

from typing import Any

from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import ModuleLike, main
from ansible_collections.ibm_quantum.platform.plugins.module_utils._options import argument_spec
from ansible_collections.ibm_quantum.platform.plugins.module_utils._session import SessionTask, check

ARGUMENT_SPEC = argument_spec(
    name={"type": "str"},
    id={"type": "str"},
    state={"type": "str", "choices": ["open", "not_accepting", "closed"], "default": "open"},
    mode={"type": "str", "choices": ["batch", "dedicated"]},
    backend={"type": "str"},
    max_ttl={"type": "int"},
    interactive_ttl={"type": "int"},
    active_ttl={"type": "int"},
)


def run(module: ModuleLike) -> dict[str, Any]:
    check(module.params)
    return SessionTask(module).run()


if __name__ == "__main__":
    main(run, ARGUMENT_SPEC)
