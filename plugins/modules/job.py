#!/usr/bin/python
# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: job
short_description: Submit jobs to IBM Quantum once, wait for them, and bring their results home
version_added: "0.1.0"
description:
  - Submits a job if there is none of its key yet. The key is O(name), or a digest of backend, program and params; it is
    kept as a tag of the job. So a second run, a lost answer, a killed controller or a second controller do not run, and
    bill, a job twice.
  - Waits for jobs if wanted, and returns their results decoded or writes them to files.
  - Cancels and deletes jobs.
  - Nothing is sent to the hosts of the play.
options:
  name:
    description:
      - The name of the job, unique to its user and instance, up to 74 characters.
      - A job of that name with another program, backend or circuit is an error, unless it is submitted again as
        O(resubmit) says.
      - If not set, a job is known by what it is. The same circuit on the same backend is then the same job.
    type: str
  id:
    description:
      - The ID of a job, to cancel or delete it.
    type: str
  state:
    description:
      - V(present) submits the job if there is none of its key, and brings O(tags) up to date if there is.
      - V(cancelled) cancels it if it waits or runs, all those of the key if there are several. A job that has ended
        stays as it is.
      - V(absent) deletes it, all those of the key; if it waits or runs it is cancelled first. IBM deletes its results
        with it.
    type: str
    choices: [present, cancelled, absent]
    default: present
  resubmit:
    description:
      - When to submit the job again though there is one of its key. Of several the newest counts.
      - V(never) takes the one that there is, however it ended.
      - V(failed) submits it again if the newest one failed or was cancelled, also with a circuit that was mended.
      - V(always) submits it with each run of the task.
    type: str
    choices: [never, failed, always]
    default: never
  program_id:
    description:
      - The program. V(sampler) and V(estimator) take circuits, V(executor), V(noise-learner) and all others their whole
        O(params).
    type: str
    default: sampler
  backend:
    description:
      - The name of the backend, for which the circuits must be transpiled.
      - If not set, it is that of the session, or the least busy one that fits O(min_qubits), O(processor_family),
        O(max_queue_length) and O(simulator). It is chosen when the job is submitted, and not again; which one it came
        to is no part of the key.
    type: str
  circuit:
    description:
      - The circuit, as OpenQASM 3 text, or as QPY in base64.
    type: str
  circuit_file:
    description:
      - The file with the circuit, OpenQASM 3 or QPY, on the machine that makes the calls. QPY must be of version 17 or
        older, which C(qiskit.qpy.dump) writes with C(version=17).
    type: path
  pubs:
    description:
      - What a primitive runs, if it is more than one circuit without parameters. IBM calls an element a PUB.
    type: list
    elements: dict
    suboptions:
      circuit:
        description: The circuit, as OpenQASM 3 text, or as QPY in base64.
        type: str
      circuit_file:
        description: The file with the circuit, OpenQASM 3 or QPY, on the machine that makes the calls.
        type: path
      observables:
        description:
          - The observables of an estimator, such as V(ZZ), a mapping of Pauli strings to coefficients, or a list of
            either.
        type: raw
      parameter_values:
        description: The values of the circuit's parameters, by name or in their order; lists of those for a sweep.
        type: raw
      shots:
        description: The shots of this PUB, for a sampler.
        type: int
      precision:
        description: The precision of this PUB, for an estimator.
        type: float
  params:
    description:
      - The whole params of the program, instead of circuits.
    type: dict
  shots:
    description:
      - The shots of those PUBs that name none, for a sampler.
    type: int
  precision:
    description:
      - The precision of those PUBs that name none, for an estimator.
    type: float
  resilience_level:
    description:
      - How much an estimator does against errors, V(0) to V(2).
    type: int
  options:
    description:
      - The options of the primitive, as IBM's REST API takes them, such as C(dynamical_decoupling) or C(twirling).
    type: dict
  support_qiskit:
    description:
      - Whether IBM sends the results in the encoding of its client. It is smaller, and C(RuntimeDecoder) reads it.
    type: bool
    default: false
  max_execution_time:
    description:
      - The most seconds of QPU time that the job may take, 1 to 10800. IBM ends it then, and calls this the cost.
    type: int
  private:
    description:
      - Whether IBM keeps the params to itself, and deletes the results as they are read. To bring them home
        O(result_file) is needed.
    type: bool
    default: false
  session_id:
    description:
      - The ID of the session or batch that the job is a part of.
    type: str
  session:
    description:
      - The name of that session, which the module M(ibm_quantum.platform.session) made.
    type: str
  tags:
    description:
      - Tags of the job. IBM takes 8 of 86 characters each; a job with a O(name) needs two of them to be found again,
        one without needs one, and one in a O(session) another one. They begin with C(ansible-); a job that loses them
        is not found again, but submitted again.
      - If not set, those of a job that there is are left as they are.
    type: list
    elements: str
  log_level:
    description:
      - How much the program logs.
    type: str
    choices: [critical, error, warning, info, debug]
  calibration_id:
    description:
      - The ID of the calibration that the job is to use.
    type: str
  require_remaining_seconds:
    description:
      - Submit nothing if the instance has less QPU time than these seconds left in the present period.
    type: int
  result_file:
    description:
      - A file for the results, byte for byte as IBM sends them, on the machine that makes the calls. It is replaced as
        a whole and has mode 0600. Needs O(wait), unless the job has ended.
    type: path
  jobs:
    description:
      - Several jobs, each a mapping of those options that tell one job from another. What it does not set is taken from
        the task.
      - 'It may have: C(name), C(id), C(program_id), C(backend), C(circuit), C(circuit_file), C(pubs), C(params),
        C(shots), C(precision), C(resilience_level), C(options), C(support_qiskit), C(max_execution_time), C(private),
        C(session_id), C(session), C(tags), C(log_level), C(calibration_id), C(result_file), C(min_qubits),
        C(processor_family), C(max_queue_length), C(simulator).'
      - All are checked before the first is submitted. They are then waited for together.
    type: list
    elements: dict
  submit_timeout:
    description:
      - For how many seconds a submission is tried again where IBM takes no more jobs for now. It takes 5 a minute of a
        user, and limits how many may wait.
    type: int
    default: 900
  wait:
    description:
      - Whether to wait until the jobs have ended. A job that then has not completed is an error.
    type: bool
    default: false
  wait_timeout:
    description:
      - For how many seconds. A job that takes longer is an error, but goes on.
    type: int
    default: 3600
  results:
    description:
      - How the results of jobs that have completed are returned. V(decoded) has counts, expectation values and standard
        errors, V(raw) is what IBM sent, V(none) leaves them at IBM, or in the O(result_file).
    type: str
    choices: [decoded, raw, none]
    default: decoded
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
    details: Looks jobs up, checks the options, and submits nothing.
  diff_mode:
    support: full
    details: Of the params only a digest is shown.
