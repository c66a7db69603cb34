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
  - Returns the endpoints of IBM's firewall list for some regions and features, and those that you add.
  - Nothing is looked up over the network unless O(resolve) says so.
extends_documentation_fragment:
  - ibm_quantum.platform.endpoints
options:
  endpoints:
    description:
      - Endpoints to add to those of IBM, each a host alone or a dict with RV(_raw[].host) and, as far as wanted, the
        other keys of RV(_raw[]). The port is V(443) and the protocol V(tcp) unless they say otherwise.
      - A host is a name, an address, a network such as V(192.0.2.0/24), or a wildcard such as V(*.cloud.ibm.com).
    type: list
    elements: raw
    default: []
  resolve:
    description:
      - Whether to add RV(_raw[].addresses), as DNS gives them to the controller now. IBM publishes no address ranges,
        so they are a snapshot.
      - A name without an address is an error.
    type: bool
    default: false
seealso:
  - plugin: ibm_quantum.platform.allowlist
    plugin_type: filter
  - module: ibm_quantum.platform.egress_allowlist
  - module: ibm_quantum.platform.endpoint_check
"""

EXAMPLES = r"""
- name: Show the names to allow in a firewall
  ansible.builtin.debug:
    msg: "{{ query('ibm_quantum.platform.endpoints', regions=['us-east', 'eu-de']) | map(attribute='host') }}"

- name: Show the addresses of one's own endpoints
  ansible.builtin.debug:
    msg: "{{ query('ibm_quantum.platform.endpoints', features=[], endpoints=mine, resolve=true) }}"
  vars:
    mine:
      - localhost
      - host: 192.0.2.0/24
        port: 8443
"""

RETURN = r"""
_raw:
  description: The endpoints, in the order of IBM's list, then O(endpoints). What is there twice comes once.
  type: list
  elements: dict
  contains:
    host:
      description: The host name; for one of O(endpoints) also an address, a network or a wildcard.
      type: str
    port:
      description: The port.
      type: int
    protocol:
      description: V(tcp), for one of O(endpoints) also V(udp).
      type: str
    region:
      description: The region, V(null) for a name that serves all.
      type: str
    feature:
      description: What it is for, in the words of O(features); V(null) for one of O(endpoints).
      type: str
    purpose:
      description: What it is for, in a few words for people.
      type: str
    addresses:
      description: The addresses of a name, IPv4 before IPv6. An address or network has itself, a wildcard none.
      returned: with O(resolve), or for one of O(endpoints) that has them
      type: list
      elements: str
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.ibm_quantum.platform.plugins.module_utils._endpoints import UnknownEndpoint, endpoints
from ansible_collections.ibm_quantum.platform.plugins.module_utils._render import Entry, RenderError, declare
from ansible_collections.ibm_quantum.platform.plugins.module_utils._resolve import Answer, resolve


class LookupModule(LookupBase):
    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        self.set_options(var_options=variables, direct=kwargs)
        if terms:
            raise AnsibleLookupError("the lookup endpoints takes options only, such as features=['rest']")
        names = ("host", "port", "protocol", "region", "feature", "purpose")
        try:
            found = endpoints(self.get_option("regions"), self.get_option("features"))
            added = [entry.as_dict() for entry in declare(self.get_option("endpoints"))]
            entries = declare([{name: getattr(endpoint, name) for name in names} for endpoint in found] + added)
        except (UnknownEndpoint, RenderError) as exc:
            raise AnsibleLookupError(str(exc)) from None
        if self.get_option("resolve"):
            entries = resolved(entries)
        return [entry.as_dict() for entry in entries]


def resolved(entries: list[Entry]) -> list[Entry]:
    """The entries with their addresses; those that have some keep them. Raises AnsibleLookupError."""
    unknown = [e.host for e in entries if not (e.addresses or e.network or e.is_wildcard)]
    answers = resolve(unknown)
    failed = [f"{host} ({answer.error})" for host, answer in answers.items() if answer.error]
    if failed:
        raise AnsibleLookupError(
            f"no address for {', '.join(failed)}: resolve on a controller whose DNS knows these names, choose other "
            "features, or give them addresses among the endpoints"
        )
    return [entry._replace(addresses=_addresses(entry, answers)) for entry in entries]


def _addresses(entry: Entry, answers: dict[str, Answer]) -> tuple[str, ...]:
    if entry.network:
        return (entry.host,)
    return entry.addresses or (answers[entry.host].addresses if entry.host in answers else ())
