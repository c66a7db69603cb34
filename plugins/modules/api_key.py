#!/usr/bin/python
# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: api_key
short_description: Make, change, disable, lock and delete IBM Cloud API keys
version_added: "0.1.0"
description:
  - Manages the API keys of a user or service ID through IBM Cloud IAM. A user can manage the own keys only.
  - IBM's names are not unique. A key is identified by O(id), by the value in O(value_file), or by O(name), O(iam_id)
    and O(account_id) together; if several keys match, that is an error that lists them.
  - IBM tells the value of a key once, when the key is made. So the value is generated here, and with O(value_file) it
    is on disk before IAM gets it; neither a lost answer nor a run that was killed leaves a key that nobody knows.
  - A key that is disabled does not authenticate. A key that is locked does, but IBM neither changes nor deletes it.
  - Bearer tokens that were made with a key serve to their end, an hour at most, also when the key is disabled or
    deleted.
  - Nothing is sent to the hosts of the play.
options:
  name:
    description:
      - The name of the key. With O(id), the key gets this name.
    type: str
  id:
    description:
      - The ID of the key, as C(ApiKey-01234567-89ab-cdef-0123-456789abcdef). No key is made then.
    type: str
  state:
    description:
      - V(present) makes the key, or changes what differs from the options; what is not set is left as it is.
      - V(absent) deletes it, with O(value_file) also the file.
    type: str
    choices: [present, absent]
    default: present
  description:
    description:
      - The description. The empty text removes it.
    type: str
  expires_at:
    description:
      - When the key ends, in IBM's form V(2027-01-31T12:00+0000) or any other of ISO 8601. Without an offset it is UTC.
      - IBM counts in minutes, seconds are cut off. The empty text is for no end.
      - IBM removes keys 90 days after their end.
    type: str
  expires_in:
    description:
      - The life of a new key in seconds, rounded up to a full minute. It counts only when the key is made.
    type: int
  locked:
    description:
      - Whether the key is locked.
      - If a locked key has to be changed, V(true) unlocks it, changes it and locks it again; V(false) unlocks it. If
        not set, it is an error.
      - With O(state=absent), V(false) unlocks a locked key before it is deleted; else a locked key is an error.
    type: bool
  disabled:
    description:
      - Whether the key is disabled.
    type: bool
  support_sessions:
    description:
      - Whether IBM keeps track of CLI logins with the key, so that they can be revoked. For users only.
    type: bool
  action_when_leaked:
    description:
      - What IBM does with the key when it finds it published.
    type: str
    choices: [none, disable, delete]
  iam_id:
    description:
      - Whose key it is, a user's V(IBMid-270007GGGG) or a service ID's V(iam-ServiceId-...). By default the identity
        that the task authenticates as.
    type: str
  account_id:
    description:
      - The account of the key. By default the one that the task authenticates for.
    type: str
  value_file:
    description:
      - The absolute path of a file that holds the value of the key, on the machine that makes the calls. It has mode
        0600; its folder must exist.
      - If the key is to be made, its value is generated and written to this path with C(.new) behind it, then the key
        is made, then the file gets its name. A run that was interrupted anywhere between is completed by the next.
      - If the file exists, the key of its value is the one that is meant. It is an error if IAM knows the value under
        another name or of somebody else, or, with O(state=present), does not know it.
      - With O(state=present), it is an error if there is a key of that O(name) and no file, as IBM does not tell its
        value again.
      - With O(state=absent), it is enough by itself, without O(name) and O(id). The key of its value is deleted, and
        the file. That cleans up after an interrupted run, too.
      - If not set, the value of a new key is returned, once.
    type: path
  duplicates:
    description:
      - What to do if several keys match. V(all) deletes all of them, with O(state=absent) only.
    type: str
    choices: [error, all]
    default: error
  allow_own:
    description:
      - Whether the key that the task itself authenticates with may be deleted or disabled. It is recognised where it is
        given as O(api_key), not where a bearer token was made with it.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    details: A new key has no ID then, and no value is generated.
  diff_mode:
    support: full
    details: Never shows a value.
notes:
  - A result with a value in it is hidden from all output; after C(register) it can be used. With O(value_file) no
    result has one.
  - In a play over several hosts, use C(run_once). Tasks of one user that make the same key wait for each other, so that
    it is made once, but only one of them has its value.
  - An account can restrict who makes API keys; IAM answers 403 then.
seealso:
  - module: ibm_quantum.platform.api_key_info
