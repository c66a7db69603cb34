# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: endpoints
short_description: The host names that the IBM Quantum Platform needs, as data
version_added: "0.1.0"
author:
  - ibm_quantum.platform contributors (@ibm-quantum-platform)
description:
  - Returns the endpoints of IBM's firewall list for some regions and features. Nothing is looked up over the network.
extends_documentation_fragment:
  - ibm_quantum.platform.endpoints
seealso:
  - module: ibm_quantum.platform.egress_allowlist
  - module: ibm_quantum.platform.endpoint_check
"""

EXAMPLES = r"""
- name: Show the names to allow in a firewall
  ansible.builtin.debug:
    msg: "{{ query('ibm_quantum.platform.endpoints', regions=['us-east', 'eu-de']) | map(attribute='host') }}"
"""

RETURN = r"""
_raw:
  description: The endpoints, in the order of IBM's list.
  type: list
  elements: dict
  contains:
    host:
      description: The host name.
      type: str
    port:
      description: The port.
      type: int
    protocol:
      description: V(tcp) for all of them.
      type: str
    region:
      description: The region, V(null) for a name that serves all.
      type: str
    feature:
      description: What it is for, in the words of O(features).
      type: str
    purpose:
      description: What it is for, in a few words for people.
      type: str
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.ibm_quantum.platform.plugins.module_utils._endpoints import UnknownEndpoint, endpoints


class LookupModule(LookupBase):
    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        self.set_options(var_options=variables, direct=kwargs)
        if terms:
            raise AnsibleLookupError("the lookup endpoints takes options only, such as features=['rest']")
        try:
            found = endpoints(self.get_option("regions"), self.get_option("features"))
        except UnknownEndpoint as exc:
            raise AnsibleLookupError(str(exc)) from None
        names = ("host", "port", "protocol", "region", "feature", "purpose")
        return [{name: getattr(endpoint, name) for name in names} for endpoint in found]
