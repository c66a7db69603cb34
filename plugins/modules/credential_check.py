#!/usr/bin/python
# Copyright: (c) 2026, ibm_quantum.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: credential_check
short_description: Prove from a host that the API keys on it work
version_added: 0.1.0
description:
  - Finds the API keys that programs of the host would use, in the files of M(ibm_quantum.platform.environment) and in
    saved accounts of C(qiskit-ibm-runtime), and exchanges each at IAM for a bearer token, from the host itself and
    through the host's own proxies and CA certificates. Nothing but the answer is kept.
  - Where the instance is known too, its usage is read with that token. So a key of one account beside the instance of
    another is found.
  - Fails when a key does not work, or is not the expected one, or when there is none, with a line for each that names
    the place, the cause and the remedy.
  - Neither a key nor a token is ever returned.
author:
  - ibm_quantum.platform contributors (@ibm-quantum-platform)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
    details: The module changes nothing, so it does the same in check mode.
  diff_mode:
    support: none
  platform:
    support: full
    platforms: posix
options:
  scope:
    description:
      - Whose environment is looked at. V(system) is that of the whole host, in V(/etc/ibm_quantum), which root may read
        and the group that was set for it. V(user) is that of the user that Ansible works as.
    type: str
    choices: [system, user]
    default: system
  users:
    description:
      - Users of the host whose saved accounts, V(~/.qiskit/qiskit-ibm.json), are looked at too.
      - Only root can look at those of others. Root does it as that user, so that no link leads it astray.
    type: list
    elements: str
    default: []
  accounts:
    description:
      - Names of the saved accounts that are looked at, which each of O(users) has to have. All of them by default.
    type: list
    elements: str
    default: []
  sha256:
    description:
      - The SHA-256 of the key that every place is to hold, in hexadecimal, or those of several keys that are welcome.
      - It tells nothing about a key of IBM, which has 256 random bits.
    type: list
    elements: str
    default: []
  check_instance:
    description: Whether to read the usage of the instance.
    type: bool
    default: true
  instance:
    description:
      - The CRN of the instance to try each key with.
      - If not set, the one beside the key counts, E(QISKIT_IBM_INSTANCE) or the account's. Where that is not
        a CRN, only the exchange is tried.
    type: str
  iam_url:
    description:
      - IAM's URL. If not set, E(IAM_URL) of the host counts, else V(https://iam.cloud.ibm.com), or its private endpoint
        for an account that has C(private_endpoint).
    type: str
  runtime_url:
    description:
      - The Runtime API's URL without the version. If not set, E(IBM_QUANTUM_RUNTIME_URL) of the task's environment
        counts, else the URL of the instance's region.
    type: str
  proxy:
    description:
      - The HTTP proxy to go through, as in M(ibm_quantum.platform.endpoint_check).
      - If not set, that of the saved account counts, then E(HTTPS_PROXY), E(ALL_PROXY) and E(NO_PROXY) as
        M(ibm_quantum.platform.environment) wrote them on the host, else those of the module's environment.
        An empty string means no proxy.
    type: str
  ca_path:
    description:
      - A file or folder of CA certificates on the host to trust in place of the host's own.
      - If not set, E(REQUESTS_CA_BUNDLE) counts, as it does for IBM's client, from the same places as for O(proxy).
    type: path
  timeout:
    description: Seconds for each of the stages DNS, TCP, proxy, TLS and HTTP of a call, V(1) to V(60).
    type: int
    default: 10
  retries:
    description:
      - How many times a call is repeated that met a busy server (429, or 500 and above) or was cut off, V(0) to V(10).
      - The wait is what IBM asks for, or doubles from half a second on, and is another one on every host.
    type: int
    default: 4
notes:
  - Each host asks IAM once for each key. That is the point of it, but no task for every minute.
seealso:
  - module: ibm_quantum.platform.environment
  - module: ibm_quantum.platform.endpoint_check
"""

EXAMPLES = r"""
- name: The keys of this host work
  become: true
  ibm_quantum.platform.credential_check:

- name: The host and two of its users have the new key and no other, and it works
  become: true
  ibm_quantum.platform.credential_check:
    users: [alice, bob]
    sha256: "{{ lookup('ansible.builtin.file', '~/ibm_quantum.key') | hash('sha256') }}"

- name: Which places of a key do not work, without failing
  become: true
  ibm_quantum.platform.credential_check:
  register: check
  failed_when: false