author:
  - ibm_quantum.platform contributors (@ibm-quantum-platform)
extends_documentation_fragment:
  - ibm_quantum.platform.api
  - ibm_quantum.platform.api.module
"""

EXAMPLES = r"""
- name: Make a key for all hosts, its value in a file of the controller
  ibm_quantum.platform.api_key:
    name: all-hosts
    description: Made by Ansible
    action_when_leaked: disable
    value_file: "{{ lookup('ansible.builtin.env', 'HOME') }}/all-hosts.key"
  run_once: true

- name: Use it
  ibm_quantum.platform.usage_info:
    api_key: "{{ lookup('ansible.builtin.file', lookup('ansible.builtin.env', 'HOME') ~ '/all-hosts.key') }}"
    instance: "{{ ibm_quantum_instance }}"
  run_once: true

- name: Delete it, and the file
  ibm_quantum.platform.api_key:
    value_file: "{{ lookup('ansible.builtin.env', 'HOME') }}/all-hosts.key"
    state: absent
  run_once: true

- name: Make a key for an hour, without a file
  ibm_quantum.platform.api_key:
    name: laptop
    expires_in: 3600
  register: made
  run_once: true

- name: Stop a key at once, but keep it for the record
  ibm_quantum.platform.api_key:
    id: "{{ made.api_key.id }}"
    disabled: true
    locked: true
  run_once: true

- name: Delete a key even if it is locked
  ibm_quantum.platform.api_key:
    name: laptop
    locked: false
    state: absent
  run_once: true
"""

RETURN = r"""
api_key:
  description: The key as IBM represents it, without its value. In check mode a new one has only what was asked for.
  returned: O(state=present)
  type: dict
  contains:
    id:
      description: The ID.
      type: str
    name:
      description: The name.
      type: str
    iam_id:
      description: Whose key it is.
      type: str
    account_id:
      description: The account of the key.
      type: str
    description:
      description: The description, if it has one.
      type: str
    expires_at:
      description: When it ends, if it does.
      type: str
    locked:
      description: Whether it is locked.
      type: bool
    disabled:
      description: Whether it is disabled.
      type: bool
    created_at:
      description: When it was made.
      type: str
    modified_at:
      description: When it was last changed.
      type: str
    entity_tag:
      description: Its version, for C(If-Match).
      type: str
  sample:
    id: ApiKey-01234567-89ab-cdef-0123-456789abcdef
    name: fleet
    iam_id: IBMid-270007GGGG
    account_id: 0123456789abcdef0123456789abcdef
    locked: false
    disabled: false
    created_at: "2026-11-22T10:15+0000"
value:
  description: The value of the key that was made. IBM does not tell it again.
  returned: when a key was made without O(value_file)
  type: str
api_keys:
  description: The keys that were deleted, or would be in check mode.
  returned: O(state=absent)
  type: list
  elements: dict
"""

from typing import Any

from ansible_collections.ibm_quantum.platform.plugins.module_utils._api_key import ApiKeyTask, check
from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import ModuleLike, main
from ansible_collections.ibm_quantum.platform.plugins.module_utils._options import argument_spec

ARGUMENT_SPEC = argument_spec(
    name={"type": "str"},
    id={"type": "str"},
    state={"type": "str", "choices": ["present", "absent"], "default": "present"},
    description={"type": "str"},
    expires_at={"type": "str"},
    expires_in={"type": "int"},
    locked={"type": "bool"},
    disabled={"type": "bool"},
    support_sessions={"type": "bool"},
    action_when_leaked={"type": "str", "choices": ["none", "disable", "delete"]},
    iam_id={"type": "str"},
    account_id={"type": "str"},
    value_file={"type": "path"},
    duplicates={"type": "str", "choices": ["error", "all"], "default": "error"},
    allow_own={"type": "bool", "default": False},
)

CONSTRAINTS = {
    "required_one_of": [("name", "id", "value_file")],
    "mutually_exclusive": [("expires_at", "expires_in")],
}


def returns_secret(params: dict[str, Any], result: dict[str, Any] | None = None) -> bool:
    """Whether a result must be hidden; without one, whether it could have to be."""
    if result is None:
        return params["state"] == "present" and not params["id"] and not params["value_file"]
    return "value" in result


def run(module: ModuleLike) -> dict[str, Any]:
    check(module.params)
    task = ApiKeyTask(module)
    return task.absent() if module.params["state"] == "absent" else task.present()


if __name__ == "__main__":
    main(run, ARGUMENT_SPEC, **CONSTRAINTS)
