# Copyright: (c) 2026, ibm_quantum.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The environment of a host or of a user: which variables, in which files. Standard library only: hosts import it.

The formats are those of ``_envfile``; ``_manifest`` writes the files and removes them again.

Note: this module_util is **PRIVATE** to the collection and can have breaking changes at any time.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

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
from ansible_collections.ibm_quantum.platform.plugins.module_utils._errors import OptionError
from ansible_collections.ibm_quantum.platform.plugins.module_utils._manifest import Manifest, Plan, Target

_SHORTEST_SECRET = 8  # Ansible censors every occurrence of a secret in a result: a short one would make it unreadable


class Scope(NamedTuple):
    """Where a scope's files are, and what they may ever be: path and whether it is a block."""

    directory: str
    mode: int
    known: dict[str, bool]
    targets: list[Target]


def declared(params: dict[str, Any]) -> list[Variable]:
    """The variables that the module's parameters ask for, none with state=absent. Raises :class:`OptionError`."""
    if params["state"] == "absent":
        return []
    if params["variables"] is None:
        raise OptionError("variables is missing: state=present needs it (an empty list removes all)")
    return checked(params["variables"])


def located(params: dict[str, Any], variables: list[Variable]) -> Scope:
    """The files of the parameters' scope. Raises :class:`OptionError`, :class:`FormatError`."""
    if params["scope"] == "system":
        present = params["state"] == "present"
        scope = system_scope(variables, group_id(params["secret_group"]) if present else None)
        if os.geteuid() != 0:
            raise OptionError("scope=system writes below /etc, which needs root: set become: true, or scope: user")
        return scope
    if params["secret_group"] is not None:
        raise OptionError("secret_group is for scope=system; with scope=user only the user can read the files")
    return user_scope(variables, *user_folders())


def settle(scope: Scope, variables: list[Variable], check_mode: bool) -> Plan:
    """Bring the scope's files to the variables; in check mode only say how. Raises Refused, OSError."""
    manifest = Manifest(scope.directory, scope.mode, os.geteuid())
    plan = manifest.plan(scope.targets, {v.name: v.secret for v in variables}, scope.known.items())
    if not check_mode:
        manifest.apply(plan)
    return plan


def checked(rows: list[dict[str, Any]]) -> list[Variable]:
    """The variables of the option. Raises :class:`OptionError`."""
    variables: list[Variable] = []
    for index, row in enumerate(rows):
        variable, place = Variable(row["name"], row["value"], row["secret"]), f"variables[{index}]"
        try:
            check_name(variable.name)
        except FormatError as error:
            raise OptionError(f"{place}.name {variable.name!r} {error}") from error
        if any(other.name == variable.name for other in variables):
            raise OptionError(f"{place}.name {variable.name} is on the list twice: keep one of them")
        try:
            check_value(variable.value)
        except FormatError as error:
            raise OptionError(f"{place}.value of {variable.name} {error}") from error
        if variable.secret and len(variable.value) < _SHORTEST_SECRET:
            raise OptionError(
                f"{place}.value of {variable.name} has fewer than {_SHORTEST_SECRET} characters, which is no secret: "
                "give the whole secret, or secret: false"
            )
        variables.append(variable)
    for variable in variables:
        for other in variables:
            if other.secret and not variable.secret and other.value in variable.value:
                raise OptionError(
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


def group_id(name: str | None) -> int | None:
    """A group's number; None for no group. Raises :class:`OptionError`."""
    if name is None:
        return None
    import grp  # not on every controller that only reads this file's documentation

    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise OptionError(f"secret_group: no group {name!r} on this host: create it (ansible.builtin.group)") from None


def user_folders() -> tuple[str, str]:
    """The user's home and folder for configuration, as their login will see them. Raises :class:`OptionError`."""
    try:
        home = str(Path.home())
    except (RuntimeError, KeyError):  # no HOME, no such user; KeyError before Python 3.10
        home = "~"
    if not os.path.isabs(home) or not os.path.isdir(home):
        raise OptionError(
            f"scope=user needs a home directory, and {home!r} is none: set HOME in the task's environment"
        )
    owner = os.stat(home).st_uid
    if owner != os.geteuid():
        raise OptionError(
            f"scope=user writes to the home of the user it runs as, but {home} belongs to uid {owner}, not to uid "
            f"{os.geteuid()}: connect or become as that user"
        )
    config = os.environ.get("XDG_CONFIG_HOME", "")
    return home, config if os.path.isabs(config) else os.path.join(home, ".config")
