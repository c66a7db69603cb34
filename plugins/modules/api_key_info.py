#!/usr/bin/python
# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: api_key_info
short_description: List IBM Cloud API keys, or tell whose key it is
version_added: "0.1.0"
description:
  - Lists API keys of an identity or an account from IBM Cloud IAM, all pages of them.
  - With O(value) it tells which key has that value, whose it is, and whether it is locked or disabled.
  - Never returns a secret.
  - Nothing is sent to the hosts of the play.
options:
  name:
    description:
      - Only keys of that name. IBM's names are not unique.
    type: str
  id:
    description:
      - Only the key of that ID.
    type: str
  value:
    description:
      - Only the key of that value.
    type: str
  iam_id:
    description:
      - Whose keys. By default, with O(scope=entity), those of the identity that the task authenticates as.
    type: str
  account_id:
    description:
      - The account of the keys. By default the one that the task authenticates for.
    type: str
  scope:
    description:
      - V(entity) lists the keys of one identity, V(account) those of the account that the identity may see.
    type: str
    choices: [entity, account]
    default: entity
attributes:
  check_mode:
    support: full
    details: Only reads.
  diff_mode:
    support: none
    details: Only reads.
seealso:
  - module: ibm_quantum.platform.api_key
author:
  - ibm_quantum.platform contributors (@ibm-quantum-platform)
extends_documentation_fragment:
  - ibm_quantum.platform.api
  - ibm_quantum.platform.api.module
"""

EXAMPLES = r"""
- name: List my keys
  ibm_quantum.platform.api_key_info:
  register: mine

- name: Warn of keys without an end
  ansible.builtin.debug:
    msg: "{{ mine.api_keys | rejectattr('expires_at', 'defined') | map(attribute='name') }}"

- name: Which key do the hosts have
  ibm_quantum.platform.api_key_info:
    value: "{{ lookup('ansible.builtin.env', 'IQP_API_TOKEN') }}"
  register: found
"""

RETURN = r"""
api_keys:
  description: The keys as IBM represents them, without their values; an empty list where there is none.
  returned: success
  type: list
  elements: dict
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
    - id: ApiKey-01234567-89ab-cdef-0123-456789abcdef
      name: fleet
      iam_id: IBMid-270007GGGG
      account_id: 0123456789abcdef0123456789abcdef
      locked: false
      disabled: false
      created_at: "2026-11-22T10:15+0000"
"""

from typing import Any

from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._identity import Identity, Key
from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import ModuleLike, main
from ansible_collections.ibm_quantum.platform.plugins.module_utils._options import argument_spec

ARGUMENT_SPEC = argument_spec(
    name={"type": "str"},
    id={"type": "str"},
    value={"type": "str", "no_log": True},
    iam_id={"type": "str"},
    account_id={"type": "str"},
    scope={"type": "str", "choices": ["entity", "account"], "default": "entity"},
)

CONSTRAINTS = {"mutually_exclusive": [("id", "value")]}


def run(module: ModuleLike) -> dict[str, Any]:
    keys = _found(Identity(module), module.params)
    wanted = {name: module.params[name] for name in ("name", "iam_id", "account_id") if module.params[name]}
    fitting = [key for key in keys if all(key.get(name) == value for name, value in wanted.items())]
    return {"changed": False, "api_keys": fitting}


def _found(identity: Identity, params: dict[str, Any]) -> list[Key]:
    if params["value"] is not None or params["id"] is not None:
        value = (params["value"] or params["id"] or "").strip()
        if not value:  # such as a variable that is not set: the list of all keys would be no answer to it
            raise OptionError(f"{'id' if params['value'] is None else 'value'!r} is empty: leave it out to list keys")
        key = identity.get(value) if params["value"] is None else identity.by_value(value)
        return [key] if key else []
    if params["scope"] == "account":
        account_id = params["account_id"] or identity.caller()[1]
        return identity.listing(account_id=account_id, scope="account")
    iam_id, account_id = params["iam_id"], params["account_id"]
    if not (iam_id and account_id):
        caller = identity.caller()
        iam_id, account_id = iam_id or caller[0], account_id or caller[1]
    return identity.listing(account_id=account_id, iam_id=iam_id)


if __name__ == "__main__":
    main(run, ARGUMENT_SPEC, **CONSTRAINTS)