"""

RETURN = r"""
places:
  description: One row for each place that holds a key.
  returned: when the options are valid
  type: list
  elements: dict
  contains:
    place:
      description: The file.
      type: str
      sample: /etc/ibm_quantum/secrets.env
    name:
      description: The variable, or the saved account.
      type: str
      sample: QISKIT_IBM_TOKEN
    user:
      description: Whose saved account it is; null for the environment.
      type: str
      sample: null
    sha256:
      description: The key's SHA-256, in hexadecimal; null for a key so short that it could be guessed from it.
      type: str
      sample: 54f06e1ae0e21d4cdbb5cc53e21c1d2cb1a3d2a41b3f4ee4ec2d0f8fc4f8b7f1
    expected:
      description: Whether it is one of O(sha256); null if that is empty.
      type: bool
      sample: true
    works:
      description: Whether IAM gave a token for it, and the instance, where that was tried, an answer to the token.
      type: bool
      sample: true
    reason:
      description: What is wrong and what to do about it; empty if nothing.
      type: str
      sample: ""
failed_places:
  description: Those that are not as they should be, as V(FILE NAME).
  returned: when the options are valid
  type: list
  elements: str
  sample: []
"""

import re
from typing import Any

from ansible_collections.ibm_quantum.platform.plugins.module_utils import _credential
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._host_call import Caller
from ansible_collections.ibm_quantum.platform.plugins.module_utils._host_module import HostModule, proxy_secrets

ARGUMENT_SPEC: dict[str, Any] = {
    "scope": {"type": "str", "choices": ["system", "user"], "default": "system"},
    "users": {"type": "list", "elements": "str", "default": []},
    "accounts": {"type": "list", "elements": "str", "default": []},
    "sha256": {"type": "list", "elements": "str", "default": []},
    "check_instance": {"type": "bool", "default": True},
    "instance": {"type": "str"},
    "iam_url": {"type": "str"},
    "runtime_url": {"type": "str"},
    "proxy": {"type": "str", "no_log": True},
    "ca_path": {"type": "path"},
    "timeout": {"type": "int", "default": 10},
    "retries": {"type": "int", "default": 4},
}

_LIMITS = {"timeout": (1, 60, "seconds"), "retries": (0, 10, "repetitions")}


def run(module: HostModule) -> dict[str, Any]:
    """Find, prove and judge. Raises :class:`OptionError`."""
    params = module.params
    expected = _expected(params)
    paths = _credential.SYSTEM_FILES if params["scope"] == "system" else [_credential.user_file()]
    try:
        places = _credential.in_environment(paths) + _credential.in_accounts(params["users"], params["accounts"])
    except (OSError, RuntimeError) as error:  # as another user: no more processes, or the time was over
        raise OptionError(
            f"Cannot look at the keys of this host: {getattr(error, 'strerror', None) or error}"
        ) from error
    module.no_log_values.update(place.key for place in places if len(place.key) >= 8)
    caller = Caller(
        proxy=params["proxy"], ca_path=params["ca_path"], timeout=params["timeout"], retries=params["retries"]
    )
    prover = _credential.Prover(
        caller,
        iam_url=params["iam_url"],
        runtime_url=params["runtime_url"],
        instance=params["instance"],
        check_instance=params["check_instance"],
        on_secret=module.no_log_values.add,
    )
    rows = [_row(place, prover.reason(place), expected) for place in places]
    bad = [row for row in rows if row["reason"]]
    result = {"changed": False, "places": rows, "failed_places": [f"{row['place']} {row['name']}" for row in bad]}
    if not rows:
        accounts = [f"the saved accounts of {', '.join(params['users'])}"] if params["users"] else []
        where = " nor in ".join([" nor in ".join(paths), *accounts])
        result.update(failed=True, msg=f"This host has no API key, neither in {where}: run the role environment on it")
    elif bad:
        lines = [
            "{place} {name}{of}: {reason}".format(of=f" of {row['user']}" if row["user"] else "", **row) for row in bad
        ]
        result.update(
            failed=True, msg="\n".join([f"{len(bad)} of {len(rows)} places of an API key are not in order:", *lines])
        )
    return result


def _expected(params: dict[str, Any]) -> set[str]:
    """The digests that are welcome. Raises :class:`OptionError` for those, and for numbers out of range."""
    for option, (least, most, unit) in _LIMITS.items():
        if not least <= params[option] <= most:
            raise OptionError(f"{option} must be {least} to {most} {unit}, not {params[option]}")
    for text in params["sha256"]:
        if not re.fullmatch(r"[0-9A-Fa-f]{64}", text):
            raise OptionError("sha256 must be 64 hexadecimal digits, such as the filter hash('sha256') gives")
    return {text.lower() for text in params["sha256"]}


def _row(place: _credential.Place, reason: str, expected: set[str]) -> dict[str, Any]:
    found = _credential.digest(place.key)
    works, welcome = not reason, found in expected if expected else None
    if welcome is False:
        other = "it is another key than the expected one: run the role that writes this file again"
        reason = f"{other}; and besides, {reason}" if reason else other
    return {
        "place": place.path,
        "name": place.name,
        "user": place.user,
        "sha256": found,
        "expected": welcome,
        "works": works,
        "reason": reason,
    }


def main() -> None:
    HostModule(ARGUMENT_SPEC, hidden=(), secrets=proxy_secrets).carry_out(run)


if __name__ == "__main__":
    main()
