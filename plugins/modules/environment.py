#!/usr/bin/python
# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: environment
short_description: Set environment variables for logins and services, secrets kept secret
version_added: 0.1.0
description:
  - Declare variables once. They are written where login shells, PAM sessions and systemd services look for them,
    each file in its own grammar.
  - Secrets go only into a file that nobody but root (and one group, on request) can read, or, for O(scope=user), into
    files that only the user can read. They appear in no diff, no log and no result.
  - Variables that leave the list are removed from the host. O(state=absent) removes all of it and leaves the host byte
    for byte as it was.
author:
  - ibm_quantum.platform contributors (@ibm-quantum-platform)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: A secret is shown as its name and a short salted hash, so that one sees whether it changes.
  platform:
    support: full
    platforms: posix
options:
  state:
    description:
      - With V(present), the host has exactly the O(variables) of the list.
      - With V(absent), everything that this module wrote in the O(scope) is removed; O(variables) is not looked at.
    type: str
    choices: [present, absent]
    default: present
  variables:
    description:
      - All the variables of this scope. One that was on the list before and is not now is removed from the host.
      - IBM's REST guide reads E(IQP_API_TOKEN); C(qiskit-ibm-runtime) reads E(QISKIT_IBM_TOKEN) and
        E(QISKIT_IBM_INSTANCE). A host that serves both needs both.
      - Required with O(state=present).
    type: list
    elements: dict
    suboptions:
      name:
        description: The variable's name.
        type: str
        required: true
      value:
        description:
          - Its value, any text. Empty values and control characters except tab and newline are refused.
          - V(/etc/environment) knows no escapes, so in O(scope=system) a value that is not secret cannot have a
            newline, V(#), V($), or both kinds of quotes.
        type: str
        required: true
      secret:
        description:
          - Whether the value is to be kept from other users of the host and from Ansible's output.
          - A secret has at least 8 characters, and no variable that is not secret may hold it.
        type: bool
        default: false
  scope:
    description:
      - V(system) sets the variables for every user of the host and needs root.
        V(user) sets them for the connecting user only and needs no root.
    type: str
    choices: [system, user]
    default: system
  secret_group:
    description:
      - A group whose members may read the secrets too. The group must exist. Without it only root can.
      - Only with O(scope=system).
    type: str
notes:
  - With O(scope=system) the files are V(/etc/ibm_quantum/environment) and V(/etc/ibm_quantum/secrets.env), both fit for
    C(EnvironmentFile=) of systemd, V(/etc/profile.d/ibm_quantum.sh), which reads them at login, and a block in
    V(/etc/environment) for PAM.
  - With O(scope=user) the files are V(ibm_quantum/environment) and V(environment.d/60-ibm_quantum.conf) below
    E(XDG_CONFIG_HOME) or V(~/.config), and a block in V(~/.profile), and in V(~/.bash_profile), V(~/.bash_login) and
    V(~/.zprofile) where these exist.
  - A process that already runs keeps the environment that it has. Restart a service to make it see a change.
seealso:
  - module: ibm_quantum.platform.endpoint_check
"""

EXAMPLES = r"""
- name: Every user finds the instance, members of the group qiskit find the API key
  become: true
  ibm_quantum.platform.environment:
    secret_group: qiskit
    variables:
      - name: IQP_API_TOKEN
        value: "{{ vault_api_key }}"
        secret: true
      - name: QISKIT_IBM_TOKEN
        value: "{{ vault_api_key }}"
        secret: true
      - name: QISKIT_IBM_INSTANCE
        value: "{{ instance_crn }}"

- name: For the connecting user only
  ibm_quantum.platform.environment:
    scope: user
    variables:
      - name: IQP_API_TOKEN
        value: "{{ vault_api_key }}"
        secret: true

- name: Take everything off again
  become: true
  ibm_quantum.platform.environment:
    state: absent
"""

RETURN = r"""
scope:
  description: The scope that was looked at.
  returned: success
  type: str
  sample: system
variables:
  description: The variables that the host has now. The value is left out where it is secret.
  returned: success
  type: list
  elements: dict
  sample:
    - name: IQP_API_TOKEN
      secret: true
    - name: QISKIT_IBM_CHANNEL
      secret: false
      value: ibm_quantum_platform
files:
  description: The files that hold the variables or lead to them.
  returned: success
  type: list
  elements: str
  sample:
    - /etc/ibm_quantum/environment
    - /etc/ibm_quantum/secrets.env
    - /etc/profile.d/ibm_quantum.sh
    - /etc/environment
changed_files:
  description: The files that were written, or removed, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample:
    - /etc/ibm_quantum/secrets.env
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ibm_quantum.platform.plugins.module_utils._envfile import FormatError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._environment import declared, located, settle
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._manifest import Refused

ARGUMENT_SPEC: dict[str, Any] = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    # no_log on the list, not only on the values: the invocation that goes to the host's journal is a repr() of the
    # list, in which a value with a quote or a backslash would not be recognised.
    "variables": {
        "type": "list",
        "elements": "dict",
        "no_log": True,
        "options": {
            "name": {"type": "str", "required": True},
            "value": {"type": "str", "required": True, "no_log": True},
            "secret": {"type": "bool", "default": False, "no_log": False},
        },
    },
    "scope": {"type": "str", "choices": ["system", "user"], "default": "system"},
    "secret_group": {"type": "str", "no_log": False},
}


class Module(AnsibleModule):
    """Ansible's module, but a failure does not repeat the variables.

    In arguments of a wrong shape, such as NAME=VALUE in one string, Ansible would not recognise the secrets.
    """

    def fail_json(self, msg: str, **kwargs: Any) -> None:
        shown = {name: value for name, value in self.params.items() if name != "variables"}
        super().fail_json(msg, **{"invocation": {"module_args": shown}, **kwargs})


def run(module: AnsibleModule) -> dict[str, Any]:
    """Bring the host to the state the parameters ask for. Raises OptionError, FormatError, Refused, OSError."""
    variables = declared(module.params)
    scope = located(module.params, variables)
    plan = settle(scope, variables, module.check_mode)
    return {
        "changed": plan.changed,
        "scope": module.params["scope"],
        "variables": [
            {"name": v.name, "secret": True} if v.secret else {"name": v.name, "secret": False, "value": v.value}
            for v in variables
        ],
        "files": [target.path for target in scope.targets],
        "changed_files": [change.path for change in plan.changes],
        "diff": [
            {"before_header": c.path, "after_header": c.path, "before": c.before, "after": c.after}
            for c in plan.changes
        ],
    }


def _censor_only_secrets(module: AnsibleModule) -> None:
    """Only now can it be told what is secret: the argument spec had to hide every name and value."""
    rows = module.params["variables"] or []
    module.no_log_values.clear()
    module.no_log_values.update(row["value"] for row in rows if row["secret"] and row["value"])


def main() -> None:
    module = Module(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    _censor_only_secrets(module)
    try:
        result = run(module)
    except (OptionError, FormatError, Refused) as error:
        prefix = "variables: " if isinstance(error, FormatError) else ""
        module.fail_json(msg=f"{prefix}{error}")
    except OSError as error:
        module.fail_json(msg=f"Cannot write {error.filename or 'the environment files'}: {error.strerror}")
    else:
        module.exit_json(**result)


if __name__ == "__main__":
    main()
