#!/usr/bin/python
# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backend_info
short_description: List the backends of an IBM Quantum instance, and read their details
version_added: "0.1.0"
description:
  - Lists the backends that the instance may use, filtered, and reads the configuration, properties or status of each if
    wanted.
  - Nothing is sent to the hosts of the play.
options:
  name:
    description:
      - The name of one backend. It is an error if the instance does not have it.
    type: str
  operational:
    description:
      - Only backends that are online, or only those that are not.
    type: bool
  least_busy:
    description:
      - Only the one backend with the shortest queue, among those that are online and fit the other options; of equal
        queues the one with the most qubits, then the first by name. It is an error if there is none.
    type: bool
    default: false
  details:
    description:
      - What to read of each backend that is returned besides its row in the list; each is a request of its own.
    type: list
    elements: str
    choices: [configuration, defaults, properties, status]
    default: []
  calibration_id:
    description:
      - Read V(configuration) and V(properties) of this calibration instead of the present one.
    type: str
  fields:
    description:
      - Fields that IBM adds to the list only when asked.
    type: list
    elements: str
    choices: [wait_time_seconds]
    default: []
attributes:
  check_mode:
    support: full
    details: Only reads.
  diff_mode:
    support: none
    details: Only reads.
seealso:
  - module: ibm_quantum.platform.usage_info
  - plugin: ibm_quantum.platform.backend
    plugin_type: lookup
author:
  - ibm_quantum.platform contributors (@ibm-quantum-platform)
extends_documentation_fragment:
  - ibm_quantum.platform.api
  - ibm_quantum.platform.api.module
  - ibm_quantum.platform.backend_choice
"""

EXAMPLES = r"""
- name: List all backends
  ibm_quantum.platform.backend_info:
    instance: "{{ ibm_quantum_instance }}"
  register: quantum

- name: Show names and queues
  ansible.builtin.debug:
    msg: "{{ item.name }}: {{ item.qubits }} qubits, {{ item.queue_length }} jobs wait"
  loop: "{{ quantum.backends }}"
  loop_control:
    label: "{{ item.name }}"

- name: Choose the least busy computer with 100 qubits or more
  ibm_quantum.platform.backend_info:
    instance: "{{ ibm_quantum_instance }}"
    min_qubits: 100
    simulator: false
    least_busy: true
  register: choice

- name: List the Heron processors that few jobs wait for
  ibm_quantum.platform.backend_info:
    instance: "{{ ibm_quantum_instance }}"
    processor_family: Heron
    max_queue_length: 50
    operational: true

- name: Read the error rates of one backend
  ibm_quantum.platform.backend_info:
    instance: "{{ ibm_quantum_instance }}"
    name: "{{ choice.backends[0].name }}"
    details: [configuration, properties]
"""

RETURN = r"""
backends:
  description: The backends, in IBM's order.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name.
      type: str
    status:
      description: The state V(online), V(paused) or V(offline) as C(name), with a C(reason).
      type: dict
    qubits:
      description: How many qubits it has.
      type: int
    queue_length:
      description: How many jobs wait.
      type: int
    processor_type:
      description: Family, revision and segment of the processor.
      type: dict
    clops:
      description: Circuit layer operations per second.
      type: dict
    is_simulator:
      description: Whether it is a simulator.
      type: bool
    configuration:
      description: The configuration. Returned with O(details).
      type: dict
    defaults:
      description: The pulse defaults, V(null) where there are none. Returned with O(details).
      type: dict
    properties:
      description: The calibration data, V(null) where there is none. Returned with O(details).
      type: dict
    state:
      description: The answer of the status call. Returned with O(details=status).
      type: dict
  sample:
    - name: ibm_fez
      status: {name: online, reason: available}
      qubits: 156
      queue_length: 4
      processor_type: {family: Heron, revision: "2"}
"""

from typing import Any

from ansible_collections.ibm_quantum.platform.plugins.module_utils._backends import CHOICE_SPEC, matching, with_details
from ansible_collections.ibm_quantum.platform.plugins.module_utils._client import Client
from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import ModuleLike, main
from ansible_collections.ibm_quantum.platform.plugins.module_utils._options import argument_spec
from ansible_collections.ibm_quantum.platform.plugins.module_utils._runtime import Runtime

ARGUMENT_SPEC = argument_spec(
    name={"type": "str"},
    operational={"type": "bool"},
    least_busy={"type": "bool", "default": False},
    details={
        "type": "list",
        "elements": "str",
        "choices": ["configuration", "defaults", "properties", "status"],
        "default": [],
    },
    calibration_id={"type": "str"},
    fields={"type": "list", "elements": "str", "choices": ["wait_time_seconds"], "default": []},
    **CHOICE_SPEC,
)


def run(module: ModuleLike) -> dict[str, Any]:
    runtime, options = Runtime(Client(module)), module.params
    backends = matching(
        runtime.backends(options["fields"]),
        name=options["name"],
        operational=options["operational"],
        least_busy=options["least_busy"],
        **{option: options[option] for option in CHOICE_SPEC},
    )
    detailed = [with_details(runtime, row, options["details"], options["calibration_id"]) for row in backends]
    return {"changed": False, "backends": detailed}


if __name__ == "__main__":
    main(run, ARGUMENT_SPEC)
