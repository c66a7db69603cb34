# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: backend
short_description: The name of the least busy backend that fits
version_added: "0.1.0"
author:
  - ibm_quantum.platform contributors (@ibm-quantum-platform)
description:
  - Returns the name of the backend with the shortest queue among those of the instance that are online and fit the
    options; of equal queues the one with the most qubits, then the first by name.
  - It is an error if there is none. The message says how many backends each option ruled out, and which to relax.
  - Ansible evaluates a lookup in C(vars) anew at each use, and the queues may have changed meanwhile. Keep the name
    with C(ansible.builtin.set_fact) where several tasks mean the same backend.
extends_documentation_fragment:
  - ibm_quantum.platform.api
  - ibm_quantum.platform.backend_choice
options:
  _terms:
    description:
      - The names of the backends to choose from, all of the instance if there are none. It is an error if the instance
        does not have one of them.
    type: list
    elements: str
seealso:
  - module: ibm_quantum.platform.backend_info
"""

EXAMPLES = r"""
- name: Show the least busy Heron processor with 100 qubits or more
  ansible.builtin.debug:
    msg: "{{ lookup('ibm_quantum.platform.backend', min_qubits=100, processor_family='Heron', instance=instance) }}"
  vars:
    instance: "{{ ibm_quantum_instance }}"

- name: Choose one of two backends, once for all tasks that follow
  ansible.builtin.set_fact:
    backend: "{{ lookup('ibm_quantum.platform.backend', 'ibm_fez', 'ibm_torino', instance=ibm_quantum_instance) }}"
"""

RETURN = r"""
_raw:
  description: One name.
  type: list
  elements: str
"""

from typing import Any

from ansible.plugins.lookup import LookupBase

from ansible_collections.ibm_quantum.platform.plugins.module_utils._backends import CHOICE_SPEC, choose
from ansible_collections.ibm_quantum.platform.plugins.module_utils._runtime import Runtime
from ansible_collections.ibm_quantum.platform.plugins.plugin_utils._lookup import ask


class LookupModule(LookupBase):
    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        names = [str(term) for term in self._flatten(terms)]
        return ask(self, "backend", CHOICE_SPEC, lambda client, params: choose(Runtime(client), params, names)["name"])
