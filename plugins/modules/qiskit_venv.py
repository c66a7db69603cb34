#!/usr/bin/python
# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: qiskit_venv
short_description: Qiskit and IBM's client in a virtual environment
version_added: 0.1.0
description:
  - Makes a virtual environment with C(qiskit) and C(qiskit-ibm-runtime) of chosen versions, and keeps it so.
  - As long as nothing differs, no pip and no other process is started; the network is not used.
  - Packages of the environment that people installed themselves are left alone. What this module installed and is no
    longer needed leaves, with what only that needed.
  - A change that fails leaves the environment as it was. One that was interrupted is made good by the next run.
author:
  - ibm_quantum.platform contributors (@ibm-quantum-platform)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
    details: It does without the network, so it cannot tell which version is the newest, or what a new version needs.
  diff_mode:
    support: full
  platform:
    support: full
    platforms: posix
options:
  state:
    description:
      - With V(present), the environment has the packages that the other options ask for.
      - With V(absent), it is removed, with any folders that were made for it and are empty. An environment that this
        module did not make is refused.
    type: str
    choices: [present, absent]
    default: present
  path:
    description:
      - The folder of the environment. It belongs to the user whom the task runs as, and everybody may use it.
      - A folder with anything in it that this module did not make is refused.
    type: path
    default: /opt/ibm_quantum/qiskit
  python:
    description:
      - The Python to make the environment with, a name or a path on the host, 3.10 or newer. It must be able to make
        virtual environments; Debian has a package of its own for that, C(python3-venv).
      - When it becomes another one, by this option or by an upgrade of the host, the environment is made anew.
    type: str
    default: python3
  version:
    description:
      - The version of C(qiskit), such as V(2.1.0), or a range, such as V(>=2,<3).
      - Without it, the newest that fits when it is installed, which is then kept.
    type: str
  runtime_version:
    description:
      - The same for C(qiskit-ibm-runtime).
    type: str
  extra_packages:
    description:
      - More packages to install, each a name with an optional range, such as V(ipykernel) or V(qiskit-aer>=0.17).
    type: list
    elements: str
    default: []
  requirements:
    description:
      - The text of a requirements file that pins every package, with hashes or without, as C(pip-compile
        --generate-hashes) writes it. Then exactly these are installed, and only archives with these hashes.
      - Excludes O(version), O(runtime_version) and O(extra_packages).
    type: str
  index_url:
    description:
      - The package index to install from, in place of the one that the host's pip is configured for.
      - With any of O(index_url), O(extra_index_urls), O(find_links) and O(no_index), the host's own configuration of
        pip does not count.
      - A password in it is not shown, and is in no command line.
    type: str
  extra_index_urls:
    description:
      - More indexes. pip takes the best version of all of them, so whoever can write to one can replace any package.
    type: list
    elements: str
    default: []
  find_links:
    description:
      - Folders of the host, or pages, with archives to install from beside the index.
    type: list
    elements: str
    default: []
  no_index:
    description:
      - Install from O(find_links) only.
    type: bool
    default: false
  ca_path:
    description:
      - A file of the host with the CA certificates to trust for the index and the proxy.
    type: path
  proxy:
    description:
      - The URL of the proxy to the index, with user and password if it wants them.
      - By default what the task's environment says.
    type: str
  source_builds:
    description:
      - Whether to build packages from source where there is no wheel, which runs their code and may need compilers.
    type: bool
    default: false
  timeout:
    description:
      - Seconds that one run of pip may take, V(1) to V(86400).
    type: int
    default: 1800
notes:
  - Nothing is activated. Programs use V(/opt/ibm_quantum/qiskit/bin/python), or the environment's C(activate).
  - IBM's client trusts the CAs that come with C(requests), not those of the host. Behind a proxy that inspects TLS set
    E(REQUESTS_CA_BUNDLE), for instance with M(ibm_quantum.platform.environment).
seealso:
  - module: ibm_quantum.platform.environment
"""

EXAMPLES = r"""
- name: Qiskit for all users of the host
  become: true
  ibm_quantum.platform.qiskit_venv:
    version: ">=2,<3"
    runtime_version: 0.51.0
    extra_packages:
      - ipykernel

- name: From an index inside, as the host has no way out
  become: true
  ibm_quantum.platform.qiskit_venv:
    index_url: "https://reader:{{ vault_index_password }}@pypi.example.com/simple/"
    ca_path: /etc/ssl/certs/ca-certificates.crt

- name: For the connecting user only, exactly what was tested
  ibm_quantum.platform.qiskit_venv:
    path: ~/qiskit
    requirements: "{{ lookup('ansible.builtin.file', 'requirements.txt') }}"

