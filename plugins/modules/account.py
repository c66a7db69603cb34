#!/usr/bin/python
# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: account
short_description: Save accounts for IBM's Python client, for any users of a host
version_added: 0.1.0
description:
  - Writes the file V(~/.qiskit/qiskit-ibm.json) as C(QiskitRuntimeService.save_account()) of C(qiskit-ibm-runtime)
    writes it, so that C(QiskitRuntimeService()) finds its API key and instance. The host needs nothing of IBM's for it.
  - The file can be read by its user only (mode 0600 in a folder of mode 0700). The API key appears in no diff, no log
    and no result.
  - Accounts that somebody else saved in the file are kept. Accounts of this module that leave the list are removed.
    O(state=absent) removes all of them, and leaves file and folder as they were.
author:
  - ibm_quantum.platform contributors (@ibm-quantum-platform)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: A secret is shown as a short salted hash, so that one sees whether it changes. Accounts of others are shown
      only where they gain or lose being the default.
  platform:
    support: full
    platforms: posix
options:
  state:
    description:
      - With V(present), each of the O(users) has exactly the O(accounts) of the list, besides those of others.
      - With V(absent), all accounts that this module saved for the O(users) are removed; O(accounts) is not looked at.
    type: str
    choices: [present, absent]
    default: present
  users:
    description:
      - Names of the users. For others than the one it runs as the module needs root; it then works as each of them in
        turn, so that no link that a user put into their home leads it further than the user.
      - By default the user that the module runs as.
      - A user who leaves this list keeps the accounts. Use O(state=absent) for them.
    type: list
    elements: str
  accounts:
    description:
      - All accounts that this module shall keep for each of the users. Required with O(state=present).
    type: list
    elements: dict
    suboptions:
      name:
        description:
          - The account's name, as in C(QiskitRuntimeService(name=...)).
          - By default what the client takes for the channel, V(default-ibm-quantum-platform) or V(default-ibm-cloud).
        type: str
      channel:
        description: The channel.
        type: str
        choices: [ibm_quantum_platform, ibm_cloud]
        default: ibm_quantum_platform
      token:
        description: The API key, 44 characters. A bearer token is refused, since the client cannot use it.
        type: str
        required: true
      instance:
        description:
          - The CRN of an instance, or its name, or V(auto).
          - Without it the client chooses among all instances of the key, by O(accounts[].plans_preference),
            O(accounts[].region) and O(accounts[].tags).
        type: str
      url:
        description: The URL from which the client takes the names of IBM's hosts. By default V(https://cloud.ibm.com).
        type: str
      region:
        description: Where an instance is looked for first when no O(accounts[].instance) is given.
        type: str
        choices: [us-east, eu-de]
      plans_preference:
        description: Plans, such as V(open) or V(premium); only instances of these are chosen, those of the first first.
        type: list
        elements: str
      tags:
        description: Tags that an instance is chosen by.
        type: list
        elements: str
      proxies:
        description: How the client gets out, for this account.
        type: dict
        suboptions:
          urls:
            description:
              - Protocol, or protocol and host, to the URL of a proxy, as C(requests) takes it. For instance
                V(https) to V(http://proxy.example.com:3128).
              - A user and password in a URL are kept secret.
            type: dict
          username_ntlm:
            description: The user for a proxy that wants NTLM. Needs O(accounts[].proxies.password_ntlm).
            type: str
          password_ntlm:
            description: That user's password.
            type: str
      verify:
        description: Whether the client verifies TLS certificates. It does unless this is V(false).
        type: bool
      private_endpoint:
        description: Whether the client uses IBM's private endpoints.
        type: bool
        default: false
      default:
        description:
          - Whether the client takes this account when no name is given. Of one account of the list at most.
          - If an account that somebody else saved is the default, it ceases to be so, and is again when none of this
            list is the default any more.
        type: bool
        default: false
  overwrite:
    description:
      - What to do with an account of the same name that this module did not save. With V(false) it fails, unless that
        account says the same. With V(true) the account is replaced, and removed like any other of this module.
    type: bool
    default: false
notes:
  - The environment variable E(QISKIT_IBM_TOKEN) wins over the file. A user who has both uses the variable's account.
  - What the module has to know is in V(~/.qiskit/.ibm_quantum.json), the names of its accounts and what was there
    before, no values.
  - A file that the client wrote is given back byte for byte, one that was edited by hand with the same content.
  - If it fails for one of the users it does the work for the others first.
seealso:
  - module: ibm_quantum.platform.environment
"""

EXAMPLES = r"""
- name: Two users find their account
  become: true
  ibm_quantum.platform.account:
    users: [alice, bob]
    accounts:
      - token: "{{ vault_api_key }}"
        instance: "{{ instance_crn }}"
        default: true

- name: The connecting user has one account for work and one for tries, through a proxy
  ibm_quantum.platform.account:
    accounts:
      - name: work
        token: "{{ vault_api_key }}"
        instance: "{{ instance_crn }}"
        default: true
        proxies:
          urls:
            https: http://proxy.example.com:3128
      - name: tries
        token: "{{ vault_api_key }}"
        region: us-east
        plans_preference: [open]
        proxies:
          urls:
            https: http://proxy.example.com:3128

- name: Take them off again
  become: true
  ibm_quantum.platform.account:
    state: absent
    users: [alice, bob]
"""

RETURN = r"""
users:
  description: Each of the users, and what they have now. Those for whom it failed are left out.
  returned: always
  type: list
  elements: dict
  contains:
    user:
      description: The user's name.
      type: str
      sample: alice
    path:
      description: The file of saved accounts.
      type: str
      sample: /home/alice/.qiskit/qiskit-ibm.json
    accounts:
      description: The names of this module's accounts.
      type: list
      elements: str
      sample: [default-ibm-quantum-platform]
    others:
      description: The names of the accounts of others. Empty, too, where there was nothing to remove.
      type: list
      elements: str
      sample: [mine]
    default:
      description: The name of the account that is marked as the default.
      type: str
      sample: default-ibm-quantum-platform
    changed:
      description: Whether anything was changed for this user, or would be in check mode.
      type: bool
      sample: true
changed_files:
  description: The files and folders that were made, changed or removed, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample:
    - /home/alice/.qiskit
    - /home/alice/.qiskit/qiskit-ibm.json
"""

import os
import pwd
from typing import Any

from ansible_collections.ibm_quantum.platform.plugins.module_utils._account import declared, secret_values, settle
from ansible_collections.ibm_quantum.platform.plugins.module_utils._as_user import as_user, entry_of
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._files import Refused
from ansible_collections.ibm_quantum.platform.plugins.module_utils._host_module import HostModule

ARGUMENT_SPEC: dict[str, Any] = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "users": {"type": "list", "elements": "str"},
    # no_log on the whole list: see _host_module
    "accounts": {
        "type": "list",
        "elements": "dict",
        "no_log": True,
        "options": {
            "name": {"type": "str"},
            "channel": {
                "type": "str",
                "choices": ["ibm_quantum_platform", "ibm_cloud"],
                "default": "ibm_quantum_platform",
            },
            "token": {"type": "str", "required": True, "no_log": True},
            "instance": {"type": "str"},
            "url": {"type": "str"},
            "region": {"type": "str", "choices": ["us-east", "eu-de"]},
            "plans_preference": {"type": "list", "elements": "str"},
            "tags": {"type": "list", "elements": "str"},
            "proxies": {
                "type": "dict",
                "options": {
                    "urls": {"type": "dict"},
                    "username_ntlm": {"type": "str"},
                    "password_ntlm": {"type": "str", "no_log": True},
                },
            },
            "verify": {"type": "bool"},
            "private_endpoint": {"type": "bool", "default": False},
            "default": {"type": "bool", "default": False},
        },
    },
    "overwrite": {"type": "bool", "default": False},
}


def run(module: HostModule) -> dict[str, Any]:
    """Bring the users to the state that the parameters ask for; what fails for one does not stop the others. Raises
    OptionError before anything is changed."""
    accounts = declared(module.params)
    users = _users(module.params["users"])
    result: dict[str, Any] = {"changed": False, "users": [], "changed_files": [], "diff": []}
    failures = []
    for user, uid in users.items():
        try:
            done = as_user(uid, settle, accounts, module.params["overwrite"], module.check_mode)
        except (OptionError, Refused, RuntimeError) as error:
            failures.append(f"{user}: {error}")
            continue
        except OSError as error:
            failures.append(f"{user}: {error.filename or 'the account file'}: {error.strerror or error}")
            continue
        for text in done.pop("warnings"):
            module.warn(text)
        result["changed"] = result["changed"] or done["changed"]
        result["diff"] += done.pop("diff")
        result["changed_files"] += done.pop("changed_files")
        result["users"].append({"user": user, **done})
    return {**result, "failed": True, "msg": "; ".join(failures)} if failures else result


def _users(names: list[str] | None) -> dict[str, int]:
    """The users and their uids; by default the one this runs as, even if the host has no name for it."""
    if names is not None:
        return {name: entry_of(name).pw_uid for name in names}
    try:
        return {pwd.getpwuid(os.geteuid()).pw_name: os.geteuid()}
    except KeyError:
        return {str(os.geteuid()): os.geteuid()}


def main() -> None:
    HostModule(ARGUMENT_SPEC, hidden=("accounts",), secrets=secret_values).carry_out(run)


if __name__ == "__main__":
    main()
