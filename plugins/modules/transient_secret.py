#!/usr/bin/python
# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: transient_secret
short_description: A secret in memory-backed storage that the host removes at its expiry
version_added: 0.1.0
description:
  - Puts secrets into files that are only in memory, V(/run/ibm_quantum/NAME) for root, readable by one user or one
    group.
  - The host itself removes them at their expiry, whether or not a controller is there to do it, with a timer of
    systemd's. A reboot removes file and timer.
  - Meant for bearer tokens on hosts that are not trusted with an API key. The role
    P(ibm_quantum.platform.bearer_token#role) does all of it.
author:
  - ibm_quantum.platform contributors (@ibm-quantum-platform)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: A secret is shown as a short salted hash, so that one sees whether it changes.
  platform:
    support: full
    platforms: posix
options:
  state:
    description:
      - With V(present), the files are there until they expire.
      - With V(absent), files and timers of these names are removed now, and their folder if nothing else is in it.
    type: str
    choices: [present, absent]
    default: present
  files:
    description: The files. Those of one task share expiry, owner and group; other tasks may add more.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The file's name, up to 64 letters, digits, V(.), V(_) and V(-). Their folder is fixed.
        type: str
        required: true
      content:
        description:
          - What the file holds, of at least 8 characters, byte for byte.
          - Required with O(state=present).
        type: str
  expires:
    description:
      - When the host removes the files, in seconds since the epoch by the host's own clock.
      - Exactly one of O(expires) and O(expires_in) is needed with O(state=present).
    type: int
  expires_in:
    description:
      - Seconds from now until the host removes the files. Unlike O(expires), this is right on hosts with a wrong clock.
      - If the same content is there already with an expiry that differs by less than a minute, that one is kept.
    type: int
  owner:
    description:
      - The user whom the files belong to and who alone can read them, unless there is a O(group).
      - The default is the user that the module runs as. Another one needs root.
    type: str
  group:
    description: A group whose members can read the files too, which have mode 0640 then and else 0600. Needs root.
    type: str
notes:
  - The folder is V(/run/ibm_quantum) for root and V(ibm_quantum) below E(XDG_RUNTIME_DIR), or V(/run/user/UID), for
    other users. Where it is not on a tmpfs or ramfs, or where no systemd is there to run the timer, the module fails
    and writes nothing.
  - What is below V(/run/user/UID) ends with the user's last session, unless C(loginctl enable-linger) was called.
  - The file leaves when the host's clock comes to its expiry, or when as much time has passed, whichever is first. So
    it leaves also if the clock is set back, and when the host wakes if it slept over it.
  - Memory can be written to swap space. Where that matters, encrypt the swap space or have none.
  - Without pipelining, Ansible writes a module's arguments to the host's disk for the time of the task. Set
    C(ansible_pipelining) to V(true), as the role does.
seealso:
  - module: ibm_quantum.platform.iam_token
"""

EXAMPLES = r"""
- name: Exchange the API key on the controller
  ibm_quantum.platform.iam_token:
    api_key: "{{ vault_api_key }}"
  register: token

- name: Only the token goes to the host, and leaves when it ends
  become: true
  ibm_quantum.platform.transient_secret:
    files:
      - name: bearer_token
        content: "{{ token.access_token }}"
    expires_in: "{{ token.expires_in }}"
    owner: alice
  vars:
    ansible_pipelining: true

- name: Take it off early
  become: true
  ibm_quantum.platform.transient_secret:
    state: absent
    files:
      - name: bearer_token
"""

RETURN = r"""
files:
  description: The files that were looked at.
  returned: success
  type: list
  elements: str
  sample: [/run/ibm_quantum/bearer_token]
changed_files:
  description: Those of them that were written or removed, or got another expiry, or would in check mode.
  returned: success
  type: list
  elements: str
  sample: [/run/ibm_quantum/bearer_token]
expires:
  description: When the first of the files will be removed, in seconds since the epoch by the host's clock.
  returned: O(state=present)
  type: int
  sample: 1795359600
"""

import time
from typing import Any

from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._host_module import HostModule, diff_rows
from ansible_collections.ibm_quantum.platform.plugins.module_utils._transient import (
    Secret,
    Store,
    check_name,
    file_of,
    host_salt,
    moment,
    place,
)

ARGUMENT_SPEC: dict[str, Any] = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    # no_log on the whole list: see _host_module
    "files": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "no_log": True,
        "options": {
            "name": {"type": "str", "required": True},
            "content": {"type": "str", "no_log": True},
        },
    },
    "expires": {"type": "int"},
    "expires_in": {"type": "int"},
    "owner": {"type": "str"},
    "group": {"type": "str"},
}


def run(module: HostModule) -> dict[str, Any]:
    """Bring the host to the state the parameters ask for. Raises OptionError, Refused, OSError."""
    params, present = module.params, module.params["state"] == "present"
    names = [row["name"] for row in params["files"]]
    for name in names:
        check_name(name)
    if len(set(names)) < len(names):
        raise OptionError("files: a name is there twice: one of the two would be lost")
    if present:
        wanted = [
            Secret(row["name"], file_of(row["name"], row["content"], params["owner"], params["group"]))
            for row in params["files"]
        ]
        expires, tolerance = moment(params["expires"], params["expires_in"], time.time())
    store = Store(place(present), host_salt())
    changes = store.present(wanted, expires, tolerance) if present else store.absent(names)
    changed = bool(changes) or store.stale(present)
    result = {
        "changed": changed,
        "files": [store.path(name) for name in names],
        "changed_files": [change.path for change in changes],
        "diff": diff_rows((change.path, change.before, change.after) for change in changes),
    }
    if present:
        differ = {change.name for change in changes}
        kept = [when for name in names if name not in differ for when in store.expiries(name)]
        result["expires"] = min(kept + [expires] * bool(changes))
    if changed and not module.check_mode:
        store.apply(changes, present)
    return result


def _secrets(params: dict[str, Any]) -> list[str | None]:
    return [row["content"] for row in params["files"] or []]


def main() -> None:
    HostModule(ARGUMENT_SPEC, hidden=("files",), secrets=_secrets).carry_out(run)


if __name__ == "__main__":
    main()
