#!/usr/bin/python
# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: usage_info
short_description: Read how much QPU time an IBM Quantum instance has used and has left
version_added: "0.1.0"
description:
  - Reads C(GET /v1/instances/usage) of the Runtime REST API. IBM's guide calls it C(/v1/usage), which does not exist.
  - Nothing is sent to the hosts of the play.
attributes:
  check_mode:
    support: full
    details: Only reads.
  diff_mode:
    support: none
    details: Only reads.
seealso:
  - module: ibm_quantum.platform.backend_info
author:
  - ibm_quantum.platform contributors (@ibm-quantum-platform)
extends_documentation_fragment:
  - ibm_quantum.platform.api
  - ibm_quantum.platform.api.module
"""

EXAMPLES = r"""
- name: Read the usage of the instance
  ibm_quantum.platform.usage_info:
    instance: "{{ ibm_quantum_instance }}"
  register: quantum

- name: Stop where less than a minute of QPU time is left
  ansible.builtin.assert:
    that: (quantum.usage.usage_remaining_seconds or 999999) >= 60
    fail_msg: "Only {{ quantum.usage.usage_remaining_seconds }} s of QPU time are left."
"""

RETURN = r"""
usage:
  description: The usage in the present period, as IBM returns it, with the remaining time added.
  returned: success
  type: dict
  contains:
    instance_id:
      description: The CRN of the instance.
      type: str
    plan_id:
      description: The ID of its plan.
      type: str
    usage_consumed_seconds:
      description: QPU seconds used in the period.
      type: int
    usage_limit_seconds:
      description: QPU seconds that the instance may use, if it has a limit.
      type: int
    usage_allocation_seconds:
      description: QPU seconds allocated to the instance, if it has an allocation.
      type: int
    usage_limit_reached:
      description: Whether IBM accepts no further job for that reason.
      type: bool
    usage_period:
      description: Start and end of the period.
      type: dict
    usage_remaining_seconds:
      description: QPU seconds left under the lower of limit and allocation, V(null) where there is neither.
      type: int
  sample:
    instance_id: "crn:v1:bluemix:public:quantum-computing:us-east:a/0123456789abcdef0123456789abcdef:GUID::"
    plan_id: 850b21a7-71de-4e53-9441-1abdd202f35d
    usage_consumed_seconds: 120
    usage_limit_seconds: 600
    usage_limit_reached: false
    usage_remaining_seconds: 480
"""

from typing import Any

from ansible_collections.ibm_quantum.platform.plugins.module_utils._client import Client
from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import ModuleLike, main
from ansible_collections.ibm_quantum.platform.plugins.module_utils._options import argument_spec
from ansible_collections.ibm_quantum.platform.plugins.module_utils._runtime import Runtime

ARGUMENT_SPEC = argument_spec()


def run(module: ModuleLike) -> dict[str, Any]:
    return {"changed": False, "usage": Runtime(Client(module)).usage()}


if __name__ == "__main__":
    main(run, ARGUMENT_SPEC)
