#!/usr/bin/python
# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: usage_info
short_description: Read how much QPU time an IBM Quantum instance has used and has left, and who used it
version_added: "0.1.0"
description:
  - Reads C(GET /v1/instances/usage) of the Runtime REST API. IBM's guide calls it C(/v1/usage), which does not exist.
  - With O(group_by) it reads C(/v1/analytics) too, the usage of the account's instances by what used it.
  - Nothing is sent to the hosts of the play.
options:
  group_by:
    description:
      - Read analytics, a row for each instance, user, backend, plan or subscription.
      - V(account) is one row, the sums of all. V(date) is a row for each instance and day that has any.
    type: str
    choices: [instance, account, user, backend, plan, subscription, date]
  interval_start:
    description:
      - Analytics from this time of ISO 8601 on, as V(2026-11-22T10:15:00Z). Without an offset it is UTC; a date is its
        first moment. By default as IBM decides.
    type: str
  interval_end:
    description:
      - Analytics until this time, in the same forms. By default until now.
    type: str
  instances:
    description:
      - Analytics of these instances only, as CRNs. By default of all of the account.
    type: list
    elements: str
  backends:
    description:
      - Analytics of these backends only.
    type: list
    elements: str
  users:
    description:
      - Analytics of these users only, by their IDs.
    type: list
    elements: str
  plans:
    description:
      - Analytics of instances of these plans only, by their names.
    type: list
    elements: str
  subscriptions:
    description:
      - Analytics of these subscriptions only, by their IDs, 200 at most.
    type: list
    elements: str
  simulators:
    description:
      - Whether analytics include simulators. IBM includes them by default.
    type: bool
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

- name: Read who used how much in a month
  ibm_quantum.platform.usage_info:
    instance: "{{ ibm_quantum_instance }}"
    group_by: user
    interval_start: 2026-11-01
    interval_end: 2026-12-01
    instances: ["{{ ibm_quantum_instance }}"]
  register: month

- name: Show seconds of QPU time by user
  ansible.builtin.debug:
    msg: "{{ month.analytics.rows | items2dict(key_name='key', value_name='usage_seconds') }}"
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
analytics:
  description: The usage in groups. All times are in seconds, where IBM's API has milliseconds.
  returned: O(group_by) is set
  type: dict
  contains:
    group_by:
      description: What the rows are of.
      type: str
    interval_start:
      description: From when on. V(null) where IBM decided and does not tell.
      type: str
    interval_end:
      description: Until when. V(null) where IBM decided and does not tell.
      type: str
    rows:
      description: A row for each group.
      type: list
      elements: dict
      contains:
        key:
          description: What the row is of, an ID, CRN or name. IBM may send none.
          type: str
        date:
          description: The day, in UTC.
          returned: O(group_by=date)
          type: str
        instance:
          description: The CRN of the instance.
          returned: O(group_by=date)
          type: str
        interval_start:
          description: The start of the day.
          returned: O(group_by=date)
          type: str
        interval_end:
          description: The end of the day.
          returned: O(group_by=date)
          type: str
        usage_seconds:
          description: QPU time of all.
          type: float
        jobs:
          description: How many jobs.
          type: int
        sessions:
          description: How many sessions and batches.
          type: int
        sessions_usage_seconds:
          description: Usage of sessions and batches in all.
          type: float
        avg_sessions_usage_seconds:
          description: Usage of sessions and batches on average.
          type: float
        max_sessions_usage_seconds:
          description: Usage of the one that used most.
          type: float
        batch_sessions:
          description: How many batches.
          type: int
        batch_sessions_usage_seconds:
          description: Usage of batches in all.
          type: float
        avg_batch_sessions_usage_seconds:
          description: Usage of batches on average.
          type: float
        max_batch_sessions_usage_seconds:
          description: Usage of the one that used most.
          type: float
        dedicated_sessions:
          description: How many dedicated sessions.
          type: int
        dedicated_sessions_usage_seconds:
          description: Usage of dedicated sessions in all.
          type: float
        avg_dedicated_sessions_usage_seconds:
          description: Usage of dedicated sessions on average.
          type: float
        max_dedicated_sessions_usage_seconds:
          description: Usage of the one that used most.
          type: float
        individual_jobs:
          description: How many jobs outside of any session.
          type: int
        individual_jobs_usage_seconds:
          description: Usage of jobs outside of any session in all.
          type: float
        avg_individual_jobs_usage_seconds:
          description: Usage of jobs outside of any session on average.
          type: float
        max_individual_jobs_usage_seconds:
          description: Usage of the one that used most.
          type: float
        queue_time_seconds:
          description: Time that jobs waited in all.
          type: float
        avg_queue_time_seconds:
          description: Time that jobs waited on average.
          type: float
        max_queue_time_seconds:
          description: Time that the job waited that waited longest.
          type: float
  sample:
    group_by: user
    interval_start: "2026-11-01T00:00:00.000Z"
    interval_end: "2026-12-01T00:00:00.000Z"
    rows:
      - key: IBMid-270007GGGG
        usage_seconds: 120.5
        jobs: 17
"""

from typing import Any

from ansible_collections.ibm_quantum.platform.plugins.module_utils._analytics import Analytics, query
from ansible_collections.ibm_quantum.platform.plugins.module_utils._client import Client
from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import ModuleLike, main
from ansible_collections.ibm_quantum.platform.plugins.module_utils._options import argument_spec
from ansible_collections.ibm_quantum.platform.plugins.module_utils._runtime import Runtime

ARGUMENT_SPEC = argument_spec(
    group_by={
        "type": "str",
        "choices": ["instance", "account", "user", "backend", "plan", "subscription", "date"],
    },
    interval_start={"type": "str"},
    interval_end={"type": "str"},
    instances={"type": "list", "elements": "str"},
    backends={"type": "list", "elements": "str"},
    users={"type": "list", "elements": "str"},
    plans={"type": "list", "elements": "str"},
    subscriptions={"type": "list", "elements": "str"},
    simulators={"type": "bool"},
)


def run(module: ModuleLike) -> dict[str, Any]:
    asked, group_by = query(module.params), module.params["group_by"]
    client = Client(module)
    result = {"changed": False, "usage": Runtime(client).usage()}
    if group_by:
        result["analytics"] = Analytics(client).read(group_by, asked)
    return result


if __name__ == "__main__":
    main(run, ARGUMENT_SPEC)