- name: Take it off again
  become: true
  ibm_quantum.platform.qiskit_venv:
    state: absent
"""

RETURN = r"""
path:
  description: The folder of the environment.
  returned: success
  type: str
  sample: /opt/ibm_quantum/qiskit
python:
  description: The environment's Python.
  returned: success
  type: str
  sample: /opt/ibm_quantum/qiskit/bin/python
reason:
  description: Why there was something to change, or would be in check mode.
  returned: changed
  type: str
  sample: "missing, or of another version: qiskit==2.1.0"
versions:
  description:
    - All packages of the environment. In check mode, a package that would be installed has the range that was asked
      for in place of its version.
  returned: success
  type: dict
  sample:
    qiskit: 2.1.0
    qiskit-ibm-runtime: 0.51.0
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._manifest import Refused
from ansible_collections.ibm_quantum.platform.plugins.module_utils._pip import PipError, Source, check, passwords
from ansible_collections.ibm_quantum.platform.plugins.module_utils._requirements import package, pinned, versioned
from ansible_collections.ibm_quantum.platform.plugins.module_utils._venv import Wanted, remove, settle

ARGUMENT_SPEC: dict[str, Any] = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "path": {"type": "path", "default": "/opt/ibm_quantum/qiskit"},
    "python": {"type": "str", "default": "python3"},
    "version": {"type": "str"},
    "runtime_version": {"type": "str"},
    "extra_packages": {"type": "list", "elements": "str", "default": []},
    "requirements": {"type": "str"},
    # Hidden as a whole until it is known which parts are passwords
    "index_url": {"type": "str", "no_log": True},
    "extra_index_urls": {"type": "list", "elements": "str", "default": [], "no_log": True},
    "find_links": {"type": "list", "elements": "str", "default": [], "no_log": True},
    "no_index": {"type": "bool", "default": False},
    "ca_path": {"type": "path"},
    "proxy": {"type": "str", "no_log": True},
    "source_builds": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 1800},
}


def wanted(params: dict[str, Any]) -> Wanted:
    """What the parameters ask for. Raises :class:`OptionError`."""
    path, pins = params["path"].rstrip("/"), params["requirements"] or ""
    if not os.path.isabs(path) or os.path.normpath(path) != path:
        raise OptionError(f"path: {params['path']!r} is no absolute path of a folder: write it in full, without ..")
    named = [name for name in ("version", "runtime_version", "extra_packages") if params[name]]
    if pins:
        if named:
            raise OptionError(
                f"requirements pins every package, so it excludes {', '.join(named)}: drop one or the other"
            )
        return Wanted(path, params["python"], pinned(pins), pins)
    requirements = [
        versioned("version", "qiskit", params["version"]),
        versioned("runtime_version", "qiskit-ibm-runtime", params["runtime_version"]),
        *map(package, params["extra_packages"]),
    ]
    return Wanted(path, params["python"], requirements)


def run(module: AnsibleModule) -> dict[str, Any]:
    """Bring the host to the state the parameters ask for. Raises OptionError, Refused, PipError, OSError."""
    params = module.params
    if not 1 <= params["timeout"] <= 86400:
        raise OptionError(f"timeout: {params['timeout']} is not from 1 to 86400 seconds")
    source = Source(**{name: params[name] for name in Source._fields})
    check(source)
    want = wanted(params)
    if params["state"] == "absent":
        outcome = remove(want.path, module.check_mode)
    else:
        outcome = settle(want, source, module.check_mode)
    result = {
        "changed": outcome.changed,
        "path": want.path,
        "python": os.path.join(want.path, "bin", "python"),
        "versions": outcome.after,
        "diff": {
            "before_header": want.path,
            "after_header": want.path,
            "before": _listed(outcome.before),
            "after": _listed(outcome.after),
        },
    }
    return {**result, "reason": outcome.reason} if outcome.changed else result


def _listed(packages: dict[str, str]) -> str:
    return "".join(f"{name} {version}\n" for name, version in packages.items())


def _censor_only_secrets(module: AnsibleModule) -> None:
    params = module.params
    places = [params["index_url"], params["proxy"], *params["extra_index_urls"], *params["find_links"]]
    module.no_log_values.clear()
    module.no_log_values.update(passwords(places))


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    _censor_only_secrets(module)
    try:
        result = run(module)
    except (OptionError, Refused) as error:
        module.fail_json(msg=str(error))
    except PipError as error:
        module.fail_json(msg=f"pip could not install the packages: {error}")
    except OSError as error:
        module.fail_json(msg=f"Cannot write {error.filename or module.params['path']}: {error.strerror or error}")
    else:
        module.exit_json(**result)


if __name__ == "__main__":
    main()
