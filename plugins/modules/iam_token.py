#!/usr/bin/python
# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: iam_token
short_description: Exchange an IBM Cloud API key for a bearer token
version_added: "0.1.0"
description:
  - Gets the bearer token that belongs to an API key or trusted profile, from the cache while it has a fifth of its life
    left, else from IBM Cloud IAM.
  - The modules of this collection do this by themselves. Use it to check a key early, or to give the token to something
    else.
  - The result is never shown, at no verbosity, but RV(access_token) can be used after C(register).
options:
  state:
    description:
      - V(present) returns a token.
      - V(absent) takes the token out of the cache, so that the next task exchanges the key again. IBM has no way to
        revoke a bearer token before its end.
    type: str
    choices: [present, absent]
    default: present
  minimum_life:
    description:
      - Seconds that the token is to be good for at least. A cached one that has less left is renewed, whatever part of
        its life that is.
      - A bearer token lives an hour at most, and less where the account is set so; what IAM gives is then returned with
        a warning.
      - For tokens that are laid down somewhere and renewed from time to time.
    type: int
    default: 0
attributes:
  check_mode:
    support: full
    details: A token is returned in check mode too, as nothing changes by it.
  diff_mode:
    support: full
seealso:
  - plugin: ibm_quantum.platform.iam_token
    plugin_type: lookup
author:
  - ibm_quantum.platform contributors (@ibm-quantum-platform)
extends_documentation_fragment:
  - ibm_quantum.platform.api
  - ibm_quantum.platform.api.module
"""

EXAMPLES = r"""
- name: Check the API key before any host is touched
  ibm_quantum.platform.iam_token:
    api_key: "{{ ibm_quantum_api_key }}"
  register: token
  run_once: true

- name: Use the token elsewhere
  ansible.builtin.uri:
    url: https://quantum.cloud.ibm.com/api/v1/instances/usage
    headers:
      Authorization: "Bearer {{ token.access_token }}"
      Service-CRN: "{{ ibm_quantum_instance }}"
  no_log: true
  run_once: true

- name: Forget the token after a key was replaced
  ibm_quantum.platform.iam_token:
    api_key: "{{ ibm_quantum_api_key }}"
    state: absent
  run_once: true
"""

RETURN = r"""
access_token:
  description: The bearer token, without the word Bearer.
  returned: O(state=present)
  type: str
  sample: eyJraWQiOiIyMDI2MTEyMCIsImFsZyI6IlJTMjU2In0...
expires_in:
  description: Seconds that it can still be used.
  returned: O(state=present)
  type: int
  sample: 3412
expiration:
  description: When it ends, in seconds since the epoch, by the clock of the controller.
  returned: O(state=present)
  type: int
  sample: 1795359600
account_id:
  description: The account of the API key, V(null) where the token does not tell.
  returned: O(state=present)
  type: str
  sample: 0123456789abcdef0123456789abcdef
iam_id:
  description: Whose token it is, V(null) where the token does not tell.
  returned: O(state=present)
  type: str
  sample: IBMid-270007GGGG
exchanged:
  description: Whether IAM was asked; false for a token out of the cache.
  returned: O(state=present)
  type: bool
"""

import time
from typing import Any

from ansible_collections.ibm_quantum.platform.plugins.module_utils._client import Client
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import ModuleLike, main
from ansible_collections.ibm_quantum.platform.plugins.module_utils._options import argument_spec
from ansible_collections.ibm_quantum.platform.plugins.module_utils._resource import diff
from ansible_collections.ibm_quantum.platform.plugins.module_utils._token import claims

ARGUMENT_SPEC = argument_spec(
    state={"type": "str", "choices": ["present", "absent"], "default": "present"},
    minimum_life={"type": "int", "default": 0},
)

LONGEST_LIFE = 3600  # seconds; IBM's REST guide


def returns_secret(params: dict[str, Any], result: dict[str, Any] | None = None) -> bool:
    """Whether a result must be hidden; without one, whether it could have to be."""
    return params["state"] == "present" if result is None else "access_token" in result


def run(module: ModuleLike) -> dict[str, Any]:
    iam = Client(module).iam
    if module.params["state"] == "absent":
        cached = iam.cached()
        if cached and not module.check_mode:
            iam.forget()
        return {"changed": cached, "diff": diff({"cached": cached}, {"cached": False}, "token cache")}
    minimum = module.params["minimum_life"]
    if not 0 <= minimum <= LONGEST_LIFE:
        raise OptionError(f"'minimum_life' must be 0 to {LONGEST_LIFE} seconds, not {minimum}: no token lives longer")
    token = iam.token(minimum)
    module.no_log_values.discard(token.value)  # this one is what the user asked for
    left = int(token.expires - time.time())
    if left < minimum:
        module.warn(f"the token ends in {left} s, 'minimum_life' is {minimum} s: IAM gives no longer one at the moment")
    claim = claims(token.value)
    return {
        "changed": False,
        "access_token": token.value,
        "expires_in": left,
        "expiration": int(token.expires),
        "account_id": (claim.get("account") or {}).get("bss"),
        "iam_id": claim.get("iam_id"),
        "exchanged": iam.exchanged,
    }


if __name__ == "__main__":
    main(run, ARGUMENT_SPEC)
