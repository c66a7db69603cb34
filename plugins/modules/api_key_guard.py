#!/usr/bin/python
# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: api_key_guard
short_description: Have API keys deleted when this run of Ansible ends, however it ends
version_added: "0.1.0"
description:
  - Leaves a small process on the controller that waits for the end of C(ansible-playbook) and then deletes the API keys
    of some names, where they are still there.
  - A block with C(always) deletes them sooner. But Ansible runs no C(always) for a host that it cannot reach any more,
    and none at all if it is killed.
  - The role P(ibm_quantum.platform.one_use_key#role) does all of it.
  - Nothing is sent to the hosts of the play.
options:
  names:
    description:
      - The names of the keys. All keys of the own identity that have one of them are deleted, but none that is locked.
    type: list
    elements: str
    required: true
  expires_in:
    description:
      - Seconds after which the keys are deleted even if Ansible is still running, V(60) to V(86400).
    type: int
    default: 3600
attributes:
  check_mode:
    support: full
    details: No process is started, and no key would be made either.
  diff_mode:
    support: none
notes:
  - Use C(run_once) and one task for all names. Each task leaves a process.
  - Where the controller itself ends, as the container of an AWX job does, so does the process. So give the keys an
    early end, too, and run the playbook C(ibm_quantum.platform.clean_up_keys) from time to time.
  - The module works in Ansible's own process only, so with neither O(run_on=target) nor C(async) nor C(delegate_to).
seealso:
  - module: ibm_quantum.platform.api_key
author:
  - ibm_quantum.platform contributors (@ibm-quantum-platform)
extends_documentation_fragment:
  - ibm_quantum.platform.api
  - ibm_quantum.platform.api.module
"""

EXAMPLES = r"""
- name: Whatever happens from here on, this key will not outlive the run
  ibm_quantum.platform.api_key_guard:
    names: [one-run]
    expires_in: 3600
  run_once: true

- name: Make it
  ibm_quantum.platform.api_key:
    name: one-run
    expires_in: 3600
  register: one_run_key
  run_once: true

- name: Use it
  ibm_quantum.platform.usage_info:
    api_key: "{{ one_run_key.value }}"
    instance: "{{ ibm_quantum_instance }}"
  run_once: true
"""

RETURN = r"""
names:
  description: The names that are guarded.
  returned: success
  type: list
  elements: str
  sample: [one-run]
"""

import contextlib
import os
from typing import Any

from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import ApiError, OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._guard import at_end_of
from ansible_collections.ibm_quantum.platform.plugins.module_utils._identity import Identity
from ansible_collections.ibm_quantum.platform.plugins.module_utils._module import ModuleLike, main
from ansible_collections.ibm_quantum.platform.plugins.module_utils._options import argument_spec

ARGUMENT_SPEC = argument_spec(
    names={"type": "list", "elements": "str", "required": True},
    expires_in={"type": "int", "default": 3600},
)


def run(module: ModuleLike) -> dict[str, Any]:
    names, seconds = module.params["names"], module.params["expires_in"]
    if not 60 <= seconds <= 86400:
        raise OptionError(f"'expires_in' must be 60 to 86400 seconds, not {seconds}")
    # What cannot work is known now and not at the end, when nobody is told.
    caller = Identity(module).caller()
    if not module.check_mode:
        try:
            at_end_of(os.getppid(), seconds, lambda: delete(module, set(names), caller))
        except OSError as error:
            raise OptionError(f"no process could be started to guard the keys: {error.strerror}") from None
    return {"changed": False, "names": names}


def delete(module: ModuleLike, names: set[str], caller: tuple[str, str]) -> None:
    """Delete the caller's keys of these names. Raises ApiError where they cannot be listed."""
    identity = Identity(module)
    for key in identity.listing(iam_id=caller[0], account_id=caller[1]):
        if key.get("name") in names:
            with contextlib.suppress(ApiError):  # the others are to go all the same
                identity.delete(key)


def _elsewhere(module: ModuleLike) -> dict[str, Any]:
    raise OptionError("api_key_guard waits for Ansible's own process: use neither 'run_on', 'async' nor 'delegate_to'")


if __name__ == "__main__":
    main(_elsewhere, ARGUMENT_SPEC)