notes:
  - While a task waits, it shows the state, the place in the queue and the estimated start. Stopping the run does not
    stop the job.
  - With C(run_on=target) or C(async) nothing is shown, as nobody sees what a module prints before it ends.
  - In a play over several hosts, use C(run_once). Tasks of one user with the same key wait for each other, so that the
    job is submitted once in any case.
  - The rate limit is IBM's and holds for the user. 200 jobs take 40 minutes; several circuits in the O(pubs) of one job
    count as one.
seealso:
  - module: ibm_quantum.platform.job_info
  - module: ibm_quantum.platform.session
  - plugin: ibm_quantum.platform.counts
    plugin_type: filter
author:
  - ibm_quantum.platform contributors (@ibm-quantum-platform)
extends_documentation_fragment:
  - ibm_quantum.platform.api
  - ibm_quantum.platform.api.module
  - ibm_quantum.platform.backend_choice
"""

EXAMPLES = r"""
- name: Run a Bell circuit, once
  ibm_quantum.platform.job:
    name: bell
    backend: ibm_fez
    shots: 1000
    wait: true
    circuit: |
      OPENQASM 3.0;
      include "stdgates.inc";
      bit[2] meas;
      rz(pi/2) $0; sx $0; rz(pi/2) $0;
      rz(pi/2) $1; sx $1; rz(pi/2) $1;
      cz $0, $1;
      rz(pi/2) $1; sx $1; rz(pi/2) $1;
      meas[0] = measure $0;
      meas[1] = measure $1;
  register: bell
  run_once: true

- name: Show the counts
  ansible.builtin.debug:
    msg: "{{ bell | ibm_quantum.platform.counts }}"
  run_once: true

