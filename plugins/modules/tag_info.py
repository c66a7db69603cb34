#!/usr/bin/python
# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tag_info
short_description: Find the tags of the jobs of an IBM Quantum instance
version_added: "0.1.0"
description:
  - Finds the tags that have a text in them. IBM returns some of them, 8 by its documentation.
  - Nothing is sent to the hosts of the play.
options:
  search:
    description:
      - The text, of 3 to 100 characters.
    type: str
    required: true
  own:
    description:
      - Also return the tags by which this collection finds its jobs and sessions again. They begin with
        C(ansible-job:), C(ansible-content:) and C(ansible-session:).
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    details: Only reads.
  diff_mode:
    support: none
    details: Only reads.
seealso:
  - module: ibm_quantum.platform.workload_info
author:
  - ibm_quantum.platform contributors (@ibm-quantum-platform)
extends_documentation_fragment:
  - ibm_quantum.platform.api
  - ibm_quantum.platform.api.module
"""

EXAMPLES = r"""
- name: Find the tags of the nightly runs
  ibm_quantum.platform.tag_info:
    instance: "{{ ibm_quantum_instance }}"
    search: nightly
  register: nightly

- name: List what has the first of them
  ibm_quantum.platform.workload_info:
    instance: "{{ ibm_quantum_instance }}"
    tags: "{{ nightly.tags[:1] }}"
"""

RETURN = r"""
tags:
  description: The tags, an empty list where there is none.
  returned: success
  type: list
  elements: str
  sample: [nightly, nightly-2026]
"""

from typing import Any

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _tags
from ansible_collections.ibm_quantum.platform.plugins.module_utils._client import Client
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import ModuleLike, main
from ansible_collections.ibm_quantum.platform.plugins.module_utils._options import argument_spec
from ansible_collections.ibm_quantum.platform.plugins.module_utils._workloads import Workloads

ARGUMENT_SPEC = argument_spec(
    search={"type": "str", "required": True},
    own={"type": "bool", "default": False},
)


def run(module: ModuleLike) -> dict[str, Any]:
    search = module.params["search"]
    if not 3 <= len(search) <= 100:
        raise OptionError(f"'search' must have 3 to 100 characters, not {len(search)}")
    tags = Workloads(Client(module)).tags(search)
    return {"changed": False, "tags": tags if module.params["own"] else _tags.of_users(tags)}


if __name__ == "__main__":
    main(run, ARGUMENT_SPEC)
