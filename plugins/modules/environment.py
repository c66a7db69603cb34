#!/usr/bin/python
# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: environment
short_description: Set environment variables wherever they are needed, secrets kept secret
version_added: 0.1.0
description:
  - Declare variables once. They are written where login shells, PAM sessions, systemd services, cron jobs and Jupyter
    kernels look for them, each file in its own grammar, all in one execution of this module.
  - Secrets go only into files that nobody but root (and one group, on request) can read, or, for O(scope=user), into
    files that only the user can read. They appear in no diff, no log, no command line and no result.
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
      - With V(present), the host has exactly the variables of O(platform) and O(variables).
      - With V(absent), everything that this module wrote in the O(scope) is removed; no other option but O(leftovers)
        is looked at.
    type: str
    choices: [present, absent]
    default: present
  platform:
    description:
      - The family of variables that programs for the IBM Quantum Platform read, all consistent with each other.
      - At least one of O(platform) and O(variables) is required with O(state=present).
    type: dict
    suboptions:
      api_key:
        description:
          - The API key, as E(IQP_API_TOKEN) for programs after IBM's guide and as E(QISKIT_IBM_TOKEN) for IBM's
            clients. Both are secret.
          - Leave it out on a host that is not to have a key.
        type: str
      instance:
        description: The instance's CRN, as E(QISKIT_IBM_INSTANCE).
        type: str
      channel:
        description: E(QISKIT_IBM_CHANNEL).
        type: str
        choices: [ibm_quantum_platform, ibm_cloud]
        default: ibm_quantum_platform
      url:
        description: E(QISKIT_IBM_URL), for who has to reach the platform by another URL than C(https://cloud.ibm.com).
        type: str
      iam_url:
        description: E(IAM_URL), likewise for C(https://iam.cloud.ibm.com).
        type: str
      proxy:
        description:
          - The URL of a proxy, as E(HTTPS_PROXY) and E(https_proxy). With a user in it, it is secret.
        type: str
      no_proxy:
        description: Hosts that are reached without the proxy, as E(NO_PROXY) and E(no_proxy).
        type: list
        elements: str
        default: []
      ca_path:
        description:
          - A file of CA certificates on the host, as E(REQUESTS_CA_BUNDLE). IBM's clients do not use the host's own
            trust store without it, as in C(/etc/ssl/certs/ca-certificates.crt).
        type: str
  variables:
    description:
      - Further variables, or all of them. One that was on the list before and is not now is removed from the host.
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
          - Some places hold less. Without escapes, V(pam) has no newline, tab, V(#), V($), or both kinds of quotes for
            what is not secret. V(user_services) has no newline or tab. What a scope cannot hold is refused, and
            O(variables[].scopes) without that scope is the remedy.
        type: str
        required: true
      secret:
        description:
          - Whether the value is to be kept from other users of the host and from Ansible's output.
          - A secret has at least 8 characters, and no variable that is not secret may hold it.
        type: bool
        default: false
      scopes:
        description:
          - Where this variable is wanted. By default wherever it can be, which for a secret is everywhere but V(pam),
            and V(user_services) without O(secret_group).
          - A secret in a scope that cannot keep it is refused.
        type: list
        elements: str
        choices: [login, pam, user_services, services, cron, kernels]
  scope:
    description:
      - V(system) sets the variables for every user of the host and needs root.
        V(user) sets them for the connecting user only and needs no root.
    type: str
    choices: [system, user]
    default: system
  scopes:
    description:
      - Which of the places that all users share get the variables. All of them by default.
      - V(login) is login shells, namely C(sh), C(bash), and of C(zsh), C(csh) and C(fish) those that the host has.
        V(pam) is C(/etc/environment), for sessions without a login shell, and cron.
        V(user_services) is the services of users, by C(environment.d).
    type: list
    elements: str
    choices: [login, pam, user_services]
  secret_group:
    description:
      - A group whose members may read the secrets too. The group must exist. Without it only root can.
      - Only with O(scope=system).
    type: str
  services:
    description:
      - Services of systemd that get the variables, by a drop-in. Only with O(scope=system).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The unit, with or without C(.service). It need not be there yet.
        type: str
        required: true
      secrets:
        description:
          - With V(environment), secrets are variables too. systemd reads their file as root, so the service's own user
            needs no right to it.
          - With V(credentials), each secret is a file C($CREDENTIALS_DIRECTORY/NAME) that only the service's processes
            can read, and none is a variable. It takes systemd 247.
          - With V(encrypted), likewise, and the secrets lie encrypted with a key of the host (C(systemd-creds)). It
            takes systemd 250.
          - With V(none), the service gets no secrets.
        type: str
        choices: [environment, credentials, encrypted, none]
        default: environment
      restart:
        description: Whether a service that runs is restarted when what it gets has changed.
        type: bool
        default: false
  cron_files:
    description:
      - Files in C(/etc/cron.d), or C(/etc/crontab), whose jobs get the variables. They must be there.
      - A line C(SHELL=/etc/ibm_quantum/run) comes first in the file, which runs each command by C(/bin/sh) with the
        variables that the job's user may read. Only with O(scope=system).
    type: list
    elements: path
    default: []
  cron_users:
    description:
      - Users whose own crontabs get that line. Only with O(scope=system).
    type: list
    elements: str
    default: []
  kernels:
    description:
      - Kernels for Jupyter that run with the variables. Each is a kernel specification of its own, beside those that
        are there, and holds no values.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The kernel's name, which is that of its folder.
        type: str
        required: true
      display_name:
        description: The name that people see.
        type: str
        default: Python 3 (IBM Quantum)
      python:
        description: The Python to run, which must have C(ipykernel).
        type: str
        required: true
      directory:
        description:
          - The folder for kernels. By default C(/usr/local/share/jupyter/kernels), or with O(scope=user)
            C(~/.local/share/jupyter/kernels).
        type: str
  leftovers:
    description:
      - What to do about API keys and settings of the family that something else put on the host, as the C(export) lines
        of IBM's guide in shell profiles, or saved accounts. With O(scope=system) all homes are looked at, with
        O(scope=user) only the user's own.
      - With V(report), those that contradict what is set here, or would outlive its removal, are named in a warning.
      - With V(remove), those that stand on a line of their own are taken off the host too, and saved accounts that
        have a token. What is left is reported.
      - With V(ignore), nothing is looked for.
    type: str
    choices: [report, remove, ignore]
    default: report
notes:
  - With O(scope=system) values are in V(/etc/ibm_quantum/environment) and V(/etc/ibm_quantum/secrets.env), both fit for
    C(EnvironmentFile=) of systemd, and for C(csh) and C(fish) in files beside these. All else leads to them.
  - With O(scope=user) the files are V(ibm_quantum/environment) and V(environment.d/60-ibm_quantum.conf) below
    E(XDG_CONFIG_HOME) or V(~/.config), and blocks in the profiles of the user's shells.
  - The program V(/etc/ibm_quantum/run), with O(scope=user) V(~/.config/ibm_quantum/run), runs any command with the
    variables.
  - A process that already runs keeps the environment that it has. Restart a service to make it see a change.
seealso:
  - module: ibm_quantum.platform.endpoint_check
  - module: ibm_quantum.platform.account
"""

EXAMPLES = r"""
- name: Every user finds the instance, members of the group qiskit find the API key
  become: true
  ibm_quantum.platform.environment:
    secret_group: qiskit
    platform:
      api_key: "{{ vault_api_key }}"
      instance: "{{ instance_crn }}"

- name: A service, the jobs of a cron file and a Jupyter kernel have them, too
  become: true
  ibm_quantum.platform.environment:
    platform:
      api_key: "{{ vault_api_key }}"
      instance: "{{ instance_crn }}"
    services:
      - name: quantum-worker
        secrets: credentials
        restart: true
    cron_files: [/etc/cron.d/calibration]
    kernels:
      - name: ibm-quantum
        python: /opt/ibm_quantum/qiskit/bin/python

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
    - /etc/ibm_quantum/run
    - /etc/profile.d/ibm_quantum.sh
    - /etc/environment
changed_files:
  description: The files that were written, or removed, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample:
    - /etc/ibm_quantum/secrets.env
restart_services:
  description: Those of O(services) without O(services[].restart) whose processes do not have the present variables yet.
  returned: success
  type: list
  elements: str
  sample: [quantum-worker.service]
leftovers:
  description: Keys and settings of the family that others put on the host, as far as they are still there.
  returned: success
  type: list
  elements: dict
  sample:
    - name: IQP_API_TOKEN
      path: /home/alice/.bashrc
      line: 12
      owner: alice
      removable: true
conflicts:
  description: What is wrong with them, and what to do. The same texts are warnings.
  returned: success
  type: list
  elements: str
  sample: []
"""

from typing import Any

from ansible_collections.ibm_quantum.platform.plugins.module_utils._envfile import FormatError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._environment import (
    Others,
    located,
    others,
    settle,
    wished,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._family import CHANNELS
from ansible_collections.ibm_quantum.platform.plugins.module_utils._files import Refused
from ansible_collections.ibm_quantum.platform.plugins.module_utils._host_module import HostModule, diff_rows
from ansible_collections.ibm_quantum.platform.plugins.module_utils._scopes import NAMED, SHARED, Scope, Wish

ARGUMENT_SPEC: dict[str, Any] = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    # no_log on the whole of both: see _host_module
    "platform": {
        "type": "dict",
        "no_log": True,
        "options": {
            "api_key": {"type": "str", "no_log": True},
            "instance": {"type": "str"},
            "channel": {"type": "str", "choices": list(CHANNELS), "default": CHANNELS[0]},
            "url": {"type": "str"},
            "iam_url": {"type": "str"},
            "proxy": {"type": "str", "no_log": True},
            "no_proxy": {"type": "list", "elements": "str", "default": []},
            "ca_path": {"type": "str"},
        },
    },
    "variables": {
        "type": "list",
        "elements": "dict",
        "no_log": True,
        "options": {
            "name": {"type": "str", "required": True},
            "value": {"type": "str", "required": True, "no_log": True},
            "secret": {"type": "bool", "default": False, "no_log": False},
            "scopes": {"type": "list", "elements": "str", "choices": [*SHARED, *NAMED]},
        },
    },
    "scope": {"type": "str", "choices": ["system", "user"], "default": "system"},
    "scopes": {"type": "list", "elements": "str", "choices": list(SHARED)},
    "secret_group": {"type": "str", "no_log": False},
    "services": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "secrets": {
                "type": "str",
                "choices": ["environment", "credentials", "encrypted", "none"],
                "default": "environment",
                "no_log": False,
            },
            "restart": {"type": "bool", "default": False},
        },
    },
    "cron_files": {"type": "list", "elements": "path", "default": []},
    "cron_users": {"type": "list", "elements": "str", "default": []},
    "kernels": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "display_name": {"type": "str", "default": "Python 3 (IBM Quantum)"},
            "python": {"type": "str", "required": True},
            "directory": {"type": "str"},
        },
    },
    "leftovers": {"type": "str", "choices": ["report", "remove", "ignore"], "default": "report"},
}


def run(module: HostModule) -> dict[str, Any]:
    """Bring the host to the state the parameters ask for. Raises OptionError, Refused, OSError."""
    wish = wished(module.params)
    module.no_log_values.update(v.value for v in wish.variables if v.secret)
    try:
        scope = located(module.params, wish)
    except FormatError as error:
        raise OptionError(f"variables: {error}") from error
    outcome = settle(scope, wish, module.check_mode)
    plan = outcome.plan
    found = _others(module, wish, scope, outcome.salt)
    for text in found.conflicts:
        module.warn(text)
    changes = [(change.path, change.before, change.after) for change in plan.changes]
    changes += [(edit.path, edit.before, edit.after) for edit in found.edits]
    return {
        "changed": plan.changed or bool(found.edits),
        "scope": module.params["scope"],
        "variables": [
            {"name": v.name, "secret": True} if v.secret else {"name": v.name, "secret": False, "value": v.value}
            for v in wish.variables
        ],
        "files": [target.path for target in scope.targets],
        "changed_files": [path for path, before, after in changes],
        "restart_services": outcome.restart,
        "leftovers": [
            {"name": x.name, "path": x.path, "line": x.line, "owner": x.owner, "removable": x.removable}
            for x in found.left
        ],
        "conflicts": found.conflicts,
        "diff": diff_rows(changes),
    }


def _others(module: HostModule, wish: Wish, scope: Scope, salt: str) -> Others:
    """What others wrote on the host. Where that cannot be seen, only who wants it removed needs to stop."""
    try:
        return others(module.params, wish, scope, salt, module.check_mode)
    except (OSError, RuntimeError) as error:
        if module.params["leftovers"] == "remove":
            raise Refused(f"leftovers=remove: cannot look through the homes of this host: {error}") from error
        module.warn(f"leftovers: cannot look through the homes of this host: {error}")
        return Others([], [], [])


def _secrets(params: dict[str, Any]) -> list[str | None]:
    rows, platform = params["variables"] or [], params["platform"] or {}
    proxy = platform.get("proxy") or ""
    return [row["value"] for row in rows if row["secret"]] + [platform.get("api_key"), proxy if "@" in proxy else None]


def main() -> None:
    HostModule(ARGUMENT_SPEC, hidden=("platform", "variables"), secrets=_secrets).carry_out(run)


if __name__ == "__main__":
    main()