- name: Submit three jobs, and go on
  ibm_quantum.platform.job:
    backend: ibm_fez
    require_remaining_seconds: 60
    max_execution_time: 30
    tags: [nightly]
    jobs:
      - name: nightly-1
        circuit: &flip 'OPENQASM 3.0; include "stdgates.inc"; bit[1] c; x $0; c[0] = measure $0;'
      - name: nightly-2
        circuit: *flip
        shots: 100
      - name: nightly-3
        circuit: *flip
        result_file: "{{ lookup('ansible.builtin.env', 'HOME') }}/nightly-3.json"
  register: nightly
  run_once: true

- name: Collect them later, with one poll for all
  ibm_quantum.platform.job_info:
    ids: "{{ nightly.jobs | map(attribute='id') }}"
    wait: true
    results: decoded
  run_once: true

- name: Cancel what may still wait
  ibm_quantum.platform.job:
    name: nightly-1
    state: cancelled
  run_once: true

- name: Delete it, and its results
  ibm_quantum.platform.job:
    name: nightly-1
    state: absent
  run_once: true
"""

RETURN = r"""
job:
  description: The job as IBM represents it, with what was brought home. Without O(jobs).
  returned: if there is one; in check mode not one that would be submitted
  type: dict
  contains: &job
    id:
      description: The ID.
      type: str
    name:
      description: The name, if it has one.
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
      description:
        - The results, one element for each PUB; empty where IBM has none. With O(results=raw) as IBM sent them.
        - Of a sampler C(counts), a mapping of each classical register to a mapping of bit strings to counts, and
          C(metadata). Of an estimator C(evs), C(stds), C(ensemble_standard_error) and C(metadata).
      type: raw
      returned: when the job has ended, unless O(results=none)
    result_file:
      description: The file with the results.
      type: str
      returned: when the results are in it
    error_text:
      description: What the program said at its end.
      type: str
      returned: when the job failed
    metrics:
      description: Times, use of the QPU, versions. Returned with O(details).
      type: dict
    logs:
      description: The log. Returned with O(details).
      type: str
    params:
      description: What was submitted. Returned with O(details); of private jobs never.
      type: dict
  sample: &sample
    id: d4kq2vl8r0fs73c1u2mg
    name: bell
    backend: ibm_fez
    program: {id: sampler}
    created: "2026-11-28T02:13:56.562Z"
    state: {status: Completed}
    status: Completed
    cost: 10800
    usage: {qpu_charge_time_seconds: 2, status: complete}
    tags: []
    results:
      - counts: {meas: {"00": 489, "11": 511}}
        metadata: {}
jobs:
  description: The jobs, in the order of O(jobs). With O(jobs), if it fails those up to the one that failed.
  returned: with O(jobs)
  type: list
  elements: dict
  contains: *job
  sample: [*sample]
submitted:
  description: How many jobs the task submitted, or would in check mode.
  returned: O(state=present)
  type: int
"""

from typing import Any

from ansible_collections.ibm_quantum.platform.plugins.module_utils._backends import CHOICE_SPEC
from ansible_collections.ibm_quantum.platform.plugins.module_utils._collect import DETAILS, RESULTS
from ansible_collections.ibm_quantum.platform.plugins.module_utils._job import ONE_JOB
from ansible_collections.ibm_quantum.platform.plugins.module_utils._job_list import run_all
from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import ModuleLike, main
from ansible_collections.ibm_quantum.platform.plugins.module_utils._options import argument_spec

ARGUMENT_SPEC = argument_spec(
    **ONE_JOB,
    **CHOICE_SPEC,
    state={"type": "str", "choices": ["present", "cancelled", "absent"], "default": "present"},
    resubmit={"type": "str", "choices": ["never", "failed", "always"], "default": "never"},
    require_remaining_seconds={"type": "int"},
    jobs={"type": "list", "elements": "dict"},
    submit_timeout={"type": "int", "default": 900},
    wait={"type": "bool", "default": False},
    wait_timeout={"type": "int", "default": 3600},
    results={"type": "str", "choices": RESULTS, "default": "decoded"},
    details={"type": "list", "elements": "str", "choices": DETAILS, "default": []},
)


def run(module: ModuleLike) -> dict[str, Any]:
    return run_all(module)


if __name__ == "__main__":
    main(run, ARGUMENT_SPEC)
