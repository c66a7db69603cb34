#!/usr/bin/python
# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: egress_proxy
short_description: A proxy that lets through the IBM Quantum Platform by name, and nothing else
version_added: 0.1.0
description:
  - Runs squid on a gateway as a service of its own, C(ibm-quantum-proxy.service), which opens tunnels to the endpoints
    of the IBM Quantum Platform and to O(endpoints), and refuses everything else with status 403.
  - Names are matched as names, at each request, and resolved when the connection is made. So an address that changes
    makes no gap, and another name at the same address is refused.
  - Any other squid of the host, and the distribution's C(/etc/squid), are left alone.
  - The configuration is checked by squid before it replaces the one in force, and the module returns when the proxy
    works with it. If it does not come to that, what was there before is restored.
author:
  - ibm_quantum.platform contributors (@ibm-quantum-platform)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - ibm_quantum.platform.endpoints
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    support: full
    platforms: posix
requirements:
  - squid 4 or newer
  - systemd
options:
  state:
    description:
      - With V(present), the proxy runs as declared, now and after a reboot.
      - With V(absent), the service and its files are gone. The other options are not looked at.
    type: str
    choices: [present, absent]
    default: present
  endpoints:
    description:
      - Names to let through besides those of the IBM Quantum Platform; the only ones where O(features) is empty.
    type: list
    elements: dict
    default: []
    suboptions:
      host:
        description: A host name, or V(*.DOMAIN) for all names below a domain. Addresses are refused.
        type: str
        required: true
      port:
        description: The port.
        type: int
        default: 443
      tls:
        description:
          - With V(true), tunnels to this port are let through; with V(false), plain HTTP requests are, as for package
            mirrors.
          - The default is V(false) for port 80 and V(true) for all others.
        type: bool
  clients:
    description:
      - The networks whose hosts may use the proxy. Everybody else is refused.
      - The default is the private networks of RFC 1918 and RFC 4193. The whole Internet is not taken.
    type: list
    elements: str
    default: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, "fc00::/7"]
  listen:
    description: The addresses of the host to listen on. The default is all of them.
    type: list
    elements: str
    default: []
  port:
    description: The port to listen on.
    type: int
    default: 3128
seealso:
  - module: ibm_quantum.platform.egress_allowlist
  - module: ibm_quantum.platform.endpoint_check
"""

EXAMPLES = r"""
- name: A proxy for the hosts of one network, with a package mirror
  become: true
  ibm_quantum.platform.egress_proxy:
    regions: [us-east, eu-de]
    clients: [10.1.0.0/16]
    endpoints:
      - host: deb.debian.org
        port: 80

- name: Take it off again
  become: true
  ibm_quantum.platform.egress_proxy:
    state: absent
"""

RETURN = r"""
endpoints:
  description: What is let through, without the names that a wildcard covers.
  returned: when O(state=present)
  type: list
  elements: dict
  sample:
    - host: iam.cloud.ibm.com
      port: 443
      tls: true
clients:
  description: The networks that may use the proxy.
  returned: when O(state=present)
  type: list
  elements: str
  sample: [10.1.0.0/16]
changed_files:
  description: The files that were written or removed, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [/etc/ibm_quantum/squid.conf]
action:
  description: What was done to the service, or would be in check mode; empty if nothing.
  returned: success
  type: str
  sample: reload
reason:
  description:
    - A word for the kind of the problem - V(invalid), V(not_root), V(no_systemd), V(squid_missing), V(squid_refuses),
      V(port_taken), V(not_started), V(systemd) or V(files).
    - V(squid_missing) is also returned in check mode, where the missing package is no failure.
  returned: on failure, and in check mode when squid is missing
  type: str
  sample: port_taken
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ibm_quantum.platform.plugins.module_utils._endpoints import CATALOGUE_SPEC
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._firewall.store import Content, Link
from ansible_collections.ibm_quantum.platform.plugins.module_utils._gateway import Gateway, GatewayError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._squid import PRIVATE_NETWORKS, declare

ARGUMENT_SPEC: dict[str, Any] = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    **CATALOGUE_SPEC,
    "endpoints": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "host": {"type": "str", "required": True},
            "port": {"type": "int", "default": 443},
            "tls": {"type": "bool"},
        },
    },
    "clients": {"type": "list", "elements": "str", "default": list(PRIVATE_NETWORKS)},
    "listen": {"type": "list", "elements": "str", "default": []},
    "port": {"type": "int", "default": 3128},
}


def run(options: dict[str, Any], gateway: Gateway, check: bool) -> dict[str, Any]:
    """The module's result. Raises :class:`OptionError`, :class:`GatewayError`, OSError."""
    result: dict[str, Any] = {}
    if options["state"] == "absent":
        outcome = gateway.absent(check)
    else:
        proxy = declare(options)
        outcome = gateway.present(proxy, check)
        result.update(endpoints=[entry._asdict() for entry in proxy.allowed], clients=list(proxy.clients))
    if outcome.reason:
        result.update(reason=outcome.reason, msg="squid is missing: install the package squid")
    diff = [
        {
            "before_header": change.path,
            "after_header": change.path,
            "before": _shown(change.old),
            "after": _shown(change.new),
        }
        for change in outcome.changes
    ]
    paths = [change.path for change in outcome.changes]
    return {**result, "changed": outcome.changed, "changed_files": paths, "action": outcome.action, "diff": diff}


def _shown(content: Content | None) -> str:
    """A file or link as a diff shows it."""
    if content is None:
        return ""
    return f"link to {content.target}\n" if isinstance(content, Link) else content.decode("utf-8", "replace")


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    if os.geteuid() != 0:
        module.fail_json(msg="this module needs root on the host: set become", reason="not_root")
    try:
        result = run(module.params, Gateway(), module.check_mode)
    except OptionError as error:
        module.fail_json(msg=str(error), reason="invalid")
    except GatewayError as error:
        module.fail_json(msg=str(error), reason=error.reason)
    except OSError as error:
        module.fail_json(msg=f"a file of the proxy could not be handled: {error}", reason="files")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
