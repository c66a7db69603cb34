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

import os
from pathlib import Path
from typing import Any, NamedTuple

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.ibm_quantum.platform.plugins.module_utils._envfile import (
    FormatError,
    Variable,
    assignments,
    check_name,
    check_value,
    environment_d,
    loader,
    pam,
)
from ansible_collections.ibm_quantum.platform.plugins.module_utils._manifest import Manifest, Refused, Target

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

_SHORTEST_SECRET = 8  # Ansible censors every occurrence of a secret in a result: a short one would make it unreadable


class Module(AnsibleModule):
    """Ansible's module, but a failure does not repeat the variables.

    In arguments of a wrong shape, such as NAME=VALUE in one string, Ansible would not recognise the secrets.
    """

    def fail_json(self, msg: str, **kwargs: Any) -> None:
        shown = {name: value for name, value in self.params.items() if name != "variables"}
        super().fail_json(msg, **{"invocation": {"module_args": shown}, **kwargs})


class BadOption(Exception):
    """An option's value is refused. The text names the option and the remedy."""


class Scope(NamedTuple):
    """Where a scope's files are, and what they may ever be: path and whether it is a block."""

    directory: str
    mode: int
    known: dict[str, bool]
    targets: list[Target]


def checked(rows: list[dict[str, Any]]) -> list[Variable]:
    """The variables of the option. Raises :class:`BadOption`."""
    variables: list[Variable] = []
    for index, row in enumerate(rows):
        variable, place = Variable(row["name"], row["value"], row["secret"]), f"variables[{index}]"
        try:
            check_name(variable.name)
        except FormatError as error:
            raise BadOption(f"{place}.name {variable.name!r} {error}") from error
        if any(other.name == variable.name for other in variables):
            raise BadOption(f"{place}.name {variable.name} is on the list twice: keep one of them")
        try:
            check_value(variable.value)
        except FormatError as error:
            raise BadOption(f"{place}.value of {variable.name} {error}") from error
        if variable.secret and len(variable.value) < _SHORTEST_SECRET:
            raise BadOption(
                f"{place}.value of {variable.name} has fewer than {_SHORTEST_SECRET} characters, which is no secret: "
                "give the whole secret, or secret: false"
            )
        variables.append(variable)
    for variable in variables:
        for other in variables:
            if other.secret and not variable.secret and other.value in variable.value:
                raise BadOption(
                    f"variables: the value of {variable.name} holds the secret of {other.name}, and every user could "
                    f"read it there: give {variable.name} secret: true as well"
                )
    return variables


def system_scope(variables: list[Variable], secret_gid: int | None, etc: str = "/etc") -> Scope:
    """The files for the whole host. Raises :class:`FormatError`."""
    directory = os.path.join(etc, "ibm_quantum")
    public, secret = os.path.join(directory, "environment"), os.path.join(directory, "secrets.env")
    profile, shared = os.path.join(etc, "profile.d", "ibm_quantum.sh"), os.path.join(etc, "environment")
    open_ones = [v for v in variables if not v.secret]
    secrets = [v for v in variables if v.secret]
    targets = []
    if open_ones:
        targets.append(Target(public, assignments(open_ones), 0o644, 0))
    if secrets:
        mode = 0o600 if secret_gid is None else 0o640
        targets.append(Target(secret, assignments(secrets), mode, secret_gid or 0))
    if variables:
        parts = [(path, [v.name for v in some]) for path, some in ((public, open_ones), (secret, secrets)) if some]
        targets.append(Target(profile, loader(parts), 0o644, 0))
    if open_ones:
        targets.append(Target(shared, pam(open_ones), 0o644, 0, block=True))
    return Scope(directory, 0o755, {public: False, secret: False, profile: False, shared: True}, targets)


def user_scope(variables: list[Variable], home: str, config: str) -> Scope:
    """The files for one user, in their home and in their folder for configuration."""
    directory = os.path.join(config, "ibm_quantum")
    values = os.path.join(directory, "environment")
    systemd = os.path.join(config, "environment.d", "60-ibm_quantum.conf")
    # People keep links from these to a folder of their own: the user's process may follow the user's link.
    others = [os.path.join(home, name) for name in (".bash_profile", ".bash_login", ".zprofile")]
    profiles = [os.path.join(home, ".profile"), *filter(os.path.exists, others)]
    profiles = list(dict.fromkeys(os.path.realpath(path) for path in profiles))
    targets = []
    if variables:
        targets = [
            Target(values, assignments(variables), 0o600),
            Target(systemd, environment_d(variables), 0o600),
        ]
        block = loader([(values, [v.name for v in variables])])
        targets += [Target(path, block, 0o644, block=True) for path in profiles]
    known = {values: False, systemd: False, **dict.fromkeys(profiles, True)}
    return Scope(directory, 0o700, known, targets)


def run(module: AnsibleModule) -> dict[str, Any]:
    """Bring the host to the state the parameters ask for. Raises BadOption, FormatError, Refused, OSError."""
    present = module.params["state"] == "present"
    variables = checked(module.params["variables"] or []) if present else []
    if present and module.params["variables"] is None:
        raise BadOption("variables is missing: state=present needs it (an empty list removes all)")
    if module.params["scope"] == "system":
        scope = system_scope(variables, _group(module.params["secret_group"]) if present else None)
        if os.geteuid() != 0:
            raise BadOption("scope=system writes below /etc, which needs root: set become: true, or scope: user")
    else:
        if module.params["secret_group"] is not None:
            raise BadOption("secret_group is for scope=system; with scope=user only the user can read the files")
        scope = user_scope(variables, *_home())
    manifest = Manifest(scope.directory, scope.mode, os.geteuid())
    plan = manifest.plan(scope.targets, {v.name: v.secret for v in variables}, scope.known.items())
    if not module.check_mode:
        manifest.apply(plan)
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


def _group(name: str | None) -> int | None:
    if name is None:
        return None
    import grp  # not on every controller that only reads this file's documentation

    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise BadOption(f"secret_group: no group {name!r} on this host: create it (ansible.builtin.group)") from None


def _home() -> tuple[str, str]:
    """The user's home and folder for configuration, as their login will see them."""
    try:
        home = str(Path.home())
    except (RuntimeError, KeyError):  # no HOME, no such user; KeyError before Python 3.10
        home = "~"
    if not os.path.isabs(home) or not os.path.isdir(home):
        raise BadOption(f"scope=user needs a home directory, and {home!r} is none: set HOME in the task's environment")
    owner = os.stat(home).st_uid
    if owner != os.geteuid():
        raise BadOption(
            f"scope=user writes to the home of the user it runs as, but {home} belongs to uid {owner}, not to uid "
            f"{os.geteuid()}: connect or become as that user"
        )
    config = os.environ.get("XDG_CONFIG_HOME", "")
    return home, config if os.path.isabs(config) else os.path.join(home, ".config")


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
    except (BadOption, FormatError, Refused) as error:
        prefix = "variables: " if isinstance(error, FormatError) else ""
        module.fail_json(msg=f"{prefix}{error}")
    except OSError as error:
        module.fail_json(msg=f"Cannot write {error.filename or 'the environment files'}: {error.strerror}")
    else:
        module.exit_json(**result)


if __name__ == "__main__":
    main()
